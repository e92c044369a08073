"""When the caretaker of a site gets a turn: between two steps of the runner's loop."""

import math
from typing import Protocol

from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass

ASK_SECONDS = 10.0
"""How often a caretaker with nothing to do is asked again."""
NEXT_SECONDS = 0.2
"""Between two pieces of its work, so that the loop does mostly its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepReport:
    """The result of one piece of upkeep."""

    freed: int = 0
    """Actions that may be claimed now, and could not before."""
    has_more: bool = False


class Caretaker(Protocol):
    """Does for the whole site what must be done beside its actions."""

    def step(self) -> UpkeepReport:
        """Do one short piece of upkeep, if it is time and our turn."""
        ...

    def leave(self) -> None:
        """This runner ends: let others go on."""
        ...


class UpkeepTurns:
    """The moments of one runner's caretaker; without one there are none."""

    def __init__(self, caretaker: Caretaker | None, clock: Clock) -> None:
        self.due_at = -math.inf if caretaker else math.inf
        self._caretaker = caretaker
        self._clock = clock

    def when_due(self) -> bool:
        """Do a piece of upkeep if it is time; return whether it has freed something to claim."""
        if self._caretaker is None or self._clock.monotonic() < self.due_at:
            return False
        tended = self._caretaker.step()
        pause = NEXT_SECONDS if tended.has_more else ASK_SECONDS
        # A run that ends when nothing is due must not end between two pieces that free something.
        self.due_at = self._clock.monotonic() + (0.0 if tended.freed else pause)
        return tended.freed > 0

    def leave(self) -> None:
        """Let other runners go on with the upkeep."""
        if self._caretaker is not None:
            self._caretaker.leave()
