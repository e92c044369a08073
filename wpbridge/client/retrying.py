"""Decide when a request is sent again: pure functions, without a clock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

STATUSES: Final = frozenset({408, 429, 502, 503, 504})
"""Answers after which the same request may do better."""
FIRST_SECONDS: Final = 0.25
LONGEST_SECONDS: Final = 8.0


def pause(tries: int, retry_after: float | None, chance: float) -> float:
    """Return the seconds to wait before the next try.

    Never less than the server asks for. Chance spreads those who were refused at the same time.

    Args:
        tries: how often it was tried, from 1.
        retry_after: the seconds that the server asks for; None when it does not.
        chance: a number from 0 to 1.
    """
    spread = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(tries, 16)) / 2
    least = spread if retry_after is None else retry_after
    return least + spread * chance


def retry_after_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, a number or a date; None for none."""
    told = headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdigit():
        return float(told[:9])
    try:
        at = parsedate_to_datetime(told)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
