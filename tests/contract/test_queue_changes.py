"""Changes by hand: cancel, delete, requeue, reschedule; what they leave alone, and what they say."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clocks import FakeClock
from factories import NOW
from rows import change, column, log_of, query, set_status
from stores import AnyStore, again, registered
from wpbridge.action import ActionId
from wpbridge.clock import from_timestamp
from wpbridge.codec import schedule
from wpbridge.errors import ActionNotFound, InputError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.base import ClaimFilter
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

SOON = NOW + timedelta(hours=1)


def add(queue: Queue, hook: str = "h", args: Any = (), **more: Any) -> ActionId:
    found = queue.schedule_single(more.pop("at", SOON), hook, args, **more)
    assert found is not None
    return found


def failed(queue: Queue, hook: str = "h", args: Any = (), **more: Any) -> ActionId:
    """One that has failed."""
    found = queue.enqueue(Enqueue(hook=hook, args=args, **more))
    assert found is not None
    set_status(queue.store, found, "failed")
    return found


def claim(queue: Queue, *hooks: str) -> None:
    """A runner takes all that is due of the hooks."""
    found = registered(queue.store).claim_due(
        now=NOW, limit=100, only=ClaimFilter(hooks=frozenset(hooks))
    )
    assert found is not None


def contents(store: AnyStore) -> list[Sequence[Sequence[object]]]:
    """Every row of every table, but runners' beats."""
    return [
        query(store, f"SELECT * FROM wp_{table} ORDER BY 1, 2")
        for table in (
            "actionscheduler_actions",
            "actionscheduler_logs",
            "actionscheduler_groups",
            "actionscheduler_claims",
            "wpbridge_keys",
            "wpbridge_waits",
            "wpbridge_zones",
            "wpbridge_pauses",
        )
    ]


@pytest.fixture
def one_of_each(queue: Queue) -> dict[str, ActionId]:
    """An action of each state there is, of hook h."""
    ids = {"claimed": queue.enqueue_async("h") or ActionId(0)}
    claim(queue, "h")
    ids["pending"] = add(queue)
    for status in ("in-progress", "complete", "failed", "canceled"):
        ids[status] = add(queue)
        set_status(queue.store, ids[status], status)
    return ids


def told(ids: dict[str, ActionId], reasons: dict[str, str]) -> dict[ActionId, str]:
    return {ids[state]: reason for state, reason in reasons.items()}


# Cancel


def test_cancel_by_ids(queue: Queue, one_of_each: dict[str, ActionId]) -> None:
    done = queue.cancel(one_of_each.values())
    assert done.ids == (one_of_each["claimed"], one_of_each["pending"])
    assert done.skipped == told(
        one_of_each,
        {
            "in-progress": "it is in-progress",
            "complete": "it is complete",
            "failed": "it is failed",
            "canceled": "it is canceled",
        },
    )
    assert done.made == {}
    pending = one_of_each["pending"]
    assert column(queue.store, "status", pending) == "canceled"
    assert column(queue.store, "attempts", pending) == 0
    for name in ("last_attempt_gmt", "last_attempt_local"):
        assert str(column(queue.store, name, pending)) == "2026-11-24 12:00:00"
    assert log_of(queue.store, pending) == ["action created", "action canceled"]


def test_cancel_by_query_means_pending_ones(queue: Queue, one_of_each: dict[str, ActionId]) -> None:
    add(queue, "other")
    done = queue.cancel(Query(hooks=("h",)), reason="not needed")
    assert done.ids == (one_of_each["claimed"], one_of_each["pending"])
    assert done.skipped == {}
    assert log_of(queue.store, one_of_each["pending"])[-1] == (
        "action canceled via wpbridge: not needed"
    )
    assert queue.count(statuses=("pending",)) == 1


def test_cancel_by_a_query_with_statuses_tells_of_the_others(
    queue: Queue, one_of_each: dict[str, ActionId]
) -> None:
    done = queue.cancel(Query(statuses=("failed", "pending")))
    assert done.ids == (one_of_each["claimed"], one_of_each["pending"])
    assert done.skipped == {one_of_each["failed"]: "it is failed"}


