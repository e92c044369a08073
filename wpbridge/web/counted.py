"""Count what a process of the gateway does: requests, and the actions of its own runner."""

import threading
from collections.abc import Callable

from wpbridge.telling.numbers import Numbers


class Counted:
    """What was counted since somebody last took it. Any thread may count and take."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = Numbers()
        self._others: list[Callable[[], Numbers]] = []

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: the path as the table of routes has it, so that no id is in it.
            method: of the request.
            status: of the answer.
            seconds: until the answer was made.
        """
        with self._lock:
            self._numbers.add("wpbridge_http_requests_total", route, method, str(status))
            name = "wpbridge_http_request_duration_seconds"
            self._numbers.observe(name, route, method, seconds=seconds)

    def include(self, take: Callable[[], Numbers]) -> None:
        """Take from now on what ``take`` returns, too, and never what an earlier one would."""
        self.join()
        with self._lock:
            self._others = [take]

    def join(self) -> None:
        """Take in what others have counted so far."""
        with self._lock:
            for take in self._others:
                self._numbers.join(take())

    def take(self) -> Numbers:
        """Return what was counted since this was last called."""
        self.join()
        with self._lock:
            found, self._numbers = self._numbers, Numbers()
        return found
