"""From a claim to the executor: what must be marked as started before its call is marked here."""

from collections.abc import Iterator
from typing import Final, assert_never

from wpbridge.action import Action, Claim
from wpbridge.executors.base import Call, Report
from wpbridge.outcome import Failed
from wpbridge.runner import concluding, log_texts
from wpbridge.runner.bookkeeper import ACTIONS_A_STEP, Bookkeeper
from wpbridge.runner.dispatcher import dispatch
from wpbridge.runner.in_hand import CallState, Ended
from wpbridge.runner.presence import Presence
from wpbridge.runner.put_back import PutBack
from wpbridge.runner.shared import Run

TRIAL_SECONDS: Final = 5.0
"""A suspect that runs so long without harm lets the next one start."""


class Starting:
    """Makes calls of claimed actions, and submits them."""

    def __init__(
        self, run: Run, presence: Presence, put_back: PutBack, bookkeeper: Bookkeeper
    ) -> None:
        self._run = run
        self._presence = presence
        self._put_back = put_back
        self._bookkeeper = bookkeeper
        self._trial: tuple[Call | None, float] = (None, 0.0)
        """The suspect that was started last, and when."""

    def hand_over(self, claim: Claim) -> Iterator[bool]:
        """Take a claim in hand, and submit what needs no start mark or has one already.

        Yields True after a few actions each. The store is not used.
        """
        self._run.in_hand.claims[claim.id] = {action.id for action in claim.actions}
        for place, action in enumerate(claim.actions, 1):
            if place % ACTIONS_A_STEP == 0:
                yield True
            match call := dispatch(action, self._run.executor, self._presence.is_trusted):
                case Failed():
                    self._fail(action, call)
                case Call():
                    self._take(call, claim)
                case _:
                    assert_never(call)

    def _fail(self, action: Action, failed: Failed) -> None:
        now = self._run.clock.now()
        ending, failure = concluding.concluded(
            action, failed, started_at=now, ended_at=now, marked=False
        )
        unread = Call(action=action, values=(), mapping=None)
        report = Report(call=unread, outcome=failure, started_at=now, ended_at=now)
        self._run.in_hand.endings.append(Ended(ending, report))

    def _take(self, call: Call, claim: Claim) -> None:
        is_marked = call.action.id in claim.started
        is_suspect = call.start_mark == "with_ending" and call.action.id in claim.suspects
        self._run.in_hand.calls[call] = CallState(is_marked=is_marked, is_suspect=is_suspect)
        if not is_marked and (is_suspect or call.start_mark in ("before_call", "once")):
            self._run.in_hand.to_mark.append(call)
        else:
            self._run.executor.submit(call)

    def start_marked(self) -> None:
        """Mark as many calls as can start now, and then submit them.

        The executor is asked though nothing waits: it may still keep a place for what was lost.
        """
        in_hand = self._run.in_hand
        self._drop_refused()
        wave = self._run.executor.admit(self._ready())
        if not wave:
            return
        for call in wave:
            if in_hand.calls[call].is_suspect:
                self._trial = (call, self._run.clock.monotonic())
        in_hand.to_mark = [call for call in in_hand.to_mark if call not in wave]
        for once in (True, False):
            self._mark([call for call in wave if (call.start_mark == "once") is once], once=once)
        for call in wave:
            if call in in_hand.calls:
                self._run.executor.submit(call)

    def _ready(self) -> list[Call]:
        """The calls that may start now.

        Suspects start one at a time and with all endings written, so that the tables tell which of
        them ended the process.
        """
        calls = self._run.in_hand.calls
        suspects = [call for call in self._run.in_hand.to_mark if calls[call].is_suspect]
        others = [call for call in self._run.in_hand.to_mark if not calls[call].is_suspect]
        on_trial, since = self._trial
        is_over = on_trial not in calls or self._run.clock.monotonic() - since >= TRIAL_SECONDS
        if not suspects or not is_over:
            return others
        self._bookkeeper.flush()
        return [suspects[0], *others]

    def _drop_refused(self) -> None:
        """Put back what will not be run: nothing of it has been written yet."""
        in_hand, executor = self._run.in_hand, self._run.executor
        kept: list[Call] = []
        for call in in_hand.to_mark:
            if executor.refuses(call.action.hook, call.action.group) is None:
                kept.append(call)
            else:
                del in_hand.calls[call]
                in_hand.unrun.append(call.action)
        in_hand.to_mark = kept

    def _mark(self, calls: list[Call], *, once: bool) -> None:
        if not calls:
            return
        now = self._run.clock.now()
        started = [(call.action, [log_texts.started(now)]) for call in calls]
        marked = self._run.store.start(started, now=now, once=once)
        for call in calls:
            if call.action.id in marked:
                self._run.in_hand.calls[call].is_marked = True
        self._put_back.lose([call for call in calls if call.action.id not in marked])