def test_a_query_s_limit_and_order_do_not_count_for_changes(queue: Queue) -> None:
    queue.enqueue_many(Enqueue(hook="h") for _ in range(1203))
    done = queue.cancel(Query(hooks=("h",), limit=5, offset=3, order="hook", descending=True))
    assert done.ids == tuple(range(1, 1204))


def test_unknown_ids_are_refused_before_anything_is_done(queue: Queue) -> None:
    known = add(queue)
    before = contents(queue.store)
    calls: list[Callable[[list[int]], object]] = [
        queue.cancel,
        queue.delete,
        queue.requeue,
        lambda ids: queue.reschedule(ids, at="+1d"),
    ]
    for call in calls:
        for wrong in ([known, 998, 999], [2**70], [-1]):
            with pytest.raises(ActionNotFound, match=r"^there is no action "):
                call(wrong)
    assert contents(queue.store) == before


def test_an_id_named_twice_is_one(queue: Queue) -> None:
    action_id = add(queue)
    assert queue.cancel([action_id, action_id]).ids == (action_id,)
    assert log_of(queue.store, action_id) == ["action created", "action canceled"]
    assert queue.cancel([]).ids == ()


def test_a_dry_run_changes_nothing(queue: Queue, one_of_each: dict[str, ActionId]) -> None:
    recurring = queue.schedule_recurring(None, 60, "r") or 0
    set_status(queue.store, recurring, "failed")
    zoned = queue.schedule_cron(None, "@daily", "z", tz="Europe/Rome", key="k") or 0
    queue.enqueue_async("w", after=[zoned])
    before = contents(queue.store)
    everything = Query(statuses=("pending", "in-progress", "complete", "failed", "canceled"))
    tries: list[Callable[..., Any]] = [
        queue.cancel,
        queue.delete,
        queue.requeue,
        lambda which, dry_run: queue.reschedule(which, at="+1d", dry_run=dry_run),
    ]
    for attempt in tries:
        tried = attempt(everything, dry_run=True)
        assert tried.ids
        assert contents(queue.store) == before
        by_ids = attempt([*tried.ids, *tried.skipped], dry_run=True)
        assert (set(by_ids.ids), by_ids.skipped) == (set(tried.ids), tried.skipped)
        assert contents(queue.store) == before
        assert tried.made == {}


def test_what_changed_meanwhile_is_told_of(queue: Queue) -> None:
    ids = [add(queue) for _ in range(3)]
    edits = queue.store.edits
    cancel = edits.cancel

    def late(those: Sequence[ActionId], **more: Any) -> list[ActionId]:
        set_status(queue.store, ids[1], "in-progress")
        return cancel(those, **more)

    edits.cancel = late  # type: ignore[method-assign,assignment]
    done = queue.cancel(ids)
    assert done.ids == (ids[0], ids[2])
    assert done.skipped == {ids[1]: "it changed meanwhile"}
    assert log_of(queue.store, ids[1]) == ["action created"]


def test_only_free_ones_can_be_asked_for(queue: Queue, one_of_each: dict[str, ActionId]) -> None:
    cancel = queue.store.edits.cancel
    everything = list(one_of_each.values())
    assert cancel(everything, now=NOW, only_free=True) == [one_of_each["pending"]]
    assert cancel(everything, now=NOW) == [one_of_each["claimed"]]


# Delete


def test_delete_takes_logs_and_leaves_what_a_runner_holds(
    queue: Queue, one_of_each: dict[str, ActionId]
) -> None:
    done = queue.delete(one_of_each.values())
    assert set(done.ids) == {
        one_of_each[state] for state in ("pending", "complete", "failed", "canceled")
    }
    assert done.skipped == told(
        one_of_each,
        {
            "claimed": "a runner has claimed it",
            "in-progress": "it is in-progress",
        },
    )
    left = query(queue.store, "SELECT DISTINCT action_id FROM wp_actionscheduler_logs ORDER BY 1")
    assert [row[0] for row in left] == sorted(done.skipped)
    assert [record.id for record in queue.find(order="id")] == sorted(done.skipped)


