import pytest

from wpbridge.phpliteral import (
    NotUnderstood,
    Parser,
    PhpSyntaxError,
    Scope,
    Unknown,
    Value,
    equal,
    to_text,
    tokenize,
    truthy,
    unescape,
)


def evaluate(text: str, scope: Scope | None = None) -> Value:
    return Parser(tokenize(f"<?php {text}")).expression()(scope or Scope({}, {}))


def test_tokens_know_their_kind_and_line() -> None:
    source = "text\n<?php // c\r\n$a = 'x' /*\n*/ . \"y$b\";\r#d\n12 ?>html<?= A\\b ?>"
    told = [(token.kind, token.text, token.line) for token in tokenize(source)]
    assert told == [
        ("variable", "a", 3),
        ("op", "=", 3),
        ("string", "x", 3),
        ("op", ".", 4),
        ("template", "", 4),
        ("op", ";", 4),
        ("number", "12", 6),
        ("op", ";", 6),
        ("name", "A\\b", 6),
        ("op", ";", 6),
    ]


@pytest.mark.parametrize("source", ["'a", '"a', "/* a", "`a", "<<<X\na", "<<<'X'\nX2"])
def test_what_never_ends_is_told_without_its_text(source: str) -> None:
    with pytest.raises(PhpSyntaxError) as caught:
        tokenize(f"<?php\n{source}")
    assert caught.value.line == 2
    assert source not in str(caught.value)


def test_a_long_string_full_of_braces_takes_no_time() -> None:
    with pytest.raises(PhpSyntaxError):
        tokenize('<?php "' + "{$a}" * 5000)


def test_bytes_that_are_not_text_survive() -> None:
    assert unescape(r"\xe9") == "\udce9"
    assert unescape(r"\xc3") + unescape(r"\xa9") == "\udcc3\udca9"
    assert evaluate(r'"\xc3" . "\xa9"') == "é"


@pytest.mark.parametrize(
    "text",
    [
        "f()",
        "f() . 'x'",
        "'x' . f()",
        "!f()",
        "-f()",
        "(int) f()",
        "f() + 1",
        "f() ?? 'x'",
        "f() ? 1 : 2",
        "f() && true",
        "true && f()",
        "trim(f())",
        "[f()][0]",
        "f()['x']",
        "f()->x()",
        "A::b()",
        "new A(1)",
        "isset($x[f()])",
        "$_GET['x']",
        "$_SERVER['HTTP_HOST']",
        "UNSET",
        "rtrim('x', 'a..z')",
        "dirname()",
        "'text'[0]",
        '"$x[0][1]"',
        '"{$x->y}"',
        "PHP_SAPI",
    ],
)
def test_what_is_not_known_stays_unknown_through_every_operator(text: str) -> None:
    value = evaluate(text, _with_x())
    assert isinstance(value, Unknown)
    assert value.line == 1


def _with_x() -> Scope:
    scope = Scope({}, {})
    scope.assign("x", [0], "first")
    return scope


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("false && f()", False),
        ("true || f()", True),
        ("true ? 1 : f()", 1),
        ("'' ?: 'x'", "x"),
        ("f() ? 1 : 1", 1),
        ("f() || true", True),
        ("f() && false", False),
        ("'x' ?? f()", "x"),
    ],
)
def test_what_is_unknown_does_not_matter_when_it_decides_nothing(text: str, value: Value) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "function() {}",
        "fn() => 1",
        "$a++",
        "1 +",
        "(1",
        "[1",
        "&$x",
        "print 1",
        "match(1) {}",
        "$a->{'x'}",
    ],
)
def test_what_the_parser_does_not_know_it_says(text: str) -> None:
    with pytest.raises(NotUnderstood):
        evaluate(text)


def test_environment_loaded_by_php_leaves_only_what_is_here() -> None:
    scope = Scope({"HERE": "x"}, {})
    evaluate("Dotenv\\Dotenv::createImmutable('.')->load()", scope)
    assert evaluate("getenv('HERE')", scope) == "x"
    assert isinstance(evaluate("getenv('MISSING') ?: 'y'", scope), Unknown)
    assert isinstance(evaluate("$_ENV['MISSING'] ?? 'y'", scope), Unknown)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1", "01", True),
        ("abc", 0, False),
        ("1abc", 1, False),
        (None, False, True),
        (None, "", True),
        (None, "0", False),
        ("a", True, True),
        ("0", False, True),
        ({}, False, True),
        ("10", "1e1", True),
        (0, "", False),
        (1.0, 1, True),
        (None, 0, True),
    ],
)
def test_loose_comparison_is_that_of_php_8(left: Value, right: Value, same: bool) -> None:
    assert equal(left, right) is same
    assert equal(right, left) is same


def test_conversions() -> None:
    values: tuple[Value, ...] = ("", "0", "0.0", 0, 0.0, None, {}, " ")
    assert [truthy(value) for value in values] == [
        *(False, False, True, False, False, False, False, True)
    ]
    assert [to_text(value) for value in (None, False, True, 1.0, 1e15, 0.1, -3)] == [
        *("", "", "1", "1", "1.0E+15", "0.1", "-3")
    ]
