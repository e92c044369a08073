"""Changes of everything that a filter matches: what is pinned, typed, changed, and noted."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clocks import FakeClock
from factories import NOW, context
from rows import change, column, log_of, query, set_status
from wpbridge.action import BULK_HOOK, ActionId
from wpbridge.app import bulk_changes, own_handlers
from wpbridge.errors import ExecutionError, InputError, StoreUnavailable
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Snooze
from wpbridge.queue import bulk, bulk_pages
from wpbridge.queue.bulk import Bulk, BulkRefused, Preview, preview, start
from wpbridge.queue.bulk_filters import Filter, filter_of, told_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.queue.failure_groups import NO_MESSAGE, mark_of
from wpbridge.queue.jobs import JobQueue
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.config import Settings
from wpbridge.store.base import ClaimFilter
from wpbridge.store.queueing.edits import REQUEUED
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
MAIL = Query(hooks=("mail",))


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_pages, "PAGE", 5)


@pytest.fixture
def jobs(queue: Queue) -> JobQueue:
    return JobQueue.beside(queue)


class Side:
    """A person, and a runner that is run when a test wants it."""

    def __init__(self, store: RunnerStore, jobs: JobQueue, queue: Queue, clock: FakeClock) -> None:
        self.store, self.jobs, self.queue, self.clock = store, jobs, queue, clock

    def add(self, count: int, hook: str = "mail", status: str = "pending") -> list[ActionId]:
        new = [Enqueue(hook=hook, args=[n], at=NOW + timedelta(hours=1)) for n in range(count)]
        found = [one for one in self.queue.enqueue_many(new) if one is not None]
        if status != "pending":
            for one in found:
                set_status(self.store, one, status)
        return found

    def preview(self, verb: str, meant: Query | Filter = MAIL, **told: Any) -> Preview:
        asked = meant if isinstance(meant, Filter) else Filter(query=meant)
        return preview(self.jobs, verb, asked, told)

    def start(self, verb: str, meant: Query | Filter = MAIL, **told: Any) -> ActionId:
        seen = self.preview(verb, meant, **told)
        kept = Bulk.of(json.loads(json.dumps(seen.pinned)))
        return start(self.jobs, kept, str(seen.count), who="user:anna", address="192.0.2.7")

    def run(self) -> None:
        executor = ThreadExecutor(
            own_handlers(Settings()),
            concurrency=1,
            clock=self.clock,
            site="s",
            open_queue=lambda: self.queue,
        )
        only = ClaimFilter(hooks=frozenset({BULK_HOOK}))
        Runner(self.store, executor, self.clock, identity(), only=only, limits=Limits()).run()

    def statuses(self, hook: str = "mail") -> dict[str, int]:
        rows = query(self.store, f"SELECT status FROM {ACTIONS} WHERE hook = :h", h=hook)
        return dict(Counter(str(status) for (status,) in rows))

    def rows(self) -> list[tuple[str, str, dict[str, Any]]]:
        found = query(
            self.store, "SELECT verb, object, detail FROM wp_wpbridge_audit ORDER BY audit_id"
        )
        return [(str(v), str(o), json.loads(str(d))) for v, o, d in found]

    def pages(self) -> list[dict[str, Any]]:
        return [detail for verb, _, detail in self.rows() if verb != "bulk"]

    def result(self, one: ActionId) -> Any:
        kept = self.queue.result(one)
        assert kept is not None
        return json.loads(kept.result or "null")


@pytest.fixture
def side(
    dsn: str,
    store: RunnerStore,
    open_queue: Callable[[str], RunnerStore],
    clock: FakeClock,
) -> Side:
    queue = Queue(open_queue(dsn).parts, clock=clock, close_store=False)
    return Side(store, JobQueue(store.parts, clock=clock, close_store=False), queue, clock)


def test_everything_that_matches_is_changed_and_noted(side: Side) -> None:
    ids = side.add(12)
    side.add(3, "other")
    one = side.start("cancel", reason="a mistake")
    later = side.add(2)
    side.run()
    assert column(side.store, "status", one) == "complete"
    assert side.statuses() == {"canceled": 12, "pending": 2}
    assert side.statuses("other") == {"pending": 3}
    assert all(column(side.store, "status", i) == "pending" for i in later)
    assert log_of(side.store, ids[0])[-1] == "action canceled via wpbridge: a mistake"
    assert side.result(one) == {"changed": 12, "skipped": {}}
    begin, *pages = side.rows()
    assert begin[:2] == ("bulk", f"bulk {one}")
    assert begin[2] == {
        "verb": "cancel",
        "filter": {"hooks": ["mail"], "statuses": ["pending"]},
        "up_to_id": ids[-1] + 3,
        "told": {"reason": "a mistake"},
        "count": 12,
        "changed": 1,
        "address": "192.0.2.7",
    }
    assert [(verb, thing) for verb, thing, _ in pages] == [("cancel", f"bulk {one}")] * 3
    assert [(row["changed"], row["last_id"]) for _, _, row in pages] == [
        (5, ids[4]),
        (5, ids[9]),
        (2, ids[11]),
    ]
    assert [i for _, _, row in pages for i in row["ids"]] == ids
    [stored] = [r.who for r in side.store.parts.audit.page(verb="cancel", most=1)]
    assert stored == "user:anna"


@pytest.mark.parametrize(
    ("verb", "told", "status"),
    [
        ("run", {}, "pending"),
        ("reschedule", {"at": "2036-01-01T00:00:00Z"}, "pending"),
        ("priority", {"priority": 3}, "pending"),
        ("requeue", {"again": True}, "failed"),
        ("delete", {}, "complete"),
    ],
)
def test_each_change_can_be_made_to_all(
    side: Side, verb: str, told: Mapping[str, Any], status: str
) -> None:
    side.add(7, status=status)
    one = side.start(verb, **told)
    side.run()
    assert side.result(one) == {"changed": 7, "skipped": {}}
    assert [row["changed"] for row in side.pages()] == [5, 2]
    rows = query(
        side.store,
        f"SELECT status, priority, scheduled_date_gmt FROM {ACTIONS} WHERE hook = 'mail'",
    )
    match verb:
        case "run":
            assert {str(row[2]) for row in rows} == {"2026-11-24 12:00:00"}
        case "reschedule":
            assert {str(row[2]) for row in rows} == {"2036-01-01 00:00:00"}
        case "priority":
            assert {row[1] for row in rows} == {3}
        case "requeue":
            assert side.statuses() == {"failed": 7, "pending": 7}
        case _:
            assert rows == []


def test_guards_decide_again_and_say_why(side: Side) -> None:
    ids = side.add(12)
    one = side.start("priority", priority=1)
    change(side.store, f"UPDATE {ACTIONS} SET claim_id = 99 WHERE action_id IN :i", i=ids[3:6])
    change(side.store, f"UPDATE {ACTIONS} SET priority = 1 WHERE action_id IN :i", i=ids[6:11])
    set_status(side.store, ids[11], "complete")
    side.run()
    assert side.result(one) == {
        "changed": 3,
        "skipped": {"a runner has claimed it": 3, "it has this priority": 5},
    }
    # Pages in which nothing was changed have no row, and what they left is counted all the same.
    assert [(row["changed"], row["skipped"]) for row in side.pages()] == [(3, 2)]
    assert column(side.store, "priority", ids[3]) == 10


def test_reasons_are_counted_without_what_varies(side: Side) -> None:
    side.add(6, status="failed")
    side.start("requeue")
    side.run()
    again = side.start("requeue")
    side.run()
    assert side.result(again) == {
        "changed": 0,
        "skipped": {"it was requeued before, as action <n>": 6},
    }
    progress = bulk_pages.Progress()
    progress.skip({f"reason {chr(97 + n)}": 1 for n in range(25)})
    assert len(progress.skipped) == bulk_pages.MOST_REASONS + 1
    assert (progress.skipped[bulk_pages.OTHERS], progress.seen) == (15, 25)


@pytest.mark.parametrize("typed", ["7", 7, "", None, "seven", "-8", "8.0", True])
def test_another_count_starts_nothing(side: Side, typed: object) -> None:
    side.add(8)
    seen = side.preview("cancel")
    with pytest.raises(InputError, match=r"^count: type 8 to change so many"):
        start(side.jobs, seen.bulk, typed, who="user:anna")
    assert side.statuses(BULK_HOOK) == {}
    assert start(side.jobs, seen.bulk, " 8 ", who="user:anna")


def test_a_count_may_be_typed_with_commas(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    side.add(2)
    seen = side.preview("cancel")
    many = Bulk.of({**seen.pinned, "count": 12345})
    assert start(side.jobs, many, "12,345", who="user:anna")


def test_nothing_is_started_where_own_hooks_would_go_to_php(side: Side) -> None:
    side.add(1)
    seen = side.preview("cancel")
    with pytest.raises(BulkRefused, match="no companion"):
        start(side.jobs, seen.bulk, 1, who="user:anna", refusal="no companion")
    none = side.preview("cancel", Query(hooks=("none",)))
    with pytest.raises(BulkRefused, match="nothing matches"):
        start(side.jobs, none.bulk, 0, who="user:anna")
    assert side.statuses(BULK_HOOK) == {}
    assert query(side.store, "SELECT 1 FROM wp_wpbridge_audit") == []


def test_a_preview_counts_up_to_a_cap(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = side.add(9)
    seen = side.preview("cancel")
    assert (seen.count, seen.is_capped) == (9, False)
    assert [one.id for one in seen.sample] == ids[:-6:-1]
    monkeypatch.setattr(bulk, "MOST_COUNTED", 6)
    capped = side.preview("cancel")
    assert (capped.count, capped.is_capped) == (6, True)
    # All of them are meant.
    start(side.jobs, capped.bulk, "6", who="user:anna")
    side.run()
    assert side.statuses() == {"canceled": 9}


@pytest.mark.parametrize(
    ("verb", "meant", "told", "why"),
    [
        ("pause", Filter(query=MAIL), {}, "^verb: pause is not done to many"),
        ("edit-schedule", Filter(query=MAIL), {}, "^verb: "),
        ("drop", Filter(query=MAIL), {}, "^verb: one of"),
        ("delete", Filter(query=Query()), {}, "^filter: it means every action"),
        ("reschedule", Filter(query=MAIL), {}, "^at: it is missing"),
        ("cancel", Filter(query=MAIL, fingerprint="x"), {}, "^verb: cancel is not for failed"),
        (
            "requeue",
            Filter(query=Query(statuses=("complete",)), fingerprint="x"),
            {},
            "^filter: failures that are alike",
        ),
    ],
)
def test_what_cannot_be_previewed_is_refused(
    side: Side, verb: str, meant: Filter, told: dict[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        preview(side.jobs, verb, meant, told)


def test_what_a_form_was_altered_to_means_no_more_than_a_preview(side: Side) -> None:
    ids = side.add(3)
    seen = side.preview("cancel", MAIL)
    altered = replace(seen.bulk, filter=Filter(query=Query()), up_to_id=ActionId((1 << 63) - 1))
    for one in (altered, replace(altered, verb="requeue")):
        made = start(side.jobs, one, 3, who="user:anna")
        pinned = Bulk.of(json.loads(side.queue.get(made).args))
        # Else it would meet what it has itself added.
        assert pinned.up_to_id < made
        assert pinned.up_to_id >= max(ids)
        assert pinned.filter.query.statuses == (
            ("pending",) if one.verb == "cancel" else ("failed",)
        )
    with pytest.raises(InputError, match="it means every action"):
        start(side.jobs, replace(altered, verb="delete"), 3, who="user:anna")


def test_a_filter_that_does_not_fit_is_refused(side: Side) -> None:
    side.add(1)
    long = Query(hooks=("mail", *(f"{n:0190}" for n in range(50))))
    seen = side.preview("cancel", long)
    with pytest.raises(InputError, match=r"^filter: it does not fit into an action: args"):
        start(side.jobs, seen.bulk, 1, who="user:anna")


def test_failures_that_are_alike_are_requeued_and_no_others(side: Side) -> None:
    ids = side.add(14, status="failed")
    for place, one in enumerate(ids):
        told = f"order {place} is gone" if place % 3 else f"HTTP 503 from shop {place}"
        change(
            side.store,
            "INSERT INTO wp_actionscheduler_logs (action_id, message) VALUES (:i, :m)",
            i=one,
            m=f"action failed via wpbridge: {told}",
        )
    name = "order <n> is gone"
    seen = side.preview("requeue", Filter(query=Query(), fingerprint=name))
    wanted = [one for place, one in enumerate(ids) if place % 3]
    assert (seen.count, seen.is_capped) == (len(wanted), False)
    assert [one.id for one in seen.sample] == wanted[:-6:-1]
    one = side.start("requeue", Filter(query=Query(), fingerprint=name))
    side.run()
    assert side.result(one) == {"changed": len(wanted), "skipped": {}}
    requeued = [i for i in ids if any(line.startswith(REQUEUED) for line in log_of(side.store, i))]
    assert requeued == wanted


def test_a_preview_of_very_many_failures_says_so(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.add(4, status="failed")
    monkeypatch.setattr(bulk, "MOST_READ", 4)
    seen = side.preview("requeue", Filter(query=Query(), fingerprint="(no message)"))
    assert (seen.count, seen.is_capped) == (4, True)


def test_a_filter_is_the_same_after_json() -> None:
    meant = Filter(
        query=Query(
            hooks=("a",),
            groups=("",),
            statuses=("failed",),
            args="[1]",
            since=NOW,
            modified_until=NOW,
            claimed=False,
            search="x",
        ),
        fingerprint="y",
    )
    told = json.loads(json.dumps(told_of(meant)))
    assert filter_of(told) == meant
    wrongs: list[Any] = [
        None,
        [],
        {"limit": 5},
        {"hooks": "a"},
        {"hooks": [1]},
        {"ids": ["1"]},
        {"since": "soon"},
        {"claimed": 1},
        {"claim": "x"},
        {"search": 5},
        {"fingerprint": 5},
    ]
    for wrong in wrongs:
        with pytest.raises(InputError, match=r"^filter: "):
            filter_of(wrong)


def test_an_old_date_of_a_last_attempt_means_what_has_ended(side: Side) -> None:
    """What never ran would count as older than any."""
    side.add(2)
    side.add(3, status="complete")
    seen = side.preview("delete", Query(modified_until=NOW + timedelta(days=1)))
    assert seen.count == 3


def test_a_bulk_gives_others_their_turn_and_goes_on(side: Side) -> None:
    ids = side.add(12)
    one = side.start("cancel")
    args = json.loads(side.queue.get(one).args)
    ticks = iter([0.0, 1.0, 21.0])
    given = context(id=one, hook=BULK_HOOK, args=args, open_queue=lambda: side.queue)
    with pytest.raises(Snooze, match="10 changed, 0 left as they are; others"):
        bulk_changes.run(given, monotonic=lambda: next(ticks))
    assert side.statuses() == {"canceled": 10, "pending": 2}
    step = given.steps[-1]
    assert (round(step.fraction, 2), step.text) == (0.83, "10 changed, 0 left as they are")
    stopping = context(
        id=one,
        hook=BULK_HOOK,
        args=args,
        open_queue=lambda: side.queue,
        stopping=lambda: True,
    )
    assert bulk_changes.run(stopping) == {"changed": 12, "skipped": {}}
    assert [row["last_id"] for row in side.pages()] == [ids[4], ids[9], ids[11]]


def test_a_runner_that_ends_leaves_it_to_another(side: Side) -> None:
    side.add(12)
    one = side.start("cancel")
    given = context(
        id=one,
        hook=BULK_HOOK,
        args=json.loads(side.queue.get(one).args),
        open_queue=lambda: side.queue,
        stopping=lambda: True,
    )
    with pytest.raises(Snooze, match="5 changed") as request:
        bulk_changes.run(given)
    assert request.value.until == timedelta(0)
    side.run()
    assert side.result(one) == {"changed": 12, "skipped": {}}


def test_a_database_that_is_away_delays_it(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    side.add(2)
    one = side.start("cancel")
    args = json.loads(side.queue.get(one).args)

    def away(*_: object) -> bool:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(bulk_pages.BulkPages, "step", away)
    given = context(id=one, hook=BULK_HOOK, args=args, open_queue=lambda: side.queue)
    with pytest.raises(Snooze, match="gone") as request:
        bulk_changes.run(given)
    assert request.value.until == bulk_changes.LATER


def test_a_bulk_that_failed_goes_on_when_it_is_requeued(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with ``again``: what the first half has requeued is not requeued a second time."""
    ids = side.add(12, status="failed")
    one = side.start("requeue", again=True)
    step, left = bulk_pages.BulkPages.step, [1, 1]

    def broken(pages: bulk_pages.BulkPages) -> bool:
        if not left:
            raise ValueError("broken")
        left.pop()
        return step(pages)

    monkeypatch.setattr(bulk_pages.BulkPages, "step", broken)
    side.run()
    assert column(side.store, "status", one) == "failed"
    monkeypatch.undo()
    [new] = side.queue.requeue([one]).made.values()
    side.run()
    assert side.result(new) == {"changed": 12, "skipped": {}}
    assert side.statuses() == {"failed": 12, "pending": 12}
    assert [sum(line.startswith(REQUEUED) for line in log_of(side.store, i)) for i in ids] == (
        [1] * 12
    )


