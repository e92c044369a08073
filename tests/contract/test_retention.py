"""Old ended rows are deleted by the plugin's rule or a given one, and nothing else is."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from factories import NOW
from rows import change, query
from stores import again
from wpbridge.action import ActionId, Status
from wpbridge.outcome import LogLine
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.upkeep.retention import KEEP, MONTH, Expiry, Retention

ENDED = (Status.COMPLETE, Status.CANCELED, Status.FAILED)
NEVER = "0000-00-00 00:00:00"


@pytest.fixture
def retention(store: RunnerStore) -> Retention:
    return store.parts.retention


def old(
    queue: Queue, status: str, age: timedelta | str | None, hook: str = "h", **more: Any
) -> ActionId:
    """An action whose last attempt was so long ago; a text or None is written as it is."""
    found = queue.enqueue_async(hook, **more)
    assert found is not None
    last = f"{NOW - age:%Y-%m-%d %H:%M:%S}" if isinstance(age, timedelta) else age
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET status = :s, last_attempt_gmt = :l,"
        " last_attempt_local = :l WHERE action_id = :i",
        s=status,
        l=last,
        i=found,
    )
    return found


def expiry(status: Status, *, now: datetime = NOW, **more: Any) -> Expiry:
    return Expiry(status=status, before=now - KEEP[status], **more)


def left(queue: Queue) -> set[int]:
    return {record.id for record in queue.find(limit=0)}


def prune(retention: Retention, rule: Expiry, size: int = 100) -> list[int]:
    """All that the rule means, batch by batch; what went."""
    gone: list[int] = []
    while batch := retention.oldest(rule, size):
        assert len(batch) <= size
        assert retention.delete(batch, rule) == len(batch)
        gone += batch
    return sorted(gone)


def test_the_plugin_s_rule(queue: Queue, retention: Retention) -> None:
    assert timedelta(days=31) == MONTH
    second = timedelta(seconds=1)
    for status in ENDED:
        keep = MONTH * (3 if status is Status.FAILED else 1)
        young = old(queue, status, keep - second)
        expected = [
            old(queue, status, keep),
            old(queue, status, keep + second),
            old(queue, status, NEVER),
        ]
        undated = old(queue, status, None)
        others = [
            old(queue, other, timedelta(days=999))
            for other in (*{*ENDED, "pending", "in-progress", "strange"} - {status},)
        ]
        rule = expiry(status)
        assert retention.count(rule) == 3
        assert retention.oldest(rule, 100) == expected
        assert prune(retention, rule) == expected
        assert left(queue) == {young, undated, *others}
        assert (retention.count(rule), retention.oldest(rule, 5)) == (0, [])
        change(queue.store, "DELETE FROM wp_actionscheduler_actions")


def test_the_longest_ended_go_first(queue: Queue, retention: Retention) -> None:
    ages = (40, 90, 50, 80, 60, 70)
    ids = [old(queue, "complete", timedelta(days=days)) for days in ages]
    never = old(queue, "complete", NEVER)
    rule = expiry(Status.COMPLETE)
    assert retention.oldest(rule, 3) == sorted([never, ids[1], ids[3]])
    assert prune(retention, rule, 2) == sorted([*ids, never])


def test_hooks_and_groups(queue: Queue, retention: Retention) -> None:
    age = timedelta(days=40)
    a, b, c = (old(queue, "complete", age, hook) for hook in ("a", "b", "c"))
    in_group = old(queue, "complete", age, "a", group="g")
    cases: list[tuple[dict[str, Any], set[int]]] = [
        ({"hooks": ("a",)}, {a, in_group}),
        ({"hooks": ("A", "c")}, {a, c, in_group}),
        ({"hooks": ("never",)}, set()),
        ({"except_hooks": ("a",)}, {b, c}),
        ({"except_hooks": ("A", "b")}, {c}),
        ({"groups": ("g",)}, {in_group}),
        ({"groups": ("G", "unknown")}, {in_group}),
        ({"groups": ("unknown",)}, set()),
        ({"groups": ("",)}, {a, b, c}),
        ({"hooks": ("a", "b"), "except_hooks": ("b",), "groups": ("",)}, {a}),
    ]
    for more, expected in cases:
        rule = expiry(Status.COMPLETE, **more)
        assert retention.count(rule) == len(expected), more
        assert set(retention.oldest(rule, 10)) == expected, more
    assert prune(retention, expiry(Status.COMPLETE, except_hooks=("a",))) == [b, c]
    assert prune(retention, expiry(Status.COMPLETE, groups=("g",))) == [in_group]
    assert left(queue) == {a}


def test_logs_and_what_our_tables_hold_go_too(queue: Queue, retention: Retention) -> None:
    age = timedelta(days=40)
    kept = old(queue, "complete", timedelta(days=1), key="kept")
    gone = old(queue, "complete", age, key="gone")
    waiting = old(queue, "canceled", age, after=[gone])
    zoned = queue.schedule_cron(None, "@daily", "z", tz="Europe/Rome") or ActionId(0)
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET status = 'canceled' WHERE action_id = :i",
        i=zoned,
    )
    RunnerStore(queue.store).log([(i, LogLine(message="x", at=NOW)) for i in (kept, gone, gone)])
    assert prune(retention, expiry(Status.COMPLETE)) == [gone]
    assert prune(retention, expiry(Status.CANCELED)) == [waiting, zoned]
    logs = query(queue.store, "SELECT action_id, message FROM wp_actionscheduler_logs")
    assert list(logs) == [(kept, "action created"), (kept, "x")]
    assert len(query(queue.store, "SELECT * FROM wp_wpbridge_keys")) == 1
    for table in ("waits", "zones"):
        assert query(queue.store, f"SELECT * FROM wp_wpbridge_{table}") == []
    assert queue.enqueue_async("h", key="kept") == kept


def test_what_changed_since_it_was_found_is_left(queue: Queue, retention: Retention) -> None:
    age = timedelta(days=40)
    ids = [old(queue, "complete", age) for _ in range(5)]
    rule = expiry(Status.COMPLETE)
    batch = retention.oldest(rule, 10)
    assert batch == ids
    for changed, action_id in (
        ("status = 'pending'", ids[1]),
        ("last_attempt_gmt = '2026-11-24 11:00:00'", ids[2]),
        ("last_attempt_gmt = NULL", ids[3]),
    ):
        change(
            queue.store,
            f"UPDATE wp_actionscheduler_actions SET {changed} WHERE action_id = :i",
            i=action_id,
        )
    change(queue.store, "DELETE FROM wp_actionscheduler_actions WHERE action_id = :i", i=ids[4])
    assert retention.delete(batch, rule) == 1
    assert left(queue) == set(ids[1:4])
    logs = query(queue.store, "SELECT action_id FROM wp_actionscheduler_logs ORDER BY 1")
    assert [row[0] for row in logs] == ids[1:4]
    assert retention.delete([], rule) == 0


def test_a_thousand_go_in_one_batch(queue: Queue, retention: Retention) -> None:
    queue.enqueue_many(Enqueue(hook="h") for _ in range(1500))
    change(queue.store, "UPDATE wp_actionscheduler_actions SET status = 'complete'")
    rule = expiry(Status.COMPLETE)
    batch = retention.oldest(rule, 1000)
    assert retention.delete(batch, rule) == 1000
    assert retention.count(rule) == 500
    assert len(query(queue.store, "SELECT 1 FROM wp_actionscheduler_logs")) == 500


def test_a_site_without_the_index_is_pruned_all_the_same(
    queue: Queue, store: RunnerStore, dsn: str
) -> None:
    if dsn.startswith("mysql"):
        change(store, "DROP INDEX status_last_attempt_gmt ON wp_actionscheduler_actions")
    else:
        names = query(
            store,
            "SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE '%last_attempt%'",
        )
        for (name,) in names:
            change(store, f'DROP INDEX "{name}"')
    store = again(store)
    assert store.parts.layout.attempt_index is None
    ids = [old(queue, "complete", timedelta(days=40)) for _ in range(5)]
    assert prune(store.parts.retention, expiry(Status.COMPLETE), 2) == ids


# Logs of actions that others deleted


def test_orphan_logs(queue: Queue, retention: Retention) -> None:
    assert retention.orphan_logs(0, 10) == ([], 0)
    for _ in range(10):
        queue.enqueue_async("h")
    change(queue.store, "DELETE FROM wp_actionscheduler_actions WHERE action_id IN (2, 3, 9)")
    assert retention.orphan_logs(0, 4) == ([2, 3], 4)
    assert retention.orphan_logs(4, 4) == ([], 8)
    assert retention.orphan_logs(8, 4) == ([9], 10)
    assert retention.orphan_logs(10, 4) == ([], 0)
    assert retention.orphan_logs(0, 100) == ([2, 3, 9], 10)
    assert retention.delete_logs([2, 9]) == 2
    assert retention.delete_logs([2, 9]) == 0
    assert retention.delete_logs([]) == 0
    assert retention.orphan_logs(0, 100) == ([3], 10)
    logs = query(queue.store, "SELECT log_id FROM wp_actionscheduler_logs ORDER BY 1")
    assert [row[0] for row in logs] == [1, 3, 4, 5, 6, 7, 8, 10]


def test_keys_of_actions_that_others_deleted(
    dsn: str, open_queue: Callable[[str], RunnerStore], queue: Queue, retention: Retention
) -> None:
    there = queue.enqueue_async("h", key="there")
    queue.enqueue_async("h", key="gone")
    change(queue.store, "DELETE FROM wp_actionscheduler_actions WHERE action_id = 2")
    assert retention.forget_keys(NOW - timedelta(seconds=1)) == 0
    assert retention.forget_keys(NOW) == 1
    assert queue.enqueue_async("h", key="there") == there
    assert (queue.enqueue_async("h", key="gone") or 0) > 2
    queue.store.own.drop()
    assert queue.store.retention.forget_keys(NOW) == 0
