"""Which hooks have callbacks in WordPress: asked before anything of an action is written.

Used by the runner's thread and the pool's; every method takes the lock for itself.
"""

import threading
from collections.abc import Collection
from typing import Final

from wpbridge.executors.pools.back_off import AGAIN_SECONDS
from wpbridge.executors.pools.worker import now

_AGAIN_SECONDS: Final = AGAIN_SECONDS
"""A hook without callbacks is asked about again then."""


class Hooks:
    """What the workers have answered about hooks."""

    def __init__(self) -> None:
        """At first no hook is known."""
        self._lock = threading.Lock()
        self.known: frozenset[str] = frozenset()
        """Hooks that have callbacks, as a worker said."""
        self._missing: dict[str, float] = {}
        self._untold: set[str] = set()
        """Missing, and the runner does not know it yet."""
        self._wanted: set[str] = set()
        """To be asked."""
        self._asked: set[str] = set()
        """Wanted, or asked and not answered yet."""

    def is_missing(self, hook: str) -> bool:
        """Return whether a worker said a moment ago that the hook has none."""
        seen = self._missing.get(hook)
        return seen is not None and now() - seen <= _AGAIN_SECONDS

    def missing_now(self) -> frozenset[str]:
        """Hooks of which a worker said a moment ago that they have none."""
        with self._lock:
            return frozenset(hook for hook in self._missing if self.is_missing(hook))

    def want(self, hooks: Collection[str]) -> None:
        """Have a worker asked about those of which nothing is known."""
        with self._lock:
            unknown = set(hooks) - self.known - self._asked
            self._asked |= unknown
            self._wanted |= unknown

    def are_wanted(self) -> bool:
        """Return whether a worker is to be asked."""
        return bool(self._wanted)

    def take_wanted(self) -> frozenset[str]:
        """What a worker is asked now."""
        with self._lock:
            hooks = frozenset(self._wanted)
            self._wanted.clear()
        return hooks

    def learn(self, asked: frozenset[str], has: Collection[str]) -> None:
        """A worker's answer: which of those that it was asked about have callbacks."""
        with self._lock:
            self._asked -= asked
            self.known |= asked & set(has)
        for hook in sorted(asked - set(has)):
            self.miss(hook)

    def miss(self, hook: str) -> None:
        """It has no callback, or not any more."""
        with self._lock:
            self._missing[hook] = now()
            self._untold.add(hook)
            self.known -= {hook}

    def take_missing(self) -> frozenset[str]:
        """Hooks that were found to have no callback since this was last asked."""
        if not self._untold:
            return frozenset()
        with self._lock:
            hooks = frozenset(self._untold)
            self._untold.clear()
        return hooks

    def unanswered(self, asked: Collection[frozenset[str]]) -> None:
        """The worker that was asked is gone: another one may be asked."""
        with self._lock:
            self._asked.difference_update(*asked)
