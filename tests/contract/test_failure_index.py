"""Remembered failures are those of the tables, whatever happens between two readings."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from random import Random

import pytest

from clocks import FakeClock
from factories import NOW
from rows import change, query
from wpbridge.action import ActionId
from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.dashboard import failure_index
from wpbridge.dashboard.failure_index import FailureIndex
from wpbridge.dashboard.failures import FailureWish, failures_of
from wpbridge.errors import StoreUnavailable
from wpbridge.outcome import LogLine
from wpbridge.queue.facade import Queue
from wpbridge.queue.failure_groups import grouped
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.failure_rows import FailureRow
from wpbridge.store.running.runner_store import RunnerStore

HOUR = timedelta(hours=1)
MESSAGES = (
    "action failed via wpbridge: HTTP 500 at /orders/{n}",
    "action failed via wpbridge: HTTP 404 at /orders/{n}",
    "action failed: cURL error 28: timed out after {n} ms",
    "action failed via WP Cron: <script>alert({n})</script>\u202e\x1b[2J",
    "action started via wpbridge",
    "\N{GRINNING FACE}" * 3 + " {n} " + "x" * 3_000,
)


def fail(
    queue: Queue, action_id: int | None, at: datetime | None, message: str = "", *, late: int = 0
) -> ActionId:
    """End an action that began at this moment; its log row is written some seconds later."""
    assert action_id is not None
    begun = None if at is None else to_text(at)
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET status = 'failed', last_attempt_gmt = :at"
        " WHERE action_id = :i",
        at=begun,
        i=action_id,
    )
    if message:
        line = LogLine(message=message, at=(at or NOW) + timedelta(seconds=late))
        RunnerStore(queue.store).log([(ActionId(action_id), line)])
    return ActionId(action_id)


def set_row(queue: Queue, action_id: int, **values: object) -> None:
    for name, value in values.items():
        change(
            queue.store,
            f"UPDATE wp_actionscheduler_actions SET {name} = :v WHERE action_id = :i",
            v=value,
            i=action_id,
        )


def check(index: FailureIndex, queue: Queue, now: datetime = NOW) -> None:
    """What a page shows is what the whole list of failures says."""
    index.catch_up(queue.store, now)
    seen = failures_of(queue.store, index.remembered(), now, FailureWish())
    meant = grouped(queue.failures(open_only=True, limit=0))

    shown = [(g.fingerprint, g.count, g.first, g.last, g.sample, list(g.ids)) for g in seen.groups]
    assert shown == [
        (g.fingerprint, g.count, g.first, g.last, g.sample, list(g.ids)) for g in meant
    ]
    assert [sorted(h for h, _ in g.hooks) for g in seen.groups] == [list(g.hooks) for g in meant]
    assert seen.known == len(queue.failures(limit=0))
    assert seen.count + seen.requeued + seen.outlived == seen.known


class Fate:
    """What happens to failures, at random and in any order."""

    def __init__(self, queue: Queue, seed: int) -> None:
        self.queue = queue
        self.random = Random(seed)  # noqa: S311 - the same each time
        self.failed: list[int] = []

    def go_on(self) -> None:
        acts = (self.come, self.come, self.chain, self.requeue, self.delete, self.run_again)
        for act in self.random.sample(acts, 3):
            act()

    def moment(self) -> datetime:
        """One of few seconds, so that many failures have the same."""
        minutes, seconds = self.random.randrange(40), self.random.randrange(3) * 20
        return NOW - timedelta(minutes=minutes, seconds=seconds)

    def come(self) -> None:
        choose = self.random.choice
        for _ in range(self.random.randint(1, 12)):
            args = [self.random.randrange(1000)]
            hook = choose(("mail", "sync", "mail2"))
            made = self.queue.enqueue_async(hook, args, group=choose(("", "shop")))
            message = choose(MESSAGES).replace("{n}", str(self.random.randrange(99_999)))
            at = choose((self.moment(), self.moment(), self.moment(), None))
            late = self.random.randrange(5)
            self.failed.append(fail(self.queue, made, at, message, late=late))

    def chain(self) -> None:
        begin = NOW - self.random.randint(1, 9) * HOUR
        args = [self.random.randrange(2)]
        made = self.queue.schedule_recurring(begin, 60, "chain", args)
        self.failed.append(fail(self.queue, made, begin + timedelta(minutes=1), MESSAGES[0]))
        if self.random.random() < 0.6:
            done = self.queue.schedule_recurring(begin + HOUR, 60, "chain", args)
            assert done is not None
            set_row(self.queue, done, status="complete", last_attempt_gmt=to_text(begin + HOUR))

    def requeue(self) -> None:
        self.queue.requeue(self.random.sample(self.failed, min(len(self.failed), 3)))

    def delete(self) -> None:
        for one in self.random.sample(self.failed, min(len(self.failed), 2)):
            self.failed.remove(one)
            self.queue.delete([one])

    def run_again(self) -> None:
        """PHP runs it again: it may fail in the same ten minutes, or complete."""
        if not self.failed:
            return
        one, at = self.random.choice(self.failed), self.moment()
        if self.random.random() < 0.5:
            self.failed.remove(one)
            set_row(self.queue, one, status="complete", last_attempt_gmt=to_text(at))
        else:
            fail(self.queue, one, at, MESSAGES[2].replace("{n}", "77"))


@pytest.mark.parametrize("seed", [1, 2, pytest.param(3, marks=pytest.mark.long)])
def test_the_index_follows_the_tables(queue: Queue, seed: int) -> None:
    """Failures come, are requeued, deleted, run again by PHP, and outlived."""
    index, fate = FailureIndex(), Fate(queue, seed)
    for _ in range(14):
        fate.go_on()
        check(index, queue)


def test_what_has_no_date_is_remembered_too(queue: Queue) -> None:
    index = FailureIndex()
    never, zero = (fail(queue, queue.enqueue_async("a"), None, MESSAGES[0]) for _ in range(2))
    set_row(queue, zero, last_attempt_gmt=ZERO_DATE)
    check(index, queue)
    dated = fail(queue, queue.enqueue_async("a"), NOW)
    check(index, queue)
    assert {e.id for e in index.remembered().entries} == {never, zero, dated}
    queue.delete([never, zero])
    check(index, queue)


def test_pages_of_the_first_reading_meet_without_a_gap(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failure_index, "_PAGE", 3)
    monkeypatch.setattr(failure_index, "_CHUNK", 4)
    for number in range(25):
        at = NOW - (number // 9) * timedelta(minutes=7)
        fail(queue, queue.enqueue_async("a", [number]), at if number % 8 else None, MESSAGES[0])
    check(FailureIndex(), queue)


def test_only_what_changed_is_read_again(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    index = FailureIndex()
    for number in range(30):
        fail(queue, queue.enqueue_async("a"), NOW - number * HOUR, MESSAGES[0])
    check(index, queue)
    later = NOW + HOUR
    check(index, queue, later)
    read: list[int] = []
    rows = queue.store.failure_rows.rows

    def noted(ids: Sequence[int]) -> list[FailureRow]:
        read.extend(ids)
        return rows(ids)

    monkeypatch.setattr(queue.store.failure_rows, "rows", noted)
    check(index, queue, later)
    assert read == []
    new = fail(queue, queue.enqueue_async("a"), NOW - 3 * HOUR, MESSAGES[1])
    check(index, queue, later)
    assert read == [new]


def test_what_fails_again_within_its_ten_minutes_is_read_again(queue: Queue) -> None:
    index = FailureIndex()
    one = fail(queue, queue.enqueue_async("a"), NOW, MESSAGES[0])
    check(index, queue)
    fail(queue, one, NOW + timedelta(seconds=100), MESSAGES[1])
    check(index, queue)


def test_one_that_comes_where_another_went_is_read(queue: Queue) -> None:
    index = FailureIndex()
    gone = fail(queue, queue.enqueue_async("a"), NOW, MESSAGES[0])
    check(index, queue)
    queue.delete([gone])
    come = fail(queue, queue.enqueue_async("b"), NOW, MESSAGES[1])
    check(index, queue)
    assert [entry.id for entry in index.remembered().entries] == [come]


def test_a_run_that_was_due_before_the_failure_is_no_success_since(queue: Queue) -> None:
    """It was run late, by hand."""
    late = queue.schedule_recurring(NOW - 9 * HOUR, 60, "chain")
    assert late is not None
    set_row(queue, late, status="complete", last_attempt_gmt=to_text(NOW))
    failed = fail(queue, queue.schedule_recurring(NOW - HOUR, 60, "chain"), NOW - HOUR, MESSAGES[0])
    index = FailureIndex()
    check(index, queue)
    assert [entry.is_open for entry in index.remembered().entries if entry.id == failed] == [True]


def test_a_reason_that_is_written_after_the_status_is_read(queue: Queue) -> None:
    index = FailureIndex()
    one = fail(queue, queue.enqueue_async("a"), NOW)
    index.catch_up(queue.store, NOW)
    line = LogLine(message="action failed via WP Cron: boom", at=NOW + timedelta(seconds=1))
    RunnerStore(queue.store).log([(one, line)])
    check(index, queue, NOW + timedelta(seconds=11))
    assert [e.kind for e in index.remembered().entries] == ["boom"]


def test_a_requeue_is_seen_though_the_log_went_on_far(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FailureIndex()
    ids = [fail(queue, queue.enqueue_async("a"), NOW, MESSAGES[0]) for _ in range(3)]
    check(index, queue)
    monkeypatch.setattr(failure_index, "LOG_ROWS", 0)
    queue.requeue(ids[:1])
    check(index, queue)
    assert [e.id for e in index.remembered().entries if e.is_requeued] == ids[:1]


def test_only_the_newest_are_remembered_and_it_is_told(queue: Queue) -> None:
    index = FailureIndex(most=5)
    ids = [
        fail(queue, queue.enqueue_async("a"), NOW - timedelta(minutes=10 * (20 - number)))
        for number in range(20)
    ]
    for _ in range(2):
        index.catch_up(queue.store, NOW)
        seen = failures_of(queue.store, index.remembered(), NOW, FailureWish())
        assert seen.is_cut
        assert {e.id for e in index.remembered().entries} == set(ids[-5:])
        ids.append(fail(queue, queue.enqueue_async("a"), NOW))
    many = FailureIndex(most=5)
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET last_attempt_gmt = :at",
        at=to_text(NOW),
    )
    many.catch_up(queue.store, NOW)
    assert {e.id for e in many.remembered().entries} == set(ids[-5:])
    queue.delete(ids[:-4])
    many.catch_up(queue.store, NOW)
    assert {e.id for e in many.remembered().entries} == set(ids[-4:])
    assert not many.remembered().is_cut


def test_filters(queue: Queue) -> None:
    index = FailureIndex()
    old = fail(queue, queue.enqueue_async("a", group="shop"), NOW - 5 * HOUR, MESSAGES[0])
    new = fail(queue, queue.enqueue_async("a"), NOW - HOUR, MESSAGES[1])
    other = fail(queue, queue.enqueue_async("b", group="shop"), NOW - HOUR, MESSAGES[1])
    index.catch_up(queue.store, NOW)

    def ids(**wish: object) -> set[int]:
        found = failures_of(queue.store, index.remembered(), NOW, FailureWish(**wish))  # type: ignore[arg-type]
        return {one for group in found.groups for one in group.ids}

    assert ids() == {old, new, other}
    assert ids(hook="a") == {old, new}
    assert ids(hook="A ") == set()
    assert ids(group="shop") == {old, other}
    assert ids(group="") == {new}
    assert ids(since=NOW - 2 * HOUR) == {new, other}
    assert ids(until=NOW - 2 * HOUR) == {old}
    assert ids(since=NOW, until=NOW - 2 * HOUR) == set()
    assert ids(fingerprint="HTTP 404 at /orders/{n}") == {new, other}
    seen = failures_of(queue.store, index.remembered(), NOW, FailureWish())
    assert (list(seen.hooks), list(seen.slugs)) == (["a", "b"], ["", "shop"])
    assert [sum(group.when.counts) for group in seen.groups] == [2, 1]
    assert seen.groups[0].hint.chance == "mend"


def test_a_thread_reads_while_pages_are_shown(queue: Queue, clock: FakeClock) -> None:
    fail(queue, queue.enqueue_async("a"), NOW, MESSAGES[0])
    index, may_go, opened = FailureIndex(), threading.Event(), list[int]()

    @contextmanager
    def open_store() -> Iterator[OpenStore]:
        may_go.wait(60)
        opened.append(1)
        yield queue.store

    first = index.keep_up(open_store, clock.now, wait_seconds=0)
    assert (first.at, list(first.entries)) == (None, [])
    index.keep_up(open_store, clock.now, wait_seconds=0)
    may_go.set()
    told = index.keep_up(open_store, clock.now, wait_seconds=60)
    assert len(told.entries) == 1
    assert index.keep_up(open_store, clock.now, wait_seconds=60).at == told.at
    assert opened == [1], "one reads for all, and what is fresh is not read again"
    clock.at += timedelta(minutes=1)
    assert index.keep_up(open_store, clock.now, wait_seconds=60).at == clock.now()


def test_what_somebody_has_just_changed_is_read_anew(queue: Queue, clock: FakeClock) -> None:
    index = FailureIndex()

    @contextmanager
    def open_store() -> Iterator[OpenStore]:
        yield queue.store

    one = fail(queue, queue.enqueue_async("a"), NOW, MESSAGES[0])
    assert len(index.keep_up(open_store, clock.now, wait_seconds=60).entries) == 1
    queue.requeue([one])
    # Nothing is old yet, so without a doubt nobody would look.
    told = index.keep_up(open_store, clock.now, wait_seconds=60)
    assert [entry.is_requeued for entry in told.entries] == [False]
    index.doubt()
    told = index.keep_up(open_store, clock.now, wait_seconds=60)
    assert [entry.is_requeued for entry in told.entries] == [True]


def test_a_database_that_does_not_answer_is_told_and_asked_again(
    queue: Queue, clock: FakeClock
) -> None:
    fail(queue, queue.enqueue_async("a"), NOW, MESSAGES[0])
    index = FailureIndex()

    def refuse() -> AbstractContextManager[OpenStore]:
        raise StoreUnavailable("it is gone")

    @contextmanager
    def work() -> Iterator[OpenStore]:
        yield queue.store

    assert index.keep_up(refuse, clock.now, wait_seconds=60).error == "it is gone"
    told = index.keep_up(work, clock.now, wait_seconds=60)
    assert (told.error, len(told.entries)) == ("", 1)


def test_the_reading_uses_the_index(queue: Queue) -> None:
    """The sums of ten minutes come from the index by status and last attempt alone."""
    if queue.store.dialect.name == "sqlite":
        plan = query(
            queue.store,
            "EXPLAIN QUERY PLAN " + queue.store.failure_rows._buckets.text.replace(":most", "5"),
        )
        assert "COVERING INDEX" in str(plan)
    else:
        plan = query(
            queue.store, "EXPLAIN " + queue.store.failure_rows._buckets.text.replace(":most", "5")
        )
        assert "Using index" in str(plan)
