"""Numbers up to a cap: exact below it, no more than it, and at a cost that it bounds."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from factories import NOW
from rows import change, query
from wpbridge.queue.facade import Queue
from wpbridge.store.reading.counting import Counting, cap_of_each
from wpbridge.store.records import Query, Tally
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
STATUSES = ("pending", "pending", "pending", "complete", "complete", "failed", "my-own", "")


@pytest.fixture
def counting(store: RunnerStore) -> Counting:
    return store.parts.counting


@pytest.fixture
def many(queue: Queue) -> Queue:
    """Of each hook 24 actions: pending ones due, due later and undated, and ended ones."""
    for hook in ("one", "two", "three"):
        for number in range(24):
            moment = NOW + timedelta(hours=number - 12)
            action = queue.schedule_single(moment, hook, [number])
            change(
                queue.store,
                f"UPDATE {ACTIONS} SET status = :status WHERE action_id = :id",
                status=STATUSES[number % len(STATUSES)],
                id=action,
            )
    change(
        queue.store,
        f"UPDATE {ACTIONS} SET scheduled_date_gmt = '0000-00-00 00:00:00' WHERE hook = 'three'"
        " AND args = '[0]'",
    )
    return queue


@pytest.mark.parametrize("held", [(), ("two",)])
def test_below_the_cap_numbers_are_exact(many: Queue, held: tuple[str, ...]) -> None:
    many.store.held.tell(set(held))
    for by in ("status", "hook"):
        exact = sorted(many.stats(by), key=lambda tally: tally.name)
        capped = sorted(many.stats(by, cap=1000), key=lambda tally: tally.name)
        assert {tally.cap for tally in capped} == {1000}
        assert [replace(tally, cap=None) for tally in capped] == exact, by
    assert many.count(cap=1000) == many.count() == 72


def test_no_number_exceeds_the_cap(many: Queue, counting: Counting) -> None:
    assert counting.statuses(cap=5) == {
        "": 5,
        "complete": 5,
        "failed": 5,
        "my-own": 5,
        "pending": 5,
    }
    assert counting.statuses(cap=10)["failed"] == 9
    assert counting.statuses(Query(hooks=("one",)), cap=5) == {
        "": 3,
        "complete": 5,
        "failed": 3,
        "my-own": 3,
        "pending": 5,
    }
    assert counting.statuses(Query(hooks=("none",)), cap=5) == {}
    assert (many.count(cap=7), many.count(hooks=("one",), cap=7)) == (7, 7)
    assert many.count(hooks=("one",), statuses=("failed",), cap=7) == 3
    assert (many.store.due.count(NOW, cap=4), many.store.due.count(NOW, cap=None)) == (4, 18)


def test_what_is_due_is_found_before_the_cap_is_reached(many: Queue) -> None:
    """Rows without a date come first in the index, and are not due."""
    change(
        many.store,
        f"UPDATE {ACTIONS} SET scheduled_date_gmt = NULL WHERE hook = 'two' AND status = 'pending'"
        " AND scheduled_date_gmt > :now",
        now="2026-11-24 12:00:00",
    )
    exact = {tally.name: tally for tally in many.stats("hook")}
    for tally in many.stats("hook", cap=4):
        whole = exact[tally.name]
        assert dict(tally.statuses) == {s: min(n, 4) for s, n in whole.statuses.items()}
        assert (tally.due, tally.held) == (min(whole.due, 4), 0)
        assert tally.oldest_due == whole.oldest_due


def test_many_hooks_are_counted_less_far() -> None:
    told = {hooks: cap_of_each(hooks, 100_000) for hooks in (0, 1, 2, 3, 5, 6, 12, 100, 1000, 9999)}
    assert told == {
        **dict.fromkeys((0, 1, 2), 100_000),
        **dict.fromkeys((3, 5), 50_000),
        **dict.fromkeys((6, 12), 20_000),
        100: 2_000,
        **dict.fromkeys((1000, 9999), 200),
    }
    assert cap_of_each(1, 7) == cap_of_each(3, 7) == 7, "a small cap is never made smaller"


def test_the_cap_bounds_what_a_server_reads(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(mysql_dsn)
    change(
        store,
        f"INSERT INTO {ACTIONS} (hook, status, scheduled_date_gmt, args, schedule, group_id)"
        " SELECT CONCAT('hook_', seq % 3), IF(seq % 2, 'pending', 'complete'), '2026-11-01',"
        " CONCAT('[', seq, ']'), 'N;', 0 FROM seq_1_to_6000",
    )
    counting = store.parts.counting

    def rows_read(work: Callable[[], object]) -> int:
        store.session.run(lambda c: c.exec_driver_sql("FLUSH STATUS"))
        work()
        told = query(store, "SHOW SESSION STATUS LIKE 'Handler_read_next'")
        return int(str(told[0][1]))

    assert rows_read(lambda: counting.all(Query(), cap=50)) <= 50
    assert rows_read(lambda: counting.all(Query(hooks=("hook_1",)), cap=50)) <= 50
    assert rows_read(lambda: counting.statuses(cap=50)) <= 2 * 50
    assert rows_read(lambda: counting.by_hook(NOW, cap=50)) <= 3 * 3 * 50
    assert rows_read(lambda: counting.by_hook(NOW)) >= 6000


def test_other_questions_stay_exact(many: Queue) -> None:
    def exact(tallies: list[Tally]) -> bool:
        return all(tally.cap is None for tally in tallies)

    assert exact(many.stats("group", cap=2))
    assert exact(many.stats("hour", cap=2))
    assert exact(many.stats("hook", cap=2, query=Query(groups=("none",))))
