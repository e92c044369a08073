"""PHP's values, and the conversions and comparisons between them that every PHP does alike.

An :class:`Unknown` is a value that only PHP can tell. It says where and why, and travels through
every operator. Whatever differs between PHP 7 and 8, or hangs on settings of PHP, is Unknown too.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from wpbridge.site.wpconfig.tokens import from_bytes, to_bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only PHP can tell, and the place that made it so."""

    file: str
    line: int
    why: str
    maybe: bool = False
    """It may not even be set."""


Value: TypeAlias = bool | int | float | str | Unknown | None

LONGEST_TEXT: Final = 1 << 14
"""Characters of a text that is put together. A setting is far shorter."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_LIKE_A_NUMBER: Final = re.compile(r"\s*[-+.0-9]")


class Unusual(Exception):
    """The operation is one that PHP versions, or their settings, do differently."""


def truthy(value: Value) -> "bool | Unknown":
    """Return how ``if`` sees a value."""
    if isinstance(value, Unknown):
        return value
    return value not in ("", "0") if isinstance(value, str) else bool(value)


def to_text(value: Value) -> "str | Unknown":
    """Return how ``.`` and ``(string)`` see a value. Unusual for fractions."""
    if isinstance(value, Unknown | str):
        return value
    if isinstance(value, float):
        raise Unusual
    return "" if value is None or value is False else str(int(value))


def to_integer(value: Value) -> "int | Unknown":
    """Return how ``(int)`` sees a value. Unusual for what is no whole number."""
    if isinstance(value, Unknown):
        return value
    if isinstance(value, float) or (isinstance(value, str) and not _INTEGER.fullmatch(value)):
        raise Unusual
    return int(value or 0)


def join(left: Value, right: Value) -> str:
    """Return two known values as one text. A character's bytes may come from both sides.

    Unusual for a text of more than :data:`LONGEST_TEXT` characters: sixty lines that double one
    would make it larger than any memory.
    """
    parts = str(to_text(left)), str(to_text(right))
    if sum(map(len, parts)) > LONGEST_TEXT:
        raise Unusual
    return from_bytes(to_bytes("".join(parts)))


def identical(left: Value, right: Value) -> bool:
    """Return how ``===`` sees two known values."""
    return type(left) is type(right) and left == right


def equal(left: Value, right: Value) -> bool:
    """Return how ``==`` sees two known values. Unusual where PHP 7 and 8 differ."""
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
