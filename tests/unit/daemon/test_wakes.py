"""Wakes over real sockets: which ones count, who is told, and what a flood costs."""

import contextlib
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from wpbridge.codec import wakes
from wpbridge.daemon.wake_listener import AGAIN_SECONDS, WakeListener, WakeSocket
from wpbridge.daemon.wakes import CALM_SECONDS, KEYS_SECONDS, Wakes
from wpbridge.site.config import Settings

KEY = b"k" * 32
NOW = 1_790_000_000.0


class Worker:
    """What a supervisor has of a worker, as far as wakes go."""

    def __init__(self, in_hand: int = 0) -> None:
        self.totals = {"in_hand": in_hand}
        self.words: list[str] = []

    def tell(self, word: str) -> None:
        self.words.append(word)


class Desk:
    """A supervisor's loop, with a clock that stands still unless it is moved."""

    def __init__(self, settings: Settings) -> None:
        self.now = 100.0
        self.listener = WakeListener.of(settings)
        self.selector = selectors.DefaultSelector()
        self.wakes = Wakes(self.listener, self.selector, clock=lambda: self.now, now=lambda: NOW)
        self.wakes.take_keys("wp_", [KEY])
        self.workers: list[Any] = [Worker()]

    def turn(self, seconds: float = 0.0) -> None:
        """Go round once, after some time."""
        self.now += seconds
        self.wakes.tick(self.workers)
        for key, _ in self.selector.select(0):
            assert key.data is self.wakes
            self.wakes.hear()
        self.wakes.tick(self.workers)

    def send(self, message: bytes) -> None:
        kind, _, place = self.listener.address.partition(":")
        if kind == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
                bell.settimeout(0)
                # As PHP does: where the queue is full, nobody waits.
                with contextlib.suppress(BlockingIOError):
                    bell.sendto(message, place)
        else:
            host, _, port = place.rpartition(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
                bell.sendto(message, (host, int(port)))

    def told(self) -> list[int]:
        return [worker.words.count("wake") for worker in self.workers]


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir="/tmp", prefix="wpb") as name:
        yield Path(name)


@pytest.fixture(params=["socket", "udp"])
def desk(request: pytest.FixtureRequest, folder: Path) -> Iterator[Desk]:
    path = folder / "s" if request.param == "socket" else None
    it = Desk(Settings(wake_socket=path))
    yield it
    it.wakes.close()


def wake(prefix: str = "wp_", now: float = NOW, key: bytes = KEY, nonce: int = 0) -> bytes:
    return wakes.write(prefix, now=now, nonce=nonce.to_bytes(8, "big"), key=key)


def test_a_wake_makes_a_worker_look(desk: Desk) -> None:
    desk.turn()
    desk.send(wake())
    desk.turn()
    assert desk.told() == [1]
    desk.turn(10.0)
    assert desk.told() == [1]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"1",
        b"\xff" * 4000,
        wake(prefix="wp_2_"),
        wake(key=b"x" * 32),
        wake(now=NOW - 61),
        wake(now=NOW + 61),
        wake() + wake(),
    ],
    ids=["empty", "unsigned", "large", "foreign", "forged", "old", "early", "double"],
)
def test_what_does_not_count_is_dropped(desk: Desk, message: bytes) -> None:
    desk.turn()
    desk.send(message)
    desk.turn()
    desk.turn(1.0)
    assert desk.told() == [0]
    desk.send(wake())
    desk.turn()
    assert desk.told() == [1]


@pytest.mark.parametrize("is_good", [True, False])
def test_a_flood_is_one_look_in_20_ms(desk: Desk, *, is_good: bool) -> None:
    """Good ones and copies of them make one look in that time, and bad ones none."""
    desk.turn()
    rounds, heard = 50, 0
    whole = desk.wakes.hear

    def counted() -> None:
        nonlocal heard
        heard += 1
        whole()

    desk.wakes.hear = counted  # type: ignore[method-assign]  # it is counted
    for number in range(rounds * 4):
        for _ in range(3):
            desk.send(wake(nonce=number) if is_good else wake(key=b"bad"))
        # Until the sockets are read again the kernel keeps what comes.
        desk.turn(CALM_SECONDS * 0.2501)
    assert rounds - 2 <= heard <= rounds + 2
    [looks] = desk.told()
    assert rounds - 2 <= looks <= rounds + 2 if is_good else looks == 0


def test_all_workers_are_told_one_after_the_other_and_idle_ones_first(desk: Desk) -> None:
    busy, first, second = Worker(in_hand=3), Worker(), Worker()
    desk.workers = [busy, first, second]
    desk.turn()
    desk.send(wake())
    desk.turn()
    assert desk.told() == [0, 1, 0]
    assert desk.wakes.due() is not None
    desk.turn(CALM_SECONDS)
    assert desk.told() == [0, 1, 1]
    desk.turn(CALM_SECONDS)
    assert desk.told() == [1, 1, 1]
    desk.turn(CALM_SECONDS)
    assert desk.wakes.due() is None


def test_a_flood_reaches_each_of_the_idle_workers_equally(desk: Desk) -> None:
    desk.workers = [Worker(), Worker(), Worker()]
    desk.turn()
    for number in range(30):
        desk.send(wake(nonce=number))
        desk.turn(CALM_SECONDS)
    assert sum(desk.told()) == 30
    assert min(desk.told()) == max(desk.told()) == 10


