"""Who runs the queue, as the page of workers shows it."""

import json
import os
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from factories import NOW, insert, make_new
from rows import change
from wpbridge.clock import to_text
from wpbridge.dashboard import workers as under_test
from wpbridge.dashboard.workers import PhpRunner, workers_of
from wpbridge.monitor.glance import advice_at_a_glance
from wpbridge.outcome import LogLine
from wpbridge.queue.facade import Queue
from wpbridge.queue.status import status_of
from wpbridge.runner.identity import Identity, identity
from wpbridge.site.config import Settings
from wpbridge.store.base import ClaimFilter, StartPlan
from wpbridge.store.reading import live_claims
from wpbridge.store.reading.live_claims import LiveClaims
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.upkeep.claim_holders import owned_claims

ACTIONS = "wp_actionscheduler_actions"
CLAIMS = "wp_actionscheduler_claims"
LOGS = "wp_actionscheduler_logs"
RUNNERS = "wp_wpbridge_runners"
ME = Identity(host="watcher", boot="b", pid=1, pid_started="1")
OpenQueue = Callable[[str], RunnerStore]


def claim_by_php(store: RunnerStore, claim: int, minutes_ago: float, *ids: int) -> None:
    at = to_text(NOW - timedelta(minutes=minutes_ago))
    change(
        store, f"INSERT INTO {CLAIMS} (claim_id, date_created_gmt) VALUES (:c, :at)", c=claim, at=at
    )
    for one in ids:
        change(store, f"UPDATE {ACTIONS} SET claim_id = :c WHERE action_id = :i", c=claim, i=one)


def test_of_an_empty_queue_nobody_is_shown(store: RunnerStore) -> None:
    change(store, f"DELETE FROM {RUNNERS}")
    seen = workers_of(store.parts, NOW)
    assert (seen.runners, seen.claims, seen.php) == ((), (), ())
    assert (seen.more_runners, seen.has_more_claims, seen.alive) == (0, False, 0)
    store.parts.own.drop()
    assert workers_of(store.parts, NOW).runners == ()


def test_a_runner_is_shown_with_what_it_runs_and_for_how_long(store: RunnerStore) -> None:
    store.tell_about(json.dumps({"kind": "work", "executors": {"python": 2}, "memory": 5 << 20}))
    store.tell_places(2)
    insert(store, *[make_new("pay", args=(n,)) for n in range(3)])
    plan = StartPlan(
        chosen=lambda actions: [actions[0].id],
        log_line=LogLine(message="action started via wpbridge", at=NOW - timedelta(seconds=90)),
    )
    claim = store.claim_due(now=NOW, limit=3, only=ClaimFilter(), start_plan=plan)
    assert claim is not None
    # A beat renews the sign of life; the start stays what it was.
    store.heartbeat([claim.actions[0].id], now=NOW)
    seen = workers_of(store.parts, NOW, me=ME)
    [one], [held] = seen.runners, seen.claims
    assert (one.host, one.pid, one.places, one.about.kind) == ("here", 1, 2, "work")
    assert (one.life, one.is_here, one.wish, one.has_obeyed) == ("alive", False, "", True)
    [running] = one.running
    assert (running.id, running.hook, one.seconds(running, NOW)) == (claim.actions[0].id, "pay", 90)
    assert (held.claim.id, held.holder, held.runner) == (claim.id, "wpbridge", one.id)
    assert (held.claim.pending, held.claim.running, held.life) == (2, 1, "alive")


def test_a_relay_is_shown_with_what_it_has_handed_over(
    dsn: str, store: RunnerStore, open_queue: OpenQueue
) -> None:
    store.tell_about(json.dumps({"kind": "relay"}))
    worker = open_queue(dsn)
    worker.register(host="there", boot="b", pid=2, pid_started="2")
    worker.tell_about(json.dumps({"kind": "celery"}))
    insert(store, *[make_new() for _ in range(3)])
    claim = store.claim_due(now=NOW, limit=2, only=ClaimFilter())
    assert claim is not None
    seen = workers_of(store.parts, NOW, me=ME)
    assert [(one.about.kind, one.handed) for one in seen.runners] == [
        ("relay", 2),
        ("celery", None),
    ]
    assert (seen.handed, [one.kind for one in seen.claims]) == (2, ["relay"])
    with closing(Queue(store.parts, close_store=False)) as queue:
        [held] = owned_claims(queue, NOW)
        assert (held.kind, held.claim.pending) == ("relay", 2)
        found = status_of(queue.store, Settings(), NOW)
    assert found.handed == 2
    assert [one.about.kind for one in found.runners] == ["relay", "celery"]
    # Of both, no place is one for what is due here.
    assert advice_at_a_glance(store.parts, found, Settings(), NOW).workers_now == 0


def test_without_a_relay_nothing_is_handed_over(store: RunnerStore) -> None:
    store.tell_about(json.dumps({"kind": "work"}))
    insert(store, make_new())
    assert store.claim_due(now=NOW, limit=1, only=ClaimFilter())
    seen = workers_of(store.parts, NOW, me=ME)
    assert (seen.handed, seen.runners[0].handed) == (None, None)
    assert status_of(store.parts, Settings(), NOW).handed == 0


