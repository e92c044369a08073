"""The little PHP that settings are written in: tokens, literals and expressions, never run.

:func:`tokenize` cuts a source into tokens, :class:`Parser` turns an expression into a function
of a :class:`Scope`. What only PHP could know becomes an :class:`Unknown` value that says where
and why; it travels through every operator and harms nobody until somebody needs it.
Text is ``str`` with bytes that are not UTF-8 kept as surrogates (``surrogateescape``).
Statements, functions' bodies and classes are not read here.
"""

import operator
import os
import posixpath
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias


class PhpSyntaxError(Exception):
    """The source cannot be cut into tokens or blocks; carries the line, never the text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class NotUnderstood(Exception):  # caught by the reader of statements, never shown
    """The expression uses something this reader does not know."""


class Leave(Exception):  # a jump, not an error
    """Reading leaves the file: ``return``."""

    def __init__(self, value: "Value" = None) -> None:
        super().__init__()
        self.value = value


class Stop(Exception):  # a jump, not an error
    """Reading is over: ``wp-settings.php`` would be loaded now."""


class Exit(Exception):  # a jump, not an error
    """``exit`` or ``die``: a WordPress that gets here never starts."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only PHP could tell, and the place that made it so."""

    file: str
    line: int
    why: str
    maybe: bool = False
    """It may not even be set."""


_TWO_63: Final = 1 << 63

Value: TypeAlias = "bool | int | float | str | dict[int | str, Value] | Unknown | None"
Expression: TypeAlias = "Callable[[Scope], Value]"


class Token(NamedTuple):
    """``kind`` is string, template, number, variable, name, op or opaque; text as PHP means it."""

    kind: str
    text: str
    line: int
    parts: tuple["str | tuple[str, int | str | None]", ...] = ()
    """A template's literal pieces, and its variables as (name, key or None)."""

    @property
    def word(self) -> str:
        """The text as keywords and operators are compared; empty for literals."""
        return self.text.lower() if self.kind in {"name", "op"} else ""


