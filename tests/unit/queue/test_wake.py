"""Waking daemons: who is told, what is left of the dead, and what it costs."""

import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stores import make_store
from wpbridge.queue import wake
from wpbridge.queue.facade import Queue
from wpbridge.site.database import DatabaseAddress

NAME = wake.name_of("shop", "wp_")


@pytest.fixture
def place() -> Iterator[str]:
    with TemporaryDirectory(dir="/tmp", prefix="wpb") as folder:
        yield f"{folder}/run"


def listening(place: str, mark: str = "1") -> wake.Listener:
    ear = wake.Listener.open(NAME, [place], mark)
    assert ear is not None
    return ear


def test_all_who_listen_are_told(place: str) -> None:
    ears = [listening(place, "1"), listening(place, "2")]
    assert wake.poke(NAME, [place]) == 2
    assert [ear.drain() for ear in ears] == [True, True]
    assert not ears[0].drain()
    ears[0].close()
    assert wake.poke(NAME, [place]) == 1
    ears[1].close()
    assert wake.poke(NAME, [place]) == 0


def test_other_queues_are_not_told(place: str) -> None:
    ear = listening(place)
    assert wake.poke(wake.name_of("shop", "wp_2_"), [place]) == 0
    assert not ear.drain()
    ear.close()


def test_one_that_does_not_read_keeps_nobody_waiting(place: str) -> None:
    ear = listening(place)
    before = time.monotonic()
    for _ in range(2000):
        assert wake.poke(NAME, [place]) == 1
    assert time.monotonic() - before < 2.0
    assert ear.drain()
    ear.close()


def test_sockets_of_the_dead_are_removed_by_the_next_poke_and_the_next_listener(place: str) -> None:
    for mark in ("1", "2"):
        dead = listening(place, mark)
        dead._ear.close()
        assert Path(dead.place).exists()
        if mark == "1":
            assert wake.poke(NAME, [place]) == 0
            assert not Path(dead.place).exists()
    alive = listening(place, "3")
    assert [one.name for one in Path(place, NAME).iterdir()] == ["3"]
    alive.close()


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o770])
def test_a_folder_that_others_may_enter_is_not_used(place: str, mode: int) -> None:
    ear = listening(place)
    Path(place).chmod(mode)
    assert wake.Listener.open(NAME, [place]) is None
    assert wake.poke(NAME, [place]) == 0
    ear.close()


def test_a_link_is_no_folder_of_ours(place: str) -> None:
    Path(f"{place}.real").mkdir(mode=0o700)
    Path(place).symlink_to(f"{place}.real")
    assert wake.Listener.open(NAME, [place]) is None


def test_a_name_that_is_too_long_for_a_socket_is_passed_over(place: str) -> None:
    long = f"{place}{'x' * 100}"
    ear = wake.Listener.open(NAME, [long, place], "1")
    assert ear is not None
    assert ear.place.startswith(f"{place}/")
    ear.close()


def test_with_nobody_there_it_costs_next_to_nothing(place: str) -> None:
    places = wake.folders({"XDG_RUNTIME_DIR": place})

    def seconds() -> float:
        before = time.perf_counter()
        for _ in range(1000):
            wake.poke(NAME, places)
        return (time.perf_counter() - before) / 1000

    assert min(seconds() for _ in range(3)) < 50e-6


def test_the_same_file_by_two_paths_is_one_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = set()
    (tmp_path / "queue.db").touch()
    for dsn in ("sqlite:///queue.db", f"sqlite:///{tmp_path}/queue.db"):
        store = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
        names.add(wake.wake_name(store.parts))
        store.close()
    assert len(names) == 1


def test_a_queue_pokes_after_its_own_commits_of_what_is_due(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(Path(place).parent))
    address = DatabaseAddress.from_dsn(f"sqlite:///{tmp_path}/queue.db")
    store = make_store(address, "wp_")
    ear = wake.Listener.open(wake.wake_name(store.parts), wake.folders())
    assert ear is not None
    with Queue(store.parts) as queue:
        first = queue.enqueue_async("h")
        assert ear.drain()
        assert first is not None
        queue.schedule_single("+1h", "h")
        assert not ear.drain()
        queue.reschedule([first], at="+1h")
        assert not ear.drain()
        queue.reschedule([first], at="now")
        assert ear.drain()
        queue.cancel([first])
        assert not ear.drain()
        queue.requeue([first], dry_run=True)
        assert not ear.drain()
        queue.requeue([first])
        assert ear.drain()
        queue.pause(everything=True)
        assert not ear.drain()
        queue.resume(everything=True)
        assert ear.drain()
        connection = sqlite3.connect(tmp_path / "queue.db")
        with connection:
            queue.enqueue_async("h", connection=connection)
        connection.close()
        assert not ear.drain()
        assert queue.wake() == 1
        assert ear.drain()
    ear.close()


def test_a_stranger_socket_is_only_a_socket(place: str) -> None:
    ear = listening(place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(f"{place}/{NAME}/9")
        assert wake.poke(NAME, [place]) == 1
    ear.close()
