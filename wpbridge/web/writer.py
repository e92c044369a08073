"""Add the jobs of many requests with one transaction: docs/explain/gateway.md.

One thread has the connection that writes. While it waits for a commit, more requests gather, and
the next transaction takes them all. Nothing waits for company: a single request is written at once.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from wpbridge.errors import Contention, StoreError, StoreUnavailable, WpbridgeError
from wpbridge.queue.jobs import JobQueue, JobRequest, Submitted
from wpbridge.store.queueing.jobs import NewJob
from wpbridge.telling.log import tell
from wpbridge.web.reply import Reply

MOST_A_TRANSACTION: Final = 500
MOST_WAITING: Final = 2_000
"""More requests than these do not wait: they are refused at once."""


class Full(StoreError):
    """Too many requests wait already; try again in a moment."""


class Misfit(WpbridgeError):
    """One of several jobs cannot be added, so none was."""

    def __init__(self, place: int, error: WpbridgeError) -> None:
        """Take the place of that job, counted from 0, and what is wrong with it."""
        super().__init__(str(error))
        self.place = place
        self.error = error


class _Waiting(NamedTuple):
    asked: Sequence[JobRequest]
    """One job, or several that are added together or not at all."""
    answer: Callable[[list[Submitted] | BaseException], object]
    """Any thread may call it; what comes after the first call counts for nothing."""


class Writer:
    """Adds jobs on a thread of its own."""

    def __init__(self, open_queue: Callable[[], JobQueue]) -> None:
        """Start the thread, which opens the queue at its first job."""
        self._open = open_queue
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="wpbridge-writer", daemon=True)
        self._thread.start()

    async def add(self, asked: Sequence[JobRequest]) -> list[Submitted]:
        """Add jobs in one transaction, perhaps with those of others; return once it is committed.

        Raises:
            Full: too many wait; nothing is written.
            InputError, ActionNotFound: the tables cannot hold one of them; none is written.
            StoreError: the database refused or does not answer. Then nobody knows whether they were
                written, and the same request with its idempotency key finds out.
        """
        with self._lock:
            if self._waiting + len(asked) > max(MOST_WAITING, len(asked)):
                raise Full
            self._waiting += len(asked)
        reply = Reply[list[Submitted]]()
        self._queue.put(_Waiting(asked, reply.give))
        return await reply.given

    def close(self) -> None:
        """Write what waits, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        jobs: JobQueue | None = None
        while (first := self._queue.get()) is not None:
            batch, is_last = self._gather(first)
            try:
                jobs = jobs or self._open()
                self._add(jobs, batch)
            except BaseException as error:  # noqa: BLE001 - each waiting request gets its answer
                for one in batch:
                    one.answer(error)
            with self._lock:
                self._waiting -= sum(len(one.asked) for one in batch)
            if is_last:
                break
        if jobs is not None:
            jobs.close()

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Return what waits, up to a transaction's worth, and whether it is the last."""
        batch, size = [first], len(first.asked)
        while size < MOST_A_TRANSACTION:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
            size += len(following.asked)
        return batch, False

    def _add(self, jobs: JobQueue, batch: Sequence[_Waiting]) -> None:
        """Add what can be added in one transaction; what is wrong is refused by itself.

        Several jobs that belong together have a transaction of their own, since one of them may
        still be refused in it.
        """
        good: list[tuple[_Waiting, list[NewJob]]] = []
        for one in batch:
            new = _prepared(jobs, one)
            if new is not None and len(new) > 1:
                _add_alone(jobs, one, new)
            elif new is not None:
                good.append((one, new))
        if not good:
            return
        try:
            done = jobs.submit([job for _, new in good for job in new])
        except Exception as error:
            if len(good) == 1 or isinstance(error, StoreUnavailable | Contention):
                raise
            # Whose fault it is, is found out one by one.
            tell("gateway.one_by_one", reason=str(error))
            for one, new in good:
                _add_alone(jobs, one, new)
            return
        for one, new in good:
            part, done = done[: len(new)], done[len(new) :]
            one.answer(part)


def _add_alone(jobs: JobQueue, one: _Waiting, new: Sequence[NewJob]) -> None:
    try:
        one.answer(jobs.submit(new, whole=len(new) > 1))
    except Exception as error:  # noqa: BLE001 - it becomes the answer
        one.answer(error)


def _prepared(jobs: JobQueue, one: _Waiting) -> list[NewJob] | None:
    """Return the jobs that are asked for; None where the tables cannot hold one of them.

    Then that is answered.
    """
    new: list[NewJob] = []
    for asked in one.asked:
        try:
            new.append(jobs.prepared(asked))
        except (StoreUnavailable, Contention):
            raise
        except WpbridgeError as error:
            one.answer(error if len(one.asked) == 1 else Misfit(len(new), error))
            return None
    return new
