"""The loop: claim, hand over, collect, settle, keep fresh; one thread, which owns the store.

Starts and endings are written in batches. A call that ends within ``FLUSH_SECONDS`` goes from
pending to its ending in one step; one that runs longer is marked in-progress meanwhile. What must
not run twice, and what a dead runner left, is marked before it is called.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

from wpbridge.action import Action, ActionId, Claim, ClaimId, Status
from wpbridge.clock import Clock
from wpbridge.config import RetryRule
from wpbridge.executors.base import Call, Executor, Report
from wpbridge.outcome import Booked, Failed, LogLine, Unrun
from wpbridge.runner import settle, wording
from wpbridge.runner.dispatcher import dispatch
from wpbridge.runner.identity import BEAT_SECONDS, Identity
from wpbridge.runner.reaper import reap
from wpbridge.runner.retries import Retries
from wpbridge.store.base import ClaimFilter, Ending, Store

FLUSH_SECONDS = 0.2
CATCH_UP_SECONDS = 1.0
CONFIRM_SECONDS = 1.0
"""Waiting actions are looked at again this often: a canceled one must not start."""

_log = logging.getLogger("wpbridge.runner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends."""

    batch_size: int = 25
    batches: int = 0
    """Claims; 0 until nothing is due."""
    max_actions: int = 0
    max_time: timedelta | None = None
    concurrency: int = 4


@dataclass(slots=True, kw_only=True)
class Totals:
    """What a run did, in actions."""

    claimed: int = 0
    complete: int = 0
    failed: int = 0
    retried: int = 0
    canceled: int = 0
    released: int = 0
    held: int = 0
    """Not run and put back: no callback, or no WordPress to run them."""
    lost: int = 0
    """Ended by somebody else while we held them."""
    reclaimed: int = 0
    """Put back from dead runners."""
    batches: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Held:
    call: Call
    marked: bool = False


@dataclass(slots=True)
class _State:
    held: dict[ActionId, _Held] = field(default_factory=dict)
    claims: dict[ClaimId, set[ActionId]] = field(default_factory=dict)
    careful: list[Call] = field(default_factory=list)
    """To be marked before they are called."""
    endings: list[Ending] = field(default_factory=list)
    unrun: list[Action] = field(default_factory=list)
    """To be put back as they were."""
    booked: list[Report] = field(default_factory=list)
    """Ended by the plugin's runner: how is in the tables."""
    suspects: frozenset[ActionId] = frozenset()


