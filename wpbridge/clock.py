"""Time: one place that asks for it, and its text at the edge of the tables.

The tables hold UTC without a zone, to the second. Everything inside wpbridge is aware UTC.
"""

import time
from datetime import UTC, datetime
from typing import Final, Protocol

_COUNTER: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

ZERO_DATE = "0000-00-00 00:00:00"
"""What the plugin's tables hold for "never"."""


class Clock(Protocol):
    """Now, and a counter that never goes back."""

    def now(self) -> datetime:
        """Aware UTC, with microseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, those in which the host slept included."""
        ...


class SystemClock:
    """The host's clock, as PHP uses it: never the database's."""

    def now(self) -> datetime:
        """See :class:`Clock`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See :class:`Clock`."""
        return seconds_since_boot()


def seconds_since_boot() -> float:
    """Return seconds since some moment, counted on while the host is suspended.

    CLOCK_MONOTONIC stands still then, so a runner would go on trusting claims that others have
    taken over meanwhile. Where there is no CLOCK_BOOTTIME it is all there is.
    """
    return time.clock_gettime(_COUNTER)


def to_text(moment: datetime) -> str:
    """``YYYY-MM-DD HH:MM:SS`` as the tables hold it; wall-clock of the value as given."""
    return str(moment)[:19]


def from_text(text: str | None) -> datetime | None:
    """A table date as aware UTC; None for NULL, the zero date and unreadable text."""
    if not text or text.startswith("0000"):
        return None
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None


def from_timestamp(seconds: int) -> datetime:
    """A Unix time as aware UTC."""
    return datetime.fromtimestamp(seconds, UTC)
