"""The lookout over worker processes: who wakes it, and who must not any more."""

import os
import subprocess
import sys

import pytest

from wpbridge.clock import SystemClock
from wpbridge.executors.pools.watcher import Watcher
from wpbridge.executors.process.executor import PoolLimits, ProcessExecutor, Setup


def test_it_tells_who_speaks_and_who_ends() -> None:
    lookout = Watcher[str]()
    heard, speaks = os.pipe()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        watched = lookout.watch("it", (heard,), child.pid)
        assert lookout.wait(0.0) == []
        os.write(speaks, b"!")
        assert lookout.wait(60.0) == ["it"]
        os.read(heard, 1)
        child.kill()
        assert lookout.wait(60.0) == ["it"]
    lookout.forget(heard, watched, None)
    lookout.wake()
    assert lookout.wait(60.0) == []
    lookout.close()
    for descriptor in (heard, speaks, *([watched] if watched is not None else [])):
        os.close(descriptor)


def test_what_wakes_it_many_times_before_it_looks_is_one_wake() -> None:
    lookout = Watcher[str]()
    for _ in range(3):
        lookout.wake()
    assert os.read(lookout._woken, 4096) == b"!"
    assert lookout.wait(0.0) == []
    # What came before it looked is seen in this turn; what comes later wakes it anew.
    lookout.wake()
    assert os.read(lookout._woken, 4096) == b"!"
    lookout.close()


def test_a_wake_while_it_looks_keeps_no_later_one_away(monkeypatch: pytest.MonkeyPatch) -> None:
    lookout, read = Watcher[str](), os.read

    def late(descriptor: int, most: int) -> bytes:
        lookout.wake()
        return read(descriptor, most)

    lookout.wake()
    monkeypatch.setattr(os, "read", late)
    assert lookout.wait(0.0) == []
    monkeypatch.undo()
    lookout.wake()
    assert read(lookout._woken, 4096)
    lookout.close()


def test_a_lookout_that_is_closed_is_not_woken() -> None:
    """The number of its pipe may be another file's by then."""
    lookout = Watcher[str]()
    lookout.close()
    heard, speaks = os.pipe()
    lookout.wake()
    os.set_blocking(heard, False)
    with pytest.raises(BlockingIOError):
        os.read(heard, 1)
    os.close(heard)
    os.close(speaks)


def test_a_pool_is_closed_though_its_thread_has_gone_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has seen that it shall before it is woken."""
    executor = ProcessExecutor(
        {}, Setup(modules=(), folder=None, site="s"), limits=PoolLimits(), clock=SystemClock()
    )
    pool, write = executor._pool, os.write

    def late(descriptor: int, told: bytes) -> int:
        pool._thread.join()
        return write(descriptor, told)

    monkeypatch.setattr(os, "write", late)
    executor.close()
    assert not pool._thread.is_alive()
