"""Cron in a named time zone: its chain keeps the zone, whoever runs it, until it ends."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clocks import FakeClock
from rows import change, column, log_of, query
from stores import AnyStore
from wpbridge.action import ActionId, NewAction
from wpbridge.clock import from_timestamp
from wpbridge.codec import schedule
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Retry
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

SUMMER = datetime(2026, 10, 23, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(SUMMER)


def run(store: RunnerStore, clock: FakeClock, handler: Callable[[], object] = lambda: None) -> None:
    """One run over all that is due of hook h."""
    executor = ThreadExecutor({"h": describe("h", handler)}, concurrency=1, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset({"h"}))
    Runner(store, executor, clock, identity(), only=only, limits=Limits(batches=1)).run()


def pending(queue: Queue) -> ActionId:
    (found,) = queue.find(statuses=("pending",))
    return found.id


def due(queue: Queue, action_id: int) -> datetime:
    """The row's date, which its schedule tells too."""
    record = queue.get(action_id)
    told = schedule.decode(record.schedule).timestamp
    assert record.scheduled_at is not None
    assert told == int(record.scheduled_at.timestamp())
    return record.scheduled_at


def zones(store: AnyStore) -> dict[int, str]:
    rows = query(store, "SELECT action_id, zone FROM wp_wpbridge_zones")
    return {int(str(row[0])): str(row[1]) for row in rows}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}+00:00" if text[:2] != "20" else f"{text}+00:00")


@pytest.mark.parametrize(
    "change_of",
    ["REPLACE(schedule, 'ActionScheduler', 'actionscheduler')", "REPLACE(schedule, 'O:', 'O:0')"],
)
def test_a_chain_in_another_form_that_php_reads_keeps_its_zone(
    queue: Queue, clock: FakeClock, change_of: str
) -> None:
    first = queue.schedule_cron(None, "0 9 * * *", "h", tz="Europe/Rome") or ActionId(0)
    change(queue.store, f"UPDATE wp_actionscheduler_actions SET schedule = {change_of}")
    clock.at = due(queue, first) + timedelta(minutes=3)
    run(RunnerStore(queue.store), clock)
    assert zones(queue.store) == {pending(queue): "Europe/Rome"}
    assert due(queue, pending(queue)) == utc("10-25T08:00")


@pytest.mark.parametrize(
    ("chain_in", "start", "expected"),
    [
        (
            ("0 9 * * *", "Europe/Rome"),
            "10-23T12:00",
            ["10-24T07:00", "10-25T08:00", "10-26T08:00"],
        ),
        (
            ("30 2 * * *", "Europe/Rome"),
            "10-23T12:00",
            ["10-24T00:30", "10-25T00:30", "10-26T01:30"],
        ),
        (
            ("0 9 * * *", "Europe/Rome"),
            "2027-03-26T12:00",
            ["2027-03-27T08:00", "2027-03-28T07:00", "2027-03-29T07:00"],
        ),
        (
            ("30 2 * * *", "Europe/Rome"),
            "2027-03-26T12:00",
            ["2027-03-27T01:30", "2027-03-28T01:00", "2027-03-29T00:30"],
        ),
        (
            ("0 9 * * *", "Australia/Sydney"),
            "10-02T12:00",
            ["10-02T23:00", "10-03T22:00", "10-04T22:00"],
        ),
        (
            ("0 9 * * *", "Australia/Sydney"),
            "2027-04-02T12:00",
            ["2027-04-02T22:00", "2027-04-03T23:00", "2027-04-04T23:00"],
        ),
    ],
)
def test_a_runner_keeps_to_the_wall_clock(
    queue: Queue, clock: FakeClock, chain_in: tuple[str, str], start: str, expected: list[str]
) -> None:
    expression, zone = chain_in
    clock.at = utc(start)
    first = queue.schedule_cron(None, expression, "h", [1], tz=zone, group="g", priority=7)
    assert first is not None
    found: list[datetime] = []
    for _ in expected:
        action_id = pending(queue)
        found.append(due(queue, action_id))
        assert zones(queue.store) == {action_id: zone}, "the ended ones are forgotten"
        clock.at = found[-1] + timedelta(minutes=3, seconds=7)
        run(RunnerStore(queue.store), clock)
    assert found == [utc(date) for date in expected]
    last = queue.get(pending(queue))
    told = schedule.decode(last.schedule)
    assert isinstance(told, schedule.Cron)
    assert told.first_timestamp == int(utc(start).timestamp())
    assert (last.args, last.group, last.priority) == (b"[1]", "g", 7)
    assert queue.count(statuses=("complete",)) == len(expected)


