"""Read what columns contain as bytes, dates or numbers."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from wpbridge.clock import from_text
from wpbridge.store.schema.charsets import to_bytes

_DIGITS: Final = 19
"""No id has more."""


def as_bytes(value: object) -> bytes:
    """Return the bytes of a text column as PHP has them; empty for NULL."""
    return value if isinstance(value, bytes) else to_bytes(str(value or ""))


def date(value: object) -> datetime | None:
    """Read a date column; return None for NULL and for the zero date."""
    return from_text(None if value is None else str(value))


def number(value: object) -> int:
    """Read a whole number; return 0 for anything else, which a column of SQLite may contain."""
    if type(value) is int:
        return value
    try:
        return int(str(value))
    except ValueError:
        return 0


def listed(ids: Collection[int]) -> str:
    """Return ids as a list for SQL, such as ``(1, 2)``. Each is made a whole number first."""
    return f"({', '.join(str(int(i)) for i in sorted(ids))})"


def split(told: str) -> list[int]:
    """Read a list of ids. Parts that are none are left out: somebody has edited the row."""
    digits = (part for part in told.split(",") if part.isascii() and part.isdigit())
    return [int(part) for part in digits if len(part) <= _DIGITS and int(part) < 1 << 63]


def as_text(value: object) -> str | None:
    """Return a column's text, whatever the driver gives. Bytes that are no UTF-8 are surrogates."""
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
