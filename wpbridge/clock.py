"""The one place that asks for the time, and the conversion of dates to and from table texts.

The tables hold UTC without a zone, to the second. Everything inside wpbridge is aware UTC.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_COUNTER: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

ZERO_DATE = "0000-00-00 00:00:00"
"""The text that the plugin's tables hold where there is no date."""


class Clock(Protocol):
    """Tells the time of day, and counts seconds without ever going back."""

    def now(self) -> datetime:
        """Return the time as aware UTC, with microseconds."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since some moment. Those in which the host slept count as well."""
        ...


class SystemClock:
    """The clock of this host, which PHP uses too. The database's clock is never asked."""

    def now(self) -> datetime:
        """See :class:`Clock`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See :class:`Clock`."""
        return seconds_since_boot()


def seconds_since_boot() -> float:
    """Return the seconds since some moment. The count goes on while the host is suspended.

    CLOCK_MONOTONIC stands still during that time, so a runner that used it would trust claims
    that others have taken over meanwhile. It is used only where CLOCK_BOOTTIME is missing.
    """
    return time.clock_gettime(_COUNTER)


def to_text(moment: datetime) -> str:
    """Return a date as ``YYYY-MM-DD HH:MM:SS``, as the tables hold it. No zone is converted."""
    return str(moment)[:19]


def rounded_up(moment: datetime) -> datetime:
    """Return the first whole second that is not before a moment. The tables hold whole seconds.

    There is none after the last second of the year 9999. Within it, that second is returned.
    """
    left = datetime.max.replace(tzinfo=moment.tzinfo) - moment
    most = timedelta(seconds=1) - timedelta.resolution
    return (moment + min(most, left)).replace(microsecond=0)


def bound_text(moment: datetime) -> str:
    """Return a moment as a bound for the tables' dates, which are whole seconds.

    It is rounded up: a date lies before the bound exactly when it lies before the moment.
    """
    return to_text(rounded_up(moment))


def from_text(text: str | None) -> datetime | None:
    """Return a table's date as aware UTC. None for NULL, the zero date and unreadable text."""
    if not text or text.startswith("0000"):
        return None
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None


def from_timestamp(seconds: int) -> datetime:
    """Return a Unix time as aware UTC."""
    return datetime.fromtimestamp(seconds, UTC)
