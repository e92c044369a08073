"""A real daemon that follows the advice: it grows with a backlog and shrinks after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_helpers import Site
from daemons import HANDLERS, StartDaemon, started_daemons, until, work_folder
from factories import make_new
from remembered import remember
from rows import query
from wpbridge.clock import SystemClock

BACKLOG = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return work_folder(tmp_path, HANDLERS)


@pytest.fixture
def daemon(folder: Path) -> Iterator[StartDaemon]:
    # Less need must be seen for a second only.
    env = {"WPBRIDGE_ADVISE_DOWN_AFTER": "1s"}
    with started_daemons(folder) as start:
        yield lambda dsn, *flags: start(dsn, *flags, "-v", env=env)


@pytest.mark.parametrize(
    ("processes_", "concurrency", "workers"), [("1..3", "1", 3), ("1", "1..3", 1)]
)
def test_it_grows_with_a_backlog_and_shrinks_after_it_and_loses_nothing(
    daemon: StartDaemon,
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
