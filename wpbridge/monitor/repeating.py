"""Ask a site's tables the same over and over, on a thread of its own, and keep the last answer."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, Generic, TypeVar

from wpbridge.clock import Clock, SystemClock
from wpbridge.errors import WpbridgeError
from wpbridge.store.opened import OpenStore
from wpbridge.telling.log import tell

T = TypeVar("T")
EVERY_SECONDS: Final = 15.0
"""The tables are asked so often."""
BUSY_SHARE: Final = 0.01
"""Questions that take long are asked less often, so that no more of the time goes into them."""
KEPT_SECONDS: Final = 300.0
"""An older answer is not given out: nobody could tell it from a new one."""
SELDOM_SECONDS: Final = 240.0
"""The tables are asked so often even where that takes long: else the last answer would be too old
before the next one."""
_CLOSE_SECONDS: Final = 5.0
"""Longer nobody waits for a database that does not answer; the thread ends with the process."""


class Repeated(Generic[T]):
    """The last answer to one question. Whoever asks for it never waits for the database.

    The thread has its own connection, which it opens anew after each trouble.
    """

    def __init__(
        self,
        ask: Callable[[OpenStore, datetime], T],
        open_store: Callable[[], OpenStore],
        clock: Clock | None = None,
        *,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        """Begin to ask.

        Args:
            ask: asks the tables; it is given the moment of now.
            open_store: opens a store of the site, for this thread alone.
            clock: the clock of what is due and old.
            every_seconds: the tables are asked so often, or less often if that takes long.
        """
        self._ask = ask
        self._every_seconds = every_seconds
        self._open = open_store
        self._clock = clock or SystemClock()
        self._last: tuple[T, datetime] | None = None
        self._news = threading.Condition()
        self._has_tried = False
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="wpbridge-readings", daemon=True)
        self._thread.start()

    def latest(self) -> T | None:
        """Return the last answer; None if the last attempt failed, or if it is too old."""
        if self._last is None:
            return None
        answer, at = self._last
        is_old = (self._clock.now() - at).total_seconds() > KEPT_SECONDS
        return None if is_old else answer

    def wait(self, seconds: float) -> None:
        """Wait until the first attempt has been made, but no longer than this."""
        with self._news:
            self._news.wait_for(lambda: self._has_tried or self._is_over, seconds)

    def close(self) -> None:
        """End the thread, which closes its connection."""
        with self._news:
            self._is_over = True
            self._news.notify_all()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        store: OpenStore | None = None
        while not self._is_over:
            took, now = 0.0, self._clock.now()
            try:
                store = store or self._open()
                begin = time.perf_counter()
                self._last = self._ask(store, now), now
                took = time.perf_counter() - begin
            except Exception as error:  # noqa: BLE001 - the next attempt may go well
                self._last = None
                if not isinstance(error, WpbridgeError):
                    tell("metrics.broken", exc_info=True)
                _close(store)
                store = None
            seconds = pause_after(took, self._every_seconds)
            with self._news:
                self._has_tried = True
                self._news.notify_all()
                self._news.wait_for(lambda: self._is_over, seconds)
        _close(store)


def pause_after(took: float, every_seconds: float) -> float:
    """Return how long to wait after a question that took so many seconds; 0 for one that failed."""
    return max(every_seconds, min(took / BUSY_SHARE, SELDOM_SECONDS))


def _close(store: OpenStore | None) -> None:
    with suppress(WpbridgeError):
        if store is not None:
            store.close()
