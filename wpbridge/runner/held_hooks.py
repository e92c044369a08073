"""Hooks without a callback in WordPress: told once an hour, by one runner of the site.

The executor finds them and their actions go back as they were. What all runners have told of so far
stands in the store, since a run that cron starts each minute remembers nothing.
"""

from typing import Final

from wpbridge.events import PhpNoCallback
from wpbridge.runner.shared import Run

LOOK_SECONDS: Final = 60.0
"""How often the store is asked which hooks are held: other runners write it too."""


class HeldHooks:
    """What one runner knows of held hooks; used by its loop alone."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.missing: frozenset[str] = frozenset()
        """Hooks that this runner found to have no callback, and of which nothing has run since."""
        self._known: frozenset[str] = frozenset()
        self._looked: float | None = None

    def look(self) -> None:
        """Tell of hooks that were found to have no callback; forget those that have one again."""
        ran = self._run.in_hand.ran
        if found := self._run.executor.missing():
            ran -= found
            self.missing |= found
            for hook in self._run.store.tell_held(found):
                event = PhpNoCallback(at=self._run.clock.now(), site=self._run.bus.site, hook=hook)
                self._run.bus.tell(event)
            self._known |= found
        if not ran:
            return
        self.missing -= ran
        now = self._run.clock.monotonic()
        if self._looked is None or now - self._looked >= LOOK_SECONDS:
            self._looked, self._known = now, self._run.store.held_hooks()
        if gone := ran & self._known:
            self._run.store.forget_held(gone)
            self._known -= gone
        ran.clear()
