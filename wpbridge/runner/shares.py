"""Fair shares between groups: a claim leaves out those that have had more than their part.

Each group has a clock that runs by what it was given, divided by its weight; the one whose clock
is behind comes next (start-time fair queueing). Which groups have work is learnt from the claims:
one without rows falls out, and what had none before is looked for once in a while by a claim that
leaves out all known ones. Every process keeps its own clocks; the sum over all is fair, too.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from wpbridge.patterns import matches

LOOK_SECONDS: Final = 0.5
"""So often groups that had nothing to do are looked for while others have."""


class Shares:
    """Decides which groups' turn it is."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        """``weights``: by pattern of the group's slug, in order; without any all is in order."""
        self._weights = tuple(weights.items())
        self._clocks: dict[str, float] = {}
        """Of the groups that had work when they were last looked at."""
        self._looked = -LOOK_SECONDS

    def turns(self, now: float) -> list[frozenset[str]]:
        """The groups to leave out of the next claim, and of the one after if it finds nothing.

        ``now``: monotonic seconds.
        """
        if not self._weights:
            return [frozenset()]
        behind = sorted(set(self._clocks.values()))
        turns = [frozenset(g for g, at in self._clocks.items() if at > least) for least in behind]
        if self._clocks and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            turns.insert(0, frozenset(self._clocks))
        return turns or [frozenset()]

    def taken(self, groups: Iterable[str], left_out: frozenset[str], size: int) -> None:
        """Note which groups a claim of at most ``size`` actions brought, one entry an action."""
        if not self._weights:
            return
        found = list(groups)
        least = min(self._clocks.values(), default=0.0)
        if len(found) < size:
            # It saw everything but what was left out: the others have nothing.
            for group in set(self._clocks) - left_out - set(found):
                del self._clocks[group]
        for group in found:
            # Who had nothing to do has saved nothing up.
            at = self._clocks.setdefault(group, least)
            self._clocks[group] = at + 1 / self._weight(group)

    def _weight(self, group: str) -> int:
        fits = (w for pattern, w in self._weights if matches(pattern, group))
        return next(fits, 1)
