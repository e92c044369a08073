"""Turn an expression's tokens into a function of a :class:`Scope`.

Only plain forms are known: literals, variables, constants, operators, calls, assignments and
includes. Anything else is :class:`NotUnderstood`.
"""

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from wpbridge.wpconfig.functions import call
from wpbridge.wpconfig.scope import SUPER_GLOBALS, Exit, Scope
from wpbridge.wpconfig.tokens import Token
from wpbridge.wpconfig.values import (
    Unknown,
    Unusual,
    Value,
    array_key,
    equal,
    identical,
    join,
    to_integer,
    to_text,
    truthy,
    whole,
)

Expression: TypeAlias = Callable[[Scope], Value]
Operation: TypeAlias = Callable[[Value, Value], Value]


class NotUnderstood(Exception):  # caught by the reader of statements
    """The tokens are no form that the reader knows."""

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.line = token.line
        # Literals may be secrets.
        shown = token.text if token.kind in {"name", "op", "opaque"} and token.text else token.kind
        self.why = f"the statement is not one of the plain forms (near {shown!r})"


def _integers(function: Callable[[int, int], int]) -> Operation:
    def compute(left: Value, right: Value) -> Value:
        if type(left) is not int or type(right) is not int:
            raise Unusual
        return whole(function(left, right))

    return compute


_TERNARY, _COALESCE, _ASSIGNED = 5, 6, 4
_SHORT: Final = {"||": 7, "or": 1, "&&": 8, "and": 3}
_BINARY: Final[Mapping[str, tuple[int, Operation]]] = {
    "|": (9, _integers(lambda a, b: a | b)),
    "&": (11, _integers(lambda a, b: a & b)),
    "===": (12, identical),
    "!==": (12, lambda a, b: not identical(a, b)),
    "==": (12, equal),
    "!=": (12, lambda a, b: not equal(a, b)),
    ".": (14, join),
    "*": (17, _integers(lambda a, b: a * b)),
}
_COMPARING: Final = 12
_UNARY: Final[Mapping[str, Callable[[Value], Value]]] = {
    "!": lambda value: not truthy(value),
    "-": lambda value: _integers(lambda _, b: -b)(0, value),
    "~": lambda value: _integers(lambda _, b: ~b)(0, value),
    "(string)": to_text,
    "(bool)": truthy,
    "(int)": to_integer,
}
_INCLUDES: Final = {"include", "include_once", "require", "require_once"}
_BEYOND: Final = {
    *("function", "fn", "match", "clone", "throw", "yield", "list", "static", "print", "new"),
    *("unset", "instanceof", "goto", "global", "echo", "const", "use", "declare", "endif"),
    *("compact", "get_defined_vars", "func_get_args", "parent", "self", "__halt_compiler"),
    *("__class__", "__function__", "__method__", "__namespace__"),
}
_WORDS: Final[Mapping[str, Value]] = {"true": True, "false": False, "null": None}


