"""``migrate post-store --undo`` from the command line."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import Site, clean_env
from conftest import ROOT
from legacy_store import LegacyStore, snapshot
from servers import MariaDB
from wpbridge.cli import progress
from wpbridge.clock import SystemClock
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

JOURNAL = "moved.journal"
COMMAND = ("migrate", "post-store")
MOVE = (*COMMAND, "--journal", JOURNAL)
UNDO = (*COMMAND, "--undo", JOURNAL)


@pytest.fixture
def legacy(site: Site) -> LegacyStore:
    it = LegacyStore(site.store)
    it.post("one", status="publish")
    it.post("two")
    return it


def test_it_says_what_it_would_do_and_does_it(site: Site, legacy: LegacyStore) -> None:
    before = snapshot(site.store)
    site(*MOVE)
    seen = site(*UNDO, "--dry-run")
    assert (seen.code, seen.lines) == (
        0,
        [
            "e.g. action 1001: two [], 2026-03-01T10:00:00Z, pending to post 2, pending, 1 log row",
            "e.g. action 1002: one [], 2026-03-01T10:00:00Z, complete to post 1, publish, 1 log row",
            "would put 2 posts back",
        ],
    )
    assert legacy.count("actionscheduler_actions") == 2
    done = site(*UNDO, "--yes")
    assert (done.code, done.out) == (
        0,
        "put 2 posts back, the migration is no longer marked complete\n",
    )
    assert "wp cache flush" in done.err
    assert snapshot(site.store) == before
    again = site(*UNDO, "--yes")
    assert (again.code, again.out) == (0, "put 0 posts back, 2 there already\n")


def test_its_progress_tells_of_how_many(
    site: Site, legacy: LegacyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(*MOVE)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert legacy.count("posts") == 0
    for words, what in ((("--dry-run",), "look"), (("--yes",), "undo")):
        done = site(*UNDO, *words)
        assert re.search(rf"^{what}: 2 of 2, .*/s, 0:00:00 left$", done.err, re.MULTILINE), done


def test_without_a_terminal_it_wants_yes(site: Site, legacy: LegacyStore) -> None:
    site(*MOVE)
    done = site(*UNDO)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (0, 2)


def test_what_stays_is_told_and_is_exit_code_1(site: Site, legacy: LegacyStore) -> None:
    site(*MOVE)
    legacy.run("UPDATE wp_actionscheduler_actions SET status = 'canceled' WHERE hook = 'two'")
    done = site(*UNDO, "--yes", "--force")
    assert done.code == 1
    words = "put 1 post back, 1 have run or changed since and stay"
    assert done.out == f"{words}, the migration is no longer marked complete\n"


def test_json_has_every_count(site: Site, legacy: LegacyStore) -> None:
    site(*MOVE)
    assert legacy.count("posts") == 0
    zeros = dict.fromkeys(["present", "stayed", "busy", "taken", "gone", "damaged", "unwritten"], 0)
    seen = json.loads(site(*UNDO, "--dry-run", "--format", "json").out)
    samples = seen.pop("samples")
    assert seen == {"would_restore": 2, **zeros, "problems": [], "reopened": False}
    assert samples[0] == {
        "post": 2,
        "hook": "two",
        "args": "[]",
        "action": 1001,
        "from": "pending",
        "to": "pending",
        "scheduled": "2026-03-01T10:00:00Z",
        "logs": 1,
    }
    assert [one["hook"] for one in samples] == ["two", "one"]
    done = json.loads(site(*UNDO, "--yes", "--format", "json").out)
    assert done == {"restored": 2, **zeros, "problems": [], "reopened": True}


@pytest.mark.parametrize(
    "words",
    [
        ("--undo", "nowhere"),
        ("--undo", "other.journal", "--yes"),
        ("--undo", "elsewhere.journal", "--yes"),
        (*UNDO[2:], "--batch-size", "3", "--yes"),
        (*UNDO[2:], "--in-progress", "failed", "--yes"),
        (*UNDO[2:], "--journal", "other", "--yes"),
    ],
)
def test_what_is_given_wrong_changes_nothing(
    site: Site, legacy: LegacyStore, words: tuple[str, ...]
) -> None:
    site(*MOVE)
    assert legacy.count("posts") == 0
    header = {"journal": 1, "kind": "post-store", "site": "other", "asked": {}}
    (site.folder / "elsewhere.journal").write_text(json.dumps(header) + "\n")
    (site.folder / "other.journal").write_text("somebody's\n")
    done = site(*COMMAND, *words)
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (0, 2)
    assert (site.folder / "other.journal").read_text() == "somebody's\n"


def test_the_same_move_wants_another_journal(site: Site, legacy: LegacyStore) -> None:
    site(*MOVE)
    site(*UNDO, "--yes")
    done = site(*MOVE)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "its move was undone; to move again, name another with --journal" in done.err
    assert legacy.count("posts") == 2
    assert site(*MOVE, "--journal", "second.journal").code == 0
    assert legacy.count("posts") == 0


def test_a_journal_of_an_older_version_is_one_clear_line(site: Site, legacy: LegacyStore) -> None:
    site(*MOVE)
    file = site.folder / JOURNAL
    lines = file.read_text("utf-8").splitlines(keepends=True)
    old = [line for line in lines if '"undo":' not in line and '"to":' not in line]
    file.write_text("".join(old), "utf-8")
    (site.folder / f"{JOURNAL}.undo.jsonl.gz").unlink()
    done = site(*UNDO, "--yes")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "written by a version that kept nothing of the posts it deleted" in done.err
    assert legacy.count("posts") == 0


@pytest.mark.parametrize("step", ['{"to": "x"}', '{"moved": 5}', '{"completing": {}}', "[]", "{"])
def test_a_damaged_journal_is_one_clear_line(site: Site, legacy: LegacyStore, step: str) -> None:
    site(*MOVE)
    with (site.folder / JOURNAL).open("a") as stream:
        stream.write(f"{step}\n")
    done = site(*UNDO, "--yes")
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert "is damaged" in done.err
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (0, 2)


def test_runners_of_phps_are_refused_unless_forced(site: Site, legacy: LegacyStore) -> None:
    site(*MOVE)
    now = f"{SystemClock().now():%Y-%m-%d %H:%M:%S}"
    legacy.run(
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
        " VALUES (1, 'action started via WP Cron', :now, :now)",
        now=now,
    )
    done = site(*UNDO, "--yes")
    assert (done.code, legacy.count("posts")) == (75, 0)
    assert "--force" in done.err
    assert site(*UNDO, "--yes", "--force").code == 0
    assert legacy.count("posts") == 2


def test_what_the_script_moved_is_undone_from_the_command_line(
    mariadb: MariaDB, mysql_dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    site = Site(mysql_dsn, tmp_path, open_queue(mysql_dsn))
    LegacyStore(site.store).post("one")
    before = snapshot(site.store)
    html = tmp_path / "html"
    html.mkdir()
    (html / "wp-config.php").write_text(
        f"<?php define('DB_NAME', '{DatabaseAddress.from_dsn(mysql_dsn).name}');"
        " define('DB_USER', 'root'); define('DB_PASSWORD', '');"
        f" define('DB_HOST', 'localhost:{mariadb.socket}'); $table_prefix = 'wp_';\n"
    )
    moved = subprocess.run(
        [sys.executable, ROOT / "scripts/migrate/post_store.py", html],
        cwd=tmp_path,
        env=clean_env(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert moved.stdout == "moved {'pending': 1}, left {}; see left.jsonl\n"
    done = site(*COMMAND, "--undo", "post-store.journal", "--yes")
    assert (done.code, done.lines[-1]) == (
        0,
        "put 1 post back, the migration is no longer marked complete",
    )
    assert snapshot(site.store) == before
