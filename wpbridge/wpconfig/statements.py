"""Turn a file's tokens into statements that change a :class:`Scope`.

Expressions, ``if``, blocks, ``return`` and plain functions are known. The first statement that is
none of them becomes one that ends the reading when it would run; what
stands behind it in its block is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from wpbridge.wpconfig.expressions import Expression, NotUnderstood, Parser
from wpbridge.wpconfig.functions import is_known
from wpbridge.wpconfig.scope import Function, Leave, Scope
from wpbridge.wpconfig.tokens import PhpSyntaxError, Token
from wpbridge.wpconfig.values import Unknown, Value, truthy

Statement: TypeAlias = Callable[[Scope], None]

_CLOSING: Final = {"(": ")", "[": "]", "{": "}", "#[": "]"}
_BEYOND: Final = {
    *("abstract", "break", "class", "continue", "do", "enum", "final", "for", "foreach", "goto"),
    *("interface", "namespace", "switch", "trait", "try", "unset", "while"),
}
"""Statements that are no plain form, by their first word."""
_MOST_CALLS: Final = 10_000
_DEEPEST_CALL: Final = 16


@dataclass(frozen=True, slots=True)
class Branch:
    """One way of an ``if``; no condition for ``else``."""

    line: int
    condition: Expression | None
    body: Sequence[Statement]


def parse(tokens: Sequence[Token]) -> list[Statement]:
    """Return a whole file's statements.

    A function is known from its declaration on, though PHP knows many of them from the start.
    PhpSyntaxError only where brackets do not match.
    """
    return _Statements(tokens).whole_file()


def run(scope: Scope, statements: Sequence[Statement]) -> None:
    """Run them one after the other."""
    for statement in statements:
        statement(scope)


class _Statements(Parser):
    def whole_file(self) -> list[Statement]:
        statements = self._until_brace()
        if self.position < len(self.tokens):
            raise PhpSyntaxError("there is a } too many", self.peek().line)
        return statements

    def _until_brace(self) -> list[Statement]:
        """All before a ``}`` or the end of the text, which is left.

        What is not understood takes the rest of the block with it.
        """
        statements: list[Statement] = []
        while self.position < len(self.tokens) and self.peek().word != "}":
            start = self.position
            try:
                statements.append(self._statement())
            except NotUnderstood as problem:
                self.position = start
                self._skip_to("}")
                statements.append(_stopper(problem))
        return statements

    def _statement(self) -> Statement:
        word = self.peek().word
        if word == "function" and self.peek(1).kind == "name":
            return self._function_declaration()
        kinds: dict[str, Callable[[], Statement]] = {
            ";": self._nothing,
            "{": self._block,
            "if": self._if,
            "return": self._return,
        }
        if word in _BEYOND:
            raise NotUnderstood(self.peek())
        return kinds.get(word, self._expression_statement)()

    def _nothing(self) -> Statement:
        self.take()
        return lambda _scope: None

    def _expression_statement(self) -> Statement:
        line, expression = self.peek().line, self.expression()
        self._end()

        def evaluate(scope: Scope) -> None:
            scope.line = line
            expression(scope)

        return evaluate

    def _end(self) -> None:
        if not self.accept(";"):
            raise NotUnderstood(self.peek())

    def _block(self) -> Statement:
        body = self._braces()
        return lambda scope: run(scope, body)

    def _braces(self) -> list[Statement]:
        line = self.peek().line
        self.expect("{")
        body = self._until_brace()
        if not self.accept("}"):
            raise PhpSyntaxError("the text ends inside the { of this line", line)
        return body

    def _if(self) -> Statement:
        branches: list[Branch] = []
        while True:
            line = self.take().line
            self.expect("(")
            condition = self.expression()
            self.expect(")")
            branches.append(Branch(line, condition, [self._statement()]))
            if self.peek().word == "else" and self.peek(1).word == "if":
                self.take()
            elif self.peek().word != "elseif":
                break
        if self.accept("else"):
            branches.append(Branch(self.peek(-1).line, None, [self._statement()]))
        return _chosen(branches)

    def _return(self) -> Statement:
        self.take()
        value = None if self.peek().word == ";" else self.expression()
        self._end()

        def leave(scope: Scope) -> None:
            raise Leave(None if value is None else value(scope))

        return leave

    def _function_declaration(self) -> Statement:
        self.take()
        name = self.take()
        if is_known(name.word) or name.word in self.names_of_language:
            raise NotUnderstood(name)
        start = self.position
        try:
            function = self._plain_function(name)
        except NotUnderstood:
            self.position = start
            self._skip_to("{")
            self._skip_balanced()
            function = _opaque(name)

        def declare(scope: Scope) -> None:
            if name.word in scope.sets.functions:
                raise scope.not_known(name.line, f"it declares {name.text}() once more")
            scope.sets.functions[name.word] = function(scope.file)

        return declare

    names_of_language: Final = {"array", "isset", "empty", "eval", "exit", "die"}

    def _plain_function(self, name: Token) -> "Callable[[str], Function]":
        self.expect("(")
        parameters: list[tuple[str, Expression | None]] = []
        while not self.accept(")"):
            parameter = self.take()
            if parameter.kind != "variable":
                raise NotUnderstood(parameter)
            default = self.expression() if self.accept("=") else None
            parameters.append((parameter.text, default))
            if self.peek().word != ")":
                self.expect(",")
        body = self._braces()
        return lambda file: _called(name, parameters, body, file)

    def _skip_balanced(self) -> None:
        opening = self.take()
        wanted = [_CLOSING.get(opening.word, ")")]
        while wanted:
            if self.position >= len(self.tokens):
                problem = f"the text ends inside the {opening.text} of this line"
                raise PhpSyntaxError(problem, opening.line)
            word = self.take().word
            if word in _CLOSING:
                wanted.append(_CLOSING[word])
            elif word == wanted[-1]:
                wanted.pop()

    def _skip_to(self, end: str) -> None:
        """Step to this word outside of brackets, or to the end of the text."""
        while self.position < len(self.tokens) and self.peek().word not in {end, "}"}:
            if self.peek().word in _CLOSING:
                self._skip_balanced()
            else:
                self.take()


def _stopper(problem: NotUnderstood) -> Statement:
    def stop(scope: Scope) -> None:
        raise scope.not_known(problem.line, problem.why)

    return stop


def _chosen(branches: Sequence[Branch]) -> Statement:
    def choose(scope: Scope) -> None:
        _choose(scope, branches)

    return choose


def _choose(scope: Scope, branches: Sequence[Branch]) -> Value:
    if not branches:
        return None
    first, rest = branches[0], branches[1:]
    scope.line = first.line
    decided = True if first.condition is None else truthy(first.condition(scope))
    if isinstance(decided, Unknown):
        why = f"it depends on a condition that cannot be decided ({decided.why})"
        doubt = replace(decided, file=scope.file, line=first.line, why=why)
        scope.either(
            doubt, [lambda scope: run(scope, first.body), lambda scope: _choose(scope, rest)]
        )
    elif decided:
        run(scope, first.body)
    else:
        _choose(scope, rest)
    return None


def _opaque(name: Token) -> Callable[[str], Function]:
    def function(scope: Scope, _arguments: Sequence[Value], line: int) -> Value:
        raise scope.not_known(line, f"it calls {name.text}(), whose effect only PHP knows")

    return lambda _file: function


def _called(
    name: Token,
    parameters: Sequence[tuple[str, Expression | None]],
    body: Sequence[Statement],
    file: str,
) -> Function:
    """A function of the configuration; its variables are its own."""

    def function(scope: Scope, arguments: Sequence[Value], line: int) -> Value:
        scope.calls += 1
        if scope.depth >= _DEEPEST_CALL or scope.calls > _MOST_CALLS:
            raise scope.not_known(line, f"{name.text}() calls itself too often")
        needed = [parameter for parameter, default in parameters if default is None]
        if len(arguments) < len(needed):
            raise scope.not_known(line, f"it calls {name.text}() with too few arguments")
        caller, variables = scope.file, scope.sets.variables
        scope.file, scope.sets.variables, scope.depth = file, {}, scope.depth + 1
        try:
            for position, (parameter, default) in enumerate(parameters):
                given = arguments[position] if position < len(arguments) else None
                if position >= len(arguments) and default is not None:
                    given = default(scope)
                scope.assign(parameter, (), given, line)
            run(scope, body)
        except Leave as leave:
            return leave.value
        finally:
            scope.file, scope.depth = caller, scope.depth - 1
            scope.sets.variables = variables
        return None

    return function
