"""The doctor on both databases: every check finds its trouble, and nothing in a healthy queue."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tables_of_0_1
from factories import insert as insert_at
from factories import make_new
from rows import change, column, log_of, query
from stores import again, way_of
from wpbridge import doctor
from wpbridge.access.keys import Allowed
from wpbridge.action import CALLBACK_HOOK, ActionId, ClaimId
from wpbridge.app import broker_sight
from wpbridge.clock import SystemClock, to_text
from wpbridge.doctor import ExaminedSite, Finding, examination, fixes
from wpbridge.doctor.checks_tables import _fault
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import LOCK_OPTION, MIGRATION_OPTION, PhpSight
from wpbridge.errors import StoreError
from wpbridge.executors.handlers import describe
from wpbridge.executors.php.frames import Hello
from wpbridge.executors.php.launch import Launch
from wpbridge.outcome import LogLine
from wpbridge.plugin import companion
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.site import wpconfig
from wpbridge.site.config import Settings
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site
from wpbridge.site.rules import Route
from wpbridge.store.base import ClaimFilter
from wpbridge.store.connect import connect
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading import survey
from wpbridge.store.records import Pause
from wpbridge.store.running.plans import Step
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.own_steps import VERSION
from wpbridge.store.upkeep.cleaning import AWAY, Cleaning
from wpbridge.system.datagrams import bound_to_path

ACTIONS = "wp_actionscheduler_actions"
LOGS = "wp_actionscheduler_logs"
CLAIMS = "wp_actionscheduler_claims"


def now() -> datetime:
    """When a test runs, not when it was collected: the doctor goes by the clock."""
    return datetime.now(UTC)


CONFIG = "<?php\ndefine('DB_NAME', 'x');\n$table_prefix = 'wp_';\n"

Examine = Callable[..., ExaminedSite]


def ago(**span: float) -> str:
    return to_text(now() - timedelta(**span))


def insert(store: RunnerStore, hook: str = "h", **more: Any) -> ActionId:
    [one] = insert_at(store, make_new(hook, now=now(), **more), now=now())
    return one


def options(store: RunnerStore, **values: str) -> None:
    change(
        store, "CREATE TABLE IF NOT EXISTS wp_options (option_name varchar(191), option_value text)"
    )
    for name, value in values.items():
        change(store, "INSERT INTO wp_options VALUES (:n, :v)", n=name, v=value)


def posts(store: RunnerStore, *statuses: str) -> None:
    change(store, "CREATE TABLE wp_posts (post_type varchar(20), post_status varchar(20))")
    for status in statuses:
        change(store, "INSERT INTO wp_posts VALUES ('scheduled-action', :s)", s=status)


@pytest.fixture
def examined(dsn: str, store: RunnerStore, open_queue: Callable[[str], RunnerStore]) -> Examine:
    """Makes the examined site: the queue of ``store``, which is a live runner, as another sees it."""

    def make(config: str = "", folder: Path | None = None, **more: Any) -> ExaminedSite:
        handlers = {"h": describe("h", lambda *_: None)}
        site = Site(
            name="t", database=DatabaseAddress.from_dsn(dsn), base_prefix="wp_", table_prefix="wp_"
        )
        if folder is not None:
            (folder / "wp-content").mkdir(exist_ok=True)
            (folder / "wp-settings.php").write_text("<?php")
            (folder / "wp-config.php").write_text(CONFIG + config)
            told = wpconfig.read(folder)
            site = replace(site, path=folder / "wp-config.php", folder=folder, config=told)
        return ExaminedSite(
            way=way_of(open_queue(dsn)),
            settings=Settings(**more),
            site=site,
            handlers=handlers,
            env={},
        )

    return make


def found(site: ExaminedSite, check: str) -> list[Finding]:
    return [f for f in doctor.examine(site, [check]).findings if f.level != "ok"]


def one(site: ExaminedSite, check: str) -> Finding:
    """The only finding, complete."""
    [finding] = found(site, check)
    assert finding.check == check
    assert finding.cause
    assert finding.effect
    assert finding.fixable == (check in doctor.FIXABLE)
    return finding


on_mysql = pytest.mark.parametrize("dsn", ["mariadb"], indirect=True)
on_sqlite = pytest.mark.parametrize("dsn", ["sqlite"], indirect=True)


# A healthy queue


def fill(store: RunnerStore, queue: Queue) -> None:
    """A bit of everything, as it should be."""
    insert(store)
    insert(store, due_in=3600, group="g")
    insert(store, "again", due_in=3600, interval=3600)
    insert(store, "again", due_in=3600, interval=60)
    for status in ("complete", "failed", "canceled"):
        row = insert(store)
        change(
            store,
            f"UPDATE {ACTIONS} SET status = '{status}', claim_id = 77,"
            " last_attempt_gmt = :at WHERE action_id = :i",
            at=ago(days=1),
            i=row,
        )
    first = queue.enqueue(Enqueue(hook="h", at="+1h"))
    assert first is not None
    queue.enqueue(Enqueue(hook="h", after=[first]))
    store.log([(first, LogLine(message="action started via WP Cron", at=now()))])
    change(store, f"INSERT INTO {CLAIMS} (date_created_gmt) VALUES (:at)", at=ago(minutes=1))


def test_nothing_is_found_in_a_healthy_queue(
    store: RunnerStore, examined: Examine, tmp_path: Path
) -> None:
    site = examined(folder=tmp_path)
    fill(store, Queue(site.store, close_store=False))
    options(
        store,
        **{
            MIGRATION_OPTION: "complete",
            LOCK_OPTION: f"x|{int(now().timestamp()) + 60}",
            "schema-ActionScheduler_StoreSchema": "8.0.1",
            "timezone_string": "Europe/Berlin",
        },
    )
    mode = "PRAGMA journal_mode = WAL" if site.server.is_file else "SET SESSION sql_mode = ''"
    query(site.store, mode) if "PRAGMA" in mode else change(site.store, mode)
    examination_ = doctor.examine(site.anew())
    assert [f for f in examination_.findings if f.level != "ok"] == []
    assert {f.check for f in examination_.findings} == set(doctor.NAMES)
    assert (examination_.is_healthy, examination_.skipped) == (True, ())
    assert doctor.mend(site) == []


def test_names_are_kebab_case_and_each_is_there_once() -> None:
    assert len(set(doctor.NAMES)) == len(doctor.NAMES)
    assert all(name == name.lower() and " " not in name for name in doctor.NAMES)
    assert set(doctor.NAMES) >= doctor.FIXABLE


def test_a_check_that_fails_is_a_finding_and_stops_no_other(examined: Examine) -> None:
    def fails(_: ExaminedSite) -> Finding:
        raise ZeroDivisionError("oh")

    def refuses(_: ExaminedSite) -> Finding:
        raise StoreError("no")

    checks = (Check(name="a", look=fails), Check(name="b", look=refuses), doctor.CHECKS[0])
    told = examination.examine(examined(), checks).findings
    assert [(f.check, f.level) for f in told] == [
        ("a", "problem"),
        ("b", "problem"),
        ("database", "ok"),
    ]
    assert "ZeroDivisionError: oh" in told[0].cause


# Server and session


def test_a_database_that_does_not_answer(examined: Examine, tmp_path: Path) -> None:
    address = DatabaseAddress.from_dsn(f"sqlite:///{tmp_path}/none/q.db")
    site = examined()
    site.way, site.site = connect(address, "wp_"), replace(site.site, database=address)
    examination_ = doctor.examine(site)
    assert [f.check for f in examination_.findings if f.level == "problem"] == ["database"]
    assert "backlog" in examination_.skipped
    assert not examination_.is_healthy
    # Whoever watches one thing alone hears that nobody looked at it, and why.
    watched = doctor.examine(site, {"backlog", "read-only", "replicas"})
    assert set(watched.skipped) == {"backlog", "read-only"}
    bad = {f.check: f.cause for f in watched.findings if f.level == "problem"}
    assert set(bad) == {"backlog", "read-only"}
    assert all("could not be made: " in cause and str(tmp_path) in cause for cause in bad.values())
    assert not watched.is_healthy


def test_tables_that_are_not_there(store: RunnerStore, examined: Examine) -> None:
    site = examined()
    change(store, f"DROP TABLE {LOGS}")
    examination_ = doctor.examine(site)
    bad = [f for f in examination_.findings if f.level == "problem"]
    assert [f.check for f in bad] == ["schema"]
    assert bad[0].fix == "wp action-scheduler fix-schema"
    assert {"backlog", "orphan-logs"} <= set(examination_.skipped)
    [watched] = doctor.examine(site, {"backlog"}).findings
    assert (watched.check, watched.level) == ("backlog", "problem")
    assert LOGS in watched.cause


def test_the_driver_is_named(examined: Examine) -> None:
    site = examined()
    [finding] = doctor.examine(site, ["database"]).findings
    assert finding.cause.endswith(f"; the driver is {site.info.driver}")


@on_mysql
def test_a_server_without_skip_locked(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    site = examined()
    old = site.store
    info = replace(site.info, skip_locked=False)
    site.__dict__["store"] = OpenStore(old.session, old.tables, info)
    assert one(site, "database").level == "note"


@on_mysql
def test_a_read_only_server(examined: Examine) -> None:
    site = examined()
    change(site.store, "SET GLOBAL read_only = 1")
    try:
        finding = one(site, "read-only")
    finally:
        change(site.store, "SET GLOBAL read_only = 0")
    assert finding.level == "problem"
    assert found(site, "read-only") == []


@on_mysql
@pytest.mark.parametrize("level", ["SERIALIZABLE", "READ UNCOMMITTED"])
def test_an_isolation_level_that_hurts(examined: Examine, level: str) -> None:
    site = examined()
    change(site.store, f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    assert one(site, "isolation").level == "warning"


@on_mysql
def test_autocommit_off(examined: Examine) -> None:
    site = examined()
    change(site.store, "SET SESSION autocommit = 0")
    finding = one(site, "autocommit")
    change(site.store, "SET SESSION autocommit = 1")
    assert (finding.level, "our session" in finding.cause) == ("problem", True)


@on_mysql
@pytest.mark.parametrize(
    ("mode", "level"), [("STRICT_ALL_TABLES", "problem"), ("ANSI_QUOTES", "note")]
)
def test_an_sql_mode_that_is_not_wordpresss(examined: Examine, mode: str, level: str) -> None:
    site = examined()
    change(site.store, f"SET SESSION sql_mode = '{mode}'")
    assert one(site, "sql-mode").level == level


class Shifted(SystemClock):
    """This host's clock, wrong."""

    def __init__(self, seconds: float) -> None:
        self.by = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self.by


