"""Share the claims fairly between groups: leave out groups that have had more than their part.

Each group has a clock that advances by what the group was given, divided by its weight. The group
whose clock is behind comes next (start-time fair queueing). Which groups have work is learnt from
the claims: a group without rows drops out, and now and then a claim that leaves out all known
groups looks for others. Every process keeps its own clocks; the sum over all is fair, too.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from wpbridge.patterns import matches

LOOK_SECONDS: Final = 0.5
"""While others have work, groups that had none are looked for at most so often."""


class Shares:
    """Decides which groups come next."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        """Take the weights by pattern of the slug, in order. Without any nothing is left out."""
        self._weights = tuple(weights.items())
        self._clocks: dict[str, float] = {}
        """The clocks of the groups that had work when they were last looked at."""
        self._looked = -LOOK_SECONDS

    def is_empty(self) -> bool:
        """Return whether there are no weights, so that nobody takes turns."""
        return not self._weights

    def turns(self, now: float) -> list[frozenset[str]]:
        """Return the groups to leave out of the next claim, and of the next if that finds none.

        ``now`` is in monotonic seconds.
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
        """Note the group of each action that a claim of at most ``size`` brought."""
        if not self._weights:
            return
        found = list(groups)
        least = min(self._clocks.values(), default=0.0)
        if len(found) < size:
            # The claim saw everything but what was left out, so the other groups have no work.
            for group in set(self._clocks) - left_out - set(found):
                del self._clocks[group]
        for group in found:
            # A group that had no work has saved nothing up.
            at = self._clocks.setdefault(group, least)
            self._clocks[group] = at + 1 / self._weight(group)

    def _weight(self, group: str) -> int:
        fits = (w for pattern, w in self._weights if matches(pattern, group))
        return next(fits, 1)
