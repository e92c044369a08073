"""A runner that was stopped for longer than others trust it, and what it does when it goes on."""

from collections.abc import Callable
from datetime import timedelta

import invariants
from clocks import FakeClock
from factories import insert, make_new
from rows import change, log_of
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.handlers import describe
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.sqlstore import SqlStore

ACTIONS = "wp_actionscheduler_actions"


def run(store: SqlStore, clock: FakeClock, handler: Callable[[int], None]) -> Runner:
    """One thread, so that the second action waits for the first."""
    handlers = {"h": describe("h", handler)}
    executor = ThreadExecutor(handlers, concurrency=1, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset(handlers))
    runner = Runner(store, executor, clock, identity(), only=only, limits=Limits())
    runner.run()
    return runner


def test_what_others_have_ended_meanwhile_is_not_started(
    store: SqlStore, dsn: str, open_queue: Callable[[str], SqlStore]
) -> None:
    store.unregister()
    others, clock, seen = open_queue(dsn), FakeClock(), list[int]()
    _, second = insert(store, make_new(args=(1,)), make_new(args=(2,)))

    def handler(number: int) -> None:
        seen.append(number)
        if number == 1:
            clock.at += timedelta(seconds=50)
            change(others, f"UPDATE {ACTIONS} SET status = 'canceled' WHERE action_id = {second}")

    run(store, clock, handler)
    assert seen == [1]
    assert store.counts() == {"complete": 1, "canceled": 1}
    assert "action started via wpbridge" not in log_of(store, second)
    invariants.check(store)


def test_what_nobody_took_is_run_after_all(store: SqlStore) -> None:
    store.unregister()
    clock, seen = FakeClock(), list[int]()
    insert(store, make_new(args=(1,)), make_new(args=(2,)))

    def handler(number: int) -> None:
        seen.append(number)
        if number == 1:
            clock.at += timedelta(seconds=50)

    run(store, clock, handler)
    assert seen == [1, 2]
    assert store.counts() == {"complete": 2}
    invariants.check(store)
