"""A runner that seems dead is watched, also by one that looks seldom."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from daemons import until
from factories import make_new
from rows import change
from wpbridge.clock import SystemClock
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner import identity, idling, liveness, reaper
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore


def test_what_a_dead_runner_of_another_host_held_is_found_by_an_idle_one(
    tmp_path: Path, open_queue: Callable[[str], RunnerStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose looks are farther apart than those that count."""
    monkeypatch.setattr(liveness, "DOUBT_SECONDS", 0.3)
    for module in (idling, reaper):
        monkeypatch.setattr(module, "REAP_SECONDS", 0.1)
    clock, dsn = SystemClock(), f"sqlite:///{tmp_path / 'queue.db'}"
    dead, store = open_queue(dsn), open_queue(dsn)
    executor = ThreadExecutor(
        {"h": describe("h", lambda: None)}, concurrency=1, clock=clock, site="s"
    )
    runner = Runner(
        store,
        executor,
        clock,
        identity.identity(),
        only=ClaimFilter(hooks=frozenset({"h"})),
        limits=Limits(poll=timedelta(seconds=0.5)),
    )
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        until(lambda: runner._idling.seconds >= 0.6, "a runner that looks seldom")
        dead.register(host="other", boot="other", pid=1, pid_started="1")
        dead.insert([make_new("h", now=clock.now())], now=clock.now())
        dead.claim_due(now=clock.now(), limit=1, only=ClaimFilter())
        change(
            dead,
            "UPDATE wp_wpbridge_runners SET beat_gmt = '2020-01-01 00:00:00' WHERE host = 'other'",
        )
        until(lambda: dead.counts() == {"complete": 1}, "its end")
    finally:
        runner.stop()
        thread.join()
