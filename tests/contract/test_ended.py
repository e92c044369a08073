"""What ended within a time: minutes and hours together, no gap, nothing twice."""

from datetime import UTC, datetime, timedelta

import pytest

from factories import bucketed
from wpbridge.monitor.ended import ended_by
from wpbridge.store.rows.stats import MINUTES_KEPT, Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

BEGIN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _with_table(store: RunnerStore) -> None:
    store.parts.own.ensure(store.parts.names.stats)


def count(
    minute: int, outcome: str = "complete", *, hook: str = "h", group: int = 0, times: int = 1
) -> Count:
    return Count(
        begin=BEGIN + timedelta(minutes=minute),
        hook=hook,
        group_id=group,
        outcome=outcome,
        actions=times,
        duration_seconds=times * 2.0,
        wait_seconds=times * 40.0,
        durations=tuple(times * n for n in bucketed(2.0, DURATION_BOUNDS)),
        waits=tuple(times * n for n in bucketed(40.0, WAIT_BOUNDS)),
    )


def by_hour(store: RunnerStore, since: int, until: int) -> list[tuple[str, int]]:
    begin, end = BEGIN + timedelta(minutes=since), BEGIN + timedelta(minutes=until)
    return [(row.name[11:13], row.complete) for row in ended_by(store.parts, "hour", begin, end)]


def test_hours_are_the_same_whether_they_are_summed_up_or_not(store: RunnerStore) -> None:
    store.parts.stats.add([count(n) for n in (0, 59, 60, 125, 241)] + [count(3, "due")])
    before = by_hour(store, 0, 300)
    assert before == [("12", 2), ("13", 1), ("14", 1), ("15", 0), ("16", 1)]
    now = BEGIN + MINUTES_KEPT
    for hours in (1, 2, 3):
        while store.parts.stats.roll_up(now + timedelta(hours=hours)):
            pass
        assert by_hour(store, 0, 300) == before, hours
    # The whole hour counts in which the time begins, whether it is one row or sixty.
    assert by_hour(store, 59, 300) == before


def test_an_hour_that_is_not_over_has_its_rate_of_the_time_that_was(store: RunnerStore) -> None:
    store.parts.stats.add([count(0, times=60), count(60, times=60)])
    rows = ended_by(store.parts, "hour", BEGIN, BEGIN + timedelta(minutes=61))
    assert [row.per_second for row in rows] == [60 / 3600, 1.0]


def test_hooks_and_groups_have_their_own_rows_with_percentiles(store: RunnerStore) -> None:
    [mail] = store.parts.groups.ids(["mail"]) or [0]
    store.parts.stats.add(
        [
            count(0, times=3),
            count(1, "failed"),
            count(2, "retried", hook="i"),
            count(2, "canceled", hook="i"),
            count(2, "claim", hook=""),
        ]
    )
    until = BEGIN + timedelta(minutes=10)
    first, second = ended_by(store.parts, "hook", BEGIN, until)
    assert (first.name, first.complete, first.failed, first.per_second) == ("h", 3, 1, 4 / 600)
    assert (second.name, second.retried, second.canceled) == ("i", 1, 1)
    assert (first.duration_p50, first.wait_p50) == (1.75, 45.0)
    assert first.wait_p99 == pytest.approx(59.7)
    [only] = ended_by(store.parts, "hook", BEGIN, until, hooks=["i"])
    assert only == second
    [group] = ended_by(store.parts, "group", BEGIN, until)
    assert (group.name, group.complete, group.retried) == ("", 3, 1)
    assert ended_by(store.parts, "hook", BEGIN, until, groups=["mail"]) == []
    assert mail == 0


def test_of_nothing_there_are_no_rows_and_of_unknown_durations_no_percentiles(
    store: RunnerStore,
) -> None:
    until = BEGIN + timedelta(hours=1)
    assert ended_by(store.parts, "hour", datetime(1970, 1, 1, tzinfo=UTC), until) == []
    store.parts.stats.add([Count(begin=BEGIN, hook="h", group_id=0, outcome="complete")])
    [row] = ended_by(store.parts, "hour", BEGIN - timedelta(days=400), until)
    assert (row.complete, row.duration_p50, row.wait_p95) == (1, None, None)
