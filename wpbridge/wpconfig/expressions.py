"""Evaluate expressions while they are read.

Only plain forms are known: literals, variables, constants, operators, calls, assignments and
includes. Anything else is :class:`NotUnderstood`. What PHP would not run is ``dead``: it is read to
find its end, and has no value and no effect. Where a condition is not known, both ways are gone.
"""

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

from wpbridge.wpconfig.functions import call
from wpbridge.wpconfig.scope import Exit, Scope
from wpbridge.wpconfig.tokens import Source, Token
from wpbridge.wpconfig.values import (
    Unknown,
    Unusual,
    Value,
    equal,
    identical,
    join,
    to_integer,
    to_text,
    truthy,
)

Operation: TypeAlias = Callable[[Value, Value], Value]


class NotUnderstood(Exception):  # caught where the statement ends
    """The tokens are no form that the reader knows."""

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.line = token.line
        # Literals may be secrets.
        shown = token.text if token.kind in {"name", "op", "opaque"} and token.text else token.kind
        self.why = f"the statement is not one of the plain forms (near {shown!r})"


def _either_bit(left: Value, right: Value) -> Value:
    if type(left) is not int or type(right) is not int:
        raise Unusual
    return left | right


def _only_php(_left: Value, _right: Value) -> Value:
    raise Unusual


_TERNARY, _COALESCE, _ASSIGNED = 5, 6, 4
_SHORT: Final = {"||": 7, "or": 1, "&&": 8, "and": 3}
_BINARY: Final[Mapping[str, tuple[int, Operation]]] = {
    "xor": (2, _only_php),
    "|": (9, _either_bit),
    "^": (10, _only_php),
    "&": (11, _only_php),
    "===": (12, identical),
    "!==": (12, lambda a, b: not identical(a, b)),
    "==": (12, equal),
    "!=": (12, lambda a, b: not equal(a, b)),
    **dict.fromkeys(("<", "<=", ">", ">="), (13, _only_php)),
    ".": (14, join),
    **dict.fromkeys(("<<", ">>"), (15, _only_php)),
    # PHP 7 joins texts before it adds; both are unknown.
    **dict.fromkeys(("+", "-"), (16, _only_php)),
    **dict.fromkeys(("*", "/", "%"), (17, _only_php)),
}
_UNARY: Final[Mapping[str, Operation]] = {
    "!": lambda _, value: not truthy(value),
    "(string)": lambda _, value: to_text(value),
    "(bool)": lambda _, value: truthy(value),
    "(int)": lambda _, value: to_integer(value),
    **dict.fromkeys(("-", "+", "~"), _only_php),
}
_INCLUDES: Final = {"include", "include_once", "require", "require_once"}
_BEYOND: Final = {
    *("function", "fn", "match", "clone", "throw", "yield", "list", "static", "print", "new"),
    *("unset", "instanceof", "goto", "global", "echo", "const", "use", "declare", "endif"),
    *("compact", "get_defined_vars", "func_get_args", "parent", "self", "__halt_compiler"),
    *("__class__", "__function__", "__method__", "__namespace__", "__line__"),
}
_WORDS: Final[Mapping[str, Value]] = {"true": True, "false": False, "null": None}


