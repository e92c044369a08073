"""Dates and durations as people write them, to values; pure."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from wpbridge.errors import InputError

_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
_PART: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhdw])\s*")
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def seconds_of(value: object) -> float | None:
    """A number of seconds, a timedelta, or a text such as 90, 55s, 1h30m, 7d, 2w; else None."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    text = value.strip().lower() if isinstance(value, str) else ""
    if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text, re.ASCII):
        return float(text)
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text):
        return None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def parse_duration(value: object, name: str = "a duration") -> timedelta:
    """A span of time; InputError unless :func:`seconds_of` reads it."""
    seconds = seconds_of(value)
    try:
        if seconds is not None:
            return timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        pass
    raise InputError(f"{name}: {value!r} is no time such as 90, 55s, 10m, 1h30m, 7d or 2w")


def parse_moment(text: str, now: datetime, zone: tzinfo = UTC, name: str = "a date") -> datetime:
    """A moment as aware UTC.

    Args:
        text: ``now``, a Unix time (``@`` may stand before it), ISO 8601 with or without a zone, or
            a span after or before now: ``+2h``, ``-7d``.
        now: aware.
        zone: of a date that names none; UTC, as the plugin reads dates.
        name: for the message.

    Raises:
        InputError: it is none of these, or lies outside of the years 1970 to 9999.
    """
    told = text.strip()
    try:
        found = _moment(told, now, zone)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or not _FIRST <= found <= _LAST:
        raise InputError(
            f"{name}: {text!r} is no date such as 2026-12-01T09:00, 2026-12-01T09:00:00Z, now, +2h"
            " or @1796000000"
        )
    return found


def checked_moment(moment: datetime) -> datetime:
    """The moment, if the tables can hold it; InputError outside of the years 1970 to 9999."""
    if not _FIRST <= moment <= _LAST:
        raise InputError(f"a date: {moment} lies outside of the years 1970 to 9999")
    return moment


def _moment(told: str, now: datetime, zone: tzinfo) -> datetime | None:
    if told.lower() == "now":
        return now
    if told[:1] in ("+", "-"):
        seconds = seconds_of(told[1:])
        if seconds is None:
            return None
        return now + timedelta(seconds=seconds if told[0] == "+" else -seconds)
    if re.fullmatch(r"@-?\d{1,12}|\d{9,12}", told, re.ASCII):
        return datetime.fromtimestamp(int(told.removeprefix("@")), UTC)
    # What ISO calls the week or basic form would be read too, and hardly ever be meant.
    if not re.match(r"\d{4}-\d\d-\d\d", told, re.ASCII):
        return None
    found = datetime.fromisoformat(told)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def iso(moment: datetime | None, zone: tzinfo = UTC) -> str | None:
    """Return ``2026-12-01T09:00:00Z``, or in another zone ``2026-12-01T10:00:00+01:00``.

    A moment at the end of the calendar that the zone cannot hold is told in UTC.
    """
    if moment is None:
        return None
    if str(zone) != "UTC":
        with suppress(OverflowError):
            return moment.astimezone(zone).isoformat(timespec="seconds")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
