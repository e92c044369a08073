"""Calls the store on a thread of its own, while the loop takes in what has ended.

A claim is mostly waiting: for the server, one statement after the other. The loop does not call the
store before that thread is done, so one thread at a time uses it.
"""

import queue
import sys
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
SWITCH_SECONDS: Final = 0.0001
"""How long a thread computes before another one that wants to gets its turn. Python's own 5 ms
would let the server stand idle after each statement."""


class Answer(Generic[T]):
    """The answer to one call, once it is there."""

    def __init__(self, work: Callable[[], T], when_over: Callable[[], None]) -> None:
        self._over = threading.Event()
        self._work = work
        self._when_over = when_over
        self._returned: list[T] = []
        self._raised: BaseException | None = None

    def run(self) -> None:
        """Do the work, and keep what it returns or raises."""
        try:
            self._returned.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
            self._raised = error
        self._over.set()
        self._when_over()

    def is_over(self) -> bool:
        """Return whether the work is done."""
        return self._over.is_set()

    def wait(self) -> None:
        """Wait for the work."""
        self._over.wait()

    def result(self) -> T:
        """Wait for the work; return what it returned, or raise what it raised."""
        self._over.wait()
        if self._raised is not None:
            raise self._raised
        return self._returned[0]


class StoreThread:
    """A thread that makes one call after the other."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, work: Callable[[], T], when_over: Callable[[], None]) -> Answer[T]:
        """Have a call made, and ``when_over`` called after it. Both happen on the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="wpbridge-store", daemon=True)
            self._thread.start()
            sys.setswitchinterval(SWITCH_SECONDS)
        answer = Answer(work, when_over)
        self._asked.put(answer.run)
        return answer

    def _serve(self) -> None:
        while True:
            self._asked.get()()
