"""Python handlers: sync ones on threads, async ones on one event loop.

Both share one limit. Whatever a handler raises, SystemExit and KeyboardInterrupt included, ends
its action and nothing else. An async handler is cancelled at its time limit; a thread cannot be
ended, so a sync one that runs beyond it is reported and goes on. What they print is taken from
``sys.stdout``, which is another one while an executor is open.
"""

import queue
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Call, Mailbox, Report, unstarted
from wpbridge.executors.handler_calls import context_of, is_awaitable, outcome_of
from wpbridge.executors.handlers import Context, Enqueuer, Handler
from wpbridge.executors.pace import AHEAD_SECONDS, moved
from wpbridge.executors.printed_output import Printed, Stdout
from wpbridge.executors.python_executor import PythonExecutor
from wpbridge.outcome import Failed, LogLine, Outcome
from wpbridge.telling import traces
from wpbridge.telling.log import tell

if TYPE_CHECKING:
    from wpbridge.executors.async_calls import AsyncThread

__all__ = ["ThreadExecutor", "outcome_of"]

MOST_AHEAD: Final = 500
"""More calls than these never wait when more is claimed."""
_ASYNC_GRACE_SECONDS: Final = 2.0
"""A cancelled handler has so long for its last words before it is called late."""


@dataclass(slots=True)
class _Running:
    call: Call
    started_at: datetime
    since: float
    """Monotonic."""
    limit: timedelta | None
    late_after_seconds: float
    is_late: bool = False