def test_a_run_that_fails_or_is_retried_keeps_the_zone(queue: Queue, clock: FakeClock) -> None:
    queue.schedule_cron(None, "0 9 * * *", "h", tz="Europe/Rome")
    clock.at = utc("10-24T07:00:30")

    def later() -> None:
        raise Retry(after=60)

    def broken() -> None:
        raise RuntimeError("no")

    first = pending(queue)
    run(RunnerStore(queue.store), clock, later)
    assert zones(queue.store) == {first: "Europe/Rome"}
    clock.at += timedelta(seconds=61)
    run(RunnerStore(queue.store), clock, broken)
    second = pending(queue)
    assert second != first
    assert due(queue, second) == utc("10-25T08:00")
    assert zones(queue.store) == {second: "Europe/Rome"}


def test_a_chain_that_always_fails_ends_and_may_be_requeued(queue: Queue, clock: FakeClock) -> None:
    def broken() -> None:
        raise RuntimeError("no")

    queue.schedule_cron(None, "0 9 * * *", "h", tz="Europe/Rome")
    for _ in range(5):
        clock.at = due(queue, pending(queue)) + timedelta(seconds=1)
        run(RunnerStore(queue.store), clock, broken)
    assert queue.count(statuses=("pending",)) == 0
    last = ActionId(next(iter(zones(queue.store))))
    new = queue.requeue([last]).made[last]
    assert zones(queue.store)[new] == "Europe/Rome"


def test_a_zone_that_this_host_does_not_know_ends_the_chain_with_a_word(
    queue: Queue, clock: FakeClock
) -> None:
    queue.schedule_cron(None, "0 9 * * *", "h", tz="Europe/Rome")
    change(queue.store, "UPDATE wp_wpbridge_zones SET zone = 'Mars/Olympus'")
    action_id = pending(queue)
    clock.at = utc("10-24T07:00:30")
    run(RunnerStore(queue.store), clock)
    assert log_of(queue.store, action_id)[-1].startswith(
        "There was a failure scheduling the next instance of this action: there is no time zone"
    )
    assert column(queue.store, "status", action_id) == "complete"
    assert queue.count(statuses=("pending",)) == 0


# What PHP goes on with


def end_in_php(
    store: AnyStore,
    action_id: int,
    at: datetime,
    *,
    status: str = "complete",
    dated: bool = True,
) -> None:
    """The plugin's runner ends it."""
    last = f"{at:%Y-%m-%d %H:%M:%S}" if dated else "0000-00-00 00:00:00"
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = :s, attempts = 1, claim_id = 5,"
        " last_attempt_gmt = :l, last_attempt_local = :l WHERE action_id = :i",
        s=status,
        l=last,
        i=action_id,
    )


def insert_in_php(queue: Queue, old: int, at: datetime, **changed: object) -> ActionId:
    """Its successor, dated in UTC as the plugin's runner dates it."""
    record = queue.get(old)
    told = schedule.decode(record.schedule)
    following = schedule.next_after_run(told, ran_at=at)
    assert isinstance(following, schedule.Cron)
    assert following.timestamp is not None
    if "first_timestamp" in changed:
        following = replace(following, first_timestamp=changed.pop("first_timestamp"))  # type: ignore[arg-type]
    new = NewAction(
        hook=record.hook,
        args=record.args.decode(),
        schedule=schedule.encode(following),
        scheduled_at=from_timestamp(following.timestamp or 0),
        group=record.group,
        group_id=record.group_id,
        priority=record.priority,
    )
    (made,) = RunnerStore(queue.store).insert([replace(new, **changed)], now=at)  # type: ignore[arg-type]
    return made


RAN = utc("10-24T07:02")


