"""Bookkeeping: what has ended is written in batches, then counted, then sent as events.

A call that ends within ``FLUSH_SECONDS`` goes from pending to its ending in one step; one that runs
longer is marked in-progress meanwhile.
"""

import itertools
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.dataclass import dataclass
from wpbridge.events import ActionCompleted, ActionStarted, BatchSettled
from wpbridge.executors.base import Call, Report
from wpbridge.outcome import (
    Booked,
    Completed,
    Failed,
    LogLine,
    Outcome,
    Progress,
    Unrun,
    line_of,
)
from wpbridge.runner import action_events, concluding, log_texts, tallying
from wpbridge.runner.breaker import Breaker
from wpbridge.runner.catch_up import CatchUp
from wpbridge.runner.claim_size import ClaimSize
from wpbridge.runner.in_hand import CallState, Ended
from wpbridge.runner.retries import Retries
from wpbridge.runner.shared import Run
from wpbridge.runner.writing_endings import Written, as_given, write
from wpbridge.store.base import Ending

FLUSH_SECONDS: Final = 0.2
ACTIONS_A_STEP: Final = 10
"""So many actions are started or ended before it is asked whether the store has its answer."""


@dataclass(slots=True)
class Batch:
    """Endings that one transaction is to write."""

    ended: Sequence[Ended]
    finished: Sequence[ClaimId]
    """The claims in which nothing is left then."""
    is_written: bool = False
    settled: Collection[ActionId] = ()
    """The actions that were ours to end, when it is written."""
    written_at: datetime | None = None
    took: timedelta = timedelta(0)
    """When it was written, and how long its transaction took."""

    @property
    def endings(self) -> list[Ending]:
        """Return the endings, in their order."""
        return [one.ending for one in self.ended]


