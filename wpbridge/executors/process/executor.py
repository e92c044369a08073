"""Isolated Python handlers: one call at a time in a child process, killed at its time limit.

Whatever a handler does to its process costs the one action it runs. The children themselves are
the business of :mod:`wpbridge.executors.process.pool`; docs/explain/time-limits.md has the rules.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from wpbridge.clock import Clock
from wpbridge.executors.base import Call, Mailbox
from wpbridge.executors.handlers import Handler
from wpbridge.executors.pools.executor import PoolExecutor
from wpbridge.executors.pools.worker import now
from wpbridge.executors.process.inbox import Inbox, Sent
from wpbridge.executors.process.pool import PoolLimits, ProcessPool
from wpbridge.executors.process.worker import Setup
from wpbridge.executors.python_executor import PythonExecutor

__all__ = ["PoolLimits", "ProcessExecutor", "Setup"]

_ASYNC_GRACE_SECONDS: Final = 2.0
"""An async handler is cancelled in its child, which is killed when that does not end it."""


class ProcessExecutor(PythonExecutor, PoolExecutor[Inbox, ProcessPool]):
    """Runs isolated handlers; the methods are those of an executor."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        setup: Setup,
        *,
        limits: PoolLimits,
        clock: Clock,
        mailbox: Mailbox | None = None,
        default_timeout: timedelta | None = None,
    ) -> None:
        """Starts its thread, and no child yet.

        Args:
            handlers: by hook; the children import them again, by ``setup``.
            setup: how a child becomes ready.
            limits: how many children, and when one is replaced.
            clock: for the dates of reports.
            mailbox: where reports go; one of its own when None.
            default_timeout: of handlers that name none; None for no limit.
        """
        PythonExecutor.__init__(self, handlers, default_timeout)
        self._clock = clock
        mailbox = mailbox or Mailbox()
        inbox = Inbox(limits.children, clock=clock, mailbox=mailbox, sent_of=self._sent_of)
        PoolExecutor.__init__(self, mailbox, inbox, ProcessPool(setup, inbox, limits))

    def refuses(self, hook: str, group: str) -> str | None:
        """Return why nothing runs while children do not start; None when they do."""
        del hook, group
        return self._pool.back_off.trouble if self._pool.back_off.is_down() else None

    def has_room(self, *, ahead: bool = False) -> bool:
        """Return whether some child would stand idle, and children come up."""
        return not self._pool.back_off.is_down() and super().has_room(ahead=ahead)

    def _free(self) -> int:
        return self._inbox.free()

    def resize(self, concurrency: int) -> None:
        """Have so many children from now on. One that is too many ends when it is idle."""
        self._inbox.resize(concurrency)
        self._pool.resize(concurrency)

    def announce_stop(self) -> None:
        """Let handlers that ask know that the runner wants to end; safe in a signal handler."""
        self._pool.announce_stop()

    def _sent_of(self, call: Call) -> Sent:
        handler = self._handlers[call.action.hook]
        limit = handler.limit(self._default_timeout)
        kill_after = None if limit is None else limit.total_seconds()
        if kill_after is not None and handler.is_async:
            kill_after += _ASYNC_GRACE_SECONDS
        return Sent(
            call=call,
            limit=limit,
            kill_after_seconds=kill_after,
            started_at=self._clock.now(),
            since=now(),
        )
