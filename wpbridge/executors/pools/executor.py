"""A pool as an executor: what is the same for every kind of worker process."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Generic, TypeVar

from wpbridge.executors.base import Call, Mailbox, Report
from wpbridge.executors.pools.inbox import Inbox
from wpbridge.executors.pools.pool import Pool

Box = TypeVar("Box", bound=Inbox[Any])
P = TypeVar("P", bound=Pool[Any, Any])


class PoolExecutor(Generic[Box, P]):
    """The part of :class:`wpbridge.executors.base.Executor` that leads to an inbox and a pool."""

    def __init__(self, mailbox: Mailbox, inbox: Box, pool: P) -> None:
        self._mailbox = mailbox
        self._inbox = inbox
        self._pool = pool

    def trouble(self) -> str | None:
        """A worker's own words when none comes up."""
        return self._pool.back_off.trouble

    def submit(self, call: Call) -> None:
        """Leave a call for the first worker that has time."""
        self._inbox.put(call)
        self._pool.wake()

    def reports(self, timeout_seconds: float) -> list[Report]:
        """Return what has ended; wait for the first report up to the timeout."""
        return self._mailbox.take(timeout_seconds)

    def wake(self) -> None:
        """End a wait in :meth:`reports`; safe in a signal handler."""
        self._mailbox.wake()

    def running(self) -> dict[Call, datetime]:
        """Return when each call began that has begun and has not ended."""
        return self._inbox.running()

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """Take back calls that no worker has: all of them, or those in ``only``."""
        return self._inbox.recall(only)

    def close(self) -> None:
        """End all workers: idle ones by themselves, busy ones by force."""
        self._pool.close()
