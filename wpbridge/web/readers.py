"""Ask the queue on a few threads, each with a connection of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from wpbridge.queue.jobs import JobQueue

T = TypeVar("T")
READERS: Final = 4


class Readers:
    """A pool of queues."""

    def __init__(self, open_queue: Callable[[], JobQueue], *, readers: int = READERS) -> None:
        """Take what opens a queue; that is done on first use, once for each thread."""
        self._open = open_queue
        self._own = threading.local()
        self._opened: list[JobQueue] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="wpbridge-reader")

    async def ask(self, question: Callable[[JobQueue], T]) -> T:
        """Return what the question finds; raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, question)

    def _ask(self, question: Callable[[JobQueue], T]) -> T:
        mine: JobQueue | None = getattr(self._own, "queue", None)
        if mine is None:
            mine = self._own.queue = self._open()
            with self._lock:
                self._opened.append(mine)
        return question(mine)

    def close(self) -> None:
        """Let what runs end, then close the connections."""
        self._pool.shutdown(wait=True)
        for queue in self._opened:
            queue.close()