@on_mysql
@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [(-30, "warning", "ahead of"), (30, "warning", "behind"), (600, "problem", "10 min behind")],
)
def test_a_clock_that_is_wrong(
    examined: Examine, *, seconds: float, level: str, words: str
) -> None:
    site = examined()
    site.clock = Shifted(seconds)
    finding = one(site, "clock")
    assert finding.level == level
    assert words in finding.cause


@pytest.mark.parametrize("skew", [0, 100, -100])
def test_phps_clock(examined: Examine, tmp_path: Path, skew: int) -> None:
    program = tmp_path / "php"
    program.write_text(f"#!/bin/sh\necho $(($(date +%s) + {skew})).5\n")
    program.chmod(0o755)
    site = examined(php=True)
    site.__dict__["launch"] = Launch(command=(str(program),), env={"PATH": "/usr/bin:/bin"})
    told = found(site, "php-clock")
    assert [f.level for f in told] == (["problem"] if skew else [])
    if skew:
        assert ("ahead" if skew > 0 else "behind") in told[0].cause


@on_sqlite
def test_sqlite_without_wal(examined: Examine) -> None:
    site = examined()
    finding = one(site, "sqlite")
    assert finding.level == "note"
    assert finding.fix.endswith("'PRAGMA journal_mode=WAL'")


# Tables


@pytest.mark.parametrize(
    ("schema", "level"),
    [("10.0.1", "problem"), ("4.0.1", "problem"), ("9.0.1", "warning"), ("", "note")],
)
def test_a_schema_that_does_not_fit(
    store: RunnerStore, examined: Examine, schema: str, level: str
) -> None:
    options(store, **({"schema-ActionScheduler_StoreSchema": schema} if schema else {}))
    assert one(examined(), "schema").level == level


@on_mysql
def test_tables_without_transactions(store: RunnerStore, examined: Examine) -> None:
    site = examined()
    change(store, f"ALTER TABLE {LOGS} ENGINE=MyISAM")
    assert one(site, "engine").level == "warning"
    del site.__dict__["sizes"]
    change(store, f"ALTER TABLE {ACTIONS} ENGINE=MyISAM")
    finding = one(site, "engine")
    assert (finding.level, finding.count) == ("problem", 2)
    assert ACTIONS in finding.fix


def drop_index(store: RunnerStore, *columns: str) -> None:
    """By what it covers: its name differs."""
    indexes = store.parts.dialect.indexes
    names = store.session.run(lambda c: indexes(c, ACTIONS))
    name = next(name for name, found_ in names.items() if tuple(found_) == columns)
    mysql_ = store.parts.dialect.name == "mysql"
    change(store, f"ALTER TABLE {ACTIONS} DROP INDEX {name}" if mysql_ else f'DROP INDEX "{name}"')


def test_missing_indexes(store: RunnerStore, examined: Examine) -> None:
    site = examined()
    drop_index(store, "status", "claim_id")
    drop_index(store, "args")
    finding = one(site, "indexes")
    assert (finding.level, finding.count) == ("warning", 2)
    assert f"{ACTIONS} (status, claim_id)" in finding.cause


@on_mysql
def test_a_claim_that_sorts(store: RunnerStore, examined: Examine) -> None:
    site = examined()
    change(
        store,
        f"INSERT INTO {ACTIONS} (hook, status, scheduled_date_gmt, args, schedule)"
        " SELECT 'h', 'pending', :at, '[]', '' FROM seq_1_to_3000",
        at=ago(days=1),
    )
    change(store, f"ANALYZE TABLE {ACTIONS}")
    assert found(site, "claim-plan") == []
    drop_index(store, "claim_id", "status", "priority", "scheduled_date_gmt")
    drop_index(store, "status", "scheduled_date_gmt")
    drop_index(store, "scheduled_date_gmt")
    del site.store
    finding = one(site, "claim-plan")
    assert "by-date sorts" in finding.cause


def test_a_plan_with_another_index(examined: Examine) -> None:
    step = Step(name="s", index="a", wanted="b", rows=5000, reads_all=False, sorts=False)
    assert _fault(step) == "s uses a and not b"
    assert _fault(replace(step, index="b")) == ""
    assert _fault(replace(step, reads_all=True)) == "s reads all 5,000 rows"
    assert _fault(replace(step, reads_all=True, rows=10)) == ""


@on_mysql
def test_ids_that_nobody_gives(store: RunnerStore, examined: Examine) -> None:
    site = examined()
    change(store, f"ALTER TABLE {LOGS} MODIFY log_id bigint(20) unsigned NOT NULL")
    finding = one(site, "auto-increment")
    assert (finding.level, finding.count) == ("problem", 1)
    assert LOGS in finding.cause


def test_ids_that_belong_to_posts(store: RunnerStore, examined: Examine) -> None:
    insert(store)
    options(store, action_scheduler_hybrid_store_demarkation="500")
    finding = one(examined(), "auto-increment")
    assert finding.level == "warning"
    if store.parts.dialect.name == "mysql":
        assert "AUTO_INCREMENT=500" in finding.fix
        change(store, f"ALTER TABLE {ACTIONS} AUTO_INCREMENT=500")
        assert one(examined(), "auto-increment").count == 1
    options(store, **{MIGRATION_OPTION: "complete"})
    assert found(examined(), "auto-increment") == []


