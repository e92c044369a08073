"""Reads dates and durations as people write them; pure."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from wpbridge.errors import InputError

_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
_PART: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhdw])\s*")
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def seconds_of(value: object) -> float | None:
    """Return a span in seconds, from a number, a timedelta, or a text such as 90, 1h30m or 7d.

    None for any other value.
    """
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
    """Return a span of time.

    Raises:
        InputError: :func:`seconds_of` cannot read the value. The message begins with ``name``.
    """
    seconds = seconds_of(value)
    try:
        if seconds is not None:
            return timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        pass
    raise InputError(f"{name}: {value!r} is no time such as 90, 55s, 10m, 1h30m, 7d or 2w")


def parse_moment(text: str, now: datetime, zone: tzinfo = UTC, name: str = "a date") -> datetime:
    """Return a moment as aware UTC.

    Args:
        text: ``now``, a Unix time (``@`` may stand before it), ISO 8601 with or without a zone, or
            a span after or before now, such as ``+2h`` and ``-7d``.
        now: the present time, aware.
        zone: the zone of a date that names none. The plugin reads such dates as UTC.
        name: what the message calls the value.

    Raises:
        InputError: the text is none of these, or lies outside of the years 1970 to 9999.
    """
    stripped = text.strip()
    try:
        found = _moment(stripped, now, zone)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or not _FIRST <= found <= _LAST:
        raise InputError(
            f"{name}: {text!r} is no date such as 2026-12-01T09:00, 2026-12-01T09:00:00Z, now, +2h"
            " or @1796000000"
        )
    return found


def checked_moment(moment: datetime) -> datetime:
    """Return the moment itself, if the tables can hold it.

    Raises:
        InputError: the moment lies outside of the years 1970 to 9999.
    """
    if not _FIRST <= moment <= _LAST:
        raise InputError(f"a date: {moment} lies outside of the years 1970 to 9999")
    return moment


def _moment(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    if text.lower() == "now":
        return now
    if text[:1] in ("+", "-"):
        seconds = seconds_of(text[1:])
        if seconds is None:
            return None
        return now + timedelta(seconds=seconds if text[0] == "+" else -seconds)
    if re.fullmatch(r"@-?\d{1,12}|\d{9,12}", text, re.ASCII):
        return datetime.fromtimestamp(int(text.removeprefix("@")), UTC)
    # fromisoformat() would also read ISO's week and basic forms, which hardly anybody means.
    if not re.match(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return None
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def iso(moment: datetime | None, zone: tzinfo = UTC) -> str | None:
    """Return ``2026-12-01T09:00:00Z``, or in another zone ``2026-12-01T10:00:00+01:00``.

    A moment at the end of the calendar that the zone cannot express is written in UTC.
    """
    if moment is None:
        return None
    if str(zone) != "UTC":
        with suppress(OverflowError):
            return moment.astimezone(zone).isoformat(timespec="seconds")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
