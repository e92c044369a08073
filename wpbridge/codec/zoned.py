"""Finds the next date of a cron expression on the wall clock of a time zone.

:mod:`wpbridge.codec.cron` matches the fields, faults included. It is given wall times as if they
were UTC. When the clock changes, the rules of Vixie cron (cron(8)) hold:

- An expression with fixed hours runs when the wall clock first reaches a matching time. If a spring
  change skips matching times, the expression runs once, at the first moment after the gap. If an
  autumn change brings a matching time twice, the expression runs at the first of the two.
- An expression whose hour field begins with ``*`` follows real time. It does not run at times that
  a gap skips, and it runs twice at times that come twice.

Only the hour field decides which rule holds. A gap may have any length: a skipped day is a gap as
well. Offsets count in whole minutes, since those with seconds belong to history.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import TYPE_CHECKING, Final

from wpbridge.codec import cron
from wpbridge.errors import CronError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_MINUTE: Final = timedelta(minutes=1)
_MAX_GAPS: Final = 100
_SHOWN_CHARS: Final = 60
_LONGEST_ABBREVIATION: Final = 4


def zone_named(name: str) -> "ZoneInfo":
    """Return the time zone of an IANA name, such as ``UTC``. Letter case counts.

    Raises:
        CronError: no zone has this name. The message is one line with the nearest name, if any.
    """
    # The name is looked up in a list, so it is never used as a path.
    if name in _names():
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - most schedules name no zone

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
    """Return the first run after the minute of ``after``, as aware UTC.

    Args:
        expression: its fields are wall times of the zone.
        after: aware, in any zone.
        zone: any zone that follows PEP 495 (fold), as :class:`ZoneInfo` does.
        allow_current: whether the minute of ``after`` itself may be the answer. It is one also if
            it ends a gap in which a time matches.

    Raises:
        CronError: as :func:`cron.next_date`, or the clock skips every match.
        ValueError: ``after`` has no time zone.
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
    # When an hour comes a second time, its matches have been reached already.
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
        # If there is no later match, the repeated time may still have one.
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
    """Return when the clock goes back, if this minute's wall time then comes again, else None."""
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
    """Return the moments at which clocks show this wall time: one, two, or none in a gap."""
    moments = sorted({_moment(wall, zone, fold=fold) for fold in (0, 1)})
    return [moment for moment in moments if _wall(moment, zone) == wall]


def _gap_end(wall: datetime, zone: tzinfo) -> datetime:
    # With the offset after the gap, a time in the gap lies before the change. With the offset
    # before the gap, it lies after the change.
    return _change(_moment(wall, zone, fold=1), _moment(wall, zone, fold=0), zone)


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Return the first minute after ``low``, at most ``high``, that has the offset of ``high``."""
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
    from zoneinfo import available_timezones  # noqa: PLC0415 - as above

    # Some systems have a file for their own local time beside those of the zone database.
    return frozenset(available_timezones() - {"localtime"})


def _nearest(name: str) -> str | None:
    """Return the zone name most like this one. Letter case does not count, a city is enough."""
    import difflib  # noqa: PLC0415 - loads only where a zone is misspelled

    keys = {known.rpartition("/")[2].lower(): known for known in sorted(_names())}
    keys |= {known.lower(): known for known in _names()}
    wanted = name.strip().lower().replace(" ", "_")
    # Abbreviations are left out: each looks like some other one that means something else.
    long_keys = [key for key in keys if len(key) > _LONGEST_ABBREVIATION]
    found = (
        [wanted]
        if wanted in keys
        else difflib.get_close_matches(wanted, long_keys, n=1, cutoff=0.7)
    )
    return keys[found[0]] if found else None
