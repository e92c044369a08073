"""A thread that writes while another one reads, and that nobody has to wait for at the end.

An executor of the standard library's is waited for by the interpreter itself: a process that is to
end would hang for as long as its database holds back a lock.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Writer:
    """Does one thing after the other, until the ``with`` it is used in ends.

    Ended by an interrupt, it is left behind with what it is just doing: the process is to end, and
    takes the connection with it. Other errors wait for that, and do nothing that comes after it.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._go, name="wpbridge-writer", daemon=True)

    def submit(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> "Future[T]":
        """Have it done when all before it is done."""
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
