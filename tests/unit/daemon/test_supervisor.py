"""Rules of the daemon's fleet, with processes that are none."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from wpbridge.daemon.changed_files import ChangedFiles
from wpbridge.daemon.fleet import Fleet
from wpbridge.daemon.measured import Measured
from wpbridge.daemon.terms import CurrentTerms, Terms
from wpbridge.daemon.worker_link import Lifetime
from wpbridge.daemon.worker_process import RECYCLED, Child
from wpbridge.daemon.worker_slots import delay


class Played(Child):
    """A worker that ends when the test says so."""

    def has_ended(self) -> bool:
        return self.process.returncode is not None

    def hear(self) -> tuple[list[dict[str, Any]], bool]:
        return ([self.last.pop()], True) if self.last else ([], False)

    @property
    def last(self) -> list[dict[str, Any]]:
        return LAST_WORDS

    def kill(self) -> None:
        self.process.returncode = self.process.returncode or -9

    def tell(self, word: str) -> None:
        WORDS.append((self.number, word))


WORDS: list[tuple[int, str]] = []
LAST_WORDS: list[dict[str, Any]] = []


class NoRoomError(OSError):
    strerror = "Resource temporarily unavailable"


class Stage:
    """A fleet, its processes in order of their start, and the time."""

    def __init__(self, size: int, *, has_gateway: bool = False, **more: Any) -> None:
        self.now = 100.0
        self.is_full = False
        self.started: list[Played] = []
        self.fleet = Fleet(
            self._start,
            size,
            has_gateway=has_gateway,
            clock=lambda: self.now,
            chance=lambda _low, high: high,
            **more,
        )

    def _start(self, number: int) -> Child:
        if self.is_full:
            raise NoRoomError
        process: Any = SimpleNamespace(pid=1000 + len(self.started), returncode=None)
        link: Any = SimpleNamespace(close=lambda: None)
        child = Played(number=number, process=process, link=link, started=self.now, signed=self.now)
        self.started.append(child)
        return child

    def end(self, child: Child, code: int) -> None:
        child.process.returncode = code
        self.fleet.tick()

    def ready(self, *children: Child) -> None:
        for child in children:
            self.fleet.heard(child, {"event": "ready", "files": []})

    def all_ready(self) -> None:
        self.fleet.tick()
        self.ready(*self.started)
        self.fleet.tick()
        self.ready(*self.started)


def beat(**more: Any) -> dict[str, Any]:
    return {"event": "beat", "silent": 0.0, "database": True, "leaving": "", "totals": {}, **more}


@pytest.fixture(autouse=True)
def unsaid() -> None:
    WORDS.clear()
    LAST_WORDS.clear()


def test_the_wait_doubles_up_to_half_a_minute() -> None:
    waits = [delay(deaths, lambda _low, high: high) for deaths in range(1, 9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert 15 <= delay(1000) <= 30


def test_the_others_start_when_the_first_is_ready() -> None:
    stage = Stage(3)
    stage.fleet.tick()
    stage.fleet.tick()
    assert len(stage.started) == 1
    assert not stage.fleet.is_ready()
    stage.ready(stage.started[0])
    stage.fleet.tick()
    assert [child.number for child in stage.started] == [1, 2, 3]
    stage.ready(*stage.started)
    assert stage.fleet.is_ready()


def test_a_first_worker_that_does_not_start_is_the_end() -> None:
    stage = Stage(2)
    stage.fleet.tick()
    stage.end(stage.started[0], 78)
    assert stage.fleet.failed == 78
    stage.fleet.tick()
    assert len(stage.started) == 1


def test_a_worker_that_dies_comes_again_later_and_later() -> None:
    stage = Stage(1)
    stage.all_ready()
    for wait in (0.5, 1.0, 2.0):
        died = stage.started[-1]
        stage.end(died, -9)
        stage.now += wait - 0.1
        stage.fleet.tick()
        assert stage.started[-1] is died
        stage.now += 0.2
        stage.fleet.tick()
        assert stage.started[-1] is not died
        stage.ready(stage.started[-1])
    stage.now += 61
    stage.end(stage.started[-1], 1)
    assert stage.fleet.next_due() == pytest.approx(stage.now + 0.5)


def test_one_that_has_done_its_number_is_replaced_without_a_wait() -> None:
    stage = Stage(1)
    stage.all_ready()
    stage.end(stage.started[0], RECYCLED)
    stage.fleet.tick()
    assert len(stage.started) == 2


def test_one_that_is_old_has_its_successor_while_it_drains() -> None:
    stage = Stage(1)
    stage.all_ready()
    old = stage.started[0]
    stage.fleet.heard(old, beat(leaving="max-age"))
    stage.fleet.heard(old, beat(leaving="max-age"))
    stage.fleet.tick()
    assert len(stage.started) == 2
    assert old in list(stage.fleet.children())
    stage.end(old, RECYCLED)
    assert list(stage.fleet.children()) == stage.started[1:]


def test_workers_are_replaced_one_by_one() -> None:
    stage = Stage(2)
    stage.all_ready()
    first, second = stage.started
    stage.fleet.roll()
    stage.fleet.tick()
    stage.fleet.tick()
    assert len(stage.started) == 3
    assert not WORDS
    stage.ready(stage.started[2])
    assert WORDS == [(1, "stop")]
    stage.fleet.tick()
    assert len(stage.started) == 3, "the second waits until the first has drained"
    stage.end(first, 0)
    assert len(stage.started) == 4
    stage.ready(stage.started[3])
    stage.end(second, 0)
    assert not stage.fleet.rolling.is_on
    assert stage.fleet.is_ready()
    assert list(stage.fleet.children()) == stage.started[2:]


def test_one_that_drains_for_long_does_not_hold_up_the_others() -> None:
    stage = Stage(2)
    stage.all_ready()
    stage.fleet.roll()
    stage.fleet.tick()
    stage.ready(stage.started[2])
    stage.now += stage.fleet.rolling.patience_seconds + 1
    stage.fleet.tick()
    assert len(stage.started) == 4
    assert stage.started[0] in list(stage.fleet.children())


def test_a_successor_that_does_not_start_leaves_the_old_ones() -> None:
    stage = Stage(2)
    stage.all_ready()
    stage.fleet.roll()
    stage.fleet.tick()
    stage.end(stage.started[2], 78)
    stage.fleet.tick()
    assert not stage.fleet.rolling.is_on
    assert list(stage.fleet.children()) == stage.started[:2]
    assert not WORDS


def test_an_old_one_that_dies_while_its_successor_starts() -> None:
    stage = Stage(1)
    stage.all_ready()
    stage.fleet.roll()
    stage.fleet.tick()
    stage.end(stage.started[0], -11)
    assert list(stage.fleet.children()) == [stage.started[1]]
    stage.ready(stage.started[1])
    stage.fleet.tick()
    assert stage.fleet.is_ready()
    assert not stage.fleet.rolling.is_on


def test_quiet_is_told_to_those_that_come_later() -> None:
    stage = Stage(1)
    stage.all_ready()
    stage.fleet.tell("quiet")
    stage.end(stage.started[0], RECYCLED)
    stage.fleet.tick()
    assert WORDS == [(1, "quiet"), (1, "quiet")]


def test_fewer_and_more_workers() -> None:
    stage = Stage(2)
    stage.all_ready()
    stage.fleet.resize(1)
    assert WORDS == [(2, "stop")]
    stage.end(stage.started[1], 0)
    assert stage.fleet.is_ready()
    stage.fleet.resize(3)
    stage.fleet.tick()
    assert [child.number for child in stage.fleet.children()] == [1, 2, 3]


def test_nobody_is_started_once_it_stops() -> None:
    stage = Stage(2)
    stage.all_ready()
    stage.fleet.stop()
    for child in stage.started:
        stage.end(child, 0)
    assert not list(stage.fleet.children())
    assert stage.fleet.next_due() is None
    assert len(stage.started) == 2


def test_silence_counts_from_the_loops_last_sign() -> None:
    stage = Stage(2)
    stage.all_ready()
    stage.now += 10
    stage.fleet.heard(stage.started[0], beat(silent=0.5))
    stage.fleet.heard(stage.started[1], beat(silent=7.0, database=False))
    assert stage.fleet.silent_seconds() == pytest.approx(7.0)
    assert not stage.fleet.has_database()
    assert [worker.pid for worker in stage.fleet.workers()] == [1000, 1001]


def test_totals_outlive_the_workers() -> None:
    stage = Stage(1)
    stage.all_ready()
    totals = {"complete": 3, "seconds": 1.5, "in_hand": 1}
    stage.fleet.heard(stage.started[0], {"event": "left", "totals": totals})
    stage.end(stage.started[0], RECYCLED)
    stage.fleet.tick()
    stage.fleet.heard(stage.started[1], beat(totals={"complete": 4}))
    assert stage.fleet.totals() == {"complete": 7}


def test_last_words_are_heard() -> None:
    stage = Stage(1)
    stage.all_ready()
    LAST_WORDS.append({"event": "left", "totals": {"complete": 5}})
    stage.end(stage.started[0], RECYCLED)
    assert stage.fleet.totals() == {"complete": 5}


def test_a_host_without_room_is_tried_again() -> None:
    stage = Stage(1)
    stage.is_full = True
    with pytest.raises(NoRoomError):
        stage.fleet.tick()
    stage.is_full = False
    stage.all_ready()
    stage.is_full = True
    stage.fleet.roll()
    stage.fleet.tick()
    assert not stage.fleet.rolling.is_on
    stage.end(stage.started[0], RECYCLED)
    stage.fleet.tick()
    assert stage.fleet.next_due() == pytest.approx(stage.now + 0.5)
    stage.is_full = False
    stage.now += 1
    stage.fleet.tick()
    assert len(stage.started) == 2


def test_one_that_said_good_bye_and_stays_is_ended() -> None:
    stage = Stage(1)
    stage.all_ready()
    stage.fleet.heard(stage.started[0], {"event": "left", "totals": {}})
    stage.now += 11
    stage.fleet.tick()
    assert stage.started[0].process.returncode == -9


def test_a_link_takes_halves_of_lines_and_nonsense() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    process: Any = SimpleNamespace(pid=1, returncode=None)
    child = Child(number=1, process=process, link=ours, started=0.0)
    assert child.hear() == ([], True)
    theirs.sendall(b'{"event": "be')
    assert child.hear() == ([], True)
    theirs.sendall(b'at"}\nnonsense\n[1]\n')
    assert child.hear() == ([{"event": "beat"}], True)
    theirs.close()
    assert child.hear() == ([], False)
    child.tell("stop")
    ours.close()


def test_when_a_worker_has_lived_long_enough() -> None:
    life = Lifetime(age_seconds=100.0, memory_bytes=1000, actions=50)
    assert life.is_over(age_seconds=99, memory_bytes=1000, claimed=5) is None
    assert life.is_over(age_seconds=100, memory_bytes=0, claimed=0) == "max-age"
    assert life.is_over(age_seconds=1, memory_bytes=1001, claimed=1) == "max-memory"
    assert life.is_over(age_seconds=1, memory_bytes=1001, claimed=0) is None
    scattered = [life.scattered() for _ in range(50)]
    assert all(90 <= (one.age_seconds or 0) <= 100 for one in scattered)
    assert all(45 <= one.actions <= 50 for one in scattered)
    assert len({one.age_seconds for one in scattered}) > 1
    assert Lifetime().scattered() == Lifetime()


def test_a_watch_tells_what_changed_since_the_last_look(tmp_path: Any) -> None:
    file, other = tmp_path / "a.py", tmp_path / "b.py"
    file.write_text("1")
    watch = ChangedFiles()
    assert watch.look([str(file)]) == []
    assert watch.look([str(file), str(other)]) == []
    file.write_text("12")
    other.write_text("new")
    assert watch.look([str(file), str(other)]) == [str(file), str(other)]
    file.unlink()
    assert watch.look([str(file), str(other)]) == [str(file)]


def test_a_gateway_is_started_replaced_and_stopped_as_workers_are_and_is_none_of_them() -> None:
    stage = Stage(2, has_gateway=True)
    stage.fleet.tick()
    # What is wrong with the settings is the first worker's to tell.
    assert [child.number for child in stage.started] == [1]
    stage.all_ready()
    assert sorted(child.number for child in stage.started) == [0, 1, 2]
    assert stage.fleet.is_ready()
    gateway = next(child for child in stage.started if child.number == 0)
    assert [c.number for c in stage.fleet.workers_of("working")] == [1, 2]
    stage.end(gateway, 1)
    assert not stage.fleet.is_ready()
    assert stage.fleet.failed is None
    stage.now += 60
    stage.fleet.tick()
    new = stage.started[-1]
    assert new.number == 0
    stage.ready(new)
    stage.fleet.resize(1)
    assert [(n, word) for n, word in WORDS if word == "stop"] == [(2, "stop")]
    stage.fleet.stop()
    assert (0, "stop") in WORDS


def test_a_thousand_deaths_take_nothing_away_from_what_was_counted() -> None:
    measured, deaths = Measured(), 1_000
    stage = Stage(2, counted=measured.learn)
    stage.all_ready()
    name = "wpbridge_actions_completed_total"
    part = [[name, "", "h", "wpbridge", 3]]
    for number in range(deaths):
        [child, *_] = [c for c in stage.started if c.process.returncode is None]
        stage.fleet.heard(child, {"event": "numbers", "numbers": part})
        # The last words of one that is killed may still be on the way.
        LAST_WORDS.append({"event": "numbers", "numbers": part})
        stage.end(child, -9)
        assert measured.numbers().values[name, ("", "h", "wpbridge")] == 6 * (number + 1)
        stage.now += 60
        stage.fleet.tick()
        stage.ready(stage.started[-1])
    assert stage.fleet.deaths == deaths


def test_more_workers_for_more_work_do_not_make_the_daemon_unready() -> None:
    stage = Stage(1)
    stage.all_ready()
    stage.fleet.resize(3, is_urgent=False)
    stage.fleet.tick()
    assert [child.number for child in stage.started] == [1, 2, 3]
    assert stage.fleet.is_ready()
    stage.ready(*stage.started)
    assert stage.fleet.is_ready()
    # From then on they count as the others do.
    stage.end(stage.started[2], -9)
    assert not stage.fleet.is_ready()


def test_fewer_workers_drain_and_are_not_killed() -> None:
    stage = Stage(3)
    stage.all_ready()
    stage.fleet.resize(1, is_urgent=False)
    assert WORDS == [(2, "stop"), (3, "stop")]
    assert [child.process.returncode for child in stage.started] == [None, None, None]
    stage.now += 3600
    stage.fleet.tick()
    assert [child.process.returncode for child in stage.started] == [None, None, None]
    stage.end(stage.started[2], 0)
    stage.end(stage.started[1], 0)
    assert [child.number for child in stage.fleet.children()] == [1]
    assert stage.fleet.deaths == 0


def test_each_worker_hears_the_concurrency_also_one_that_starts_later() -> None:
    stage = Stage(1, has_gateway=True)
    stage.all_ready()
    stage.fleet.set_concurrency(8)
    stage.fleet.set_concurrency(8)
    assert WORDS == [(1, "concurrency 8")]
    stage.fleet.resize(2)
    stage.fleet.tick()
    assert WORDS[1:] == [(2, "concurrency 8")]


def test_what_was_never_chosen_is_not_told_after_a_reload() -> None:
    stage = Stage(1)
    stage.all_ready()
    stage.fleet.unscale(4)
    assert WORDS == []
    stage.fleet.set_concurrency(8)
    stage.fleet.unscale(4)
    assert WORDS == [(1, "concurrency 8"), (1, "concurrency 4")]


def test_a_reload_of_a_daemon_that_scales_drains_no_worker_that_was_chosen() -> None:
    scaling: Any = object()
    terms = CurrentTerms(Terms(scaling=scaling), lambda: Terms(scaling=scaling))
    stage = Stage(1)
    stage.fleet.resize(3)
    stage.all_ready()
    terms.reload(stage.fleet)
    stage.fleet.tick()
    stage.ready(stage.started[-1])
    terms.decide(stage.fleet)
    assert [word for word in WORDS if word[1] == "stop"] == [(1, "stop")]
    assert terms.now.scaling is scaling
    # Where the new settings have a number, it counts.
    fixed = CurrentTerms(Terms(scaling=scaling), lambda: Terms(processes=2, concurrency=4))
    stage.fleet.set_concurrency(9)
    fixed.reload(stage.fleet)
    stage.fleet.rolling.end()
    fixed.decide(stage.fleet)
    assert (3, "stop") in WORDS
    assert (2, "concurrency 4") in WORDS
