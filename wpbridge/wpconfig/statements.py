"""Run statements while they are read.

Expressions, ``if``, blocks, ``return`` and plain functions are known. The first statement that is
none of them ends the reading where PHP would run it. A function is known from its declaration on,
though PHP knows many of them from the start.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wpbridge.wpconfig.expressions import Expressions, NotUnderstood
from wpbridge.wpconfig.functions import is_known
from wpbridge.wpconfig.scope import FUNCTION, Leave, Scope
from wpbridge.wpconfig.tokens import Source, Token
from wpbridge.wpconfig.values import Unknown, Value, truthy

_BEYOND: Final = {
    *("abstract", "break", "class", "continue", "do", "enum", "final", "for", "foreach", "goto"),
    *("interface", "namespace", "switch", "trait", "try", "unset", "while"),
}
"""Statements that are no plain form, by their first word."""
_NO_NAMES: Final = {"array", "isset", "empty", "eval", "exit", "die"}
_MOST_CALLS: Final = 10_000
_DEEPEST_CALL: Final = 16


class Statements(Expressions):
    """Runs one source's statements."""

    def run(self, end: int) -> None:
        """Run all before the token at ``end``. NotKnown at the first that is not understood."""
        while self.position < end:
            before = self.scope.state if self.dead else dict(self.scope.state)
            try:
                self._statement()
            except NotUnderstood as problem:
                if not self.dead:
                    # What its beginning seems to have done may be something else in truth.
                    self.scope.state = before
                    raise self.scope.not_known(problem.line, problem.why) from None
                self.position = end

    def _statement(self) -> None:
        word = self.peek().word
        kinds: dict[str, Callable[[], None]] = {
            ";": self._end,
            "{": self._block,
            "if": self._if,
            "return": self._return,
            **dict.fromkeys(_BEYOND, self._refuse),
        }
        if word == "function" and self.peek(1).kind == "name":
            self._declare()
        elif word in kinds:
            kinds[word]()
        else:
            self.scope.line = self.peek().line
            self.expression()
            self._end()

    def _refuse(self) -> None:
        raise NotUnderstood(self.peek())

    def _end(self) -> None:
        self.expect(";")

    def _block(self) -> None:
        end = self.source.closing[self.position]
        self.take()
        self.run(end)
        self.position = end + 1

    def _if(self) -> None:
        line = self.take().line
        self.expect("(")
        decided = truthy(self.expression())
        self.expect(")")
        if isinstance(decided, Unknown):
            why = f"it depends on a condition that cannot be decided ({decided.why})"
            decided = replace(decided, file=self.scope.file, line=line, why=why)
        self.choose(decided, self._ways)

    def _ways(self, yes: bool) -> Value:  # noqa: FBT001 - the condition
        self.when(self._statement, live=yes)
        if self.peek().word == "else" and self.peek(1).word == "if":
            self.take()
            self.when(self._if, live=not yes)
        elif self.peek().word == "elseif":
            self.when(self._if, live=not yes)
        elif self.accept("else"):
            self.when(self._statement, live=not yes)
        return None

    def _return(self) -> None:
        self.take()
        value = None if self.peek().word == ";" else self.expression()
        self._end()
        if not self.dead:
            raise Leave(value)

    def _declare(self) -> None:
        self.take()
        name = self.take()
        if is_known(name.word) or name.word in _NO_NAMES or self.peek().word != "(":
            raise NotUnderstood(name)
        close = self.source.closing[self.position]
        try:
            parameters = self._parameters(close)
        except NotUnderstood:
            parameters = None
        self.position = close + 1
        if self.peek().word != "{":
            # A type of what it returns: PHP may convert the value.
            parameters = None
        while self.peek().word not in {"{", ";", ""}:
            self.take()
        if self.peek().word != "{":
            raise NotUnderstood(name)
        function = _Function(self.source, name, parameters, self.position, self.scope.file)
        self.position = self.source.closing[self.position] + 1
        if self.dead:
            return
        if self.scope.get(FUNCTION, name.word):
            raise self.scope.not_known(name.line, f"it declares {name.text}() once more")
        self.scope.state[FUNCTION, name.word] = function

    def _parameters(self, close: int) -> list[tuple[str, int | None]]:
        """Names, with the places of their default values."""
        self.take()
        found: list[tuple[str, int | None]] = []
        while self.position < close:
            name, default = self.take(), None
            if name.kind != "variable":
                raise NotUnderstood(name)
            if self.accept("="):
                default = self.position
                self.when(self.expression, live=False)
            found.append((name.text, default))
            if self.position < close:
                self.expect(",")
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Function:
    """A function of the configuration; its variables are its own."""

    source: Source
    name: Token
    parameters: list[tuple[str, int | None]] | None
    """None where they are not plain."""
    opening: int
    """The place of its ``{``."""
    file: str

    def __call__(self, scope: Scope, arguments: Sequence[Value], line: int) -> Value:
        called = f"{self.name.text}()"
        if self.parameters is None:
            raise scope.not_known(line, f"it calls {called}, whose effect only PHP knows")
        scope.calls += 1
        if scope.depth >= _DEEPEST_CALL or scope.calls > _MOST_CALLS:
            raise scope.not_known(line, f"{called} calls itself too often")
        if len(arguments) < sum(default is None for _, default in self.parameters):
            raise scope.not_known(line, f"it calls {called} with too few arguments")
        caller, frame = scope.file, scope.frame
        scope.file, scope.frame, scope.depth = self.file, scope.calls, scope.depth + 1
        try:
            for place, (name, default) in enumerate(self.parameters):
                if place < len(arguments):
                    given = arguments[place]
                else:
                    given = Expressions(self.source, scope, default or 0).expression()
                scope.assign(name, (), given, line)
            Statements(self.source, scope, self.opening + 1).run(self.source.closing[self.opening])
        except Leave as leave:
            return leave.value
        finally:
            scope.file, scope.frame, scope.depth = caller, frame, scope.depth - 1
        return None
