"""An idle runner: it waits longer and longer, and looks whether something is due."""

import random
from typing import Final

from wpbridge.runner.catch_up import CatchUp
from wpbridge.runner.liveness import BEAT_SECONDS, WATCH_SECONDS
from wpbridge.runner.presence import Presence
from wpbridge.runner.reaper import REAP_SECONDS, Reaper
from wpbridge.runner.shared import Run
from wpbridge.runner.upkeep_turns import UpkeepTurns

FIRST_IDLE_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 0.02
"""A runner that is woken again and again looks at most once in this time."""
IDLE_STRETCH: Final = 1.22
"""An idle runner waits up to so many poll intervals, less a little chance.

With the default of a second that is a look each 1.1 s: less than one query a second, the beats
counted too, and what PHP enqueues waits 0.57 s in the median.
"""


class Idling:
    """The waits of one run, and the looks between them."""

    def __init__(
        self,
        run: Run,
        presence: Presence,
        reaper: Reaper,
        catch_up: CatchUp,
        upkeep_turns: UpkeepTurns,
    ) -> None:
        self.seconds = 0.0
        """How long it waits between two looks just now; 0 after something was claimed or it was
        woken."""
        self._run = run
        self._presence = presence
        self._reaper = reaper
        self._catch_up = catch_up
        self._upkeep_turns = upkeep_turns
        self._look_at: float | None = None
        """When it looks again."""
        self._looked_at = 0.0

    def wake(self) -> None:
        """Begin the waits anew, since something was enqueued or claimed. From any thread."""
        self.seconds = 0.0

    def tend_when_due(self) -> None:
        """Do upkeep between two claims; what it freed may be ours, so look at once."""
        run = self._run
        if not (run.is_stopping or run.is_quiet) and self._upkeep_turns.when_due():
            run.is_exhausted, self._look_at = False, None

    def wait(self) -> None:
        """Wait until something is due, is enqueued here, or is asked."""
        run = self._run
        look_at = self._next_look()
        until = look_at if run.is_quiet else min(look_at, self._upkeep_turns.due_at)
        self._run.executor.reports(max(0.0, until - self._run.clock.monotonic()))
        self._presence.beat_when_due()
        is_woken = self.seconds == 0.0
        if is_woken:
            look_at = self._look_at = min(look_at, self._looked_at + LOOK_SECONDS)
        now = self._run.clock.monotonic()
        if now < look_at:
            # Only asked something, or woken once more: the look is still to come.
            return
        self._look_at, self._looked_at = None, now
        if not (run.is_stopping or run.is_quiet):
            # Woken: what was enqueued is due, and shall not wait for another look.
            run.is_exhausted = not (is_woken or self._is_something_due())

    def rest(self) -> None:
        """Wait until it is time for a beat or for upkeep, or until the runner is woken."""
        now = self._run.clock.monotonic()
        until = min(now + BEAT_SECONDS, self._upkeep_turns.due_at)
        self._run.executor.reports(max(0.0, until - now))
        self._presence.beat_when_due()

    def _next_look(self) -> float:
        if self._look_at is None:
            poll = self._run.limits.poll
            longest = poll.total_seconds() * IDLE_STRETCH if poll else 0.0
            if self._reaper.is_watching():
                longest = min(longest, REAP_SECONDS)
            self.seconds = min(longest, max(FIRST_IDLE_SECONDS, self.seconds * 2))
            # Runners that went idle together shall not look together.
            wait = self.seconds * random.uniform(0.85, 1.0)  # noqa: S311
            self._look_at = self._run.clock.monotonic() + max(LOOK_SECONDS, wait)
        return self._look_at

    def _is_something_due(self) -> bool:
        sight = self._run.store.glance(now=self._run.clock.now(), silent_seconds=WATCH_SECONDS)
        is_dead_near = sight.is_silent or (sight.is_stale and self._reaper.is_due())
        if is_dead_near:
            self._reaper.reap()
        # Also where something of others is due all the time: what waits may be ours.
        has_moved = bool(self._catch_up.look_when_idle())
        return sight.is_due or is_dead_near or has_moved
