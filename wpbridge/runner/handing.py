"""Handing over: which of the actions that a relay has named to workers still wait for one.

The relay holds them in its claims until a worker takes them into a claim of its own. It learns that
from the rows alone: what is not pending in its claim any more was taken, canceled or deleted.
"""

from typing import Final

from wpbridge.executors.base import Call
from wpbridge.runner.shared import Run

LOOK_SECONDS: Final = 0.5
FULL_LOOK_SECONDS: Final = 0.05
"""How often it looks while the executor has no room, so that nothing more can be claimed."""


class Handing:
    """The looks of one run at what it has handed over."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._looked_at = run.clock.monotonic()

    def look_when_due(self) -> None:
        """Let go of what is not ours any more; put back what the executor could not hand over."""
        run = self._run
        handed = [call for call in run.in_hand.calls if call.start_mark == "by_worker"]
        if not handed:
            return
        every = LOOK_SECONDS if run.executor.has_room() else FULL_LOOK_SECONDS
        now = run.clock.monotonic()
        if now - self._looked_at < every:
            return
        self._looked_at = now
        waiting = run.store.waiting({call.action.claim_id for call in handed})
        self._let_go([call for call in handed if call.action.id not in waiting])

    def _let_go(self, calls: list[Call]) -> None:
        if not calls:
            return
        run = self._run
        run.executor.recall(calls)
        run.in_hand.drop(calls)
        run.totals.handed += len(calls)
        run.store.release([], finished=run.in_hand.finished_claims())