def test_delete_by_query(queue: Queue) -> None:
    ids = [failed(queue), failed(queue, group="g"), add(queue)]
    assert queue.delete(Query(statuses=("failed",), groups=("g",))).ids == (ids[1],)
    assert queue.delete(Query(hooks=("h",))).ids == (ids[0], ids[2])
    assert queue.count() == 0


def test_delete_forgets_what_our_tables_hold(queue: Queue) -> None:
    first = add(queue, key="k")
    second = queue.enqueue(
        Enqueue(hook="z", cron="@daily", tz="Europe/Rome", after=[first])
    ) or ActionId(0)
    queue.delete([first, second])
    assert contents(queue.store)[4:] == [[], [], [], []]


# Requeue


def test_requeue_makes_a_copy_and_links_the_two(queue: Queue, clock: FakeClock) -> None:
    old = failed(queue, "h", {"a": ["x" * 300]}, group="g", priority=3, at="-1h")
    row = queue.get(old)
    clock.at += timedelta(minutes=5)
    done = queue.requeue([old])
    assert done.ids == (old,)
    new = done.made[old]
    assert queue.get(old) == row, "the old one stays"
    copy = queue.get(new)
    assert (copy.hook, copy.args, copy.group, copy.group_id) == ("h", row.args, "g", row.group_id)
    assert (copy.status, copy.priority, copy.attempts, copy.claim_id) == ("pending", 3, 0, 0)
    assert schedule.decode(copy.schedule) == schedule.Async()
    assert copy.scheduled_at == clock.at
    assert column(queue.store, "args", new) == column(queue.store, "args", old)
    assert log_of(queue.store, old)[1:] == [f"action requeued via wpbridge as action {new}"]
    assert log_of(queue.store, new) == [
        "action created",
        f"action requeued via wpbridge from action {old}",
    ]


def test_requeue_for_a_date(queue: Queue) -> None:
    old = failed(queue)
    copy = queue.get(queue.requeue([old], at="+2h").made[old])
    assert copy.scheduled_at == NOW + timedelta(hours=2)
    assert schedule.decode(copy.schedule) == schedule.Single(timestamp=int(NOW.timestamp()) + 7200)


def test_requeue_leaves_what_is_live(queue: Queue, one_of_each: dict[str, ActionId]) -> None:
    done = queue.requeue(one_of_each.values())
    assert done.ids == (one_of_each["complete"], one_of_each["failed"], one_of_each["canceled"])
    assert done.skipped == told(
        one_of_each,
        {
            "claimed": "it is pending",
            "pending": "it is pending",
            "in-progress": "it is in-progress",
        },
    )


def test_requeue_by_query_means_failed_ones(queue: Queue, one_of_each: dict[str, ActionId]) -> None:
    assert queue.requeue(Query(hooks=("h",))).ids == (one_of_each["failed"],)
    assert queue.requeue(Query(statuses=("canceled",))).ids == (one_of_each["canceled"],)


def test_requeue_does_it_once_unless_told(queue: Queue) -> None:
    old = failed(queue)
    first = queue.requeue([old]).made[old]
    done = queue.requeue(Query(hooks=("h",)))
    assert done.ids == ()
    assert done.skipped == {old: f"it was requeued before, as action {first}"}
    second = queue.requeue([old], again=True).made[old]
    assert second > first
    assert queue.requeue([old]).skipped == {old: f"it was requeued before, as action {second}"}
    set_status(queue.store, second, "failed")
    third = queue.requeue(Query()).made
    assert set(third) == {second}, "the copy is another action"