class Bookkeeper:
    """Writes the endings of one run, when the loop says so.

    A crash loses what is not flushed, as a whole.
    """

    def __init__(
        self, run: Run, retries: Retries, breaker: Breaker, claim_size: ClaimSize, catch_up: CatchUp
    ) -> None:
        self._run = run
        self._retries = retries
        self._breaker = breaker
        self._claim_size = claim_size
        self._catch_up = catch_up
        self._flushed_at = run.clock.monotonic()
        self._waiting: deque[Report] = deque()
        """Reports that came while the store was in use, in their order."""
        self._paused: set[str] = set()
        """Hooks that the breaker has paused, until the loop has put back what waits of them."""

    def collect(self, reports: Sequence[Report]) -> None:
        """Turn what executors report into endings to be written."""
        reports = [*self._waiting, *reports]
        self._waiting.clear()
        again = self._retries.again(reports)
        for report in reports:
            self._collect(report, again.get(report.call.action.id, report.outcome))

    def _collect(self, report: Report, outcome: Outcome) -> None:
        state = self._run.in_hand.calls.pop(report.call, None)
        if state is None:
            # Others had taken it over; perhaps it has come back to us since, and runs anew.
            return
        if isinstance(report.outcome, Unrun) and not state.is_marked:
            self._run.in_hand.unrun.append(report.call.action)
            return
        self._claim_size.note(report.call.action.hook, report.took)
        self._tell_started(report.call, state, report.started_at)
        if isinstance(report.outcome, Booked):
            self._run.in_hand.ended_by_plugin.append(report)
            return
        ending, outcome = concluding.concluded(
            report.call.action,
            outcome,
            started_at=report.started_at,
            ended_at=report.ended_at,
            marked=state.is_marked,
            said=[*_taken(report.call, report.ended_at), *self._printed(report)],
        )
        self._breaker.note(report.call.action.hook, outcome)
        told = report if outcome is report.outcome else report._replace(outcome=outcome)
        self._run.in_hand.endings.append(Ended(ending, told))

    def collect_some(self) -> bool:
        """Take in a few reports while the store is in use; return whether there were any.

        One that may have to ask the tables waits for the next :meth:`collect`, and so do those
        behind it: successors get their ids, and chains their verdicts, in the order of the endings.
        """
        if not self._waiting:
            self._waiting.extend(self._run.executor.reports(0.0))
        quick = itertools.takewhile(lambda r: isinstance(r.outcome, Completed), self._waiting)
        some = list(itertools.islice(quick, ACTIONS_A_STEP))
        for report in some:
            self._waiting.popleft()
            self._collect(report, report.outcome)
        return bool(some)

    def seconds_to_flush(self) -> float:
        """Return how long endings may wait before they are written.

        It is no time while reports wait that came while the store was in use.
        """
        if self._waiting:
            return 0.0
        return max(0.0, FLUSH_SECONDS - (self._run.clock.monotonic() - self._flushed_at))

    def take_paused(self) -> set[str]:
        """The hooks that were paused since this was last asked."""
        hooks, self._paused = self._paused, set()
        return hooks

    def is_urgent(self) -> bool:
        """Return whether a hook is to be paused by what is not written yet."""
        return self._breaker.is_over()

    def _printed(self, report: Report) -> list[LogLine]:
        keep = self._run.limits.keep_output
        is_kept = keep == "always" or (keep == "failed" and isinstance(report.outcome, Failed))
        is_there = is_kept and report.output
        return [log_texts.output(report.ended_at, report.output)] if is_there else []

    def flush(self) -> None:
        """Write all endings there are, and delete the claims in which nothing is left."""
        self.write(self.take())

    def take(self) -> Batch:
        """Return the endings that are to be written now, and forget them."""
        in_hand = self._run.in_hand
        self._flushed_at = self._run.clock.monotonic()
        self._read_booked()
        self._release_unrun()
        ended, in_hand.endings = in_hand.endings, []
        for one in ended:
            in_hand.claims[one.ending.action.claim_id].discard(one.ending.action.id)
        return Batch(ended, in_hand.finished_claims() if ended else [])

    def write(self, batch: Batch) -> None:
        """Write a batch of endings, unless that is done already."""
        if not batch.is_written and batch.ended:
            now, before = self._run.clock.now(), self._run.clock.monotonic()
            batch.is_written = True
            written = write(self._run.store, batch.endings, now=now, finished=batch.finished)
            batch.written_at = self._run.clock.now()
            batch.took = timedelta(seconds=self._run.clock.monotonic() - before)
            self._tell(batch, written)
        self._pause_failing()

    def was_written(self, batch: Batch) -> None:
        """Take in that a batch was written with a claim."""
        self._tell(batch, [as_given(ending, batch.settled) for ending in batch.endings])

    def _tell(self, batch: Batch, written: Sequence[Written]) -> None:
        """Count what is true in the tables now, and send the events."""
        self._catch_up.has_ended = True
        both = zip(batch.ended, written, strict=True)
        tallying.count_endings(self._run.counter, both, now=self._run.clock.now())
        if self._run.bus.is_heard(BatchSettled):
            at, site = batch.written_at or self._run.clock.now(), self._run.bus.site
            self._run.bus.tell(action_events.settled(batch.endings, at, site, batch.took))
        for one, done in zip(batch.ended, written, strict=True):
            self._count(done.ending, is_settled=done.is_settled)
            if (report := one.report) is not None:
                if done.failed is not None:
                    report = report._replace(outcome=done.failed)
                self._tell_ended(report, is_settled=done.is_settled)

    def _pause_failing(self) -> None:
        """Write how often hooks have failed, which may pause them."""
        for paused in self._breaker.flush(self._run.clock.now(), self._run.bus.site):
            self._paused.add(paused.hook)
            self._run.bus.tell(paused)

    def _count(self, ending: Ending, *, is_settled: bool) -> None:
        totals = self._run.totals
        if not is_settled:
            totals.lost += 1
        elif ending.status is Status.PENDING and ending.retry_at is None:
            totals.held += 1
        else:
            self._count_status(ending.status)

    def _tell_started(self, call: Call, state: CallState, at: datetime) -> None:
        """Send the event of a start, once for each attempt."""
        if not state.is_told:
            state.is_told = True
            self._run.counter.start(call.action.group, call.action.hook)
            if not self._run.bus.is_heard(ActionStarted):
                return
            self._run.bus.tell(action_events.started(call.action, at, self._run.bus.site))

    def _tell_ended(self, report: Report, *, is_settled: bool = True) -> None:
        if is_settled and not isinstance(report.outcome, Unrun):
            self._run.in_hand.ran.add(report.call.action.hook)
        is_usual = is_settled and isinstance(report.outcome, Completed)
        if is_usual and not self._run.bus.is_heard(ActionCompleted):
            return
        event_of = action_events.ended if is_settled else action_events.lost
        if (event := event_of(report, self._run.bus.site)) is not None:
            self._run.bus.tell(event)

    def _count_status(self, status: str) -> None:
        totals = self._run.totals
        match status:
            case Status.COMPLETE:
                totals.complete += 1
            case Status.FAILED:
                totals.failed += 1
            case Status.CANCELED:
                totals.canceled += 1
            case _:
                totals.retried += 1

    def _read_booked(self) -> None:
        """Look how the plugin's runner ended its actions; end those that it could not."""
        in_hand = self._run.in_hand
        if not in_hand.ended_by_plugin:
            return
        reports, in_hand.ended_by_plugin = in_hand.ended_by_plugin, []
        states = self._run.store.states([report.call.action for report in reports])
        said: list[tuple[ActionId, LogLine]] = []
        for report in reports:
            action, outcome = report.call.action, report.outcome
            status, claim = states.get(action.id, ("", ClaimId(0)))
            failed = outcome.failure if isinstance(outcome, Booked) else None
            if status in (Status.PENDING, Status.IN_PROGRESS) and claim == action.claim_id:
                in_hand.endings.append(self._unbooked(report, failed, status))
                continue
            in_hand.claims[action.claim_id].discard(action.id)
            if status in (Status.COMPLETE, Status.FAILED, Status.CANCELED):
                self._count_status(status)
                now = self._run.clock.now()
                tallying.count_booked(self._run.counter, report, status, now=now)
                self._breaker.note(action.hook, outcome)
                self._tell_ended(report)
            else:
                self._run.totals.lost += 1
            if failed is not None and failed.detail and status == Status.FAILED:
                said.append((action.id, log_texts.detail(report.ended_at, failed.detail)))
        self._run.store.log(said)
        self._run.store.release([], finished=self._run.in_hand.finished_claims())

    @staticmethod
    def _unbooked(report: Report, failed: Failed | None, status: str) -> Ended:
        """PHP died before it could write the ending, or was kept from it."""
        failed = failed or Failed(reason="the plugin's runner did not end it", error_type="Unended")
        ending, outcome = concluding.concluded(
            report.call.action,
            failed,
            started_at=report.started_at,
            ended_at=report.ended_at,
            marked=status == Status.IN_PROGRESS,
        )
        return Ended(ending, report._replace(outcome=outcome))

    def _release_unrun(self) -> None:
        in_hand = self._run.in_hand
        if not in_hand.unrun:
            return
        actions, in_hand.unrun = in_hand.unrun, []
        for action in actions:
            in_hand.claims[action.claim_id].discard(action.id)
        self._run.store.release(actions, finished=self._run.in_hand.finished_claims())
        self._run.totals.held += len(actions)

    def mark_running(self, running: Mapping[Call, datetime]) -> None:
        """Show in the tables what has been running for a while, and what it has said.

        Calls that are not in hand are passed over: others took their actions over.
        """
        now = self._run.clock.now()
        steps: dict[ActionId, Progress] = {}
        fresh: dict[ActionId, CallState] = {}
        started: list[tuple[Action, list[LogLine]]] = []
        said: list[tuple[ActionId, LogLine]] = []
        for call, started_at in running.items():
            own = self._run.in_hand.calls.get(call)
            if (
                own is None
                or not call.action.has_row
                or call.start_mark == "by_plugin"
                # A clock that was set back shows it as starting later than now.
                or timedelta(0) <= now - started_at < timedelta(seconds=FLUSH_SECONDS)
            ):
                continue
            lines = _taken(call, now)
            while call.steps:
                steps[call.action.id] = call.steps.pop(0)
            self._tell_started(call, own, started_at)
            if own.is_marked:
                said += [(call.action.id, line) for line in lines]
            else:
                fresh[call.action.id] = own
                started.append((call.action, [log_texts.started(started_at), *lines]))
        if started:
            for action_id in self._run.store.start(started, now=now, once=False):
                fresh[action_id].is_marked = True
        self._run.store.log(said)
        self._run.store.advance(steps)


def _taken(call: Call, now: datetime) -> list[LogLine]:
    """What the handler logged so far; the list is the handler's, so it is emptied in place."""
    lines: list[LogLine] = []
    while call.lines:
        lines.append(line_of(call.lines.pop(0), now))
    return lines
