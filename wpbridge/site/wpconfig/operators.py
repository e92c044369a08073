"""PHP's operators, as far as the reader knows them: how tightly they bind, and their results."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from wpbridge.site.wpconfig.values import (
    Unknown,
    Unusual,
    Value,
    equal,
    identical,
    join,
    to_text,
    truthy,
)

Operation: TypeAlias = Callable[[Value, Value], Value]


def _either_bit(left: Value, right: Value) -> Value:
    if type(left) is not int or type(right) is not int:
        raise Unusual
    return left | right


def _only_php(_left: Value, _right: Value) -> Value:
    raise Unusual


def negated(value: Value) -> "bool | Unknown":
    """Compute ``!value``."""
    return value if isinstance(value, Unknown) else not truthy(value)


def is_set(value: Value) -> "bool | Unknown":
    """Tell whether a value is not null."""
    return value if isinstance(value, Unknown) else value is not None


_ONLY_PHP: Final = "^ & < <= > >= << >> + - * / %"
"""Operators that are not computed: an expression with one of them is unknown as a whole."""
_ORDER: Final = ("or", "and", "", "?", "??", "||", "&&", "|", "=== !== == !=", ".", _ONLY_PHP)
"""Operators from the loosest to the tightest. Assignments bind where the empty text stands."""
ASSIGNED: Final = _ORDER.index("")
LEVELS: Final = {word: level for level, words in enumerate(_ORDER) for word in words.split()}
BINARY: Final[Mapping[str, Operation]] = {
    "|": _either_bit,
    "===": identical,
    "!==": lambda a, b: not identical(a, b),
    "==": equal,
    "!=": lambda a, b: not equal(a, b),
    ".": join,
    **dict.fromkeys(_ONLY_PHP.split(), _only_php),
}
UNARY: Final[Mapping[str, Operation]] = {
    "!": lambda _, value: negated(value),
    "(string)": lambda _, value: to_text(value),
    "(bool)": lambda _, value: truthy(value),
    **dict.fromkeys(("(int)", "-", "+", "~"), _only_php),
}
SETTLES: Final = {"||": True, "or": True, "&&": False, "and": False}
"""The left side with which the result is settled, so that PHP does not run the right side."""
