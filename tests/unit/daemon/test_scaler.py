"""How a daemon follows the advice, with a fleet and tables that are none."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daemons import until
from heard import heard
from queue_simulation import history, readings
from wpbridge.daemon.scaling import Scaler, ScalingTerms
from wpbridge.monitor.advice import Advice
from wpbridge.monitor.gauges import Measured
from wpbridge.monitor.scaling import Shape
from wpbridge.site.bounds import Bounds
from wpbridge.site.config import Settings


class Tables:
    """What asks the tables."""

    def __init__(self) -> None:
        self.answer: Measured | None = None
        self.is_closed = False
        self.answers = threading.Event()
        self.answers.set()

    def latest(self) -> Measured | None:
        return self.answer

    def close(self) -> None:
        self.answers.wait(2)
        self.is_closed = True

    def advise(self, advised: int, *, now: int = 0) -> None:
        advice = Advice(
            workers_now=now,
            workers_advised=advised,
            reason=f"That needs {advised} places.",
            obstacle=None,
            arrivals_per_second=1.0,
            service_seconds=1.0,
            due=0,
            target_wait_seconds=60.0,
        )
        self.answer = Measured(readings(), history(arrivals=1.0, service=1.0), advice)


class Fleet:
    """A fleet that becomes at once what it is told to become."""

    is_partly_quiet = is_stopping = False
    is_seen = True

    def __init__(self) -> None:
        self.processes = self.concurrency = 0
        self.changes = 0
        self.cpu = [0.0] * 8

    def resize(self, size: int, *, is_urgent: bool = True) -> None:
        assert not is_urgent
        self.processes = size
        self.changes += 1

    def set_concurrency(self, concurrency: int) -> None:
        self.concurrency = concurrency

    def places(self) -> dict[str, int]:
        return {"max": self.processes * self.concurrency}

    def workers_of(self, _state: str) -> list[Any]:
        return [
            SimpleNamespace(pid=pid, totals={"cpu": self.cpu[pid]}) for pid in range(self.processes)
        ]

    @property
    def shape(self) -> Shape:
        return Shape(self.processes, self.concurrency)


class Stage:
    """A scaler, its fleet, its tables and the time."""

    def __init__(
        self, processes: tuple[int, int], concurrency: tuple[int, int], **more: Any
    ) -> None:
        self.now = 1000.0
        self.fleet, self.tables = Fleet(), Tables()
        self.scaler = Scaler(lambda: self.now)
        self.terms = ScalingTerms(
            processes=Bounds(*processes),
            concurrency=Bounds(*concurrency),
            less_seconds=600.0,
            open=lambda: self.tables,
            **more,
        )
        self.take(self.terms)

    def take(self, terms: ScalingTerms | None) -> None:
        self.scaler.take(terms, cast("Any", self.fleet))

    def look(self, advised: int, *, others: int = 0, seconds: float = 15.0) -> Shape:
        """Let time pass, and have the loop look at an advice, twice."""
        self.now += seconds
        self.tables.advise(advised, now=self.fleet.places()["max"] + others)
        for _ in range(2):
            self.scaler.look(cast("Any", self.fleet))
        return self.fleet.shape


@pytest.fixture(autouse=True)
def processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)


def test_it_begins_with_the_least_and_goes_up_at_once() -> None:
    stage = Stage((1, 4), (2, 8))
    assert stage.fleet.shape == (1, 2)
    assert stage.look(2) == (1, 2)
    assert stage.look(7) == (1, 7)
    assert stage.look(9) == (2, 5)
    assert stage.look(1000) == (4, 8)


def test_it_goes_down_after_ten_minutes_one_at_a_look(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "wpbridge.daemon")
    stage = Stage((1, 3), (1, 1))
    assert stage.look(3) == (3, 1)
    assert [stage.look(1) for _ in range(40)] == [(3, 1)] * 40
    assert [stage.look(1) for _ in range(3)] == [(2, 1), (1, 1), (1, 1)]
    assert heard(caplog) == [
        'daemon.scaled processes=3 concurrency=1 reason="That needs 3 places."',
        'daemon.scaled processes=2 concurrency=1 reason="That needs 1 places."',
        'daemon.scaled processes=1 concurrency=1 reason="That needs 1 places."',
    ]


def test_what_other_daemons_have_is_not_needed_here() -> None:
    stage = Stage((1, 8), (1, 1))
    assert stage.look(6, others=4) == (2, 1)
    assert stage.look(6, others=9) == (2, 1)


def test_one_advice_is_followed_once() -> None:
    """The loop looks each second, and the tables answer each fifteen."""
    stage = Stage((1, 4), (1, 1))
    stage.look(4)
    changes = stage.fleet.changes
    stage.now += 10_000
    for _ in range(50):
        stage.scaler.look(cast("Any", stage.fleet))
    assert stage.fleet.changes == changes
    assert stage.fleet.shape == (4, 1)


def test_tables_that_do_not_answer_change_nothing() -> None:
    stage = Stage((1, 4), (1, 1))
    stage.look(4)
    for _ in range(39):
        stage.look(1)
    stage.tables.answer = None
    stage.now += 15
    stage.scaler.look(cast("Any", stage.fleet))
    # Less need must be seen for ten minutes anew.
    assert [stage.look(1) for _ in range(40)] == [(4, 1)] * 40
    assert stage.look(1) == (3, 1)


@pytest.mark.parametrize("flag", ["is_partly_quiet", "is_stopping"])
def test_a_daemon_that_claims_nothing_does_not_grow_for_it(flag: str) -> None:
    stage = Stage((1, 4), (1, 1))
    setattr(stage.fleet, flag, True)
    assert stage.look(4) == (1, 1)


def test_places_of_php_workers_count_in_each_process() -> None:
    stage = Stage((1, 3), (1, 2), beside=2)
    assert stage.look(4) == (1, 2)
    assert stage.look(5) == (2, 1)
    assert stage.look(12) == (3, 2)


def test_busy_processors_have_processes_come_before_concurrency() -> None:
    stage = Stage((1, 8), (1, 16))
    assert stage.look(4) == (1, 4)
    stage.fleet.cpu[0] += 14.0
    assert stage.look(4) == (4, 1)
    # There are four processors, so more processes would not get more of them.
    stage.fleet.cpu[0] += 4.0
    assert stage.look(12) == (4, 3)
    # Each uses less now. That is no reason to put them together again.
    assert stage.look(12) == (4, 3)
    for _ in range(40 + 12):
        stage.look(1)
    assert stage.fleet.shape == (1, 1)
    assert stage.look(4) == (1, 4)


def test_a_reload_keeps_what_was_chosen_within_the_new_bounds() -> None:
    stage = Stage((1, 8), (1, 1))
    stage.look(6)
    first, stage.tables = stage.tables, Tables()
    stage.take(
        ScalingTerms(
            processes=Bounds(1, 4),
            concurrency=Bounds(1, 1),
            less_seconds=600.0,
            open=lambda: stage.tables,
        )
    )
    assert stage.fleet.shape == (4, 1)
    assert stage.look(8) == (4, 1)
    until(lambda: first.is_closed, "tables that are asked no more")
    stage.take(None)
    stage.tables.advise(1)
    assert stage.look(1, seconds=5000) == (4, 1)


def test_a_database_that_hangs_does_not_hold_up_the_loop() -> None:
    """The thread that asks it takes its time to end, and the loop goes on meanwhile."""
    stage = Stage((1, 4), (1, 1))
    slow = stage.tables
    slow.answers.clear()
    stage.take(None)
    assert not slow.is_closed
    slow.answers.set()
    until(lambda: slow.is_closed, "tables that are asked no more")


@pytest.mark.parametrize(
    ("processes", "concurrency", "is_chosen"),
    [((1, 1), (4, 4), False), ((1, 2), (4, 4), True), ((1, 1), (2, 4), True)],
)
def test_only_bounds_that_are_open_are_followed(
    processes: tuple[int, int], concurrency: tuple[int, int], is_chosen: bool
) -> None:
    settings = Settings(processes=Bounds(*processes), concurrency=Bounds(*concurrency))
    assert (ScalingTerms.of(settings) is not None) == is_chosen
