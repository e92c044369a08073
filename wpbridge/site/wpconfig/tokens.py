"""Cuts PHP source into tokens. Nothing is run, and names have no meaning here.

Text is ``str``. Bytes that are not UTF-8 are kept as surrogates (``surrogateescape``). Comments and
text outside of ``<?php`` are left out.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple


class PhpSyntaxError(Exception):
    """The source cannot be cut into tokens or blocks. The error has the line, never the text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class Token(NamedTuple):
    """One token. Its kind is string, template, number, variable, name, op or opaque."""

    kind: str
    text: str
    line: int
    parts: tuple["str | tuple[str, str | None]", ...] = ()
    """The pieces of a template: its texts, and its variables as (name, key or None)."""

    @property
    def word(self) -> str:
        """Return a keyword or operator in the form that is compared. Empty for literals."""
        if self.kind not in {"name", "op"}:
            return ""
        # PHP ignores letter case in ASCII only.
        return self.text.lower() if self.text.isascii() else self.text


class Source(NamedTuple):
    """The tokens of a source, and for each opening bracket the place of its closing one."""

    tokens: Sequence[Token]
    closing: Mapping[int, int]

    @classmethod
    def of(cls, text: str) -> "Source":
        """Cut the text of a file into tokens. Raises PhpSyntaxError if brackets do not match."""
        tokens = tokenize(text)
        closing, opened = dict[int, int](), list[int]()
        for place, token in enumerate(tokens):
            if token.word in _CLOSING:
                opened.append(place)
            elif token.word in {")", "]", "}"}:
                if not opened or _CLOSING[tokens[opened[-1]].word] != token.word:
                    raise PhpSyntaxError(f"there is a {token.word} too many", token.line)
                closing[opened.pop()] = place
        if opened:
            first = tokens[opened[-1]]
            raise PhpSyntaxError(f"the text ends inside the {first.text} of this line", first.line)
        return cls(tokens, closing)

    def token(self, place: int) -> Token:
        """Return the token at a place, or an empty one after the end."""
        if place < len(self.tokens):
            return self.tokens[place]
        return Token("op", "", self.tokens[-1].line if self.tokens else 1)


_CLOSING: Final = {"(": ")", "[": "]", "{": "}", "#[": "]"}
_OPEN = re.compile(r"<\?(?:php(?=\s|\Z)|=|(?!php|xml))", re.IGNORECASE)
# PHP's names consist of ASCII letters, digits, underscores and any byte above 127. They are
# written as what they do not have: a class with a million characters takes long to compile.
_MORE = r"[^\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"
_NAME = rf"[^\x00-\x40\x5b-\x5e\x60\x7b-\x7f]{_MORE}*+"
_TOKEN = re.compile(
    rf"""
      (?P<space>[ \t\r\n\v\f]+|(?://|\#(?!\[))(?:(?!\?>)[^\r\n])*|/\*.*?\*/)
    | (?P<close>\?>(?:\r\n|\n|\r)?)
    | <<<[ \t]*(?P<quote>["']?)(?P<label>{_NAME})(?P=quote)[ \t]*(?:\r\n|\n|\r)
      (?P<heredoc>|.*?(?:\r\n|\n|\r))(?P<indent>[ \t]*)(?P=label)(?!{_MORE})
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
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)
_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|x([\da-fA-F]{1,2})|u\{0*([\da-fA-F]{1,5}|10[\da-fA-F]{4})\}|(.))",
    re.DOTALL,
)
_ESCAPED: Final = dict(zip(b"ntrvef\\$", b"\n\t\r\v\x1b\f\\$", strict=True))
_INSERT = re.compile(
    rf"""\\.|\{{\$(?P<a>{_NAME})(?:\[(?:'(?P<key>[^'\\]*)'|"(?P<key2>[^"\\]*)"|(?P<key3>\d+))\])?\}}
    |\$\{{(?P<b>{_NAME})\}}|\$(?P<c>{_NAME})(?:\[(?P<key4>{_NAME}|\d+)\])?(?!\??->{_NAME})(?!\[)
    |(?P<deep>\{{\$|\$\{{|\${_NAME})""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_LINE_END = re.compile(r"\r\n|\n|\r")
_SHORT_TAG: Final = Token("opaque", "a short open tag", 0)


def tokenize(source: str) -> list[Token]:
    """Return the tokens of a file. ``?>`` becomes a ``;``, which it means in PHP.

    Raises:
        PhpSyntaxError: a string, comment or heredoc never ends.
    """
    starts = [match.end() for match in _LINE_END.finditer(source)]
    tokens: list[Token] = []
    opened = _OPEN.search(source)
    while opened:
        if opened[0] == "<?":
            # A setting of PHP decides whether this is a tag.
            line = bisect_right(starts, opened.start()) + 1
            tokens.append(_SHORT_TAG._replace(line=line))
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
        text = re.sub(r"(?:\r\n|\n|\r)\Z", "", found["heredoc"])
        text = re.sub(rf"(\A|\r\n?|\n){found['indent']}", r"\1", text)
        nowdoc = found["quote"] == "'"
        return Token("string", text, line) if nowdoc else _template(text, line, quote="")
    if found["cast"] is not None:
        return Token("op", "(" + text.strip("() \t").lower() + ")", line)
    if found["shell"] is not None:
        return Token("opaque", "the output of a shell", line)
    kind = next((kind for kind in ("variable", "name", "number") if found[kind] is not None), "op")
    return Token(kind, text.lstrip("$\\") if kind != "op" else text, line)


def _template(text: str, line: int, *, quote: str) -> Token:
    parts: list[str | tuple[str, str | None]] = []
    start = 0
    for match in _INSERT.finditer(text):
        if match["deep"]:
            return Token("opaque", "an expression inside a string", line)
        if name := match["a"] or match["b"] or match["c"]:
            keys = (match["key"], match["key2"], match["key3"], match["key4"])
            key = next((key for key in keys if key is not None), None)
            parts += [unescape(text[start : match.start()], quote), (name, key)]
            start = match.end()
    last = unescape(text[start:], quote)
    return Token("template", "", line, (*parts, last)) if parts else Token("string", last, line)


def unescape(text: str, quote: str = '"') -> str:
    """Resolve backslashes as PHP does in double quotes, or without a quote in a heredoc."""

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
    """Return a text as the bytes that it has in PHP."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """Return bytes as text. What is not UTF-8 is kept as surrogates."""
    return data.decode("utf-8", "surrogateescape")
