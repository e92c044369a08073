"""When another runner counts as dead."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from clocks import FakeClock
from wpbridge.action import RunnerId
from wpbridge.runner.identity import Identity, identity
from wpbridge.runner.liveness import HUNG_SECONDS, RUNNER_STALE_SECONDS, Liveness, is_dead
from wpbridge.store.base import RunnerRecord
from wpbridge.system import processes
from wpbridge.system.processes import start_of


def record(me: Identity, **changes: object) -> RunnerRecord:
    base = RunnerRecord(
        id=RunnerId(1),
        host=me.host,
        boot=me.boot,
        pid=me.pid,
        pid_started=me.pid_started,
        version="0",
        beat_age_seconds=0.0,
        claims=(),
        once=frozenset(),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_living_process_here_is_dead_only_when_it_hangs() -> None:
    """Stopped, or stuck: its rows would else wait for the plugin's cleaner, which fails them."""
    me = identity()
    assert not is_dead(record(me, beat_age_seconds=HUNG_SECONDS - 1), me)
    assert is_dead(record(me, beat_age_seconds=HUNG_SECONDS + 1), me)


def test_a_process_id_that_belongs_to_another_process_by_now_is_dead() -> None:
    me = identity()
    assert is_dead(record(me, pid_started="1"), me)


def test_an_ended_process_here_is_dead_at_once() -> None:
    me = identity()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    its = record(me, pid=child.pid, pid_started=start_of(child.pid))
    assert not is_dead(its, me)
    child.kill()
    child.communicate()
    assert is_dead(its, me)


def test_elsewhere_only_the_beat_tells() -> None:
    me = identity()
    for changes in ({"host": "other"}, {"boot": "other"}):
        assert not is_dead(
            record(me, beat_age_seconds=RUNNER_STALE_SECONDS - 1, pid=1, **changes), me
        )
        assert is_dead(record(me, beat_age_seconds=RUNNER_STALE_SECONDS + 1, **changes), me)


def test_who_seems_dead_is_watched_before_it_is_believed() -> None:
    """As all do when the database was away, or its clock was set forward."""
    clock, me = FakeClock(), identity()
    liveness = Liveness(clock)

    def looks(every: float, times: int, age: float) -> list[bool]:
        found = []
        for turn in range(times):
            old = record(me, host="other", beat_age_seconds=age + turn * every)
            found.append(liveness.is_dead(old, me))
            clock.at += timedelta(seconds=every)
        return found

    assert looks(10.0, 5, age=3600.0) == [False, False, True, False, False]
    # It beats: then all that was seen is forgotten.
    assert looks(10.0, 1, age=2.0) == [False]
    assert looks(10.0, 3, age=RUNNER_STALE_SECONDS + 1) == [False, False, True]
    # Looks with an outage or a pause between them show nothing.
    assert looks(200.0, 4, age=3600.0) == [False] * 4


@pytest.mark.parametrize("phase", [0.1, 2.5, 4.9, 5.1, 7.5, 9.9])
def test_a_death_elsewhere_is_found_within_a_minute(phase: float) -> None:
    """By who looks every ten seconds, whenever in between it happened."""
    clock, me = FakeClock(), identity()
    liveness, age = Liveness(clock), phase
    while not liveness.is_dead(record(me, host="other", beat_age_seconds=age), me):
        clock.at += timedelta(seconds=10)
        age += 10
        assert age < 60
    assert age > RUNNER_STALE_SECONDS


def test_who_is_stopped_here_is_watched_too() -> None:
    clock, me = FakeClock(), identity()
    liveness, age = Liveness(clock), 0.0
    while not liveness.is_dead(record(me, beat_age_seconds=age), me):
        clock.at += timedelta(seconds=10)
        age += 10
    assert HUNG_SECONDS < age <= HUNG_SECONDS + 10


def test_a_process_that_has_ended_is_not_watched_first() -> None:
    me = identity()
    assert Liveness(FakeClock()).is_dead(record(me, pid_started="1"), me)


def test_a_living_process_whose_start_cannot_be_seen_waits_for_its_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where /proc hides the processes of other users, or no more files can be opened."""
    me = identity()

    def hidden(pid: int) -> list[str]:
        raise FileNotFoundError(pid)

    monkeypatch.setattr(processes, "_stat", hidden)
    its = record(me, pid=os.getppid())
    assert not is_dead(its, me)
    assert not is_dead(replace(its, beat_age_seconds=HUNG_SECONDS - 1), me)
    assert is_dead(replace(its, beat_age_seconds=HUNG_SECONDS + 1), me)


@pytest.mark.parametrize("missing", ["start_of", "place"])
def test_who_does_not_know_itself_is_judged_by_its_beat_alone(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = identity()
    with monkeypatch.context() as patch:
        patch.setattr(processes, missing, lambda *_: "")
        itself = identity()
    # A runner of an earlier release looks for the process wherever the boot is the same.
    assert itself.boot == ""
    gone = record(itself, pid=2**22 + 1)
    assert not is_dead(gone, others)
    assert not is_dead(replace(gone, beat_age_seconds=RUNNER_STALE_SECONDS - 1), others)
    assert is_dead(replace(gone, beat_age_seconds=RUNNER_STALE_SECONDS + 1), others)
    # Nor does it know of anybody else.
    assert not is_dead(record(others, pid=2**22 + 1), itself)
    assert not is_dead(record(itself, pid=2**22 + 1), itself)
