"""Servers without SKIP LOCKED, or with nets for people, sites without the newer indexes, runners on other hosts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import Site
from conftest import execute
from factories import NOW, insert, make_new
from rows import change, log_of, query
from servers import MariaDB
from stores import again, registered
from wpbridge.clock import SystemClock
from wpbridge.outcome import LogLine
from wpbridge.runner.identity import identity
from wpbridge.runner.reaper import reap
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

OURS = ClaimFilter(hooks=frozenset({"ours"}))


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    it = open_queue(mysql_dsn)
    it.register(host="here", boot="boot", pid=1, pid_started="1")
    return it


def claimed(store: RunnerStore, limit: int, only: ClaimFilter = OURS) -> list[int]:
    claim = store.claim_due(now=NOW, limit=limit, only=only)
    return [action.id for action in claim.actions] if claim else []


def test_a_server_without_skip_locked_claims_the_same(store: RunnerStore) -> None:
    store.parts.dialect.can_skip_locked = False
    store = registered(store.parts)
    rows = store._claiming.rows
    assert "SKIP" not in rows.lock_due
    ids = insert(store, *[make_new("ours", due_in=-n) for n in range(1, 6)])
    assert claimed(store, 3) == ids[:1:-1]
    assert claimed(store, 3) == ids[1::-1]


@pytest.mark.parametrize(
    "dropped",
    [
        ["claim_id_status_priority_scheduled_date_gmt"],
        ["hook_status_scheduled_date_gmt"],
        [
            "claim_id_status_priority_scheduled_date_gmt",
            "hook_status_scheduled_date_gmt",
            "status_scheduled_date_gmt",
            "group_id",
        ],
    ],
)
def test_a_site_without_the_newer_indexes_still_works(
    store: RunnerStore, dropped: list[str]
) -> None:
    for name in dropped:
        change(store, f"ALTER TABLE wp_actionscheduler_actions DROP INDEX {name}")
    if "hook_status_scheduled_date_gmt" in dropped:
        change(store, "ALTER TABLE wp_actionscheduler_actions ADD INDEX hook (hook)")
    store = again(store)
    store.register(host="here", boot="boot", pid=1, pid_started="1")
    insert(store, *[make_new("other", due_in=-1000) for _ in range(700)])
    ids = insert(store, *[make_new("ours", due_in=-n, group="g") for n in range(1, 6)])
    grouped = ClaimFilter(hooks=frozenset({"ours"}), groups=frozenset({"g"}))
    assert claimed(store, 2) == ids[:2:-1]
    assert claimed(store, 9, grouped) == ids[2::-1]


def test_a_runner_of_another_host_is_reaped_when_its_beat_is_stale(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore], store: RunnerStore
) -> None:
    other = open_queue(mysql_dsn)
    other.register(host="elsewhere", boot="other", pid=1, pid_started="1")
    ids = insert(other, make_new("ours"), make_new("ours"))
    claim = other.claim_due(now=NOW, limit=2, only=OURS)
    assert claim is not None
    line = LogLine(message="action started via wpbridge", at=NOW)
    other.start([(claim.actions[0], [line])], now=NOW, once=False)
    clock = SystemClock()
    assert reap(store, identity(), clock) == frozenset()
    change(store, "UPDATE wp_wpbridge_runners SET beat_gmt = UTC_TIMESTAMP() - INTERVAL 46 SECOND")
    assert reap(store, identity(), clock) == set(ids)
    assert store.counts() == {"pending": 2}
    assert log_of(store, ids[0])[-1].startswith("action reset via wpbridge: its runner (elsewhere")
    assert log_of(store, ids[1]) == ["action created"]
    assert query(store, "SELECT 1 FROM wp_actionscheduler_claims") == []
    assert other.settle([], now=NOW) == frozenset()


def test_a_server_with_nets_for_people_at_a_keyboard(
    mariadb: MariaDB, mysql_dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    (tmp_path / "hooks.py").write_text("from wpbridge import hook\n@hook('h')\ndef h(): pass\n")
    execute(mariadb, "SET GLOBAL sql_safe_updates = 1, GLOBAL sql_select_limit = 1")
    try:
        store = open_queue(mysql_dsn)
        site = Site(mysql_dsn, tmp_path, store)
        for words in (
            "generate h now --count 5",
            "enqueue g --key k --unique --group new",
            "pause --hook g",
            "resume --hook g",
            "claim-and-run --handlers hooks",
            "reschedule --hook g --in 1h",
            "cancel --hook g",
            "release-claims --stale",
            "dedupe",
            "clean --older-than 0s --batch-size 2",
            "delete --hook g --status canceled",
            "uninstall --yes",
        ):
            done = site(*words.split())
            assert (done.code, done.err) == (0, ""), (words, done)
            if words.startswith("claim"):
                ended = "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status = 'complete'"
                assert query(store, ended) == [(5,)]
        assert query(store, "SELECT COUNT(*) FROM wp_actionscheduler_actions") == [(0,)]
    finally:
        execute(mariadb, "SET GLOBAL sql_safe_updates = 0, GLOBAL sql_select_limit = DEFAULT")
