"""The schedule column of an action: makes schedules, and finds the date of the successor.

When an action is due is decided by the row's date alone. Its schedule decides when its successor
is due.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from wpbridge.codec import cron, zoned
from wpbridge.codec.schedule_blob import PREFIX_BYTES, class_of, decode, encode
from wpbridge.codec.schedule_kinds import (
    KNOWN_CLASSES,
    Async,
    Canceled,
    Cron,
    ForeignSchedule,
    Interval,
    Schedule,
    Single,
)
from wpbridge.errors import CodecError

__all__ = [
    "KNOWN_CLASSES",
    "PREFIX_BYTES",
    "Async",
    "Canceled",
    "Cron",
    "ForeignSchedule",
    "Interval",
    "Schedule",
    "Single",
    "class_of",
    "cron_schedule",
    "decode",
    "encode",
    "interval",
    "next_after_run",
    "recurring",
    "single",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND: Final = -62_135_596_800
"""The start of year 1, where Python's calendar begins."""
_LAST_SECOND: Final = 253_402_300_799
"""The end of year 9999, where the date columns end."""


def single(at: datetime) -> Single:
    """Make a schedule that runs once, at ``at``. Fractions of a second are dropped."""
    return Single(timestamp=_seconds(at))


def interval(at: datetime, seconds: int) -> Interval:
    """Make a schedule that runs first at ``at``, then ``seconds`` after each run.

    Raises:
        CodecError: ``seconds`` is 0. The plugin makes a single schedule then.
    """
    if seconds == 0:
        raise CodecError("an interval of 0 seconds does not repeat; use a single schedule")
    start = _seconds(at)
    return Interval(timestamp=start, first_timestamp=start, recurrence=seconds)


def cron_schedule(start: datetime, expression: str, *, zone: tzinfo | None = None) -> Cron:
    """Make a schedule by cron. It runs first at the first match from the minute of ``start`` on.

    Args:
        start: aware.
        expression: as the plugin understands it.
        zone: the zone whose wall clock the expression means; None for UTC. The schedule does not
            contain it, so the caller has to keep it and pass it to :func:`next_after_run`.

    Raises:
        CronError: the plugin refuses the expression, or it never matches.
    """
    parsed = cron.parse(expression)
    first_date = _next_date(parsed, start, zone, allow_current=True)
    return Cron(
        timestamp=_seconds(first_date),
        first_timestamp=_seconds(start) // 60 * 60,
        expression=parsed.expression,
    )


def recurring(blob: bytes) -> Interval | Cron | None:
    """Decode a schedule that repeats. None for any other, and for one that cannot be read."""
    try:
        found = decode(blob)
    except CodecError:
        return None
    return found if isinstance(found, Interval | Cron) and found.is_recurring else None


def next_after_run(
    schedule: Schedule, *, ran_at: datetime, zone: tzinfo | None = None
) -> Schedule | None:
    """Return the successor's schedule, after a run that succeeded or failed. None if it has none.

    Args:
        schedule: the schedule of the action that ran.
        ran_at: when the run ended, aware. Microseconds count: a run within the scheduled second
            is late.
        zone: the zone whose wall clock a cron expression means; None for UTC, as in the plugin.

    Raises:
        CronError: the expression is unusable or never matches again, so the chain ends.
        CodecError: the next date lies outside of the calendar, before year 1 or after 9999.
    """
    if not isinstance(schedule, Interval | Cron) or not schedule.is_recurring:
        return None
    due = schedule.timestamp
    is_early = due is not None and ran_at - _EPOCH <= _span(due)
    if isinstance(schedule, Cron):
        following = _next_match(schedule, due if is_early else None, ran_at, zone)
    elif is_early and due is not None:
        following = due
    else:
        following = _seconds(ran_at) + schedule.seconds
    if following > _LAST_SECOND:
        raise CodecError("the next date lies beyond the year 9999")
    if following < _FIRST_SECOND:
        raise CodecError("the next date lies before the year 1")
    first = next(
        known for known in (schedule.first_timestamp, due, _seconds(ran_at)) if known is not None
    )
    return replace(schedule, timestamp=following, first_timestamp=first)


def _next_match(
    schedule: Cron, same_date: int | None, ran_at: datetime, zone: tzinfo | None
) -> int:
    """Return the next match, or for an early run the same date (moved on until it matches)."""
    parsed = cron.parse(schedule.expression)
    if same_date is None:
        return _seconds(_next_date(parsed, ran_at, zone))
    if same_date > _LAST_SECOND:
        return same_date
    return _seconds(_next_date(parsed, _EPOCH + _span(same_date), zone, allow_current=True))


def _next_date(
    expression: cron.CronExpression,
    after: datetime,
    zone: tzinfo | None,
    *,
    allow_current: bool = False,
) -> datetime:
    if zone is None:
        return cron.next_date(expression, after, allow_current=allow_current)
    return zoned.next_date(expression, after, zone, allow_current=allow_current)


def _span(seconds: int) -> timedelta:
    """Return Unix seconds as a timedelta, cut to what a timedelta can hold."""
    return timedelta(seconds=min(max(seconds, -_LAST_SECOND), _LAST_SECOND + 1))


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)
