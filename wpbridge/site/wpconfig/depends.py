"""Finds the first place where a configuration's values may depend on the request.

PHP was asked with two requests and gave the same values. That proves little, since a configuration
may name some third host. So the files that PHP has loaded are searched for statements that read
the request, or the way PHP runs. A statement is harmless if it only sets a constant, a variable or
a key of ``$_SERVER`` which decides nothing. What it sets is then followed as well. Libraries that
Composer has put below ``vendor`` are not searched.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wpbridge.site.wpconfig.found import NAMES
from wpbridge.site.wpconfig.functions import HARMLESS, is_known
from wpbridge.site.wpconfig.request import FROM_WEB, REQUEST_VARIABLES, THE_RUN
from wpbridge.site.wpconfig.tokens import PhpSyntaxError, Token, from_bytes, tokenize

_SCHEME: Final = {"HTTPS", "HTTP_X_FORWARDED_PROTO", "REQUEST_SCHEME", "SERVER_PORT"}
"""Keys with only a few possible values, all of which the two requests have tried."""
_WORDS: Final = {"USER", "HOME", "SHELL", "TERM", "PWD", "LOGNAME"}
_READS: Final = {
    *("php_sapi_name", "getallheaders", "apache_request_headers", "apache_getenv", "getcwd"),
    *("filter_input", "filter_input_array", "get_current_user", "posix_getuid", "getopt"),
}
_VARIABLES: Final = {*REQUEST_VARIABLES, "argv", "argc"}
_IN_A_TEXT: Final = re.compile(r"\$_(SERVER|GET|POST|REQUEST|COOKIE)\b|HTTP_HOST|SERVER_NAME")
"""What a text contains that reads the request, if ``eval()`` runs the text."""
_ASSIGNING: Final = {"=", ".=", "??=", "+=", "-=", "*=", "/=", "|=", "&=", "++", "--"}
_ANYTHING: Final = {
    *("->", "::", "new", "include", "require", "include_once", "require_once", "eval"),
    *("function", "fn", "return"),
}
"""Words that make a statement one which may do anything."""
_QUIET: Final = {*HARMLESS, "ini_set", "exit", "die", "echo"}
_LANGUAGE: Final = {"isset", "empty", "array", "defined", "define", "constant", "if", "elseif"}
_OPENING: Final = {"(": ")", "[": "]", "{": "}", "#[": "]"}


class _Found(Exception):  # ends the search
    """A statement reads the request and is not harmless."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def first_use(files: Sequence[str]) -> str | None:
    """Return the first place where values may depend on the request, as ``file:line``, or None.

    The first of the files is the configuration itself. A file that cannot be read counts as such a
    place.
    """
    sources: list[tuple[str, list[Token]]] = []
    for name in files:
        if _is_library(name, str(Path(files[0]).parent.parent)):
            continue
        try:
            sources.append((name, tokenize(from_bytes(Path(name).read_bytes()))))
        except (OSError, PhpSyntaxError):
            return f"{name}:1"
    search = _Search()
    seen = -1
    while seen != len(search.tainted):
        seen = len(search.tainted)
        for name, tokens in sources:
            try:
                search.statements(tokens, in_doubt=False)
            except _Found as found:
                return f"{name}:{found.line}"
    return None


def _is_library(name: str, site: str) -> bool:
    folder, found, _ = name.removeprefix(site).partition("/vendor/")
    root = site if name.startswith(site) else ""
    return bool(found) and Path(f"{root}{folder}/vendor/autoload.php").is_file()