@pytest.fixture
def chain(queue: Queue, clock: FakeClock) -> ActionId:
    """A chain at 9 in Rome, its first action just due."""
    found = queue.schedule_cron(None, "0 9 * * *", "h", ["x" * 300], tz="Europe/Rome", group="g")
    assert found is not None
    clock.at = RAN
    return found


@pytest.mark.parametrize("status", ["complete", "failed"])
def test_a_successor_of_php_s_is_put_right(
    queue: Queue, clock: FakeClock, chain: ActionId, status: str
) -> None:
    end_in_php(queue.store, chain, RAN, status=status)
    new = insert_in_php(queue, chain, RAN)
    assert due(queue, new) == utc("10-24T09:00"), "PHP reads it in UTC"
    assert RunnerStore(queue.store).catch_up(now=RAN + timedelta(seconds=5)) == 1
    assert due(queue, new) == utc("10-25T08:00")
    assert str(column(queue.store, "scheduled_date_local", new)) == "2026-10-25 08:00:00"
    assert zones(queue.store) == {new: "Europe/Rome"}
    told = schedule.decode(queue.get(new).schedule)
    assert isinstance(told, schedule.Cron)
    assert told.first_timestamp == int(SUMMER.timestamp())
    assert RunnerStore(queue.store).catch_up(now=RAN + timedelta(seconds=6)) == 0
    clock.at = utc("10-25T08:00:01")
    run(RunnerStore(queue.store), clock)
    assert due(queue, pending(queue)) == utc("10-26T08:00")


def test_a_successor_with_the_right_date_is_only_told_its_zone(queue: Queue) -> None:
    first = queue.schedule_cron(None, "0 9 * * *", "h", tz="UTC") or ActionId(0)
    ran = due(queue, first) + timedelta(minutes=1)
    end_in_php(queue.store, first, ran)
    new = insert_in_php(queue, first, ran)
    before = queue.get(new)
    assert RunnerStore(queue.store).catch_up(now=ran) == 0
    assert queue.get(new) == before
    assert zones(queue.store) == {new: "UTC"}


def test_a_run_of_ours_puts_it_right_before_it_claims(
    queue: Queue, clock: FakeClock, chain: ActionId
) -> None:
    end_in_php(queue.store, chain, RAN)
    new = insert_in_php(queue, chain, RAN)
    clock.at = utc("10-24T09:00:10")
    run(RunnerStore(queue.store), clock)
    assert column(queue.store, "status", new) == "pending", "it is not 9 in Rome"
    assert due(queue, new) == utc("10-25T08:00")


def test_a_successor_may_still_come_for_a_day(queue: Queue, chain: ActionId) -> None:
    end_in_php(queue.store, chain, RAN)
    for hours in (0, 1, 23):
        assert RunnerStore(queue.store).catch_up(now=RAN + timedelta(hours=hours)) == 0
        assert zones(queue.store) == {chain: "Europe/Rome"}
    new = insert_in_php(queue, chain, RAN)
    assert RunnerStore(queue.store).catch_up(now=RAN + timedelta(hours=23)) == 1
    assert zones(queue.store) == {new: "Europe/Rome"}


def test_without_a_successor_for_a_day_it_has_ended(queue: Queue, chain: ActionId) -> None:
    end_in_php(queue.store, chain, RAN)
    assert RunnerStore(queue.store).catch_up(now=RAN + timedelta(days=1)) == 0
    assert zones(queue.store) == {}
    assert not queue.store.session.run(queue.store.zones.has_ended)


def test_a_deleted_one_is_forgotten_at_once(queue: Queue, chain: ActionId) -> None:
    change(queue.store, "DELETE FROM wp_actionscheduler_actions")
    assert RunnerStore(queue.store).catch_up(now=RAN) == 0
    assert zones(queue.store) == {}


@pytest.mark.parametrize("dated", [True, False])
def test_one_that_php_canceled_keeps_its_zone_and_has_no_successor(
    queue: Queue, chain: ActionId, *, dated: bool
) -> None:
    # The plugin's own cancel does not date it.
    end_in_php(queue.store, chain, RAN, status="canceled", dated=dated)
    assert RunnerStore(queue.store).catch_up(now=RAN) == 0
    assert zones(queue.store) == {chain: "Europe/Rome"}


