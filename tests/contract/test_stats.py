"""How many actions ended, minute by minute, summed up to hours and deleted at last."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from factories import bucketed
from rows import change
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.stats import HOURS_KEPT, MINUTES_KEPT, Count, Span
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

BEGIN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

Reader = Callable[[OpenStore, datetime, datetime], int]
READERS: Final[Sequence[Reader]] = (
    lambda store, since, until: len(store.stats.between(since, until)),
    lambda store, since, until: len(store.stats.of("minute", since, until)),
    lambda store, since, until: len(store.stats.of_hook("h", since, until)),
    lambda store, since, until: len(store.summed.hooks(since, until)),
)


@pytest.fixture(autouse=True)
def _with_table(store: RunnerStore) -> None:
    store.parts.own.ensure(store.parts.names.stats)


def count(minute: int = 0, *, hook: str = "h", outcome: str = "complete", took: float = 1) -> Count:
    return Count(
        begin=BEGIN + timedelta(minutes=minute),
        hook=hook,
        group_id=1,
        outcome=outcome,
        duration_seconds=took,
        wait_seconds=took / 2,
        durations=bucketed(took, DURATION_BOUNDS),
        waits=bucketed(took / 2, WAIT_BOUNDS),
    )


def kept(store: RunnerStore, span: Span = "minute") -> list[tuple[str, int, float]]:
    found = store.parts.stats.of(span, BEGIN - timedelta(days=1), BEGIN + timedelta(days=1))
    return [(f"{c.hook} {c.outcome} {c.begin:%H:%M}", c.actions, c.duration_seconds) for c in found]


def test_counts_are_added_to_what_is_there(store: RunnerStore) -> None:
    store.parts.stats.add([count(), count(took=3), count(1), count(outcome="failed")])
    store.parts.stats.add([count(hook="H"), count(took=2)])
    assert sorted(kept(store)) == [
        ("H complete 12:00", 1, 1),
        ("h complete 12:00", 3, 6),
        ("h complete 12:01", 1, 1),
        ("h failed 12:00", 1, 1),
    ]
    [first] = [
        c
        for c in store.parts.stats.of("minute", BEGIN, BEGIN + timedelta(seconds=1))
        if c.hook == "h" and c.outcome == "complete"
    ]
    assert sum(first.durations) == sum(first.waits) == 3
    assert first.durations[bucketed(3, DURATION_BOUNDS).index(1)] == 1


def test_two_writers_at_once_lose_nothing(
    dsn: str, open_queue: Callable[[str], RunnerStore], store: RunnerStore
) -> None:
    others = [open_queue(dsn) for _ in range(4)]
    start = threading.Barrier(4)

    def add(other: RunnerStore) -> None:
        start.wait()
        for _ in range(5):
            other.parts.stats.add([count(), count(1, hook="i")])

    threads = [threading.Thread(target=add, args=[other]) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept(store) == [("h complete 12:00", 20, 20), ("i complete 12:01", 20, 20)]


def test_old_minutes_become_hours_and_old_hours_go(store: RunnerStore) -> None:
    store.parts.stats.add([count(), count(59), count(60), count(5, hook="i")])
    now = BEGIN + MINUTES_KEPT + timedelta(hours=1)
    assert store.parts.stats.roll_up(now)
    assert not store.parts.stats.roll_up(now)
    assert kept(store, "hour") == [("h complete 12:00", 2, 2), ("i complete 12:00", 1, 1)]
    assert kept(store) == [("h complete 13:00", 1, 1)]
    # What comes late is added to its hour.
    store.parts.stats.add([count(7)])
    assert store.parts.stats.roll_up(now)
    assert kept(store, "hour")[0] == ("h complete 12:00", 3, 3)
    much_later = BEGIN + HOURS_KEPT + timedelta(hours=2)
    while store.parts.stats.roll_up(much_later):
        pass
    assert kept(store) == kept(store, "hour") == []


def test_minutes_and_hours_together_have_each_ending_once(store: RunnerStore) -> None:
    samples = [count(outcome="due"), count(59, outcome="due")]
    store.parts.stats.add([count(), count(59), count(60), count(119), *samples])
    before = store.parts.stats.between(BEGIN, BEGIN + timedelta(hours=2))
    assert store.parts.stats.roll_up(BEGIN + MINUTES_KEPT + timedelta(hours=1))
    after = store.parts.stats.between(BEGIN, BEGIN + timedelta(hours=2))
    assert len(before) == 6
    assert sorted((f"{c.begin:%H:%M}", c.outcome, c.actions) for c in after) == [
        ("12:00", "complete", 2),
        ("12:00", "due", 2),
        ("13:00", "complete", 1),
        ("13:59", "complete", 1),
    ]
    assert store.parts.stats.between(BEGIN - timedelta(hours=1), BEGIN) == []


@pytest.mark.parametrize("read", READERS)
def test_a_minute_counts_from_its_first_moment(store: RunnerStore, read: Reader) -> None:
    """Whoever asks 0.4 seconds after it has begun sees it, and whoever asks since then does not."""
    store.parts.stats.add([count(outcome="failed")])
    now, hour = BEGIN + timedelta(milliseconds=400), timedelta(hours=1)
    parts = store.parts
    assert [read(parts, BEGIN - hour, until) for until in (BEGIN, now)] == [0, 1]
    assert [read(parts, since, now + hour) for since in (BEGIN, now)] == [1, 0]


def test_damaged_buckets_count_as_empty(store: RunnerStore) -> None:
    store.parts.stats.add([count()])
    change(store, "UPDATE wp_wpbridge_stats SET durations = 'x', waits = '1,2'")
    [damaged] = store.parts.stats.of("minute", BEGIN, BEGIN + timedelta(seconds=1))
    assert sum(damaged.durations) == sum(damaged.waits) == 0
    store.parts.stats.add([count()])
    assert kept(store) == [("h complete 12:00", 2, 2)]


def test_without_the_table_nothing_is_kept(store: RunnerStore) -> None:
    store.parts.own.drop()
    store.parts.stats.add([count()])
    assert kept(store) == []
    assert not store.parts.stats.roll_up(BEGIN)
