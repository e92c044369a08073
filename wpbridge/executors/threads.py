"""Python handlers: sync ones on threads, async ones on one event loop.

Both share one limit. Whatever a handler raises, SystemExit and KeyboardInterrupt included, ends
its action and nothing else.
"""

import asyncio
import logging
import queue
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from wpbridge.action import Action, ActionId
from wpbridge.clock import Clock
from wpbridge.executors.base import Books, Call, Mailbox, Report
from wpbridge.handlers import Context, Enqueuer, Handler
from wpbridge.outcome import (
    Cancel,
    Canceled,
    Completed,
    Failed,
    Outcome,
    Retried,
    Retry,
    Snooze,
    Snoozed,
)

_log = logging.getLogger("wpbridge.handler")


class ThreadExecutor:
    """See :class:`wpbridge.executors.base.Executor`."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        clock: Clock,
        site: str,
        mailbox: Mailbox | None = None,
        open_queue: Callable[[], Enqueuer] | None = None,
    ) -> None:
        """``open_queue``: what handlers enqueue with; called at most once at a time, when asked."""
        self._open_queue = open_queue
        self._mailbox = mailbox or Mailbox()
        self._concurrency = max(1, concurrency)
        self._handlers = handlers
        self._clock = clock
        self._site = site
        self._queue: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._running: dict[ActionId, datetime] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"wpbridge-{n}", daemon=True)
            for n in range(self._concurrency)
        ]
        for thread in self._threads:
            thread.start()

    def can_run(self, hook: str, group: str) -> bool:
        """By the exact name."""
        del group
        return hook in self._handlers

    def hooks(self) -> frozenset[str] | None:
        """Those with a handler, while there is room."""
        return frozenset(self._handlers) if self.has_room() else frozenset()

    def refuses(self, hook: str, group: str) -> str | None:
        """Never."""
        del hook, group
        return None

    def books(self, hook: str, group: str) -> Books:
        """As the handler was marked."""
        del group
        handler = self._handlers.get(hook)
        return "once" if handler is not None and handler.at_most_once else "lazy"

    def has_room(self) -> bool:
        """While some thread would stand idle."""
        return bool(self._handlers) and self._free() > 0

    def admit(self, waiting: Sequence[Call]) -> list[Call]:
        """As many as there are idle threads."""
        return list(waiting[: max(0, self._free())])

    def _free(self) -> int:
        return self._concurrency - self._queue.qsize() - len(self._running)

    def trouble(self) -> str | None:
        """Threads have none."""
        return None

    def ignored(self, action: Action) -> None:
        """No Python handler asks for it."""

    def submit(self, call: Call) -> None:
        """To the first thread that is free."""
        self._queue.put(call)

    def reports(self, timeout_seconds: float) -> list[Report]:
        """See :class:`Executor`."""
        return self._mailbox.take(timeout_seconds)

    def wake(self) -> None:
        """See :class:`Executor`."""
        self._mailbox.wake()

    def running(self) -> dict[ActionId, datetime]:
        """A copy: the threads go on."""
        return self._running.copy()

    def recall(self, only: frozenset[ActionId] | None = None) -> list[Call]:
        """See :class:`Executor`."""
        taken: list[Call] = []
        left: list[Call] = []
        try:
            while True:
                call = self._queue.get_nowait()
                if call is not None:
                    (taken if only is None or call.action.id in only else left).append(call)
        except queue.Empty:
            pass
        for call in left:
            self._queue.put(call)
        return taken

    def close(self) -> None:
        """See :class:`Executor`."""
        self.recall()
        for _ in self._threads:
            self._queue.put(None)
        with self._loop_lock:
            # Closed once: a loop that has stopped takes no more calls.
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            started = self._clock.now()
            self._running[call.action.id] = started
            outcome = self._run(call)
            ended = self._clock.now()
            del self._running[call.action.id]
            self._mailbox.put(
                Report(call=call, outcome=outcome, started_at=started, ended_at=ended)
            )

    def _run(self, call: Call) -> Outcome:
        handler = self._handlers[call.action.hook]
        return outcome_of(lambda: self._result(handler, call))

    def _result(self, handler: Handler, call: Call) -> Any:
        result = handler.call(call.values, self._context(call))
        if handler.is_async or asyncio.iscoroutine(result):
            result = asyncio.run_coroutine_threadsafe(result, self._event_loop()).result()
        return result

    def _context(self, call: Call) -> Context:
        action = call.action
        extra = {"action_id": action.id, "hook": action.hook, "attempt": action.attempts + 1}
        return Context(
            id=action.id,
            hook=action.hook,
            group=action.group,
            attempt=action.attempts + 1,
            scheduled_at=action.scheduled_at,
            args=call.mapping,
            logger=logging.LoggerAdapter(_log, extra),
            site=self._site,
            now=self._clock.now,
            lines=call.lines,
            open_queue=self._open_queue,
        )

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        with self._loop_lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_serve, args=(self._loop,), name="wpbridge-async", daemon=True
                ).start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def outcome_of(run: Callable[[], Any]) -> Outcome:
    """Run it and say how it went; nothing it raises gets out."""
    try:
        run()
    except Retry as request:
        return Retried(after=request.after, reason=request.reason)
    except Snooze as request:
        until = request.until
        now = datetime.now(UTC)
        return Snoozed(
            until=until if isinstance(until, datetime) else now + until, reason=request.reason
        )
    except Cancel as request:
        return Canceled(reason=request.reason)
    except SystemExit as error:
        return Failed(reason=f"the handler exited with {error.code!r}", error_type="SystemExit")
    except BaseException as error:  # noqa: BLE001 - one bad action never ends the batch
        _log.debug("handler failed", exc_info=error)
        return Failed(reason=_reason(error), error_type=type(error).__name__)
    return Completed()


def _reason(error: BaseException) -> str:
    """The message, as the plugin logs an exception's; the class where there is none."""
    text = str(error).strip()
    if text and not isinstance(error, KeyError | TypeError | AttributeError):
        return text
    return "".join(traceback.format_exception_only(error)).strip()