def test_large_tables(
    store: RunnerStore, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_at(store, *[make_new(now=now()) for _ in range(3)], now=now())
    site = examined()
    monkeypatch.setattr("wpbridge.doctor.checks_tables.MANY_ROWS", 2)
    if not site.server.is_file:
        change(store, f"ANALYZE TABLE {ACTIONS}")
    assert one(site, "table-sizes").level == "note"
    monkeypatch.setattr("wpbridge.doctor.checks_tables.MANY_BYTES", 100)
    assert one(site, "table-sizes").level == "warning"


def test_missing_own_tables_are_made(store: RunnerStore, examined: Examine) -> None:
    site = examined()
    for table in ("waits", "keys"):
        change(store, f"DROP TABLE wp_wpbridge_{table}")
    finding = one(site, "own-tables")
    assert (finding.level, finding.count) == ("note", 2)
    assert [r.done for r in doctor.mend(site, ["own-tables"], dry_run=True)] == [
        "would have made wp_wpbridge_waits, wp_wpbridge_keys"
    ]
    assert one(site, "own-tables").count == 2
    [repair] = doctor.mend(site, ["own-tables"])
    assert (repair.check, repair.count) == ("own-tables", 2)
    assert found(site, "own-tables") == []


def test_own_tables_of_an_earlier_release_are_brought_forward(
    store: RunnerStore, examined: Examine
) -> None:
    site = examined()
    tables_of_0_1.lay(store)
    finding = one(site, "own-tables")
    assert finding.level == "note"
    assert "are of version 1" in finding.cause
    for dry_run in (True, False):
        [repair] = doctor.mend(site, ["own-tables"], dry_run=dry_run)
        assert repair.done.endswith(
            "made wp_wpbridge_held, wp_wpbridge_secrets, wp_wpbridge_results, wp_wpbridge_jobs,"
            " wp_wpbridge_api_keys, wp_wpbridge_stats, wp_wpbridge_audit, wp_wpbridge_traces,"
            " wp_wpbridge_alerts, wp_wpbridge_users, wp_wpbridge_sessions, wp_wpbridge_nonces,"
            " wp_wpbridge_site and"
            f" brought wpbridge's own tables forward to version {VERSION}"
        )
        assert bool(found(site, "own-tables")) is dry_run


def test_the_gateway_needs_its_packages_where_there_are_keys(
    store: RunnerStore, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert found(examined(), "gateway") == [], "nobody may call it"
    add_key(store, "shop")
    finding = one(examined(), "gateway")
    assert (finding.level, finding.fix) == ("note", "pip install 'wpbridge[web]'")
    assert "uvicorn" in finding.cause
    monkeypatch.undo()
    assert found(examined(), "gateway") == []


def test_keys_that_end_soon_are_named(store: RunnerStore, examined: Examine) -> None:
    add_key(store, "later", expires_seconds=30 * 86_400)
    add_key(store, "soon", expires_seconds=86_400)
    finding = one(examined(), "gateway")
    assert (finding.level, finding.count) == ("note", 1)
    assert finding.fix == "wpbridge keys rotate soon --expires 90d"


def test_a_gateway_that_other_hosts_reach_is_a_note(examined: Examine) -> None:
    for listen, is_told in (
        ("127.0.0.1:1", False),
        ("[::1]:1", False),
        ("unix:/s", False),
        ("0.0.0.0:1", True),
        ("[::]:1", True),
        ("192.0.2.1:1", True),
    ):
        told = found(examined(web_listen=listen), "gateway")
        assert [f.level for f in told] == ["note"] * is_told, listen


def add_key(store: RunnerStore, name: str, *, expires_seconds: int | None = None) -> None:
    rights = Allowed(rights=("enqueue",)).as_json()
    store.parts.api_keys.add(
        name, "0" * 64, rights=rights, expires_seconds=expires_seconds, who="cli:test"
    )


def test_a_missing_signing_secret_is_made_where_the_companion_is(
    store: RunnerStore, examined: Examine, tmp_path: Path
) -> None:
    site = examined()
    site.site = replace(site.site, mu_plugins=tmp_path)
    assert found(site, "signing-secret") == [], "nothing uses it"
    assert doctor.mend(site, ["signing-secret"]) == []
    companion.install(tmp_path, "wp_", companion.owned(site.settings, site.handlers))
    assert (one(site, "signing-secret").level, one(site, "signing-secret").fix) == (
        "note",
        "wpbridge init",
    )
    for dry_run in (True, False):
        [repair] = doctor.mend(site, ["signing-secret"], dry_run=dry_run)
        assert repair.done.endswith("made the site's signing secret")
        assert bool(found(site, "signing-secret")) is dry_run
    assert doctor.mend(site, ["signing-secret"]) == []
    store.parts.signing.rotate(expected=store.parts.signing.stored()[0].fingerprint)
    [finding] = doctor.examine(site, ["signing-secret"]).findings
    assert (finding.level, finding.cause) == (
        "ok",
        "there is a signing secret, and the previous one is valid too",
    )


@pytest.mark.parametrize(
    ("level", "said", "changed"),
    [
        ("problem", "1 signing secret(s) are damaged", "secret = 'ab' WHERE place = 'previous'"),
        ("problem", "2 signing secret(s) are damaged", "secret = 'AB'"),
        ("warning", "1 of them are not wpbridge's", "place = 'third' WHERE place = 'previous'"),
        ("warning", "the current one has one at", "retired_gmt = created_gmt"),
        ("warning", "the previous one has none at", "retired_gmt = NULL"),
        ("warning", "is of the future", "created_gmt = '2999-01-01 00:00:00'"),
        (
            "warning",
            "before it was made",
            "retired_gmt = '2001-01-01 00:00:00' WHERE place <> 'current'",
        ),
    ],
)
def test_signing_secrets_that_wpbridge_did_not_write(
    store: RunnerStore, examined: Examine, level: str, said: str, changed: str
) -> None:
    site = examined()
    signing = store.parts.signing
    signing.make()
    signing.rotate(expected=signing.stored()[0].fingerprint)
    assert found(site, "signing-secret") == []
    change(store, f"UPDATE wp_wpbridge_secrets SET {changed}")
    [finding] = found(site, "signing-secret")
    assert (finding.level, finding.fix) == (level, "wpbridge keys rotate-signing")
    assert said in finding.cause
    assert finding.effect
    current = next((o.fingerprint for o in signing.stored() if o.place == "current"), "")
    signing.rotate(expected=current)
    signing.rotate(expected=signing.stored()[0].fingerprint)
    assert found(site, "signing-secret") == [], "two rotations mend it"


def test_own_tables_of_a_newer_release(store: RunnerStore, examined: Examine) -> None:
    site = examined()
    change(store, "UPDATE wp_wpbridge_site SET value = '99' WHERE name = 'version'")
    assert found(site, "own-tables") == []
    change(store, "UPDATE wp_wpbridge_site SET value = '99' WHERE name = 'needs'")
    [finding] = found(site, "own-tables")
    assert (finding.level, finding.fixable) == ("problem", False)
    assert finding.fix == "pip install --upgrade wpbridge"
    assert doctor.mend(site, ["own-tables"]) == []


# The WordPress around


def test_handlers_that_cannot_be_loaded(examined: Examine) -> None:
    site = examined()
    site.handlers_fault = "handlers module x could not be imported"
    assert one(site, "handlers").level == "problem"


def test_an_unknown_time_zone(store: RunnerStore, examined: Examine) -> None:
    options(store, timezone_string="Mars/Olympus")
    assert "Mars/Olympus" in one(examined(), "time-zone").cause


def test_the_hybrid_store(store: RunnerStore, examined: Examine) -> None:
    options(store)
    posts(store, "pending", "publish", "in-progress")
    finding = one(examined(), "migration")
    assert (finding.level, finding.count) == ("note", 2)
    options(store, **{MIGRATION_OPTION: "complete"})
    finding = one(examined(), "migration")
    assert (finding.level, finding.count) == ("warning", 2)
    change(store, "DELETE FROM wp_posts WHERE post_status <> 'publish'")
    assert found(examined(), "migration") == []


@pytest.mark.parametrize("value", ["", "x|", "abc", "x|9999999999"])
def test_a_lock_that_never_ends(store: RunnerStore, examined: Examine, value: str) -> None:
    options(store, **{LOCK_OPTION: value})
    finding = one(examined(), "async-lock")
    assert finding.level == "warning"
    assert finding.fix == f"wp option delete {LOCK_OPTION}"


@pytest.mark.parametrize("value", ["x|1700000000", "1700000000"])
def test_a_lock_that_has_ended_is_free(store: RunnerStore, examined: Examine, value: str) -> None:
    options(store, **{LOCK_OPTION: value})
    assert found(examined(), "async-lock") == []


def gone(store: RunnerStore) -> None:
    """No runner lives."""
    change(store, "UPDATE wp_wpbridge_runners SET beat_gmt = '2026-01-01 00:00:00'")


def test_wp_cron_is_off(store: RunnerStore, examined: Examine, tmp_path: Path) -> None:
    config = "// define('DISABLE_WP_CRON', false);\ndefine( 'DISABLE_WP_CRON', true );\n"
    finding = one(examined(config, tmp_path), "wp-cron")
    assert finding.level == "note"
    assert re.search(
        r"seen all the same: wpbridge on \S+, pid \d+, beat \d+ \w+ ago$", finding.cause
    )
    gone(store)
    assert one(examined(config, tmp_path), "wp-cron").level == "warning"
    for value in ("false", "0", "''", "'0'", "getenv('X')"):
        config = f"define('DISABLE_WP_CRON', {value});"
        assert found(examined(config, tmp_path), "wp-cron") == []


@pytest.mark.parametrize(
    ("config", "drop_in", "words"),
    [
        ("", "<?php class hyperdb extends wpdb {}", "hyperdb"),
        ("", "<?php // LudicrousDB", "LudicrousDB"),
        ("", "<?php $wpdb = new own();", "db.php replaces"),
        ("define('DB_REPLICA_HOST', 'r');", "", "DB_REPLICA_HOST"),
        ("define('SLAVE_DB_HOST', 'r');", "", "SLAVE_DB_HOST"),
    ],
)
def test_replicas(examined: Examine, tmp_path: Path, config: str, drop_in: str, words: str) -> None:
    site = examined(config, tmp_path)
    if drop_in:
        (tmp_path / "wp-content" / "db.php").write_text(drop_in)
    finding = one(site, "replicas")
    assert finding.level == "note"
    assert words in finding.cause


def test_the_sqlite_plugins_drop_in_is_no_replica(examined: Examine, tmp_path: Path) -> None:
    site = examined("", tmp_path)
    (tmp_path / "wp-content" / "db.php").write_text("<?php define('SQLITE_DB_DROPIN_VERSION', 1);")
    assert found(site, "replicas") == []


def test_a_persistent_object_cache(examined: Examine, tmp_path: Path) -> None:
    site = examined("", tmp_path)
    (tmp_path / "wp-content" / "object-cache.php").write_text("<?php")
    assert one(site, "object-cache").fix == "wp cache flush"


def test_no_companion(examined: Examine, tmp_path: Path) -> None:
    site = examined()
    site.site, site.handlers = replace(site.site, mu_plugins=tmp_path), {}
    finding = one(site, "companion")
    assert (finding.level, finding.fix) == ("note", "wpbridge wp install-plugin")
    site.settings = replace(site.settings, owns_site=True)
    assert one(site, "companion").level == "warning"
    site.handlers_fault = "cannot be imported"
    assert found(site, "companion") == []
    site.handlers_fault = ""
    companion.install(tmp_path, "wp_", companion.owned(site.settings, site.handlers))
    assert found(site, "companion") == []


def test_a_companion_of_an_owned_site_and_settings_that_do_not_own_it(
    examined: Examine, tmp_path: Path
) -> None:
    site = examined()
    site.site = replace(site.site, mu_plugins=tmp_path)
    owning = replace(site.settings, owns_site=True, php=True)
    companion.install(tmp_path, "wp_", companion.owned(owning, site.handlers))
    first = found(site, "companion")[0]
    assert first.level == "warning"
    assert first.cause.startswith("nobody runs PHP's actions")
    assert "`owns_site = true`" in first.effect
    assert "`enabled = true` under [php]" in first.effect
    assert "hand the site back to PHP's runners: `wpbridge wp install-plugin`" in first.effect
    site.settings = replace(site.settings, php=True)
    assert not any("nobody runs" in one.cause for one in found(site, "companion"))
    site.settings = owning
    assert found(site, "companion") == []


@pytest.mark.parametrize("is_loaded", [True, False])
def test_handlers_without_a_companion_are_a_warning(
    examined: Examine, tmp_path: Path, is_loaded: bool
) -> None:
    site = examined()
    site.site = replace(site.site, mu_plugins=tmp_path)
    if is_loaded:
        site.handlers = {"h": describe("h", lambda *_: None)}
    else:
        site.left_out = ("shop_hooks",)
    finding = one(site, "companion")
    assert (finding.level, finding.fix) == ("warning", "wpbridge wp install-plugin")
    assert "fail them where WordPress has no callback" in finding.effect
    companion.install(tmp_path, "wp_", companion.owned(site.settings, site.handlers))
    assert found(site, "companion") == []


def test_a_dashboard_that_the_companion_does_not_show_or_cannot_reach(
    examined: Examine, tmp_path: Path
) -> None:
    site = examined()
    site.site = replace(site.site, mu_plugins=tmp_path)
    companion.install(tmp_path, "wp_", companion.owned(site.settings, site.handlers))
    site.settings = replace(site.settings, web_on_site=True)
    finding = one(site, "companion")
    assert (finding.level, finding.fix) == ("note", "wpbridge wp install-plugin")
    assert "it does not show the dashboard at /wpbridge/" in finding.cause
    companion.install(tmp_path, "wp_", companion.owned(site.settings, site.handlers))
    assert found(site, "companion") == []
    site.settings = replace(site.settings, web_listen="10.0.0.5:8787")
    _, blocked = found(site, "companion")
    assert (blocked.level, blocked.fix) == ("warning", "")
    assert blocked.cause.startswith("[web] on_site needs a `wpbridge serve` that PHP reaches")


def announce(store: RunnerStore, address: str, host: str = "") -> None:
    store.unregister()
    store.register(
        host=host or socket.gethostname(), boot="b", pid=1, pid_started="1", wake_address=address
    )


def test_wakes_that_php_does_not_send_or_that_do_not_arrive(
    store: RunnerStore, examined: Examine, tmp_path: Path
) -> None:
    site = examined()
    assert found(site, "wakes") == [], "the daemons only poll"
    folder = tmp_path / "mu-plugins"
    folder.mkdir()
    site.site = replace(site.site, mu_plugins=folder)
    announce(store, "udp:127.0.0.1:9")
    assert one(site, "wakes").fix == "wpbridge wp install-plugin"
    (folder / "wpbridge.php").write_text("<?php // wpbridge-companion-file")
    assert "too old" in one(site, "wakes").cause
    (folder / "wpbridge.php").unlink()
    companion.install(folder, "wp_", companion.owned(site.settings, site.handlers))
    [finding] = doctor.examine(site, ["wakes"]).findings
    assert (finding.level, finding.cause) == ("ok", "daemons hear wakes at udp:127.0.0.1:9")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="wpb") as place:
        path = Path(place, "s")
        announce(store, f"unix:{path}")
        assert "no socket is there" in one(site, "wakes").cause
        path.write_text("")
        assert "no socket is there" in one(site, "wakes").cause
        path.unlink()
        ear = bound_to_path(path, mode=0o660, group=None)
        Path(place).chmod(0o755)
        assert found(site, "wakes") == []
        if os.geteuid() == 0:
            os.chown(tmp_path, 65534, 65534)
            assert f"may not write to {path}" in one(site, "wakes").cause
            path.chmod(0o666)
            assert found(site, "wakes") == []
            Path(place).chmod(0o700)
            assert f"may not enter {place}" in one(site, "wakes").cause
            os.chown(tmp_path, 0, 0)
        ear.close()
        assert "nobody listens" in one(site, "wakes").cause
        announce(store, f"unix:{path}", host="another")
        assert found(site, "wakes") == [], "its files are not here"
    site.settings = replace(site.settings, wake_announce="no-such-host.invalid:9")
    assert "no-such-host.invalid:9, which has no address" in one(site, "wakes").cause


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("false", ("note", "switches wakes off")),
        ("''", ("note", "switches wakes off")),
        ("0", ("note", "switches wakes off")),
        ("'udp:queue.internal:9555'", ("warning", "names udp:queue.internal:9555")),
        ("'unix:relative unix:/run/s'", ("warning", "names unix:relative, ")),
        ("'unix:/run/s udp:10.0.0.5:9555 udp:[fd00::1]:9'", ("ok", "hear wakes")),
        ("getenv('X')", ("ok", "hear wakes")),
        ("'unix:' . $place", ("ok", "hear wakes")),
    ],
)
def test_wakes_that_wp_config_sends_elsewhere(
    store: RunnerStore, examined: Examine, tmp_path: Path, value: str, told: tuple[str, str]
) -> None:
    site = examined(f"define( 'WPBRIDGE_WAKE', {value} );", tmp_path)
    assert found(site, "wakes") == [], "the daemons only poll"
    announce(store, "udp:127.0.0.1:9")
    [finding] = doctor.examine(site, ["wakes"]).findings
    assert (finding.level, told[1] in finding.cause) == (told[0], True), finding


