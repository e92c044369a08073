"""Calling a handler: its context, its time, and what became of it; in threads and children alike.

Whatever a handler raises, SystemExit and KeyboardInterrupt included, becomes an outcome here.
"""

import json
import logging
import time
import traceback
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

from wpbridge.action import Action
from wpbridge.codec.keys import key_of_0_1
from wpbridge.executors.handlers import Context, Enqueuer
from wpbridge.outcome import (
    Cancel,
    Canceled,
    Completed,
    Failed,
    LogLine,
    Outcome,
    Progress,
    Retried,
    Retry,
    Snooze,
    Snoozed,
    class_name,
    exact,
    plain,
)
from wpbridge.telling.log import tell

MOST_RESULT_BYTES: Final = 65_536
"""What a handler returned is kept up to this size, as JSON."""
_log = logging.getLogger("wpbridge.handler")


def context_of(
    action: Action,
    mapping: Any,
    *,
    site: str,
    now: Callable[[], datetime],
    lines: list[LogLine],
    steps: list[Progress],
    open_queue: Callable[[], Enqueuer] | None,
    limit: timedelta | None,
    stopping: Callable[[], bool],
) -> Context:
    """What a handler that starts now is told."""
    extra = {"action_id": action.id, "hook": action.hook, "attempt": action.attempts + 1}
    return Context(
        id=action.id,
        hook=action.hook,
        group=action.group,
        attempt=action.attempts + 1,
        scheduled_at=action.scheduled_at,
        args=mapping,
        logger=logging.LoggerAdapter(_log, extra),
        site=site,
        now=now,
        lines=lines,
        steps=steps,
        open_queue=open_queue,
        deadline=None if limit is None else now() + limit,
        over_at=None if limit is None else time.monotonic() + limit.total_seconds(),
        stopping=stopping,
        make_key=lambda: action.idempotency_key or key_of_0_1(site, action.id),
    )


def over(limit: timedelta) -> str:
    """The reason of what was ended at its time limit."""
    return f"timed out after {limit.total_seconds():g} s"


def is_awaitable(result: object) -> bool:
    """Return whether a handler has returned what must be awaited before it has done anything.

    Judged by the class alone: a returned object's own attributes may do anything. Generators are
    among these, and awaiting one fails: a handler with a ``yield`` in it would do nothing.
    """
    return issubclass(type(result), CoroutineType | GeneratorType | AsyncGeneratorType | Coroutine)


def outcome_of(run: Callable[[], Any], raised: list[BaseException] | None = None) -> Outcome:
    """Run it and say how it went; nothing it raises gets out, nor what that does when it is read.

    Args:
        run: the call.
        raised: gets the error of a failed one.
    """
    try:
        return _asked(run)
    except BaseException as error:  # noqa: BLE001 - one bad action never ends the batch
        try:
            return _failed(error, raised)
        except BaseException as worse:  # noqa: BLE001 - a handler's own class may do anything
            reason = f"{class_name(error)}, whose message raises {class_name(worse)}"
            return Failed(reason=reason, error_type=class_name(error))


def _asked(run: Callable[[], Any]) -> Outcome:
    """The outcome that a handler asks for; a request that makes no sense raises."""
    try:
        value = run()
    except Retry as request:
        after = _span(request.after)
        if after < timedelta(0):
            raise ValueError("Retry(after=…) cannot lie in the past") from None
        _moment(after)
        return Retried(after=after, reason=_why(request.reason))
    except Snooze as request:
        return Snoozed(until=_moment(request.until), reason=_why(request.reason))
    except Cancel as request:
        return Canceled(reason=_why(request.reason))
    return _RETURNED_NONE if value is None else completed(value)


_RETURNED_NONE: Final = Completed()


def completed(value: object) -> Completed:
    """Return the outcome of a handler that has returned this value, which is kept as its result.

    A value that is no JSON, or that is too large, is left out, and the outcome says why. It never
    fails the action, whatever its own methods raise.
    """
    try:
        told = json.dumps(value, allow_nan=False)
    except BaseException as error:  # noqa: BLE001 - a handler's own class may do anything
        why = f"{class_name(error)}: {plain(error, most=200)}"
        return Completed(
            left_out=f"what the handler returned is not kept, for it is no JSON: {why}"
        )
    if len(told) > MOST_RESULT_BYTES:
        return Completed(
            left_out=f"what the handler returned is not kept: as JSON it has {len(told):,} bytes,"
            f" and {MOST_RESULT_BYTES:,} are kept at most"
        )
    return Completed(result=told)


def _why(reason: object) -> str:
    return "" if reason is None else plain(reason)


def _moment(told: Any) -> datetime:
    """In UTC, of no class but datetime's own; raises where there is no such date."""
    if isinstance(told, timedelta):
        return datetime.now(UTC) + _span(told)
    if not isinstance(told, datetime) or told.utcoffset() is None:
        raise TypeError("a request needs a date with a time zone, or a timedelta")
    at = told.astimezone(UTC)
    return datetime(
        at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, tzinfo=UTC
    )


def _span(told: Any) -> timedelta:
    """The same, of no class but timedelta's own."""
    if not isinstance(told, timedelta):
        raise TypeError("a request needs a timedelta")
    return timedelta(told.days, told.seconds, told.microseconds)


def _failed(error: BaseException, raised: list[BaseException] | None) -> Failed:
    if isinstance(error, SystemExit):
        reason = f"the handler exited with {_shown(error)}"
        return Failed(reason=reason, error_type="SystemExit")
    if raised is not None:
        raised.append(error)
    failed = Failed(reason=_reason(error), error_type=class_name(error))
    tell("handler.failed", exc_info=error)
    return failed


def _shown(error: SystemExit) -> str:
    try:
        return exact(repr(error.code))
    except BaseException as worse:  # noqa: BLE001 - a handler's own class may do anything
        return f"something unprintable ({class_name(worse)})"


def _reason(error: BaseException) -> str:
    """The message, as the plugin logs an exception's; the class where there is none."""
    text = exact(error).strip()
    if text and not isinstance(error, KeyError | TypeError | AttributeError):
        return text
    return exact("".join(traceback.format_exception_only(error)).strip())
