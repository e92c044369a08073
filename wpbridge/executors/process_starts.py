"""When the process pool may start another child: at once, later, or not for a while."""

from collections.abc import Callable
from typing import Final

from wpbridge.executors.process_worker import now

BOOT_TRIES: Final = 3
AGAIN_SECONDS: Final = 60.0
"""Children that do not come up are tried again then."""
_FIRST_PAUSE_SECONDS: Final = 0.25
_MOST_DOUBLINGS: Final = 6


class Starts:
    """Counts what went wrong. Written by the pool's thread, read by any."""

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self._clock = clock
        self._boots_failed = 0
        self._idle_deaths = 0
        self.not_before = 0.0
        """Monotonic."""
        self.trouble: str | None = None
        """Why no child comes up; None when they do."""
        self._is_broken = False

    def is_down(self) -> bool:
        """Children did not come up, and are not tried again yet."""
        return self.trouble is not None and (self._is_broken or self._clock() < self.not_before)

    def wanted(self, *, room: int, waiting: int, booting: int) -> int:
        """How many to start now, with ``room`` for more and ``booting`` on their way."""
        if self._clock() < self.not_before:
            return 0
        # After a failure one at a time: N of them would fail N times for one reason.
        most = 1 - booting if self._boots_failed else waiting - booting
        return max(0, min(room, most))

    def came_up(self) -> None:
        """A child is ready."""
        self._boots_failed = 0
        self.trouble = None

    def worked(self) -> None:
        """A child has ended an action."""
        self._idle_deaths = 0

    def died_idle(self) -> None:
        """A child died with nothing to do: at once a new one, later when that repeats itself."""
        if self._idle_deaths:
            self._pause(self._idle_deaths)
        self._idle_deaths += 1

    def boot_failed(self, words: str) -> int:
        """A child did not come up; returns how many in a row."""
        self._boots_failed += 1
        self._pause(self._boots_failed)
        if self._boots_failed >= BOOT_TRIES:
            self.not_before = self._clock() + AGAIN_SECONDS
            self.trouble = f"the process of isolated handlers does not start: {words}"
        return self._boots_failed

    def broke(self, reason: str) -> None:
        """The pool itself failed: never again."""
        self._is_broken = True
        self.trouble = reason

    def _pause(self, count: int) -> None:
        self.not_before = self._clock() + _FIRST_PAUSE_SECONDS * 2 ** min(count, _MOST_DOUBLINGS)
