"""Putting back what dead runners left.

Their claims become ours first, in one transaction; then their actions are released, put back or
failed like our own. A crash in the middle leaves them under our name for the next reaper.
"""

import logging
from collections.abc import Callable

from wpbridge.action import Action, ActionId, Status
from wpbridge.clock import Clock
from wpbridge.outcome import Failed
from wpbridge.runner import settle
from wpbridge.runner.identity import Identity, is_dead
from wpbridge.store.base import RESET_MESSAGE, Adopted, Ending, RunnerRecord, Store

MOST_DEATHS = 3
"""So many runners may die over one action before it is failed as the likely cause."""

_log = logging.getLogger("wpbridge.reaper")


def reap(
    store: Store,
    me: Identity,
    clock: Clock,
    *,
    judge: Callable[[RunnerRecord, Identity], bool] = is_dead,
) -> frozenset[ActionId]:
    """Put back everything that dead runners held; returns the ids that run again."""
    again: set[ActionId] = set()
    for runner in store.other_runners():
        if not judge(runner, me):
            continue
        adopted = store.adopt(runner)
        if adopted is not None:
            again |= _restore(store, adopted, clock)
            _log.warning(
                "runner.reaped",
                extra={"host": runner.host, "pid": runner.pid, "actions": len(adopted.actions)},
            )
    return frozenset(again)


def _restore(store: Store, adopted: Adopted, clock: Clock) -> set[ActionId]:
    now = clock.now()
    waiting = [a for a in adopted.actions if a.status is Status.PENDING]
    started = [a for a in adopted.actions if a.status is Status.IN_PROGRESS]
    deaths = store.said([a.id for a in started], RESET_MESSAGE)
    endings = [_verdict(a, adopted, deaths.get(a.id, 0), clock) for a in started]
    if endings:
        store.settle(endings, now=now)
    store.release(waiting, finished=adopted.runner.claims)
    return {a.id for a in waiting} | {e.action.id for e in endings if e.status is Status.PENDING}


def _verdict(action: Action, adopted: Adopted, deaths: int, clock: Clock) -> Ending:
    runner = adopted.runner
    name = f"{runner.host}, pid {runner.pid}"
    now = clock.now()
    reason = ""
    if action.id in adopted.runner.once:
        reason = f"its runner ({name}) died while it ran, and it must not run twice"
    elif deaths + 1 >= MOST_DEATHS:
        reason = f"its runners died {deaths + 1} times while it ran, last ({name})"
    if not reason:
        return settle.put_back(action, at=now, runner=name)
    failed = Failed(reason=reason, error_type="WorkerLost")
    return settle.ending_of(action, failed, started_at=now, ended_at=now, marked=True)
