"""Next dates of cron expressions on the wall clock of a time zone, across its clock changes.

The fields are matched by :mod:`wpbridge.codec.cron`, faults included: it is given wall times that
only look like UTC. What a change of the clock does is borrowed from Vixie cron (cron(8)):

- An expression with fixed hours runs when the wall clock first reaches a matching time. A time
  that a spring change leaves out is reached by the jump over it, so it runs at the first moment
  after the gap, once however many matches lie in the gap. A time that an autumn change brings
  twice is reached the first time.
- An expression whose hour field begins with ``*`` follows real time: what a gap leaves out is left
  out, and what comes twice runs twice.

Only the hour field tells which of the two it is, and a gap may be of any length: a skipped day is
a gap as well. Offsets count in whole minutes; those with seconds are history.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from wpbridge.codec import cron
from wpbridge.errors import CronError

_MINUTE: Final = timedelta(minutes=1)
_MAX_GAPS: Final = 100
_SHOWN_CHARS: Final = 60
_LONGEST_ABBREVIATION: Final = 4


def zone_named(name: str) -> ZoneInfo:
    """The zone of an IANA name, spelled exactly; ``UTC`` is one.

    Raises:
        CronError: There is no zone of that name; in one line, with the nearest name if any.
    """
    # Asking for the list, not for a file, keeps paths out.
    if name in _names():
        return ZoneInfo(name)
    shown = name[:_SHOWN_CHARS]
    nearest = _nearest(shown)
    hint = f"; did you mean {nearest}?" if nearest else ", use one like Europe/Rome or UTC"
    raise CronError(f"there is no time zone {shown!a}{hint}")


def next_date(
    expression: cron.CronExpression,
    after: datetime,
    zone: tzinfo,
    *,
    allow_current: bool = False,
) -> datetime:
    """The first run later than the minute of ``after``, or also at it; aware UTC, no seconds.

    Args:
        expression: Its fields are wall times of the zone.
        after: Aware, in any zone.
        zone: Any that keeps to PEP 495 (fold), as :class:`ZoneInfo` does.
        allow_current: Whether the minute of ``after`` itself may be the answer. A gap's end is one
            if a time in the gap matches.

    Raises:
        CronError: As :func:`cron.next_date`, or the clock skips every match.
    """
    if after.tzinfo is None:
        raise ValueError("a date without a time zone")
    search = _next_pass if expression.parts[1].startswith("*") else _next_reached
    try:
        minute = after.astimezone(UTC).replace(second=0, microsecond=0)
        return search(expression, minute, zone, allow_current=allow_current)
    except (OverflowError, ValueError) as error:
        raise CronError("Impossible CRON expression: no date is that large") from error


# Fixed hours: when the wall clock first reaches a match


def _next_reached(
    expression: cron.CronExpression, minute: datetime, zone: tzinfo, *, allow_current: bool
) -> datetime:
    if allow_current and _ends_a_matching_gap(expression, minute, zone):
        return minute
    start, earliest = _wall(minute, zone), minute if allow_current else minute + _MINUTE
    # In the second pass of an hour, its other matches have been reached already.
    matches = _matches(expression, start, allow_current=allow_current)
    return next(at for wall in matches if (at := _reached(wall, zone)) >= earliest)


def _ends_a_matching_gap(expression: cron.CronExpression, minute: datetime, zone: tzinfo) -> bool:
    left_out = minute + _offset((minute - _MINUTE).astimezone(zone))
    end = _wall(minute, zone)
    return left_out < end and cron.next_date(expression, left_out, allow_current=True) < end


def _matches(
    expression: cron.CronExpression, wall: datetime, *, allow_current: bool
) -> Iterator[datetime]:
    while True:
        wall = cron.next_date(expression, wall, allow_current=allow_current)
        yield wall
        allow_current = False


def _reached(wall: datetime, zone: tzinfo) -> datetime:
    passes = _passes(wall, zone)
    return passes[0] if passes else _gap_end(wall, zone)


# Every hour: each time a match is passed


def _next_pass(
    expression: cron.CronExpression, minute: datetime, zone: tzinfo, *, allow_current: bool
) -> datetime:
    repeat = _coming_repeat(minute, zone)
    if repeat is not None:
        wall = _wall(minute, zone)
        # Without a later match, there may still be one in the repeat.
        with suppress(CronError):
            match = cron.next_date(expression, wall, allow_current=allow_current)
            if minute + (match - wall) < repeat:
                return minute + (match - wall)
        minute, allow_current = repeat, True
    for _ in range(_MAX_GAPS):
        wall = cron.next_date(expression, _wall(minute, zone), allow_current=allow_current)
        for at in _passes(wall, zone):
            if at >= minute:
                return at
        minute, allow_current = _gap_end(wall, zone), True
    raise CronError("Impossible CRON expression: the time zone leaves out all its dates")


def _coming_repeat(minute: datetime, zone: tzinfo) -> datetime | None:
    """When the clock goes back, if it then comes by this minute's wall time again."""
    again = _moment(_wall(minute, zone), zone, fold=1)
    return _change(minute, again, zone) if again > minute else None


# Wall time, written as if it were UTC, and moments


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment + _offset(moment.astimezone(zone))


def _moment(wall: datetime, zone: tzinfo, *, fold: int) -> datetime:
    return wall - _offset(wall.replace(tzinfo=zone, fold=fold))


def _offset(local: datetime) -> timedelta:
    return (local.utcoffset() or timedelta(0)) // _MINUTE * _MINUTE


def _passes(wall: datetime, zone: tzinfo) -> list[datetime]:
    """The moments at which clocks show this time, in order: one, two, or none in a gap."""
    moments = sorted({_moment(wall, zone, fold=fold) for fold in (0, 1)})
    return [moment for moment in moments if _wall(moment, zone) == wall]


def _gap_end(wall: datetime, zone: tzinfo) -> datetime:
    # Read with the offset after the gap, a time in it lies before the change, and vice versa.
    return _change(_moment(wall, zone, fold=1), _moment(wall, zone, fold=0), zone)


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The first minute after ``low``, up to ``high``, with the offset of ``high``."""
    before = _offset(low.astimezone(zone))
    while high - low > _MINUTE:
        middle = low + (high - low) // _MINUTE // 2 * _MINUTE
        if _offset(middle.astimezone(zone)) == before:
            low = middle
        else:
            high = middle
    return high


# Names


@cache
def _names() -> frozenset[str]:
    # Some systems keep a file for their own time beside those of the database.
    return frozenset(available_timezones() - {"localtime"})


def _nearest(name: str) -> str | None:
    """The name most like it, letter case aside; the city alone will do."""
    keys = {known.rpartition("/")[2].lower(): known for known in sorted(_names())}
    keys |= {known.lower(): known for known in _names()}
    wanted = name.strip().lower().replace(" ", "_")
    # Among abbreviations each is like some other, whatever it means.
    long_keys = [key for key in keys if len(key) > _LONGEST_ABBREVIATION]
    found = [wanted] if wanted in keys else get_close_matches(wanted, long_keys, n=1, cutoff=0.7)
    return keys[found[0]] if found else None
