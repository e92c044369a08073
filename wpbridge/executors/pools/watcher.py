"""Looking out for worker processes: one thread waits for whatever any of them says, or for its end.

Others wake it through a pipe, also from signal handlers.
"""

import contextlib
import os
import selectors
from typing import Generic, TypeVar

W = TypeVar("W")


class Watcher(Generic[W]):
    """The descriptors of one pool's workers."""

    def __init__(self) -> None:
        self._is_closed = False
        self._is_woken = False
        """Somebody has ended the wait, and what was left for us then is not looked at yet."""
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = os.pipe()
        for descriptor in (self._woken, self._waker):
            os.set_blocking(descriptor, False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)

    def wake(self) -> None:
        """End a wait; from any thread, and safe in a signal handler."""
        # A number that was closed may be another file's by now.
        if not (self._is_closed or self._is_woken):
            self._is_woken = True
            with contextlib.suppress(BlockingIOError):
                os.write(self._waker, b"!")

    def watch(self, worker: W, descriptors: tuple[int, ...], pid: int) -> int | None:
        """From now on. OSError when the system has no room for it; then nothing is watched.

        Returns a descriptor that tells its end, where the system has such and can spare one.
        """
        try:
            for descriptor in descriptors:
                self._selector.register(descriptor, selectors.EVENT_READ, worker)
        except OSError:
            self.forget(*descriptors)
            raise
        if not hasattr(os, "pidfd_open"):
            return None
        try:
            watched = os.pidfd_open(pid)
        except OSError:
            return None
        try:
            self._selector.register(watched, selectors.EVENT_READ, worker)
        except OSError:
            os.close(watched)
            return None
        return watched

    def forget(self, *descriptors: int | None) -> None:
        """Watch these descriptors no longer; what is not watched is passed over."""
        for descriptor in descriptors:
            if descriptor is not None:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(descriptor)

    def wait(self, seconds: float) -> list[W]:
        """Return the workers that have something to say, or have ended, each once."""
        touched: list[W] = []
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
            elif key.data not in touched:
                touched.append(key.data)
        # What comes from here on may not be seen in this turn, so it must wake us again. It is said
        # after the pipe is read, since a wake in between would be read, and the next one withheld.
        self._is_woken = False
        return touched

    def close(self) -> None:
        """Watch nothing any more. Call it after the pool's thread has ended."""
        if self._is_closed:
            return
        self._is_closed = True
        self._selector.close()
        os.close(self._woken)
        os.close(self._waker)
