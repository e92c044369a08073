"""Giving up what has not started: it is put back, or others have it already."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.executors.base import Call
from wpbridge.runner import log_texts
from wpbridge.runner.claim_size import ClaimSize
from wpbridge.runner.shared import Run

PATIENCE: Final = timedelta(seconds=5)
"""What will not start within this time is put back: the runner had taken its hook for quicker."""
CONFIRM_SECONDS: Final = 1.0
"""Waiting actions are looked at again this often: a canceled one must not start."""


class PutBack:
    """Takes calls back from the executor, and their actions out of our claims."""

    def __init__(self, run: Run, claim_size: ClaimSize) -> None:
        self._run = run
        self._claim_size = claim_size
        self._confirmed = run.clock.monotonic()

    def confirm_when_due(self) -> None:
        """Look at what waits, if that was not done for a second."""
        if self._run.clock.monotonic() - self._confirmed >= CONFIRM_SECONDS:
            self.confirm()

    def confirm(self) -> None:
        """Drop those waiting calls whose actions are not pending in our claim any more."""
        self._confirmed = self._run.clock.monotonic()
        running = self._run.executor.running()
        waiting = [
            call
            for call, state in self._run.in_hand.calls.items()
            if call not in running
            and not state.is_marked
            and call.start_mark not in {"by_plugin", "by_worker"}
        ]
        if waiting:
            claimed = self._run.store.still_claimed([call.action for call in waiting])
            gone = {call for call in waiting if call.action.id not in claimed}
            for call in gone:
                # A thread may have taken it a moment ago, and would start it.
                call.may_start = lambda: False
            self.lose(self._recalled(gone))
            self._shed([call for call in waiting if call not in gone], running)

    def _shed(self, waiting: Sequence[Call], running: Mapping[Call, datetime]) -> None:
        """Put back what will not start for a while, since its hook has become slow.

        Other runners can take it. A run that was given the size of its claims keeps what it has.
        """
        now, marks, busy = self._run.clock.now(), {call.start_mark for call in waiting}, 0
        for call, started_at in running.items():
            self._claim_size.note_running(call.action.hook, now - started_at)
            # Calls of another start mark run in other places.
            busy += call.start_mark in marks and now - started_at > PATIENCE
        kept = self._claim_size.portion([one.action.hook for one in waiting], PATIENCE, busy=busy)
        if not self._claim_size.is_fixed and waiting[kept:]:
            self._release(self._recalled(set(waiting[kept:])))

    def superseded(self, claimed: Collection[ActionId]) -> None:
        """Drop the calls in hand of actions that are in a newer claim now.

        Somebody freed their rows under us, as the plugin's cleaner does after 300 s.
        """
        ids = frozenset(claimed)
        old = [call for call in self._run.in_hand.calls if call.action.id in ids]
        self._recalled(old)
        self.lose(old)

    def lose(self, calls: Collection[Call]) -> None:
        """Drop calls that somebody else canceled, ended, started or took.

        A row that is pending in our claim after all is put back, so that nothing waits in a claim
        that nobody has in hand. One in progress there was started by a person in wp-admin: PHP ends
        it.
        """
        if not calls:
            return
        actions = [call.action for call in calls]
        states = self._run.store.states(actions)
        # Only rows that are in our claim still get a word about it, as from the plugin.
        ours = [a for a in actions if states.get(a.id, ("", 0))[1] == a.claim_id]
        ignored = [a for a in ours if states[a.id][0] != Status.PENDING]
        at = self._run.clock.now()
        self._run.store.log([(action.id, log_texts.ignored(at)) for action in ignored])
        for action in ignored:
            self._run.executor.ignored(action)
        self._run.in_hand.drop(calls)
        self._run.totals.lost += len(actions)
        unstarted = [a for a in ours if states[a.id][0] == Status.PENDING]
        self._run.store.release(unstarted, finished=self._run.in_hand.finished_claims())

    def put_back(self, hooks: Collection[str] | None = None) -> None:
        """Put back what has not started; what is marked as started runs to its end.

        With ``hooks``, only actions of those hooks are put back.
        """
        wanted = {
            call
            for call, state in self._run.in_hand.calls.items()
            if not state.is_marked and (hooks is None or call.action.hook in hooks)
        }
        self._release(self._recalled(wanted))

    def _release(self, calls: Sequence[Call]) -> None:
        if not calls:
            return
        self._run.in_hand.drop(calls)
        actions = [call.action for call in calls]
        finished = self._run.in_hand.finished_claims()
        self._run.totals.released += self._run.store.release(actions, finished=finished)

    def _recalled(self, calls: Collection[Call]) -> list[Call]:
        """Take those of the calls back that have not started, wherever they wait."""
        if not calls:
            return []
        unmarked = [call for call in self._run.in_hand.to_mark if call in calls]
        self._run.in_hand.to_mark = [
            call for call in self._run.in_hand.to_mark if call not in calls
        ]
        return [*self._run.executor.recall(calls), *unmarked]
