"""The loop of one run: claim, hand over, collect, settle, keep fresh.

One thread at a time uses the store: the loop, or the one that makes a claim beside it. Starts and
endings are written in batches by the bookkeeper. What must not run twice, and what a dead runner
left, is marked as started before it is called.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from wpbridge.clock import Clock
from wpbridge.errors import RunnerGone
from wpbridge.events import RunnerPresumedDead, RunnerStarted, RunnerStopped
from wpbridge.executors.base import Executor
from wpbridge.runner import tallying
from wpbridge.runner.about import Process
from wpbridge.runner.bookkeeper import FLUSH_SECONDS, Bookkeeper
from wpbridge.runner.breaker import Breaker
from wpbridge.runner.catch_up import CatchUp
from wpbridge.runner.claim_size import MOST, claim_size
from wpbridge.runner.claiming import Claiming
from wpbridge.runner.handing import Handing
from wpbridge.runner.held_hooks import HeldHooks
from wpbridge.runner.identity import Identity
from wpbridge.runner.idling import LOOK_SECONDS, Idling
from wpbridge.runner.in_hand import Totals
from wpbridge.runner.limits import Limits
from wpbridge.runner.presence import Presence
from wpbridge.runner.put_back import PutBack
from wpbridge.runner.reaper import Reaper
from wpbridge.runner.retries import Retries
from wpbridge.runner.shared import Run
from wpbridge.runner.shares import Shares
from wpbridge.runner.snapshot import snapshot
from wpbridge.runner.starting import Starting
from wpbridge.runner.upkeep_turns import Caretaker, UpkeepTurns
from wpbridge.site.rules import RetryRule
from wpbridge.store.base import Claimed, ClaimFilter
from wpbridge.store.protocol import Store
from wpbridge.telling.bus import Bus
from wpbridge.telling.counting import Counter

__all__ = ["Limits", "Runner"]


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
        counter: Counter | None = None,
        process: Process | None = None,
    ) -> None:
        bus, counter = bus or Bus(), counter or Counter()
        tallying.count_events(bus, counter)
        run = Run(
            store=store,
            executor=executor,
            clock=clock,
            bus=bus,
            me=me,
            limits=limits,
            started=clock.monotonic(),
            counter=counter,
            process=process or Process(),
        )
        self._run = run
        self.counter = counter
        """Counts what the run does."""
        self._presence = Presence(run)
        self.when_wished(lambda wish: self.stop() if wish == "stop" else None)
        self._upkeep_turns = UpkeepTurns(caretaker, clock)
        self._held_hooks = HeldHooks(run)
        size = self._claim_size = claim_size(limits, is_held=bool(shares or only.limits))
        catch_up = CatchUp(run)
        self._put_back = PutBack(run, size)
        self._bookkeeper = Bookkeeper(
            run, Retries(store, retry), Breaker(store, only.limits), size, catch_up
        )
        self._claiming = Claiming(run, only, Shares(shares), size, catch_up, self._bookkeeper)
        self._starting = Starting(run, self._presence, self._put_back, self._bookkeeper)
        self._handing = Handing(run)
        self._reaper = Reaper(run, self._presence, self._claiming)
        self._idling = Idling(run, self._presence, self._reaper, catch_up, self._upkeep_turns)
        self._asked: list[Callable[[dict[str, Any]], None]] = []
        self._next: Claimed | None = None
        """A claim that was made while the last one was started, and is not handed over yet."""
        self._marked_at = clock.monotonic()
        self._dry_until = 0.0
        """Until then no claim is made, since the last one found nothing."""

    def stop(self) -> None:
        """Claim no more, finish what runs, release the rest. Safe in a signal handler."""
        self._run.is_stopping = True
        self._run.executor.announce_stop()
        self._run.executor.wake()

    def quiet(self, *, on: bool) -> None:
        """Claim no more for now, and go on with what is in hand. Safe in a signal handler."""
        self._run.is_told_quiet = on
        self._run.executor.wake()

    def carry(self, wish: str) -> None:
        """Obey from the start a wish that was made of the runner before this one. From any thread.

        The loop writes it into this runner's row before its first claim, so that it can be taken
        back there.
        """
        self.ask(lambda _told: self._presence.carry(wish))

    def when_wished(self, obey: Callable[[str], None]) -> None:
        """Have the loop call this when people wish something else of this runner.

        It is given ``quiet``, ``stop``, or an empty text when the wish is taken back. Claims end
        without it; that the process ends is up to it. Without it the run stops at ``stop``.
        """
        self._presence.when_wished(obey)

    def resize(self, concurrency: int, *, places: int) -> None:
        """Run so many Python handlers at once from now on, and so many actions of any kind.

        From any thread; the loop does it between two steps.
        """

        def resized(_told: dict[str, Any]) -> None:
            self._run.executor.resize(concurrency)
            self._run.limits = replace(self._run.limits, concurrency=places)
            self._claim_size.resize(places)

        self.ask(resized)

    def wake(self) -> None:
        """Look at once, since something was enqueued. From any thread."""
        # One that is woken again and again still looks only so often.
        self._dry_until = min(self._dry_until, self._run.clock.monotonic() + LOOK_SECONDS)
        self._idling.wake()
        self._run.executor.wake()

    def has(self, action_id: int) -> bool:
        """Return whether an action is in hand and has not ended. From any thread."""
        return any(call.action.id == action_id for call in list(self._run.in_hand.calls))

    def ask(self, answer: Callable[[dict[str, Any]], None]) -> None:
        """Have the loop tell what it has in hand, between two steps. Safe in a signal handler."""
        self._asked.append(answer)
        self._run.executor.wake()

    def trouble(self) -> str | None:
        """Return why some of it could not be run at all; None when all is well."""
        return self._run.executor.trouble()

    @property
    def totals(self) -> Totals:
        """What the run has done so far."""
        return self._run.totals

    @property
    def is_quiet(self) -> bool:
        """Return whether it claims no more for now. From any thread."""
        return self._run.is_quiet

    @property
    def places(self) -> int:
        """How many actions can run at once."""
        return self._run.limits.concurrency

    @property
    def missing(self) -> frozenset[str]:
        """Hooks whose actions were put back, since WordPress has no callback for them."""
        return self._held_hooks.missing

    def run(self) -> Totals:
        """Run until nothing is due or a limit is reached.

        Raises:
            StoreUnavailable: the database stayed away; the next run puts back what is in hand.
        """
        run = self._run
        try:
            while self._step_as_ourselves():
                pass
        finally:
            run.executor.close()
        self._held_hooks.look()
        self._upkeep_turns.leave()
        run.store.unregister()
        run.bus.tell(RunnerStopped(at=run.clock.now(), site=run.bus.site, pid=run.me.pid))
        run.totals.seconds = run.clock.monotonic() - run.started
        return run.totals

    def _step_as_ourselves(self) -> bool:
        """Make one step with our row in the table of runners; return whether the run goes on."""
        try:
            if not self._presence.is_entered:
                self._enter()
            return self._step()
        except RunnerGone:
            self._drop_everything()
            return True

    def _enter(self) -> None:
        run = self._run
        self._presence.enter()
        run.bus.tell(RunnerStarted(at=run.clock.now(), site=run.bus.site, pid=run.me.pid))
        self._reaper.reap()
        self._presence.is_entered = True

    def _drop_everything(self) -> None:
        """Forget all that is in hand, since our row is not what we remember; then begin anew.

        Others took us for dead and put it back, or the server has forgotten what it had committed.
        What still runs goes on to its end, which the guards then drop. What a former row of ours
        still names is put back as that of a dead runner.
        """
        run = self._run
        self._claiming.tell_written()
        lost = run.in_hand.clear() + (len(self._next.ids) if self._next else 0)
        self._next = None
        run.bus.tell(RunnerPresumedDead(at=run.clock.now(), site=run.bus.site, actions=lost))
        run.executor.recall()
        run.totals.lost += lost
        self._presence.is_entered = False

    def _step(self) -> bool:
        run = self._run
        self._answer()
        if self._is_over_time():
            run.is_stopping = True
        self._idling.tend_when_due()
        if run.is_stopping:
            if self._next is not None:
                self._hand_over(self._next)
            self._put_back.put_back()
        elif self._next is not None:
            self._reaper.reap_when_due()
            self._hand_over(self._next)
        elif run.is_quiet:
            pass
        elif self._claiming.has_room():
            self._claim()
        elif not (run.in_hand.calls or self._wait_for_strays() or run.executor.has_room()):
            # Nothing runs, and nothing can be started: the executor says why.
            run.is_exhausted = True
        self._starting.start_marked()
        if self._next is not None:
            # It waits to be handed over. Endings are written with the claim after it.
            self._bookkeeper.collect(run.executor.reports(0.0))
        elif run.in_hand.is_empty():
            return self._go_on_with_nothing()
        else:
            self._bookkeeper.collect(run.executor.reports(self._seconds_to_wait()))
            self._flush_when_due()
        self._mark_when_due()
        self._handing.look_when_due()
        self._put_back_paused()
        self._put_back.confirm_when_due()
        self._presence.beat_when_due(self._put_back.confirm)
        return True

    def _seconds_to_wait(self) -> float:
        """Return how long to wait: until endings are written, or until the next look."""
        flush = self._bookkeeper.seconds_to_flush()
        left = self._dry_until - self._run.clock.monotonic()
        return min(flush, left) if left > 0 else flush

    def _claim(self) -> None:
        run, in_hand = self._run, self._run.in_hand
        if not self._may_claim():
            return
        if self._claiming.is_done():
            run.is_exhausted = True
            return
        self._reaper.reap_when_due()
        claim = self._claiming.claim()
        if claim is None:
            run.is_exhausted = not in_hand.calls
            self._dry_until = run.clock.monotonic() + FLUSH_SECONDS
            return
        self._idling.wake()
        self._hand_over(claim)

    def _may_claim(self) -> bool:
        """Return whether a claim is due.

        None is while something waits to be marked, or right after a look that found nothing.
        """
        run, in_hand = self._run, self._run.in_hand
        is_dry = bool(in_hand.calls) and run.clock.monotonic() < self._dry_until
        return not (run.is_exhausted or in_hand.to_mark or is_dry)

    def _hand_over(self, claimed: Claimed) -> None:
        """Start what was claimed. The next claim may be made meanwhile; it is handed over then."""
        self._next = None
        self._put_back.superseded(claimed.ids)
        steps = self._steps_to_start(claimed)
        try:
            if self._claiming.wants_next(claimed):
                self._next = self._claiming.claim_next(
                    claimed, lambda: next(steps, False) or self._bookkeeper.collect_some()
                )
        finally:
            while next(steps, False):
                pass

    def _steps_to_start(self, claimed: Claimed) -> Iterator[bool]:
        """Hand a claim over in small steps, each of which yields True. The store is not used."""
        self._claiming.tell_written()
        yield True
        claim = claimed.make()
        yield True
        yield from self._starting.hand_over(claim)

    def _go_on_with_nothing(self) -> bool:
        """Idle, or claim again, with nothing in hand; return False at the end of the run."""
        run = self._run
        if run.limits.poll is None and run.is_quiet and not run.is_stopping:
            self._presence.wait()
            return True
        if run.is_stopping or self._claiming.is_done() or run.limits.poll is None:
            is_over = run.is_stopping or run.is_exhausted
            return not is_over or self._wait_for_strays()
        if run.is_exhausted or run.is_quiet:
            # What was found last may be the reason why nothing is in hand.
            self._held_hooks.look()
            self._idling.wait()
        return True

    def _wait_for_strays(self) -> bool:
        """Wait a moment for calls whose actions are not ours any more; return whether some run.

        What has started runs to its end, and the end of a run would cut it off.
        """
        if not self._run.executor.running():
            return False
        self._run.executor.reports(FLUSH_SECONDS)
        self._presence.beat_when_due()
        return True

    def _is_over_time(self) -> bool:
        limit = self._run.limits.max_time
        elapsed = self._run.clock.monotonic() - self._run.started
        return limit is not None and elapsed >= limit.total_seconds()

    def _answer(self) -> None:
        while self._asked:
            self._asked.pop(0)(snapshot(self._run))

    def _flush_when_due(self) -> None:
        in_hand, bookkeeper = self._run.in_hand, self._bookkeeper
        is_much = len(in_hand.endings) >= MOST
        is_due = bookkeeper.seconds_to_flush() == 0.0
        if is_due or is_much or self._is_last_ending() or bookkeeper.is_urgent():
            bookkeeper.flush()

    def _is_last_ending(self) -> bool:
        """Return whether no other ending is in sight that could be written together with these."""
        return not self._run.in_hand.calls and not self._claims_next()

    def _mark_when_due(self) -> None:
        """Show in the tables what has been running for a while, and what WordPress lacks."""
        now = self._run.clock.monotonic()
        if now - self._marked_at >= FLUSH_SECONDS:
            self._marked_at = now
            self._held_hooks.look()
            self._bookkeeper.mark_running(self._run.executor.running())

    def _claims_next(self) -> bool:
        """Return whether the next step begins with a claim, which takes the endings along."""
        run = self._run
        is_on = not (run.is_stopping or run.is_quiet or self._claiming.is_done())
        return is_on and self._may_claim() and self._claiming.has_room()

    def _put_back_paused(self) -> None:
        """Put back what waits of the hooks that have just been paused."""
        if hooks := self._bookkeeper.take_paused():
            self._put_back.put_back(hooks)
