"""What a dead runner held is started with care by whoever claims it next."""

from collections.abc import Callable

import pytest

from clocks import FakeClock
from factories import NOW, insert, make_new
from rows import column, log_of, query
from wpbridge import Context
from wpbridge.action import BULK_HOOK, Status
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import Identity, identity
from wpbridge.runner.limits import RescuePolicy
from wpbridge.runner.loop import Limits, Runner
from wpbridge.runner.reaper import MOST_DEATHS, MOST_DEATHS_BESIDE, reap
from wpbridge.store.base import ClaimFilter, RunnerRecord
from wpbridge.store.running.runner_store import RunnerStore

ANY = ClaimFilter()
SUSPECTS = "SELECT action_id FROM wp_wpbridge_suspects ORDER BY action_id"


def enter(store: RunnerStore, pid: int) -> RunnerStore:
    store.register(host="h", boot="b", pid=pid, pid_started="1")
    return store


def is_one(runner: RunnerRecord, _me: Identity) -> bool:
    return runner.pid == 1


def test_every_runner_knows_what_a_dead_one_held(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    ids = insert(store, *[make_new() for _ in range(4)])
    dead = enter(store, 1).claim_due(now=NOW, limit=3, only=ANY)
    assert dead is not None
    store.start([(dead.actions[0], [])], now=NOW, once=False)
    reaper = enter(open_queue(dsn), 2)
    assert reap(reaper, identity(), FakeClock(), judge=is_one) == set(ids[:3])
    third = enter(open_queue(dsn), 3)
    claim = third.claim_due(now=NOW, limit=25, only=ANY)
    assert claim is not None
    assert {action.id for action in claim.actions} == set(ids)
    assert claim.suspects == set(ids[:3])
    # Put back unrun they stay suspect; ended they are cleared.
    third.release(claim.actions, finished=[claim.id])
    assert [row[0] for row in query(store, SUSPECTS)] == ids[:3]
    clock = FakeClock()
    marked: dict[int, object] = {}

    def handler(*, context: Context) -> None:
        marked[context.id] = column(store, "status", context.id)

    executor = ThreadExecutor({"h": describe("h", handler)}, concurrency=1, clock=clock, site="s")
    runner = Runner(
        open_queue(dsn), executor, clock, identity(), only=ClaimFilter(), limits=Limits()
    )
    assert runner.run().complete == 4
    assert marked == {**dict.fromkeys(ids[:3], "in-progress"), ids[3]: "pending"}
    assert query(store, SUSPECTS) == []


def test_a_failed_rescue_is_no_suspect_any_more(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    insert(store, make_new())
    dead = enter(store, 1).claim_due(now=NOW, limit=1, only=ANY)
    assert dead is not None
    store.start([(dead.actions[0], [])], now=NOW, once=False)
    reaper = enter(open_queue(dsn), 2)
    assert reap(reaper, identity(), FakeClock(), policy="fail", judge=is_one) == frozenset()
    assert store.counts() == {Status.FAILED: 1}
    assert query(store, SUSPECTS) == []


def die(store: RunnerStore, started: int, runner: RunnerStore, reaper: RunnerStore) -> None:
    """A runner claims all there is, starts some of it, and is gone."""
    claim = enter(runner, 1).claim_due(now=NOW, limit=25, only=ANY)
    assert claim is not None
    runner.start([(action, []) for action in claim.actions[:started]], now=NOW, once=False)
    reap(reaper, identity(), FakeClock(), judge=is_one)


def test_who_ran_alone_is_failed_after_three_deaths(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    (doom,) = insert(store, make_new())
    for _ in range(MOST_DEATHS):
        assert column(store, "status", doom) == "pending"
        die(store, 1, open_queue(dsn), enter(store, 2))
    assert column(store, "status", doom) == "failed"
    assert "its runners died 3 times" in log_of(store, doom)[-1]


@pytest.mark.parametrize("policy", ["fail", "hold"])
def test_what_wpbridge_adds_for_itself_runs_again_whatever_was_settled_for_others(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore], policy: RescuePolicy
) -> None:
    own, other = insert(store, make_new(BULK_HOOK), make_new())
    claim = enter(store, 1).claim_due(now=NOW, limit=2, only=ANY)
    assert claim is not None
    store.start([(action, []) for action in claim.actions], now=NOW, once=False)
    reaper = enter(open_queue(dsn), 2)
    found = reap(reaper, identity(), FakeClock(), policy=policy, judge=is_one)
    assert found == {own}
    assert column(store, "status", own) == "pending"
    assert column(store, "scheduled_date_gmt", own) is not None
    is_failed = column(store, "status", other) == "failed"
    assert is_failed or column(store, "scheduled_date_gmt", other) is None


def test_an_own_action_outlives_more_deaths(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """A bulk of minutes is stopped with its host now and then, and is not the cause."""
    (own,) = insert(store, make_new(BULK_HOOK))
    for _ in range(MOST_DEATHS_BESIDE):
        assert column(store, "status", own) == "pending"
        die(store, 1, open_queue(dsn), enter(store, 2))
    assert column(store, "status", own) == "failed"


def test_neighbours_are_not_blamed(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    ids = insert(store, make_new(), make_new(), make_new())
    for _ in range(MOST_DEATHS):
        die(store, 3, open_queue(dsn), enter(store, 2))
    assert store.counts() == {"pending": 3}
    assert "action reset via wpbridge with 2 others: its runner (h, pid 1) is gone" in log_of(
        store, ids[0]
    )
    for _ in range(MOST_DEATHS_BESIDE - MOST_DEATHS):
        die(store, 3, open_queue(dsn), enter(store, 2))
    assert store.counts() == {"failed": 3}


def test_suspects_run_one_at_a_time(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """And what ended before is written before the next one starts."""
    insert(store, *[make_new() for _ in range(6)])
    die(store, 0, open_queue(dsn), enter(store, 2))
    started: list[object] = []

    def handler() -> None:
        sql = "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status = 'in-progress'"
        started.append(query(store, sql)[0][0])

    clock = FakeClock()
    executor = ThreadExecutor({"h": describe("h", handler)}, concurrency=4, clock=clock, site="s")
    runner = Runner(open_queue(dsn), executor, clock, identity(), only=ANY, limits=Limits())
    assert runner.run().complete == 6
    assert started == [1] * 6
