"""The loop: claim, hand over, collect, settle, keep fresh; one thread, which owns the store.

Starts and endings are written in batches by the bookkeeper. What must not run twice, and what a
dead runner left, is marked before it is called.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, assert_never

from wpbridge.action import Action, Claim, RunnerId, Status
from wpbridge.clock import Clock
from wpbridge.errors import RunnerGone
from wpbridge.events import (
    ClaimMade,
    RunnerPresumedDead,
    RunnerStarted,
    RunnerStopped,
)
from wpbridge.executors.base import Books, Call, Executor, Report
from wpbridge.outcome import Failed
from wpbridge.runner import settle, wording
from wpbridge.runner.bookkeeper import FLUSH_SECONDS, Bookkeeper, KeepOutput
from wpbridge.runner.breaker import Breaker
from wpbridge.runner.care import Care, Caretaker
from wpbridge.runner.claim_plan import claim_filter, start_plan
from wpbridge.runner.dispatcher import dispatch
from wpbridge.runner.held_hooks import HeldBack
from wpbridge.runner.identity import (
    BEAT_SECONDS,
    IDLE_BEAT_SECONDS,
    STALE_SECONDS,
    WATCH_SECONDS,
    Coroner,
    Identity,
    is_dead,
    is_same_process,
)
from wpbridge.runner.in_hand import Ended, Held, Hold, Totals
from wpbridge.runner.pace import Pace
from wpbridge.runner.reaper import RescuePolicy, reap
from wpbridge.runner.retries import Retries
from wpbridge.runner.shares import Shares
from wpbridge.site.rules import RetryRule
from wpbridge.store.base import ClaimFilter, RunnerRecord, Store
from wpbridge.telling.bus import Bus

CATCH_UP_SECONDS, IDLE_CATCH_UP_SECONDS = 1.0, 60.0
"""How often what waits is looked at: while actions end here, and while others may end them."""
REAP_SECONDS = 10.0
FIRST_IDLE_SECONDS = 0.02
IDLE_STRETCH = 1.22
"""An idle runner waits up to so many poll intervals, less a little chance.

