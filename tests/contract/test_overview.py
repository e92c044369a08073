"""What the first page and ``wpbridge top`` show of hooks: which fail most, and which are slowest."""

from datetime import datetime, timedelta

from factories import NOW, bucketed, insert, make_new
from rows import change
from wpbridge.clock import to_text
from wpbridge.dashboard.overview import SLOW, OverviewReader, overview_of
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


def test_what_is_slow_is_read_anew_after_a_while(store: RunnerStore) -> None:
    reader = OverviewReader()
    assert reader.read(store.parts, NOW).failed_day == 0
    [one] = insert(store, make_new("h"))
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'failed', last_attempt_gmt = :at"
        " WHERE action_id = :id",
        at=to_text(NOW),
        id=one,
    )
    insert(store, make_new("h"))
    soon = reader.read(store.parts, NOW + SLOW / 2)
    assert (soon.due, soon.counts["pending"], soon.failed_day) == (1, 1, 0)
    later = reader.read(store.parts, NOW + SLOW)
    assert (later.failed_day, later.counts["failed"]) == (1, 1)
    # A clock that was set back is no reason to show old numbers for ever.
    assert reader.read(store.parts, NOW - timedelta(days=1)).at == NOW - timedelta(days=1)