_OPEN = re.compile(r"<\?(?:php(?=\s|\Z)|=|(?!php|xml))", re.IGNORECASE)
_NAME = r"[^\W\d]\w*+"
_TOKEN = re.compile(
    rf"""
      (?P<space>\s+|(?://|\#(?!\[))(?:(?!\?>)[^\r\n])*|/\*.*?\*/)
    | (?P<close>\?>)
    | <<<[ \t]*(?P<quote>["']?)(?P<label>{_NAME})(?P=quote)[ \t]*(?:\r\n|\n|\r)
      (?P<heredoc>|.*?(?:\r\n|\n|\r))(?P<indent>[ \t]*)(?P=label)(?!\w)
    | [bB]?'(?P<single>(?:[^'\\]|\\.)*+)'
    | [bB]?"(?P<double>(?:[^"\\{{]|\\.|\{{\$[^{{}}]*\}}|\{{)*+)"
    | (?P<shell>`(?:[^`\\]|\\.)*+`)
    | (?P<number>0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
        |(?:\d[\d_]*)?\.\d[\d_]*(?:[eE][+-]?\d+)?|\d[\d_]*\.?(?:[eE][+-]?\d+)?)
    | (?P<cast>\([ \t]*(?:int|integer|bool|boolean|float|double|string|array|object)[ \t]*\))
    | (?P<variable>\${_NAME})
    | (?P<name>\\?{_NAME}(?:\\{_NAME})*)
    | (?P<unfinished>/\*|['"`]|<<<)
    | (?P<op><=>|\*\*=|\.\.\.|<<=|>>=|===|!==|\?\?=|\?->|<>|[=!<>]=|&&|\|\||\?\?|->|::|=>|<<|>>
        |\+\+|--|\*\*|[-+*/.%&|^]=|\#\[|.)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|x([\da-fA-F]{1,2})|u\{0*([\da-fA-F]{1,5}|10[\da-fA-F]{4})\}|(.))",
    re.DOTALL,
)
_ESCAPED: Final = dict(zip(b"ntrvef\\$", b"\n\t\r\v\x1b\f\\$", strict=True))
_INSERT = re.compile(
    rf"""\\.|\{{\$(?P<a>{_NAME})(?:\[(?:'(?P<key>[^'\\]*)'|"(?P<key2>[^"\\]*)"|(?P<key3>\d+))\])?\}}
    |\$\{{(?P<b>{_NAME})\}}|\$(?P<c>{_NAME})(?:\[(?P<key4>\w+)\])?(?!\??->{_NAME})(?!\[)
    |(?P<deep>\{{\$|\$\{{|\${_NAME})""",
    re.VERBOSE | re.DOTALL,
)
_LINE_END = re.compile(r"\r\n|\n|\r")


_PLAIN: Final[Mapping[str, Callable[[str], str]]] = {
    "variable": lambda text: text[1:],
    "name": lambda text: text.removeprefix("\\"),
    "cast": lambda text: "(" + text.strip("() \t").lower() + ")",
    "number": str,
    "op": str,
}


def tokenize(source: str) -> list[Token]:
    """The tokens of a whole file, comments and text outside ``<?php`` left out.

    ``?>`` becomes the ``;`` it stands for. PhpSyntaxError where a string, comment or heredoc
    never ends.
    """
    starts = [match.end() for match in _LINE_END.finditer(source)]
    tokens: list[Token] = []
    opened = _OPEN.search(source)
    while opened:
        end = _tokenize_block(source, opened.end(), starts, tokens)
        opened = _OPEN.search(source, end)
    return tokens


def _tokenize_block(source: str, start: int, starts: list[int], tokens: list[Token]) -> int:
    while start < len(source):
        match = _TOKEN.match(source, start)
        assert match is not None, "the last alternative takes any character"  # noqa: S101
        line = bisect_right(starts, start) + 1
        kind = match.lastgroup
        start = match.end()
        if kind == "close":
            tokens.append(Token("op", ";", line))
            return start
        if kind == "unfinished":
            raise PhpSyntaxError("the text ends inside what begins here", line)
        if kind != "space":
            tokens.append(_token(match, line))
    return start


def _token(match: re.Match[str], line: int) -> Token:
    found, text = match.groupdict(), match.group()
    if found["single"] is not None:
        return Token("string", re.sub(r"\\([\\'])", r"\1", found["single"]), line)
    if found["double"] is not None:
        return _template(found["double"], line, quote='"')
    if found["heredoc"] is not None:
        text = _outdent(re.sub(r"(?:\r\n|\n|\r)\Z", "", found["heredoc"]), found["indent"], line)
        nowdoc = found["quote"] == "'"
        return Token("string", text, line) if nowdoc else _template(text, line, quote="")
    if found["shell"] is not None:
        return Token("opaque", "the output of a shell", line)
    kind = next(name for name in _PLAIN if found[name] is not None)
    return Token(kind if kind != "cast" else "op", _PLAIN[kind](text), line)


def _outdent(text: str, indent: str, line: int) -> str:
    if not indent or not text:
        return text
    lines = re.split(r"((?:\r\n|\n|\r))", text)
    for index in range(0, len(lines), 2):
        if lines[index] and not lines[index].startswith(indent):
            raise PhpSyntaxError("a heredoc line is indented less than its end", line)
        lines[index] = lines[index][len(indent) :]
    return "".join(lines)


def _template(text: str, line: int, *, quote: str) -> Token:
    parts: list[str | tuple[str, int | str | None]] = []
    start = 0
    for match in _INSERT.finditer(text):
        if match["deep"]:
            return Token("opaque", "an expression inside a string", line)
        if name := match["a"] or match["b"] or match["c"]:
            keys = (match["key"], match["key2"], match["key3"], match["key4"])
            key = next((key for key in keys if key is not None), None)
            parts += [unescape(text[start : match.start()], quote), (name, array_key(key))]
            start = match.end()
    last = unescape(text[start:], quote)
    return Token("template", "", line, (*parts, last)) if parts else Token("string", last, line)


def unescape(text: str, quote: str = '"') -> str:
    """What PHP makes of backslashes in double quotes (or, with no quote, in a heredoc)."""

    def plain(match: re.Match[bytes]) -> bytes:
        octal, hexa, point, other = match.groups()
        if octal or hexa:
            return bytes([(int(octal, 8) if octal else int(hexa, 16)) & 0xFF])
        if point:
            return chr(int(point, 16)).encode("utf-8", "surrogatepass")
        if other == quote.encode():
            return quote.encode()
        known = _ESCAPED.get(other[0])
        return match.group() if known is None else bytes([known])

    return from_bytes(_ESCAPE.sub(plain, to_bytes(text)))


def to_bytes(text: str) -> bytes:
    """The bytes PHP would hold."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """Bytes as text, what is not UTF-8 kept as surrogates."""
    return data.decode("utf-8", "surrogateescape")


# Values: PHP 8's conversions.


def array_key(key: Value) -> int | str | None:
    """An array key as PHP files it: decimal text becomes a number."""
    if isinstance(key, str):
        return int(key) if re.fullmatch(r"0|-?[1-9]\d{0,17}", key) else key
    return int(key) if isinstance(key, bool | int | float) else None


def truthy(value: Value) -> "bool | Unknown":
    """As ``if`` sees it."""
    if isinstance(value, Unknown):
        return value
    return value not in ("", "0") if isinstance(value, str) else bool(value)


def to_text(value: Value) -> "str | Unknown":
    """As ``.`` and ``(string)`` see it."""
    if isinstance(value, Unknown | str):
        return value
    if isinstance(value, dict):
        return "Array"
    if isinstance(value, float):
        return re.sub(r"^(-?\d)E", r"\1.0E", f"{value:.14G}")
    return "" if value is None or value is False else str(int(value))


def to_number(value: Value) -> "int | float | Unknown":
    """As arithmetic sees it: the number text begins with, else 0."""
    if isinstance(value, Unknown | float):
        return value
    if isinstance(value, str):
        match = re.match(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)", value)
        text = match[1] if match else "0"
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    return len(value) and 1 if isinstance(value, dict) else int(value or 0)


def _integer(value: Value) -> Value:
    number = to_number(value)
    return number if isinstance(number, Unknown) else int(number)


def identical(left: Value, right: Value) -> bool:
    """As ``===`` sees two known values."""
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(identical(left[k], right[k]) for k in left)
    return type(left) is type(right) and left == right


def equal(left: Value, right: Value) -> bool:
    """As ``==`` sees two known values."""
    for this, other in _both(left, right):
        if isinstance(this, bool) or (this is None and not isinstance(other, str)):
            return truthy(this) is truthy(other)
        if this is None:
            return other == ""
    if isinstance(left, str) and isinstance(right, str):
        both = _is_numeric(left) and _is_numeric(right)
        return to_number(left) == to_number(right) if both else left == right
    for this, other in _both(left, right):
        if isinstance(this, str) and isinstance(other, int | float):
            same_text = this == to_text(other)
            return to_number(this) == other if _is_numeric(this) else same_text
    return left == right


def _is_numeric(text: str) -> bool:
    return bool(re.fullmatch(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", text))


# What a file has set so far.


class Scope:
    """Constants, variables and the environment while a file is read, with the doubts about them.

    ``include`` reads another file, ``evaluate`` a text of PHP; the reader of statements sets both.
    """

    def __init__(self, env: Mapping[str, str], constants: Mapping[str, Value]) -> None:
        self.constants: dict[str, Value] = dict(constants)
        self.env: dict[str, Value] = dict(env)
        self.variables: dict[str, Value] = {"_ENV": _array(env), "_SERVER": _array(env)}
        self.file = ""
        self.line = 0
        """Of the statement being read."""
        self.hints: dict[str, Unknown] = {}
        """Constants that functions would set if they were called."""
        self.doubt: Unknown | None = None
        """Something here may set anything: whatever is missing is unknown, not absent."""
        self.env_doubt: Unknown | None = None
        """Something here loads variables into the environment."""
        self.tentative: Unknown | None = None
        """Whatever is set now may not be set in truth."""
        self.include: Callable[[str, str], Value] = lambda _how, _path: False
        self.evaluate: Callable[[str], Value] = lambda _source: None

    def unknown(self, line: int, why: str, *, maybe: bool = False) -> Unknown:
        """An unknown value of this file."""
        return Unknown(self.file, line, why, maybe)

    def define(self, name: str, value: Value) -> bool:
        """Set a constant unless it is set: the first one wins."""
        if name in self.constants:
            return False
        self.constants[name] = self.tentative or value
        return True

    def constant(self, name: str) -> Value:
        """A constant's value; Unknown when it is not set."""
        if name in self.constants:
            return self.constants[name]
        return self.doubt or self.unknown(0, f"the constant {name} is not set before it is used")

    def is_defined(self, name: str) -> "bool | Unknown":
        """As ``defined()``."""
        value = self.constants.get(name, self.doubt)
        if isinstance(value, Unknown) and value.maybe:
            return value
        return name in self.constants

    def variable(self, name: str) -> Value:
        """A variable's value; null when it is not set."""
        if name == "GLOBALS":
            return _array(self.variables)
        if name in {"_GET", "_POST", "_REQUEST", "_COOKIE", "_SESSION"}:
            return self.unknown(0, f"${name} differs from request to request")
        return self.variables.get(name, self.doubt)

    def assign(self, name: str, keys: Sequence[Value], value: Value) -> None:
        """``$name[key]... = value``; a null key appends."""
        if name == "GLOBALS" and keys and isinstance(keys[0], str):
            name, keys = keys[0], keys[1:]
        self.variables[name] = self.tentative or _with(self.variables.get(name), keys, value)

    def either(self, doubt: Unknown, ways: Sequence[Callable[[], Value]]) -> Value:
        """Go each way from here; what they agree on holds, all else is unknown for ``doubt``."""
        doubt = replace(doubt, maybe=True)
        start, ends, values, left = self._state(), [], [], False
        for way in ways:
            self._set_state(start)
            try:
                values.append(way())
            except Exit:
                continue
            except (Leave, Stop):
                left = True
            ends.append(self._state())
        if not ends:
            raise Exit
        self._set_state([_merge(doubt, same_kind) for same_kind in zip(*ends, strict=True)])
        if left:
            self.tentative = self.tentative or doubt
        same = values and all(identical(values[0], value) for value in values)
        return values[0] if same else doubt

    def _state(self) -> list[dict[str, Value]]:
        return [dict(self.constants), dict(self.variables), dict(self.env)]

    def _set_state(self, state: list[dict[str, Value]]) -> None:
        self.constants, self.variables, self.env = (dict(part) for part in state)


def _array(items: "Mapping[str, str] | Mapping[str, Value]") -> "dict[int | str, Value]":
    return {name: value for name, value in items.items()}  # noqa: C416 - dict() keeps the key's type


def _merge(doubt: Unknown, ends: Sequence[dict[str, Value]]) -> dict[str, Value]:
    merged: dict[str, Value] = {}
    for name in dict.fromkeys(name for end in ends for name in end):
        same = all(name in end and identical(ends[0].get(name), end[name]) for end in ends)
        merged[name] = ends[0][name] if same else doubt
    return merged


def _with(old: Value, keys: Sequence[Value], value: Value) -> Value:
    if not keys:
        return value
    if isinstance(old, Unknown):
        return old
    array: dict[int | str, Value] = dict(old) if isinstance(old, dict) else {}
    if isinstance(keys[0], Unknown):
        return keys[0]
    key = array_key(keys[0])
    if key is None:
        key = max((number for number in array if isinstance(number, int)), default=-1) + 1
    array[key] = _with(array.get(key), keys[1:], value)
    return array


_FROM_WEB = re.compile(
    r"HTTPS?(_.*)?|(SERVER|REMOTE|REQUEST|SCRIPT|PATH)_.*|DOCUMENT_ROOT|QUERY_STRING|PHP_SELF"
)
"""Keys of ``$_SERVER`` that a web server sets and a command line does not."""


def _element(scope: Scope, name: str, array: Value, key: Value, line: int) -> Value:
    for operand in (array, key):
        if isinstance(operand, Unknown):
            return operand
    if isinstance(array, str):
        return scope.unknown(line, "a character is taken out of a text")
    filed = array_key(key) if key is not None else ""
    if not isinstance(array, dict) or filed is None or filed in array:
        return array.get(filed) if isinstance(array, dict) and filed is not None else None
    if name == "_SERVER" and isinstance(filed, str) and _FROM_WEB.fullmatch(filed):
        return scope.unknown(line, f"$_SERVER['{filed}'] is set by the web server")
    return scope.env_doubt if name in {"_ENV", "_SERVER"} else None


# Functions.


def _getenv(scope: Scope, *names: Value) -> Value:
    if not names:
        return _array(scope.env)
    name = to_text(names[0])
    missing = scope.env_doubt or False
    return name if isinstance(name, Unknown) else scope.env.get(name, missing)


def _getenv_docker(scope: Scope, name: Value, default: Value) -> Value:
    """As in the wp-config.php of the official Docker image."""
    file = _getenv(scope, f"{to_text(name)}_FILE")
    if isinstance(file, Unknown):
        return file
    if truthy(file):
        text = _file_get_contents(scope, file)
        return text.rstrip("\r\n") if isinstance(text, str) else text
    value = _getenv(scope, name)
    return default if value is False else value


def _file_get_contents(scope: Scope, path: Value) -> Value:
    try:
        return from_bytes(_path(scope, path).read_bytes())
    except (OSError, ValueError):
        return scope.unknown(0, "a file it reads is not readable from here")


def _path(scope: Scope, value: Value) -> Path:
    return Path(scope.file).parent / str(to_text(value))


def _test(holds: Callable[[Path], bool]) -> Callable[[Scope, Value], Value]:
    def test(scope: Scope, path: Value) -> Value:
        try:
            return holds(_path(scope, path))
        except (OSError, ValueError):
            return False

    return test


def _dirname(_scope: Scope, path: Value, levels: Value = 1) -> Value:
    text = str(to_text(path))
    for _ in range(levels if isinstance(levels, int) else 1):
        head = text.rstrip("/") or "/"
        text = posixpath.dirname(head).rstrip("/") or ("/" if head.startswith("/") else ".")
    return text


def _realpath(scope: Scope, path: Value) -> Value:
    try:
        return str(_path(scope, path).resolve(strict=True))
    except (OSError, ValueError):
        return False


def _trim(strip: Callable[[str, str], str]) -> Callable[..., Value]:
    def trim(scope: Scope, text: Value, characters: Value = " \n\r\t\v\0") -> Value:
        cut = str(to_text(characters))
        if ".." in cut:
            return scope.unknown(0, "trim() is given a range of characters")
        return strip(str(to_text(text)), cut)

    return trim


def _str_replace(scope: Scope, old: Value, new: Value, text: Value) -> Value:
    if isinstance(old, dict) or isinstance(new, dict) or isinstance(text, dict):
        return scope.unknown(0, "str_replace() is given arrays")
    before = str(to_text(old))
    return str(to_text(text)).replace(before, str(to_text(new))) if before else to_text(text)


def _putenv(scope: Scope, setting: Value) -> Value:
    name, separator, value = str(to_text(setting)).partition("=")
    # Without = the variable is removed.
    scope.env = {**scope.env, name: scope.tentative or (value if separator else False)}
    return True


def _filter_var(scope: Scope, value: Value, how: Value = None, *_rest: Value) -> Value:
    if how != 258:  # noqa: PLR2004 - FILTER_VALIDATE_BOOLEAN
        return scope.unknown(0, "it calls filter_var()")
    return str(to_text(value)).strip().lower() in {"1", "true", "on", "yes"}


_FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "basename": lambda _scope, path: posixpath.basename(str(to_text(path)).rstrip("/")),
    "boolval": lambda _scope, value: truthy(value),
    "constant": lambda scope, name: scope.constant(str(to_text(name))),
    "define": lambda scope, name, value, *_: scope.define(str(to_text(name)), value),
    "defined": lambda scope, name: scope.is_defined(str(to_text(name))),
    "dirname": _dirname,
    "file_exists": _test(Path.exists),
    "file_get_contents": _file_get_contents,
    "filter_var": _filter_var,
    "getenv": _getenv,
    "getenv_docker": _getenv_docker,
    "intval": lambda _scope, value: _integer(value),
    "is_array": lambda _scope, value: isinstance(value, dict),
    "is_dir": _test(Path.is_dir),
    "is_file": _test(Path.is_file),
    "is_null": lambda _scope, value: value is None,
    "is_readable": _test(lambda path: os.access(path, os.R_OK)),
    "is_string": lambda _scope, value: isinstance(value, str),
    "ltrim": _trim(str.lstrip),
    "putenv": _putenv,
    "realpath": _realpath,
    "rtrim": _trim(str.rstrip),
    "str_replace": _str_replace,
    "strtolower": lambda _scope, text: re.sub("[A-Z]", lambda m: m[0].lower(), str(to_text(text))),
    "strtoupper": lambda _scope, text: re.sub("[a-z]", lambda m: m[0].upper(), str(to_text(text))),
    "strval": lambda _scope, value: to_text(value),
    "trim": _trim(str.strip),
}
_TAKES_UNKNOWN: Final = {"define"}
_SETS_ANYTHING: Final = {"extract", "parse_str", "eval", "define"}


def _call(scope: Scope, name: str, arguments: Sequence[Value], line: int) -> Value:
    unknown = next((value for value in arguments if isinstance(value, Unknown)), None)
    short, first = name.lower(), arguments[0] if arguments else None
    if short in _SETS_ANYTHING and isinstance(first, Unknown):
        scope.doubt = scope.doubt or replace(first, maybe=True)
        return first
    if short == "eval" and len(arguments) == 1:
        return scope.evaluate(str(to_text(arguments[0])))
    function = _FUNCTIONS.get(short)
    if function is None:
        if short in _SETS_ANYTHING:
            scope.doubt = scope.doubt or scope.unknown(line, f"it calls {name}()", maybe=True)
        return scope.unknown(line, f"it calls {name}(), which only PHP can")
    if unknown is not None and short not in _TAKES_UNKNOWN:
        return unknown
    try:
        value = function(scope, *arguments)
    except (TypeError, ValueError, ArithmeticError):
        return scope.unknown(line, f"{name}() is called in an unusual way")
    return _placed(value, line, scope)


# Expressions.


def _known(function: Callable[..., Value]) -> Callable[[Value, Value], Value]:
    def operate(left: Value, right: Value) -> Value:
        if isinstance(left, Unknown):
            return left
        return right if isinstance(right, Unknown) else function(left, right)

    return operate


def _numeric(function: Callable[..., "int | float"]) -> Callable[[Value, Value], Value]:
    def compute(left: Value, right: Value) -> Value:
        number = function(to_number(left), to_number(right))
        fits = isinstance(number, float) or -_TWO_63 <= number < _TWO_63
        return number if fits else float(number)

    return _known(compute)


def _bits(function: Callable[..., int]) -> Callable[[Value, Value], Value]:
    def compute(left: Value, right: Value) -> Value:
        if isinstance(left, str) and isinstance(right, str):
            raise ValueError("PHP would take them character by character")  # noqa: TRY004
        number = function(_integer(left), _integer(right))
        return (number + _TWO_63) % (2 * _TWO_63) - _TWO_63

    return _known(compute)


def _shift(left: int, right: int) -> int:
    if right < 0:
        raise ValueError("PHP refuses to shift so")
    return left << right if right < 64 else 0  # noqa: PLR2004 - the bits there are


def _compare(function: Callable[..., bool]) -> Callable[[Value, Value], Value]:
    def compare(left: Value, right: Value) -> Value:
        left, right = ("" if a is None and isinstance(b, str) else a for a, b in _both(left, right))
        if any(isinstance(value, dict) for value in (left, right)):
            raise ValueError("arrays are compared")
        if any(value is None or isinstance(value, bool) for value in (left, right)):
            return function(truthy(left), truthy(right))
        if all(not isinstance(value, str) or _is_numeric(value) for value in (left, right)):
            return function(to_number(left), to_number(right))
        return function(*(to_bytes(str(to_text(value))) for value in (left, right)))

    return _known(compare)


def _both(left: Value, right: Value) -> tuple[tuple[Value, Value], tuple[Value, Value]]:
    return (left, right), (right, left)


def _concatenate(left: Value, right: Value) -> Value:
    # A character's bytes may come from both sides.
    return from_bytes(to_bytes(str(to_text(left)) + str(to_text(right))))


def _null(_scope: Scope) -> Value:
    return None


_TERNARY, _COALESCE, _OR, _AND, _UNARY = 5, 6, 7, 8, 19
_SHORT: Final = {"||": _OR, "or": 1, "&&": _AND, "and": 3}
_BINARY: Final[Mapping[str, tuple[int, Callable[[Value, Value], Value]]]] = {
    "xor": (2, _known(lambda a, b: truthy(a) is not truthy(b))),
    "|": (9, _bits(operator.or_)),
    "^": (10, _bits(operator.xor)),
    "&": (11, _bits(operator.and_)),
    "===": (12, _known(identical)),
    "!==": (12, _known(lambda a, b: not identical(a, b))),
    "==": (12, _known(equal)),
    "!=": (12, _known(lambda a, b: not equal(a, b))),
    "<>": (12, _known(lambda a, b: not equal(a, b))),
    "<": (13, _compare(operator.lt)),
    "<=": (13, _compare(operator.le)),
    ">": (13, _compare(operator.gt)),
    ">=": (13, _compare(operator.ge)),
    ".": (14, _known(_concatenate)),
    "<<": (15, _bits(_shift)),
    ">>": (15, _bits(lambda a, b: a >> min(b, 63))),
    "+": (16, _numeric(operator.add)),
    "-": (16, _numeric(operator.sub)),
    "*": (17, _numeric(operator.mul)),
    "%": (17, _bits(lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1))),
}
_CASTS: Final[Mapping[str, Callable[..., Value]]] = {
    "(string)": to_text,
    "(bool)": truthy,
    "(boolean)": truthy,
    "(int)": _integer,
    "(integer)": _integer,
}
_INCLUDES: Final = {"include", "include_once", "require", "require_once"}
_BEYOND: Final = {"function", "fn", "match", "clone", "throw", "yield", "list", "static", "print"}


class Parser:
    """Tokens to expressions; NotUnderstood, with the position unspecified, for anything else."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.position = 0

    def peek(self, ahead: int = 0) -> Token:
        """The next token; an empty one at the end."""
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else Token("op", "", self._last_line)

    @property
    def _last_line(self) -> int:
        return self.tokens[-1].line if self.tokens else 1

    def take(self) -> Token:
        """The next token, stepped over."""
        token = self.peek()
        self.position += 1
        return token

    def accept(self, *words: str) -> bool:
        """Step over the next token if it is one of these."""
        found = self.peek().word in words
        self.position += found
        return found

    def expect(self, word: str) -> None:
        """Step over this token or give up."""
        if not self.accept(word):
            raise NotUnderstood

    def expression(self, level: int = 0) -> Expression:
        """An expression whose operators bind at least as tightly as ``level``."""
        left = self._unary()
        while True:
            word = self.peek().word
            if word == "?" and level <= _TERNARY:
                left = self._ternary(left)
            elif word == "??" and level <= _COALESCE:
                self.take()
                left = _coalesce(left, self.expression(_COALESCE))
            elif word in _SHORT and level <= _SHORT[word]:
                self.take()
                left = _short_circuit(left, self.expression(_SHORT[word] + 1), word)
            elif word in _BINARY and level <= _BINARY[word][0]:
                line = self.take().line
                level_right, operate = _BINARY[word]
                left = _binary(left, self.expression(level_right + 1), operate, line)
            else:
                return left

    def _ternary(self, condition: Expression) -> Expression:
        self.expect("?")
        if self.accept(":"):
            return _choose(condition, condition, self.expression(_TERNARY + 1))
        yes = self.expression()
        self.expect(":")
        return _choose(condition, yes, self.expression(_TERNARY + 1))

    def _unary(self) -> Expression:
        token = self.peek()
        word = token.word
        if word in {"!", "-", "+", "@", "~"} or word in _CASTS:
            line = self.take().line
            return _prefixed(word, self._unary(), line)
        if word in _INCLUDES:
            return self._include()
        if word in {"exit", "die"}:
            return self._exit()
        return self._postfixed(self._primary())

    def _include(self) -> Expression:
        how = self.take().word
        start = self.position
        path = self.expression(4)
        texts = [token.text for token in self.tokens[start : self.position]]
        line, settings = self.peek(-1).line, any(text.endswith("wp-settings.php") for text in texts)

        def include(scope: Scope) -> Value:
            if settings:
                raise Stop
            value = path(scope)
            if isinstance(value, Unknown):
                scope.doubt = scope.doubt or replace(value, line=line, maybe=True)
                return value
            return scope.include(how, str(to_text(value)))

        return include

    def _exit(self) -> Expression:
        self.take()
        if self.accept("("):
            self._arguments()

        def leave(_scope: Scope) -> Value:
            raise Exit

        return leave

    def _primary(self) -> Expression:
        token = self.take()
        if token.kind in _LITERALS:
            return _LITERALS[token.kind](token)
        if token.kind == "variable":
            return self._variable(token)
        if token.kind == "name":
            return self._named(token)
        if token.word == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        if token.word == "[":
            return self._array("]")
        raise NotUnderstood

    def _variable(self, token: Token) -> Expression:
        keys: list[Expression] = []
        while self.accept("["):
            keys.append((lambda _scope: None) if self.peek().word == "]" else self.expression())
            self.expect("]")
        word = self.peek().word
        if word in {"++", "--"}:
            raise NotUnderstood
        if word in {"=", ".=", "??=", "+=", "|="}:
            self.take()
            return _assignment(token, keys, word, self.expression(4))

        def variable(scope: Scope) -> Value:
            value = scope.variable(token.text)
            for key in keys:
                value = _element(scope, token.text, value, key(scope), token.line)
            return _placed(value, token.line, scope)

        return variable

    def _named(self, token: Token) -> Expression:
        word, line = token.word, token.line
        if word in _BEYOND:
            raise NotUnderstood
        if self.peek().word == "(" and word != "new":
            return self._function(token)
        if word in {"true", "false", "null"}:
            value = {"true": True, "false": False}.get(word)
            return lambda _scope: value
        if word in {"__dir__", "__file__"}:
            folder = word == "__dir__"
            return lambda scope: posixpath.dirname(scope.file) if folder else scope.file
        if word == "new":
            name = self.take().text
            arguments = self._arguments() if self.accept("(") else []
            return lambda scope: _object(scope, name, arguments, line)
        if self.peek().word == "::":
            return lambda scope: scope.unknown(line, f"it uses the class {token.text}")
        return lambda scope: _placed(scope.constant(token.text), line, scope)

    def _function(self, token: Token) -> Expression:
        word, line = token.word, token.line
        self.take()
        if word == "array":
            return self._array(")")
        arguments = self._arguments()
        if word == "isset":
            return lambda scope: _isset([argument(scope) for argument in arguments])
        if word == "empty" and len(arguments) == 1:
            return lambda scope: _not(arguments[0](scope))
        return lambda scope: _call(scope, token.text, [each(scope) for each in arguments], line)

    def _arguments(self) -> list[Expression]:
        arguments: list[Expression] = []
        while not self.accept(")"):
            arguments.append(self.expression())
            if self.peek().word != ")":
                self.expect(",")
        return arguments

    def _array(self, end: str) -> Expression:
        pairs: list[tuple[Expression | None, Expression]] = []
        while not self.accept(end):
            first = self.expression()
            pairs.append((first, self.expression()) if self.accept("=>") else (None, first))
            if self.peek().word != end:
                self.expect(",")

        def array(scope: Scope) -> Value:
            value: Value = {}
            for key, item in pairs:
                value = _with(value, [key(scope) if key else None], item(scope))
            return value

        return array

    def _postfixed(self, left: Expression) -> Expression:
        while (word := self.peek().word) in {"->", "?->", "::", "[", "("}:
            line = self.take().line
            if word == "[":
                left = _indexed(left, self.expression(), line)
                self.expect("]")
                continue
            if word == "(":
                left = _member(left, "a computed function", self._arguments(), line)
                continue
            member = self.take()
            if member.kind not in {"name", "variable"}:
                raise NotUnderstood
            arguments = self._arguments() if self.accept("(") else []
            left = _member(left, member.text, arguments, line)
        return left


def _placed(value: Value, line: int, scope: Scope) -> Value:
    if isinstance(value, Unknown) and not value.line:
        return replace(value, line=line, file=scope.file)
    return value


def _number(text: str) -> int | float:
    digits = text.replace("_", "").lower()
    if re.fullmatch(r"0[0-7]+", digits):
        return int(digits, 8)
    if digits.startswith(("0x", "0b", "0o")):
        return int(digits, 0)
    whole = digits.isdecimal() and int(digits) < _TWO_63
    return int(digits) if whole else float(digits)


_LITERALS: Final[Mapping[str, Callable[[Token], Expression]]] = {
    "string": lambda token: lambda _scope: token.text,
    "number": lambda token: lambda _scope: _number(token.text),
    "template": lambda token: lambda scope: _filled(scope, token),
    "opaque": lambda token: lambda scope: scope.unknown(token.line, f"it uses {token.text}"),
}


def _filled(scope: Scope, token: Token) -> Value:
    text: Value = ""
    piece: Value
    for part in token.parts:
        piece = part if isinstance(part, str) else scope.variable(part[0])
        if isinstance(part, tuple) and part[1] is not None:
            piece = _element(scope, part[0], piece, part[1], token.line)
        text = _BINARY["."][1](text, piece)
    return text


def _object(scope: Scope, name: str, arguments: Sequence[Expression], line: int) -> Value:
    for argument in arguments:
        argument(scope)
    return scope.unknown(line, f"it uses the class {name}")


def _member(left: Expression, name: str, arguments: Sequence[Expression], line: int) -> Expression:
    def member(scope: Scope) -> Value:
        value = left(scope)
        given = [argument(scope) for argument in arguments]
        unknown = value if isinstance(value, Unknown) else scope.unknown(line, f"it calls {name}")
        if "dotenv" in f"{unknown.why}{name}".lower():
            why = "it is loaded into the environment by PHP (Dotenv)"
            scope.env_doubt = scope.env_doubt or scope.unknown(line, why)
        if name.lower() == "define" and len(given) > 1 and isinstance(given[0], str):
            # Bedrock's Config::define(), which becomes a define() later.
            scope.define(given[0], given[1] if isinstance(given[1], Unknown) else unknown)
        return unknown

    return member


def _indexed(left: Expression, key: Expression, line: int) -> Expression:
    return lambda scope: _element(scope, "", left(scope), key(scope), line)


def _assignment(token: Token, keys: list[Expression], how: str, right: Expression) -> Expression:
    def assign(scope: Scope) -> Value:
        filed = [key(scope) for key in keys]
        old = scope.variable(token.text)
        for key in filed if how != "=" else []:
            old = _element(scope, token.text, old, key, token.line)
        value: Value = old
        if how != "??=" or old is None:
            value = right(scope)
        if how not in {"=", "??="}:
            value = _BINARY[how[:-1]][1](old, value)
        scope.assign(token.text, filed, value)
        return value

    return assign


def _binary(
    left: Expression, right: Expression, operate: Callable[[Value, Value], Value], line: int
) -> Expression:
    def binary(scope: Scope) -> Value:
        try:
            return operate(left(scope), right(scope))
        except (ValueError, ArithmeticError):
            return scope.unknown(line, "it computes in an unusual way")

    return binary


def _prefixed(word: str, right: Expression, line: int) -> Expression:
    if word == "@":
        return right
    if word == "!":
        return lambda scope: _not(right(scope))
    if word in _CASTS:
        cast = _CASTS[word]
        return _binary(_null, right, _known(lambda _, value: cast(value)), line)
    sign: Callable[[Value, Value], Value] = {
        "-": _numeric(lambda _, value: -value),
        "+": _numeric(lambda _, value: value),
        "~": _bits(lambda _, value: ~value),
    }[word]
    return _binary(_null, right, sign, line)


def _not(value: Value) -> Value:
    known = truthy(value)
    return known if isinstance(known, Unknown) else not known


def _isset(values: Sequence[Value]) -> Value:
    if any(value is None for value in values):
        return False
    return next((value for value in values if isinstance(value, Unknown)), True)


def _short_circuit(left: Expression, right: Expression, word: str) -> Expression:
    settles = word in {"||", "or"}

    def logical(scope: Scope) -> Value:
        first = truthy(left(scope))
        if isinstance(first, Unknown):
            return scope.either(first, [lambda: settles, lambda: truthy(right(scope))])
        return settles if first is settles else truthy(right(scope))

    return logical


def _coalesce(left: Expression, right: Expression) -> Expression:
    def coalesce(scope: Scope) -> Value:
        value = left(scope)
        return right(scope) if value is None else value

    return coalesce


def _choose(condition: Expression, yes: Expression, no: Expression) -> Expression:
    def choose(scope: Scope) -> Value:
        decided = truthy(condition(scope))
        if isinstance(decided, Unknown):
            return scope.either(decided, [lambda: yes(scope), lambda: no(scope)])
        return yes(scope) if decided else no(scope)

    return choose
