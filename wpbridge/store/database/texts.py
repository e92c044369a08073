"""What columns hold, as bytes or numbers; and which of the two columns holds an action's args."""

from collections.abc import Collection
from datetime import datetime

from wpbridge.clock import from_text
from wpbridge.codec.args import chosen
from wpbridge.store.schema.charsets import to_bytes


def as_bytes(value: object) -> bytes:
    """The bytes of a text column, as PHP has them; none for NULL."""
    return value if isinstance(value, bytes) else to_bytes(str(value or ""))


def chosen_args(short: object, extended: object) -> bytes:
    """The args of an action, as the plugin chooses: extended_args unless NULL, empty or "0"."""
    return chosen(as_bytes(short), as_bytes(extended))


def date(value: object) -> datetime | None:
    """Read a date column; None for NULL and for the zero date."""
    return from_text(None if value is None else str(value))


def number(value: object) -> int:
    """A whole number; 0 for what is none, since SQLite lets a column hold anything."""
    try:
        return int(str(value))
    except ValueError:
        return 0


def listed(ids: Collection[int]) -> str:
    """Whole numbers, whatever they were given as."""
    return f"({', '.join(str(int(i)) for i in sorted(ids))})"


def split(told: str) -> list[int]:
    """Read a list of ids. What is no number, since somebody has edited the row, names nothing."""
    return [int(part) for part in told.split(",") if part.isascii() and part.isdigit()]


def as_text(value: object) -> str | None:
    """The text of a column whatever the driver gives; bytes that are no UTF-8 are surrogates."""
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
