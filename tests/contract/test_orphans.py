"""Actions in progress in a claim of nobody, which no crash of a runner leaves behind any more."""

from collections.abc import Callable
from datetime import timedelta

import pytest

import invariants
from clocks import FakeClock
from factories import NOW, insert, make_new
from rows import change, column, log_of, query
from ticking import TickingExecutor
from wpbridge.action import ActionId
from wpbridge.executors.base import StartMark
from wpbridge.outcome import LogLine
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.runner.reaper import reap
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.orphans import SILENT, STARTED
from wpbridge.store.running.runner_store import RunnerStore

LATER = NOW + SILENT


def late_mark(_hook: str, _group: str) -> StartMark:
    return "with_ending"


def orphan(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore], *, via: str = STARTED
) -> ActionId:
    """An action that somebody started under a claim whose row is gone, as is the runner's."""
    (action,) = insert(store, make_new())
    lost = open_queue(dsn)
    lost.register(host="h", boot="b", pid=7, pid_started="1")
    claim = lost.claim_due(now=NOW, limit=1, only=ClaimFilter())
    assert claim is not None
    lost.start([(claim.actions[0], [LogLine(message=via, at=NOW)])], now=NOW, once=False)
    change(store, "DELETE FROM wp_wpbridge_runners WHERE pid = 7")
    change(store, "DELETE FROM wp_actionscheduler_claims")
    return action


def test_it_is_put_back_by_the_rescue_rule(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    action = orphan(store, dsn, open_queue)
    early = FakeClock(LATER - timedelta(seconds=1))
    assert reap(store, identity(), early, start_mark=late_mark) == frozenset()
    assert column(store, "status", action) == "in-progress"
    assert reap(store, identity(), FakeClock(LATER), start_mark=late_mark) == {action}
    assert column(store, "status", action) == "pending"
    assert column(store, "claim_id", action) == 0
    told = "action reset via wpbridge: its runner (not known any more) is gone"
    assert log_of(store, action)[-1] == told
    invariants.check(store)


def test_it_is_run_by_the_next_run(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    orphan(store, dsn, open_queue)
    store.unregister()
    clock, seen = FakeClock(LATER), list[int]()
    executor = TickingExecutor(lambda: seen.append(1), clock, concurrency=1)
    Runner(store, executor, clock, identity(), only=ClaimFilter(), limits=Limits()).run()
    assert seen == [1]
    assert store.counts() == {"complete": 1}
    invariants.check(store)


def test_what_must_not_run_twice_fails(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    action = orphan(store, dsn, open_queue)
    found = reap(store, identity(), FakeClock(LATER), start_mark=lambda _hook, _group: "once")
    assert found == frozenset()
    assert column(store, "status", action) == "failed"
    assert "must not run twice" in log_of(store, action)[-1]


@pytest.mark.parametrize("via", ["action started via WP CLI", "Aktion gestartet via WP Cron"])
def test_what_php_started_is_left_to_php(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore], via: str
) -> None:
    action = orphan(store, dsn, open_queue)
    store.log([(action, LogLine(message=via, at=NOW))])
    assert reap(store, identity(), FakeClock(LATER), start_mark=late_mark) == frozenset()
    assert column(store, "status", action) == "in-progress"


def test_hooks_that_are_not_ours_to_judge_are_left(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    action = orphan(store, dsn, open_queue)
    assert reap(store, identity(), FakeClock(LATER)) == frozenset()
    assert column(store, "status", action) == "in-progress"


def test_what_a_runner_has_in_hand_is_no_orphan(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    insert(store, make_new())
    other = open_queue(dsn)
    other.register(host="h", boot="b", pid=7, pid_started="1")
    claim = other.claim_due(now=NOW, limit=1, only=ClaimFilter())
    assert claim is not None
    other.start([(claim.actions[0], [LogLine(message=STARTED, at=NOW)])], now=NOW, once=False)
    assert store.orphans(now=LATER) == []
    # Nor is it for who looked before: the claim is taken only while nobody has it.
    assert store.adopt_orphans([claim.id], once=[]) is None


def test_one_of_two_who_found_it_takes_it(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    orphan(store, dsn, open_queue)
    other = open_queue(dsn)
    other.register(host="h", boot="b", pid=8, pid_started="1")
    (found,) = store.orphans(now=LATER)
    assert other.adopt_orphans([found.claim_id], once=[]) is not None
    assert store.adopt_orphans([found.claim_id], once=[]) is None
    rows = query(store, "SELECT pid, claims FROM wp_wpbridge_runners WHERE claims <> ''")
    assert [tuple(row) for row in rows] == [(8, str(found.claim_id))]


def test_an_idle_runner_sees_that_something_is_stale(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    orphan(store, dsn, open_queue)
    early = NOW + SILENT - timedelta(seconds=1)
    assert not store.glance(now=early, silent_seconds=60).is_stale
    assert store.glance(now=LATER, silent_seconds=60).is_stale


def test_what_somebody_wrote_into_a_runners_row_stops_nobody(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    (action,) = insert(store, make_new())
    other = open_queue(dsn)
    other.register(host="h", boot="b", pid=7, pid_started="1")
    claim = other.claim_due(now=NOW, limit=1, only=ClaimFilter())
    assert claim is not None
    row = f"claims = 'x,{claim.id},²', once = 'y'"
    change(store, f"UPDATE wp_wpbridge_runners SET {row} WHERE pid = 7")
    found = reap(store, identity(), FakeClock(), judge=lambda runner, _me: runner.pid == 7)
    assert found == {action}
    assert column(store, "claim_id", action) == 0
