"""How much to claim: no more than can be started soon, so that other runners get the rest.

A claim costs a commit, so quick actions are claimed by the hundred. Slow ones are claimed by the
handful: what waits in the hands of one runner is kept from all others.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from wpbridge.executors.pace import AHEAD_SECONDS, moved
from wpbridge.runner.limits import Limits
from wpbridge.site.rules import FIRST_CLAIM

SOON: Final = timedelta(seconds=1)
MOST: Final = 500
"""Longer claims are hardly quicker, and lock more rows at a time."""


def claim_size(limits: Limits, *, is_held: bool) -> "ClaimSize":
    """Return the rule for the claims of a run, or of a daemon where the limits name a poll.

    A daemon begins with as many as run at once: others may be waiting for slow ones. ``is_held``:
    groups share the claims, or hooks have limits. Then claims stay small, since a group waits for
    its turn, and a hook is paused only between two claims.
    """
    size, concurrency = limits.batch_size, limits.concurrency
    if limits.poll is not None:
        most = size or (FIRST_CLAIM if is_held else MOST)
        return ClaimSize(concurrency, most=most, first=concurrency)
    if size is not None or limits.batches:
        return ClaimSize(concurrency, most=size or FIRST_CLAIM, is_fixed=True)
    return ClaimSize(concurrency, most=FIRST_CLAIM if is_held else MOST)


class ClaimSize:
    """Learns from durations how many actions start within :data:`SOON`."""

    def __init__(
        self,
        concurrency: int,
        *,
        most: int = MOST,
        first: int = FIRST_CLAIM,
        is_fixed: bool = False,
    ) -> None:
        """Make the rule for one run.

        Args:
            concurrency: how many calls run at once.
            most: the size of the longest claim.
            first: the size of a claim before anything is known.
            is_fixed: every claim is as long as there are actions, however long they take.
        """
        self.is_fixed = is_fixed
        self._concurrency = max(1, concurrency)
        self._most = most
        self._first = max(1, min(first, most))
        self._average: float | None = None
        self._averages: dict[str, float] = {}
        """In seconds, by hook."""

    def resize(self, concurrency: int) -> None:
        """Take in that so many calls run at once from now on."""
        self._concurrency = max(1, concurrency)

    def note(self, hook: str, duration: timedelta) -> None:
        """Take in how long one more action ran."""
        seconds = max(0.0, duration.total_seconds())
        self._average = moved(self._average, seconds)
        self._averages[hook] = moved(self._averages.get(hook), seconds)

    def note_running(self, hook: str, so_far: timedelta) -> None:
        """Take in how long an action has been running that has not ended yet.

        It tells that a hook is slow. That one is quick only those tell that have ended. Less than
        :data:`SOON` tells nothing: a busy processor makes any call wait for a moment.
        """
        if so_far < SOON:
            return
        seconds = so_far.total_seconds()
        self._averages[hook] = max(seconds, self._averages.get(hook, 0.0))
        if self._average is not None:
            self._average = max(seconds, self._average)

    def most(self) -> int:
        """Return how many actions to look for: as many as run at once, or start soon."""
        if self.is_fixed:
            return self._most
        if self._average is None:
            return self._first
        soon = SOON.total_seconds() * self._concurrency
        if self._average * self._most <= soon:
            return self._most
        return min(self._most, max(self._concurrency, int(soon / self._average)))

    def is_short(self, actions: int) -> bool:
        """Return whether so many actions would end within :data:`AHEAD_SECONDS`.

        None would while nothing is known of the handlers.
        """
        if self._average is None:
            return False
        return self._average * actions <= AHEAD_SECONDS * self._concurrency

    def portion(self, hooks: Sequence[str], within: timedelta = SOON, *, busy: int = 0) -> int:
        """Return how many actions of these hooks, from the first on, would start in time.

        A hook that has not run yet counts as one of which :data:`FIRST_CLAIM` start soon. ``busy``:
        so many of the places are taken by calls whose end is not in sight.
        """
        if self.is_fixed:
            return len(hooks)
        free = max(0, self._concurrency - busy)
        room = within.total_seconds() * free
        unknown = SOON.total_seconds() * self._concurrency / self._first
        least = min(free, self._most)
        for place, hook in enumerate(hooks):
            if room <= 0 and place >= least:
                return place
            room -= self._averages.get(hook, unknown)
        return len(hooks)