HELLO = Hello(
    worker=1,
    pid=1,
    php="8.2",
    wordpress="6.5",
    action_scheduler="4.0.0",
    store="ActionScheduler_DBStore",
    logger="ActionScheduler_DBLogger",
    url="http://x",
    zone="UTC",
    memory_limit=-1,
    prefix="wp_",
    sees_runner=None,
    wp_cli=None,
)


@pytest.mark.parametrize(
    ("hello", "level", "words"),
    [
        (replace(HELLO, prefix="other_"), "problem", "other_"),
        (replace(HELLO, store="Own_Store"), "problem", "Own_Store"),
        (replace(HELLO, store="ActionScheduler_HybridStore"), "note", "hybrid"),
        (replace(HELLO, logger="Own_Logger"), "note", "Own_Logger"),
    ],
)
def test_a_wordpress_that_does_not_fit(
    examined: Examine, hello: Hello, level: str, words: str
) -> None:
    site = examined(php=True)
    site.__dict__["php"] = PhpSight(hello=hello, callbacks={})
    finding = one(site, "php")
    assert (finding.level, words in finding.cause) == (level, True)
    site.__dict__["php"] = PhpSight(hello=HELLO, callbacks={})
    assert found(site, "php") == []


def test_a_wordpress_that_does_not_start(examined: Examine, tmp_path: Path) -> None:
    program = tmp_path / "php"
    program.write_text("#!/bin/sh\necho 'PHP Fatal error: no' >&2; exit 255\n")
    program.chmod(0o755)
    site = examined(php=True)
    site.__dict__["launch"] = Launch(command=(str(program),), env={"PATH": "/usr/bin:/bin"})
    finding = one(site, "php")
    assert (finding.level, "does not start" in finding.cause) == ("problem", True)
    # Said once
    assert found(site, "php-clock") == found(site, "php-callbacks") == []


