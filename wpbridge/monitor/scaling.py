"""Follow an advised number of places: up at once, down slowly. Pure: the caller tells the time."""

import math
from collections import deque
from typing import Final, NamedTuple

from wpbridge.site.bounds import Bounds

LESS_SECONDS: Final = 600.0
"""The need must have been less for so long before a place goes, where nobody says otherwise."""


class Follower:
    """The number of places of one daemon, as it follows the need."""

    def __init__(self, least: int, most: int, less_seconds: float = LESS_SECONDS) -> None:
        """``less_seconds``: for how long the need must have been less before a place goes."""
        self.least, self.most = least, most
        self._less_seconds = less_seconds
        self.wanted = least
        self._needs: deque[tuple[float, int]] = deque()

    def follow(self, at: float, needed: int | None) -> int:
        """Return how many places there shall be now.

        Args:
            at: seconds of a clock that is never set.
            needed: what is advised; None when nobody knows, and then nothing changes. What was
                known before counts no more, so that less need is seen for its whole time.
        """
        if needed is None:
            self._needs.clear()
            return self.wanted
        self._needs.append((at, needed))
        # One that is older stays: it shows that the whole time has been seen.
        while len(self._needs) > 1 and self._needs[1][0] <= at - self._less_seconds:
            self._needs.popleft()
        if needed > self.wanted:
            self.wanted = min(self.most, needed)
        elif self._has_seen_less(at):
            self.wanted = max(self.least, self.wanted - 1)
        return self.wanted

    def _has_seen_less(self, at: float) -> bool:
        is_whole = self._needs[0][0] <= at - self._less_seconds
        return is_whole and max(need for _, need in self._needs) < self.wanted


class Shape(NamedTuple):
    """Places, as processes of so many places each."""

    processes: int
    concurrency: int


def shape_of(places: int, processes: Bounds, concurrency: Bounds, *, is_cpu_bound: bool) -> Shape:
    """Return the shape that has so many places, or the nearest one that is allowed.

    A process costs memory, so there are as few as possible. One process of Python uses little more
    than one processor, so there are as many as possible where the processors are what holds the
    work up.
    """
    each = concurrency.least if is_cpu_bound else concurrency.most
    count = processes.within(math.ceil(places / each))
    return Shape(count, concurrency.within(math.ceil(places / count)))
