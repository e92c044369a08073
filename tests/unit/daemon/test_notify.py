"""What systemd hears."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from wpbridge.daemon.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    with (
        TemporaryDirectory(dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
    ):
        name = f"wpbridge-{uuid.uuid4().hex}"
        address = f"@{name}" if request.param == "abstract" else str(Path(folder, name))
        ear.bind(address.replace("@", "\0"))
        ear.settimeout(300)
        yield ear, address


def test_it_is_told_line_by_line(manager: tuple[socket.socket, str]) -> None:
    ear, address = manager
    notifier = Notifier(address)
    notifier.ready("two\nlines")
    assert ear.recv(999).decode().splitlines() == [
        "READY=1",
        f"MAINPID={os.getpid()}",
        "STATUS=two lines",
    ]
    notifier.alive()
    assert ear.recv(999) == b"WATCHDOG=1"
    notifier.status("fine")
    assert ear.recv(999) == b"STATUS=fine"
    notifier.reloading()
    assert ear.recv(999).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    notifier.status("a\x1b[2J\x9b\u202e\ud800\x00b")
    assert ear.recv(999) == rb"STATUS=a\x1b[2J\x9b\u202e\ud800\x00b"
    notifier.stopping("soon")
    assert ear.recv(999) == b"STOPPING=1\nSTATUS=soon"


def test_a_manager_that_does_not_read_is_waited_for_asleep(
    manager: tuple[socket.socket, str],
) -> None:
    ear, address = manager
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, suppress(BlockingIOError):
        other.setblocking(False)
        while True:
            other.sendto(b"STATUS=full", ear.getsockname())
    used = time.thread_time()
    Notifier(address).status("given up after half a second")
    assert time.thread_time() - used < 0.05, "seconds of the processor"


@pytest.mark.parametrize("address", [None, "", "/nowhere/notify", "x" * 300])
def test_nobody_to_tell_is_no_trouble(address: str | None) -> None:
    Notifier(address).alive()


@pytest.mark.parametrize(
    ("env", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_alone(env: dict[str, str], seconds: float | None) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": "/run/x", **env}, pid=7)
    assert notifier.watchdog_seconds == seconds


def test_without_a_socket_there_is_no_watchdog() -> None:
    assert Notifier.of({"WATCHDOG_USEC": "30000000"}).watchdog_seconds is None
