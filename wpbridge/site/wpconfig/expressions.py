"""Evaluates PHP expressions while it reads them.

Only plain forms are known: literals, variables, constants, a few operators, calls, assignments and
includes. Anything else raises :class:`NotUnderstood`. Code that PHP would not run is called dead.
It is read only to find its end, and has no value and no effect. If a condition is unknown, both of
its branches are followed.
"""

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Final

from wpbridge.site.wpconfig.functions import call
from wpbridge.site.wpconfig.operators import (
    ASSIGNED,
    BINARY,
    LEVELS,
    SETTLES,
    UNARY,
    Operation,
    is_set,
    negated,
)
from wpbridge.site.wpconfig.scope import Exit, Scope
from wpbridge.site.wpconfig.tokens import Source, Token
from wpbridge.site.wpconfig.values import (
    Unknown,
    Unusual,
    Value,
    join,
    truthy,
)


class NotUnderstood(Exception):  # caught where the statement ends
    """The reader does not know this form of statement."""

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.line = token.line
        # A literal is not shown, since it may be a secret.
        shown = token.text if token.kind in {"name", "op", "opaque"} and token.text else token.kind
        self.why = f"the statement is not one of the plain forms (near {shown!r})"


_INCLUDES: Final = {"include", "include_once", "require", "require_once"}
_BEYOND: Final = """
abstract break class const continue declare do echo enum eval final fn for foreach function global
goto interface list match namespace new print static switch throw trait try unset use while yield
"""
"""Words of PHP that begin a form which the reader does not know."""
_WORDS: Final[Mapping[str, Value]] = {"true": True, "false": False, "null": None}


