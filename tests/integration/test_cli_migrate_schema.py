"""``migrate index``, ``migrate schema`` and ``migrate archive`` as they are typed."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import Site, clean_env, is_one_line, tables
from factories import NOW, insert, make_new
from rows import change, query
from wpbridge.cli import progress
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure import definitions

ACTIONS = "wp_actionscheduler_actions"


@pytest.fixture
def site(mysql_dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path) -> Site:
    return Site(mysql_dsn, tmp_path, open_queue(mysql_dsn))


def indexes(site: Site) -> set[str]:
    return {str(row[2]) for row in query(site.store, f"SHOW INDEX FROM {ACTIONS}")}


# index


def test_index_is_added_once_and_taken_away_again(site: Site) -> None:
    insert(site.store, *[make_new("h") for _ in range(50)])
    told = json.loads(site.ok("migrate", "index", "--dry-run", "--format", "json"))
    assert (told["needed"], told["changed"], told["index"]) == (True, False, None)
    assert site.ok("migrate", "index", "--sql") == f"{told['statement']};\n"
    assert "wpbridge_claim" not in indexes(site)
    assert site.ok("migrate", "index").startswith(f"added the claim index on {ACTIONS} (about")
    assert "wpbridge_claim" in indexes(site)
    again = site.ok("migrate", "index")
    assert again.startswith("nothing to add: wpbridge_claim is there")
    statement, summary = site.ok("migrate", "index", "--drop", "--dry-run").splitlines()
    assert statement.startswith(f"would run ALTER TABLE {ACTIONS} DROP INDEX wpbridge_claim")
    assert summary.startswith("would drop wpbridge_claim")
    assert site.ok("migrate", "index", "--drop").startswith("dropped wpbridge_claim")
    assert "wpbridge_claim" not in indexes(site)
    assert "nothing to drop" in site.ok("migrate", "index", "--drop")


def test_index_is_not_added_where_writers_would_wait(site: Site) -> None:
    change(site.store, f"ALTER TABLE {ACTIONS} ENGINE=MyISAM")
    done = site("migrate", "index")
    assert (done.code, "migrate schema fix" in done.err) == (78, True)
    assert "wpbridge_claim" not in indexes(site)


def test_index_leaves_what_somebody_else_made(site: Site) -> None:
    change(
        site.store,
        f"ALTER TABLE {ACTIONS} ADD INDEX theirs"
        " (claim_id, status, priority, attempts, scheduled_date_gmt, action_id)",
    )
    assert "nothing to add: theirs is there" in site.ok("migrate", "index")
    assert "left theirs: somebody else made it" in site.ok("migrate", "index", "--drop")
    assert "theirs" in indexes(site)


@pytest.mark.parametrize("wait", ["0s", "2h", "soon"])
def test_index_waits_within_bounds(lite: Site, wait: str) -> None:
    assert lite("migrate", "index", "--lock-wait", wait).code == 2


def test_index_on_sqlite(lite: Site) -> None:
    assert lite.ok("migrate", "index").startswith("added")
    assert "claim uses wp_actionscheduler_actions__wpbridge_claim" in lite.ok("migrate", "index")
    assert lite.ok("migrate", "index", "--drop").startswith("dropped")


FILL = (
    f"INSERT INTO {ACTIONS} (hook, status, scheduled_date_gmt, args, schedule, group_id)"
    " SELECT CONCAT('h', seq % 9), 'pending', '2026-11-01' + INTERVAL seq SECOND, '[]', '', 1"
    " FROM seq_1_to_100000"
)


def test_index_tells_how_far_the_server_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    change(site.store, FILL)
    monkeypatch.setattr(definitions, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    done = site("migrate", "index")
    assert done.code == 0
    assert re.search(r"^add index: \d\d % after 0:00:\d\d, 0:00:\d\d left$", done.err, re.MULTILINE)


def test_index_shows_a_bar_on_a_terminal(site: Site) -> None:
    done = site.terminal("migrate", "index")
    assert (done.code, "add index" in done.out) == (0, True)
    assert "added the claim index" in done.lines[-1]


CLAIMER = """
import sys
from datetime import UTC, datetime
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.connect import open_store
from wpbridge.store.running.runner_store import RunnerStore

store = RunnerStore(open_store(DatabaseAddress.from_dsn(sys.argv[1]), "wp_"))
store.register(host="there", boot="boot", pid=2, pid_started="2")
claims = 0
while True:
    claim = store.claim_due(now=datetime(2026, 11, 24, 12, tzinfo=UTC), limit=20, only=ClaimFilter())
    assert claim is not None
    store.release(claim.actions, finished=[claim.id])
    claims += 1
    print(claims, flush=True)
