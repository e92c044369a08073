"""Bookkeeping: what has ended is written in batches, then counted and told.

A call that ends within ``FLUSH_SECONDS`` goes from pending to its ending in one step; one that runs
longer is marked in-progress meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.clock import Clock
from wpbridge.events import HookPaused
from wpbridge.executors.base import Call, Report
from wpbridge.outcome import Booked, Failed, LogLine, Outcome, Unrun, line_of
from wpbridge.runner import settle, telling, wording
from wpbridge.runner.breaker import Breaker
from wpbridge.runner.endings import write
from wpbridge.runner.in_hand import Ended, Held, Hold, Totals
from wpbridge.runner.pace import Pace
from wpbridge.runner.retries import Retries
from wpbridge.store.base import Ending, Store
from wpbridge.telling.bus import Bus

FLUSH_SECONDS: Final = 0.2

KeepOutput: TypeAlias = Literal["always", "failed", "never"]
"""For which endings a handler's output goes into its action's log."""


class Bookkeeper:
    """The books of one run. The loop says when; a crash loses what is not flushed, as a whole."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        bus: Bus,
        hold: Hold,
        totals: Totals,
        *,
        retries: Retries,
        breaker: Breaker,
        pace: Pace,
        keep_output: KeepOutput,
    ) -> None:
        self._store = store
        self._clock = clock
        self._bus = bus
        self._hold = hold
        self._totals = totals
        self._retries = retries
        self._breaker = breaker
        self._pace = pace
        self._keep_output = keep_output
        self.has_ended = True
        """Something may have ended since the last look at what waits."""
        self.flushed_at = clock.monotonic()
        self.paused: set[str] = set()
        """Hooks that the breaker has paused, until the loop has put back what waits of them."""

    def collect(self, reports: Sequence[Report]) -> None:
        """Turn what executors report into endings to be written."""
        again = self._retries.again(reports)
        for report in reports:
            held = self._hold.held.pop(report.call, None)
            if held is None:
                # Others had taken it over; perhaps it has come back to us since, and runs anew.
                continue
            self._pace.note(report.ended_at - report.started_at)
            self.tell_started(report.call, held, report.started_at)
            if isinstance(report.outcome, Booked):
                self._hold.booked.append(report)
                continue
            if isinstance(report.outcome, Unrun) and not held.marked:
                self._hold.unrun.append(report.call.action)
                continue
            outcome: Outcome = again.get(report.call.action.id, report.outcome)
            ending, outcome = settle.concluded(
                report.call.action,
                outcome,
                started_at=report.started_at,
                ended_at=report.ended_at,
                marked=held.marked,
                said=[*_taken(report.call, report.ended_at), *self._printed(report)],
            )
            self._breaker.note(report.call.action.hook, outcome)
            told = report if outcome is report.outcome else replace(report, outcome=outcome)
            self._hold.endings.append(Ended(ending, told))

    def is_urgent(self) -> bool:
        """Whether a hook is to be paused by what is not written yet."""
        return self._breaker.is_over()

    def _printed(self, report: Report) -> list[LogLine]:
        keep = self._keep_output
        is_kept = keep == "always" or (keep == "failed" and isinstance(report.outcome, Failed))
        is_there = is_kept and report.output
        return [wording.output(report.ended_at, report.output)] if is_there else []

    def flush(self) -> None:
        """Write all endings there are, and delete the claims that hold nothing any more."""
        hold = self._hold
        self.flushed_at = self._clock.monotonic()
        self._read_booked()
        self._release_unrun()
        if hold.endings:
            self._settle()
        for hook in self._breaker.flush(self._clock.now()):
            self.paused.add(hook.hook)
            self._bus.tell(
                HookPaused(
                    at=self._clock.now(),
                    site=self._bus.site,
                    hook=hook.hook,
                    failures=hook.failures,
                    until=hook.until,
                    reason=hook.reason,
                )
            )

    def _settle(self) -> None:
        hold = self._hold
        ended, hold.endings = hold.endings, []
        endings = [one.ending for one in ended]
        for ending in endings:
            hold.claims[ending.action.claim_id].discard(ending.action.id)
        finished = self._hold.finished_claims()
        self.has_ended = True
        written = write(self._store, endings, now=self._clock.now(), finished=finished)
        for one, done in zip(ended, written, strict=True):
            self._count(done.ending, is_settled=done.is_settled)
            report = one.report
            if report is not None and done.failed is not None:
                report = replace(report, outcome=done.failed)
            self._tell_ended(Ended(done.ending, report), is_settled=done.is_settled)

    def _count(self, ending: Ending, *, is_settled: bool) -> None:
        totals = self._totals
        if not is_settled:
            totals.lost += 1
        elif ending.status is Status.PENDING and ending.retry_at is None:
            totals.held += 1
        else:
            self._count_status(ending.status)

    def tell_started(self, call: Call, held: Held, at: datetime) -> None:
        """Once for each attempt."""
        if not held.told:
            held.told = True
            self._bus.tell(telling.started(call.action, at, self._bus.site))

    def _tell_ended(self, ended: Ended, *, is_settled: bool) -> None:
        action, report = ended.ending.action, ended.report
        if report is None:
            return
        event = (
            telling.ended(
                action,
                report.outcome,
                started_at=report.started_at,
                ended_at=report.ended_at,
                site=self._bus.site,
            )
            if is_settled
            else telling.lost(action, report.ended_at, self._bus.site)
        )
        if event is not None:
            self._bus.tell(event)

    def _count_status(self, status: str) -> None:
        totals = self._totals
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
        hold = self._hold
        if not hold.booked:
            return
        reports, hold.booked = hold.booked, []
        states = self._store.states([report.call.action for report in reports])
        said: list[tuple[ActionId, LogLine]] = []
        for report in reports:
            action, outcome = report.call.action, report.outcome
            status, claim = states.get(action.id, ("", ClaimId(0)))
            failed = outcome.failure if isinstance(outcome, Booked) else None
            if status in (Status.PENDING, Status.IN_PROGRESS) and claim == action.claim_id:
                hold.endings.append(Ended(self._unbooked(report, failed, status), None))
                continue
            hold.claims[action.claim_id].discard(action.id)
            if status in (Status.COMPLETE, Status.FAILED, Status.CANCELED):
                self._count_status(status)
                self._tell_booked(report)
            else:
                self._totals.lost += 1
            if failed is not None and failed.detail and status == Status.FAILED:
                said.append((action.id, wording.detail(report.ended_at, failed.detail)))
        self._store.log(said)
        self._store.release([], finished=self._hold.finished_claims())

    def _tell_booked(self, report: Report) -> None:
        self._breaker.note(report.call.action.hook, report.outcome)
        event = telling.ended(
            report.call.action,
            report.outcome,
            started_at=report.started_at,
            ended_at=report.ended_at,
            site=self._bus.site,
        )
        if event is not None:
            self._bus.tell(event)

    @staticmethod
    def _unbooked(report: Report, failed: Failed | None, status: str) -> Ending:
        """PHP died before it could write the ending, or was kept from it."""
        failed = failed or Failed(reason="the plugin's runner did not end it", error_type="Unended")
        ending, _ = settle.concluded(
            report.call.action,
            failed,
            started_at=report.started_at,
            ended_at=report.ended_at,
            marked=status == Status.IN_PROGRESS,
        )
        return ending

    def _release_unrun(self) -> None:
        hold = self._hold
        if not hold.unrun:
            return
        actions, hold.unrun = hold.unrun, []
        for action in actions:
            hold.claims[action.claim_id].discard(action.id)
        self._store.release(actions, finished=self._hold.finished_claims())
        self._totals.held += len(actions)

    def mark_running(self, running: Mapping[Call, datetime]) -> None:
        """Show in the tables what has been running for a while, and what it has said.

        Calls that are not in hand are passed over: others took their actions over.
        """
        now = self._clock.now()
        fresh: dict[ActionId, Held] = {}
        started: list[tuple[Action, list[LogLine]]] = []
        said: list[tuple[ActionId, LogLine]] = []
        for call, started_at in running.items():
            own = self._hold.held.get(call)
            if (
                own is None
                or call.books == "kept"
                # A clock that was set back shows it as starting later than now.
                or timedelta(0) <= now - started_at < timedelta(seconds=FLUSH_SECONDS)
            ):
                continue
            lines = _taken(call, now)
            self.tell_started(call, own, started_at)
            if own.marked:
                said += [(call.action.id, line) for line in lines]
            else:
                fresh[call.action.id] = own
                started.append((call.action, [wording.started(started_at), *lines]))
        if started:
            for action_id in self._store.start(started, now=now, once=False):
                fresh[action_id].marked = True
        self._store.log(said)


def _taken(call: Call, now: datetime) -> list[LogLine]:
    """What the handler logged so far; the list is the handler's, so it is emptied in place."""
    lines: list[LogLine] = []
    while call.lines:
        lines.append(line_of(call.lines.pop(0), now))
    return lines
