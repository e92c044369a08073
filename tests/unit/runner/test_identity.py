"""When another runner counts as dead."""

import os
import subprocess
import sys
from dataclasses import replace

from wpbridge.action import RunnerId
from wpbridge.runner.identity import (
    HUNG_SECONDS,
    STALE_SECONDS,
    Identity,
    identity,
    is_dead,
    start_of,
)
from wpbridge.store.base import RunnerRecord


def record(me: Identity, **changes: object) -> RunnerRecord:
    base = RunnerRecord(
        id=RunnerId(1), host=me.host, boot=me.boot, pid=me.pid, pid_started=me.pid_started,
        version="0", beat_age_seconds=0.0, claims=(), once=frozenset(),
    )  # fmt: skip
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
        assert not is_dead(record(me, beat_age_seconds=STALE_SECONDS - 1, pid=1, **changes), me)
        assert is_dead(record(me, beat_age_seconds=STALE_SECONDS + 1, **changes), me)


def test_our_own_start_is_known() -> None:
    assert start_of(os.getpid()).isdigit()
    assert start_of(2**22 + 1) == ""
