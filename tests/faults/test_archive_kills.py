"""An archive killed at any moment: each row is in the file once or in the tables, and at the end
in the file only."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import warm
from cli_helpers import clean_env
from factories import NOW, insert, make_new
from rows import change, query
from wpbridge.migrate.archive import ENDING
from wpbridge.migrate.transfer.files import read, source
from wpbridge.store.running.runner_store import RunnerStore

ROWS = 1_500


def rows_in(file: Path) -> list[int]:
    with source(str(file)) as stream:
        return [line.value["id"] for line in read(stream) if "id" in line.value]


def test_killed_again_and_again_it_loses_and_doubles_nothing(
    dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    store = open_queue(dsn)
    ids = [int(i) for i in insert(store, *[make_new("h", args=(n,)) for n in range(ROWS)], now=NOW)]
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete',"
        " last_attempt_gmt = '2020-01-01 00:00:00'",
    )
    out = tmp_path / "out"
    out.mkdir()
    command = [
        sys.executable,
        "-m",
        "wpbridge",
        "migrate",
        "archive",
        "--dsn",
        dsn,
        "--output",
        str(out),
        "--older-than",
        "31d",
        "--batch-size",
        "50",
        "--yes",
    ]
    chance = random.Random(6)  # noqa: S311 - moments, no secrets
    kills = 0
    for _ in range(12):
        with warm.Popen(
            command,
            env=clean_env(tmp_path),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            before = left(store)
            goal = chance.randint(1, 300)
            while process.poll() is None and before - left(store) < goal:
                time.sleep(0.002)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
            process.wait()
        files = sorted(out.glob(f"*{ENDING}"))
        found = [i for file in files for i in rows_in(file)]
        assert len(found) == len(set(found))
        assert set(found) | set(of_table(store)) == set(ids)
        if not left(store):
            break
    assert kills
    done = warm.run(
        command, env=clean_env(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [i for file in sorted(out.glob(f"*{ENDING}")) for i in rows_in(file)] == ids
    assert left(store) == 0
    assert query(store, "SELECT 1 FROM wp_actionscheduler_logs") == []


def left(store: RunnerStore) -> int:
    return int(str(query(store, "SELECT COUNT(*) FROM wp_actionscheduler_actions")[0][0]))


def of_table(store: RunnerStore) -> list[int]:
    return [
        int(str(row[0])) for row in query(store, "SELECT action_id FROM wp_actionscheduler_actions")
    ]
