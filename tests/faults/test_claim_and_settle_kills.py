"""A run killed at each step of a claim that takes the endings along: nothing is lost, and only what
was in hand runs again."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import invariants
import warm
from factories import make_new
from rows import query
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

ROWS = 1_500
HANDLERS = """
import os
from datetime import timedelta

from wpbridge import hook
from wpbridge.runner.claim_size import ClaimSize
from wpbridge.runner.claiming import Claiming
from wpbridge.runner.starting import Starting
from wpbridge.store.database.session import Session

FD = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@hook("count")
def count(number):
    os.write(FD, f"{number}\\n".encode())


# On a busy machine the handlers would look slow, and no claim would be made beside another.
note = ClaimSize.note
ClaimSize.note = lambda self, hook, _duration: note(self, hook, timedelta(microseconds=100))


def die_at(owner, name, *, after, times):
    real = getattr(owner, name)
    left = [times]

    def doomed(*given):
        if not after:
            meet()
        told = real(*given)
        if after and told is not False:
            meet()
        return told

    def meet():
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), 9)

    setattr(owner, name, doomed)


match os.environ.get("STEP"):
    # The first commits are of the rows that a runner needs, and of the history.
    case "before its commit":
        die_at(Session, "_commit", after=False, times=10)
    case "after its commit":
        die_at(Session, "_commit", after=True, times=10)
    case "before the next claim":
        die_at(Claiming, "claim_next", after=False, times=3)
    case "while it is made":
        die_at(Starting, "_take", after=True, times=300)
    case "after the next claim":
        die_at(Claiming, "claim_next", after=True, times=3)
    case "before it is told":
        die_at(Claiming, "tell_written", after=False, times=5)
"""


def run(dsn: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    (folder / "counting.py").write_text(HANDLERS, encoding="utf-8")
    words = ["claim-and-run", "--handlers", "counting", "--format", "json"]
    return warm.run(
        [sys.executable, "-m", "wpbridge", *words],
        cwd=folder,
        env={**os.environ, "WPBRIDGE_DSN": dsn, "RECORD": str(folder / "record"), **env},
    )


@pytest.mark.parametrize(
    "step",
    [
        "before its commit",
        "after its commit",
        "before the next claim",
        "while it is made",
        "after the next claim",
        "before it is told",
    ],
)
def test_nothing_is_lost(
    step: str, mysql_dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    store, now = open_queue(mysql_dsn), SystemClock().now()
    store.insert([make_new("count", args=(n,), now=now) for n in range(ROWS)], now=now)
    killed = run(mysql_dsn, tmp_path, STEP=step)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    held = "status = 'in-progress' OR (status = 'pending' AND claim_id <> 0)"
    in_hand = query(store, f"SELECT args FROM wp_actionscheduler_actions WHERE {held}")
    hands = {json.loads(str(row[0]))[0] for row in in_hand}
    assert hands
    done = store.counts()["complete"]
    assert done
    second = run(mysql_dsn, tmp_path)
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)
    assert (told["reclaimed"], told["complete"]) == (len(hands), ROWS - done)
    assert store.counts() == {"complete": ROWS}
    runs = Counter(int(line) for line in (tmp_path / "record").read_text().split())
    assert len(runs) == ROWS
    assert {number for number, times in runs.items() if times > 1} <= hands
    assert max(runs.values()) <= 2
    invariants.check(store)