class Parser:
    """Tokens to expressions; NotUnderstood, with the position unspecified, for anything else."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.changes = 0
        """How many parsed expressions change variables: PHP may read an operand after them."""

    def peek(self, ahead: int = 0) -> Token:
        """Return the next token; an empty one at the end."""
        index = self.position + ahead
        last = self.tokens[-1].line if self.tokens else 1
        return self.tokens[index] if index < len(self.tokens) else Token("op", "", last)

    def take(self) -> Token:
        """Return the next token, and step over it."""
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
            raise NotUnderstood(self.peek())

    def expression(self, level: int = 0) -> Expression:
        """Return an expression whose operators bind at least as tightly as ``level``."""
        left = self._unary()
        while True:
            word = self.peek().word
            if word == "?" and level <= _TERNARY:
                left = self._ternary(left)
            elif word == "??" and level <= _COALESCE:
                self.take()
                left = _default(left, self.expression(_COALESCE), is_missing=_is_null)
            elif word in _SHORT and level <= _SHORT[word]:
                self.take()
                right = _operation(_second_truth, _NOTHING, self.expression(_SHORT[word] + 1), 0)
                settled = _constantly(word in {"||", "or"})
                ways = (settled, right) if word in {"||", "or"} else (right, settled)
                left = _choice(left, *ways)
            elif word in _BINARY and level <= _BINARY[word][0]:
                left = self._binary(left, word)
            else:
                return left

    def _binary(self, left: Expression, word: str) -> Expression:
        token, before = self.take(), self.changes
        level, operate = _BINARY[word]
        right = self.expression(level + 1)
        chained = _BINARY.get(self.peek().word, (0,))[0] == level == _COMPARING
        # PHP may read a variable on the left after it has been changed on the right.
        if self.changes > before or chained:
            raise NotUnderstood(token)
        return _operation(operate, left, right, token.line)

    def _ternary(self, condition: Expression) -> Expression:
        token = self.take()
        if self.accept(":"):
            choice = _default(condition, self.expression(_TERNARY + 1), is_missing=_is_false)
        else:
            yes = self.expression()
            self.expect(":")
            choice = _choice(condition, yes, self.expression(_TERNARY + 1))
        if self.peek().word == "?":
            raise NotUnderstood(token)
        return choice

    def _unary(self) -> Expression:
        token = self.peek()
        word = token.word
        if word == "@":
            self.take()
            return self._unary()
        if word in _UNARY:
            self.take()
            return _prefixed(_UNARY[word], self._unary(), token.line)
        if word in _INCLUDES:
            return self._include()
        if word in {"exit", "die"}:
            return self._exit()
        return self._postfixed(self._primary())

    def _include(self) -> Expression:
        token = self.take()
        path = self.expression(_ASSIGNED)
        self.changes += 1

        def include(scope: Scope) -> Value:
            value = path(scope)
            if isinstance(value, Unknown):
                raise scope.not_known(token.line, f"what it includes is not known: {value.why}")
            if not isinstance(value, str):
                raise scope.not_known(token.line, "what it includes is no text")
            return scope.include(token.word, value, token.line)

        return include

    def _exit(self) -> Expression:
        line = self.take().line
        arguments = self._arguments() if self.accept("(") else []

        def leave(scope: Scope) -> Value:
            for argument in arguments:
                argument(scope)
            raise Exit(scope.file, line)

        return leave

    def _primary(self) -> Expression:
        token = self.take()
        if token.kind in _LITERALS:
            return _LITERALS[token.kind](token)
        if token.kind == "variable":
            return self._variable(token)
        if token.kind == "name":
            return self._named(token)
        if token.word == "[":
            return self._array("]")
        if token.word != "(":
            raise NotUnderstood(token)
        inner = self.expression()
        self.expect(")")
        return inner

    def _variable(self, token: Token) -> Expression:
        keys, before = list[Expression](), self.changes
        while self.accept("["):
            keys.append(self.expression())
            self.expect("]")
        if self.changes > before:
            raise NotUnderstood(token)
        if self.peek().word != "=":
            return _reading(token, keys)
        self.take()
        right = self.expression(_ASSIGNED)
        if keys and (len(keys) > 1 or self.changes > before):
            raise NotUnderstood(token)
        self.changes += 1

        def assign(scope: Scope) -> Value:
            filed = [key(scope) for key in keys]
            value = right(scope)
            scope.assign(token.text, filed, value, token.line)
            return value

        return assign

    def _named(self, token: Token) -> Expression:
        word, line = token.word, token.line
        if word in _BEYOND or "\\" in word:
            raise NotUnderstood(token)
        if self.peek().word == "(":
            return self._function(token)
        if word in _WORDS:
            return _constantly(_WORDS[word])
        if word == "__dir__":
            return lambda scope: posixpath.dirname(scope.file)
        if word == "__file__":
            return lambda scope: scope.file
        return lambda scope: scope.constant(token.text, line)

    def _function(self, token: Token) -> Expression:
        word, line = token.word, token.line
        self.take()
        if word == "array":
            return self._array(")")
        arguments = self._arguments()
        if word == "isset":
            return _isset(arguments)
        if word == "empty" and len(arguments) == 1:
            return _prefixed(_UNARY["!"], arguments[0], line)
        if word == "eval" and len(arguments) == 1:
            self.changes += 1
            return _evaluated(arguments[0], line)
        return lambda scope: call(scope, token.text, [each(scope) for each in arguments], line)

    def _arguments(self) -> list[Expression]:
        arguments: list[Expression] = []
        while not self.accept(")"):
            if self.peek(1).word == ":":
                raise NotUnderstood(self.peek())
            arguments.append(self.expression())
            if self.peek().word != ")":
                self.expect(",")
        return arguments

    def _array(self, end: str) -> Expression:
        pairs: list[tuple[Expression | None, Expression]] = []
        line, before = self.peek().line, self.changes
        while not self.accept(end):
            first = self.expression()
            pairs.append((first, self.expression()) if self.accept("=>") else (None, first))
            if self.peek().word != end:
                self.expect(",")
        if self.changes > before:
            raise NotUnderstood(self.peek(-1))

        def array(scope: Scope) -> Value:
            filed = [(key and key(scope), item(scope)) for key, item in pairs]
            if not any(key for key, _ in pairs):
                return {place: value for place, (_, value) in enumerate(filed)}
            if not all(isinstance(key, str) and array_key(key) == key for key, _ in filed):
                return scope.unknown(line, "it makes an array with unusual keys")
            return {str(key): value for key, value in filed}

        return array

    def _postfixed(self, left: Expression) -> Expression:
        while self.peek().word in {"->", "?->", "::", "[", "(", "++", "--"}:
            token = self.peek()
            self.expect("[")
            left = _indexed(left, self.expression(), token.line)
            self.expect("]")
        return left


def _number(token: Token) -> int | float:
    digits = token.text.lower()
    if re.fullmatch("0x[0-9a-f]{1,15}|0|[1-9][0-9]{0,17}", digits):
        return int(digits, 0)
    if re.fullmatch("0[0-7]{1,20}", digits):
        return int(digits, 8)
    if not re.fullmatch(r"[0-9]+\.[0-9]+", digits):
        raise NotUnderstood(token)
    return float(digits)


def _reading(token: Token, keys: Sequence[Expression]) -> Expression:
    def read(scope: Scope) -> Value:
        filed = [key(scope) for key in keys]
        value = scope.variable(token.text, filed[:1], token.line)
        for key in filed[token.text in SUPER_GLOBALS :]:
            value = _element(scope, value, key, token.line)
        return value

    return read


def _element(scope: Scope, array: Value, key: Value, line: int) -> Value:
    for operand in (array, key):
        if isinstance(operand, Unknown):
            return operand
    if isinstance(array, str) or not isinstance(key, str | int) or isinstance(key, bool):
        return scope.unknown(line, "it takes a part in an unusual way")
    return array.get(array_key(key)) if isinstance(array, dict) else None


def _indexed(left: Expression, key: Expression, line: int) -> Expression:
    return lambda scope: _element(scope, left(scope), key(scope), line)


def _operation(operate: Operation, left: Expression, right: Expression, line: int) -> Expression:
    def operation(scope: Scope) -> Value:
        values = left(scope), right(scope)
        unknown = next((value for value in values if isinstance(value, Unknown)), None)
        try:
            return unknown or operate(*values)
        except Unusual:
            return scope.unknown(line, "it computes in a way that only PHP can tell")

    return operation


def _prefixed(operate: Callable[[Value], Value], right: Expression, line: int) -> Expression:
    return _operation(lambda _, value: operate(value), _NOTHING, right, line)


def _second_truth(_: Value, value: Value) -> Value:
    return truthy(value)


def _constantly(value: Value) -> Expression:
    return lambda _scope: value


_NOTHING: Final = _constantly(None)


def _template(token: Token) -> Expression:
    text = _constantly("")
    for part in token.parts:
        if isinstance(part, str):
            piece = _constantly(part)
        else:
            name, key = part
            keys = [] if key is None else [_constantly(key)]
            piece = _reading(Token("variable", name, token.line), keys)
        text = _operation(join, text, piece, token.line)
    return text


_LITERALS: Final[Mapping[str, Callable[[Token], Expression]]] = {
    "string": lambda token: _constantly(token.text),
    "number": lambda token: _constantly(_number(token)),
    "template": _template,
}


def _isset(arguments: Sequence[Expression]) -> Expression:
    def isset(scope: Scope) -> Value:
        values = [argument(scope) for argument in arguments]
        if any(value is None for value in values):
            return False
        return next((value for value in values if isinstance(value, Unknown)), True)

    return isset


def _evaluated(source: Expression, line: int) -> Expression:
    def evaluate(scope: Scope) -> Value:
        text = source(scope)
        if not isinstance(text, str):
            raise scope.not_known(line, "it runs eval() on what only PHP knows")
        return scope.evaluate(text, line)

    return evaluate


def _is_false(value: Value) -> "bool | Unknown":
    known = truthy(value)
    return known if isinstance(known, Unknown) else not known


def _is_null(value: Value) -> "bool | Unknown":
    return value if isinstance(value, Unknown) else value is None


def _default(
    left: Expression, right: Expression, is_missing: Callable[[Value], "bool | Unknown"]
) -> Expression:
    """``?:`` and ``??``: the left value, or the right one where that is missing."""

    def default(scope: Scope) -> Value:
        value = left(scope)
        missing = is_missing(value)
        if isinstance(missing, Unknown):
            return scope.either(missing, [_constantly(value), right])
        return right(scope) if missing else value

    return default


def _choice(condition: Expression, yes: Expression, no: Expression) -> Expression:
    def choose(scope: Scope) -> Value:
        decided = truthy(condition(scope))
        if isinstance(decided, Unknown):
            return scope.either(decided, [yes, no])
        return yes(scope) if decided else no(scope)

    return choose
