"""Read ids of rows that somebody has typed, or that stand in an address or in a log."""

from wpbridge.action import ActionId

_MOST_DIGITS = 19


def id_of(told: str) -> ActionId | None:
    """Return the id of a row; None for what can be none."""
    is_number = told.isascii() and told.isdigit() and len(told) <= _MOST_DIGITS
    return ActionId(int(told)) if is_number and 0 < int(told) < 1 << 63 else None
