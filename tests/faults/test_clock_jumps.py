"""The host's clock is set while a runner runs: what it waits for, it counts by another one."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

import invariants
from daemons import until
from factories import NOW, make_new
from rows import column, log_of
from wpbridge.clock import SystemClock
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

OpenQueue = Callable[[str], RunnerStore]


class SetClock(SystemClock):
    """The host's, set as the test likes."""

    def __init__(self) -> None:
        self.offset = NOW - super().now()

    def now(self) -> datetime:
        return super().now() + self.offset


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=1)], ids=["back", "forward"])
def test_what_runs_while_the_clock_is_set_shows_as_running_and_ends(
    jump: timedelta, dsn: str, open_queue: OpenQueue
) -> None:
    clock, store, beside = SetClock(), open_queue(dsn), open_queue(dsn)
    [action_id] = store.insert([make_new("h", now=NOW)], now=NOW)

    def handler() -> None:
        clock.offset += jump
        until(lambda: column(beside, "status", action_id) == "in-progress", "a row that shows it")

    executor = ThreadExecutor({"h": describe("h", handler)}, concurrency=1, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset({"h"}))
    before = time.monotonic()
    totals = Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()
    assert totals.complete == 1, log_of(store, action_id)
    assert totals.seconds <= time.monotonic() - before
    invariants.check(store)


@pytest.mark.parametrize(("jump", "runs"), [(timedelta(hours=-1), 0), (timedelta(hours=1), 2)])
def test_dates_go_by_the_clock_as_it_is(
    jump: timedelta, runs: int, dsn: str, open_queue: OpenQueue
) -> None:
    """Set back, what was due waits; set forward, what is due in half an hour starts. As in PHP."""
    clock, store = SetClock(), open_queue(dsn)
    clock.offset += jump
    store.insert([make_new("h", now=NOW), make_new("h", due_in=1800, now=NOW)], now=NOW)
    executor = ThreadExecutor(
        {"h": describe("h", lambda: None)}, concurrency=1, clock=clock, site="s"
    )
    only = ClaimFilter(hooks=frozenset({"h"}))
    totals = Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()
    assert totals.complete == runs
    invariants.check(store)
