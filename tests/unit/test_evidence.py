"""The storms' judge: each broken promise is seen, and what is excused is excused."""

from pathlib import Path

import pytest

import evidence
from evidence import Harm, Kill, Lapse

NANO = 1_000_000_000
PID, PARENT = 100, 10


def line(word: str, key: str, at: float, *, hook: str = "quick", pid: int = PID) -> str:
    """A line of action 1's record."""
    return f"{word} {key} 1 {hook} 1 {pid} {PARENT} mark {int(at * NANO)} {int(at * NANO)}\n"


def wrongs(record: Path, *lines: str, kill: Kill | None = None, lapse: Lapse | None = None) -> str:
    record.write_text("".join(lines), "ascii")
    harm = Harm(kills=[kill] if kill else [], lapses=[lapse] if lapse else [])
    return "; ".join(evidence.wrongs(evidence.read(record), harm, {"once"}))


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "record"


def test_one_attempt_is_well(record: Path) -> None:
    assert not wrongs(record, line("start", "a", 1), line("end", "a", 2))


def test_attempts_that_overlap_are_seen(record: Path) -> None:
    told = wrongs(
        record,
        line("start", "a", 1),
        line("start", "b", 2, pid=200),
        line("raise", "a", 3),
        line("end", "b", 4, pid=200),
    )
    assert "was started twice at once" in told


def test_attempts_one_after_the_other_are_well_where_the_first_failed(record: Path) -> None:
    first = (line("start", "a", 1), line("raise", "a", 2))
    second = (line("start", "b", 3), line("end", "b", 4))
    assert not wrongs(record, *first, *second)


def test_what_succeeded_must_not_run_again(record: Path) -> None:
    told = wrongs(
        record,
        line("start", "a", 1),
        line("end", "a", 2),
        line("start", "b", 3),
        line("end", "b", 4),
    )
    assert "was run again after it had succeeded" in told


def test_an_attempt_that_vanished_is_seen(record: Path) -> None:
    assert "without an end that nobody killed" in wrongs(record, line("start", "a", 1))


@pytest.mark.parametrize("whom", [PID, PARENT, "mark"])
def test_a_killed_attempt_may_be_made_again(record: Path, whom: int | str) -> None:
    kill = Kill(whom=whom, at=1.5, gone=1.6)
    lines = (line("start", "a", 1), line("start", "b", 2, pid=200), line("end", "b", 3, pid=200))
    assert not wrongs(record, *lines, kill=kill)


def test_a_kill_that_came_too_late_excuses_nothing(record: Path) -> None:
    kill = Kill(whom=PID, at=2.5, gone=2.6)
    lines = (line("start", "a", 1), line("start", "b", 2, pid=200), line("end", "b", 3, pid=200))
    assert "was started twice at once" in wrongs(record, *lines, kill=kill)


def test_a_child_that_outlives_its_killed_parent_is_seen(record: Path) -> None:
    """It ended by itself, after another had begun."""
    kill = Kill(whom=PARENT, at=1.5, gone=4.0)
    lines = (
        line("start", "a", 1),
        line("start", "b", 2, pid=200),
        line("end", "a", 3),
        line("end", "b", 3.5, pid=200),
    )
    assert "was started twice at once" in wrongs(record, *lines, kill=kill)


def test_what_a_stopped_runner_had_in_hand_may_go_on(record: Path) -> None:
    lapse = Lapse(whom=PID, at=1.5, knew=4.0)
    lines = (
        line("start", "a", 1),
        line("start", "b", 2, pid=200),
        line("end", "b", 3, pid=200),
        line("end", "a", 3.5),
    )
    assert not wrongs(record, *lines, lapse=lapse)
    assert "twice at once" in wrongs(record, *lines, lapse=Lapse(whom=PID, at=2.5, knew=4.0))
    assert "twice at once" in wrongs(record, *lines, lapse=Lapse(whom=300, at=1.5, knew=4.0))


def test_what_must_start_once_has_no_excuse(record: Path) -> None:
    kill = Kill(whom=PID, at=1.5, gone=1.6)
    told = wrongs(
        record,
        line("start", "a", 1, hook="once"),
        line("start", "b", 2, hook="once", pid=200),
        line("end", "b", 3, hook="once", pid=200),
        kill=kill,
    )
    assert "must start once and started 2 times" in told


def test_a_hang_lasts_until_its_limit(record: Path) -> None:
    first = line("start", "a", 1, hook="iso_hang")
    assert not wrongs(record, first)
    early = (line("start", "b", 1.9, hook="iso_hang"), line("raise", "b", 3, hook="iso_hang"))
    assert "was started twice at once" in wrongs(record, first, *early)


def test_a_hang_that_is_killed_lasts_until_then(record: Path) -> None:
    first = line("start", "a", 1, hook="iso_hang")
    lines = (line("start", "b", 1.6, pid=200), line("end", "b", 3, pid=200))
    assert not wrongs(record, first, *lines, kill=Kill(whom="mark", at=1.1, gone=1.2))
    late = Kill(whom="mark", at=1.7, gone=1.8)
    assert "was started twice at once" in wrongs(record, first, *lines, kill=late)


def test_a_stopped_worker_must_not_go_on_with_what_others_have_started(record: Path) -> None:
    lines = (
        line("start", "a", 2, pid=200),
        line("end", "a", 3, pid=200),
        line("start", "b", 3.5),
        line("end", "b", 3.6),
    )
    record.write_text("".join(lines), "ascii")
    found = evidence.read(record)

    def told(most: int | None) -> list[str]:
        lapse = Lapse(whom=PID, at=1.5, knew=4.0, most_starts=most)
        return list(evidence.starts_in_lapses(found, Harm(lapses=[lapse])))

    assert told(None) == told(1) == []
    assert "went on with 1 that others had started" in told(0)[0]