class ThreadExecutor(PythonExecutor):
    """Runs Python handlers on threads; the methods are those of an executor."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        clock: Clock,
        site: str,
        mailbox: Mailbox | None = None,
        open_queue: Callable[[], Enqueuer] | None = None,
        default_timeout: timedelta | None = None,
    ) -> None:
        """Starts its threads.

        Args:
            handlers: by hook.
            concurrency: threads.
            clock: for the dates of reports, and for what is late.
            site: the queue's name, for handlers' contexts.
            mailbox: where reports go; one of its own when None.
            open_queue: what handlers enqueue with; called at most once at a time, when asked.
            default_timeout: of handlers that name none; None for no limit.
        """
        super().__init__(handlers, default_timeout)
        self._open_queue = open_queue
        self._is_stopping = False
        self._mailbox = mailbox or Mailbox()
        self._concurrency = max(1, concurrency)
        self._clock = clock
        self._site = site
        self._queue: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._running: dict[Call, _Running] = {}
        self._pace: float | None = None
        """How long the last few calls took on average, in seconds."""
        self._loop: AsyncThread | None = None
        self._loop_lock = threading.Lock()
        self._stdout: Stdout | None = Stdout.install()
        self._threads: list[threading.Thread] = []
        self._count_lock = threading.Lock()
        self._count = 0
        """How many threads are to go on."""
        self._is_closed = False
        self._begin(self._concurrency)

    def _begin(self, threads: int) -> None:
        """Start so many more threads."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        first = len(self._threads)
        more = [
            threading.Thread(target=self._work, name=f"wpbridge-{n}", daemon=True)
            for n in range(first, first + threads)
        ]
        with self._count_lock:
            self._count += threads
        self._threads += more
        for thread in more:
            thread.start()

    def resize(self, concurrency: int) -> None:
        """Start more threads, or let some end: each that is too many, before its next call.

        A None in the queue has an idle thread look. The calls that wait stay where they are.
        """
        change, self._concurrency = concurrency - self._concurrency, concurrency
        self._begin(max(0, change))
        for _ in range(change, 0):
            self._queue.put(None)

    def _may_end(self) -> bool:
        """Return whether the thread that asks is one too many; it is not counted any more then."""
        with self._count_lock:
            if self._is_closed or self._count > self._concurrency:
                self._count -= 1
                return True
            return False

    def _free(self) -> int:
        return self._concurrency - self._queue.qsize() - len(self._running)

    def has_room(self, *, ahead: bool = False) -> bool:
        """Return whether a thread stands idle; with ``ahead`` also whether one soon will."""
        is_free = self._free() > 0 or (ahead and self._is_nearly_free())
        return bool(self._handlers) and is_free

    def _is_nearly_free(self) -> bool:
        """Return whether what runs and waits will have ended soon, if it goes on as it does.

        The runner knows how quick its actions are on the whole. Only the calls of these threads
        tell whether these threads are stuck.
        """
        if self._pace is None:
            return False
        running, waiting = list(self._running.copy().values()), self._queue.qsize()
        now = self._clock.monotonic()
        pace = max([self._pace, *(now - own.since for own in running)])
        seconds = pace * (len(running) + waiting) / self._concurrency
        return seconds < AHEAD_SECONDS and waiting <= MOST_AHEAD

    def trouble(self) -> str | None:
        """Return None: nothing keeps a thread from running handlers."""
        return None

    def submit(self, call: Call) -> None:
        """Queue a call for the first thread that is free."""
        self._queue.put(call)

    def reports(self, timeout_seconds: float) -> list[Report]:
        """Return what has ended; wait for the first report up to the timeout."""
        return self._mailbox.take(timeout_seconds)

    def wake(self) -> None:
        """End a wait in :meth:`reports`; safe in a signal handler."""
        self._mailbox.wake()

    def running(self) -> dict[Call, datetime]:
        """A copy: the threads go on.

        The runner asks several times a second, so what is over its time limit is found here.
        """
        running = list(self._running.copy().values())
        for own in running:
            self._tell_when_late(own)
        return {own.call: own.started_at for own in running}

    def _tell_when_late(self, own: _Running) -> None:
        seconds = self._clock.monotonic() - own.since
        if own.limit is None or own.is_late or seconds < own.late_after_seconds:
            return
        own.is_late = True
        action, limit = own.call.action, own.limit.total_seconds()
        tell("handler.late", action_id=action.id, hook=action.hook, limit_seconds=limit)
        message = f"runs on beyond its limit of {limit:g} s: only an isolated handler can be ended"
        own.call.lines.append(LogLine(message=message, at=self._clock.now()))

    def announce_stop(self) -> None:
        """Let handlers that ask know that the runner wants to end; safe in a signal handler."""
        self._is_stopping = True

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """Take back calls that no thread has: all of them, or those in ``only``."""
        taken: list[Call] = []
        left: list[Call | None] = []
        try:
            while True:
                call = self._queue.get_nowait()
                if call is None or not (only is None or call in only):
                    left.append(call)
                else:
                    taken.append(call)
        except queue.Empty:
            pass
        for call in left:
            self._queue.put(call)
        return taken

    def close(self) -> None:
        """Stop the threads; calls that wait are dropped."""
        self.recall()
        self._is_closed = True
        for _ in self._threads:
            self._queue.put(None)
        if self._stdout is not None:
            self._stdout.uninstall()
            self._stdout = None
        with self._loop_lock:
            # Closed once: a loop that has stopped takes no more calls.
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.stop()

    def _work(self) -> None:
        while not self._may_end():
            call = self._queue.get()
            if call is not None:
                self._start(call)

    def _start(self, call: Call) -> None:
        if not call.may_start():
            self._mailbox.put(unstarted(call, self._clock.now()))
            return
        handler = self._handlers[call.action.hook]
        limit = handler.limit(self._default_timeout)
        own = _Running(
            call=call,
            started_at=self._clock.now(),
            since=self._clock.monotonic(),
            limit=limit,
            late_after_seconds=_late_after(limit, is_async=handler.is_async),
        )
        self._running[call] = own
        call.attempt = traces.attempt(call.action)
        with Printed(call.action) as printed, traces.current(call.attempt):
            outcome = self._run(handler, call, limit)
        output = printed.end()
        ended_at = self._clock.now()
        self._say_how_long(own, outcome, ended_at)
        self._note_pace(self._clock.monotonic() - own.since)
        del self._running[call]
        self._mailbox.put(
            Report(
                call=call,
                outcome=outcome,
                started_at=own.started_at,
                ended_at=ended_at,
                output=output,
            )
        )

    def _note_pace(self, seconds: float) -> None:
        """Take in one more duration. Threads may overwrite each other's: it is a guess."""
        self._pace = moved(self._pace, seconds)

    def _say_how_long(self, own: _Running, outcome: Outcome, ended_at: datetime) -> None:
        """Log how long a call ran beyond its limit; its own outcome stands."""
        seconds = self._clock.monotonic() - own.since
        was_ended = isinstance(outcome, Failed) and outcome.error_type == "TimedOut"
        if own.limit is not None and seconds > own.late_after_seconds and not was_ended:
            limit = own.limit.total_seconds()
            message = f"ran {seconds:.1f} s, beyond its limit of {limit:g} s"
            own.call.lines.append(LogLine(message=message, at=ended_at))

    def _run(self, handler: Handler, call: Call, limit: timedelta | None) -> Outcome:
        return outcome_of(lambda: self._call(handler, call, limit))

    def _call(self, handler: Handler, call: Call, limit: timedelta | None) -> Any:
        context = self._context(call, limit) if handler.wants_context else None
        result: Any = handler.call(call.values, context)
        if not is_awaitable(result):
            return result
        value, error = self._async_thread().ended(result, limit)
        if error is not None:
            raise error
        return value

    def _context(self, call: Call, limit: timedelta | None) -> Context:
        return context_of(
            call.action,
            call.mapping,
            site=self._site,
            now=self._clock.now,
            lines=call.lines,
            steps=call.steps,
            open_queue=self._open_queue,
            limit=limit,
            stopping=lambda: self._is_stopping,
        )

    def _async_thread(self) -> "AsyncThread":
        from wpbridge.executors.async_calls import AsyncThread  # noqa: PLC0415 - it says why

        with self._loop_lock:
            self._loop = self._loop or AsyncThread()
            return self._loop


def _late_after(limit: timedelta | None, *, is_async: bool) -> float:
    """Seconds; an async handler is ended at its limit, and late only when it does not end."""
    seconds = 0.0 if limit is None else limit.total_seconds()
    return seconds + _ASYNC_GRACE_SECONDS if is_async else seconds