class Expressions:
    """Reads one source from a position on. After NotUnderstood the position is undefined."""

    def __init__(self, source: Source, scope: Scope, position: int = 0) -> None:
        self.source = source
        self.scope = scope
        self.position = position
        self.dead = False
        self.changes = 0
        """How many expressions have changed variables so far."""

    def peek(self, ahead: int = 0) -> Token:
        """Return the next token, or an empty one at the end."""
        return self.source.token(self.position + ahead)

    def take(self) -> Token:
        """Return the next token and step over it."""
        self.position += 1
        return self.peek(-1)

    def accept(self, *words: str) -> bool:
        """Step over the next token if it is one of these, and tell whether it was."""
        found = self.peek().word in words
        self.position += found
        return found

    def expect(self, word: str) -> None:
        """Step over this token. Raises NotUnderstood if another one comes."""
        if not self.accept(word):
            raise NotUnderstood(self.peek())

    def when(self, read: Callable[[], Value], *, live: bool) -> Value:
        """Call ``read`` for code that PHP runs only if ``live``."""
        before, self.dead = self.dead, self.dead or not live
        try:
            return read()
        finally:
            self.dead = before

    def choose(self, decided: "bool | Unknown", read: Callable[[bool], Value]) -> Value:
        """Call ``read`` with the branch that PHP takes, or with both if that is unknown."""
        if self.dead or not isinstance(decided, Unknown):
            return read(decided is True)
        start = self.position

        def way(yes: bool) -> Value:  # noqa: FBT001 - the condition
            self.position = start
            return read(yes)

        value = self.scope.either(decided, way)
        # If a branch ended the program, the position may be anywhere: read to the end once more.
        self.when(lambda: way(yes=True), live=False)
        return value

    def expression(self, level: int = 0) -> Value:
        """Evaluate an expression whose operators bind at least as tightly as ``level``."""
        left = self._unary()
        while True:
            word = self.peek().word
            if word not in LEVELS or level > LEVELS[word]:
                return left
            token, above = self.take(), LEVELS[word] + 1
            if word in BINARY:
                left = self._binary(token, left, above)
            elif word == "?":
                left = self._ternary(token, left)
            elif word == "??":
                left = self._lazy(is_set(left), left, above - 1)
            else:
                kept = SETTLES[word]
                settled = truthy(left) if kept else negated(left)
                left = self._lazy(settled, kept, above, truthy)

    def _binary(self, token: Token, left: Value, level: int) -> Value:
        before, right = self.changes, self.expression(level)
        if self.changes > before:
            # The right side changes a variable, and PHP may read the left side after that.
            raise NotUnderstood(token)
        return self._computed(BINARY[token.word], left, right, token.line)

    def _computed(self, operate: Operation, left: Value, right: Value, line: int) -> Value:
        for value in (left, right):
            if isinstance(value, Unknown):
                return value
        try:
            return operate(left, right)
        except Unusual:
            return self.scope.unknown(line, "it computes in a way that only PHP can tell")

    def _lazy(
        self,
        settled: "bool | Unknown",
        kept: Value,
        level: int,
        finish: Callable[[Value], Value] = lambda value: value,
    ) -> Value:
        """Read the right side, which PHP runs only if the left side has not settled the value."""

        def read(is_settled: bool) -> Value:  # noqa: FBT001 - the condition
            right = self.when(lambda: self.expression(level), live=not is_settled)
            return kept if is_settled else finish(right)

        return self.choose(settled, read)

    def _ternary(self, token: Token, condition: Value) -> Value:
        def read(yes: bool) -> Value:  # noqa: FBT001 - the condition
            one = self.when(self.expression, live=yes)
            self.expect(":")
            other = self.when(lambda: self.expression(LEVELS["?"] + 1), live=not yes)
            return one if yes else other

        if self.accept(":"):
            value = self._lazy(truthy(condition), condition, LEVELS["?"] + 1)
        else:
            value = self.choose(truthy(condition), read)
        if self.peek().word == "?":
            raise NotUnderstood(token)
        return value

    def _unary(self) -> Value:
        token = self.peek()
        word = token.word
        if self.accept("@"):
            return self._unary()
        if self.accept(*UNARY):
            return self._computed(UNARY[word], None, self._unary(), token.line)
        if self.accept(*_INCLUDES):
            return self._include(token)
        value = self._primary()
        while self.accept("["):
            self.expression()
            self.expect("]")
            value = self.scope.unknown(token.line, "it takes a part of a value")
        return value

    def _include(self, token: Token) -> Value:
        path = self.expression(ASSIGNED)
        self.changes += 1
        if not self.dead and not isinstance(path, str):
            why = path.why if isinstance(path, Unknown) else "it is no text"
            raise self.scope.not_known(token.line, f"what it includes is not known: {why}")
        if not self.dead:
            self.scope.include(token.word, str(path), token.line)
        return self.scope.unknown(token.line, "it is what a file returns")

    def _primary(self) -> Value:
        token = self.take()
        if token.kind in {"string", "template"}:
            return self._text(token)
        if token.kind == "variable":
            return self._variable(token)
        if token.kind == "name":
            return self._named(token)
        if token.kind == "number":
            plain = re.fullmatch("0|[1-9][0-9]{0,17}", token.text)
            return int(token.text) if plain else self.scope.unknown(token.line, "it is a number")
        if token.word not in {"(", "["}:
            raise NotUnderstood(token)
        if token.word == "[":
            return self._array("]")
        value = self.expression()
        self.expect(")")
        return value

    def _text(self, token: Token) -> Value:
        text: Value = ""
        for part in token.parts or (token.text,):
            piece: Value = part if isinstance(part, str) else None
            if isinstance(part, tuple):
                keys = [key for key in part[1:] if key is not None]
                piece = self.scope.variable(part[0], keys, token.line)
            text = self._computed(join, text, piece, token.line)
        return text

    def _variable(self, token: Token) -> Value:
        keys, before = list[Value](), self.changes
        while self.accept("["):
            keys.append(self.expression())
            self.expect("]")
        if not self.accept("="):
            return self.scope.variable(token.text, keys, token.line)
        value = self.expression(ASSIGNED)
        if keys and (len(keys) > 1 or self.changes > before):
            # The value changes a variable, and PHP may read the key after that.
            raise NotUnderstood(token)
        self.changes += 1
        if not self.dead:
            self.scope.assign(token.text, keys, value, token.line)
        return value

    def _named(self, token: Token) -> Value:
        word = token.word
        if word in _BEYOND.split() or "\\" in word:
            raise NotUnderstood(token)
        called = self.accept("(")
        if called and word == "array":
            return self._array(")")
        arguments = self._arguments() if called else []
        if word in {"exit", "die"} and not self.dead:
            raise Exit(self.scope.file, token.line)
        if called:
            return self._function(token, arguments)
        if word == "__dir__":
            return posixpath.dirname(self.scope.file)
        if word == "__file__":
            return self.scope.file
        if word in _WORDS:
            return _WORDS[word]
        return self.scope.constant(token.text, token.line)

    def _function(self, token: Token, arguments: list[Value]) -> Value:
        word = token.word
        if self.dead:
            return None
        if word == "isset":
            unknown = next((value for value in arguments if isinstance(value, Unknown)), True)
            return False if any(value is None for value in arguments) else unknown
        if word == "empty" and len(arguments) == 1:
            return negated(arguments[0])
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
        """Step over an array. Its value is unknown here."""
        line = self.peek().line
        while not self.accept(end):
            self.expression()
            if self.accept("=>"):
                self.expression()
            if self.peek().word != end:
                self.expect(",")
        return self.scope.unknown(line, "it is an array")