@pytest.mark.parametrize(
    ("age", "life"), [(0, "alive"), (30, "silent"), (60, "dead"), (100_000, "dead")]
)
def test_a_runner_elsewhere_is_judged_by_its_beat(store: RunnerStore, age: int, life: str) -> None:
    change(store, f"UPDATE {RUNNERS} SET beat_gmt = {_ago(store, age)}")
    [one] = workers_of(store.parts, NOW, me=ME).runners
    assert one.life == life


def _ago(store: RunnerStore, seconds: int) -> str:
    if store.parts.dialect.is_file:
        return f"datetime('now', '-{seconds} seconds')"
    return f"UTC_TIMESTAMP() - INTERVAL {seconds} SECOND"


def test_a_runner_here_whose_process_is_gone_is_dead_at_once(store: RunnerStore) -> None:
    me = identity()
    store.unregister()
    store.register(host=me.host, boot=me.boot, pid=me.pid, pid_started="1")
    [one] = workers_of(store.parts, NOW, me=me).runners
    assert (one.is_here, one.life, one.pid) == (True, "dead", os.getpid())


def test_claims_are_told_apart_by_whose_they_are(
    store: RunnerStore, dsn: str, open_queue: OpenQueue
) -> None:
    ids = insert(store, *[make_new(args=(n,)) for n in range(7)])
    mine = store.claim_due(now=NOW, limit=2, only=ClaimFilter())
    assert mine is not None
    free = [one for one in ids if one not in {action.id for action in mine.actions}]
    claim_by_php(store, 900, 1, *free[:2])
    claim_by_php(store, 901, 10, *free[2:4])
    claim_by_php(store, 902, 10)
    # Of one that a cleaner has removed, the actions still tell.
    change(store, f"UPDATE {ACTIONS} SET claim_id = 903 WHERE action_id = :i", i=free[4])
    seen = workers_of(store.parts, NOW, me=ME)
    told = [(one.claim.id, one.holder, one.life, one.age_seconds) for one in seen.claims]
    assert told[1:] == [
        (900, "php", "alive", 60),
        (901, "nobody", "dead", 600),
        (903, "nobody", "dead", None),
    ]
    assert told[0][:3] == (mine.id, "wpbridge", "alive")
    assert [one.claim.pending for one in seen.claims] == [2, 2, 2, 1]
    # A sign of life of one of its actions is one of the claim.
    change(
        store,
        f"UPDATE {ACTIONS} SET status = 'in-progress', last_attempt_gmt = :at WHERE action_id = :i",
        at=to_text(NOW - timedelta(minutes=2)),
        i=free[2],
    )
    [_, _, third, _] = workers_of(store.parts, NOW, me=ME).claims
    assert (third.holder, third.claim.pending, third.claim.running) == ("php", 1, 1)


def test_of_very_many_claims_the_oldest_are_shown_whole(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = insert(store, *[make_new(args=(n,)) for n in range(12)])
    for number in range(4):
        claim_by_php(store, 900 + number, 1, *ids[number * 3 : number * 3 + 3])
    monkeypatch.setattr(under_test, "CLAIMS", 3)
    seen = workers_of(store.parts, NOW, me=ME)
    assert [(one.claim.id, one.claim.pending) for one in seen.claims] == [
        (900, 3),
        (901, 3),
        (902, 3),
    ]
    assert seen.has_more_claims
    monkeypatch.setattr(under_test, "CLAIMS", 4)
    assert not workers_of(store.parts, NOW, me=ME).has_more_claims
    # Where reading ends within a claim, that one is not shown with half of what it has.
    monkeypatch.setattr(live_claims, "SCANNED", 7)
    found = LiveClaims(store.parts.tables).oldest(10)
    assert [(one.id, one.pending) for one in found.claims] == [(900, 3), (901, 3)]
    assert not found.is_whole


def test_of_very_many_runners_the_oldest_are_shown(
    store: RunnerStore, dsn: str, open_queue: OpenQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        open_queue(dsn).register(host=f"h{number}", boot="b", pid=2, pid_started="2")
    monkeypatch.setattr(under_test, "MOST_RUNNERS", 2)
    seen = workers_of(store.parts, NOW, me=ME)
    assert ([one.host for one in seen.runners], seen.more_runners) == (["here", "h0"], 2)


def test_phps_runners_are_known_by_the_log_of_the_last_hour(store: RunnerStore) -> None:
    [action] = insert(store, make_new())
    for message, minutes in (
        ("action started via WP Cron", 5),
        ("action complete via WP Cron", 4),
        ("action started via Async Request", 30),
        ("action started via wpbridge", 1),
        ("action started via WP CLI", 90),
    ):
        at = to_text(NOW - timedelta(minutes=minutes))
        change(
            store,
            f"INSERT INTO {LOGS} (action_id, message, log_date_gmt, log_date_local)"
            " VALUES (:i, :m, :at, :at)",
            i=action,
            m=message,
            at=at,
        )
    assert workers_of(store.parts, NOW).php == (
        PhpRunner(name="WP Cron", last_at=NOW - timedelta(minutes=4)),
        PhpRunner(name="Async Request", last_at=NOW - timedelta(minutes=30)),
    )
