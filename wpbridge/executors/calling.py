"""Calling a handler: its context, its time, and what became of it; in threads and children alike.

Whatever a handler raises, SystemExit and KeyboardInterrupt included, becomes an outcome here.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from wpbridge.action import Action
from wpbridge.errors import TimedOut
from wpbridge.handlers import Context, Enqueuer
from wpbridge.keys import key_of_0_1
from wpbridge.outcome import (
    Cancel,
    Canceled,
    Completed,
    Failed,
    LogLine,
    Outcome,
    Retried,
    Retry,
    Snooze,
    Snoozed,
)

_log = logging.getLogger("wpbridge.handler")


def context_of(
    action: Action,
    mapping: Any,
    *,
    site: str,
    now: Callable[[], datetime],
    lines: list[LogLine],
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
        open_queue=open_queue,
        deadline=None if limit is None else now() + limit,
        over_at=None if limit is None else time.monotonic() + limit.total_seconds(),
        stopping=stopping,
        key=action.idempotency_key or key_of_0_1(site, action.id),
    )


async def ended(work: Coroutine[Any, Any, Any], limit: timedelta | None) -> BaseException | None:
    """Await a handler, cancel it at its limit, and return what it raised.

    Returned, not raised: SystemExit out of one task would stop the loop under all the others.
    """
    try:
        await _within(work, limit)
    except BaseException as error:  # noqa: BLE001 - the caller raises it again
        return error
    return None


async def _within(work: Coroutine[Any, Any, Any], limit: timedelta | None) -> None:
    watch = asyncio.timeout(None if limit is None else limit.total_seconds())
    try:
        async with watch:
            await work
    except TimeoutError:
        if limit is not None and watch.expired():
            raise TimedOut(over(limit)) from None
        raise


def over(limit: timedelta) -> str:
    """The reason of what was ended at its time limit."""
    return f"timed out after {limit.total_seconds():g} s"


def outcome_of(run: Callable[[], Any], raised: list[BaseException] | None = None) -> Outcome:
    """Run it and say how it went; nothing it raises gets out.

    Args:
        run: the call.
        raised: gets the error of a failed one.
    """
    try:
        return _asked(run)
    except SystemExit as error:
        return Failed(reason=f"the handler exited with {_shown(error)}", error_type="SystemExit")
    except BaseException as error:  # noqa: BLE001 - one bad action never ends the batch
        _log.debug("handler failed", exc_info=error)
        if raised is not None:
            raised.append(error)
        return Failed(reason=_reason(error), error_type=type(error).__name__)


def _asked(run: Callable[[], Any]) -> Outcome:
    """The outcome that a handler asks for; a request that makes no sense raises."""
    try:
        run()
    except Retry as request:
        _at(request.after)
        return Retried(after=request.after, reason=request.reason)
    except Snooze as request:
        return Snoozed(until=_at(request.until), reason=request.reason)
    except Cancel as request:
        return Canceled(reason=request.reason)
    return Completed()


def _at(told: datetime | timedelta) -> datetime:
    """OverflowError for a date that there is none of."""
    return told if isinstance(told, datetime) else datetime.now(UTC) + told


def _shown(error: SystemExit) -> str:
    try:
        return repr(error.code)
    except Exception as worse:  # noqa: BLE001 - a handler's own class may do anything
        return f"something unprintable ({type(worse).__name__})"


def _reason(error: BaseException) -> str:
    """The message, as the plugin logs an exception's; the class where there is none."""
    try:
        text = str(error).strip()
        if text and not isinstance(error, KeyError | TypeError | AttributeError):
            return text
        return "".join(traceback.format_exception_only(error)).strip()
    except Exception as worse:  # noqa: BLE001 - a handler's own class may do anything
        return f"{type(error).__name__}, whose message raises {type(worse).__name__}"