def test_a_hook_without_a_callback(store: RunnerStore, examined: Examine) -> None:
    site = examined(php=True)
    site.__dict__["php"] = PhpSight(hello=HELLO, callbacks={"x": False, "y": True, "h": False})
    finding = one(site, "php-callbacks")
    assert (finding.count, finding.cause) == (1, "no callback in PHP: x")


# Who runs what


def test_nobody_has_been_seen(store: RunnerStore, examined: Examine) -> None:
    told = doctor.examine(examined(), ["runners"]).findings[0]
    assert "wpbridge on here, pid 1" in told.cause
    gone(store)
    finding = one(examined(), "runners")
    assert (finding.level, finding.fix) == ("note", "wpbridge claim-and-run")
    assert "nothing has ever run" in finding.cause
    row = insert(store)
    store.parts.edits.cancel([row], now=now(), reason="by hand")
    assert one(examined(), "runners").level == "note"
    store.log([(row, LogLine(message="action complete via wpbridge", at=now()))])
    store.log([(row, LogLine(message="Aktion gestartet mittels WP Cron", at=now()))])
    told = doctor.examine(examined(), ["runners"]).findings[0]
    assert told.level == "ok"
    assert "WP Cron" in told.cause
    assert "wpbridge" in told.cause


def mine(store: RunnerStore) -> None:
    """The runner is said to be this host's, and no such process is there."""
    change(
        store,
        "UPDATE wp_wpbridge_runners SET host = :h, boot = :b, pid_started = '0'",
        h=identity().host,
        b=identity().boot,
    )


def test_a_dead_runner(store: RunnerStore, examined: Examine) -> None:
    insert(store)
    assert store.claim_due(now=now(), limit=1, only=ClaimFilter())
    mine(store)
    finding = one(examined(), "dead-runners")
    assert (finding.level, finding.fix) == ("warning", "wpbridge claim-and-run")
    # Its claim is put back by the next run, not freed as a stale one
    assert found(examined(), "stale-claims") == []
    change(store, "UPDATE wp_wpbridge_runners SET claims = ''")
    assert one(examined(), "dead-runners").level == "note"


def test_phps_runners_wait_for_our_claim(
    store: RunnerStore, examined: Examine, tmp_path: Path
) -> None:
    insert(store)
    assert store.claim_due(now=now(), limit=1, only=ClaimFilter())
    site = examined()
    finding = one(site, "concurrency")
    assert (finding.level, finding.count) == ("note", 1)
    site.site = replace(site.site, mu_plugins=tmp_path)
    companion.install(tmp_path, "wp_", companion.owned(site.settings, site.handlers))
    assert found(site, "concurrency") == []


def test_pauses(examined: Examine) -> None:
    site = examined()
    queue = Queue(site.store, close_store=False)
    queue.pause(groups=["a b"], reason="so")
    queue.pause(everything=True, until="+1h")
    told = found(site, "pauses")
    assert {f.fix for f in told} == {
        "wpbridge resume --all",
        "wpbridge resume --group 'a b'",
    }
    assert any("until resumed: so" in f.cause for f in told)


def test_a_backlog(store: RunnerStore, examined: Examine) -> None:
    row = insert(store, due_in=-3 * 3600)
    insert(store, due_in=-10)
    finding = one(examined(), "backlog")
    assert (finding.level, finding.count) == ("warning", 2)
    assert finding.fix == f"wpbridge explain {row}"
    assert "for 3 h" in finding.cause
    gone(store)
    finding = one(examined(), "backlog")
    assert (finding.level, finding.fix) == ("problem", "wpbridge claim-and-run")
    Queue(store.parts, close_store=False).pause(everything=True)
    assert one(examined(), "backlog").fix == "wpbridge resume --all"


def ours(examined: Examine, **more: Any) -> ExaminedSite:
    return examined(owns_site=True, **more)


def test_nobody_runs_a_site_that_is_ours(store: RunnerStore, examined: Examine) -> None:
    row = insert(store, due_in=-3 * 3600)
    assert found(ours(examined), "runners") == []
    gone(store)
    for check in ("runners", "backlog"):
        finding = one(ours(examined), check)
        assert (finding.level, finding.fix) == ("problem", "wpbridge claim-and-run")
        assert f"action {row}, hook h) for 3 h" in finding.cause
        assert "owns_site" in finding.cause
        assert not doctor.examine(ours(examined), [check]).is_healthy
    # The plugin's own runners are on where the site is not ours.
    assert one(examined(), "runners").level == "note"
    # A runner that died a while ago is not there any more, whatever the log of the last hour says.
    store.log([(row, LogLine(message="action complete via wpbridge", at=now() - AWAY))])
    assert one(ours(examined), "runners").level == "problem"
    assert one(ours(examined), "backlog").level == "problem"


@pytest.mark.parametrize("way", ["log", "upkeep"])
def test_between_two_runs_that_cron_starts_no_runner_lives(
    store: RunnerStore, examined: Examine, way: str
) -> None:
    row = insert(store, due_in=-3 * 3600)
    gone(store)
    if way == "log":
        store.log([(row, LogLine(message="action complete via wpbridge", at=now()))])
    else:
        store.parts.duties.take("claims", "a run")
        store.parts.duties.give_back("claims", "a run", after_seconds=55)
    assert doctor.examine(ours(examined), ["runners", "backlog"]).is_healthy
    if way == "upkeep":
        change(store, "UPDATE wp_wpbridge_duties SET due_gmt = :at", at=ago(minutes=11))
        assert not doctor.examine(ours(examined), ["runners", "backlog"]).is_healthy


def test_a_run_that_held_all_that_it_took_was_a_run(store: RunnerStore, examined: Examine) -> None:
    """It leaves no log and no runner's row; its claim wrote the date of an attempt."""
    row = insert(store, due_in=-3 * 3600)
    gone(store)
    checks = ["runners", "backlog"]
    for minutes, levels in ((59, ["note", "warning"]), (61, ["note", "problem"])):
        change(
            store,
            f"UPDATE {ACTIONS} SET last_attempt_gmt = :at WHERE action_id = :i",
            at=ago(minutes=minutes),
            i=row,
        )
        told = doctor.examine(examined(), checks).findings
        assert [finding.level for finding in told] == levels, minutes
        hour = any("has been seen for an hour" in finding.cause for finding in told)
        assert hour == (minutes == 61)


def test_what_waits_rightly_is_not_overdue(store: RunnerStore, examined: Examine) -> None:
    gone(store)
    insert(store, "fresh", due_in=-30)
    for hook, group in (("paused", ""), ("x", "quiet"), ("held", ""), ("y", "")):
        insert(store, hook, group=group, due_in=-3 * 3600)
    queue = Queue(store.parts, close_store=False)
    queue.pause(hooks=["paused"], groups=["quiet"])
    store.parts.held.tell(["held"])
    assert "hook y" in one(ours(examined), "runners").cause
    queue.cancel([record.id for record in queue.find(hooks=("y",))])
    told = doctor.examine(ours(examined), ["runners", "backlog"])
    assert told.is_healthy
    assert any("1 more are held back" in finding.cause for finding in told.findings)
    queue.resume(hooks=["paused"], groups=["quiet"])
    assert one(ours(examined), "runners").level == "problem"
    queue.pause(everything=True)
    assert one(ours(examined), "runners").level == "note"


