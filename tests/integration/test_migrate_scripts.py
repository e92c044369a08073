"""The scripts to read and adapt, run as they lie there on real rows; what they did is looked at.

``transfer.py`` is among the tests of what it calls.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cli_helpers import clean_env
from conftest import ROOT
from factories import insert, make_new
from legacy_store import LegacyStore, make_tables
from rows import change, log_of, query
from servers import MariaDB
from wpbridge.clock import SystemClock, to_text
from wpbridge.codec import php
from wpbridge.codec.wp_cron import CronOption, Event, key_of
from wpbridge.migrate.transfer.files import read, source
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
LATER = 1_900_000_000


def script(name: str, *words: str, folder: Path) -> tuple[int, str, str]:
    """Exit code, and what it said."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "migrate" / f"{name}.py", *words],
        cwd=folder,
        env=clean_env(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def site(mariadb: MariaDB, mysql_dsn: str, tmp_path: Path) -> Path:
    """A folder whose wp-config names the test's database."""
    folder = tmp_path / "html"
    folder.mkdir()
    name = DatabaseAddress.from_dsn(mysql_dsn).name
    (folder / "wp-config.php").write_text(
        f"<?php define('DB_NAME', '{name}'); define('DB_USER', 'root'); define('DB_PASSWORD', '');"
        f" define('DB_HOST', 'localhost:{mariadb.socket}'); define('DB_CHARSET', 'utf8mb4');"
        " $table_prefix = 'wp_';\n",
        "utf-8",
    )
    return folder


def test_archive(dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path) -> None:
    store = open_queue(dsn)
    old, young, failed = insert(store, *[make_new("h", args=(n,)) for n in range(3)])
    now = SystemClock().now()
    for action, status, days in (
        (old, "complete", 32),
        (young, "complete", 30),
        (failed, "failed", 99),
    ):
        change(
            store,
            f"UPDATE {ACTIONS} SET status = :s, last_attempt_gmt = :d WHERE action_id = {action}",
            s=status,
            d=to_text(now - timedelta(days=days)),
        )
    code, out, err = script("archive", dsn, "old.jsonl.gz", folder=tmp_path)
    assert (code, out, err) == (0, "1 actions in old.jsonl.gz; read back, all well\n", "")
    with source(str(tmp_path / "old.jsonl.gz")) as stream:
        [line] = [line.value for line in read(stream) if "id" in line.value]
    assert (line["id"], line["args"], len(line["logs"])) == (old, [0], 1)
    assert [row[0] for row in query(store, f"SELECT action_id FROM {ACTIONS}")] == [young, failed]
    assert log_of(store, old) == []


def test_index(dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path) -> None:
    store = open_queue(dsn)
    insert(store, *[make_new("h") for _ in range(300)])
    for _ in range(2):
        code, out, err = script("index", dsn, folder=tmp_path)
        assert (code, err) == (0, "")
        assert "wpbridge_claim and sorts nothing" in out


def test_post_store(
    site: Path, mysql_dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    store = open_queue(mysql_dsn)
    legacy = LegacyStore(store)
    legacy.post("mail", args="[7]", group="post", logs=("action created", "action failed"))
    legacy.post("mail", args="[8]", status="in-progress")
    legacy.post("broken", args="{")
    code, out, err = script("post_store", str(site), "1", folder=tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("moved {'pending': 1, 'failed': 1}, left {")
    rows = query(
        store,
        f"SELECT a.hook, a.args, a.status, g.slug FROM {ACTIONS} a"
        " LEFT JOIN wp_actionscheduler_groups g ON g.group_id = a.group_id ORDER BY a.args",
    )
    assert [tuple(row) for row in rows] == [
        ("mail", "[7]", "pending", "post"),
        ("mail", "[8]", "failed", ""),
    ]
    [left] = (tmp_path / "left.jsonl").read_text("utf-8").splitlines()
    assert json.loads(left)["hook"] == "broken"
    assert legacy.count("posts") == 1
    assert (tmp_path / "post-store.journal").exists()


def event(hook: str, number: int) -> Event:
    args: php.PhpArray = {0: number}
    value = php.encode({b"schedule": False, b"args": args})
    return Event(date=LATER + number, hook=hook.encode(), key=key_of(args), value=value)


def test_wp_cron(
    site: Path, mysql_dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    store = open_queue(mysql_dsn)
    make_tables(store, ["options"])
    option = CronOption({b"version": 2})
    stays = event("mail", 3)
    option.add([event("shop_a", 1), event("shop_b", 2), stays])
    change(
        store,
        "INSERT INTO wp_options (option_name, option_value, autoload) VALUES ('cron', :v, 'yes')",
        v=option.encode().decode(),
    )
    code, out, err = script("wp_cron", str(site), "shop_*", folder=tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("moved 2 events; 0 left;")
    rows = query(store, f"SELECT hook, args, scheduled_date_gmt FROM {ACTIONS} ORDER BY hook")
    assert [(row[0], row[1], str(row[2])) for row in rows] == [
        ("shop_a", "[1]", "2030-03-17 17:46:41"),
        ("shop_b", "[2]", "2030-03-17 17:46:42"),
    ]
    [[left]] = query(store, "SELECT option_value FROM wp_options WHERE option_name = 'cron'")
    kept = CronOption({b"version": 2})
    kept.add([stays])
    assert str(left) == kept.encode().decode()
