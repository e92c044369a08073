"""Putting back what dead runners left.

Their claims become ours first, in one transaction; then their actions are released, put back or
failed like our own. A crash in the middle leaves them under our name for the next reaper.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from wpbridge.action import Action, ActionId, Status, is_own_hook
from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.events import ActionRescued
from wpbridge.executors.base import StartMark
from wpbridge.outcome import Failed
from wpbridge.runner import concluding
from wpbridge.runner.claiming import Claiming
from wpbridge.runner.identity import Identity
from wpbridge.runner.limits import RescuePolicy
from wpbridge.runner.liveness import Liveness, is_dead
from wpbridge.runner.presence import Presence
from wpbridge.runner.shared import Run
from wpbridge.runner.writing_endings import write
from wpbridge.store.base import RESET_MESSAGE, Adopted, Ending, RunnerRecord
from wpbridge.store.protocol import Store
from wpbridge.telling.bus import Bus

MOST_DEATHS, MOST_DEATHS_BESIDE = 3, 10
"""So many runners may die over one action before it is failed as the likely cause: while it ran
alone, and in all."""

REAP_SECONDS: Final = 10.0
"""How often a runner that goes on looks for dead ones."""


class Reaper:
    """The moments at which one run looks for dead runners."""

    def __init__(self, run: Run, presence: Presence, claiming: Claiming) -> None:
        self._run = run
        self._presence = presence
        self._claiming = claiming
        self._liveness = Liveness(run.clock)
        self._reaped = 0.0

    def reap(self) -> None:
        """Put back what dead runners left."""
        found = reap(
            self._run.store,
            self._run.me,
            self._run.clock,
            policy=self._run.limits.rescue,
            bus=self._run.bus,
            judge=self._is_dead,
            start_mark=self._claiming.start_mark,
        )
        self._run.totals.reclaimed += len(found)
        self._reaped = self._run.clock.monotonic()

    def reap_when_due(self) -> None:
        """Put back what dead runners left, if it is time; only a daemon does it more than once."""
        if self._run.limits.poll and self.is_due():
            self.reap()

    def is_due(self) -> bool:
        """Return whether the last look is long enough ago."""
        return self._run.clock.monotonic() - self._reaped >= REAP_SECONDS

    def is_watching(self) -> bool:
        """Return whether some runner seems dead: then the next look must come soon."""
        return self._liveness.is_watching()

    def _is_dead(self, runner: RunnerRecord, me: Identity) -> bool:
        # A run that ends by itself is too short to watch others: it believes what it sees.
        judge = is_dead if self._run.limits.poll is None else self._liveness.is_dead
        return self._presence.was_ours(runner) or judge(runner, me)


def reap(
    store: Store,
    me: Identity,
    clock: Clock,
    *,
    policy: RescuePolicy = "retry",
    bus: Bus | None = None,
    judge: Callable[[RunnerRecord, Identity], bool] = is_dead,
    start_mark: Callable[[str, str], StartMark | None] = lambda _hook, _group: None,
) -> frozenset[ActionId]:
    """Put back everything that dead runners had in hand; returns the ids that run again.

    The same is done with what is in progress in a claim of nobody, as far as this runner can tell
    from ``start_mark`` whether it may start a second time. For hooks that it does not run
    ``start_mark`` returns None.

    ``policy``: what becomes of what had started: ``retry`` (run again), ``fail``, or ``hold`` (wait
    without a date until somebody reschedules it). wpbridge's own actions run again in any case, and
    what had not started is free again.
    """
    bus = bus or Bus()
    again: set[ActionId] = set()
    for runner in store.other_runners():
        if not judge(runner, me):
            continue
        adopted = store.adopt(runner)
        if adopted is not None:
            again |= _restore(store, adopted, clock, policy, bus)
    if (orphans := _adopt_orphans(store, clock, start_mark)) is not None:
        again |= _restore(store, orphans, clock, policy, bus)
    return frozenset(again)


def _adopt_orphans(
    store: Store, clock: Clock, start_mark: Callable[[str, str], StartMark | None]
) -> Adopted | None:
    """Take over claims of nobody, if this runner can judge all of their started actions."""
    found = [
        (action, start_mark(action.hook, action.group)) for action in store.orphans(now=clock.now())
    ]
    strange = {action.claim_id for action, its in found if its is None}
    claims = {action.claim_id for action, _ in found} - strange
    once = [a.id for a, its in found if its == "once" and a.claim_id in claims]
    return store.adopt_orphans(claims, once=once) if claims else None


def _restore(
    store: Store, adopted: Adopted, clock: Clock, policy: RescuePolicy, bus: Bus
) -> set[ActionId]:
    now = clock.now()
    waiting = [a for a in adopted.actions if a.status is Status.PENDING]
    started = [a for a in adopted.actions if a.status is Status.IN_PROGRESS]
    # Any of them may have killed it.
    store.suspect([a.id for a in adopted.actions])
    ids = [a.id for a in started]
    alone, all_ = store.said(ids, f"{RESET_MESSAGE}:"), store.said(ids, RESET_MESSAGE)
    endings = [
        _verdict(a, adopted, _guilt(alone.get(a.id, 0), all_.get(a.id, 0), len(ids)), clock, policy)
        for a in started
    ]
    if endings:
        endings = [written.ending for written in write(store, endings, now=now)]
    store.release(waiting, finished=adopted.runner.claims)
    name = _name(adopted)
    for action in waiting:
        bus.tell(_rescued(action, name, "released", now, bus.site))
    for ending in endings:
        bus.tell(_rescued(ending.action, name, _how(ending), now, bus.site))
    return {a.id for a in waiting} | {e.action.id for e in endings if _how(e) == "retried"}


def _how(ending: Ending) -> str:
    if ending.status is Status.FAILED:
        return "failed"
    return "held" if ending.is_undated else "retried"


def _rescued(action: Action, name: str, how: str, at: datetime, site: str) -> ActionRescued:
    return ActionRescued(
        at=at,
        site=site,
        action_id=action.id,
        hook=action.hook,
        group=action.group,
        claim_id=action.claim_id,
        attempt=action.attempts,
        action=action,
        runner=name,
        how=how,
    )


def _name(adopted: Adopted) -> str:
    runner = adopted.runner
    return f"{runner.host}, pid {runner.pid}" if runner.host else "not known any more"


@dataclass(frozen=True, slots=True)
class _Guilt:
    """How many runners have died while an action ran, this one among them."""

    alone: int
    deaths: int
    others: int
    """Beside it in this runner."""

    @property
    def is_likely(self) -> bool:
        """Whether it is the cause."""
        return self.alone >= MOST_DEATHS or self.deaths >= MOST_DEATHS_BESIDE


def _guilt(alone: int, deaths: int, started: int) -> _Guilt:
    return _Guilt(alone=alone + (started == 1), deaths=deaths + 1, others=started - 1)


def _verdict(
    action: Action, adopted: Adopted, guilt: _Guilt, clock: Clock, policy: RescuePolicy
) -> Ending:
    name = _name(adopted)
    now = clock.now()
    reason = ""
    # What wpbridge adds for itself goes on where it was, whoever dies.
    is_own = is_own_hook(action.hook)
    if action.id in adopted.runner.once:
        reason = f"its runner ({name}) died while it ran, and it must not run twice"
    elif guilt.deaths >= MOST_DEATHS_BESIDE if is_own else guilt.is_likely:
        reason = f"its runners died {guilt.deaths} times while it ran, last ({name})"
    elif policy == "fail" and not is_own:
        reason = f"its runner ({name}) died while it ran"
    if not reason:
        return concluding.put_back(
            action,
            at=now,
            runner=name,
            others=guilt.others,
            is_undated=policy == "hold" and not is_own,
        )
    failed = Failed(reason=reason, error_type="WorkerLost")
    return concluding.concluded(action, failed, started_at=now, ended_at=now, marked=True)[0]
