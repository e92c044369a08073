"""How many batches of candidates a claim looks at: more where other runners claim at the same time.

Two runners look at the same first rows, and while one of them has these locked, the other takes the
rows behind them. It has to know these rows then, or it would have to search a second time.
"""

from typing import Final

MOST_BATCHES: Final = 4
"""More are hardly ever locked at a time: a look at them would take longer than a second search."""
_CALM_CLAIMS: Final = 8
"""After so many claims that met nobody, one batch less is looked at."""


class Crowd:
    """Learns from claims how many batches others have locked."""

    def __init__(self) -> None:
        self.batches = 1
        """How many to look at."""
        self._calm = 0

    def met(self, batches: int) -> None:
        """Take in that a claim found so many batches locked before it got one."""
        if batches:
            self.batches = min(MOST_BATCHES, max(self.batches, batches + 1))
            self._calm = 0
            return
        self._calm += 1
        if self._calm >= _CALM_CLAIMS:
            self.batches = max(1, self.batches - 1)
            self._calm = 0