class Expressions:
    """Reads one source from a position on; NotUnderstood leaves the position unspecified."""

    def __init__(self, source: Source, scope: Scope, position: int = 0) -> None:
        self.source = source
        self.scope = scope
        self.position = position
        self.dead = False
        self.changes = 0
        """How many expressions changed variables: PHP may read an operand after them."""

    def peek(self, ahead: int = 0) -> Token:
        """Return the next token; an empty one at the end."""
        return self.source.token(self.position + ahead)

    def take(self) -> Token:
        """Return the next token, and step over it."""
        self.position += 1
        return self.peek(-1)

    def accept(self, *words: str) -> bool:
        """Step over the next token if it is one of these."""
        found = self.peek().word in words
        self.position += found
        return found

    def expect(self, word: str) -> None:
        """Step over this token or give up."""
        if not self.accept(word):
            raise NotUnderstood(self.peek())

    def when(self, read: Callable[[], Value], *, live: bool) -> Value:
        """Read something that PHP runs only if ``live``."""
        before, self.dead = self.dead, self.dead or not live
        try:
            return read()
        finally:
            self.dead = before

    def choose(self, decided: "bool | Unknown", read: Callable[[bool], Value]) -> Value:
        """Read what has two ways; ``read`` is told which of them PHP takes."""
        if self.dead or not isinstance(decided, Unknown):
            return read(decided is True)
        start = self.position

        def way(*, yes: bool) -> Value:
            self.position = start
            return read(yes)

        value = self.scope.either(decided, [partial(way, yes=True), partial(way, yes=False)])
        # A way that ends the program stops anywhere.
        self.when(partial(way, yes=True), live=False)
        return value

    def expression(self, level: int = 0) -> Value:
        """Evaluate an expression whose operators bind at least as tightly as ``level``."""
        left = self._unary()
        while True:
            word = self.peek().word
            if word == "?" and level <= _TERNARY:
                left = self._ternary(left)
            elif word == "??" and level <= _COALESCE:
                self.take()
                missing = left if isinstance(left, Unknown) else left is None
                left = self._default(left, missing, _COALESCE)
            elif word in _SHORT and level <= _SHORT[word]:
                left = self._logical(left)
            elif word in _BINARY and level <= _BINARY[word][0]:
                left = self._binary(left)
            else:
                return left

    def _binary(self, left: Value) -> Value:
        token, before = self.take(), self.changes
        level, operate = _BINARY[token.word]
        right = self.expression(level + 1)
        if self.changes > before:
            raise NotUnderstood(token)
        return self._computed(operate, left, right, token.line)

    def _computed(self, operate: Operation, left: Value, right: Value, line: int) -> Value:
        for value in (left, right):
            if self.dead or isinstance(value, Unknown):
                return value
        try:
            return operate(left, right)
        except Unusual:
            return self.scope.unknown(line, "it computes in a way that only PHP can tell")

    def _logical(self, left: Value) -> Value:
        word = self.take().word
        settles = word in {"||", "or"}

        def read(first: bool) -> Value:  # noqa: FBT001 - the condition
            right = self.when(lambda: self.expression(_SHORT[word] + 1), live=first is not settles)
            return settles if first is settles else truthy(right)

        return self.choose(truthy(left), read)

    def _ternary(self, condition: Value) -> Value:
        token, decided = self.take(), truthy(condition)
        if self.accept(":"):
            missing = decided if isinstance(decided, Unknown) else not decided
            value = self._default(condition, missing, _TERNARY + 1)
        else:

            def read(yes: bool) -> Value:  # noqa: FBT001 - the condition
                one = self.when(self.expression, live=yes)
                self.expect(":")
                other = self.when(lambda: self.expression(_TERNARY + 1), live=not yes)
                return one if yes else other

            value = self.choose(decided, read)
        if self.peek().word == "?":
            raise NotUnderstood(token)
        return value

    def _default(self, value: Value, missing: "bool | Unknown", level: int) -> Value:
        def read(is_missing: bool) -> Value:  # noqa: FBT001 - the condition
            other = self.when(lambda: self.expression(level), live=is_missing)
            return other if is_missing else value

        return self.choose(missing, read)

    def _unary(self) -> Value:
        token = self.peek()
        word = token.word
        if self.accept("@"):
            return self._unary()
        if word in _UNARY:
            self.take()
            return self._computed(_UNARY[word], None, self._unary(), token.line)
        if word in _INCLUDES:
            return self._include()
        if word in {"exit", "die"}:
            return self._exit()
        value = self._primary()
        while self.peek().word in {"->", "?->", "::", "[", "(", "++", "--"}:
            self.expect("[")
            self.expression()
            self.expect("]")
            value = self.scope.unknown(token.line, "it takes a part of a value")
        return value

    def _include(self) -> Value:
        token, path = self.take(), self.expression(_ASSIGNED)
        self.changes += 1
        if self.dead:
            return None
        if not isinstance(path, str):
            why = path.why if isinstance(path, Unknown) else "it is no text"
            raise self.scope.not_known(token.line, f"what it includes is not known: {why}")
        return self.scope.include(token.word, path, token.line)

    def _exit(self) -> Value:
        line = self.take().line
        if self.accept("("):
            self._arguments()
        if not self.dead:
            raise Exit(self.scope.file, line)
        return None

    def _primary(self) -> Value:
        token = self.take()
        if token.kind == "variable":
            return self._variable(token)
        if token.kind == "name":
            return self._named(token)
        if token.word == "[":
            return self._array("]")
        if token.word == "(":
            inner = self.expression()
            self.expect(")")
            return inner
        return self._literal(token)

    def _literal(self, token: Token) -> Value:
        if token.kind == "string":
            return token.text
        if token.kind == "number":
            plain = re.fullmatch("0|[1-9][0-9]{0,17}", token.text)
            return int(token.text) if plain else self.scope.unknown(token.line, "it is a number")
        if token.kind != "template":
            raise NotUnderstood(token)
        text: Value = ""
        for part in token.parts:
            piece: Value = part if isinstance(part, str) else None
            if isinstance(part, tuple):
                keys: list[Value] = [] if part[1] is None else [part[1]]
                piece = self._read(part[0], keys, token.line)
            text = self._computed(join, text, piece, token.line)
        return text

    def _variable(self, token: Token) -> Value:
        keys, before = list[Value](), self.changes
        while self.accept("["):
            keys.append(self.expression())
            self.expect("]")
        if self.changes > before:
            raise NotUnderstood(token)
        if not self.accept("="):
            return self._read(token.text, keys, token.line)
        value = self.expression(_ASSIGNED)
        if keys and (len(keys) > 1 or self.changes > before):
            raise NotUnderstood(token)
        self.changes += 1
        if not self.dead:
            self.scope.assign(token.text, keys, value, token.line)
        return value

    def _read(self, name: str, keys: Sequence[Value], line: int) -> Value:
        if self.dead:
            return None
        return self.scope.variable(name, keys, line)

    def _named(self, token: Token) -> Value:
        word = token.word
        if word in _BEYOND or "\\" in word:
            raise NotUnderstood(token)
        if self.accept("("):
            return self._array(")") if word == "array" else self._function(token)
        if word == "__dir__":
            return posixpath.dirname(self.scope.file)
        if word == "__file__":
            return self.scope.file
        if word in _WORDS or self.dead:
            return _WORDS.get(word)
        return self.scope.constant(token.text, token.line)

    def _function(self, token: Token) -> Value:
        word, arguments = token.word, self._arguments()
        self.changes += word == "eval"
        if self.dead:
            return None
        if word == "isset":
            unknown = next((value for value in arguments if isinstance(value, Unknown)), True)
            return False if any(value is None for value in arguments) else unknown
        if word == "empty" and len(arguments) == 1:
            return self._computed(_UNARY["!"], None, arguments[0], token.line)
        if word == "eval":
            if len(arguments) != 1 or not isinstance(arguments[0], str):
                raise self.scope.not_known(token.line, "it runs eval() on what only PHP knows")
            return self.scope.evaluate(arguments[0], token.line)
        return call(self.scope, token.text, arguments, token.line)

    def _arguments(self) -> list[Value]:
        arguments: list[Value] = []
        while not self.accept(")"):
            if self.peek(1).word == ":":
                raise NotUnderstood(self.peek())
            arguments.append(self.expression())
            if self.peek().word != ")":
                self.expect(",")
        return arguments

    def _array(self, end: str) -> Value:
        """Step over an array, whose value is left to PHP."""
        line, before = self.peek().line, self.changes
        while not self.accept(end):
            self.expression()
            if self.accept("=>"):
                self.expression()
            if self.peek().word != end:
                self.expect(",")
        if self.changes > before:
            raise NotUnderstood(self.peek(-1))
        return self.scope.unknown(line, "it is an array")