def test_a_worker_that_has_ended_is_not_told(desk: Desk) -> None:
    gone = Worker()
    desk.workers.append(gone)
    desk.turn()
    desk.send(wake())
    desk.turn()
    del desk.workers[1]
    desk.turn(CALM_SECONDS)
    assert gone.words == []


def test_after_a_rotation_the_keys_are_asked_for_once_a_minute(desk: Desk) -> None:
    [worker] = desk.workers
    desk.turn()
    for _ in range(5):
        desk.send(wake(key=b"new"))
        desk.turn(CALM_SECONDS)
    assert worker.words == ["wake-keys"]
    desk.wakes.learn({"event": "wakes", "wakes": {"prefix": "wp_", "keys": [b"new".hex()]}})
    desk.send(wake(key=b"new"))
    desk.turn(CALM_SECONDS)
    assert worker.words == ["wake-keys", "wake"]
    desk.send(wake(key=b"other"))
    desk.turn(KEYS_SECONDS)
    assert worker.words == ["wake-keys", "wake", "wake-keys"]


def test_messages_of_workers_without_keys_change_nothing(desk: Desk) -> None:
    desk.wakes.learn({"event": "ready", "files": [], "wakes": {}})
    desk.wakes.learn({"event": "beat"})
    desk.turn()
    desk.send(wake())
    desk.turn()
    assert desk.told() == [1]


# Where it listens


def test_by_default_it_listens_on_the_loopback_interface_alone() -> None:
    listener = WakeListener.of(Settings())
    assert listener.address.startswith("udp:127.0.0.1:")
    listener.close()


def test_a_socket_is_enough_and_both_are_told(folder: Path) -> None:
    one = WakeListener.of(Settings(wake_socket=folder / "s"))
    assert one.address == f"unix:{folder}/s"
    one.close()
    both = WakeListener.of(Settings(wake_socket=folder / "s", wake_listen="127.0.0.1:0"))
    assert both.address.startswith(f"unix:{folder}/s udp:127.0.0.1:")
    both.close()
    assert WakeListener.of(Settings(wake_listen="off")).address == ""


def test_the_end_removes_its_own_socket_and_no_other(folder: Path) -> None:
    listener = WakeListener.of(Settings(wake_socket=folder / "s"))
    (folder / "s").unlink()
    other = WakeListener.of(Settings(wake_socket=folder / "s"))
    listener.close()
    assert (folder / "s").is_socket()
    other.close()
    assert not (folder / "s").exists()


def test_a_socket_that_is_removed_while_it_is_made_ends_no_daemon(folder: Path) -> None:
    ours, other = socket.socketpair()
    with other:
        ear = WakeSocket(address="unix:gone", bind=lambda: ours, path=folder / "gone")
        ear.try_to_open()
        ear.close()
    assert ours.fileno() == -1


def test_a_folder_into_which_everybody_writes_is_refused(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.chmod(0o1777)
    listener = WakeListener.of(Settings(wake_socket=folder / "s"))
    assert not (folder / "s").exists()
    [record] = caplog.records
    assert record.message == "daemon.wakes_unheard"
    folder.chmod(0o755)
    listener.close()


def test_what_cannot_be_opened_is_tried_again_and_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("wpbridge.daemon.wake_listener.time.monotonic", lambda: now)
    path = folder / "later" / "s"
    listener = WakeListener.of(Settings(wake_socket=path))
    assert listener.address == f"unix:{path}", "PHP is told all the same"
    path.parent.mkdir(mode=0o755)
    listener.open()
    assert not path.exists()
    now += AGAIN_SECONDS
    listener.open()
    assert path.is_socket()
    assert [record.message for record in caplog.records] == ["daemon.wakes_unheard"]
    listener.close()


@pytest.mark.parametrize(
    ("listen", "announce", "address"),
    [
        ("127.0.0.1:0", "localhost:7", "udp:127.0.0.1:7"),
        ("127.0.0.1:0", "no-such-host.invalid", ""),
        ("0.0.0.0:0", "10.1.2.3:9", "udp:10.1.2.3:9"),
    ],
)
def test_php_is_told_numeric_addresses(
    listen: str, announce: str, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    listener = WakeListener.of(Settings(wake_listen=listen, wake_announce=announce))
    listener.close()
    assert listener.address.replace("udp:[::1]", "udp:127.0.0.1") == address
    assert bool(caplog.records) is not bool(address)


@pytest.mark.parametrize(("own", "address"), [("172.18.0.3", "udp:172.18.0.3:"), ("127.0.1.1", "")])
def test_a_container_tells_its_own_address(
    own: str, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("wpbridge.system.datagrams.resolved", lambda _host: own)
    listener = WakeListener.of(Settings(wake_listen="0.0.0.0:0"))
    listener.close()
    assert listener.address.startswith(address)
    assert bool(listener.address) is bool(address)
    assert bool(caplog.records) is not bool(address)


def test_nothing_of_the_supervisor_is_used_up(desk: Desk) -> None:
    """The selector has what it had, after the end too."""
    desk.turn()
    assert len(desk.selector.get_map()) == 1
    desk.wakes.close()
    assert len(desk.selector.get_map()) == 0
