"""How much to claim: no more than can be started soon, so that other runners get the rest."""

from datetime import timedelta
from typing import Final

SOON: Final = timedelta(seconds=1)
_WEIGHT: Final = 0.2
"""Of the newest duration in the average: the last dozen decide."""


class ClaimSize:
    """Learns from durations how many actions start within :data:`SOON`."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = max(1, concurrency)
        self._average: float | None = None

    def note(self, duration: timedelta) -> None:
        """Take in how long one more action ran."""
        seconds = max(0.0, duration.total_seconds())
        if self._average is None:
            self._average = seconds
        else:
            self._average += (seconds - self._average) * _WEIGHT

    def size(self, most: int) -> int:
        """Return how many actions to claim: as many as run at once, or end within a second."""
        if self._average is None:
            return min(most, self._concurrency)
        if self._average * most <= SOON.total_seconds() * self._concurrency:
            return most
        soon = int(SOON.total_seconds() * self._concurrency / self._average)
        return min(most, max(self._concurrency, soon))
