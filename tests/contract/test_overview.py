"""What the first page and ``wpbridge top`` show of hooks: which fail most, and which are slowest."""

from datetime import datetime, timedelta

from factories import NOW, bucketed
from wpbridge.dashboard.overview import overview_of
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import DURATION_BOUNDS


def ended(
    hook: str, outcome: str, actions: int, *, seconds: float = 0.0, ago: timedelta = timedelta(0)
) -> Count:
    """So many endings in one minute, each of which took so long."""
    begin: datetime = (NOW - ago).replace(second=0, microsecond=0)
    return Count(
        begin=begin,
        hook=hook,
        group_id=0,
        outcome=outcome,
        actions=actions,
        duration_seconds=seconds * actions,
        durations=bucketed(seconds, DURATION_BOUNDS),
    )


def test_hooks_that_fail_most_and_the_slowest_ones_are_told(store: RunnerStore) -> None:
    store.parts.own.ensure(store.names.stats)
    hour = timedelta(hours=1)
    store.parts.stats.add(
        [
            ended("slow", "complete", 3, seconds=40.0, ago=3 * hour),
            ended("quick", "complete", 500, seconds=0.01, ago=2 * hour),
            ended("quick", "failed", 7, seconds=0.01, ago=2 * hour),
            ended("bad", "failed", 9, seconds=2.0, ago=5 * hour),
            # What is older than a day does not count.
            ended("old", "failed", 99, seconds=90.0, ago=30 * hour),
        ]
    )
    seen = overview_of(store.parts, NOW)
    assert [(row.name, row.failed, row.complete) for row in seen.failing] == [
        ("bad", 9, 0),
        ("quick", 7, 500),
    ]
    assert [row.name for row in seen.slowest] == ["slow", "bad", "quick"]
    assert [(row.duration_p95 or 0) > 1 for row in seen.slowest] == [True, True, False]


def test_without_statistics_no_hook_is_told(store: RunnerStore) -> None:
    seen = overview_of(store.parts, NOW)
    assert (seen.failing, seen.slowest) == ([], [])


def test_a_day_of_hooks_is_read_once_a_minute(store: RunnerStore) -> None:
    store.parts.own.ensure(store.names.stats)
    seen = []
    for seconds in (0, 59, 60):
        store.parts.stats.add([ended("h", "failed", 1, ago=timedelta(hours=1))])
        at = NOW + timedelta(seconds=seconds)
        seen.append([row.failed for row in overview_of(store.parts, at).failing])
    assert seen == [[1], [1], [3]]
