"""Lists, counts and reports: each criterion means what it says, and rows of any kind are told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clocks import FakeClock
from factories import NOW
from rows import change, query
from wpbridge.action import ActionId, ClaimId, Status
from wpbridge.clock import to_text
from wpbridge.errors import ActionNotFound, InputError
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import LogLine
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter, QueuedHook
from wpbridge.store.reading.reading import Reading
from wpbridge.store.records import ClaimRecord, Query, Tally
from wpbridge.store.running.runner_store import RunnerStore

HOUR = timedelta(hours=1)


@pytest.fixture
def reading(store: RunnerStore) -> Reading:
    return store.parts.reading


def add(queue: Queue, hook: str = "h", args: Any = (), **more: Any) -> ActionId:
    found = queue.schedule_single(more.pop("at", NOW), hook, args, **more)
    assert found is not None
    return found


def update(queue: Queue, action_id: int, **columns: object) -> None:
    """Change a row as another program would."""
    sets = ", ".join(f"{name} = :{name}" for name in columns)
    change(
        queue.store,
        f"UPDATE wp_actionscheduler_actions SET {sets} WHERE action_id = :i",
        i=action_id,
        **columns,
    )


def ids(queue: Queue, *args: Any, **criteria: Any) -> list[int]:
    return [record.id for record in queue.find(*args, **criteria)]


# One record


def test_a_record_holds_the_row(queue: Queue) -> None:
    action_id = add(queue, "h", {"a": 1}, group="g", priority=3, at=NOW + HOUR)
    update(queue, action_id, attempts=2, claim_id=7, last_attempt_gmt="2026-11-24 11:00:00")
    record = queue.get(action_id)
    assert (record.id, record.hook, record.status) == (action_id, "h", "pending")
    assert (record.args, record.group, record.group_id) == (b'{"a":1}', "g", 1)
    assert record.schedule.startswith(b'O:30:"ActionScheduler_SimpleSchedule":2:{s:22:"\0*\0')
    assert (record.priority, record.attempts, record.claim_id) == (3, 2, 7)
    assert (record.scheduled_at, record.is_dated) == (NOW + HOUR, True)
    assert record.last_attempt_at == NOW - HOUR
    assert record.is_live


def test_rows_that_others_left_are_shown_as_they_are(queue: Queue) -> None:
    action_id = add(queue)
    update(
        queue,
        action_id,
        status="strange",
        args=None,
        schedule=None,
        group_id=99,
        scheduled_date_gmt="0000-00-00 00:00:00",
        last_attempt_gmt=None,
    )
    record = queue.get(action_id)
    assert (record.status, record.args, record.schedule) == ("strange", b"", b"")
    assert (record.group, record.group_id) == ("", 99)
    assert (record.scheduled_at, record.is_dated, record.last_attempt_at) == (None, True, None)
    assert not record.is_live
    update(queue, action_id, scheduled_date_gmt=None, args="md5", extended_args="0")
    record = queue.get(action_id)
    assert (record.scheduled_at, record.is_dated, record.args) == (None, False, b"md5")


def test_what_is_not_there(queue: Queue) -> None:
    for wrong in (1, 0, -1, 2**63, 2**70):
        with pytest.raises(ActionNotFound, match=f"there is no action {wrong}"):
            queue.get(wrong)
        with pytest.raises(ActionNotFound):
            queue.logs(wrong)
    assert queue.find() == []
    assert queue.count() == 0


# Criteria


@pytest.fixture
def six(queue: Queue) -> Queue:
    """1 to 6, one of each of many kinds."""
    add(queue, "alpha", [1], at=NOW - HOUR)
    add(queue, "Beta", {"order": 17, "x": "50%_!"}, group="mail", at=NOW)
    add(queue, "gamma", ["z" * 300], group="mail", at=NOW + HOUR)
    add(queue, "alpha_2", group="Other", at=NOW + 2 * HOUR)
    queue.enqueue_async("waiting", after=[1])
    add(queue, "zero")
    update(queue, 1, status="complete", last_attempt_gmt="2026-11-24 11:30:00", claim_id=4)
    update(queue, 2, status="in-progress", last_attempt_gmt="2026-11-24 12:30:00", claim_id=5)
    update(queue, 3, status="failed", last_attempt_gmt="2026-11-24 13:30:00")
    update(queue, 4, status="canceled", last_attempt_gmt=None)
    update(queue, 6, scheduled_date_gmt="0000-00-00 00:00:00")
    return queue


def test_each_criterion(six: Queue, dsn: str) -> None:
    cases: list[tuple[dict[str, Any], set[int]]] = [
        ({}, {1, 2, 3, 4, 5, 6}),
        ({"ids": (3, 1, 99)}, {1, 3}),
        ({"ids": [2]}, {2}),
        ({"ids": (2**70,)}, set()),
        ({"hooks": ("alpha", "BETA")}, {1, 2}),
        ({"hooks": ("alph",)}, set()),
        ({"groups": ("mail",)}, {2, 3}),
        ({"groups": ("MAIL", "other")}, {2, 3, 4}),
        ({"groups": ("",)}, {1, 5, 6}),
        ({"groups": ("", "other")}, {1, 4, 5, 6}),
        ({"groups": ("unknown",)}, set()),
        ({"groups": ("unknown", "mail")}, {2, 3}),
        ({"statuses": ("pending",)}, {5, 6}),
        ({"statuses": (Status.COMPLETE, "failed")}, {1, 3}),
        ({"statuses": ("strange",)}, set()),
        ({"args": "[1]"}, {1}),
        ({"args": "[]"}, {4, 5, 6}),
        ({"args": f'["{"z" * 300}"]'}, {3}),
        ({"args": '["' + "z" * 8000 + '"]'}, set()),
        ({"partial_args": ('"order":17',)}, {2}),
        ({"partial_args": ('"order":17', '"x":')}, {2}),
        ({"partial_args": ('"order":17', '"y":')}, set()),
        ({"partial_args": ("50%_!",)}, {2}),
        ({"partial_args": ("%",)}, {2}),
        ({"partial_args": ("_",)}, {2}),
        ({"partial_args": ("!",)}, {2}),
        ({"since": NOW}, {2, 3, 4}),
        ({"since": NOW + timedelta(seconds=1)}, {3, 4}),
        ({"until": NOW}, {1, 2, 6}),
        ({"since": NOW - HOUR, "until": NOW + HOUR}, {1, 2, 3}),
        ({"modified_since": NOW + HOUR / 2}, {2, 3}),
        ({"modified_until": NOW}, {1, 5, 6}),
        ({"claimed": True}, {1, 2}),
        ({"claimed": False}, {3, 4, 5, 6}),
        ({"claim": ClaimId(4)}, {1}),
        ({"claim": ClaimId(5)}, {2}),
        ({"claim": ClaimId(99)}, set()),
        ({"search": "alpha"}, {1, 4}),
        ({"search": "PHA_"}, {4}),
        ({"search": "zzzz"}, {3}),
        ({"search": "order"}, {2}),
        ({"search": "\\"}, set()),
        ({"after_id": ActionId(4)}, {5, 6}),
        ({"groups": ("mail",), "statuses": ("failed",), "search": "z"}, {3}),
        ({"groups": ("mail",), "statuses": ("complete",)}, set()),
    ]
    for criteria, expected in cases:
        found = ids(six, **criteria, limit=0)
        assert sorted(found) == sorted(expected), criteria
        assert six.count(**criteria) == len(expected), criteria


def test_dates_of_any_zone_are_understood(six: Queue) -> None:
    rome = ZoneInfo("Europe/Rome")
    assert ids(six, since=(NOW + HOUR).astimezone(rome)) == [3, 4]
    assert ids(six, until=(NOW - HOUR).astimezone(rome)) == [6, 1]


def test_what_is_no_criterion_is_refused(queue: Queue) -> None:
    wrong: list[dict[str, Any]] = [
        {"hook": "h"},
        {"hooks": "h"},
        {"groups": "g"},
        {"statuses": "pending"},
        {"partial_args": "x"},
        {"order": "size"},
        {"order": "a.hook; DROP TABLE x"},
        {"limit": -1},
        {"offset": -1},
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is what is refused
        {"until": "-7d"},
        {"modified_since": 5},
    ]
    for criteria in wrong:
        with pytest.raises(InputError):
            queue.find(**criteria)
        with pytest.raises(InputError):
            queue.count(**criteria)


# Order and pages


def test_orders(six: Queue) -> None:
    orders: list[tuple[Any, list[int]]] = [
        ("id", [1, 2, 3, 4, 5, 6]),
        ("date", [5, 6, 1, 2, 3, 4]),
        ("modified", [4, 5, 6, 1, 2, 3]),
        ("hook", [1, 4, 2, 3, 5, 6]),
        ("group", [1, 5, 6, 2, 3, 4]),
    ]
    for order, expected in orders:
        assert ids(six, order=order) == expected, order
        assert ids(six, order=order, descending=True) == expected[::-1], order
    assert sorted(ids(six, order="none")) == [1, 2, 3, 4, 5, 6]


def test_ids_break_ties(queue: Queue) -> None:
    queue.enqueue_many(Enqueue(hook="h") for _ in range(30))
    for order in ("date", "modified", "hook", "group"):
        assert ids(queue, order=order, limit=0) == list(range(1, 31)), order
        assert ids(queue, order=order, limit=0, descending=True) == list(range(30, 0, -1)), order


def test_limit_and_offset(queue: Queue) -> None:
    queue.enqueue_many(Enqueue(hook="h") for _ in range(25))
    assert ids(queue) == list(range(1, 21)), "20 unless told otherwise"
    assert ids(queue, limit=3) == [1, 2, 3]
    assert ids(queue, limit=3, offset=23) == [24, 25]
    assert ids(queue, limit=0, offset=20) == [21, 22, 23, 24, 25]
    assert ids(queue, limit=5, offset=99) == []
    assert ids(queue, Query(limit=2), offset=1) == [2, 3]
    assert queue.count(limit=3, offset=5) == 25


def test_pages_above_an_id_go_by_id_or_are_refused(six: Queue) -> None:
    """By date, the next page left out what has a later date and a lower id."""
    ids = sorted(record.id for record in six.find())
    assert [r.id for r in six.find(after_id=ids[1], order="id", limit=2)] == ids[2:4]
    for order in ({}, {"order": "date"}, {"order": "none"}, {"order": "id", "descending": True}):
        with pytest.raises(InputError, match="after_id: pages go by id"):
            six.find(after_id=ids[1], **order)
    assert sorted(r.id for r in six.find(after_id=ids[1], limit=0)) == ids[2:]
    assert six.count(after_id=ids[1]) == len(ids) - 2


def test_pages_give_everything_once_whatever_happens_meanwhile(
    queue: Queue, reading: Reading
) -> None:
    queue.enqueue_many(Enqueue(hook="h" if n % 3 else "other") for n in range(20))
    pages = reading.pages(Query(hooks=("h",), limit=2, offset=5, order="hook"), 4)
    found: list[int] = []
    for page in pages:
        assert len(page) <= 4
        found += [record.id for record in page]
        queue.delete([page[0].id])
        queue.enqueue_async("other")
    assert found == [n + 1 for n in range(20) if n % 3]
    assert list(reading.pages(Query(hooks=("never",)))) == []
    some = tuple(ActionId(i) for i in (1, 4, 7, 10))
    full = list(reading.pages(Query(hooks=("other",), ids=some), 4))
    assert [[record.id for record in page] for page in full] == [list(some)]


def test_a_query_knows_whether_it_means_less_than_everything() -> None:
    assert not Query().is_narrowed
    assert not Query(limit=5, order="hook", offset=3, descending=True).is_narrowed
    narrow: list[dict[str, Any]] = [
        {"ids": (1,)},
        {"hooks": ("h",)},
        {"groups": ("",)},
        {"statuses": ("failed",)},
        {"args": "[]"},
        {"partial_args": ("x",)},
        {"since": NOW},
        {"until": NOW},
        {"modified_since": NOW},
        {"modified_until": NOW},
        {"claimed": False},
        {"claim": ClaimId(0)},
        {"search": "x"},
    ]
    for criteria in narrow:
        assert Query(**criteria).is_narrowed, criteria


# Logs and failures


def test_logs_are_told_in_the_order_they_were_written(queue: Queue, reading: Reading) -> None:
    first, second = add(queue), add(queue)
    early = LogLine(message="earlier date, later row \N{PILE OF POO}", at=NOW - HOUR)
    RunnerStore(queue.store).log([(second, early), (first, early)])
    assert [(entry.message, entry.at) for entry in queue.logs(first)] == [
        ("action created", NOW),
        ("earlier date, later row \N{PILE OF POO}", NOW - HOUR),
    ]
    both = reading.logs([second, first])
    assert [entry.action_id for entry in both] == [first, second, second, first]
    change(queue.store, "DELETE FROM wp_actionscheduler_actions")
    assert len(queue.logs(first)) == 2, "of an action that is gone, too"
    change(queue.store, "DELETE FROM wp_actionscheduler_logs")
    with pytest.raises(ActionNotFound):
        queue.logs(first)


def test_failures_say_why(queue: Queue, clock: FakeClock) -> None:
    def broken(number: int = 0) -> None:
        raise RuntimeError(f"no {number}")

    def run() -> None:
        executor = ThreadExecutor(
            {"bad": describe("bad", broken), "rec": describe("rec", broken)},
            concurrency=1,
            clock=clock,
            site="s",
        )
        only = ClaimFilter(hooks=frozenset({"bad", "rec"}))
        limits = Limits(batches=1)
        Runner(
            RunnerStore(queue.store), executor, clock, identity(), only=only, limits=limits
        ).run()

    for number in range(3):
        queue.enqueue_async("bad", [number])
        clock.at += timedelta(minutes=1)
        run()
    found = queue.failures()
    assert [(run.id, run.hook, run.message) for run in found] == [
        (3, "bad", "action failed via wpbridge: no 2"),
        (2, "bad", "action failed via wpbridge: no 1"),
        (1, "bad", "action failed via wpbridge: no 0"),
    ]
    assert found[0].at == clock.at
    assert [run.id for run in queue.failures(limit=1)] == [3]
    assert [run.id for run in queue.failures(ids=(1, 2))] == [2, 1]
    assert queue.failures(hooks=("other",)) == []
    queue.requeue([1])
    assert queue.failures(ids=(1,))[0].message == "action failed via wpbridge: no 0"
    queue.schedule_recurring(NOW, 1, "rec")
    for _ in range(5):
        clock.at += timedelta(minutes=1)
        run()
    (last, *_) = queue.failures(hooks=("rec",))
    assert queue.logs(last.id)[-1].message.startswith("This action appears to be consistently")
    assert last.message == "action failed via wpbridge: no 0"


def test_a_failure_without_a_word_has_a_date_at_least(queue: Queue) -> None:
    add(queue)
    update(queue, 1, status="failed", last_attempt_gmt="2026-11-24 11:30:00")
    (run,) = queue.failures()
    assert (run.message, run.at) == ("", NOW - HOUR / 2)
    last = "There was a failure scheduling the next instance of this action: x"
    lines = ["action failed: in PHP", last, "wpbridge: detail", "action started via WP Cron"]
    RunnerStore(queue.store).log([(ActionId(1), LogLine(message=line, at=NOW)) for line in lines])
    (run,) = queue.failures()
    assert (run.message, run.at) == ("action failed: in PHP", NOW)


# Counts


def test_counts_by_status_hook_and_group(six: Queue) -> None:
    assert {tally.name: tally.total for tally in six.stats()} == {
        "complete": 1,
        "in-progress": 1,
        "failed": 1,
        "canceled": 1,
        "pending": 2,
    }
    add(six, "ALPHA", at=NOW - 2 * HOUR, group="MAIL")
    add(six, "alpha", at=NOW + HOUR)
    by_hook = {tally.name.lower(): tally for tally in six.stats("hook")}
    assert set(by_hook) == {"alpha", "beta", "gamma", "alpha_2", "waiting", "zero"}
    alpha = by_hook["alpha"]
    assert (dict(alpha.statuses), alpha.due) == ({"pending": 2, "complete": 1}, 1)
    assert (alpha.total, alpha.oldest_due) == (3, NOW - 2 * HOUR)
    assert (by_hook["zero"].due, by_hook["zero"].oldest_due) == (1, None)
    assert (by_hook["waiting"].due, by_hook["gamma"].due) == (0, 0)
    assert six.stats("hook")[0].name.lower() == "alpha", "the most first"
    by_group = {tally.name: tally for tally in six.stats("group")}
    assert set(by_group) == {"", "mail", "Other"}
    assert dict(by_group["mail"].statuses) == {"in-progress": 1, "failed": 1, "pending": 1}
    assert (by_group["mail"].due, by_group[""].total) == (1, 4)
    with pytest.raises(InputError, match="status, hook, group or hour"):
        six.stats("size")  # type: ignore[arg-type]


def test_groups_of_one_name_are_one(queue: Queue) -> None:
    for _ in range(2):
        change(queue.store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES ('twice')")
    for group_id in (1, 2, 0, 99):
        update(queue, add(queue), group_id=group_id)
    tallies = queue.stats("group")
    assert [(tally.name, tally.total) for tally in tallies] == [("", 2), ("twice", 2)]


def test_counts_by_hour(queue: Queue, clock: FakeClock) -> None:
    for status, last in (
        ("complete", "2026-11-24 09:10:00"),
        ("complete", "2026-11-24 09:59:59"),
        ("failed", "2026-11-24 09:20:00"),
        ("canceled", "2026-11-24 11:00:00"),
        ("complete", "2026-11-24 08:59:59"),
        ("complete", "2026-11-24 13:00:00"),
        ("in-progress", "2026-11-24 11:30:00"),
        ("complete", "0000-00-00 00:00:00"),
    ):
        update(queue, add(queue, at=NOW - 30 * HOUR), status=status, last_attempt_gmt=last)
    add(queue, at=NOW - HOUR)
    add(queue, at=NOW + HOUR)
    clock.at = NOW + timedelta(minutes=30)
    assert queue.stats("hour", hours=3) == [
        Tally(name="2026-11-24T09:00Z", statuses={"complete": 2, "failed": 1}),
        Tally(name="2026-11-24T10:00Z", statuses={}),
        Tally(name="2026-11-24T11:00Z", statuses={"canceled": 1, "pending": 1}),
        Tally(name="2026-11-24T12:00Z", statuses={}),
    ]


def test_what_is_due(queue: Queue, reading: Reading) -> None:
    due = queue.store.due
    assert due.count(NOW, cap=9) == 0
    assert due.oldest(NOW) is None
    for at in (NOW - HOUR, NOW - 2 * HOUR, NOW, NOW + HOUR):
        add(queue, at=at)
    update(queue, add(queue, at=NOW - 9 * HOUR), claim_id=5)
    update(queue, add(queue, at=NOW - 8 * HOUR), status="failed")
    add(queue, "w", after=[1])
    assert due.count(NOW, cap=9) == 4
    assert due.count(NOW, cap=2) == 2
    assert due.count(NOW + HOUR, cap=9) == 5
    oldest = due.oldest(NOW)
    assert oldest is not None
    assert oldest.at == NOW - 9 * HOUR
    update(queue, add(queue, at=NOW), scheduled_date_gmt="0000-00-00 00:00:00")
    assert due.oldest(NOW) == oldest, "a zero date tells no age"
    [tally] = [tally for tally in queue.stats("hook") if tally.name == "h"]
    assert (tally.due, tally.oldest_due) == (due.count(NOW, cap=9), oldest.at)


def test_what_is_held_is_due_apart(queue: Queue) -> None:
    parts = queue.store
    for hook, hours, group in (
        ("held", 9, ""),
        ("held", -1, ""),
        ("HELD", 8, "g"),
        ("other", 7, "g"),
        ("held", 5, "g"),
    ):
        add(queue, hook, at=NOW - hours * HOUR, group=group)
    parts.held.tell(["held"])
    held = parts.held.hooks()
    assert held == {"held"}
    assert parts.due.held(NOW, held) == 2
    assert parts.due.count(NOW, cap=9, held=2) == 2
    oldest = parts.due.oldest(NOW, hooks=held)
    assert oldest is not None
    assert (oldest.hook, oldest.at) == ("HELD", NOW - 8 * HOUR)
    oldest = parts.due.oldest(NOW, hooks={*held, "HELD"}, groups=["none"])
    assert oldest is not None
    assert oldest.hook == "other"
    assert parts.due.oldest(NOW, hooks=held, groups=["g"]) is None
    for by in ("hook", "group"):
        tallies = queue.stats(by)
        assert (sum(t.due for t in tallies), sum(t.held for t in tallies)) == (2, 2)
        assert min(t.oldest_due for t in tallies if t.oldest_due) == NOW - 8 * HOUR
    queued = {(one.hook, one.group): (one.due, one.held) for one in parts.reading.queued(NOW)}
    assert queued == {
        ("held", ""): (0, 1),
        ("held", "g"): (0, 1),
        ("HELD", "g"): (1, 0),
        ("other", "g"): (1, 0),
    }


def test_a_held_hook_is_told_of_once_an_hour_by_one_runner(
    queue: Queue, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    held, other = queue.store.held, open_queue(dsn).parts.held
    assert held.tell(["a", "b"]) == ["a", "b"]
    assert other.tell(["a", "b", "c"]) == ["c"]
    held.forget(["b"])
    assert other.tell(["a", "b"]) == ["b"]
    age = to_text(datetime.now(UTC) - HOUR)
    change(queue.store, "UPDATE wp_wpbridge_held SET told_gmt = :at WHERE hook = 'a'", at=age)
    assert held.hooks() == {"a", "b", "c"}
    assert [one.tell(["a", "c"]) for one in (held, other)] == [["a"], []]
    age = to_text(datetime.now(UTC) - 25 * HOUR)
    change(queue.store, "UPDATE wp_wpbridge_held SET told_gmt = :at WHERE hook = 'a'", at=age)
    assert held.hooks() == {"b", "c"}, "no runner has met it for a day"


def test_a_held_hook_that_the_table_cannot_hold_is_told_of_once(queue: Queue) -> None:
    names = ["x" * 192, "\ud83d"]
    held = queue.store.held
    expected = [name for name in names if queue.store.dialect.name == "mysql" or len(name) == 1]
    assert [name for name in held.tell(names) if name in expected] == sorted(expected)
    assert held.tell(names) == []
    held.forget(names)


def test_what_is_queued(queue: Queue, reading: Reading) -> None:
    for hook, group, at in (
        ("a", "", NOW - HOUR),
        ("a", "", NOW + HOUR),
        ("A", "", NOW),
        ("a", "g", NOW),
        ("b", "", NOW),
    ):
        add(queue, hook, group=group, at=at)
    update(queue, 4, status="in-progress")
    update(queue, 5, status="complete")
    assert reading.queued(NOW) == [
        QueuedHook(hook="A", group="", pending=1, running=0, due=1, next_at=NOW),
        QueuedHook(hook="a", group="", pending=2, running=0, due=1, next_at=NOW - HOUR),
        QueuedHook(hook="a", group="g", pending=0, running=1, due=0, next_at=None),
    ]


def test_our_own_counts(six: Queue, reading: Reading) -> None:
    assert reading.own_counts() == (1, 0)
    six.schedule_cron(None, "@daily", "z", tz="Europe/Rome")
    assert reading.own_counts() == (1, 1)


# Claims and chains


def test_claims(queue: Queue, reading: Reading) -> None:
    assert reading.claims() == []
    for created in ("2026-11-24 11:00:00", "0000-00-00 00:00:00"):
        change(
            queue.store,
            "INSERT INTO wp_actionscheduler_claims (date_created_gmt) VALUES (:d)",
            d=created,
        )
    for status, claim_id, last in (
        ("pending", 1, "2026-11-24 11:00:00"),
        ("in-progress", 1, "2026-11-24 11:59:00"),
        ("pending", 1, "2026-11-24 11:30:00"),
        ("complete", 2, "2026-11-24 11:59:59"),
        ("pending", 9, "0000-00-00 00:00:00"),
        ("pending", 0, "2026-11-24 11:59:59"),
    ):
        update(queue, add(queue), status=status, claim_id=claim_id, last_attempt_gmt=last)
    one, two, nine = reading.claims()
    assert one == ClaimRecord(
        id=ClaimId(1),
        has_row=True,
        created_at=NOW - HOUR,
        pending=2,
        running=1,
        last_attempt_at=NOW - timedelta(minutes=1),
    )
    assert two == ClaimRecord(id=ClaimId(2), has_row=True, created_at=None)
    assert nine == ClaimRecord(id=ClaimId(9), has_row=False, created_at=None, pending=1)
    assert [claim.is_orphan for claim in (one, two, nine)] == [False, True, False]


def test_chains_that_are_there_twice(queue: Queue, reading: Reading) -> None:
    queue.schedule_recurring(None, 60, "r", [1], group="g")
    queue.schedule_cron(None, "@daily", "R", [1], group="g")
    queue.schedule_recurring(None, 60, "r", [2], group="g")
    queue.schedule_recurring(None, 60, "r", [1])
    add(queue, "single")
    add(queue, "single")
    assert len(reading.repeated(Query())) == 1
    ((hook, args, group_id),) = reading.repeated(Query(hooks=("r",)))
    assert (hook.lower(), args, group_id) == ("r", "[1]", 1)
    assert reading.repeated(Query(groups=("unknown",))) == []
    assert [r.id for r in reading.of_identity(hook, args, group_id)] == [1, 2]
    update(queue, 1, status="in-progress")
    assert reading.repeated(Query()) == []


def test_hook_names(queue: Queue, reading: Reading) -> None:
    assert reading.hook_names() == []
    for hook in ("b", "a", "B", "a 1", "a_1", "b"):
        add(queue, hook)
    names = reading.hook_names()
    assert names is not None
    assert sorted(name.lower() for name in names) == ["a", "a 1", "a_1", "b"]


def test_next_of(queue: Queue, reading: Reading) -> None:
    assert reading.next_of(Query(hooks=("h",))) is None
    late, soon = add(queue, at=NOW + HOUR), add(queue, at=NOW)
    first = reading.next_of(Query(hooks=("h",), limit=5, offset=3, descending=False))
    assert first is not None
    assert first.id == soon
    update(queue, late, status="in-progress")
    running = reading.next_of(Query(hooks=("h",)))
    assert running is not None
    assert running.id == late


def test_reports_change_nothing(six: Queue, reading: Reading) -> None:
    tables = ("actionscheduler_actions", "actionscheduler_logs", "actionscheduler_groups")
    before = [query(six.store, f"SELECT * FROM wp_{table}") for table in tables]
    six.failures()
    six.stats("hour", hours=48)
    reading.queued(NOW)
    reading.claims()
    assert [query(six.store, f"SELECT * FROM wp_{table}") for table in tables] == before
