"""What a requeue adds for an ended action, and what a reschedule writes. Pure."""

from dataclasses import replace
from datetime import datetime

from wpbridge.action import NewAction
from wpbridge.codec import schedule
from wpbridge.queue.enqueue import zoned_cron
from wpbridge.store.records import Record


def requeued(
    record: Record,
    due: datetime,
    recurrence: schedule.Interval | schedule.Cron | None,
    *,
    zone: str | None,
    is_async: bool,
) -> NewAction:
    """Return the same work once more, with ``recurrence`` again and again.

    ``zone`` is the time zone that the row's cron expression is read in, if it is not UTC.
    """
    new: schedule.Schedule = schedule.Async() if is_async else schedule.single(due)
    if recurrence is not None:
        new = replace(recurrence, timestamp=int(due.timestamp()))
    return NewAction(
        hook=record.hook,
        args=args_text(record),
        schedule=schedule.encode(new),
        scheduled_at=due,
        is_async=isinstance(new, schedule.Async),
        group=record.group,
        group_id=record.group_id,
        priority=record.priority,
        zoned=zoned_cron(new, zone),
    )


def rescheduled(
    record: Record,
    wanted: NewAction,
    recurrence: schedule.Interval | schedule.Cron | None,
    *,
    zone: str | None,
) -> NewAction:
    """Return the row with the date and the schedule of ``wanted``; a ``recurrence`` is kept."""
    if recurrence is not None:
        kept = replace(recurrence, timestamp=int(wanted.scheduled_at.timestamp()))
        wanted = replace(wanted, schedule=schedule.encode(kept), zoned=zoned_cron(kept, zone))
    return replace(wanted, hook=record.hook, args=args_text(record), group_id=record.group_id)


def args_text(record: Record) -> str:
    """Return the args of a row as text."""
    return record.args.decode("utf-8", "replace")
