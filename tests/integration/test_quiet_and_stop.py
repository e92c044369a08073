"""Real daemons and runs obey what people wish of their runners; nothing is lost or run twice."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import invariants
import warm
from cli_helpers import Site, call
from daemons import (
    HANDLERS,
    StartDaemon,
    started_daemons,
    until,
    work_folder,
    wpbridge,
)
from factories import make_new
from rows import change, query
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.running.seen_runners import SeenRunner, seen_runners

ACTS = f"""{HANDLERS}
from wpbridge.runner import presence

# Beats come so often that a wish is heard soon.
presence.BEAT_SECONDS = presence.IDLE_BEAT_SECONDS = 0.1
"""
OpenQueue = Callable[[str], RunnerStore]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return work_folder(tmp_path, ACTS)


@pytest.fixture
def daemon(folder: Path) -> Iterator[StartDaemon]:
    with started_daemons(folder) as start:
        yield start


def add(store: RunnerStore, hook: str, *numbers: int) -> None:
    now = SystemClock().now()
    store.insert([make_new(hook, args=(n,), now=now) for n in numbers], now=now)


def seen(store: RunnerStore) -> list[SeenRunner]:
    return seen_runners(store.parts.tables)


def words(folder: Path, dsn: str, *arguments: str) -> str:
    done = call(*arguments, cwd=folder, env={"WPBRIDGE_DSN": dsn})
    assert done.code == 0, done
    return done.out


def test_a_daemon_is_quiet_goes_on_and_stops_as_it_is_wished(
    dsn: str, folder: Path, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(dsn)
    one = daemon(dsn, "--processes", "2").ready()
    add(store, "slow", 1)
    one.recorded("start")
    assert "is to be quiet" in words(folder, dsn, "workers", "quiet", "--all")
    until(lambda: all(s.wish and s.has_obeyed for s in seen(store)), "two quiet workers")
    add(store, "count", *range(20))
    # A worker that takes the place of a quiet one is quiet before it claims anything.
    busy = int(one.records("start")[0][1])
    [victim] = [s for s in seen(store) if s.runner.pid != busy]
    os.kill(victim.runner.pid, 9)
    until(
        lambda: any(s.about.restarts == {"worker": 1} and s.has_obeyed for s in seen(store)),
        lambda: f"a quiet successor among {seen(store)}",
    )
    listed = json.loads(words(folder, dsn, "workers", "list", "--format", "json"))
    alive = [row for row in listed if row["pid"] != victim.runner.pid]
    assert [(row["wish"], row["obeyed"], row["state"]) for row in alive] == [
        ("quiet", True, "quiet")
    ] * 2
    assert {row["supervisor"] for row in alive} == {one.process.pid}
    # What runs goes on to its end meanwhile.
    one.open_gate()
    until(lambda: store.counts() == {"complete": 1, "pending": 20}, "the end of what ran")
    assert one.records("count") == []
    words(folder, dsn, "workers", "wake", "--all")
    until(lambda: store.counts() == {"complete": 21}, "all complete")
    words(folder, dsn, "workers", "stop", str(seen(store)[0].runner.id))
    assert one.code() == 128 + 15
    assert "daemon.stop_wished" in one.err()
    assert '"runner.wish"' in one.err() or "runner.wish" in one.err()
    assert len(one.records("count")) == 20
    assert {tuple(r) for r in one.records("end")} == {("1", str(busy))}
    assert seen(store) == []
    invariants.check(store)
    verbs = [str(verb) for (verb,) in query(store, "SELECT verb FROM wp_wpbridge_audit")]
    assert sorted(set(verbs)) == ["quiet-worker", "stop-worker", "wake-worker"]


def test_a_run_that_is_wished_to_stop_ends_as_on_term(
    dsn: str, folder: Path, open_queue: OpenQueue
) -> None:
    store = open_queue(dsn)
    add(store, "slow", 1, 2, 3)
    flags = ["--dsn", dsn, "--handlers", "acts", "--concurrency", "1", "--batch-size", "1"]
    with warm.Popen(
        [sys.executable, "-m", "wpbridge", "claim-and-run", *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "MARK": str(folder)},
    ) as process:
        record = folder / "record"
        until(lambda: record.exists() and "start" in record.read_text(), "a start")
        [runner] = until(lambda: seen(store), "a runner")
        assert runner.about.kind == "claim-and-run"
        words(folder, dsn, "workers", "stop", str(runner.runner.id))
        until(lambda: all(s.has_obeyed for s in seen(store)), "a runner that stops")
        gate = os.open(folder / "gate", os.O_RDWR)
        os.close(gate)
        (folder / "gate").unlink()
        (folder / "gate").touch()
        assert process.wait(timeout=300) == 128 + 15
    assert store.counts() == {"complete": 1, "pending": 2}
    invariants.check(store)
    done = wpbridge(folder, "claim-and-run", "--dsn", dsn, "--handlers", "acts")
    assert done.returncode == 0
    assert store.counts() == {"complete": 3}


def test_the_commands_say_what_they_did(lite: Site) -> None:
    store = lite.store
    store.register(host="elsewhere", boot="b", pid=7, pid_started="1", places=3)
    [runner] = seen(store)
    number = str(runner.runner.id)
    tried = lite("workers", "quiet", number, "--dry-run")
    assert tried.out == f"runner {number} would be told to be quiet\n"
    assert seen(store)[0].wish == ""
    assert lite("workers", "quiet", number).out == f"runner {number} is to be quiet\n"
    tried = lite("workers", "quiet", number, "--dry-run")
    assert tried.out == f"runner {number} would be as it was\n"
    assert lite("workers", "quiet", number).out == f"runner {number} is as it was\n"
    # It does not read it: it is no process.
    told = json.loads(lite("workers", "list", "--format", "json").out)
    assert [(row["host"], row["wish"], row["obeyed"]) for row in told] == [
        ("elsewhere", "quiet", False)
    ]
    assert lite("workers", "wake", "--all").out == f"runner {number} is to work\n"
    change(store, "UPDATE wp_wpbridge_runners SET about = :about", about='{"kind": "serve"}')
    # All that can be stopped are: the gateway cannot.
    assert "there is no runner" in lite("workers", "stop", "--all").err
    for dry in ((), ("--dry-run",)):
        refused = lite("workers", "stop", number, *dry)
        assert (refused.code, "belongs to the gateway" in refused.err) == (1, True)
    unknown = lite("workers", "quiet", "999")
    assert (unknown.code, "there is no runner 999" in unknown.err) == (1, True)
    nobody = lite("workers", "quiet")
    assert (nobody.code, "name runners by their ids" in nobody.err) == (2, True)
