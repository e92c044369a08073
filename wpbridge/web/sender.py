"""Enqueue the actions of many requests through the broker: docs/explain/celery.md.

One thread sends. While it waits for the broker's confirmation, more requests gather, and the next
batch takes them all.
"""

import queue
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from wpbridge.errors import ConfigError, WpbridgeError
from wpbridge.queue.enqueue import Enqueue, Sent
from wpbridge.queue.jobs import JobQueue
from wpbridge.web.problems import Problem
from wpbridge.web.reply import Reply
from wpbridge.web.writer import MOST_WAITING, Full

MOST_IN_BATCH: Final = 500


class _Waiting(NamedTuple):
    new: Enqueue
    answer: Callable[[Sent | BaseException], object]
    """Any thread may call it; what comes after the first call counts for nothing."""


class Sender:
    """Sends actions on a thread of its own, which starts with the first of them."""

    def __init__(self, open_queue: Callable[[], JobQueue]) -> None:
        self._open = open_queue
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def send(self, new: Enqueue) -> Sent:
        """Send an action; return when the broker has confirmed it, or it has become a row.

        Raises:
            Full: too many wait; nothing is sent.
            InputError: something is wrong with it; nothing is sent.
            Problem: this gateway has no broker, or one that may forget.
            StoreError: the broker is away, and the database does not answer either.
        """
        if self._queue.qsize() > MOST_WAITING:
            raise Full
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="wpbridge-sender", daemon=True
                )
                self._thread.start()
        reply = Reply[Sent]()
        self._queue.put(_Waiting(new, reply.give))
        return await reply.given

    def close(self) -> None:
        """Send what waits, then end the thread."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        jobs: JobQueue | None = None
        is_last = False
        while not is_last and (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < MOST_IN_BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    is_last = True
                    break
                batch.append(following)
            try:
                jobs = jobs or self._open()
                _send(jobs, batch)
            except BaseException as error:  # noqa: BLE001 - each waiting request gets its answer
                for one in batch:
                    one.answer(_told(error))
        if jobs is not None:
            jobs.close()


def _send(jobs: JobQueue, batch: list[_Waiting]) -> None:
    good: list[_Waiting] = []
    for one in batch:
        try:
            jobs.check_through(one.new)
        except ConfigError:
            raise
        except WpbridgeError as error:
            one.answer(error)
        else:
            good.append(one)
    if good:
        sent = jobs.enqueue_many([one.new for one in good], through="celery")
        for one, done in zip(good, sent, strict=True):
            one.answer(done)


def _told(error: BaseException) -> BaseException:
    """What is wrong with the settings is for whoever runs the gateway, but not a fault of it."""
    if isinstance(error, ConfigError):
        return Problem("conflict", str(error), field="through")
    return error