@pytest.mark.parametrize(
    "args", [[], {}, {"verb": "cancel"}, {"verb": "drop", "filter": {}, "up_to_id": 1, "count": 1}]
)
def test_args_of_others_fail(side: Side, args: Any) -> None:
    given = context(hook=BULK_HOOK, args=args, open_queue=lambda: side.queue)
    with pytest.raises(ExecutionError, match="none that can be run"):
        bulk_changes.run(given)


def test_two_bulks_at_once_leave_places_for_others(side: Side) -> None:
    side.add(2)
    one = side.start("cancel")
    args = json.loads(side.queue.get(one).args)
    given = context(id=one, hook=BULK_HOOK, args=args, open_queue=lambda: side.queue)
    places = threading.BoundedSemaphore(1)
    with places, pytest.raises(Snooze, match="other bulks have their turn"):
        bulk_changes.run_with_room(given, places)
    assert side.statuses() == {"pending": 2}
    assert bulk_changes.run_with_room(given, places) == {"changed": 2, "skipped": {}}
    assert places.acquire(blocking=False)


def test_failures_are_found_by_the_mark_of_their_fingerprint(side: Side) -> None:
    """As in an address of a page, where the text must not stand."""
    side.add(2, status="failed")
    seen = side.preview("requeue", Filter(query=Query(), fingerprint=mark_of(NO_MESSAGE)))
    assert seen.count == 2
