"""Which actions the plugin's functions mean: in ours the same ones, oddities included."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from factories import NOW
from rows import change, column, log_of, set_status
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue

SOON = NOW + timedelta(hours=1)


@pytest.fixture
def on_mariadb(dsn: str) -> bool:
    return dsn.startswith("mysql")


def add(queue: Queue, hook: str, args: Any = (), group: str = "", **more: Any) -> int:
    """A single action, in an hour unless told otherwise; its id."""
    found = queue.schedule_single(more.pop("at", SOON), hook, args, group=group, **more)
    assert found is not None
    return found


def statuses(queue: Queue) -> dict[int, str]:
    return {record.id: record.status for record in queue.find(limit=0)}


def canceled(queue: Queue) -> set[int]:
    return {i for i, status in statuses(queue).items() if status == "canceled"}


# Args and groups


def test_args_are_any_or_exactly_these(queue: Queue) -> None:
    add(queue, "h", [5])
    same: list[Any] = [None, [5], (5,), {0: 5}, [5.0]]
    for found in same:
        assert queue.has_scheduled("h", found), found
        assert queue.next_scheduled("h", found) == SOON, found
    others: list[Any] = [["5"], [5, 5], [], {}, {"a": 5}, [None]]
    for other in others:
        assert not queue.has_scheduled("h", other), other
        assert queue.next_scheduled("h", other) is None, other


def test_empty_args_are_args(queue: Queue) -> None:
    add(queue, "h")
    same: list[Any] = [None, [], (), {}]
    for found in same:
        assert queue.has_scheduled("h", found), found
    others: list[Any] = [[None], [5], [[]], {"a": []}]
    for other in others:
        assert not queue.has_scheduled("h", other), other


def test_long_args_are_found_by_their_md5(queue: Queue) -> None:
    long = {"text": "x" * 300}
    add(queue, "h", long)
    assert queue.has_scheduled("h", long)
    assert not queue.has_scheduled("h", {"text": "x" * 301})
    assert queue.unschedule("h", long) == 1


def test_no_group_is_any_group(queue: Queue) -> None:
    add(queue, "h", group="g")
    assert queue.has_scheduled("h")
    assert queue.has_scheduled("h", group="g")
    add(queue, "other", group="never")
    assert not queue.has_scheduled("h", group="never")


def test_an_unknown_group_matches_nothing(queue: Queue) -> None:
    add(queue, "h")
    assert not queue.has_scheduled("h", group="unknown")
    assert queue.next_scheduled("h", group="unknown") is None
    assert queue.unschedule("h", group="unknown") is None
    assert queue.unschedule_all("h", group="unknown") == 0
    assert queue.unschedule_all(group="unknown") == 0
    assert canceled(queue) == set()


def test_all_rows_of_a_group_s_name_count(queue: Queue) -> None:
    for _ in range(2):
        change(queue.store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES ('twice')")
    action_id = add(queue, "h", group="twice")
    change(queue.store, "UPDATE wp_actionscheduler_actions SET group_id = 2")
    assert queue.has_scheduled("h", group="twice")
    assert queue.unschedule("h", group="twice") == action_id


def test_the_database_compares(queue: Queue, on_mariadb: bool) -> None:
    for hook, arg, group, expected in (
        ("HOOK", "aé", "grp", True),
        ("hóok", "aé", "grp", on_mariadb),
        ("hook ", "aé", "grp", on_mariadb),
        ("hook", "Aé", "grp", True),
        ("hook", "aÉ", "grp", False),
        ("hook", "aé", "GRP", True),
        ("hook", "aé", "gŕp", on_mariadb),
        ("hook_", "aé", "grp", False),
        ("%", "aé", "grp", False),
    ):
        added = add(queue, "hook", ["aé"], "grp")
        assert queue.has_scheduled(hook, [arg], group) is expected, (hook, arg, group)
        assert queue.unschedule(hook, [arg], group) == (added if expected else None)
        queue.unschedule_all("hook")


# has_scheduled


def test_what_is_scheduled_is_pending_or_running(queue: Queue) -> None:
    action_id = add(queue, "h")
    for status, expected in (
        ("pending", SOON),
        ("in-progress", True),
        ("complete", None),
        ("failed", None),
        ("canceled", None),
        ("strange", None),
    ):
        set_status(queue.store, action_id, status)
        assert queue.has_scheduled("h") is (expected is not None), status
        assert queue.next_scheduled("h") == expected, status


def test_a_hook_must_be_named(queue: Queue) -> None:
    for call in (queue.has_scheduled, queue.next_scheduled, queue.unschedule):
        with pytest.raises(InputError, match="hook: it is empty"):
            call("")
    with pytest.raises(InputError, match="name a hook, a group, or both"):
        queue.unschedule_all()


def test_args_that_cannot_be_are_refused(queue: Queue) -> None:
    add(queue, "h")
    wrong: list[Any] = ["[5]", 5, [float("nan")], ["x" * 8000]]
    calls: list[Any] = [
        queue.has_scheduled,
        queue.next_scheduled,
        queue.unschedule,
        queue.unschedule_all,
    ]
    for args in wrong:
        for call in calls:
            with pytest.raises(InputError, match=r"^args: "):
                call("h", args)
    assert canceled(queue) == set()


# next_scheduled


def test_the_earliest_pending_one_is_next(queue: Queue) -> None:
    add(queue, "h", at=SOON + timedelta(hours=1))
    add(queue, "h", at=SOON)
    add(queue, "h", at=SOON + timedelta(hours=2))
    add(queue, "other", at=NOW)
    assert queue.next_scheduled("h") == SOON
    assert queue.next_scheduled("nothing") is None


def test_what_runs_or_is_async_has_no_date(queue: Queue) -> None:
    set_status(queue.store, add(queue, "running", at=SOON + timedelta(days=1)), "in-progress")
    add(queue, "running", at=SOON)
    queue.enqueue_async("async")
    assert queue.next_scheduled("running") is True
    assert queue.next_scheduled("async") is True


def test_an_async_one_that_is_later_is_not_next(queue: Queue) -> None:
    queue.enqueue_async("h")
    add(queue, "h", at=NOW - timedelta(hours=1))
    assert queue.next_scheduled("h") == NOW - timedelta(hours=1)


def test_the_next_date_is_the_schedule_s_and_not_the_column_s(queue: Queue) -> None:
    add(queue, "h", at=SOON)
    add(queue, "h", at=SOON + timedelta(minutes=1))
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2026-11-25 00:00:00'"
        " WHERE action_id = 1",
    )
    assert queue.next_scheduled("h") == SOON + timedelta(minutes=1), "ordered by the column"
    queue.unschedule("h")
    assert queue.next_scheduled("h") == SOON, "told by the schedule"


def test_recurring_ones_have_dates(queue: Queue) -> None:
    queue.schedule_recurring(SOON, 60, "i")
    queue.schedule_cron(None, "0 3 * * *", "c")
    assert queue.next_scheduled("i") == SOON
    assert queue.next_scheduled("c") == datetime(2026, 11, 25, 3, tzinfo=UTC)


def test_a_schedule_without_a_readable_date(queue: Queue) -> None:
    add(queue, "h")
    midnight, foreign = "2026-11-25 00:00:00", 'O:10:"Acme_Sched":0:{}'
    far = 'O:30:"ActionScheduler_SimpleSchedule":1:{s:22:"\0*\0scheduled_timestamp";i:%d;}'
    for blob, date, expected in (
        ("no schedule", midnight, datetime(2026, 11, 25, tzinfo=UTC)),
        ("no schedule", "0000-00-00 00:00:00", True),
        (foreign, midnight, datetime(2026, 11, 25, tzinfo=UTC)),
        (foreign, "0000-00-00 00:00:00", True),
        (far % 2**53, midnight, datetime(2026, 11, 25, tzinfo=UTC)),
    ):
        change(
            queue.store,
            "UPDATE wp_actionscheduler_actions SET schedule = :b, scheduled_date_gmt = :d",
            b=blob,
            d=date,
        )
        assert queue.next_scheduled("h") == expected, (blob, date)


# unschedule


def test_unschedule_cancels_the_next_one_with_empty_args(queue: Queue) -> None:
    later, sooner = add(queue, "h", at=SOON + timedelta(hours=1)), add(queue, "h")
    with_args = add(queue, "h", [5], at=NOW)
    assert queue.unschedule("h") == sooner
    assert canceled(queue) == {sooner}
    assert queue.unschedule("h") == later
    assert queue.unschedule("h") is None
    assert queue.unschedule("h", [6]) is None
    assert queue.unschedule("h", [5]) == with_args
    assert log_of(queue.store, with_args) == ["action created", "action canceled"]


def test_unschedule_with_any_args(queue: Queue) -> None:
    add(queue, "h", at=SOON)
    with_args = add(queue, "h", [5], at=NOW)
    assert queue.unschedule("h", None) == with_args


def test_unschedule_touches_only_pending_ones(queue: Queue) -> None:
    others = ["in-progress", "complete", "failed", "canceled"]
    for status in others:
        set_status(queue.store, add(queue, "h"), status)
    assert queue.unschedule("h") is None
    assert queue.unschedule_all("h") == 0
    assert list(statuses(queue).values()) == others


def test_unscheduled_rows_are_dated_so_that_the_plugin_keeps_them(queue: Queue) -> None:
    action_id = add(queue, "h")
    queue.unschedule("h")
    assert str(column(queue.store, "last_attempt_gmt", action_id)) == "2026-11-24 12:00:00"
    assert str(column(queue.store, "scheduled_date_gmt", action_id)) == "2026-11-24 13:00:00"


@pytest.fixture
def five(queue: Queue) -> Queue:
    """Hook h: 1 plain, 2 with args, 3 in group g, 4 in g with args; 5 of another hook in g."""
    add(queue, "h")
    add(queue, "h", [5])
    add(queue, "h", group="g")
    add(queue, "h", [5], group="g")
    add(queue, "other", group="g")
    return queue


def test_unschedule_all(five: Queue) -> None:
    anything: list[tuple[str, Any, str, set[int]]] = [
        ("h", [], "", {1, 2, 3, 4}),
        ("h", None, "", {1, 2, 3, 4}),
        ("h", {}, "", {1, 2, 3, 4}),
        ("h", [5], "", {2, 4}),
        ("h", [6], "", set()),
        ("", [], "g", {3, 4, 5}),
        ("", None, "g", {3, 4, 5}),
        ("", [5], "g", {4}),
        ("h", [], "g", {3}),
        ("h", None, "g", {3, 4}),
        ("h", [5], "g", {4}),
        ("nothing", [], "", set()),
    ]
    for hook, args, group, meant in anything:
        assert five.unschedule_all(hook, args, group) == len(meant), (hook, args, group)
        assert canceled(five) == meant, (hook, args, group)
        change(five.store, "UPDATE wp_actionscheduler_actions SET status = 'pending'")


def test_unschedule_all_by_default_is_of_empty_args(five: Queue) -> None:
    assert five.unschedule_all("h", group="g") == 1
    assert canceled(five) == {3}
    assert five.unschedule_all("h") == 3
    assert canceled(five) == {1, 2, 3, 4}


def test_unschedule_all_goes_on_after_the_first_thousand(queue: Queue) -> None:
    queue.enqueue_many(Enqueue(hook="h", args=[n]) for n in range(1203))
    assert queue.unschedule_all("h") == 1203
    assert queue.count(statuses=("pending",)) == 0