def test_what_a_dead_runner_holds_is_overdue_too(store: RunnerStore, examined: Examine) -> None:
    insert(store, due_in=-3 * 3600)
    assert store.claim_due(now=now(), limit=1, only=ClaimFilter())
    mine(store)
    assert one(ours(examined), "runners").level == "problem"


def test_phps_runners_are_on_for_as_long_as_upkeep_is_left_to_them(
    store: RunnerStore, examined: Examine
) -> None:
    row = insert(store)
    store.log([(row, LogLine(message="action started via WP Cron", at=now() - AWAY))])
    assert found(ours(examined), "runners") == []
    late = now() - AWAY + timedelta(minutes=1)
    store.log([(row, LogLine(message="action started via WP Cron", at=late))])
    assert "within the last 10 min" in one(ours(examined), "runners").effect


def test_a_backlog_of_zero_dates_tells_no_age(store: RunnerStore, examined: Examine) -> None:
    insert(store)
    change(store, f"UPDATE {ACTIONS} SET scheduled_date_gmt = '0000-00-00 00:00:00'")
    [told] = doctor.examine(examined(), ["backlog"]).findings
    assert (told.level, told.cause) == ("ok", "1 action(s) are due, all with a zero date")


def test_more_hooks_than_can_be_looked_at(
    store: RunnerStore, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store, "x"), insert(store, "y")
    monkeypatch.setattr("wpbridge.store.rows.inventory.MOST_HOOKS", 1)
    assert "too many hooks" in one(examined(), "unrouted-hooks").cause


def test_hooks_that_go_nowhere(store: RunnerStore, examined: Examine) -> None:
    insert(store, "x")
    insert(store, "h")
    insert(store, "later", due_in=100)
    finding = one(examined(), "unrouted-hooks")
    assert (finding.level, finding.count) == ("warning", 1)
    assert "alone by wpbridge's settings: x;" in finding.cause
    assert one(examined(owns_site=True), "unrouted-hooks").level == "problem"
    assert found(examined(php=True), "unrouted-hooks") == []
    site = examined()
    site.handlers = {}
    assert one(site, "unrouted-hooks").level == "note"
    row = insert(store)
    store.log([(row, LogLine(message="action started via WP CLI", at=now()))])
    assert found(examined(), "unrouted-hooks") == []


def held(store: RunnerStore, claim: int, age: float, status: str = "pending") -> ActionId:
    """An action in a claim of one of PHP's runners."""
    row = insert(store)
    change(
        store,
        f"UPDATE {ACTIONS} SET claim_id = :c, status = :s, last_attempt_gmt = :at"
        " WHERE action_id = :i",
        c=claim,
        s=status,
        at=ago(seconds=age),
        i=row,
    )
    return row


def claims_row(store: RunnerStore, claim: int, age: float) -> None:
    change(
        store,
        f"INSERT INTO {CLAIMS} (claim_id, date_created_gmt) VALUES (:c, :at)",
        c=claim,
        at=ago(seconds=age),
    )


def test_stale_claims(store: RunnerStore, examined: Examine) -> None:
    held(store, 900, 400), held(store, 900, 400), held(store, 901, 500)
    held(store, 902, 100)
    # Its runner lives: another row of it has just started
    held(store, 903, 400), held(store, 903, 5, "in-progress")
    finding = one(examined(), "stale-claims")
    assert (finding.level, finding.count) == ("warning", 3)
    assert "in 2 claim(s)" in finding.cause
    assert finding.fix == "wpbridge release-claims --stale"


def test_running_without_a_sign(store: RunnerStore, examined: Examine) -> None:
    row = held(store, 900, 400, "in-progress")
    held(store, 901, 20, "in-progress")
    finding = one(examined(), "stale-running")
    assert (finding.count, str(row) in finding.cause) == (1, True)
    assert (finding.effect[:30], finding.fix[:3]) == ("the next run of PHP's cleaner ", "wp ")
    finding = one(examined(owns_site=True), "stale-running")
    assert (finding.effect[:28], finding.fix) == (
        "the next run of wpbridge fai",
        "wpbridge claim-and-run",
    )
    assert "nobody ends them" in one(examined(owns_site=True, upkeep=False), "stale-running").effect


def test_php_runs_a_site_that_is_ours(store: RunnerStore, examined: Examine) -> None:
    row = insert(store)
    store.log([(row, LogLine(message="action started via Action Scheduler CLI", at=now()))])
    assert found(examined(owns_site=True), "runners") == []
    store.log([(row, LogLine(message="action started via WP Cron", at=now()))])
    assert found(examined(), "runners") == []
    assert found(examined(owns_site=True, upkeep=False), "runners") == []
    finding = one(examined(owns_site=True), "runners")
    assert (finding.level, finding.fix) == ("warning", "wpbridge wp install-plugin")


def test_orphan_claims(store: RunnerStore, examined: Examine) -> None:
    # Upkeep takes what is 300 s old, so the doctor names what is as old; before it was a day.
    for claim, age in ((900, 310), (901, 310), (902, 250)):
        claims_row(store, claim, age)
    held(store, 901, 10)
    finding = one(examined(), "orphan-claims")
    assert (finding.level, finding.count) == ("note", 1)


# Rows


