"""Hooks without a callback in WordPress: told once an hour, by one runner of the site.

The executor finds them and their actions go back as they were. What all runners have told of so far
stands in the store, since a run that cron starts each minute remembers nothing.
"""

from typing import Final

from wpbridge.clock import Clock
from wpbridge.events import (
    ActionCanceled,
    ActionCompleted,
    ActionEvent,
    ActionFailed,
    ActionRetried,
    ActionSnoozed,
    PhpNoCallback,
)
from wpbridge.executors.base import Executor
from wpbridge.store.base import Store
from wpbridge.telling.bus import Bus

LOOK_SECONDS: Final = 60.0
"""How often the store is asked which hooks are held: other runners write it too."""
_HAS_RUN: Final = (ActionCompleted, ActionFailed, ActionRetried, ActionSnoozed, ActionCanceled)


class HeldBack:
    """What one runner knows of held hooks; used by its loop alone."""

    def __init__(self, store: Store, executor: Executor, clock: Clock, bus: Bus) -> None:
        self._store = store
        self._executor = executor
        self._clock = clock
        self._bus = bus
        self.missing: frozenset[str] = frozenset()
        """Hooks that this runner found to have no callback, and of which nothing has run since."""
        self._known: frozenset[str] = frozenset()
        self._looked: float | None = None
        self._run: set[str] = set()
        """Held hooks of which an action has run meanwhile."""
        for kind in _HAS_RUN:
            bus.subscribe(kind, self._has_run)

    def look(self) -> None:
        """Tell of hooks that were found to have no callback; forget those that have one again."""
        if found := self._executor.missing():
            self._run -= found
            self.missing |= found
            for hook in self._store.tell_held(found):
                event = PhpNoCallback(at=self._clock.now(), site=self._bus.site, hook=hook)
                self._bus.tell(event)
            self._known |= found
        if not self._run:
            return
        self.missing -= self._run
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked >= LOOK_SECONDS:
            self._looked, self._known = now, self._store.held_hooks()
        if gone := self._run & self._known:
            self._store.forget_held(gone)
            self._known -= gone
        self._run.clear()

    def _has_run(self, event: ActionEvent) -> None:
        self._run.add(event.hook)
