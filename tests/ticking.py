"""An executor of threads that lets a moved clock tick while the loop waits."""

import threading
from collections.abc import Callable
from datetime import timedelta

from clocks import FakeClock
from wpbridge.executors.base import Report
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor


class TickingExecutor(ThreadExecutor):
    """Time goes on while the loop waits, so that it marks what runs and beats."""

    def __init__(self, handler: Callable[..., None], clock: FakeClock, *, concurrency: int) -> None:
        handlers = {"h": describe("h", handler)}
        super().__init__(handlers, concurrency=concurrency, clock=clock, site="s")
        self._time = clock
        self.standing_still = threading.Lock()
        """Who has it holds the runner's loop up, as SIGSTOP would, once :attr:`stands` is set."""
        self.stands = threading.Event()
        """Set while the loop is about to wait, and so while it is held up."""

    def reports(self, timeout_seconds: float) -> list[Report]:
        self.stands.set()
        with self.standing_still:
            self.stands.clear()
            self._time.at += timedelta(seconds=0.3)
        return super().reports(min(timeout_seconds, 0.01))