class Runner:
    """One run over one site's queue."""

    def __init__(
        self,
        store: Store,
        executor: Executor,
        clock: Clock,
        me: Identity,
        *,
        only: ClaimFilter,
        limits: Limits,
        retry: Sequence[RetryRule] = (),
    ) -> None:
        self.totals = Totals()
        self._retries = Retries(store, retry)
        self._store = store
        self._executor = executor
        self._clock = clock
        self._me = me
        accepts, may_accept = only.accepts, only.may_accept
        self._only = replace(
            only,
            accepts=lambda hook, group: (
                (accepts is None or accepts(hook, group)) and executor.can_run(hook, group)
            ),
            may_accept=lambda hook: (
                (may_accept is None or may_accept(hook))
                and ((hooks := executor.hooks()) is None or hook in hooks)
            ),
        )
        self._limits = limits
        self._state = _State()
        self._is_stopping = False
        self._is_exhausted = False
        self._dry_until = 0.0
        self._caught_up = -CATCH_UP_SECONDS
        self._started = self._flushed = self._beaten = self._confirmed = clock.monotonic()

    def stop(self) -> None:
        """Claim no more, finish what runs, release the rest. Safe in a signal handler."""
        self._is_stopping = True
        self._executor.wake()

    def trouble(self) -> str | None:
        """Why some of it could not be run at all; None when all is well."""
        return self._executor.trouble()

    def run(self) -> Totals:
        """Until nothing is due or a limit is reached.

        Raises:
            StoreUnavailable: the database stayed away; what we hold is put back by the next run.
        """
        me = self._me
        self._store.register(host=me.host, boot=me.boot, pid=me.pid, pid_started=me.pid_started)
        self._state.suspects = reap(self._store, me, self._clock)
        self.totals.reclaimed = len(self._state.suspects)
        try:
            while self._step():
                pass
        finally:
            self._executor.close()
        self._store.unregister()
        self.totals.seconds = self._clock.monotonic() - self._started
        return self.totals

    def _step(self) -> bool:
        state = self._state
        if self._is_over_time():
            self._is_stopping = True
        if self._is_stopping:
            self._release_waiting()
        elif self._executor.has_room():
            if self._may_claim():
                self._claim()
        elif not state.held:
            # Nothing runs, and nothing can be started: the executor says why.
            self._is_exhausted = True
        self._start_careful()
        if not (state.held or state.endings or state.unrun or state.booked):
            return not (self._is_stopping or self._is_exhausted)
        self._collect(self._executor.reports(self._wait_seconds()))
        self._flush_when_due()
        self._confirm_when_due()
        self._beat_when_due()
        return True

    # Claiming

    def _is_over_time(self) -> bool:
        limit = self._limits.max_time
        elapsed = self._clock.monotonic() - self._started
        return limit is not None and elapsed >= limit.total_seconds()

    def _may_claim(self) -> bool:
        """Not while something waits to be marked, nor right after a look that found nothing."""
        state = self._state
        is_dry = bool(state.held) and self._clock.monotonic() < self._dry_until
        return not (self._is_exhausted or state.careful or is_dry)

    def _claim(self) -> None:
        limits, totals = self._limits, self.totals
        size = limits.batch_size
        if limits.max_actions:
            size = min(size, limits.max_actions - totals.claimed)
        if size <= 0 or (limits.batches and totals.batches >= limits.batches):
            self._is_exhausted = True
            return
        self._flush()
        calls: dict[ActionId, Call | Failed] = {}
        self._catch_up_when_due()
        claim = self._claim_due(size, calls)
        if claim is None and self._catch_up():
            # What has just ended was waited for.
            claim = self._claim_due(size, calls)
        if claim is None:
            self._is_exhausted = not self._state.held
            self._dry_until = self._clock.monotonic() + FLUSH_SECONDS
            return
        totals.batches += 1
        totals.claimed += len(claim.actions)
        self._state.claims[claim.id] = {action.id for action in claim.actions}
        for action in claim.actions:
            self._hand_over(action, calls[action.id], is_started=action.id in claim.started)

    def _claim_due(self, size: int, calls: dict[ActionId, Call | Failed]) -> Claim | None:
        return self._store.claim_due(
            now=self._clock.now(),
            limit=size,
            only=self._open_filter(),
            starting=lambda actions: self._starting(actions, calls),
        )

    def _catch_up_when_due(self) -> None:
        if self._clock.monotonic() - self._caught_up >= CATCH_UP_SECONDS:
            self._catch_up()

    def _catch_up(self) -> int:
        """Date what waits for actions that have ended, whoever ran them."""
        moved = self._store.catch_up(now=self._clock.now())
        self._caught_up = self._clock.monotonic()
        return moved

    def _open_filter(self) -> ClaimFilter:
        """What may be claimed now: a full executor's rows must not even be walked past."""
        hooks, only = self._executor.hooks(), self._only
        if hooks is None:
            return only
        return replace(only, hooks=hooks if only.hooks is None else only.hooks & hooks)

    def _starting(
        self, actions: Sequence[Action], calls: dict[ActionId, Call | Failed]
    ) -> dict[ActionId, list[LogLine]]:
        """Which claimed actions start at once and are marked with the claim; fills ``calls``."""
        calls |= {action.id: dispatch(action, self._executor) for action in actions}
        first = [c for c in calls.values() if isinstance(c, Call) and c.books == "first"]
        now = self._clock.now()
        return {c.action.id: [wording.started(now)] for c in self._executor.admit(first)}

    def _hand_over(self, action: Action, call: Call | Failed, *, is_started: bool) -> None:
        match call:
            case Failed():
                now = self._clock.now()
                ending = settle.ending_of(action, call, started_at=now, ended_at=now, marked=False)
                self._state.endings.append(ending)
            case Call():
                self._state.held[action.id] = _Held(call, marked=is_started)
                if is_started:
                    self._executor.submit(call)
                    return
                is_suspect = call.books == "lazy" and action.id in self._state.suspects
                if is_suspect or call.books in ("first", "once"):
                    self._state.careful.append(call)
                else:
                    self._executor.submit(call)
            case _:
                assert_never(call)

    def _start_careful(self) -> None:
        """Mark, then call: as many as can start now."""
        state = self._state
        if not state.careful:
            return
        self._drop_refused()
        wave = self._executor.admit(state.careful)
        if not wave:
            return
        admitted = {call.action.id for call in wave}
        state.careful = [call for call in state.careful if call.action.id not in admitted]
        for once in (True, False):
            self._mark([call for call in wave if (call.books == "once") is once], once=once)
        for call in wave:
            if call.action.id in state.held:
                self._executor.submit(call)

    def _drop_refused(self) -> None:
        """Put back what will not be run: nothing of it has been written yet."""
        state, executor = self._state, self._executor
        kept: list[Call] = []
        for call in state.careful:
            if executor.refuses(call.action.hook, call.action.group) is None:
                kept.append(call)
            else:
                del state.held[call.action.id]
                state.unrun.append(call.action)
        state.careful = kept

    def _mark(self, calls: list[Call], *, once: bool) -> None:
        if not calls:
            return
        now = self._clock.now()
        marked = self._store.start(
            [(call.action, [wording.started(now)]) for call in calls], now=now, once=once
        )
        for call in calls:
            if call.action.id in marked:
                self._state.held[call.action.id].marked = True
        self._lose([call.action for call in calls if call.action.id not in marked])

    # Ending

    def _collect(self, reports: list[Report]) -> None:
        again = self._retries.again(reports)
        for report in reports:
            held = self._state.held.pop(report.call.action.id, None)
            if held is None:
                continue
            if isinstance(report.outcome, Booked):
                self._state.booked.append(report)
                continue
            if isinstance(report.outcome, Unrun) and not held.marked:
                self._state.unrun.append(report.call.action)
                continue
            ending = settle.ending_of(
                report.call.action,
                again.get(report.call.action.id, report.outcome),
                started_at=report.started_at,
                ended_at=report.ended_at,
                marked=held.marked,
                said=_taken(report.call),
            )
            self._state.endings.append(ending)

    def _flush_when_due(self) -> None:
        state = self._state
        is_due = self._clock.monotonic() - self._flushed >= FLUSH_SECONDS
        if is_due or not state.held or len(state.endings) >= 4 * self._limits.batch_size:
            self._flush()
            self._mark_running()

    def _flush(self) -> None:
        """Write all endings there are, and delete the claims that hold nothing any more."""
        state = self._state
        self._flushed = self._clock.monotonic()
        self._read_booked()
        self._release_unrun()
        if not state.endings:
            return
        endings, state.endings = state.endings, []
        for ending in endings:
            state.claims[ending.action.claim_id].discard(ending.action.id)
        finished = self._finished_claims()
        settled = self._store.settle(endings, now=self._clock.now(), finished=finished)
        for ending in endings:
            self._count(ending, is_settled=ending.action.id in settled)

    def _count(self, ending: Ending, *, is_settled: bool) -> None:
        totals = self.totals
        if not is_settled:
            totals.lost += 1
        elif ending.status is Status.PENDING and ending.retry_at is None:
            totals.held += 1
        else:
            self._count_status(ending.status)

    def _count_status(self, status: str) -> None:
        totals = self.totals
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
        state = self._state
        if not state.booked:
            return
        reports, state.booked = state.booked, []
        states = self._store.states([report.call.action for report in reports])
        said: list[tuple[ActionId, LogLine]] = []
        for report in reports:
            action, outcome = report.call.action, report.outcome
            status, claim = states.get(action.id, ("", ClaimId(0)))
            failed = outcome.failure if isinstance(outcome, Booked) else None
            if status in (Status.PENDING, Status.IN_PROGRESS) and claim == action.claim_id:
                state.endings.append(self._unbooked(report, failed, status))
                continue
            state.claims[action.claim_id].discard(action.id)
            if status in (Status.COMPLETE, Status.FAILED, Status.CANCELED):
                self._count_status(status)
            else:
                self.totals.lost += 1
            if failed is not None and failed.detail and status == Status.FAILED:
                said.append((action.id, wording.detail(report.ended_at, failed.detail)))
        self._store.log(said)
        self._store.release([], finished=self._finished_claims())

    @staticmethod
    def _unbooked(report: Report, failed: Failed | None, status: str) -> Ending:
        """PHP died before it could write the ending, or was kept from it."""
        failed = failed or Failed(reason="the plugin's runner did not end it", error_type="Unended")
        return settle.ending_of(
            report.call.action,
            failed,
            started_at=report.started_at,
            ended_at=report.ended_at,
            marked=status == Status.IN_PROGRESS,
        )

    def _release_unrun(self) -> None:
        state = self._state
        if not state.unrun:
            return
        actions, state.unrun = state.unrun, []
        for action in actions:
            state.claims[action.claim_id].discard(action.id)
        self._store.release(actions, finished=self._finished_claims())
        self.totals.held += len(actions)

    def _finished_claims(self) -> list[ClaimId]:
        claims = self._state.claims
        finished = [claim for claim, ids in claims.items() if not ids]
        for claim in finished:
            del claims[claim]
        return finished

    def _mark_running(self) -> None:
        """Show in the tables what has been running for a while, and what it has said."""
        held = self._state.held
        now = self._clock.now()
        fresh: list[tuple[Action, list[LogLine]]] = []
        said: list[tuple[ActionId, LogLine]] = []
        for action_id, started_at in self._executor.running().items():
            own = held.get(action_id)
            if (
                own is None
                or own.call.books == "kept"
                or now - started_at < timedelta(seconds=FLUSH_SECONDS)
            ):
                continue
            lines = _taken(own.call)
            if own.marked:
                said += [(action_id, line) for line in lines]
            else:
                fresh.append((own.call.action, [wording.started(started_at), *lines]))
        if fresh:
            marked = self._store.start(fresh, now=now, once=False)
            for action, _ in fresh:
                if action.id in marked:
                    held[action.id].marked = True
        self._store.log(said)

    # Holding

    def _wait_seconds(self) -> float:
        since = self._clock.monotonic() - self._flushed
        return max(0.0, FLUSH_SECONDS - since)

    def _confirm_when_due(self) -> None:
        now = self._clock.monotonic()
        if now - self._confirmed < CONFIRM_SECONDS:
            return
        self._confirmed = now
        running = self._executor.running()
        waiting = [
            held.call.action
            for action_id, held in self._state.held.items()
            if action_id not in running and not held.marked and held.call.books != "kept"
        ]
        if not waiting:
            return
        gone = frozenset(a.id for a in waiting) - self._store.still_claimed(waiting)
        if not gone:
            return
        careful = [call for call in self._state.careful if call.action.id in gone]
        self._state.careful = [c for c in self._state.careful if c.action.id not in gone]
        self._lose([call.action for call in (*self._executor.recall(gone), *careful)])

    def _beat_when_due(self) -> None:
        now = self._clock.monotonic()
        if now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            self._store.heartbeat(sorted(self._state.held), now=self._clock.now())

    def _lose(self, actions: list[Action]) -> None:
        """Somebody else canceled, ended or took them: not ours to run."""
        if not actions:
            return
        states = self._store.states(actions)
        ignored = [
            action
            for action in actions
            if states.get(action.id, ("", 0))[1] == action.claim_id
            and states[action.id][0] != Status.PENDING
        ]
        # Only rows that are in our claim still get a word about it, as from the plugin.
        at = self._clock.now()
        self._store.log([(action.id, wording.ignored(at)) for action in ignored])
        for action in ignored:
            self._executor.ignored(action)
        for action in actions:
            self._state.held.pop(action.id, None)
            self._state.claims[action.claim_id].discard(action.id)
        self.totals.lost += len(actions)
        self._store.release([], finished=self._finished_claims())

    def _release_waiting(self) -> None:
        """Put back what has not started; what is marked as started runs to its end."""
        state = self._state
        unmarked = frozenset(i for i, held in state.held.items() if not held.marked)
        calls = [*self._executor.recall(unmarked), *state.careful]
        state.careful.clear()
        actions = [call.action for call in calls]
        if not actions:
            return
        for action in actions:
            del state.held[action.id]
            state.claims[action.claim_id].discard(action.id)
        self.totals.released += self._store.release(actions, finished=self._finished_claims())


def _taken(call: Call) -> list[LogLine]:
    """What the handler logged so far; the list is the handler's, so it is emptied in place."""
    lines: list[LogLine] = []
    while call.lines:
        lines.append(call.lines.pop(0))
    return lines