def test_more_than_a_page_is_requeued(queue: Queue) -> None:
    queue.enqueue_many(Enqueue(hook="h", args=[n]) for n in range(1005))
    change(queue.store, "UPDATE wp_actionscheduler_actions SET status = 'failed'")
    done = queue.requeue(Query())
    assert (len(done.ids), len(done.made)) == (1005, 1005)
    assert queue.count(statuses=("pending",)) == 1005
    old, new = done.ids[700], done.made[done.ids[700]]
    assert queue.get(old).args == queue.get(new).args


def recurring(queue: Queue, hook: str = "r", **more: Any) -> ActionId:
    found = queue.schedule_recurring(NOW - timedelta(hours=1), 600, hook, **more)
    assert found is not None
    return found


def test_an_ended_chain_goes_on(queue: Queue) -> None:
    old = recurring(queue)
    set_status(queue.store, old, "failed")
    copy = queue.get(queue.requeue([old]).made[old])
    begun = int(NOW.timestamp()) - 3600
    assert schedule.decode(copy.schedule) == schedule.Interval(
        timestamp=int(NOW.timestamp()), first_timestamp=begun, recurrence=600
    )
    assert copy.scheduled_at == NOW
    night = queue.schedule_cron(None, "0 3 * * *", "c") or ActionId(0)
    set_status(queue.store, night, "canceled")
    copy = queue.get(queue.requeue([night], at="+1h").made[night])
    assert schedule.decode(copy.schedule) == schedule.Cron(
        timestamp=int(SOON.timestamp()), first_timestamp=begun + 3600, expression="0 3 * * *"
    )
    assert copy.scheduled_at == SOON


@pytest.mark.parametrize("status", ["pending", "in-progress"])
def test_of_a_chain_that_lives_only_the_run_is_repeated(queue: Queue, status: str) -> None:
    old, living = recurring(queue), recurring(queue)
    set_status(queue.store, old, "failed")
    set_status(queue.store, living, status)
    copy = queue.get(queue.requeue([old]).made[old])
    assert schedule.decode(copy.schedule) == schedule.Async()
    other = recurring(queue, group="other")
    set_status(queue.store, other, "failed")
    copy = queue.get(queue.requeue([other]).made[other])
    assert isinstance(schedule.decode(copy.schedule), schedule.Interval), "another chain"


def test_of_many_runs_of_an_ended_chain_one_revives_it(queue: Queue) -> None:
    ids = [recurring(queue) for _ in range(5)] + [recurring(queue, "R"), recurring(queue, "q")]
    change(queue.store, "UPDATE wp_actionscheduler_actions SET status = 'failed'")
    made = queue.requeue(Query()).made
    assert set(made) == set(ids)
    alive = [
        old
        for old, new in made.items()
        if isinstance(schedule.decode(queue.get(new).schedule), schedule.Interval)
    ]
    assert sorted(alive) == ids[-2:], "the newest of each"
    assert queue.count(statuses=("pending",)) == 7


def test_what_cannot_be_read_can_be_requeued(queue: Queue) -> None:
    old = failed(queue)
    change(queue.store, "UPDATE wp_actionscheduler_actions SET schedule = 'x', args = 'no json'")
    copy = queue.get(queue.requeue([old]).made[old])
    assert (copy.args, copy.schedule) == (b"no json", b'O:28:"ActionScheduler_NullSchedule":0:{}')


# Reschedule


def dates(queue: Queue, action_id: int) -> list[str]:
    return [
        str(column(queue.store, f"scheduled_date_{kind}", action_id)) for kind in ("gmt", "local")
    ]


def test_reschedule_moves_columns_and_schedule_together(queue: Queue) -> None:
    action_id = add(queue)
    assert queue.reschedule([action_id], at="2026-12-01T09:30").ids == (action_id,)
    at = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
    assert dates(queue, action_id) == ["2026-12-01 09:30:00"] * 2
    assert schedule.decode(queue.get(action_id).schedule).timestamp == int(at.timestamp())
    assert log_of(queue.store, action_id)[1:] == [
        "action rescheduled via wpbridge to 2026-12-01 09:30:00 UTC"
    ]
    assert str(column(queue.store, "last_attempt_gmt", action_id)) == "0000-00-00 00:00:00"


