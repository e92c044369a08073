"""A daemon that PHP wakes: by what it tells in the table of runners, over its socket and by UDP."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons import HANDLERS, Daemon, until
from factories import make_new
from rows import query
from wpbridge.clock import SystemClock
from wpbridge.codec import wakes
from wpbridge.store.running.runner_store import RunnerStore

RUNNERS = "SELECT wake_address FROM wp_wpbridge_runners"


class Php:
    """What PHP does: it stores an action, looks where daemons listen, signs and sends."""

    def __init__(self, store: RunnerStore) -> None:
        self.store = store
        self.added = 0

    def add(self) -> None:
        """Store a due action, and tell nobody."""
        now = SystemClock().now()
        self.store.insert([make_new("count", args=(self.added,), now=now)], now=now)
        self.added += 1

    def addresses(self) -> list[str]:
        return [str(row[0]) for row in query(self.store, RUNNERS)]

    def wake(self, address: str) -> None:
        [key, *_] = self.store.parts.signing.keys("wake", max_age_seconds=0.0)
        message = wakes.write("wp_", now=time.time(), nonce=os.urandom(8), key=key)
        kind, _, place = address.partition(":")
        if kind == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
                bell.sendto(message, place)
        else:
            host, _, port = place.rpartition(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
                bell.sendto(message, (host, int(port)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acts.py").write_text(HANDLERS)
    return tmp_path


def test_php_wakes_a_daemon_and_the_next_one_after_a_kill(
    dsn: str, folder: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    php = Php(open_queue(dsn))
    flags = ("--poll-interval", "1h")
    first = Daemon(folder, dsn, *flags, env={"WPBRIDGE_WAKE_LISTEN": "127.0.0.1:0"})
    try:
        first.ready()
        [address] = php.addresses()
        assert address.startswith("udp:127.0.0.1:")
        php.add()
        php.wake(address)
        first.recorded("count", 1)
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
    finally:
        first.end()
    # Below the daemon's folder a path may be too long for a socket.
    place = Path(first.place)
    place.mkdir(mode=0o755)
    env = {"WPBRIDGE_WAKE_SOCKET": str(place / "wake.sock"), "WPBRIDGE_WAKE_MODE": "0622"}
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stale.bind(env["WPBRIDGE_WAKE_SOCKET"])
    stale.close()
    second = Daemon(folder, dsn, *flags, "--processes", "2", env=env)
    try:
        second.ready()
        path = f"unix:{place}/wake.sock"
        until(lambda: php.addresses().count(path) == 2, "two workers that tell of it")
        assert (place / "wake.sock").lstat().st_mode & 0o777 == 0o622
        php.add()
        php.wake(path)
        second.recorded("count", 2)
        # The first wake after a rotation makes the daemon read the keys, and is lost itself.
        [row] = php.store.parts.signing.stored()
        php.store.parts.signing.rotate(expected=row.fingerprint, keep_previous=False)
        php.add()

        def is_woken() -> bool:
            php.wake(path)
            return len(second.records("count")) > 2

        until(is_woken, "a wake with the new key")
        second.send(signal.SIGTERM)
        assert second.code() == 143
        assert not (place / "wake.sock").exists()
        assert "wakes_unheard" not in second.err()
    finally:
        second.end()
        place.rmdir()


def test_a_daemon_that_cannot_listen_says_so_and_polls(
    tmp_path: Path, folder: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    php = Php(open_queue(dsn))
    env = {"WPBRIDGE_WAKE_SOCKET": "/nowhere/wake.sock"}
    one = Daemon(folder, dsn, env=env)
    try:
        one.ready()
        php.add()
        one.recorded("count", 1)
        [line] = [line for line in one.err().splitlines() if "daemon.wakes_unheard" in line]
        assert "unix:/nowhere/wake.sock" in line
        assert "No such file" in line
    finally:
        one.end()