class _Search:
    def __init__(self) -> None:
        self.tainted: set[str] = set()
        """Constants, ``$variables`` and keys of ``$_SERVER`` that depend on the request."""

    def statements(self, tokens: Sequence[Token], *, in_doubt: bool) -> None:
        """Search statements. With ``in_doubt`` the request decides whether they run at all."""
        position = 0
        decided = in_doubt
        while position < len(tokens):
            word = tokens[position].word
            if word not in {"else", "elseif"}:
                decided = in_doubt
            head, body, position = _next(tokens, position)
            if word in {"if", "else", "elseif"}:
                condition, rest = _condition(head)
                reads = self._reads(condition)
                if reads and _ASSIGNING & {token.word for token in condition}:
                    raise _Found(condition[0].line)
                if reads:
                    self._only_known_calls(condition, but="define")
                decided = decided or reads
                self.statements([*rest, *body], in_doubt=decided)
                continue
            if self._reads(head) or in_doubt:
                self._judge(head, has_body=bool(body))
            self.statements(body, in_doubt=in_doubt)

    def _judge(self, statement: Sequence[Token], *, has_body: bool) -> None:
        """Note what one statement sets. Raises _Found if it may do more than that."""
        line = statement[0].line if statement else 0
        words = [token.word for token in statement]
        if not words or words == [";"]:
            return
        defines = words.count("define")
        sets = sum(word in _ASSIGNING for word in words)
        if has_body or "&" in words or defines + sets > 1:
            raise _Found(line)
        self._only_known_calls(statement)
        if defines and self._guards(statement[: words.index("define")]):
            name, comma = statement[words.index("define") + 2 :][:2]
            if name.kind != "string" or comma.word != "," or name.text in NAMES:
                raise _Found(line)
            self.tainted.add(name.text)
        elif sets and statement[0].kind == "variable" and self._sets(statement):
            first = statement[0].text
            if first == "_SERVER" and statement[2].kind == "string":
                self.tainted.add(statement[2].text)
            elif first.startswith("_") or first in {"table_prefix", "GLOBALS"}:
                raise _Found(line)
            else:
                self.tainted.add(f"${first}")
        elif words[0] not in _QUIET or defines or sets:
            raise _Found(line)

    @staticmethod
    def _guards(tokens: Sequence[Token]) -> bool:
        """Tell whether nothing but ``defined('NAME') ||`` stands before a ``define``."""
        words = [token.word or token.kind for token in tokens if token.word != "!"]
        return not words or (
            words[:4] == ["defined", "(", "string", ")"]
            and words[4:] in (["||"], ["or"], ["&&"], ["and"])
        )

    @staticmethod
    def _sets(statement: Sequence[Token]) -> bool:
        """Tell whether the statement is one assignment to what it begins with."""
        depth, words = 0, [token.word for token in statement]
        for word in words[1:]:
            if word == "[":
                depth += 1
            elif word == "]":
                depth -= 1
            elif not depth:
                return word in {"=", ".=", "??="}
        return False

    @staticmethod
    def _only_known_calls(tokens: Sequence[Token], but: str = "") -> None:
        for token, after in zip(tokens, [*tokens[1:], Token("op", "", 0)], strict=True):
            known = token.word in _LANGUAGE or token.word in _QUIET or is_known(token.word)
            called = after.word == "(" and token.kind in {"name", "variable"}
            if (called and (not known or token.word == but)) or token.word in _ANYTHING:
                raise _Found(token.line)

    def _reads(self, tokens: Sequence[Token]) -> bool:
        """Tell whether one of the tokens reads the request, or something that depends on it."""
        return any(
            self._is_of_request(token, tokens[max(0, place - 2) : place], tokens[place + 1 :][:3])
            for place, token in enumerate(tokens)
        )

    def _is_of_request(self, token: Token, before: Sequence[Token], after: Sequence[Token]) -> bool:
        if token.kind == "opaque":
            return True
        if token.kind == "string":
            # A word such as USER counts as a key only where a key is looked up.
            looked_up = [one.text.lower() for one in before] in (["_server", "["], ["getenv", "("])
            joined = looked_up and after[:1] and after[0].word == "."
            key = self._is_key(token.text) and (looked_up or token.text not in _WORDS)
            return bool(key or joined or _IN_A_TEXT.search(token.text))
        if token.kind == "template":
            return any(isinstance(part, tuple) and self._is_part(*part) for part in token.parts)
        if token.kind == "variable" and token.text == "_SERVER":
            kinds = [one.word or one.kind for one in after]
            return kinds != ["[", "string", "]"]
        if token.kind == "variable":
            return token.text in _VARIABLES or f"${token.text}" in self.tainted
        named = token.text in THE_RUN or token.word in _READS
        return named or (token.kind == "name" and token.text in self.tainted)

    def _is_part(self, name: str, key: object) -> bool:
        if name == "_SERVER":
            return not isinstance(key, str) or self._is_key(key)
        return name in _VARIABLES or f"${name}" in self.tainted

    def _is_key(self, text: str) -> bool:
        if text in THE_RUN or text in self.tainted:
            return True
        return bool(FROM_WEB.fullmatch(text)) and text not in _SCHEME


def _next(tokens: Sequence[Token], start: int) -> tuple[Sequence[Token], Sequence[Token], int]:
    """Return a statement's tokens, those of the block after it, and where the next one begins."""
    position = start
    while position < len(tokens):
        word = tokens[position].word
        if word == ";":
            return tokens[start:position], (), position + 1
        if word == "{":
            end = _closing(tokens, position)
            return tokens[start:position], tokens[position + 1 : end], end + 1
        position = _closing(tokens, position) + 1 if word in _OPENING else position + 1
    return tokens[start:], (), len(tokens)


def _condition(head: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """Return what stands in the brackets of an ``if``, and the statement after them."""
    first = 1
    while first < len(head) and head[first].word == "if":
        first += 1
    if first >= len(head) or head[first].word != "(" or (head[0].word == "else" and first == 1):
        return (), head[1:]
    end = _closing(head, first)
    return head[first + 1 : end], head[end + 1 :]


def _closing(tokens: Sequence[Token], start: int) -> int:
    """Return the place of the bracket that closes the one at ``start``, or else the end."""
    depth = 0
    for position in range(start, len(tokens)):
        word = tokens[position].word
        depth += (word in _OPENING) - (word in {")", "]", "}"})
        if not depth:
            return position
    return len(tokens)
