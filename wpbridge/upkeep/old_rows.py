"""Delete what is too old in our own tables: results, statistics, and what names no action.

How large all tables are is noted on the way.

Every runner may do it, one at a time, on any site: the plugin's cleaner does not know these tables.
"""

from datetime import timedelta
from typing import Final

from wpbridge.clock import Clock
from wpbridge.errors import Contention
from wpbridge.runner.upkeep_turns import Caretaker, UpkeepReport
from wpbridge.store.opened import OpenStore

EVERY_SECONDS: Final = 3600
"""How often the tables of a site are looked through."""
JOBS_KEPT: Final = timedelta(days=7)
"""So long a job whose action is gone still answers that it was there."""
_ASK_SECONDS: Final = 600.0
"""How often a runner that goes on asks whether it is time."""
_PIECE: Final = 500
"""How many rows one transaction deletes."""


class OldRows:
    """See :class:`wpbridge.runner.upkeep_turns.Caretaker`."""

    def __init__(
        self, store: OpenStore, clock: Clock, *, holder: str, keep_results: timedelta | None
    ) -> None:
        """Take what it needs.

        Args:
            store: the runner's.
            clock: by which rows are old.
            holder: a name that no other runner has.
            keep_results: how long results are kept; None for as long as their action.
        """
        self._store = store
        self._clock = clock
        self._holder = holder
        self._keep_results = keep_results
        self._has_duty = False
        self._asks_at = 0.0

    def step(self) -> UpkeepReport:
        """Delete one piece of what is too old, if it is time and nobody else does it."""
        if not self._has_duty and self._clock.monotonic() < self._asks_at:
            return UpkeepReport()
        self._asks_at = self._clock.monotonic() + _ASK_SECONDS
        try:
            return UpkeepReport(has_more=self._step())
        except Contention:
            # Others hold the rows: they will be there next time.
            self._has_duty = False
            return UpkeepReport()

    def _step(self) -> bool:
        duties = self._store.duties
        if self._has_duty:
            self._has_duty = duties.keep("old_rows", self._holder)
        else:
            self._has_duty = duties.take("old_rows", self._holder)
            if self._has_duty:
                self._note_sizes()
        if self._has_duty and not self._delete_some():
            duties.give_back("old_rows", self._holder, after_seconds=EVERY_SECONDS)
            self._has_duty = False
        return self._has_duty

    def _note_sizes(self) -> None:
        """Note how large the tables are, so that the dashboard can say how fast they grow."""
        sizes = self._store.gauges.sizes()
        self._store.sizes.note(self._clock.now(), {name: told.size for name, told in sizes.items()})

    def _delete_some(self) -> bool:
        """Delete one piece of each; return whether there is more."""
        now, store = self._clock.now(), self._store
        before = None if self._keep_results is None else now - self._keep_results
        found = [
            store.results.expire(before, _PIECE),
            store.jobs.expire(now - JOBS_KEPT, _PIECE),
        ]
        has_more = [store.traces.expire(), store.stats.roll_up(now), max(found) == _PIECE]
        return any(has_more)

    def leave(self) -> None:
        """Give back what was not finished, so that the next runner can take it at once."""
        if self._has_duty:
            self._store.duties.give_back("old_rows", self._holder, after_seconds=0)
            self._has_duty = False


class InTurn:
    """Several caretakers as one: each step is a step of the first that has more to do."""

    def __init__(self, *caretakers: Caretaker) -> None:
        self._caretakers = caretakers

    def step(self) -> UpkeepReport:
        """Do one piece of each, until one has more to do."""
        for caretaker in self._caretakers:
            done = caretaker.step()
            if done.has_more or done.freed:
                return done
        return UpkeepReport()

    def leave(self) -> None:
        """Let other runners go on."""
        for caretaker in self._caretakers:
            caretaker.leave()
