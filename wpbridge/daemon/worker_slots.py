"""The places that a daemon's workers fill, and their replacing, one by one; starts none."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from wpbridge.daemon.child import Child

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 30.0
SETTLED_SECONDS: Final = 60.0
"""A worker that lived so long starts the count of deaths anew."""


def delay(deaths: int, chance: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds before a worker is started again that died so many times in a row."""
    longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(deaths - 1, 10))
    return chance(longest / 2, longest)


@dataclass(slots=True, eq=False)
class Place:
    """One of the N workers there shall be, whichever process fills it."""

    number: int
    child: Child | None = None
    successor: Child | None = None
    due: float = 0.0
    """When it is to be filled, while it is empty."""
    deaths: int = 0
    """In a row."""

    def died(self, now: float, started: float, chance: Callable[[float, float], float]) -> float:
        """Its worker did; returns how long it stays empty."""
        self.deaths = 1 if now - started >= SETTLED_SECONDS else self.deaths + 1
        wait = delay(self.deaths, chance)
        self.due = now + wait
        return wait


class Rolling:
    """Which worker is to be replaced next."""

    def __init__(self) -> None:
        self.patience_seconds = 30.0
        """How long the next one waits for the last one to drain."""
        self._left: list[Place] | None = None
        self._drains: tuple[Child, float] | None = None

    @property
    def is_on(self) -> bool:
        """Whether some are still to be replaced."""
        return self._left is not None

    def begin(self, places: Sequence[Place]) -> None:
        """Replace all of them."""
        self._left, self._drains = list(places), None

    def end(self) -> None:
        """Replace no more of them."""
        self._left = None

    def drains(self, child: Child, now: float) -> None:
        """The last one replaced has been told to."""
        self._drains = child, now + self.patience_seconds

    def next(
        self, places: Collection[Place], leaving: Collection[Child], now: float
    ) -> Place | None:
        """The place that gets a successor now; None when none does yet, or all have."""
        if self._left is None or any(place.successor is not None for place in places):
            return None
        if self._drains is not None:
            old, until = self._drains
            if old in leaving and now < until:
                return None
            self._drains = None
        while self._left:
            place = self._left.pop(0)
            # One that is down is started anew anyway.
            if place in places and place.child is not None:
                return place
        self._left = None
        return None