"""


def test_index_is_added_while_claims_go_on(site: Site) -> None:
    many = [make_new(f"h{n % 9}", due_in=-n % 9999) for n in range(1, 10_001)]
    for _ in range(5):
        insert(site.store, *many)
    with subprocess.Popen(
        [sys.executable, "-c", CLAIMER, site.dsn],
        env=clean_env(site.folder, _path()),
        stdout=subprocess.PIPE,
        text=True,
    ) as claimer:
        assert claimer.stdout is not None
        try:
            first = int(claimer.stdout.readline())
            done = site("migrate", "index", "--lock-wait", "5s")
            assert done.code == 0, done
            # A claim that fails ends it.
            assert claimer.poll() is None
            assert int(claimer.stdout.readline()) > first
        finally:
            claimer.kill()
    assert "wpbridge_claim" in indexes(site)


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}


# schema


def test_schema_is_verified_and_mended(site: Site) -> None:
    insert(site.store, make_new("h"))
    done = site("migrate", "schema", "verify", "--format", "json")
    assert done.code == 0, done
    change(site.store, f"ALTER TABLE {ACTIONS} DROP INDEX group_id")
    change(site.store, "ALTER TABLE wp_actionscheduler_logs ENGINE=MyISAM")
    change(site.store, "ALTER TABLE wp_actionscheduler_logs MODIFY message longtext NOT NULL")
    done = site("migrate", "schema", "verify", "--format", "json")
    assert done.code == 1
    found = {one["item"]: one for one in json.loads(done.out)}
    assert {"actions (group_id)", "logs", "logs.message"} <= set(found)
    before = tables(site.store)
    dry = site("migrate", "schema", "fix", "--dry-run")
    assert (dry.code, "would run ALTER TABLE" in dry.out) == (1, True)
    printed = site("migrate", "schema", "fix", "--sql")
    assert "ENGINE=InnoDB;" in printed.out
    assert "ALGORITHM=INPLACE, LOCK=NONE;" in printed.out
    assert "logs.message" in printed.err
    refused = site("migrate", "schema", "fix")
    assert (refused.code, "add --yes" in refused.err) == (2, True)
    assert site("migrate", "schema", "verify", "--format", "json").out == done.out
    fixed = site("migrate", "schema", "fix", "--yes", "--format", "json")
    assert fixed.code == 1
    told = json.loads(fixed.out)
    assert len(told["statements"]) == 2
    assert [one["item"] for one in told["left"] if one["severity"] != "note"] == ["logs.message"]
    assert tables(site.store) == before
    change(site.store, "ALTER TABLE wp_actionscheduler_logs MODIFY message text NOT NULL")
    assert site("migrate", "schema", "fix").out.endswith("layout 8, read off the tables: fine\n")


def test_schema_of_no_queue_is_told(site: Site) -> None:
    done = site("migrate", "schema", "verify", "--table-prefix", "other_")
    assert (done.code, "check --table-prefix" in done.err) == (78, True)


# archive


def old_rows(site: Site, count: int) -> None:
    insert(site.store, *[make_new("h", args=(n,)) for n in range(count)], now=NOW)
    change(
        site.store,
        f"UPDATE {ACTIONS} SET status = 'complete', last_attempt_gmt = '2020-01-01 00:00:00'",
    )


def test_archive_moves_and_import_brings_back(lite: Site) -> None:
    old_rows(lite, 30)
    dry = lite("migrate", "archive", "--output", ".", "--dry-run", "--format", "json")
    told = json.loads(dry.out)
    assert (told["actions"], told["statuses"]) == (30, {"complete": 30})
    assert told["samples"] == [{"id": n, "hook": "h", "status": "complete"} for n in (1, 2, 3)]
    dry = lite("migrate", "archive", "--output", ".", "--dry-run")
    assert dry.out.startswith(f"would archive 30 actions (30 complete) into {lite.folder}/actions-")
    assert [line.strip() for line in dry.err.splitlines()] == [f"{n} h complete" for n in (1, 2, 3)]
    refused = lite("migrate", "archive", "--output", ".")
    assert (refused.code, "add --yes" in refused.err) == (2, True)
    told = json.loads(
        lite.ok("migrate", "archive", "--output", "old.jsonl.gz", "--yes", "--format", "json")
    )
    assert (told["actions"], told["statuses"], told["problems"]) == (30, {"complete": 30}, [])
    assert query(lite.store, f"SELECT 1 FROM {ACTIONS}") == []
    assert "nothing is that old" in lite.ok("migrate", "archive", "--output", ".")
    lite.ok("migrate", "import", "--input", "old.jsonl.gz", "--into-itself", "--yes")
    assert len(query(lite.store, f"SELECT 1 FROM {ACTIONS} WHERE status = 'complete'")) == 30


def test_archive_takes_the_plugins_ages_and_what_is_asked(lite: Site) -> None:
    old_rows(lite, 4)
    change(lite.store, f"UPDATE {ACTIONS} SET hook = 'other' WHERE action_id = 2")
    change(lite.store, f"UPDATE {ACTIONS} SET status = 'canceled' WHERE action_id = 3")
    out = lite.ok("migrate", "archive", "--output", ".", "--hook", "h*", "--status", "complete")
    assert out.startswith(f"archived 2 actions into {lite.folder}/actions-")
    assert lite.ok("migrate", "archive", "--output", ".", "--quiet") == ""
    assert query(lite.store, f"SELECT 1 FROM {ACTIONS}") == []


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("none/old.jsonl.gz", "there is no folder /"),
        ("none", "no such folder"),
        ("q.txt", "ends in"),
    ],
)
def test_archive_tells_where_it_cannot_write(lite: Site, output: str, why: str) -> None:
    done = lite("migrate", "archive", "--output", output)
    assert is_one_line(done, 2)
    assert why in done.err


def test_what_a_fix_has_run_is_told_though_the_next_is_refused(site: Site) -> None:
    change(site.store, f"ALTER TABLE {ACTIONS} ALTER claim_id DROP DEFAULT")
    change(site.store, f"ALTER TABLE {ACTIONS} DROP INDEX group_id")
    change(site.store, f"ALTER TABLE {ACTIONS} ADD INDEX group_id (attempts)")
    done = site("migrate", "schema", "fix")
    assert done.code == 1
    [ran] = done.lines
    assert ran.startswith(f"ran ALTER TABLE {ACTIONS} ALTER COLUMN claim_id SET DEFAULT '0'")
    assert done.err.startswith("wpbridge: the database refused a statement: Duplicate key name")
    assert done.err.count("\n") == 1
