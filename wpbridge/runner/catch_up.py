"""Dating what waits for other actions, once those have ended."""

from typing import Final

from wpbridge.runner.shared import Run

CATCH_UP_SECONDS: Final = 1.0
"""How often what waits is looked at while actions end here."""
IDLE_CATCH_UP_SECONDS: Final = 60.0
"""How often it is looked at while only others may end actions."""


class CatchUp:
    """The moments at which one run looks at what waits."""

    def __init__(self, run: Run) -> None:
        self.has_ended = True
        """Something may have ended since the last look."""
        self._run = run
        self._looked = -CATCH_UP_SECONDS

    def look(self) -> int:
        """Date what waits for actions that have ended, whoever ran them; return how many."""
        self.has_ended = False
        moved = self._run.store.catch_up(now=self._run.clock.now())
        self._looked = self._run.clock.monotonic()
        return moved

    def look_when_due(self) -> None:
        """Look, if something has ended here and the last look is long enough ago."""
        if self.is_due():
            self.look()

    def is_due(self) -> bool:
        """Return whether something has ended here and the last look is long enough ago."""
        return self.has_ended and self._seconds() >= CATCH_UP_SECONDS

    def look_when_idle(self) -> int:
        """Look, if the last look is long ago; return how many actions have a new date."""
        return self.look() if self._seconds() >= IDLE_CATCH_UP_SECONDS else 0

    def _seconds(self) -> float:
        return self._run.clock.monotonic() - self._looked
