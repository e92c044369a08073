"""PHP's values, with the conversions and comparisons that are the same in every PHP.

An :class:`Unknown` is a value that only PHP knows. It says where and why it became unknown, and
every operator passes it on. What differs between PHP 7 and 8, or depends on settings of PHP, is
unknown too.
"""

import re
from typing import Final, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.site.wpconfig.tokens import from_bytes, to_bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only PHP knows, and the place where it became unknown."""

    file: str
    line: int
    why: str
    maybe: bool = False
    """Whether it is also unknown if the value is set at all."""


Value: TypeAlias = bool | int | float | str | Unknown | None

LONGEST_TEXT: Final = 1 << 14
"""How many characters a joined text may have. No setting is nearly as long."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_LIKE_A_NUMBER: Final = re.compile(r"\s*[-+.0-9]")


class Unusual(Exception):
    """The result of an operation depends on PHP's version or settings."""


def truthy(value: Value) -> "bool | Unknown":
    """Convert a value as ``if`` does."""
    if isinstance(value, Unknown):
        return value
    return value not in ("", "0") if isinstance(value, str) else bool(value)


def to_text(value: Value) -> "str | Unknown":
    """Convert a value as ``.`` and ``(string)`` do. Raises Unusual for a float."""
    if isinstance(value, Unknown | str):
        return value
    if isinstance(value, float):
        raise Unusual
    return "" if value is None or value is False else str(int(value))


def to_integer(value: Value) -> "int | Unknown":
    """Convert a value as ``(int)`` does. Raises Unusual for what is no whole number."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, float) or (isinstance(value, str) and not _INTEGER.fullmatch(value)):
        raise Unusual
    return int(value or 0)


def join(left: Value, right: Value) -> str:
    """Join two known values to one text. The bytes of one character may come from both sides.

    Raises Unusual for a text of more than :data:`LONGEST_TEXT` characters. Otherwise sixty lines
    that each double a text could use up all memory.
    """
    parts = str(to_text(left)), str(to_text(right))
    if sum(map(len, parts)) > LONGEST_TEXT:
        raise Unusual
    return from_bytes(to_bytes("".join(parts)))


def identical(left: Value, right: Value) -> bool:
    """Compare two known values as ``===`` does."""
    return type(left) is type(right) and left == right


def equal(left: Value, right: Value) -> bool:
    """Compare two known values as ``==`` does. Raises Unusual where PHP 7 and 8 differ."""
    if isinstance(left, bool) or isinstance(right, bool):
        return truthy(left) is truthy(right)
    if left is None or right is None:
        other = right if left is None else left
        return other == "" if isinstance(other, str) else not other
    texts = (str(left), str(right))
    if all(_INTEGER.fullmatch(text) for text in texts):
        return int(texts[0]) == int(texts[1])
    if not (isinstance(left, str) and isinstance(right, str)):
        raise Unusual
    if left != right and all(_LIKE_A_NUMBER.match(text) for text in texts):
        raise Unusual
    return left == right