def test_rescheduled_local_dates_are_the_site_s(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    change(store, "CREATE TABLE wp_options (option_name varchar(191), option_value text)")
    change(store, "INSERT INTO wp_options VALUES ('timezone_string', 'Europe/Berlin')")
    store = again(store)
    queue = Queue(store.parts, clock=FakeClock())
    action_id = add(queue)
    queue.reschedule([action_id], at="2026-07-01T09:30")
    assert dates(queue, action_id) == ["2026-07-01 09:30:00", "2026-07-01 11:30:00"]


def test_an_async_action_becomes_a_single_one(queue: Queue) -> None:
    action_id = queue.enqueue_async("h") or ActionId(0)
    queue.reschedule([action_id], at=SOON)
    assert schedule.decode(queue.get(action_id).schedule) == schedule.Single(
        timestamp=int(SOON.timestamp())
    )
    assert dates(queue, action_id) == ["2026-11-24 13:00:00"] * 2


def test_a_date_alone_keeps_the_recurrence(queue: Queue) -> None:
    every, night = recurring(queue), queue.schedule_cron(None, "0 3 * * *", "c") or ActionId(0)
    first = int(NOW.timestamp()) - 3600
    queue.reschedule([every, night], at=SOON)
    assert schedule.decode(queue.get(every).schedule) == schedule.Interval(
        timestamp=int(SOON.timestamp()), first_timestamp=first, recurrence=600
    )
    assert schedule.decode(queue.get(night).schedule) == schedule.Cron(
        timestamp=int(SOON.timestamp()), first_timestamp=first + 3600, expression="0 3 * * *"
    )
    assert dates(queue, every) == dates(queue, night) == ["2026-11-24 13:00:00"] * 2


def test_a_new_recurrence_begins_at_its_date(queue: Queue) -> None:
    one, two, three = add(queue), recurring(queue), recurring(queue)
    queue.reschedule([one], at=SOON, interval="1d")
    assert schedule.decode(queue.get(one).schedule) == schedule.Interval(
        timestamp=int(SOON.timestamp()), first_timestamp=int(SOON.timestamp()), recurrence=86400
    )
    queue.reschedule([two], cron="0 3 * * *")
    assert dates(queue, two) == ["2026-11-25 03:00:00"] * 2
    assert isinstance(schedule.decode(queue.get(two).schedule), schedule.Cron)
    queue.reschedule([three], at=SOON, interval=0)
    assert isinstance(schedule.decode(queue.get(three).schedule), schedule.Single)


def test_zones_follow_what_is_rescheduled(queue: Queue) -> None:
    zoned = queue.schedule_cron(None, "0 9 * * *", "z", tz="Europe/Rome") or ActionId(0)
    utc = queue.schedule_cron(None, "0 9 * * *", "u") or ActionId(0)
    assert dates(queue, zoned)[0] == "2026-11-25 08:00:00"
    queue.reschedule([zoned, utc], at=SOON)
    assert queue.zones_of([zoned, utc]) == {zoned: "Europe/Rome"}
    queue.reschedule([utc], cron="0 10 * * *", tz="Australia/Sydney")
    assert dates(queue, utc)[0] == "2026-11-24 23:00:00"
    assert queue.zones_of([zoned, utc]) == {zoned: "Europe/Rome", utc: "Australia/Sydney"}
    stored = query(queue.store, "SELECT hook, args, expression FROM wp_wpbridge_zones ORDER BY 1")
    assert list(stored) == [("u", "[]", "0 10 * * *"), ("z", "[]", "0 9 * * *")]
    queue.reschedule([zoned], at=SOON, interval=60)
    queue.reschedule([utc], cron="0 10 * * *")
    assert queue.zones_of([zoned, utc]) == {}


def test_reschedule_leaves_what_is_not_free(queue: Queue, one_of_each: dict[str, ActionId]) -> None:
    before = contents(queue.store)
    others = {state: i for state, i in one_of_each.items() if state != "pending"}
    done = queue.reschedule(others.values(), at=SOON)
    assert done.ids == ()
    assert done.skipped == told(
        one_of_each,
        {
            "claimed": "a runner has claimed it",
            "in-progress": "it is in-progress",
            "complete": "it is complete",
            "failed": "it is failed",
            "canceled": "it is canceled",
        },
    )
    assert contents(queue.store) == before
    by_query = queue.reschedule(Query(hooks=("h",)), at=SOON)
    assert by_query.ids == (one_of_each["pending"],)
    assert by_query.skipped == {one_of_each["claimed"]: "a runner has claimed it"}


def test_what_is_no_new_date_is_refused(queue: Queue) -> None:
    action_id = add(queue)
    before = contents(queue.store)
    wrong: list[dict[str, Any]] = [
        {},
        {"tz": "Europe/Rome"},
        {"at": "+1h", "tz": "Europe/Rome"},
        {"at": "whenever"},
        {"interval": -5},
        {"cron": "x"},
        {"cron": "@daily", "tz": "Mars"},
        {"cron": "@daily", "interval": 5},
    ]
    for given in wrong:
        with pytest.raises(InputError):
            queue.reschedule([action_id], **given)
    assert contents(queue.store) == before


def test_rows_that_none_of_us_would_write_can_be_moved(queue: Queue) -> None:
    action_id = add(queue)
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET hook = '', args = 'x', schedule = 'y',"
        " scheduled_date_gmt = NULL, scheduled_date_local = NULL",
    )
    assert queue.reschedule([action_id], at=SOON).ids == (action_id,)
    assert queue.get(action_id).scheduled_at == SOON
    assert column(queue.store, "args", action_id) == "x"


