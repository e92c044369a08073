"""Turn outcomes into endings: statuses, log rows, successors. Pure.

A bad row or outcome harms its own action alone: :func:`concluded` raises nothing, and
:func:`plainer` says how to end an action whose ending the database has refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from wpbridge.action import Action, NewAction, Status, ZonedCron
from wpbridge.clock import from_timestamp, rounded_up
from wpbridge.codec import args, schedule, zoned
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
    class_name,
    plain,
)
from wpbridge.runner import log_texts
from wpbridge.store.base import Ending

_RUN_ONCE = frozenset({schedule.Single.php_class, schedule.Async.php_class})
"""Schedules without a next date."""
SHORTEST_RETRY = timedelta(seconds=1)
"""A handler that always asks to run again at once must not keep a run busy for ever."""


def concluded(
    action: Action,
    outcome: Outcome,
    *,
    started_at: datetime,
    ended_at: datetime,
    marked: bool,
    said: Sequence[LogLine] = (),
) -> tuple[Ending, Outcome]:
    """Return what an outcome means for the tables, and the outcome that became of it.

    That is the given one, unless no ending can be made of it: then the action fails with the
    reason. Takes what :func:`ending_of` takes, and raises nothing.
    """
    try:
        made = ending_of(
            action, outcome, started_at=started_at, ended_at=ended_at, marked=marked, said=said
        )
    except Exception as error:  # noqa: BLE001 - one bad action never ends the batch
        failed = _unwritten(error)
        before = [*([] if marked else [log_texts.started(started_at)]), *said]
        lines = [*before, log_texts.failed(ended_at, failed.reason)]
        return _ended(action, Status.FAILED, ended_at, lines, marked=marked), failed
    return made, outcome


def _unwritten(error: BaseException) -> Failed:
    """Make the failure of an action whose ending could not be made or written."""
    told = plain(error, most=300).encode("ascii", "backslashreplace").decode()
    name = class_name(error)
    return Failed(reason=f"its ending could not be written: {name}: {told}", error_type="Unwritten")


def plainer(ending: Ending, error: BaseException) -> Iterator[tuple[Ending, Failed | None]]:
    """Yield endings to try in place of one that the database refuses, each with less in it.

    The first is the same in plain ASCII, the next has no successor, and the last is a failure with
    its reason. Each comes with the failure that it stands for, or None if the outcome still counts.
    """
    logs = tuple(line._replace(message=_ascii(line.message)) for line in ending.logs)
    failed = _unwritten(error)
    if ending.result is not None:
        # The first that is left out is what nobody needs to go on.
        told = f"what the handler returned is not kept: {failed.reason}"
        logs = (*logs, log_texts.detail(ending.at, _ascii(told)))
        ending = ending._replace(result=None)
    yield ending._replace(logs=logs), None
    if ending.successor is not None:
        stopped = (*logs, log_texts.next_failed(ending.at, failed.reason))
        yield ending._replace(logs=stopped, successor=None, stop_line=None), None
    before = [] if ending.marked else [log_texts.started(ending.at)]
    lines = [*before, log_texts.failed(ending.at, failed.reason)]
    yield _ended(ending.action, Status.FAILED, ending.at, lines, marked=ending.marked), failed


def _ascii(text: str) -> str:
    return plain(text).encode("ascii", "backslashreplace").decode()


def ending_of(
    action: Action,
    outcome: Outcome,
    *,
    started_at: datetime,
    ended_at: datetime,
    marked: bool,
    said: Sequence[LogLine] = (),
) -> Ending:
    """Return what an outcome means for the tables (as `process_action` in action-scheduler 3.9).

    Args:
        action: the row as claimed.
        outcome: what the call reported.
        started_at: aware UTC.
        ended_at: aware UTC; the next date of a recurring action counts from here.
        marked: whether the start is in the tables already, with its log row.
        said: what the handler logged and is not in the tables yet.
    """
    before = [*([] if marked else [log_texts.started(started_at)]), *said]
    match outcome:
        case Completed(result=result, left_out=left_out):
            lines = [*before, log_texts.completed(ended_at)]
            lines += [log_texts.detail(ended_at, left_out)] if left_out else []
            ending = _final(action, Status.COMPLETE, ended_at, lines, marked=marked)
            return ending if result is None else ending._replace(result=result)
        case Failed(reason=reason, detail=detail):
            lines = [*before, log_texts.failed(ended_at, reason)]
            lines += [log_texts.detail(ended_at, detail)] if detail else []
            return _final(action, Status.FAILED, ended_at, lines, marked=marked)
        case Canceled(reason=reason):
            lines = [*before, log_texts.canceled(ended_at, reason)]
            return _ended(action, Status.CANCELED, ended_at, lines, marked=marked)
        case Retried(after=after, reason=reason, attempt=attempt, of=of):
            wait = max(after, SHORTEST_RETRY)
            lines = [*before, log_texts.retried(ended_at, wait, reason, attempt=attempt, of=of)]
            return _later(action, rounded_up(ended_at + wait), ended_at, lines, marked=marked)
        case Snoozed(until=until, reason=reason):
            due = rounded_up(max(until, ended_at + SHORTEST_RETRY))
            lines = [*before, log_texts.snoozed(ended_at, due, reason)]
            return _later(action, due, ended_at, lines, marked=marked)
        case Unrun(reason=reason):
            line = log_texts.unrun(ended_at, reason)
            return _ended(action, Status.PENDING, ended_at, [*said, line], marked=marked)
        case Booked():
            raise AssertionError("the plugin wrote its ending")
        case _:
            assert_never(outcome)


def put_back(
    action: Action, *, at: datetime, runner: str, others: int = 0, is_undated: bool = False
) -> Ending:
    """Return the ending that makes a dead runner's started action pending again.

    Its attempts stay, and so does its date unless ``is_undated``: without a date nobody runs it
    before somebody gives it one. ``others`` counts the other started actions that the runner had in
    hand, each of which may have killed it.
    """
    return Ending(
        action=action,
        status=Status.PENDING,
        at=at,
        marked=True,
        logs=(log_texts.reset(at, runner, others, is_undated=is_undated),),
        is_undated=is_undated,
    )


def _ended(
    action: Action, status: Status, at: datetime, lines: Sequence[LogLine], *, marked: bool
) -> Ending:
    return Ending(action=action, status=status, at=at, marked=marked, logs=tuple(lines))


def _final(
    action: Action, status: Status, at: datetime, lines: Sequence[LogLine], *, marked: bool
) -> Ending:
    """Return the ending to complete or failed: a recurring action gets its successor either way."""
    if schedule.class_of(action.schedule) in _RUN_ONCE:
        return _ended(action, status, at, lines, marked=marked)
    try:
        told = schedule.decode(action.schedule)
        if not (isinstance(told, schedule.Interval | schedule.Cron) and told.is_recurring):
            return _ended(action, status, at, lines, marked=marked)
        mapping = args.decode(action.args).mapping
    except Exception:  # noqa: BLE001 - whatever it was, the row's failure says it already
        return _ended(action, status, at, lines, marked=marked)
    stop = log_texts.consistently_failing(at) if status is Status.FAILED else None
    try:
        successor = _successor(action, told, mapping, at)
    except Exception as error:  # noqa: BLE001 - the chain ends here, and says so
        failed = log_texts.next_failed(at, plain(error) or class_name(error))
        return _ended(action, status, at, [*lines, failed], marked=marked)
    return Ending(
        action=action,
        status=status,
        at=at,
        marked=marked,
        logs=tuple(lines),
        successor=successor,
        stop_line=stop if successor else None,
    )


def _successor(
    action: Action, told: schedule.Schedule, mapping: args.JsonValue, ran_at: datetime
) -> NewAction | None:
    zone = None if action.zone is None else zoned.zone_named(action.zone)
    following = schedule.next_after_run(told, ran_at=ran_at, zone=zone)
    if following is None or following.timestamp is None:
        return None
    kept: ZonedCron | None = None
    if action.zone is not None and isinstance(following, schedule.Cron):
        kept = ZonedCron(expression=following.expression, zone=action.zone)
    return NewAction(
        hook=action.hook,
        args=args.canonical(mapping),
        schedule=schedule.encode(following),
        scheduled_at=from_timestamp(following.timestamp),
        group=action.group,
        group_id=action.group_id,
        priority=action.priority,
        zoned=kept,
        traceparent=action.traceparent,
    )


def _later(
    action: Action, due: datetime, at: datetime, lines: Sequence[LogLine], *, marked: bool
) -> Ending:
    """Return the ending that moves the row to a later date, and its schedule for display."""
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
    """Return the schedule with another date; None where it holds no date of its own."""
    if isinstance(told, schedule.Single | schedule.Interval | schedule.Cron):
        return replace(told, timestamp=int(due.timestamp()))
    return None