def test_a_claimed_successor_is_waited_for(queue: Queue, chain: ActionId) -> None:
    end_in_php(queue.store, chain, RAN)
    new = insert_in_php(queue, chain, RAN)
    change(queue.store, "UPDATE wp_actionscheduler_actions SET claim_id = 9 WHERE action_id > 1")
    before = queue.get(new)
    assert RunnerStore(queue.store).catch_up(now=RAN) == 0
    assert queue.get(new) == before
    change(queue.store, "UPDATE wp_actionscheduler_actions SET claim_id = 0 WHERE action_id > 1")
    assert RunnerStore(queue.store).catch_up(now=RAN) == 1


def test_another_chain_is_not_taken_for_the_successor(queue: Queue, chain: ActionId) -> None:
    end_in_php(queue.store, chain, RAN)
    different: Sequence[dict[str, object]] = [
        {"hook": "other"},
        {"args": "[2]"},
        {"group_id": 77},
        {"first_timestamp": int(SUMMER.timestamp()) + 60},
        {"schedule": schedule.encode(schedule.cron_schedule(SUMMER, "0 10 * * *"))},
        {"schedule": schedule.encode(schedule.interval(SUMMER, 86400))},
        {"schedule": b"no schedule"},
    ]
    others = [insert_in_php(queue, chain, RAN, **dict(changed)) for changed in different]
    before = [queue.get(i) for i in others]
    assert RunnerStore(queue.store).catch_up(now=RAN) == 0
    assert [queue.get(i) for i in others] == before
    assert zones(queue.store) == {chain: "Europe/Rome"}
    new = insert_in_php(queue, chain, RAN)
    assert RunnerStore(queue.store).catch_up(now=RAN) == 1
    assert zones(queue.store) == {new: "Europe/Rome"}


def test_a_canceled_chain_goes_on_in_its_zone_when_it_is_requeued(
    queue: Queue, chain: ActionId
) -> None:
    queue.cancel([chain])
    assert zones(queue.store) == {chain: "Europe/Rome"}
    assert not queue.store.session.run(queue.store.zones.has_ended)
    assert RunnerStore(queue.store).catch_up(now=RAN + timedelta(days=9)) == 0
    new = queue.requeue([chain]).made[chain]
    assert zones(queue.store)[new] == "Europe/Rome"


def test_delete_forgets(queue: Queue, chain: ActionId) -> None:
    queue.delete([chain])
    assert zones(queue.store) == {}


def test_runners_that_look_at_the_same_time_move_each_once(
    dsn: str, open_queue: Callable[[str], RunnerStore], queue: Queue
) -> None:
    ids = queue.enqueue_many(
        Enqueue(hook="h", args=[n], cron="0 9 * * *", tz="Europe/Rome") for n in range(30)
    )
    new: list[ActionId] = []
    for old in ids:
        assert old is not None
        end_in_php(queue.store, old, RAN)
        new.append(insert_in_php(queue, old, RAN))
    stores = [open_queue(dsn) for _ in range(3)]
    start = threading.Barrier(len(stores))
    moved: list[int] = []

    def look(store: RunnerStore) -> None:
        start.wait()
        moved.append(store.catch_up(now=RAN))

    threads = [threading.Thread(target=look, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moved) == len(stores), "none of them failed"
    assert sum(moved) == len(ids)
    assert zones(queue.store) == dict.fromkeys(new, "Europe/Rome")
    assert {due(queue, i) for i in new} == {utc("10-25T08:00")}


def test_a_site_that_never_had_a_zone_is_asked_nothing(
    dsn: str, open_queue: Callable[[str], RunnerStore], clock: FakeClock
) -> None:
    store = open_queue(dsn)
    store.parts.own.drop()
    queue = Queue(store.parts, clock=clock, close_store=False)
    first = queue.schedule_cron(None, "0 9 * * *", "h") or ActionId(0)
    assert store.catch_up(now=RAN) == 0
    assert queue.zones_of([first]) == {}
    assert queue.cancel([first]).ids == (first,)
    zoned = queue.schedule_cron(None, "0 9 * * *", "h", tz="Europe/Rome") or ActionId(0)
    assert queue.zones_of([zoned]) == {zoned: "Europe/Rome"}
