import pytest

from wpbridge.site.wpconfig import PhpSyntaxError, Unknown, Value, tokenize
from wpbridge.site.wpconfig.expressions import Expressions, NotUnderstood
from wpbridge.site.wpconfig.scope import NotKnown, Scope
from wpbridge.site.wpconfig.tokens import Source, unescape
from wpbridge.site.wpconfig.values import Unusual, equal, to_text, truthy


def evaluate(text: str, scope: Scope | None = None) -> Value:
    return Expressions(Source.of(f"<?php {text};"), scope or Scope({}, {}, {})).expression()


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


UNKNOWN = "$_GET['x']"


@pytest.mark.parametrize(
    "text",
    [
        UNKNOWN,
        f"{UNKNOWN} . 'x'",
        f"'x' . {UNKNOWN}",
        f"!{UNKNOWN}",
        f"-{UNKNOWN}",
        f"(int) {UNKNOWN}",
        f"{UNKNOWN} * 1",
        f"{UNKNOWN} ?? 'x'",
        f"{UNKNOWN} ?: 'x'",
        f"{UNKNOWN} ? 1 : 2",
        f"{UNKNOWN} && true",
        f"true && {UNKNOWN}",
        f"trim({UNKNOWN})",
        f"strlen({UNKNOWN})",
        f"[{UNKNOWN}][0]",
        f"{UNKNOWN}['x']",
        f"isset({UNKNOWN})",
        "$_SERVER['HTTP_HOST']",
        "$_SERVER['argv']",
        "getenv('REMOTE_ADDR')",
        "$_SERVER",
        "NEVER_SET",
        "rtrim('x', 'a..z')",
        "dirname()",
        "dirname('')",
        "'text'[0]",
        "PHP_SAPI",
        "php_sapi_name()",
        "gethostname()",
        "defined('WP_CLI')",
        "defined('SOMEBODYS_OWN')",
        "define('GD_VERSION', 'x') ? GD_VERSION : 0",
        "function_exists('somebodys_own')",
        "file_exists('relative.php')",
        "'abc' == 0",
        "1.5 . ''",
        "922337203685477580 * 200",
        "['x' => 1, 'y'][0]",
        "[1] . ''",
        "1 + 2",
        "'a' . 1 - 2",
        "1 < 2",
        "08 . ''",
        "1e3 . ''",
        "99999999999999999999",
    ],
)
def test_what_is_not_known_stays_unknown_through_every_operator(text: str) -> None:
    value = evaluate(text)
    assert isinstance(value, Unknown)
    assert value.line == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"false && {UNKNOWN}", False),
        (f"true || {UNKNOWN}", True),
        (f"true ? 1 : {UNKNOWN}", 1),
        ("'' ?: 'x'", "x"),
        (f"{UNKNOWN} ? 1 : 1", 1),
        (f"{UNKNOWN} || true", True),
        (f"{UNKNOWN} && false", False),
        (f"'x' ?? {UNKNOWN}", "x"),
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
        "$f()",
        "$$x",
        "A\\f()",
        "A::$b",
        "new A",
        "f(x: 1)",
        "f(...$x)",
        "f(...)",
        "[$a, $b] = $c",
        "$a = &$b",
        "$a['b']['c'] = 1",
        "$a[$i] = $i = 1",
        "$a . ($a = 1)",
        "$a . include 'x'",
        "a ? b : c ? d : e",
        "`ls`",
        '"{$a->b}"',
        '"$a[0][1]"',
        "unset($x)",
    ],
)
def test_what_the_parser_does_not_know_it_says(text: str) -> None:
    try:
        reader = Expressions(Source.of(f"<?php {text};"), Scope({}, {}, {}))
        reader.dead = True
        reader.expression()
    except (NotUnderstood, PhpSyntaxError):
        return
    assert not reader.accept(";"), "a part was left, so the statement is not understood"


@pytest.mark.parametrize(
    "text",
    [
        "f()",
        "false || f()",
        f"{UNKNOWN} && f()",
        "trim(f())",
        "['x' => f()]",
        "call_user_func('define', 'A', 1)",
        "array_map('putenv', [])",
        "preg_match('/a/', 'a', $m)",
        "str_replace('a', 'b', 'c', $n)",
        "filter_var('x', 1024, [])",
        "putenv('A=1')",
        "extract([])",
        "chdir('/')",
        "ini_set('include_path', '/')",
        "ini_set($x, '/')",
        "set_include_path('/')",
        f"define({UNKNOWN}, 1)",
        "define('A B', 1)",
        "define('WP_CLI', 1)",
        "define('A', 1, true)",
        f"include {UNKNOWN}",
        "$_GET['x'] = 1",
        "$GLOBALS['x'] = 1",
        "$this = 1",
    ],
)
def test_what_may_have_any_effect_ends_the_reading(text: str) -> None:
    with pytest.raises(NotKnown):
        evaluate(text)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1", "01", True),
        ("1", 1, True),
        ("a", "b", False),
        (None, False, True),
        (None, "", True),
        (None, "0", False),
        ("a", True, True),
        ("0", False, True),
        (None, 0, True),
    ],
)
def test_loose_comparison_is_that_of_every_php(left: Value, right: Value, same: bool) -> None:
    assert equal(left, right) is same
    assert equal(right, left) is same


@pytest.mark.parametrize(
    ("left", "right"),
    [("abc", 0), ("1abc", 1), (0, ""), ("10", "1e1"), ("1", "1 "), (1.0, 1)],
)
def test_comparisons_that_differ_between_versions_are_left_to_php(
    left: Value, right: Value
) -> None:
    for one, other in ((left, right), (right, left)):
        with pytest.raises(Unusual):
            equal(one, other)


def test_conversions() -> None:
    values: tuple[Value, ...] = ("", "0", "0.0", 0, 0.0, None, " ")
    assert [truthy(value) for value in values] == [*(False, False, True, False, False, False, True)]
    assert [to_text(value) for value in (None, False, True, -3)] == ["", "", "1", "-3"]
    odds: tuple[Value, ...] = (1.0, 0.1)
    for odd in odds:
        with pytest.raises(Unusual):
            to_text(odd)
