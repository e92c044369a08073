"""What the tables show at one moment, on every database."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest

from clocks import FakeClock
from daemons import until
from factories import NOW, bucketed, insert, make_new
from reads import read_for
from rows import change, query
from stores import open_store
from wpbridge.errors import StoreUnavailable
from wpbridge.monitor import readings as under_test
from wpbridge.monitor import repeating
from wpbridge.monitor.gauges import CachedGauges
from wpbridge.monitor.readings import Readings, read
from wpbridge.monitor.repeating import Repeated
from wpbridge.queue.facade import Queue
from wpbridge.site.config import Settings
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading import gauges, stopped_chains, survey
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import DURATION_BOUNDS

ACTIONS = "wp_actionscheduler_actions"
LOGS = "wp_actionscheduler_logs"
RUNNERS = "wp_wpbridge_runners"


def reading(store: RunnerStore) -> Readings:
    return read(store.parts, NOW)


def attempt(store: RunnerStore, action_id: int, status: str, minutes_ago: float) -> None:
    change(
        store,
        f"UPDATE {ACTIONS} SET status = :s, last_attempt_gmt = :at WHERE action_id = :i",
        s=status,
        at=(NOW - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%d %H:%M:%S"),
        i=action_id,
    )


def log(store: RunnerStore, action_id: int, message: str, minutes_ago: float) -> None:
    at = (NOW - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%d %H:%M:%S")
    change(
        store,
        f"INSERT INTO {LOGS} (action_id, message, log_date_gmt, log_date_local)"
        " VALUES (:i, :m, :at, :at)",
        i=action_id,
        m=message,
        at=at,
    )


def test_of_an_empty_queue_all_is_nothing(store: RunnerStore) -> None:
    change(store, f"DELETE FROM {RUNNERS}")
    told = reading(store)
    assert (told.at, told.counts, told.due, told.past_due) == (NOW, {}, 0, 0)
    assert told.due_by_group == told.oldest_due_seconds == told.running == told.last_run == {}
    assert (told.claims, told.running_longest_seconds, told.oldest_due) == (0, 0, 0)
    assert (told.recurring_stopped, told.places, list(told.pauses)) == (0, 0, [])
    assert told.took_seconds > 0


def test_due_actions_are_told_apart_by_group_and_age(store: RunnerStore) -> None:
    insert(
        store,
        make_new(due_in=-600, group="mail"),
        make_new(due_in=-30, group="mail"),
        make_new(due_in=-60),
        make_new(due_in=60, group="mail"),
    )
    # A second row with the slug of a group, as the plugin leaves them after a race.
    change(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES ('mail')")
    change(
        store,
        f"UPDATE {ACTIONS} SET group_id = (SELECT MAX(group_id) FROM wp_actionscheduler_groups)"
        " WHERE action_id = 2",
    )
    told = reading(store)
    assert (told.counts, told.due, told.past_due) == ({"pending": 4}, 3, 2)
    assert told.due_by_group == {"mail": 2, "": 1}
    assert told.oldest_due_seconds == {"mail": 600, "": 60}
    assert told.oldest_due == 600


def test_an_action_with_a_zero_date_is_due_and_has_no_age(store: RunnerStore) -> None:
    insert(store, make_new(), make_new(group="g"))
    change(
        store,
        f"UPDATE {ACTIONS} SET scheduled_date_gmt = '0000-00-00 00:00:00' WHERE action_id = 2",
    )
    told = reading(store)
    assert told.due_by_group == {"": 1, "g": 1}
    assert told.oldest_due_seconds == {"": 60}


@pytest.mark.parametrize("cap", [100, 3])
def test_held_hooks_are_left_out_as_status_leaves_them_out(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, cap: int
) -> None:
    monkeypatch.setattr(gauges, "CAP", cap)
    monkeypatch.setattr(under_test, "CAP", cap)
    insert(store, *[make_new("held", group="g") for _ in range(4)], make_new("h"), make_new("h"))
    store.parts.held.tell({"held"})
    told = reading(store)
    assert (told.due, told.due_by_group) == (2, {"": 2})


def test_counts_stop_at_the_cap_and_groups_at_the_oldest(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (gauges, under_test):
        monkeypatch.setattr(module, "CAP", 3)
    pairs = store.parts.due_pairs
    monkeypatch.setattr(pairs, "due", partial(pairs.due, most=2))
    old, new = make_new(group="old", due_in=-100), make_new(group="new", due_in=-90)
    insert(store, *[new] * 5, old, old)
    told = reading(store)
    assert (told.cap, told.counts, told.due, told.past_due) == (3, {"pending": 3}, 3, 3)
    assert told.due_by_group == {"old": 2}


def test_running_actions_are_told_by_hook_and_the_longest_by_its_log(store: RunnerStore) -> None:
    ids = insert(store, make_new("a"), make_new("a"), make_new("b"), make_new("c"))
    for action in ids[:3]:
        # A runner renews the date while the action runs.
        attempt(store, action, "in-progress", 0.1)
        log(store, action, "action started via wpbridge", 3)
    log(store, ids[1], "action started via WP Cron", 50)
    attempt(store, ids[3], "complete", 90)
    log(store, ids[3], "action started via WP Cron", 90)
    told = reading(store)
    assert told.running == {"a": 2, "b": 1}
    assert told.running_longest_seconds == 180
    # Its log is in another language, say: then the row tells what it can.
    change(store, f"DELETE FROM {LOGS}")
    attempt(store, ids[0], "in-progress", 4)
    assert reading(store).running_longest_seconds == 240


def test_claims_with_actions_are_counted(store: RunnerStore, queue: Queue) -> None:
    ids = insert(store, *[make_new() for _ in range(4)])
    for claim, action in zip((7, 7, 8, 9), ids, strict=True):
        change(
            store,
            f"UPDATE {ACTIONS} SET claim_id = :c WHERE action_id = :i",
            c=claim,
            i=action,
        )
    attempt(store, ids[3], "complete", 1)
    queue.pause(hooks=["h"])
    told = reading(store)
    assert told.claims == 2
    assert [(pause.kind, pause.name) for pause in told.pauses] == [("hook", "h")]


def test_sizes_are_those_of_the_tables_or_of_the_file(store: RunnerStore) -> None:
    told = reading(store)
    if store.parts.dialect.is_file:
        assert (told.table_rows, list(told.table_bytes)) == ({}, ["database"])
    else:
        assert {ACTIONS, LOGS, RUNNERS} <= set(told.table_rows) & set(told.table_bytes)
    assert min(told.table_bytes.values()) > 0


def test_signs_of_runners_are_beats_and_the_log_and_what_was_counted(store: RunnerStore) -> None:
    [action] = insert(store, make_new())
    told = reading(store).last_run
    assert set(told) == {"wpbridge"}
    assert abs((told["wpbridge"] - NOW).total_seconds()) < 60
    change(store, f"DELETE FROM {RUNNERS}")
    log(store, action, "action complete via wpbridge", 300)
    log(store, action, "action complete via WP Cron", 500)
    log(store, action, "action started via Async Request", 90)
    log(store, action, "action canceled via wpbridge", 1)
    told = reading(store).last_run
    assert told == {
        "wpbridge": NOW - timedelta(minutes=300),
        "php": NOW - timedelta(minutes=90),
    }
    store.parts.own.ensure(store.names.stats)
    begin = NOW - timedelta(minutes=2)
    store.parts.stats.add([Count(begin=begin, hook="", group_id=0, outcome="due")])
    assert reading(store).last_run["wpbridge"] == begin


def test_a_runner_of_callbacks_alone_is_no_sign_that_the_queue_is_run(store: RunnerStore) -> None:
    store.parts.own.ensure(store.names.stats)
    store.parts.stats.add([Count(begin=NOW, hook="", group_id=0, outcome="due")])
    store.tell_places(0)
    assert reading(store).last_run == {}
    store.tell_places(2)
    assert set(reading(store).last_run) == {"wpbridge"}


def test_places_are_those_of_the_runners_that_live(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    assert reading(store).places == 1
    store.tell_places(6)
    other = open_queue(dsn)
    other.register(host="there", boot="b", pid=2, pid_started="2", places=3)
    assert reading(store).places == 9
    change(store, f"UPDATE {RUNNERS} SET beat_gmt = '2020-01-01 00:00:00' WHERE host = 'there'")
    assert reading(store).places == 6
    # A runner of an earlier release does not say.
    change(store, f"UPDATE {RUNNERS} SET places = NULL")
    assert reading(store).places == 1
    change(store, f"ALTER TABLE {RUNNERS} DROP COLUMN places")
    assert reading(store).places == 1


def test_a_relay_and_workers_of_celery_are_no_places(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store.tell_about('{"kind": "relay"}')
    worker = open_queue(dsn)
    worker.register(host="there", boot="b", pid=2, pid_started="2", places=4)
    worker.tell_about('{"kind": "celery"}')
    insert(store, make_new("render"), make_new("render"))
    assert store.claim_due(now=NOW, limit=1, only=ClaimFilter())
    told = reading(store)
    assert (told.places, told.last_run, told.handed) == (0, {}, 1)
    assert told.runners == {"relay": 1, "celery": 1}
    # Where all that is due goes to Celery, its workers are who runs it.
    assert set(read(store.parts, NOW, lambda hook, _: hook == "render").last_run) == {"wpbridge"}
    insert(store, make_new("mail"))
    assert read(store.parts, NOW, lambda hook, _: hook == "render").last_run == {}


@pytest.mark.parametrize(
    ("then", "stopped"),
    [
        ("", 1),
        ("pending", 0),
        ("in-progress", 0),
        ("complete", 0),
        ("canceled", 0),
        ("failed", 1),
        ("other args", 1),
        ("other group", 1),
    ],
)
def test_a_recurring_action_has_stopped_when_nothing_came_after_its_failure(
    store: RunnerStore, then: str, stopped: int
) -> None:
    [before, failed, single] = insert(
        store, make_new(interval=60), make_new(interval=60, due_in=-30), make_new("single")
    )
    attempt(store, before, "complete", 9)
    attempt(store, failed, "failed", 3)
    attempt(store, single, "failed", 3)
    if then:
        args, group = (1,) if then == "other args" else (), "g" if then == "other group" else ""
        [later] = insert(store, make_new(interval=60, due_in=30, args=args, group=group))
        attempt(store, later, then if " " not in then else "pending", 1)
    assert reading(store).recurring_stopped == stopped


def test_a_chain_that_failed_long_ago_is_not_looked_at(store: RunnerStore) -> None:
    [old] = insert(store, make_new(interval=60))
    attempt(store, old, "failed", 60 * 24 * 40)
    assert reading(store).recurring_stopped == 0


def test_nothing_is_written_and_no_table_is_needed_but_the_plugins(store: RunnerStore) -> None:
    insert(store, make_new(interval=60))
    store.parts.own.drop()
    told = reading(store)
    assert (told.due, told.places, told.last_run) == (1, 0, {})


ROWS = {
    "pending": "('2026-11-01 00:00:00', '0000-00-00 00:00:00', 0)",
    "in-progress": "('2026-11-01 00:00:00', '2026-11-24 11:00:00', 7)",
    "failed": "('2026-11-01 00:00:00', '2026-11-20 00:00:00', 0)",
    "complete": "('2026-11-01 00:00:00', '2026-11-20 00:00:00', 7)",
}
"""By status: date, last attempt and claim."""


def crowd(store: RunnerStore, count: int) -> None:
    """So many actions of each status, and as many log rows; two hooks of the pending ones."""
    digits = (
        "WITH RECURSIVE digits (d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM digits WHERE d < 99),"
        " seq (n) AS (SELECT a.d * 100 + b.d FROM digits a, digits b)"
    )
    for status, row in ROWS.items():
        date, attempt, claim = row.strip("()").split(", ")
        hook = "CASE WHEN n % 2 = 0 THEN 'held' ELSE 'h' END"
        change(
            store,
            f"INSERT INTO {ACTIONS} (hook, status, scheduled_date_gmt, last_attempt_gmt, claim_id,"
            f" args, schedule, group_id) {digits} SELECT {hook}, '{status}', {date}, {attempt},"
            f" {claim}, '[]', 'O:28:\"ActionScheduler_NullSchedule\":0:{{}}', n % 3 FROM seq"
            " WHERE n < :count",
            count=count,
        )
    change(
        store,
        f"INSERT INTO {LOGS} (action_id, message, log_date_gmt, log_date_local) {digits}"
        " SELECT n, 'action complete via WP Cron', '2026-11-24 00:00:00', '2026-11-24 00:00:00'"
        " FROM seq WHERE n < :count",
        count=count,
    )


@pytest.mark.parametrize("held", [(), ("held",)])
def test_a_reading_reads_no_more_of_a_longer_queue(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, held: tuple[str, ...]
) -> None:
    for module, name in (
        (gauges, "CAP"),
        (under_test, "CAP"),
        (gauges, "SCANNED"),
        (gauges, "LONGEST"),
        (gauges, "LOG_ROWS"),
        (survey, "CAP"),
        (stopped_chains, "FAILURES"),
    ):
        monkeypatch.setattr(module, name, 20)
    monkeypatch.setattr(stopped_chains, "LATER", dict.fromkeys(stopped_chains.LATER, 20))
    pairs = store.parts.due_pairs
    monkeypatch.setattr(pairs, "due", partial(pairs.due, most=20))
    store.parts.held.tell(held)
    costs = []
    for more in (200, 800):
        crowd(store, more)
        if not store.parts.dialect.is_file:
            query(store, f"ANALYZE TABLE {ACTIONS}, {LOGS}")
        told, cost = read_for(store, lambda: reading(store))
        costs.append(cost)
    assert told.due == told.counts["pending"] == 20
    assert costs[1] <= costs[0] + 20, costs


# The last reading


def opener(dsn: str) -> Callable[[], OpenStore]:
    return lambda: open_store(DatabaseAddress.from_dsn(dsn), "wp_").parts


def test_the_last_reading_is_given_until_it_is_old(
    store: RunnerStore, dsn: str, clock: FakeClock
) -> None:
    insert(store, make_new())
    cached = Repeated(read, opener(dsn), clock)
    try:
        cached.wait(60)
        told = cached.latest()
        assert told is not None
        assert (told.due, told.at) == (1, NOW)
        clock.at = NOW + timedelta(minutes=5)
        assert cached.latest() is told
        clock.at = NOW + timedelta(minutes=5, seconds=1)
        assert cached.latest() is None
    finally:
        cached.close()
    assert not any(thread.name == "wpbridge-readings" for thread in threading.enumerate())


def test_a_failure_is_no_reading_and_the_next_attempt_opens_anew(
    store: RunnerStore, dsn: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeating, "BUSY_SHARE", 1.0)
    is_away, opened = threading.Event(), list[OpenStore]()

    def open_it() -> OpenStore:
        if is_away.is_set():
            raise StoreUnavailable("it refuses the login")
        opened.append(opener(dsn)())
        return opened[-1]

    def ask(store: OpenStore, now: datetime) -> Readings:
        if is_away.is_set():
            raise StoreUnavailable("gone")
        return read(store, now)

    cached = Repeated(ask, open_it, clock, every_seconds=0.01)
    try:
        cached.wait(60)
        assert cached.latest() is not None
        is_away.set()
        until(lambda: cached.latest() is None, "no reading")
        is_away.clear()
        until(lambda: cached.latest() is not None, "a reading")
        assert len(opened) == 2
    finally:
        cached.close()


def test_a_fault_of_a_reading_is_told_and_does_not_end_the_thread(
    store: RunnerStore,
    dsn: str,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(repeating, "BUSY_SHARE", 1.0)
    faults = [ValueError("a date that nobody expected")]

    def ask(store: OpenStore, now: datetime) -> Readings:
        if faults:
            raise faults.pop()
        return read(store, now)

    cached = Repeated(ask, opener(dsn), clock, every_seconds=0.01)
    try:
        until(lambda: cached.latest() is not None, "a reading")
    finally:
        cached.close()
    assert [record.message for record in caplog.records] == ["metrics.broken"]


def test_gauges_are_measured_with_history_and_advice(
    store: RunnerStore, dsn: str, clock: FakeClock
) -> None:
    store.parts.own.ensure(store.names.stats)
    insert(store, *[make_new(group="mail") for _ in range(3)])
    begin = NOW - timedelta(minutes=2)
    rows = [
        Count(begin=begin, hook="", group_id=0, outcome="due", actions=63, duration_seconds=1.0),
        Count(
            begin=begin + timedelta(minutes=1),
            hook="",
            group_id=0,
            outcome="due",
            actions=3,
            duration_seconds=1.0,
        ),
        Count(
            begin=begin,
            hook="h",
            group_id=0,
            outcome="complete",
            actions=120,
            duration_seconds=240.0,
            durations=tuple(120 * n for n in bucketed(2.0, DURATION_BOUNDS)),
        ),
    ]
    store.parts.stats.add(rows)
    store.tell_places(1)
    gauges = CachedGauges(opener(dsn), Settings(), clock)
    try:
        gauges.wait(60)
        values = gauges.numbers().values
    finally:
        gauges.close()
    assert values["wpbridge_scrape_success", ()] == 1
    assert values["wpbridge_due_actions", ("mail",)] == 3
    assert values["wpbridge_arrivals_per_second", ()] == 1.0
    assert values["wpbridge_offered_load", ()] == 2.0
    assert values["wpbridge_workers_advised", ()] >= 3
