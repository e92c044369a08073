"""What the rules look at, asked of real tables."""

from datetime import timedelta

import pytest

from clocks import FakeClock
from factories import insert, make_new
from rows import query
from wpbridge.action import CALLBACK_HOOK
from wpbridge.monitor.facts import Facts
from wpbridge.monitor.looking import facts_of
from wpbridge.monitor.rules import evaluate
from wpbridge.site.config import Settings
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import DURATION_BOUNDS

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _with_table(store: RunnerStore) -> None:
    store.parts.own.ensure(store.parts.names.stats)


def facts(store: RunnerStore, clock: FakeClock) -> Facts:
    return facts_of(store.parts, clock.now(), Settings())


def firing(store: RunnerStore, clock: FakeClock) -> list[str]:
    return [f"{one.rule.name} {one.of}".strip() for one in evaluate(facts(store, clock))]


def test_an_empty_queue_is_well(store: RunnerStore, clock: FakeClock) -> None:
    assert firing(store, clock) == []


def test_work_that_waits_is_seen(store: RunnerStore, clock: FakeClock) -> None:
    insert(store, make_new(due_in=-700.0))
    assert firing(store, clock) == ["Backlog"]


def test_what_ended_is_seen_for_a_while(store: RunnerStore, clock: FakeClock) -> None:
    slow = [0] * (len(DURATION_BOUNDS) + 1)
    slow[7] = 10
    begin = clock.now() - MINUTE

    def count(hook: str, outcome: str, times: int) -> Count:
        told = {"durations": tuple(slow)} if outcome == "claim" else {}
        return Count(begin=begin, hook=hook, group_id=0, outcome=outcome, actions=times, **told)  # type: ignore[arg-type]

    store.parts.stats.add(
        [
            count("mail", "failed", 5),
            count("mail", "complete", 5),
            count("sync", "retried", 30),
            count(CALLBACK_HOOK, "failed", 1),
            count("", "claim", 10),
            count("2006", "db_error", 11),
        ]
    )
    hooks = [f"FailRatio {hook}" for hook in ("mail", CALLBACK_HOOK)]
    found = ["RetryStorm sync", "DBErrors", "CallbacksFailing"]
    assert set(firing(store, clock)) == {*hooks, *found, "ClaimSlow"}
    clock.at += 6 * MINUTE
    assert set(firing(store, clock)) == {*hooks, *found}
    clock.at += 20 * MINUTE
    assert firing(store, clock) == ["CallbacksFailing"]
    clock.at += 40 * MINUTE
    assert firing(store, clock) == []


def test_a_table_that_grows_is_seen_after_a_day(store: RunnerStore, clock: FakeClock) -> None:
    sizes = store.parts.sizes
    for hour in range(25):
        assert firing(store, clock) == []
        sizes.note(clock.now(), {"wp_logs": hour * 10**9, "wp_claims": 7})
        # The first one of an hour counts.
        sizes.note(clock.now() + MINUTE, {"wp_logs": 1})
        clock.at += timedelta(hours=1)
    assert firing(store, clock) == ["TableGrowth wp_logs"]
    assert (facts(store, clock).growth or {})["wp_logs"] == pytest.approx(168e9)
    clock.at += timedelta(days=8)
    sizes.note(clock.now(), {"wp_logs": 5})
    [[left]] = query(store, "SELECT COUNT(*) FROM wp_wpbridge_stats")
    assert left == 1
    assert firing(store, clock) == []


def test_sizes_are_no_endings(store: RunnerStore, clock: FakeClock) -> None:
    now = clock.now()
    store.parts.sizes.note(now, {"wp_logs": 5})
    assert store.parts.stats.between(now - timedelta(days=1), now + timedelta(days=1)) == []
    assert not store.parts.stats.roll_up(now + timedelta(days=200))


@pytest.mark.parametrize("code", ["1213", "1205", "SQLITE_BUSY_SNAPSHOT"])
def test_rows_that_others_hold_are_no_errors(
    store: RunnerStore, clock: FakeClock, code: str
) -> None:
    count = Count(begin=clock.now(), hook=code, group_id=0, outcome="db_error", actions=500)
    store.parts.stats.add([count])
    assert firing(store, clock) == []
