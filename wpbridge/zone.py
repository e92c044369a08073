"""A site's time zone, and the local dates the plugin derives from it.

No date with ``_local`` in its name decides anything; they are written so that rows look as PHP's.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

_OFFSET = re.compile(r"([+-])(\d{1,2}):?([0-5]\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """The options ``timezone_string`` and ``gmt_offset``, understood.

    Every date given is aware UTC; every date returned is naive, to the second, as stored.
    """

    named: tzinfo | None = None
    """The zone of ``timezone_string``; None when that is empty or unknown."""
    offset: timedelta = timedelta(0)
    """From ``gmt_offset``; counts only without a name."""

    @classmethod
    def from_options(cls, timezone_string: str | None, gmt_offset: str | None) -> "Zone":
        """From the options' texts, None where an option is missing; never fails."""
        return cls(named=_named((timezone_string or "").strip()), offset=_offset(gmt_offset or ""))

    def attempt_local(self, utc: datetime) -> datetime:
        """``last_attempt_local``: the site's time, as ``current_time('mysql')``."""
        return self._in_name(utc) if self.named else _naive(utc + self.offset)

    def scheduled_local(self, utc: datetime, is_async: bool) -> datetime:  # noqa: FBT001 - a fact
        """``scheduled_date_local``: UTC for async rows and (the plugin's defect) bare offsets."""
        return _naive(utc) if is_async else self._in_name(utc)

    def log_local(self, utc: datetime) -> datetime:
        """``log_date_local``: UTC when there is only an offset (the same defect)."""
        return self._in_name(utc)

    def __str__(self) -> str:
        return str(self.named) if self.named else str(timezone(self.offset))

    def _in_name(self, utc: datetime) -> datetime:
        try:
            return _naive(utc.astimezone(self.named) if self.named else utc)
        except OverflowError:
            # The last hours of the calendar, east of UTC.
            return _naive(utc)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None, microsecond=0)


def _named(name: str) -> tzinfo | None:
    if match := _OFFSET.fullmatch(name):
        hours, minutes = int(match[2]), int(match[3] or 0)
        size = timedelta(hours=hours, minutes=minutes)
        return timezone(size if match[1] == "+" else -size) if size < timedelta(days=1) else None
    if name.upper() in {"UTC", "Z"}:
        return UTC
    return _zone(name) if name else None


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # PHP takes names in any case; files know one.
        exact = {known.lower(): known for known in available_timezones()}.get(name.lower())
        return ZoneInfo(exact) if exact else None


def _offset(text: str) -> timedelta:
    """Hours as WordPress counts them: whole minutes, the rest cut off."""
    try:
        minutes = math.trunc(float(text.strip() or 0) * 60)
        return timedelta(minutes=minutes) if abs(minutes) < 24 * 60 else timedelta(0)
    except (ValueError, OverflowError):
        return timedelta(0)