def test_orphan_logs(
    store: RunnerStore, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(store)
    store.log([(ActionId(4711), LogLine(message="gone", at=now()))] * 3)
    insert(store)
    assert one(examined(), "orphan-logs").count == 3
    monkeypatch.setattr(survey, "SCANNED", 1)
    monkeypatch.setattr(survey, "LOG_WINDOWS", 2)
    assert "among a sample" in one(examined(), "orphan-logs").cause


def test_logs_of_posts_are_not_judged(store: RunnerStore, examined: Examine) -> None:
    store.log([(ActionId(4711), LogLine(message="of a post", at=now()))])
    options(store)
    posts(store, "publish")
    assert found(examined(), "orphan-logs") == []
    assert doctor.mend(examined(), ["orphan-logs"]) == []


def test_duplicate_chains(store: RunnerStore, examined: Examine) -> None:
    for _ in range(3):
        insert(store, "again", interval=60, due_in=100)
    insert(store, "again", interval=70), insert(store, "again", interval=60, args=(1,))
    insert(store), insert(store)
    finding = one(examined(), "duplicate-chains")
    assert (finding.count, finding.fix) == (2, "wpbridge dedupe --dry-run")


def test_stopped_chains(store: RunnerStore, examined: Examine) -> None:
    stopped, goes_on = insert(store, "stop it", interval=60), insert(store, "go on", interval=60)
    for row in (stopped, goes_on):
        change(
            store,
            f"UPDATE {ACTIONS} SET status = 'failed', last_attempt_gmt = :at WHERE action_id = :i",
            at=to_text(now()),
            i=row,
        )
    insert(store, "go on", interval=60, due_in=100)
    finding = one(examined(), "stopped-chains")
    assert (finding.count, finding.fix) == (1, "wpbridge failures --hook 'stop it'")


@pytest.mark.parametrize(
    ("changes", "is_fixable"),
    [
        ("args = '{'", True),
        ("args = NULL", True),
        ("schedule = 'x'", True),
        ("schedule = NULL", True),
        ("args = '{', claim_id = 9", False),
        # PHP may read it: a date in words
        (
            'schedule = \'O:30:"ActionScheduler_SimpleSchedule":1:{s:9:"timestamp";s:8:"tomorrow";}\'',
            False,
        ),
    ],
)
def test_corrupt_rows(
    store: RunnerStore, examined: Examine, *, changes: str, is_fixable: bool
) -> None:
    row = insert(store)
    insert(store)
    change(store, f"UPDATE {ACTIONS} SET {changes} WHERE action_id = :i", i=row)
    [finding] = found(examined(), "corrupt-rows")
    assert (finding.count, finding.fixable) == (1, is_fixable)
    assert finding.fix == f"wpbridge get {row}"
    assert bool(doctor.mend(examined(), ["corrupt-rows"], dry_run=True)) == is_fixable


@pytest.mark.parametrize(
    "blob", ['O:8:"Odd_Kind":0:{}', 'O:28:"actionscheduler_NULLschedule":0:{}x\n']
)
def test_what_php_alone_reads_or_reads_as_we_do_is_not_corrupt(
    store: RunnerStore, examined: Examine, blob: str
) -> None:
    insert(store)
    change(store, f"UPDATE {ACTIONS} SET schedule = :s", s=blob)
    assert found(examined(), "corrupt-rows") == []


def test_only_the_first_rows_are_read(
    store: RunnerStore, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "SCANNED", 2)
    monkeypatch.setattr("wpbridge.doctor.checks_rows.SCANNED", 2)
    last = insert(store, due_in=-1)
    insert(store, due_in=-9), insert(store, due_in=-9)
    change(store, f"UPDATE {ACTIONS} SET args = '{{' WHERE action_id = :i", i=last)
    [told] = doctor.examine(examined(), ["corrupt-rows"]).findings
    assert (told.level, "among the first 2" in told.cause) == ("ok", True)


def test_zero_and_null_dates(store: RunnerStore, examined: Examine) -> None:
    zero, null, other = insert(store), insert(store), insert(store, due_in=900)
    change(
        store,
        f"UPDATE {ACTIONS} SET scheduled_date_gmt = '0000-00-00 00:00:00' WHERE action_id = :i",
        i=zero,
    )
    change(store, f"UPDATE {ACTIONS} SET scheduled_date_gmt = NULL WHERE action_id = :i", i=null)
    site = examined()
    Queue(site.store, close_store=False).enqueue(Enqueue(hook="h", after=[other]))
    assert one(site, "zero-dates").count == 1
    finding = one(site, "null-dates")
    assert (finding.level, finding.count) == ("warning", 1)
    assert finding.fix == f"wpbridge reschedule {null} --at now"


def test_held_waits(store: RunnerStore, examined: Examine) -> None:
    site = examined()
    queue = Queue(site.store, close_store=False)
    first = insert(store, due_in=100)
    queue.enqueue_many(
        [
            Enqueue(hook="h", after=[first]),
            Enqueue(hook="h", after=[first], after_failed="run"),
        ]
    )
    assert found(site, "held-waits") == []
    change(store, f"UPDATE {ACTIONS} SET status = 'failed' WHERE action_id = :i", i=first)
    finding = one(site, "held-waits")
    assert (finding.count, finding.fix) == (1, f"wpbridge requeue {first}")


def with_keys(store: RunnerStore) -> list[ActionId]:
    """Schema 9; a key on an ended action, and one on a pending one."""
    kind = "varchar(191)" if store.parts.dialect.name == "mysql" else "TEXT"
    change(store, f"ALTER TABLE {ACTIONS} ADD COLUMN unique_key {kind} NULL")
    change(store, f"CREATE UNIQUE INDEX unique_key ON {ACTIONS} (unique_key)")
    ended, live = insert(store), insert(store)
    change(
        store,
        f"UPDATE {ACTIONS} SET status = 'complete', last_attempt_gmt = :at WHERE action_id = :i",
        at=ago(days=1),
        i=ended,
    )
    for row in (ended, live):
        change(store, f"UPDATE {ACTIONS} SET unique_key = 'v1:{row}' WHERE action_id = {row}")
    return [ended, live]


def test_unique_keys_of_ended_actions(store: RunnerStore, examined: Examine) -> None:
    assert found(examined(), "unique-keys") == []
    with_keys(store)
    finding = one(examined(), "unique-keys")
    assert (finding.level, finding.count) == ("warning", 1)


def test_twin_groups(store: RunnerStore, examined: Examine) -> None:
    for slug in ("a", "a", "b"):
        change(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES (:s)", s=slug)
    finding = one(examined(), "group-twins")
    assert (finding.count, "'a'" in finding.cause) == (1, True)


def test_what_nobody_deletes(
    store: RunnerStore, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status, days in (("complete", 40), ("complete", 20), ("failed", 100), ("failed", 50)):
        row = insert(store)
        change(
            store,
            f"UPDATE {ACTIONS} SET status = :s, last_attempt_gmt = :at WHERE action_id = :i",
            s=status,
            at=ago(days=days),
            i=row,
        )
    finding = one(examined(), "retention")
    assert finding.level == "note"
    assert finding.cause.endswith("1 complete, 1 failed")
    monkeypatch.setattr("wpbridge.doctor.checks_rows.CAP", 0)
    assert one(examined(), "retention").level == "warning"
    change(store, f"DELETE FROM {ACTIONS} WHERE status = 'complete'")
    assert one(examined(), "retention").fix == "wpbridge clean --dry-run --status failed"


# Mending


TABLES = ("actions", "claims", "logs", "groups")


def whole(store: RunnerStore) -> dict[str, Sequence[Sequence[object]]]:
    """Every row of the plugin's tables, and who runs."""
    found_ = {name: query(store, f"SELECT * FROM wp_actionscheduler_{name}") for name in TABLES}
    return {**found_, "runners": query(store, "SELECT runner_id, claims FROM wp_wpbridge_runners")}


def troubled(store: RunnerStore) -> dict[str, list[ActionId]]:
    """All that can be mended, beside all that must not be touched."""
    [ended, live_key] = with_keys(store)
    made = {
        "stale": [held(store, 900, 400), held(store, 900, 400)],
        "running": [held(store, 901, 5000, "in-progress")],
        "fresh": [held(store, 902, 20)],
        "corrupt": [insert(store, due_in=-5), insert(store, due_in=5)],
        "claimed-corrupt": [held(store, 903, 20)],
        "key": [ended],
        "live-key": [live_key],
    }
    for rows_ in (made["corrupt"], made["claimed-corrupt"]):
        for row in rows_:
            change(store, f"UPDATE {ACTIONS} SET args = '{{' WHERE action_id = :i", i=row)
    for claim, age in ((900, 90_000), (901, 90_000), (950, 90_000), (951, 90_000), (952, 50)):
        claims_row(store, claim, age)
    store.log([(ActionId(4711), LogLine(message="gone", at=now()))] * 2)
    store = again(store)
    return made


def test_a_dry_run_changes_nothing_and_tells_everything(
    store: RunnerStore, examined: Examine
) -> None:
    troubled(store)
    site = examined()
    before = whole(store)
    told = doctor.mend(site, dry_run=True)
    assert whole(store) == before
    assert {r.check: r.count for r in told} == {
        "stale-claims": 2,
        "orphan-claims": 2,
        "orphan-logs": 2,
        "unique-keys": 1,
        "corrupt-rows": 2,
    }
    assert all(r.done.startswith("would have ") and not r.failed for r in told)


def test_what_is_mended_and_what_is_left(
    store: RunnerStore, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixes, "BATCH", 1)
    made = troubled(store)
    before = whole(store)
    dry = {r.check: r.count for r in doctor.mend(examined(), dry_run=True)}
    told = doctor.mend(examined())
    assert {r.check: r.count for r in told} == dry
    after = whole(store)
    touched = {*made["stale"], *made["corrupt"], *made["key"]}
    assert [r for r in after["actions"] if r[0] not in touched] == [
        r for r in before["actions"] if r[0] not in touched
    ]
    assert {int(str(r[0])) for r in after["claims"]} == {901, 952}
    assert (after["groups"], after["runners"]) == (before["groups"], before["runners"])
    for row in made["stale"]:
        assert (column(store, "claim_id", row), column(store, "status", row)) == (0, "pending")
        assert log_of(store, row) == ["action created", "action reset"]
    for row in made["corrupt"]:
        assert column(store, "status", row) == "canceled"
        assert "its data cannot be read: args are no JSON" in log_of(store, row)[-1]
    assert column(store, "unique_key", made["key"][0]) is None
    assert column(store, "unique_key", made["live-key"][0]) is not None
    kept = [r for r in before["logs"] if r[1] != 4711]
    assert [r for r in after["logs"] if r in kept] == kept
    assert not [r for r in after["logs"] if r[1] == 4711]
    # Once more there is nothing to do, and the checks agree
    assert doctor.mend(examined()) == []
    assert [f.check for f in doctor.examine(examined(), doctor.FIXABLE).findings if f.fixable] == []
    assert one_left(examined()) == made["claimed-corrupt"][0]


def one_left(site: ExaminedSite) -> int:
    """A row that a runner has claimed is the runner's to fail."""
    [finding] = found(site, "corrupt-rows")
    return int(finding.fix.split()[-1])


def test_only_what_is_named_is_mended(store: RunnerStore, examined: Examine) -> None:
    troubled(store)
    before = whole(store)
    assert [r.check for r in doctor.mend(examined(), ["unique-keys"])] == ["unique-keys"]
    after = whole(store)
    assert (after["claims"], after["logs"]) == (before["claims"], before["logs"])


def test_claims_of_wpbridge_runners_are_left_alone(store: RunnerStore, examined: Examine) -> None:
    insert(store)
    claim = store.claim_due(now=now(), limit=1, only=ClaimFilter())
    assert claim is not None
    change(store, f"UPDATE {ACTIONS} SET last_attempt_gmt = :at", at=ago(hours=2))
    change(store, f"UPDATE {CLAIMS} SET date_created_gmt = :at", at=ago(days=3))
    before = whole(store)
    assert doctor.mend(examined()) == []
    mine(store)
    assert doctor.mend(examined()) == []
    assert whole(store) == before


def test_a_corrupt_row_that_is_claimed_meanwhile_is_left(
    store: RunnerStore, examined: Examine
) -> None:
    row = insert(store)
    change(store, f"UPDATE {ACTIONS} SET args = '{{', claim_id = 5")
    assert fixes._canceled(examined(), row, "why") == 0
    assert column(store, "status", row) == "pending"


def test_a_repair_that_fails_says_so_and_stops_no_other(
    store: RunnerStore, examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubled(store)
    site = examined()

    def refuse(claims: Sequence[ClaimId]) -> int:
        raise StoreError("the database refused a statement")

    monkeypatch.setattr(Cleaning, "drop_empty", lambda _, c: refuse(c))
    told = {r.check: r for r in doctor.mend(site)}
    assert (told["orphan-claims"].failed, told["orphan-claims"].count) == (True, 0)
    assert not told["corrupt-rows"].failed


@on_mysql
@pytest.mark.parametrize("value", ["0", "2"])
def test_a_server_that_forgets_commits(examined: Examine, value: str) -> None:
    handlers = {"pay": describe("pay", lambda: None, at_most_once=True)}
    site = replace(examined(), handlers=handlers)
    name = "innodb_flush_log_at_trx_commit"
    change(site.store, f"SET GLOBAL {name} = {value}")
    try:
        finding = one(site, "durability")
    finally:
        change(site.store, f"SET GLOBAL {name} = 1")
    assert finding.level == "warning"
    assert f"{name} is {value}" in finding.cause
    assert finding.effect.endswith("must not: pay")
    assert finding.fix == f"SET GLOBAL {name} = 1"
    assert found(site, "durability") == []


def test_what_is_in_progress_in_nobodys_hand(examined: Examine, store: RunnerStore) -> None:
    action = insert(store)
    assert found(examined(), "orphans") == []
    change(
        store,
        f"UPDATE {ACTIONS} SET status = 'in-progress', claim_id = 99, last_attempt_gmt = :at"
        " WHERE action_id = :i",
        at=ago(minutes=3),
        i=action,
    )
    # Who started it tells who puts it right.
    assert found(examined(), "orphans") == []
    store.log([(action, LogLine(message="action started via wpbridge", at=now()))])
    finding = one(examined(), "orphans")
    assert (finding.level, finding.count) == ("warning", 1)
    assert str(action) in finding.cause


@pytest.mark.parametrize(
    ("due_in", "kind", "words"),
    [
        (-60, "", None),
        (-300, "serve", None),
        (-300, "", "no wpbridge runner lives"),
        (-900, "work", "the runners that live are busy, or leave them out"),
        # Neither a relay nor a worker of Celery runs wpbridge's own hooks.
        (-300, "relay", "no wpbridge runner lives"),
        (-300, "celery", "no wpbridge runner lives"),
    ],
)
def test_callbacks_that_nobody_runs(
    store: RunnerStore, examined: Examine, due_in: int, kind: str, words: str | None
) -> None:
    if kind:
        store.tell_about(json.dumps({"kind": kind}))
    else:
        store.unregister()
    insert(store, "h", due_in=-9000)
    insert(store, "WPBRIDGE_CALLBACK", due_in=-9000)
    insert(store, CALLBACK_HOOK, due_in=due_in, group="wpbridge")
    if words is None:
        assert found(examined(), "own-hooks") == []
        return
    finding = one(examined(), "own-hooks")
    assert finding.level == "problem"
    assert finding.cause.startswith(
        "1 action(s) of wpbridge's own (callbacks and bulks) are due, the first for "
    )
    assert words in finding.cause
    store.parts.pauses.add([Pause(kind="group", name="wpbridge")], now=now())
    assert found(examined(), "own-hooks") == []


# Celery

CELERY_ROUTE = (Route(to="celery", hook="h"),)
BROKER = {"routes": CELERY_ROUTE, "celery_broker": "redis://:s3cret@127.0.0.1:1/0"}


def test_a_route_to_celery_needs_a_broker(examined: Examine) -> None:
    finding = one(examined(routes=CELERY_ROUTE), "celery-routes")
    assert (finding.level, finding.count) == ("problem", 1)
    assert finding.cause.startswith("route 1 to Celery, but [celery] broker is not set")
    assert found(examined(**BROKER), "celery-routes") == []
    assert found(examined(), "celery-routes") == []


def test_a_broker_that_does_not_answer_is_named_without_its_password(examined: Examine) -> None:
    finding = one(examined(**BROKER), "broker")
    assert finding.level == "problem"
    assert finding.cause.startswith("redis://127.0.0.1:1/0: the broker does not answer")
    assert "s3cret" not in repr(finding)


def test_where_no_broker_is_set_none_is_asked(examined: Examine) -> None:
    told = 'import sys, wpbridge.doctor.checking\nsys.exit("kombu" in sys.modules)'
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
    assert found(examined(routes=CELERY_ROUTE), "broker") == []


def test_a_package_that_is_missing_is_named(
    examined: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_sight, "_is_there", lambda name: name != "redis")
    finding = one(examined(**BROKER), "broker")
    assert (finding.level, finding.fix) == ("problem", "pip install 'wpbridge[celery]'")
    assert finding.cause.endswith("this Python lacks redis")


@pytest.mark.parametrize(("due_in", "level"), [(-30, "warning"), (-900, "problem")])
def test_what_is_due_for_celery_needs_a_relay(
    store: RunnerStore, examined: Examine, due_in: int, level: str
) -> None:
    insert(store, due_in=due_in)
    insert(store, "other", due_in=due_in)
    assert found(examined(), "relays") == []
    finding = one(examined(**BROKER), "relays")
    assert (finding.level, finding.count, finding.fix) == (level, 1, "wpbridge relay")
    store.tell_about('{"kind": "relay"}')
    assert found(examined(**BROKER), "relays") == []
    # A relay runs nothing that is due here.
    told = one(examined(**BROKER), "runners")
    assert told.cause.startswith("only a relay on here, pid 1")


def test_what_was_handed_over_needs_a_worker(
    dsn: str, store: RunnerStore, examined: Examine, open_queue: Callable[[str], RunnerStore]
) -> None:
    insert(store)
    store.tell_about('{"kind": "relay"}')
    assert store.claim_due(now=now(), limit=1, only=ClaimFilter())
    assert found(examined(**BROKER), "handed") == []
    change(store, f"UPDATE {CLAIMS} SET date_created_gmt = :at", at=ago(minutes=3))
    finding = one(examined(**BROKER), "handed")
    assert (finding.level, finding.count) == ("problem", 1)
    assert finding.fix == "celery -A wpbridge.celery_app worker"
    assert "the first for 3 min, and no worker of Celery lives" in finding.cause
    worker = open_queue(dsn)
    worker.register(host="there", boot="b", pid=2, pid_started="2")
    worker.tell_about('{"kind": "celery"}')
    assert found(examined(**BROKER), "handed") == []


def test_on_a_site_of_ours_a_relay_alone_is_nobody_who_runs_what_is_due(
    store: RunnerStore, examined: Examine
) -> None:
    insert(store, "other", due_in=-900)
    store.tell_about('{"kind": "relay"}')
    assert one(examined(owns_site=True, **BROKER), "backlog").level == "problem"
    store.tell_about('{"kind": "work"}')
    assert one(examined(owns_site=True, **BROKER), "backlog").level == "warning"


@pytest.mark.parametrize("status", ["complete", "canceled"])
def test_callbacks_of_jobs_that_php_ended_and_nobody_released(
    store: RunnerStore, examined: Examine, queue: Queue, status: str
) -> None:
    job = insert(store, due_in=-7200)
    callback = queue.enqueue(Enqueue(hook=CALLBACK_HOOK, after=[job], after_failed="run"))
    assert callback is not None
    store.unregister()
    assert found(examined(), "own-hooks") == []
    tried = ago(minutes=30) if status == "complete" else None
    change(
        store,
        f"UPDATE {ACTIONS} SET status = :s, last_attempt_gmt = :at WHERE action_id = :i",
        s=status,
        at=tried,
        i=job,
    )
    assert "1 action(s) of wpbridge's own" in one(examined(), "own-hooks").cause
    store.register(host="here", boot="boot", pid=1, pid_started="1")
    assert found(examined(), "own-hooks") == []
