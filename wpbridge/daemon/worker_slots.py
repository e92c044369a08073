"""The slots of a daemon's workers, and how workers are replaced one by one. Nothing starts here."""

import logging
import random
from collections.abc import Callable, Collection, Sequence
from typing import Final

from wpbridge.daemon.worker_process import RECYCLED, Child
from wpbridge.dataclass import dataclass
from wpbridge.telling.log import tell

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 30.0
LOUD_DEATHS: Final = (1, 5)
"""Which deaths in a row are warnings; the others are logged at level info."""
SETTLED_SECONDS: Final = 60.0
"""A worker that lived so long starts the count of deaths anew."""


def delay(deaths: int, chance: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds before a worker is started again that died so many times in a row."""
    longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(deaths - 1, 10))
    return chance(longest / 2, longest)


@dataclass(slots=True, eq=False)
class WorkerSlot:
    """One of the N workers there shall be, whichever process fills it."""

    number: int
    child: Child | None = None
    successor: Child | None = None
    due: float = 0.0
    """When it is to be filled, while it is empty."""
    deaths: int = 0
    """In a row."""
    is_urgent: bool = True
    """The daemon is not ready before it is filled."""
    all_deaths: int = 0
    """Since the daemon began."""
    is_wished_quiet: bool = False
    """People wish that its worker claims nothing. That holds for the worker after it too."""

    def children(self) -> list[Child]:
        """The processes that fill it: its worker, and the successor."""
        return [child for child in (self.child, self.successor) if child is not None]

    def emptied(self, child: Child, now: float, chance: Callable[[float, float], float]) -> None:
        """Its worker has ended: say when it is filled again, and log why."""
        if child.code == RECYCLED:
            tell("worker.recycled", worker_pid=child.pid, why="max-actions")
            self.due, self.deaths = now, 0
            return
        wait = self.died(now, child.started, chance)
        tell(
            "worker.died",
            level=logging.WARNING if self.deaths in LOUD_DEATHS else logging.INFO,
            worker=self.number,
            worker_pid=child.pid,
            code=child.code,
            deaths=self.deaths,
            again_in_seconds=round(wait, 1),
        )

    def died(self, now: float, started: float, chance: Callable[[float, float], float]) -> float:
        """Its worker did; returns how long it stays empty."""
        self.deaths = 1 if now - started >= SETTLED_SECONDS else self.deaths + 1
        wait = delay(self.deaths, chance)
        self.due = now + wait
        return wait


class RollingRestart:
    """Decides which worker is replaced next."""

    def __init__(self) -> None:
        self.patience_seconds = 30.0
        """How long the next one waits for the last one to drain."""
        self._left: list[WorkerSlot] | None = None
        self._drains: tuple[Child, float] | None = None

    @property
    def is_on(self) -> bool:
        """Whether some are still to be replaced."""
        return self._left is not None

    def begin(self, slots: Sequence[WorkerSlot]) -> None:
        """Begin to replace the workers of all these slots."""
        self._left, self._drains = list(slots), None

    def end(self) -> None:
        """Stop replacing workers."""
        self._left = None

    def drains(self, child: Child, now: float) -> None:
        """Note that the worker that was replaced last has begun to drain."""
        self._drains = child, now + self.patience_seconds

    def next(
        self, slots: Collection[WorkerSlot], leaving: Collection[Child], now: float
    ) -> WorkerSlot | None:
        """The slot that gets a successor now; None when none does yet, or all have."""
        if self._left is None or any(slot.successor is not None for slot in slots):
            return None
        if self._drains is not None:
            old, until = self._drains
            if old in leaving and now < until:
                return None
            self._drains = None
        while self._left:
            slot = self._left.pop(0)
            # One that is down is started anew anyway.
            if slot in slots and slot.child is not None:
                return slot
        self._left = None
        return None