def test_a_row_claimed_just_then_is_left(queue: Queue) -> None:
    action_id = queue.enqueue_async("h") or ActionId(0)
    edits = queue.store.edits
    move = edits.move

    def late(moves: Any, **more: Any) -> list[ActionId]:
        claim(queue, "h")
        return move(moves, **more)

    edits.move = late  # type: ignore[method-assign]
    done = queue.reschedule([action_id], at=SOON)
    assert (done.ids, done.skipped) == ((), {action_id: "it changed meanwhile"})
    assert dates(queue, action_id) == ["2026-11-24 12:00:00"] * 2
    assert len(log_of(queue.store, action_id)) == 1


# Claims


def test_stale_claims_are_lifted_from_waiting_rows_only(queue: Queue, clock: FakeClock) -> None:
    ids = [queue.enqueue_async("h") or ActionId(0) for _ in range(3)]
    claim(queue, "h")
    (held,) = queue.store.reading.claims()
    set_status(queue.store, ids[0], "in-progress")
    stale = queue.store.stale_claims
    later = NOW + timedelta(seconds=300)
    assert stale.free(held.id, before=NOW - timedelta(seconds=1), now=later) == []
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET last_attempt_gmt = NULL WHERE action_id = :i",
        i=ids[2],
    )
    assert stale.free(held.id, before=NOW, now=later) == ids[1:]
    assert [column(queue.store, "claim_id", i) for i in ids] == [held.id, 0, 0]
    assert log_of(queue.store, ids[1]) == ["action created", "action reset"]
    assert len(log_of(queue.store, ids[0])) == 1
    assert len(queue.store.reading.claims()) == 1, "one of it runs"
    set_status(queue.store, ids[0], "complete")
    assert stale.free(held.id, before=NOW, now=later) == []
    assert query(queue.store, "SELECT * FROM wp_actionscheduler_claims") == []


def test_a_moment_far_away_is_stored(queue: Queue) -> None:
    action_id = add(queue)
    queue.reschedule([action_id], at="9999-12-31T23:59:59")
    assert dates(queue, action_id) == ["9999-12-31 23:59:59"] * 2
    assert schedule.decode(queue.get(action_id).schedule).timestamp == 253_402_300_799
    assert queue.next_scheduled("h") == from_timestamp(253_402_300_799)
