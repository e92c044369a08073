"""Choose between the two columns that may hold an action's args."""

from typing import Any

from wpbridge.codec.args import chosen
from wpbridge.store.database.texts import as_bytes


def chosen_args(short: object, extended: object) -> bytes:
    """Return an action's args as the plugin chooses: extended_args unless NULL, empty or "0"."""
    return as_bytes(chosen(_as_given(short), _as_given(extended)))


def _as_given(value: object) -> Any:
    """Return a text as the driver gives it; a number, which SQLite takes too, as its text."""
    return value if isinstance(value, str | bytes) else str(value or "")
