"""Unique and keyed actions: which earlier action each is refused for, and when it no longer is."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from clocks import FakeClock
from factories import NOW
from rows import change, column, log_of, query, set_status
from stores import AnyStore
from wpbridge.action import ActionId, Status
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.opened import OpenStore, open_tables
from wpbridge.store.queueing.adding import DAILY_HOOK, SINCE_4_HOOK, UniqueBy
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.tables import Connected
from wpbridge.store.upkeep.retention import Expiry


def by(store: RunnerStore, unique_by: UniqueBy) -> Queue:
    return Queue(store.parts, unique_by=unique_by, clock=FakeClock(), close_store=False)


def add_unique_key(store: OpenStore) -> OpenStore:
    """As schema 9 has it; returns the store of the tables as they are then."""
    kind = "varchar(191)" if store.dialect.name == "mysql" else "text"
    change(store, f"ALTER TABLE wp_actionscheduler_actions ADD COLUMN unique_key {kind} NULL")
    change(store, "CREATE UNIQUE INDEX unique_key ON wp_actionscheduler_actions (unique_key)")
    way = Connected(session=store.session, names=store.names, dialect=store.dialect)
    return open_tables(way)


def rows(store: AnyStore) -> list[int]:
    """How many actions, logs and keys there are."""
    return [
        len(query(store, f"SELECT 1 FROM wp_{table}"))
        for table in ("actionscheduler_actions", "actionscheduler_logs", "wpbridge_keys")
    ]


# What is the same


def test_by_group_neither_args_nor_date_nor_kind_tell_apart(store: RunnerStore) -> None:
    queue = by(store, "group")
    first = queue.schedule_recurring("+1d", 60, "h", [1], group="g", unique=True)
    before = rows(store)
    assert queue.enqueue_async("h", [2], group="g", unique=True, priority=0) is None
    assert queue.schedule_single("+2d", "h", group="G", unique=True) is None
    assert queue.refusal(Enqueue(hook="H", group="g", unique=True)) == first
    assert rows(store) == before
    assert queue.refusal(Enqueue(hook="h", group="other", unique=True)) is None
    assert queue.refusal(Enqueue(hook="other", group="g", unique=True)) is None
    assert queue.refusal(Enqueue(hook="h", group="g")) is None
    assert queue.enqueue_async("h", [1], group="other", unique=True) is not None
    assert queue.enqueue_async("h", [1], unique=True) is not None, "no group is another group"
    assert queue.enqueue_async("other", [1], group="g", unique=True) is not None
    assert queue.enqueue_async("h", [1], group="g") is not None, "not unique: never looked at"


def test_by_args_the_args_tell_apart(store: RunnerStore) -> None:
    queue = by(store, "args")
    first = queue.enqueue_async("h", ["A"], group="g", unique=True)
    before = rows(store)
    assert queue.schedule_single("+1d", "h", ["A"], group="g", unique=True) is None
    assert queue.enqueue_async("h", ["a"], group="g", unique=True) is None, "in the collation"
    assert queue.refusal(Enqueue(hook="h", args=["a"], group="g", unique=True)) == first
    assert rows(store) == before
    assert queue.refusal(Enqueue(hook="h", args=["B"], group="g", unique=True)) is None
    assert queue.enqueue_async("h", ["B"], group="g", unique=True) is not None
    assert queue.enqueue_async("h", group="g", unique=True) is not None
    assert queue.enqueue_async("h", ["A"], unique=True) is not None
    long = ["x" * 300]
    assert queue.enqueue_async("h", long, group="g", unique=True) is not None
    assert queue.enqueue_async("h", long, group="g", unique=True) is None
    assert queue.enqueue_async("h", ["x" * 301], group="g", unique=True) is not None


@pytest.mark.parametrize("unique_by", ["group", "args"])
def test_only_pending_and_running_ones_are_in_the_way(
    store: RunnerStore, unique_by: UniqueBy
) -> None:
    queue = by(store, unique_by)
    for status, is_in_the_way in (
        ("pending", True),
        ("in-progress", True),
        ("complete", False),
        ("failed", False),
        ("canceled", False),
        ("strange", False),
    ):
        change(store, "UPDATE wp_actionscheduler_actions SET status = 'complete'")
        first = queue.enqueue_async("h") or 0
        set_status(store, first, status)
        assert (queue.enqueue_async("h", unique=True) is None) is is_in_the_way, status
        assert queue.enqueue_async("h", unique=True) is None, "now there is one"


def test_uniqueness_is_judged_by_the_first_row_of_a_group_s_name(queue: Queue) -> None:
    store = queue.store
    for _ in range(2):
        change(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES ('twice')")
    first = queue.enqueue_async("h", group="twice") or 0
    set_status(store, first, "pending")
    change(store, "UPDATE wp_actionscheduler_actions SET group_id = 2")
    assert queue.enqueue_async("h", group="twice", unique=True) is not None
    assert queue.enqueue_async("h", group="twice", unique=True) is None


# Which it is


def is_by_args(queue: Queue) -> bool:
    """Two with the same hook and other args: are both taken?"""
    queue.enqueue_async("probe", [1], unique=True)
    return queue.enqueue_async("probe", [2], unique=True) is not None


def test_auto_is_by_group_as_long_as_nothing_tells_of_4_0(queue: Queue) -> None:
    assert not is_by_args(queue)


def test_auto_is_by_args_where_the_plugin_keeps_house_as_from_4_0(queue: Queue) -> None:
    action_id = queue.schedule_recurring("+1d", 86400, SINCE_4_HOOK, group="ActionScheduler") or 0
    set_status(queue.store, action_id, "complete")
    assert is_by_args(queue)


def test_auto_goes_by_the_hour_of_the_plugin_s_daily_action(queue: Queue) -> None:
    action_id = queue.schedule_recurring("+1m", 86400, DAILY_HOOK) or 0
    assert not is_by_args(queue), "3.9.3 dates it to now"
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete',"
        " scheduled_date_local = '2026-11-25 03:00:00' WHERE action_id = :i",
        i=action_id,
    )
    change(queue.store, "DELETE FROM wp_actionscheduler_actions WHERE hook = 'probe'")
    assert is_by_args(queue), "4.0 to 3 at night"


def test_auto_is_by_args_where_there_are_unique_keys(queue: Queue) -> None:
    assert is_by_args(Queue(add_unique_key(queue.store), clock=FakeClock()))


def test_what_was_asked_for_goes_first(store: RunnerStore) -> None:
    store = RunnerStore(add_unique_key(store.parts))
    assert not is_by_args(by(store, "group"))
    change(store, "DELETE FROM wp_actionscheduler_actions")
    assert is_by_args(by(store, "args"))


def test_the_plugin_s_unique_key_is_left_to_the_plugin(queue: Queue) -> None:
    store = add_unique_key(queue.store)
    queue = Queue(store, clock=FakeClock())
    made = [
        queue.enqueue_async("h", unique=True),
        queue.enqueue_async("h", [1], unique=True),
        queue.schedule_cron(None, "@daily", "h", [2], unique=True),
    ]
    ids = [action_id for action_id in made if action_id is not None]
    assert len(ids) == 3
    assert [column(store, "unique_key", i) for i in ids] == [None] * 3
    change(store, "UPDATE wp_actionscheduler_actions SET unique_key = 'v1:1' WHERE action_id = 1")
    change(store, "UPDATE wp_actionscheduler_actions SET unique_key = 'v1:2' WHERE action_id = 2")
    queue.cancel([1])
    assert queue.unschedule("h", [1]) == 2
    assert [column(store, "unique_key", i) for i in ids] == [None] * 3
    again = queue.requeue([1]).made[ids[0]]
    assert column(store, "unique_key", again) is None


def test_keys_that_others_left_on_ended_actions_are_dropped(queue: Queue) -> None:
    store = add_unique_key(queue.store)
    queue = Queue(store, clock=FakeClock())
    ids = [queue.enqueue_async("h") or ActionId(0) for _ in range(5)]
    states = ("pending", "in-progress", "complete", "failed", "canceled")
    for action_id, status in zip(ids, states, strict=True):
        set_status(store, action_id, status)
    change(store, "UPDATE wp_actionscheduler_actions SET unique_key = action_id")
    assert store.edits.drop_unique_keys(ids[:4]) == 2
    kept = [str(column(store, "unique_key", i)) for i in ids]
    assert kept == ["1", "2", "None", "None", "5"]


# Keys


def test_a_key_makes_one_action(queue: Queue) -> None:
    first = queue.enqueue_async("h", [1], key="order-17")
    before = rows(queue.store)
    assert queue.enqueue_async("h", [1], key="order-17") == first
    assert queue.schedule_single("+1d", "other", [2], group="g", key="order-17") == first
    assert queue.refusal(Enqueue(hook="x", key="order-17")) == first
    assert rows(queue.store) == before
    assert queue.refusal(Enqueue(hook="h", key="order-18")) is None
    assert queue.enqueue_async("h", [1], key="order-18") != first
    assert queue.enqueue_async("h", [1], key="ORDER-17") != first, "compared exactly"


@pytest.mark.parametrize("status", ["complete", "failed", "canceled", "in-progress"])
def test_a_key_holds_whatever_became_of_its_action(queue: Queue, status: str) -> None:
    first = queue.enqueue_async("h", key="k") or 0
    set_status(queue.store, first, status)
    assert queue.enqueue_async("h", key="k") == first
    assert queue.enqueue_async("h", key="k", unique=True) == first
    assert len(log_of(queue.store, first)) == 1


def test_a_key_is_free_again_when_its_action_was_refused(queue: Queue) -> None:
    there = queue.enqueue_async("h") or 0
    assert queue.enqueue_async("h", unique=True, key="k") is None
    assert rows(queue.store)[2] == 0
    assert queue.refusal(Enqueue(hook="h", unique=True, key="k")) == there
    set_status(queue.store, there, "complete")
    second = queue.enqueue_async("h", unique=True, key="k")
    assert second is not None
    assert queue.enqueue_async("h", unique=True, key="k") == second


def test_a_key_goes_with_its_action(queue: Queue) -> None:
    first = queue.enqueue_async("h", key="k") or 0
    other = queue.enqueue_async("h", key="other") or 0
    assert queue.delete([first]).ids == (first,)
    assert rows(queue.store)[2] == 1
    second = queue.enqueue_async("h", key="k") or 0
    assert second > other
    assert queue.enqueue_async("h", key="other") == other


def test_a_key_goes_when_its_action_is_pruned(queue: Queue) -> None:
    first = queue.enqueue_async("h", key="k") or ActionId(0)
    queue.cancel([first])
    expiry = Expiry(status=Status.CANCELED, before=NOW)
    assert queue.store.retention.delete([first], expiry) == 1
    assert rows(queue.store) == [0, 0, 0]


def test_a_key_may_be_long_and_odd(queue: Queue) -> None:
    keys = ["k" * 1000, "k" * 999 + "l", "\N{PILE OF POO}'\"%s\\", " k", "k"]
    ids = [queue.enqueue_async("h", key=key) for key in keys]
    assert len(set(ids)) == len(keys)
    assert [queue.enqueue_async("h", key=key) for key in keys] == ids


def test_a_key_taken_by_another_process_after_a_look_is_seen(
    dsn: str,
    open_queue: Callable[[str], RunnerStore],
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch that has read before it meets a key that has been taken since."""
    queue.enqueue_async("h", key="old")
    other = Queue(open_queue(dsn).parts, clock=FakeClock(), close_store=False)
    keys = queue.store.keys
    before = keys.take
    made: list[int | None] = []
    is_mariadb = dsn.startswith("mysql")

    def meet(connection: Connection, wanted: Sequence[str], now: datetime) -> dict[str, ActionId]:
        if not made and is_mariadb:
            # From here on the transaction reads what was committed before now.
            connection.execute(text("SELECT COUNT(*) FROM wp_wpbridge_keys")).scalar()
            made.append(other.enqueue_async("h", key="new"))
        return before(connection, wanted, now)

    monkeypatch.setattr(keys, "take", meet)
    if not is_mariadb:
        # One writer at a time: the other one can only have been first.
        made.append(other.enqueue_async("h", key="new"))
    _, found = queue.enqueue_many([Enqueue(hook="h", key="old"), Enqueue(hook="h", key="new")])
    assert made == [found]
    assert found


def test_a_table_of_keys_made_by_another_process_is_found(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    store.parts.own.drop()
    queue = Queue(store.parts, clock=FakeClock())
    other = Queue(open_queue(dsn).parts, clock=FakeClock())
    first = other.enqueue_async("h", key="k") or 0
    assert queue.refusal(Enqueue(hook="h", key="k")) == first
    assert queue.enqueue_async("h", key="k") == first
