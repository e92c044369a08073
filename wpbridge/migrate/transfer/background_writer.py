"""A thread that writes while another one reads. Nobody has to wait for it at the end.

An executor of the standard library's is waited for by the interpreter itself: a process that is to
end would hang for as long as its database holds back a lock.
"""

import contextlib
import gc
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
SWITCH_SECONDS: Final = 0.0005
OBJECTS_A_COLLECTION: Final = 50_000


class BackgroundWriter:
    """Does one thing after the other, until the ``with`` block ends.

    Ended by an interrupt, it is left behind with what it is just doing: the process is to end, and
    takes the connection with it. Other errors wait for that, and do nothing that comes after it.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._go, name="wpbridge-writer", daemon=True)

    def submit(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> "Future[T]":
        """Queue work. It is done when all work before it is done."""
        future: Future[T] = Future()

        def do() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(*args, **named))
            except BaseException as error:  # noqa: BLE001 - for who waits for it
                future.set_exception(error)

        self._work.put(do)
        return future

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while kind is not None:
            try:
                self._work.get_nowait()
            except queue.Empty:
                break
        self._work.put(None)
        if kind is None or issubclass(kind, Exception):
            self._thread.join()

    def _go(self) -> None:
        while (work := self._work.get()) is not None:
            work()


@contextlib.contextmanager
def two_threads() -> Iterator[None]:
    """Set the interpreter for one thread that reads beside one that writes, and set it back.

    The writing thread mostly waits for the server, and has little to do when it answers. Nearly
    nothing that an import makes refers to itself, so garbage collections find nothing.
    """
    interval, counts = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(OBJECTS_A_COLLECTION)
    try:
        yield
    finally:
        gc.set_threshold(*counts)
        sys.setswitchinterval(interval)
