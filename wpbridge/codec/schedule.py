"""The schedule column: what the plugin's schedule objects mean, and when they come next.

Only the row's date decides when it is due. What stands here decides the date of its successor.
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
    "single",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND: Final = -62_135_596_800
"""The start of year 1, where our calendar begins."""
_LAST_SECOND: Final = 253_402_300_799
"""The end of year 9999, where the date columns end."""


def single(at: datetime) -> Single:
    """Once, at ``at``; fractions of its second are dropped."""
    return Single(timestamp=_seconds(at))


def interval(at: datetime, seconds: int) -> Interval:
    """First at ``at``, then ``seconds`` after each run.

    Raises:
        CodecError: For 0 seconds, with which the plugin makes a single schedule.
    """
    if seconds == 0:
        raise CodecError("an interval of 0 seconds does not repeat; use a single schedule")
    start = _seconds(at)
    return Interval(timestamp=start, first_timestamp=start, recurrence=seconds)


def cron_schedule(start: datetime, expression: str, *, zone: tzinfo | None = None) -> Cron:
    """By cron: first at the first match at or after the minute of ``start``.

    Args:
        start: Aware.
        expression: As the plugin understands it.
        zone: Whose wall clock the expression means; None for UTC. The schedule does not hold it,
            so whoever makes the successor must know it again.

    Raises:
        CronError: The plugin refuses the expression, or it never matches.
    """
    parsed = cron.parse(expression)
    first_date = _next_date(parsed, start, zone, allow_current=True)
    return Cron(
        timestamp=_seconds(first_date),
        first_timestamp=_seconds(start) // 60 * 60,
        expression=parsed.expression,
    )


def next_after_run(
    schedule: Schedule, *, ran_at: datetime, zone: tzinfo | None = None
) -> Schedule | None:
    """The successor's schedule, made after a run whatever came of it; None when there is none.

    Args:
        schedule: Of the action that ran.
        ran_at: When the run ended, aware. Its microseconds count: a run within the scheduled
            second is late.
        zone: Whose wall clock a cron expression means; None for UTC, as in the plugin.

    Raises:
        CronError: The expression is unusable or never matches again; here the chain ends.
        CodecError: The next date lies outside of the calendar, before year 1 or after 9999.
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
    """The same date when the run was early; moved to a match if it is none, as the plugin does."""
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
    """Seconds since the epoch, kept within what a timedelta holds."""
    return timedelta(seconds=min(max(seconds, -_LAST_SECOND), _LAST_SECOND + 1))


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)
