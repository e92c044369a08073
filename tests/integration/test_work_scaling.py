"""A real daemon that follows the advice: it grows with a backlog and shrinks after it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli_helpers import Site
from daemons import HANDLERS, Daemon, processes, until
from factories import make_new
from remembered import remember
from rows import query
from wpbridge.clock import SystemClock

BACKLOG = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acts.py").write_text(HANDLERS, encoding="utf-8")
    os.mkfifo(tmp_path / "gate")
    return tmp_path


@pytest.fixture
def daemon(folder: Path) -> Iterator[Callable[..., Daemon]]:
    """Start a daemon; none of its processes outlives the test."""
    started: list[Daemon] = []

    def start(dsn: str, *flags: str) -> Daemon:
        # Less need must be seen for a second only.
        env = {"WPBRIDGE_ADVISE_DOWN_AFTER": "1s"}
        started.append(Daemon(folder, dsn, *flags, "-v", env=env))
        return started[-1]

    yield start
    for one in started:
        one.end()
    until(lambda: not processes(folder), "the end of all processes")


@pytest.mark.parametrize(
    ("processes_", "concurrency", "workers"), [("1..3", "1", 3), ("1", "1..3", 1)]
)
def test_it_grows_with_a_backlog_and_shrinks_after_it_and_loses_nothing(
    daemon: Callable[..., Daemon],
    lite: Site,
    *,
    processes_: str,
    concurrency: str,
    workers: int,
) -> None:
    store = lite.store
    now = SystemClock().now()
    remember(store, now, hook="slow", a_minute=1, seconds=5.0)
    actions = [make_new("slow", args=(number,), now=now) for number in range(BACKLOG)]
    ids = list(store.insert(actions, now=now))

    running = daemon(lite.dsn, "--processes", processes_, "--concurrency", concurrency).ready()
    # All of them wait at the gate, so the third can only start at a third place.
    begun = running.recorded("start", 3)
    assert len({pid for _, pid in begun}) == workers
    running.logged("daemon.scaled")
    assert "reason=" in running.err()
    running.open_gate()
    assert len(running.recorded("end", BACKLOG)) == BACKLOG
    running.logged("daemon.scaled processes=1 concurrency=1")
    until(lambda: len(running.workers()) == 1, "a single worker")

    assert sorted(int(number) for number, _ in running.records("start")) == list(range(BACKLOG))
    states = "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status = 'complete'"
    until(lambda: query(store, states) == [(len(ids),)], "all of them complete")
    assert "worker.died" not in running.err()
