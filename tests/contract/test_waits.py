"""Actions that wait for others: never due before those have ended, and told when they have."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from clocks import FakeClock
from factories import NOW
from rows import change, column, log_of, query, set_status
from wpbridge.action import ActionId, OnFailed, Status
from wpbridge.codec import schedule
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Cancel
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.runner.in_hand import Totals
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.records import Query, Wait
from wpbridge.store.rows.waits import verdict
from wpbridge.store.running.runner_store import RunnerStore

RELEASED = "action released via wpbridge: what it waited for has ended"


def add(queue: Queue, hook: str = "h", *after: int, failed: OnFailed = "hold") -> ActionId:
    found = queue.enqueue_async(hook, after=after, after_failed=failed)
    assert found is not None
    return found


def is_waiting(queue: Queue, action_id: int) -> bool:
    return column(queue.store, "scheduled_date_gmt", action_id) is None


def waits(queue: Queue) -> set[tuple[object, ...]]:
    return {tuple(row) for row in query(queue.store, "SELECT * FROM wp_wpbridge_waits")}


def run(store: RunnerStore, clock: FakeClock, ran: list[str], *failing: str) -> Totals:
    """One run over hooks a to f, which write down that they ran."""

    def handler(name: str) -> Callable[[], None]:
        def handle() -> None:
            ran.append(name)
            if name in failing:
                raise RuntimeError("no")

        return handle

    handlers = {name: describe(name, handler(name)) for name in "abcdef"}
    executor = ThreadExecutor(handlers, concurrency=2, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset(handlers))
    return Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()


# How it waits


def test_a_waiting_action_has_no_date_and_is_not_claimed(queue: Queue) -> None:
    first = add(queue)
    second = queue.schedule_single("-1h", "h", after=[first]) or ActionId(0)
    for name in ("scheduled_date_gmt", "scheduled_date_local"):
        assert column(queue.store, name, second) is None
    assert column(queue.store, "status", second) == "pending"
    record = queue.get(second)
    assert not record.is_dated
    assert schedule.decode(record.schedule).timestamp == int(NOW.timestamp()) - 3600
    assert log_of(queue.store, second) == ["action created"]
    assert waits(queue) == {(second, first, "hold")}
    assert queue.waits_of([first, second]) == [
        Wait(action_id=second, after_id=first, on_failed="hold", status="pending")
    ]
    runner = RunnerStore(queue.store)
    runner.register(host="here", boot="boot", pid=1, pid_started="1")
    claim = runner.claim_due(now=NOW, limit=25, only=ClaimFilter())
    assert claim is not None
    assert [action.id for action in claim.actions] == [first]
    named = ClaimFilter(ids=frozenset({second}))
    claim = runner.claim_due(now=NOW, limit=25, only=named)
    assert claim is not None, "somebody named it"


def test_it_is_pending_for_uniqueness_and_lookups(queue: Queue) -> None:
    first = add(queue)
    add(queue, "w", first)
    assert queue.has_scheduled("w")
    assert queue.next_scheduled("w") is True
    assert queue.enqueue_async("w", unique=True) is None


def test_an_action_that_is_named_twice_is_waited_for_once(queue: Queue) -> None:
    first = add(queue)
    second = add(queue, "w", first, first)
    assert waits(queue) == {(second, first, "hold")}


def test_what_has_ended_already_is_no_hindrance(queue: Queue) -> None:
    first = add(queue)
    set_status(queue.store, first, "complete")
    second = add(queue, "w", first)
    assert RunnerStore(queue.store).catch_up(now=NOW) == 1
    assert not is_waiting(queue, second)


# Released


def test_it_is_released_when_another_program_completes_what_it_waits_for(
    queue: Queue, clock: FakeClock
) -> None:
    first, second = add(queue), add(queue)
    third = add(queue, "w", first, second)
    later = queue.schedule_single("+1d", "w", after=[first, second]) or ActionId(0)
    clock.at += timedelta(minutes=1)
    assert RunnerStore(queue.store).catch_up(now=clock.at) == 0
    set_status(queue.store, first, "complete")
    assert RunnerStore(queue.store).catch_up(now=clock.at) == 0
    assert is_waiting(queue, third)
    set_status(queue.store, second, "complete")
    assert RunnerStore(queue.store).catch_up(now=clock.at) == 2
    for name in ("scheduled_date_gmt", "scheduled_date_local"):
        assert str(column(queue.store, name, third)) == "2026-11-24 12:01:00"
        assert str(column(queue.store, name, later)) == "2026-11-25 12:00:00", "its own date"
    assert log_of(queue.store, third) == ["action created", RELEASED]
    assert waits(queue) == set()
    assert RunnerStore(queue.store).catch_up(now=clock.at) == 0


def test_a_chain_runs_through_in_one_run(queue: Queue, clock: FakeClock) -> None:
    a = add(queue, "a")
    b = add(queue, "b", a)
    c = queue.schedule_recurring(None, 60, "c", after=[b]) or ActionId(0)
    d = add(queue, "d", a, c)
    ran: list[str] = []
    # A run within the very second of its date is an early one, and is repeated.
    clock.at += timedelta(seconds=1)
    totals = run(RunnerStore(queue.store), clock, ran)
    assert ran == ["a", "b", "c", "d"]
    assert totals.complete == 4
    assert waits(queue) == set()
    assert log_of(queue.store, d) == [
        "action created",
        RELEASED,
        "action started via wpbridge",
        "action complete via wpbridge",
    ]
    (following,) = queue.find(statuses=("pending",))
    assert following.hook == "c"
    assert following.scheduled_at == NOW + timedelta(seconds=61), "its successor waits for nobody"


def test_many_wait_for_one_and_one_for_many(queue: Queue, clock: FakeClock) -> None:
    first = add(queue, "a")
    middle = queue.enqueue_many(Enqueue(hook="b", args=[n], after=[first]) for n in range(60))
    add(queue, "c", *[i for i in middle if i])
    ran: list[str] = []

    def handle(*_args: object) -> None:
        ran.append("b")

    handlers = {
        "a": describe("a", lambda: ran.append("a")),
        "b": describe("b", handle),
        "c": describe("c", lambda: ran.append("c")),
    }
    executor = ThreadExecutor(handlers, concurrency=4, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset(handlers))
    Runner(RunnerStore(queue.store), executor, clock, identity(), only=only, limits=Limits()).run()
    assert ran == ["a", *["b"] * 60, "c"]


def test_a_cron_that_waits_begins_at_its_match(queue: Queue) -> None:
    first = add(queue)
    cron = queue.schedule_cron(None, "0 9 * * *", "w", tz="Europe/Rome", after=[first])
    set_status(queue.store, first, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 1
    assert str(column(queue.store, "scheduled_date_gmt", cron or 0)) == "2026-11-25 08:00:00"
    assert queue.zones_of([cron or 0]) == {cron: "Europe/Rome"}


def test_what_is_gone_counts_as_canceled(queue: Queue) -> None:
    """The plugin purges what it canceled within minutes: nobody can tell any more."""
    first, second = add(queue), add(queue)
    holds = add(queue, "w", first, second)
    goes = add(queue, "w", first, second, failed="run")
    ends = add(queue, "w", first, second, failed="cancel")
    change(queue.store, "DELETE FROM wp_actionscheduler_actions WHERE action_id = 1")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0
    assert column(queue.store, "status", ends) == "canceled"
    assert log_of(queue.store, ends)[-1].endswith("action 1, which it waited for, is gone")
    set_status(queue.store, second, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 1
    assert not is_waiting(queue, goes)
    assert is_waiting(queue, holds)
    assert waits(queue) == {(holds, first, "hold")}


def test_what_is_complete_may_be_purged_before_the_rest_is(queue: Queue) -> None:
    first, second = add(queue), add(queue)
    third = add(queue, "w", first, second)
    set_status(queue.store, first, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0
    assert waits(queue) == {(third, second, "hold")}
    change(queue.store, "DELETE FROM wp_actionscheduler_actions WHERE action_id = 1")
    set_status(queue.store, second, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 1
    assert not is_waiting(queue, third)


# Failed and canceled


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_hold_run_or_cancel(queue: Queue, status: str) -> None:
    bad, good = add(queue), add(queue)
    hold = add(queue, "w", bad)
    goes = add(queue, "w", bad, failed="run")
    ends = add(queue, "w", bad, good, failed="cancel")
    both = add(queue, "w", bad, good, failed="run")
    set_status(queue.store, bad, status)
    assert RunnerStore(queue.store).catch_up(now=NOW) == 1
    assert is_waiting(queue, hold)
    assert not is_waiting(queue, goes)
    assert is_waiting(queue, both)
    assert column(queue.store, "status", ends) == "canceled"
    assert str(column(queue.store, "last_attempt_gmt", ends)) == "2026-11-24 12:00:00"
    assert log_of(queue.store, ends)[-1] == (
        f"action canceled via wpbridge: action {bad}, which it waited for, is {status}"
    )
    assert waits(queue) == {(hold, bad, "hold"), (both, good, "run")}
    set_status(queue.store, good, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 1
    assert not is_waiting(queue, both)
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0


def test_in_a_run_failures_are_passed_on(queue: Queue, clock: FakeClock) -> None:
    a = add(queue, "a")
    b = add(queue, "b", a, failed="cancel")
    c = add(queue, "c", b, failed="cancel")
    add(queue, "d", c, failed="run")
    e = add(queue, "e", a)
    ran: list[str] = []
    run(RunnerStore(queue.store), clock, ran, "a")
    assert ran == ["a", "d"]
    statuses = {record.id: record.status for record in queue.find()}
    assert (statuses[b], statuses[c], statuses[e]) == ("canceled", "canceled", "pending")
    assert is_waiting(queue, e)


def test_a_handler_that_cancels_counts_as_canceled(queue: Queue, clock: FakeClock) -> None:
    a = add(queue, "a")
    b = add(queue, "b", a, failed="cancel")

    def give_up() -> None:
        raise Cancel("no use")

    executor = ThreadExecutor({"a": describe("a", give_up)}, concurrency=1, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset({"a"}))
    Runner(RunnerStore(queue.store), executor, clock, identity(), only=only, limits=Limits()).run()
    assert log_of(queue.store, b)[-1] == (
        f"action canceled via wpbridge: action {a}, which it waited for, is canceled"
    )


def test_who_waits_for_a_failed_action_waits_for_its_copy(queue: Queue, clock: FakeClock) -> None:
    a = add(queue, "a")
    b = add(queue, "b", a)
    ran: list[str] = []
    run(RunnerStore(queue.store), clock, ran, "a")
    copy = queue.requeue([a]).made[a]
    assert waits(queue) == {(b, copy, "hold")}
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0
    run(RunnerStore(queue.store), clock, ran)
    assert ran == ["a", "a", "b"]


def test_requeue_by_a_process_that_never_saw_a_wait_hands_on_too(
    dsn: str, open_queue: Callable[[str], RunnerStore], clock: FakeClock
) -> None:
    store = open_queue(dsn)
    store.parts.own.drop()
    queue = Queue(store.parts, clock=clock, close_store=False)
    a = add(queue, "a")
    set_status(queue.store, a, "failed")
    other = Queue(open_queue(dsn).parts, clock=clock, close_store=False)
    b = add(other, "b", a)
    copy = queue.requeue([a]).made[a]
    assert waits(other) == {(b, copy, "hold")}
    assert [wait.after_id for wait in queue.waits_of([b])] == [copy]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "run"),
        ([(None, "hold")], "wait"),
        ([(None, "run")], "run"),
        ([(None, "cancel")], "cancel"),
        ([("complete", "hold"), ("complete", "hold")], "run"),
        ([("complete", "hold"), ("pending", "hold")], "wait"),
        ([("in-progress", "run")], "wait"),
        ([("strange", "run")], "wait"),
        ([("failed", "hold")], "wait"),
        ([("failed", "run"), ("canceled", "run")], "run"),
        ([("failed", "run"), ("pending", "run")], "wait"),
        ([("pending", "cancel"), ("failed", "cancel")], "cancel"),
        ([("complete", "cancel"), ("canceled", "cancel")], "cancel"),
        ([("pending", "cancel")], "wait"),
    ],
)
def test_the_verdict(states: list[tuple[str | None, str]], expected: str) -> None:
    told = [
        Wait(action_id=ActionId(9), after_id=ActionId(n), on_failed=on_failed, status=status)
        for n, (status, on_failed) in enumerate(states)
    ]
    assert verdict(told) == expected


# Changed while they wait


def test_a_canceled_or_deleted_one_waits_no_more(queue: Queue) -> None:
    first = add(queue)
    second, third = add(queue, "w", first), add(queue, "w", first)
    queue.cancel([second])
    queue.delete([third])
    assert waits(queue) == {(second, first, "hold")}
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0
    assert waits(queue) == set()
    assert column(queue.store, "status", second) == "canceled"


def test_a_rescheduled_one_goes_on_waiting(queue: Queue) -> None:
    first = add(queue)
    second, third = add(queue, "w", first), add(queue, "w", first)
    moved = queue.reschedule([second], at=NOW + timedelta(hours=2))
    assert moved.ids == (second,)
    assert is_waiting(queue, second)
    queue.reschedule([third], at=NOW - timedelta(hours=2), interval=60)
    assert is_waiting(queue, third)
    set_status(queue.store, first, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 2
    assert str(column(queue.store, "scheduled_date_gmt", second)) == "2026-11-24 14:00:00"
    assert str(column(queue.store, "scheduled_date_gmt", third)) == "2026-11-24 10:00:00"
    queue.reschedule([second], at=NOW)
    assert str(column(queue.store, "scheduled_date_gmt", second)) == "2026-11-24 12:00:00"


def test_one_released_just_then_is_not_undated_again(queue: Queue) -> None:
    first = add(queue)
    second = add(queue, "w", first)
    edits = queue.store.edits
    move = edits.move

    def late(moves: dict[ActionId, object], **more: object) -> list[ActionId]:
        set_status(queue.store, first, "complete")
        RunnerStore(queue.store).catch_up(now=NOW)
        return move(moves, **more)  # type: ignore[arg-type]

    edits.move = late  # type: ignore[method-assign,assignment]
    done = queue.reschedule([second], at=NOW + timedelta(hours=1))
    assert done.skipped == {second: "it changed meanwhile"}
    assert str(column(queue.store, "scheduled_date_gmt", second)) == "2026-11-24 12:00:00"


def test_one_that_was_put_back_after_a_start_by_name_waits_again(queue: Queue) -> None:
    first = add(queue)
    second = add(queue, "w", first)
    set_status(queue.store, second, "in-progress")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0
    set_status(queue.store, second, "pending")
    set_status(queue.store, first, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 1
    assert not is_waiting(queue, second)


def test_one_that_got_another_date_meanwhile_keeps_it(queue: Queue) -> None:
    """Started by name, it asked to be run again later."""
    first = add(queue)
    second = add(queue, "w", first)
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2026-11-24 15:00:00'"
        " WHERE action_id = :i",
        i=second,
    )
    set_status(queue.store, first, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0
    assert str(column(queue.store, "scheduled_date_gmt", second)) == "2026-11-24 15:00:00"
    assert log_of(queue.store, second) == ["action created"]
    assert waits(queue) == set()


# Many at once


def test_those_that_cannot_go_yet_do_not_hide_those_that_can(queue: Queue) -> None:
    done, open_, last = add(queue), add(queue), add(queue)
    set_status(queue.store, done, "complete")
    queue.enqueue_many(Enqueue(hook="w", after=[done, open_]) for _ in range(1005))
    free = add(queue, "w", last)
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0
    set_status(queue.store, last, "complete")
    assert RunnerStore(queue.store).catch_up(now=NOW) == 1
    assert not is_waiting(queue, free)
    set_status(queue.store, open_, "complete")
    released = [RunnerStore(queue.store).catch_up(now=NOW) for _ in range(3)]
    assert sum(released) == 1005
    assert released[-1] == 0


def test_two_that_end_the_last_waits_at_the_same_moment(
    dsn: str, open_queue: Callable[[str], RunnerStore], queue: Queue
) -> None:
    """Each settles its own and looks: between them, everything is released once."""
    firsts = queue.enqueue_many(Enqueue(hook="a") for _ in range(20))
    seconds = queue.enqueue_many(Enqueue(hook="b") for _ in range(20))
    pairs = [(a, b) for a, b in zip(firsts, seconds, strict=True) if a and b]
    waiting = [add(queue, "w", *pair) for pair in pairs]
    stores = [open_queue(dsn) for _ in range(2)]
    start = threading.Barrier(2)
    released: list[int] = []

    def work(store: RunnerStore, mine: list[ActionId]) -> None:
        for action_id in mine:
            start.wait()
            change(
                store,
                "UPDATE wp_actionscheduler_actions SET status = 'complete' WHERE action_id = :i",
                i=action_id,
            )
            released.append(store.catch_up(now=NOW))

    threads = [
        threading.Thread(target=work, args=(stores[side], [pair[side] for pair in pairs]))
        for side in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(released) == 40, "none of them failed"
    assert sum(released) == 20
    assert not any(is_waiting(queue, i) for i in waiting)
    assert {len(log_of(queue.store, i)) for i in waiting} == {2}
    assert waits(queue) == set()


def test_how_many_wait(queue: Queue) -> None:
    first, second = add(queue), add(queue)
    add(queue, "w", first, second)
    add(queue, "w", first)
    assert queue.store.session.run(queue.store.waits.count) == 2
    assert queue.cancel(Query(hooks=("w",))).ids
    assert RunnerStore(queue.store).catch_up(now=NOW) == 0
    assert queue.store.session.run(queue.store.waits.count) == 0
    assert queue.get(first).status == Status.PENDING


@pytest.mark.parametrize("seconds", [-(10**11), 253_402_300_800, 2**62, -(2**63)])
def test_a_schedule_without_a_date_in_our_calendar_is_due_at_once(
    queue: Queue, clock: FakeClock, seconds: int
) -> None:
    """It had ended every runner's loop, again and again."""
    first = add(queue)
    waiting = queue.schedule_single(clock.now() + timedelta(hours=1), "h", after=[first])
    assert waiting is not None
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET schedule = :s WHERE action_id = :i",
        s=schedule.encode(schedule.Single(timestamp=seconds)).decode(),
        i=waiting,
    )
    set_status(queue.store, first, "complete")
    assert RunnerStore(queue.store).catch_up(now=clock.now()) == 1
    assert not is_waiting(queue, waiting)
    assert log_of(queue.store, waiting)[-1] == RELEASED
