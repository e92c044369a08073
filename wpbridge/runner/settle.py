"""From an outcome to an ending: statuses, log rows, successors. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from wpbridge.action import Action, NewAction, Status, ZonedCron
from wpbridge.clock import from_timestamp
from wpbridge.codec import args, schedule, zoned
from wpbridge.errors import CodecError, CronError
from wpbridge.outcome import (
    Booked,
    Canceled,
    Completed,
    Failed,
    LogLine,
    Outcome,
    Retried,
    Snoozed,
    Unrun,
)
from wpbridge.runner import wording
from wpbridge.store.base import Ending

SHORTEST_RETRY = timedelta(seconds=1)
"""So that a handler which always asks to run again at once cannot hold a run for ever."""


def ending_of(
    action: Action,
    outcome: Outcome,
    *,
    started_at: datetime,
    ended_at: datetime,
    marked: bool,
    said: Sequence[LogLine] = (),
) -> Ending:
    """What an outcome means for the tables (as `process_action` in action-scheduler 3.9).

    Args:
        action: the row as claimed.
        outcome: what the run said.
        started_at: aware UTC.
        ended_at: aware UTC; the next date of a recurring action counts from here.
        marked: the start is in the tables already, its log row included.
        said: what the handler logged and is not in the tables yet.
    """
    before = [*([] if marked else [wording.started(started_at)]), *said]
    match outcome:
        case Completed():
            lines = [*before, wording.completed(ended_at)]
            return _final(action, Status.COMPLETE, ended_at, lines, marked=marked)
        case Failed(reason=reason, detail=detail):
            lines = [*before, wording.failed(ended_at, reason)]
            lines += [wording.detail(ended_at, detail)] if detail else []
            return _final(action, Status.FAILED, ended_at, lines, marked=marked)
        case Canceled(reason=reason):
            lines = [*before, wording.canceled(ended_at, reason)]
            return _ended(action, Status.CANCELED, ended_at, lines, marked=marked)
        case Retried(after=after, reason=reason, attempt=attempt, of=of):
            wait = max(after, SHORTEST_RETRY)
            lines = [*before, wording.retried(ended_at, wait, reason, attempt=attempt, of=of)]
            return _later(action, ended_at + wait, ended_at, lines, marked=marked)
        case Snoozed(until=until, reason=reason):
            due = max(until, ended_at + SHORTEST_RETRY)
            lines = [*before, wording.snoozed(ended_at, due, reason)]
            return _later(action, due, ended_at, lines, marked=marked)
        case Unrun(reason=reason):
            line = wording.unrun(ended_at, reason)
            return _ended(action, Status.PENDING, ended_at, [*said, line], marked=marked)
        case Booked():
            raise AssertionError("the plugin wrote its ending")
        case _:
            assert_never(outcome)


def put_back(
    action: Action, *, at: datetime, runner: str, others: int = 0, is_held: bool = False
) -> Ending:
    """A dead runner's started action: pending again, its date and attempts as they are.

    ``others``: started ones that it held, too; any of them may have killed it. ``is_held``: without
    a date, so that nobody runs it before somebody gives it one.
    """
    return Ending(
        action=action,
        status=Status.PENDING,
        at=at,
        marked=True,
        logs=(wording.reset(at, runner, others, is_held=is_held),),
        is_held=is_held,
    )


def _ended(
    action: Action, status: Status, at: datetime, lines: Sequence[LogLine], *, marked: bool
) -> Ending:
    return Ending(action=action, status=status, at=at, marked=marked, logs=tuple(lines))


def _final(
    action: Action, status: Status, at: datetime, lines: Sequence[LogLine], *, marked: bool
) -> Ending:
    """Complete or failed: a recurring action gets its successor either way."""
    stop = wording.consistently_failing(at) if status is Status.FAILED else None
    try:
        successor = _successor(action, at)
    except (CodecError, CronError) as error:
        # A row that cannot be read has failed for that, and its log says so already.
        told = [wording.next_failed(at, str(error))] if _is_readable(action) else []
        return _ended(action, status, at, [*lines, *told], marked=marked)
    return Ending(
        action=action,
        status=status,
        at=at,
        marked=marked,
        logs=tuple(lines),
        successor=successor,
        stop_line=stop if successor else None,
    )


def _is_readable(action: Action) -> bool:
    try:
        schedule.decode(action.schedule)
        args.decode(action.args)
    except CodecError:
        return False
    return True


def _successor(action: Action, ran_at: datetime) -> NewAction | None:
    zone = None if action.zone is None else zoned.zone_named(action.zone)
    following = schedule.next_after_run(schedule.decode(action.schedule), ran_at=ran_at, zone=zone)
    if following is None or following.timestamp is None:
        return None
    kept: ZonedCron | None = None
    if action.zone is not None and isinstance(following, schedule.Cron):
        kept = ZonedCron(expression=following.expression, zone=action.zone)
    return NewAction(
        hook=action.hook,
        args=args.canonical(args.decode(action.args).mapping),
        schedule=schedule.encode(following),
        scheduled_at=from_timestamp(following.timestamp),
        group=action.group,
        group_id=action.group_id,
        priority=action.priority,
        zoned=kept,
    )


def _later(
    action: Action, due: datetime, at: datetime, lines: Sequence[LogLine], *, marked: bool
) -> Ending:
    """The same row, later: the column decides, the schedule is kept in step for display."""
    moved = _moved(schedule.decode(action.schedule), due)
    return Ending(
        action=action,
        status=Status.PENDING,
        at=at,
        marked=marked,
        logs=tuple(lines),
        retry_at=due,
        schedule=None if moved is None else schedule.encode(moved),
    )


def _moved(told: schedule.Schedule, due: datetime) -> schedule.Schedule | None:
    """The same schedule at another date; None where it holds no date of its own."""
    if isinstance(told, schedule.Single | schedule.Interval | schedule.Cron):
        return replace(told, timestamp=int(due.timestamp()))
    return None
