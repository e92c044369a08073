"""When a pool may start another worker process: at once, later, or not for a while."""

import time
from collections.abc import Callable
from typing import Final

BOOT_TRIES: Final = 3
AGAIN_SECONDS: Final = 60.0
"""Workers that do not come up are tried again then."""
BROKEN: Final = "wpbridge's own pool of processes failed; see the log"
_FIRST_PAUSE_SECONDS: Final = 0.25
_MOST_DOUBLINGS: Final = 6


class BackOff:
    """Counts failed starts and deaths. The pool's thread writes it, any thread reads it."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``what`` names in messages that which does not start."""
        self._what = what
        self._clock = clock
        self._boots_failed = 0
        self._deaths = 0
        self.not_before = 0.0
        """Monotonic."""
        self.trouble: str | None = None
        """Why no worker comes up; None when they do."""

    def is_down(self) -> bool:
        """Return whether workers did not come up, and are not tried again yet."""
        return self.trouble is not None and self._clock() < self.not_before

    def wanted(self, *, room: int, waiting: int, booting: int) -> int:
        """Return how many to start now, with ``room`` for more and ``booting`` on their way."""
        if self._clock() < self.not_before:
            return 0
        # After a failure one at a time: N of them would fail N times for one reason.
        most = 1 - booting if self._boots_failed else waiting - booting
        return max(0, min(room, most))

    def came_up(self) -> None:
        """Note that a worker is ready."""
        self._boots_failed = 0
        self.trouble = None

    def worked(self) -> None:
        """Note that a worker has ended an action."""
        self._deaths = 0

    def died(self) -> None:
        """Note a death: another worker may start at once, and later when deaths repeat."""
        if self._deaths:
            self._pause(self._deaths)
        self._deaths += 1

    def boot_failed(self, words: str, *, are_others_up: bool = False) -> int:
        """A worker did not come up. Returns how many did not in a row.

        While other workers are up, they do the work, and only the next start waits.
        """
        self._boots_failed += 1
        self._pause(self._boots_failed)
        if self._boots_failed >= BOOT_TRIES and not are_others_up:
            self.refused(f"{self._what} does not start: {words}")
        return self._boots_failed

    def refused(self, reason: str) -> None:
        """Note that no worker can be used for now; another one is tried after a while."""
        self.not_before = self._clock() + AGAIN_SECONDS
        self.trouble = reason

    def _pause(self, count: int) -> None:
        self.not_before = self._clock() + _FIRST_PAUSE_SECONDS * 2 ** min(count, _MOST_DOUBLINGS)
