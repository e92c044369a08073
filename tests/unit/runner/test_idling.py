"""How often an idle runner looks, also when it is woken again and again."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from wpbridge.runner.idling import LOOK_SECONDS, Idling

LONG = 1e9


class Idle:
    """An idle runner with a clock that only its waits move, and the looks that it makes."""

    def __init__(self, poll: float) -> None:
        self.now = 100.0
        self.looks: list[float] = []
        self.wakes: list[float] = []
        run: Any = SimpleNamespace(
            limits=SimpleNamespace(poll=timedelta(seconds=poll)),
            clock=SimpleNamespace(monotonic=lambda: self.now, now=lambda: None),
            executor=SimpleNamespace(reports=self._wait),
            store=SimpleNamespace(glance=self._glance),
            is_quiet=False,
            is_stopping=False,
            is_exhausted=True,
        )
        self.run = run
        nothing: Any = SimpleNamespace(
            beat_when_due=lambda: None,
            is_watching=lambda: False,
            look_when_idle=lambda: 0,
            due_at=LONG,
        )
        self.idling = Idling(run, nothing, nothing, nothing, nothing)

    def until(self, end: float) -> None:
        while self.now < end:
            self.idling.wait()
            if not self.run.is_exhausted:
                # The runner claims now, and finds nothing.
                self.looks.append(self.now)
                self.run.is_exhausted = True

    def _wait(self, seconds: float) -> None:
        if self.wakes and self.wakes[0] <= self.now + seconds:
            self.now = max(self.now, self.wakes.pop(0))
            self.idling.wake()
        else:
            self.now += seconds

    def _glance(self, **_: object) -> Any:
        self.looks.append(self.now)
        return SimpleNamespace(is_silent=False, is_stale=False, is_due=False)


def test_a_wake_makes_an_idle_runner_look_at_once() -> None:
    idle = Idle(poll=3600)
    idle.until(1000.0)
    before = len(idle.looks)
    at = idle.now + 1.5
    idle.wakes.append(at)
    idle.until(at + 0.01)
    assert idle.looks[before] == at


@pytest.mark.parametrize("each_seconds", [0.0001, 0.003, 0.019])
def test_a_flood_of_wakes_costs_one_look_in_20_ms(each_seconds: float) -> None:
    idle = Idle(poll=1.0)
    idle.until(110.0)
    start = idle.now
    idle.wakes = [start + n * each_seconds for n in range(int(2.0 / each_seconds))]
    del idle.looks[:]
    idle.until(start + 2.0)
    gaps = [after - before for before, after in zip(idle.looks, idle.looks[1:], strict=False)]
    assert min(gaps) >= LOOK_SECONDS - 1e-6
    # Nor fewer: the last of them may be the one that counts.
    assert len(idle.looks) >= 2.0 / (LOOK_SECONDS + each_seconds) - 2


def test_without_wakes_it_looks_as_seldom_as_before() -> None:
    idle = Idle(poll=1.0)
    idle.until(110.0)
    del idle.looks[:]
    idle.until(210.0)
    assert 100 / 1.22 <= len(idle.looks) + 1 <= 100 / (1.22 * 0.85) + 1
