"""Two wpbridge processes on one queue, and one of them killed in the middle."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import invariants
import warm
from daemons import until
from factories import make_new
from rows import log_of, query
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = """
import os
from wpbridge import hook

FD = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
LIMIT = int(os.environ.get("KILL_AFTER", "0"))
runs = 0

@hook("count")
def count(number):
    global runs
    os.write(FD, f"{number}\\n".encode())
    runs += 1
    if LIMIT and runs == LIMIT:
        os.kill(os.getpid(), 9)

@hook("once", at_most_once=True)
def once(number):
    count(number)
"""


def fill(store: RunnerStore, count: int) -> None:
    now = SystemClock().now()
    for low in range(0, count, 1000):
        size = min(1000, count - low)
        store.insert([make_new("count", args=(low + n,), now=now) for n in range(size)], now=now)


def start(dsn: str, folder: Path, **env: str) -> subprocess.Popen[bytes]:
    (folder / "counting.py").write_text(HANDLERS, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "wpbridge",
        "claim-and-run",
        "--handlers",
        "counting",
        "--batch-size",
        "50",
        "--format",
        "json",
    ]
    values = {**os.environ, "WPBRIDGE_DSN": dsn, "RECORD": str(folder / "record"), **env}
    return warm.Popen(command, cwd=folder, env=values, stdout=subprocess.PIPE)


def recorded(folder: Path) -> Counter[int]:
    return Counter(int(line) for line in (folder / "record").read_text().split())


@pytest.mark.parametrize("count", [5_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_each_action_runs_exactly_once(
    mysql_dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore], count: int
) -> None:
    store = open_queue(mysql_dsn)
    fill(store, count)
    both = [start(mysql_dsn, tmp_path) for _ in range(2)]
    totals = [json.loads(process.communicate(timeout=300)[0]) for process in both]
    assert all(process.returncode == 0 for process in both)
    assert sum(total["complete"] for total in totals) == count
    runs = recorded(tmp_path)
    assert len(runs) == count
    assert set(runs.values()) == {1}
    assert store.counts() == {"complete": count}
    invariants.check(store)


def test_a_killed_process_loses_nothing(
    dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    fill(store, 2_000)
    first = start(dsn, tmp_path, KILL_AFTER="777")
    first.communicate(timeout=300)
    assert first.returncode == -signal.SIGKILL
    if dsn.startswith("mysql"):
        # The server may be busy with the last commit of the killed one.
        connections = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()"
        until(lambda: query(store, connections)[0][0] == 1, "the end of its connection")
    held = "status = 'in-progress' OR (status = 'pending' AND claim_id <> 0)"
    in_hand = query(store, f"SELECT args FROM wp_actionscheduler_actions WHERE {held}")
    hands = {json.loads(str(row[0]))[0] for row in in_hand}
    assert hands
    second = start(dsn, tmp_path)
    told = json.loads(second.communicate(timeout=300)[0])
    assert second.returncode == 0
    assert told["reclaimed"] == len(hands)
    assert store.counts() == {"complete": 2_000}
    runs = recorded(tmp_path)
    assert len(runs) == 2_000
    assert {number for number, times in runs.items() if times > 1} <= hands
    assert max(runs.values()) <= 2
    invariants.check(store)


def test_an_action_that_kills_its_runner_is_failed_in_the_end(
    dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    fill(store, 3)
    codes: list[int] = []
    while not codes or (codes[-1] != 0 and len(codes) < 15):
        process = start(dsn, tmp_path, KILL_AFTER="1")
        process.communicate(timeout=300)
        codes.append(process.returncode)
    assert codes[-1] == 0
    assert store.counts() == {"failed": 3}
    last = log_of(store, 1)[-1]
    # Its first death counts only if its start was marked before.
    assert re.search("its runners died [34] times while it ran", last)
    assert max(recorded(tmp_path).values()) <= 4


def test_what_must_not_run_twice_is_failed_when_its_runner_dies(
    dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    now = SystemClock().now()
    store.insert([make_new("once", args=(n,), now=now, interval=300) for n in range(3)], now=now)
    start(dsn, tmp_path, KILL_AFTER="1").communicate(timeout=300)
    start(dsn, tmp_path).communicate(timeout=300)
    assert set(recorded(tmp_path).values()) == {1}
    counts = store.counts()
    assert counts["failed"] >= 1
    assert counts["failed"] + counts.get("complete", 0) == 3
    assert counts["pending"] == 3, "every chain goes on"
    invariants.check(store)