With the default of a second that is a look each 1.1 s: less than one query a second, the beats
counted too, and what PHP enqueues waits 0.57 s in the median.
"""
TRIAL_SECONDS = 5.0
"""A suspect that runs so long without harm lets the next one start."""
CONFIRM_SECONDS = 1.0
"""Waiting actions are looked at again this often: a canceled one must not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a run ends."""

    batch_size: int = 25
    batches: int = 0
    """Claims; 0 until nothing is due."""
    max_actions: int = 0
    max_time: timedelta | None = None
    concurrency: int = 4
    """How many may run at once: a daemon claims by it."""
    rescue: RescuePolicy = "retry"
    """What becomes of an action whose runner died while it ran."""
    keep_output: KeepOutput = "always"
    poll: timedelta | None = None
    """A daemon: how long it waits before it looks again; None: the run ends when nothing is due."""


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
        shares: Mapping[str, int] = MappingProxyType({}),
        bus: Bus | None = None,
        caretaker: Caretaker | None = None,
    ) -> None:
        self.totals = Totals()
        self._care = Care(caretaker, clock)
        self._bus = bus or Bus()
        self._shares = Shares(shares)
        self._store = store
        self._coroner = Coroner(clock)
        self._executor = executor
        self._clock = clock
        self._me = me
        self._only = only
        self._limits = limits
        self._hold = Hold()
        self._pace = Pace(limits.concurrency)
        self._books = Bookkeeper(
            store,
            clock,
            self._bus,
            self._hold,
            self.totals,
            retries=Retries(store, retry),
            breaker=Breaker(store, only.limits),
            pace=self._pace,
            keep_output=limits.keep_output,
        )
        self._held_back = HeldBack(store, executor, clock, self._bus)
        self._is_stopping = False
        self._is_quiet = False
        self._is_exhausted = False
        self._idle_seconds = 0.0
        self._look_at: float | None = None
        """When an idle runner looks again."""
        self._asked: list[Callable[[dict[str, Any]], None]] = []
        self._dry_until = 0.0
        self._caught_up = -CATCH_UP_SECONDS
        self._reaped = 0.0
        self._trial: tuple[Call | None, float] = (None, 0.0)
        """The suspect that was started last, and when."""
        self._is_out = True
        """Not in the table of runners: to be entered before anything else."""
        self._row_id: RunnerId | None = None
        self._former: set[RunnerId] = set()
        self._started = self._confirmed = clock.monotonic()
        self._beaten = self._moment()

    def stop(self) -> None:
        """Claim no more, finish what runs, release the rest. Safe in a signal handler."""
        self._is_stopping = True
        self._executor.announce_stop()
        self._executor.wake()

    def quiet(self, *, on: bool) -> None:
        """Claim no more for now, and go on with what is held; safe in a signal handler."""
        self._is_quiet = on
        self._executor.wake()

    def wake(self) -> None:
        """Something was enqueued: look now. From any thread."""
        self._idle_seconds = 0.0
        self._executor.wake()

    def ask(self, answer: Callable[[dict[str, Any]], None]) -> None:
        """Have the loop tell what it holds, between two steps; safe in a signal handler."""
        self._asked.append(answer)
        self._executor.wake()

    def trouble(self) -> str | None:
        """Why some of it could not be run at all; None when all is well."""
        return self._executor.trouble()

    @property
    def missing(self) -> frozenset[str]:
        """Hooks whose actions were put back, since WordPress has no callback for them."""
        return self._held_back.missing

    def run(self) -> Totals:
        """Until nothing is due or a limit is reached.

        Raises:
            StoreUnavailable: the database stayed away; what we hold is put back by the next run.
        """
        try:
            while self._live_step():
                pass
        finally:
            self._executor.close()
        self._held_back.look()
        self._care.leave()
        self._store.unregister()
        self._bus.tell(RunnerStopped(at=self._clock.now(), site=self._bus.site, pid=self._me.pid))
        self.totals.seconds = self._clock.monotonic() - self._started
        return self.totals

    def _enter(self) -> None:
        me = self._me
        self._beaten = self._moment()
        if self._row_id is not None:
            self._former.add(self._row_id)
        self._row_id = self._store.register(
            host=me.host, boot=me.boot, pid=me.pid, pid_started=me.pid_started
        )
        self._bus.tell(RunnerStarted(at=self._clock.now(), site=self._bus.site, pid=me.pid))
        self._reap()

    def _reap(self) -> None:
        # A run is too short to watch others: it believes what it sees.
        judge = is_dead if self._limits.poll is None else self._coroner.is_dead
        found = reap(
            self._store,
            self._me,
            self._clock,
            policy=self._limits.rescue,
            bus=self._bus,
            judge=lambda runner, me: self._was_us(runner) or judge(runner, me),
            books=self._books_of,
        )
        self.totals.reclaimed += len(found)
        self._reaped = self._clock.monotonic()

    def _books_of(self, hook: str, group: str) -> Books | None:
        """When a start of the hook is written, if this runner runs it at all."""
        accepts = claim_filter(self._only, self._executor.openings()).accepts
        is_ours = accepts is None or accepts(hook, group)
        return self._executor.books(hook, group) if is_ours else None

    def _was_us(self, runner: RunnerRecord) -> bool:
        """Whether a row is a former one of this runner's, which began anew since."""
        return runner.id in self._former and is_same_process(runner, self._me)

    def _live_step(self) -> bool:
        try:
            if self._is_out:
                self._enter()
                self._is_out = False
            return self._step()
        except RunnerGone:
            self._drop_everything()
            return True

    def _drop_everything(self) -> None:
        """Forget all that is in hand, since our row is not what we remember; then begin anew.

        Others took us for dead and put it back, or the server has forgotten what it had committed.
        What still runs goes on to its end, which the guards then drop. What a former row of ours
        still names is put back as that of a dead runner.
        """
        hold = self._hold
        gone = RunnerPresumedDead(
            at=self._clock.now(), site=self._bus.site, actions=len(hold.held) + len(hold.endings)
        )
        self._bus.tell(gone)
        self._executor.recall()
        self.totals.lost += len(hold.held) + len(hold.endings)
        hold.clear()
        self._is_out = True

    def _step(self) -> bool:
        hold = self._hold
        self._answer()
        if self._is_over_time():
            self._is_stopping = True
        self._tend_when_due()
        if self._is_stopping:
            self._release_waiting()
        elif self._is_quiet:
            pass
        elif self._executor.has_room():
            if self._may_claim():
                self._claim()
        elif not (hold.held or self._wait_for_strays() or self._executor.has_room()):
            # Nothing runs, and nothing can be started: the executor says why.
            self._is_exhausted = True
        self._start_careful()
        if hold.is_empty():
            if self._is_stopping or self._is_done() or self._limits.poll is None:
                is_over = self._is_stopping or self._is_exhausted
                return not is_over or self._wait_for_strays()
            if self._is_exhausted or self._is_quiet:
                self._idle(self._limits.poll)
            return True
        self._books.collect(self._executor.reports(self._wait_seconds()))
        self._flush_when_due()
        self._release_paused()
        self._confirm_when_due()
        self._beat_when_due()
        return True

    def _wait_for_strays(self) -> bool:
        """Wait a moment for calls whose actions are not ours any more; return whether some run.

        What has started runs to its end, and the end of a run would cut it off.
        """
        if not self._executor.running():
            return False
        self._executor.reports(FLUSH_SECONDS)
        self._beat_when_due()
        return True

    def _tend_when_due(self) -> None:
        """Upkeep between two claims: what it freed may be ours, so look at once."""
        if not (self._is_stopping or self._is_quiet) and self._care.when_due():
            self._is_exhausted, self._look_at = False, None

    def _answer(self) -> None:
        while self._asked:
            self._asked.pop(0)(self._told())

    def _told(self) -> dict[str, Any]:
        """What the loop holds, for people."""
        now, running = self._clock.now(), self._executor.running()
        return {
            "pid": self._me.pid,
            "state": "stopping" if self._is_stopping else "quiet" if self._is_quiet else "working",
            "held": len(self._hold.held),
            "claims": sorted(self._hold.claims),
            "running": [
                {
                    "id": call.action.id,
                    "hook": call.action.hook,
                    "seconds": round((now - running[call]).total_seconds(), 1),
                }
                for call in sorted(self._hold.held, key=lambda call: call.action.id)
                if call in running
            ],
            "totals": asdict(self.totals),
        }

    # Idling

    def _is_done(self) -> bool:
        limits, totals = self._limits, self.totals
        by_claims = bool(limits.batches) and totals.batches >= limits.batches
        return by_claims or (0 < limits.max_actions <= totals.claimed)

    def _idle(self, longest: timedelta) -> None:
        """Wait, longer and longer, until something is due, is enqueued here, or is asked."""
        now = self._clock.monotonic()
        if self._look_at is None:
            most = longest.total_seconds() * IDLE_STRETCH
            if self._coroner.is_watching():
                most = min(most, REAP_SECONDS)
            self._idle_seconds = min(most, max(FIRST_IDLE_SECONDS, self._idle_seconds * 2))
            # Runners that went idle together shall not look together.
            self._look_at = now + self._idle_seconds * random.uniform(0.85, 1.0)  # noqa: S311
        until = self._look_at if self._is_quiet else min(self._look_at, self._care.due_at)
        self._executor.reports(max(0.0, until - now))
        self._beat_when_due()
        is_woken = self._idle_seconds == 0.0
        if not is_woken and self._clock.monotonic() < self._look_at:
            # Only asked something: the look is still to come.
            return
        self._look_at = None
        if self._is_stopping or self._is_quiet:
            return
        if is_woken:
            # Woken: what was enqueued is due, and shall not wait for another look.
            self._is_exhausted = False
            return
        sight = self._store.glance(now=self._clock.now(), silent_seconds=WATCH_SECONDS)
        is_reap_due = self._clock.monotonic() - self._reaped >= REAP_SECONDS
        is_dead_near = sight.is_silent or (sight.is_stale and is_reap_due)
        if is_dead_near:
            self._reap()
        late = self._clock.monotonic() - self._caught_up >= IDLE_CATCH_UP_SECONDS
        self._is_exhausted = not (sight.is_due or is_dead_near or (late and self._catch_up()))

    # Claiming

    def _is_over_time(self) -> bool:
        limit = self._limits.max_time
        elapsed = self._clock.monotonic() - self._started
        return limit is not None and elapsed >= limit.total_seconds()

    def _may_claim(self) -> bool:
        """Not while something waits to be marked, nor right after a look that found nothing."""
        hold = self._hold
        is_dry = bool(hold.held) and self._clock.monotonic() < self._dry_until
        return not (self._is_exhausted or hold.careful or is_dry)

    def _claim(self) -> None:
        limits, totals = self._limits, self.totals
        if self._is_done():
            self._is_exhausted = True
            return
        size = limits.batch_size if limits.poll is None else self._pace.size(limits.batch_size)
        if limits.max_actions:
            size = min(size, limits.max_actions - totals.claimed)
        self._books.flush()
        self._reap_when_due()
        self._catch_up_when_due()
        claim = self._claim_due(size)
        # Nothing is due: but what has just ended may have been waited for.
        if claim is None and self._books.has_ended and self._catch_up():
            claim = self._claim_due(size)
        if claim is None:
            self._is_exhausted = not self._hold.held
            self._dry_until = self._clock.monotonic() + FLUSH_SECONDS
            return
        self._idle_seconds = 0.0
        totals.batches += 1
        totals.claimed += len(claim.actions)
        self._lose(self._superseded(claim))
        self._hold.claims[claim.id] = {action.id for action in claim.actions}
        for action in claim.actions:
            self._hand_over(action, claim)

    def _superseded(self, claim: Claim) -> list[Call]:
        """Return calls in hand of actions that are in a newer claim now.

        Somebody freed their rows under us, as the plugin's cleaner does after 300 s.
        """
        ids = {action.id for action in claim.actions}
        old = [call for call in self._hold.held if call.action.id in ids]
        self._recalled(old)
        return old

    def _claim_due(self, size: int) -> Claim | None:
        for left_out in self._shares.turns(self._clock.monotonic()):
            claim = self._claim_of(size, left_out)
            groups = [action.group for action in claim.actions] if claim else []
            self._shares.taken(groups, left_out, size)
            if claim is not None:
                return claim
        return None

    def _claim_of(self, size: int, left_out: frozenset[str]) -> Claim | None:
        """One claim without some groups, whose turn it is not."""
        before, now = self._clock.monotonic(), self._clock.now()
        openings = self._executor.openings()
        claim = self._store.claim_due(
            now=now,
            limit=size,
            only=claim_filter(self._only.without((), left_out), openings),
            start_plan=start_plan(openings, at=now),
        )
        if claim is not None:
            took = timedelta(seconds=self._clock.monotonic() - before)
            self._bus.tell(
                ClaimMade(
                    at=self._clock.now(),
                    site=self._bus.site,
                    claim_id=claim.id,
                    actions=len(claim.actions),
                    took=took,
                )
            )
        return claim

    def _reap_when_due(self) -> None:
        if self._limits.poll and self._clock.monotonic() - self._reaped >= REAP_SECONDS:
            self._reap()

    def _catch_up_when_due(self) -> None:
        if self._books.has_ended and self._clock.monotonic() - self._caught_up >= CATCH_UP_SECONDS:
            self._catch_up()

    def _catch_up(self) -> int:
        """Date what waits for actions that have ended, whoever ran them."""
        self._books.has_ended = False
        moved = self._store.catch_up(now=self._clock.now())
        self._caught_up = self._clock.monotonic()
        return moved

    def _hand_over(self, action: Action, claim: Claim) -> None:
        match call := dispatch(action, self._executor, self._is_trusted):
            case Failed():
                now = self._clock.now()
                ending, failed = settle.concluded(
                    action, call, started_at=now, ended_at=now, marked=False
                )
                unread = Call(action=action, values=(), mapping=None)
                report = Report(call=unread, outcome=failed, started_at=now, ended_at=now)
                self._hold.endings.append(Ended(ending, report))
            case Call():
                is_started = action.id in claim.started
                is_suspect = call.books == "lazy" and action.id in claim.suspects
                self._hold.held[call] = Held(marked=is_started, is_suspect=is_suspect)
                if is_started:
                    self._executor.submit(call)
                    return
                if is_suspect or call.books in ("first", "once"):
                    self._hold.careful.append(call)
                else:
                    self._executor.submit(call)
            case _:
                assert_never(call)

    def _start_careful(self) -> None:
        """Mark, then call: as many as can start now.

        The executor is asked though nothing waits: it may still keep a place for what was lost.
        """
        hold = self._hold
        self._drop_refused()
        wave = self._executor.admit(self._ready())
        if not wave:
            return
        for call in wave:
            if hold.held[call].is_suspect:
                self._trial = (call, self._clock.monotonic())
        hold.careful = [call for call in hold.careful if call not in wave]
        for once in (True, False):
            self._mark([call for call in wave if (call.books == "once") is once], once=once)
        for call in wave:
            if call in hold.held:
                self._executor.submit(call)

    def _ready(self) -> list[Call]:
        """Suspects one at a time, with all endings written: the tables shall tell who did it."""
        held = self._hold.held
        suspects = [call for call in self._hold.careful if held[call].is_suspect]
        others = [call for call in self._hold.careful if not held[call].is_suspect]
        on_trial, since = self._trial
        is_over = on_trial not in held or self._clock.monotonic() - since >= TRIAL_SECONDS
        if not suspects or not is_over:
            return others
        self._books.flush()
        return [suspects[0], *others]

    def _drop_refused(self) -> None:
        """Put back what will not be run: nothing of it has been written yet."""
        hold, executor = self._hold, self._executor
        kept: list[Call] = []
        for call in hold.careful:
            if executor.refuses(call.action.hook, call.action.group) is None:
                kept.append(call)
            else:
                del hold.held[call]
                hold.unrun.append(call.action)
        hold.careful = kept

    def _mark(self, calls: list[Call], *, once: bool) -> None:
        if not calls:
            return
        now = self._clock.now()
        marked = self._store.start(
            [(call.action, [wording.started(now)]) for call in calls], now=now, once=once
        )
        for call in calls:
            if call.action.id in marked:
                self._hold.held[call].marked = True
        self._lose([call for call in calls if call.action.id not in marked])

    def _flush_when_due(self) -> None:
        hold = self._hold
        is_due = self._clock.monotonic() - self._books.flushed_at >= FLUSH_SECONDS
        is_much = len(hold.endings) >= 4 * self._limits.batch_size
        if is_due or is_much or not hold.held or self._books.is_urgent():
            self._books.flush()
            self._held_back.look()
            self._books.mark_running(self._executor.running())

    # Holding

    def _wait_seconds(self) -> float:
        since = self._clock.monotonic() - self._books.flushed_at
        return max(0.0, FLUSH_SECONDS - since)

    def _confirm_when_due(self) -> None:
        now = self._clock.monotonic()
        if now - self._confirmed < CONFIRM_SECONDS:
            return
        self._confirmed = now
        running = self._executor.running()
        waiting = [
            call
            for call, held in self._hold.held.items()
            if call not in running and not held.marked and call.books != "kept"
        ]
        if not waiting:
            return
        claimed = self._store.still_claimed([call.action for call in waiting])
        self._lose(self._recalled({call for call in waiting if call.action.id not in claimed}))

    def _moment(self) -> tuple[float, datetime]:
        return self._clock.monotonic(), self._clock.now()

    def _silence_seconds(self) -> float:
        """How long ago the database last confirmed that we live.

        Two clocks are asked, and the later one counts. A host that is suspended, or a virtual
        machine that is paused, may stop either of them.
        """
        (counted, at), (counted_then, at_then) = self._moment(), self._beaten
        return max(counted - counted_then, (at - at_then).total_seconds())

    def _is_trusted(self) -> bool:
        """Whether others still wait for us: later, what we hold may be theirs. From any thread."""
        return self._silence_seconds() < STALE_SECONDS

    def _beat_when_due(self) -> None:
        if self._silence_seconds() >= (BEAT_SECONDS if self._hold.held else IDLE_BEAT_SECONDS):
            # From before the question: others count from when the database has answered it.
            moment = self._moment()
            ids = sorted(call.action.id for call in self._hold.held)
            if not self._store.heartbeat(ids, now=self._clock.now()):
                raise RunnerGone
            self._beaten = moment

    def _recalled(self, calls: Collection[Call]) -> list[Call]:
        """Take those of the calls back that have not started, wherever they wait."""
        if not calls:
            return []
        careful = [call for call in self._hold.careful if call in calls]
        self._hold.careful = [call for call in self._hold.careful if call not in calls]
        return [*self._executor.recall(calls), *careful]

    def _lose(self, calls: Collection[Call]) -> None:
        """Drop calls that somebody else canceled, ended, started or took.

        A row that is pending in our claim after all is put back, so that nothing waits in a claim
        that nobody holds. One in progress there was started by a person in wp-admin: PHP ends it.
        """
        if not calls:
            return
        actions = [call.action for call in calls]
        states = self._store.states(actions)
        # Only rows that are in our claim still get a word about it, as from the plugin.
        ours = [a for a in actions if states.get(a.id, ("", 0))[1] == a.claim_id]
        ignored = [a for a in ours if states[a.id][0] != Status.PENDING]
        at = self._clock.now()
        self._store.log([(action.id, wording.ignored(at)) for action in ignored])
        for action in ignored:
            self._executor.ignored(action)
        for call in calls:
            self._hold.drop(call)
        self.totals.lost += len(actions)
        unstarted = [a for a in ours if states[a.id][0] == Status.PENDING]
        self._store.release(unstarted, finished=self._hold.finished_claims())

    def _release_paused(self) -> None:
        """Put back what waits of the hooks that have just been paused."""
        hooks, self._books.paused = self._books.paused, set()
        if hooks:
            self._release_waiting(hooks)

    def _release_waiting(self, hooks: Collection[str] | None = None) -> None:
        """Put back what has not started; what is marked as started runs to its end.

        ``hooks``: only these; None: all.
        """
        hold = self._hold
        wanted = {
            call
            for call, held in hold.held.items()
            if not held.marked and (hooks is None or call.action.hook in hooks)
        }
        calls = self._recalled(wanted)
        if not calls:
            return
        for call in calls:
            hold.drop(call)
        actions = [call.action for call in calls]
        self.totals.released += self._store.release(actions, finished=hold.finished_claims())
