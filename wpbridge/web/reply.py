"""What a request waits for, and a thread gives it."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Reply(Generic[T]):
    """One answer. It is made in the event loop, where ``given`` is awaited."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.given: asyncio.Future[T] = self._loop.create_future()
        """Raises the answer when it is an exception."""

    def give(self, answer: T | BaseException) -> None:
        """Answer. Any thread may do it; what comes after the first time counts for nothing."""
        self._loop.call_soon_threadsafe(self._set, answer)

    def _set(self, answer: T | BaseException) -> None:
        if self.given.done():
            # Or nobody waits any more.
            return
        if isinstance(answer, BaseException):
            self.given.set_exception(answer)
        else:
            self.given.set_result(answer)
