"""Daemons as real processes, heard and seen as their operators hear and see them."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import warm

DEADLINE_SECONDS = 300.0

HANDLERS = """
import os, time
from wpbridge import Context, hook

def record(*words):
    with open("record", "ab", buffering=0) as stream:
        stream.write((" ".join(map(str, words)) + "\\n").encode())

@hook("count")
def count(number):
    record("count", number, os.getpid())

@hook("slow")
def slow(number):
    record("start", number, os.getpid())
    with open("gate", "rb") as gate:
        gate.read()
    record("end", number, os.getpid())
"""
"""Handlers that write down what they do: ``count``, and ``slow``, which waits at the gate."""


def until(
    true: Callable[[], Any],
    what: str | Callable[[], str],
    seconds: float = DEADLINE_SECONDS,
    *,
    pause: float = 0.005,
) -> Any:
    """Wait for something that shows outside: a file, a row, a process.

    It looks less and less often: looking takes the processor from what is waited for.
    """
    end = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > end:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:.0f} s: {told}")
        time.sleep(pause)
        pause = max(pause, min(0.02, pause * 1.3))
    return found


class Daemon:
    """A ``wpbridge work`` with a service manager that listens."""

    def __init__(self, folder: Path, dsn: str, *flags: str, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.place = tempfile.mkdtemp(prefix="wpb", dir="/tmp")
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ear.bind(f"{self.place}/notify")
        self.ear.settimeout(DEADLINE_SECONDS)
        self.heard: list[str] = []
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
        # Without one the settings file tells it.
        where = ["--dsn", dsn] if dsn else []
        with (folder / "err").open("wb") as err:
            self.process = warm.Popen(
                [sys.executable, "-m", "wpbridge", "work", *where, "--handlers", "acts", *flags],
                cwd=folder,
                stderr=err,
                stdout=err,
                start_new_session=True,
                env={
                    **clean,
                    "NOTIFY_SOCKET": f"{self.place}/notify",
                    "XDG_RUNTIME_DIR": self.place,
                    "MARK": str(folder),
                    **env,
                },
            )

    def told(self, word: str) -> str:
        """Wait until the service manager was told so."""
        while True:
            try:
                message = self.ear.recv(4096).decode()
            except TimeoutError:
                raise AssertionError(f"{word} was not told; {self.err()}") from None
            self.heard.append(message)
            if word in message:
                return message

    def ready(self) -> "Daemon":
        self.told("READY=1")
        return self

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def code(self) -> int:
        return int(self.process.wait(timeout=DEADLINE_SECONDS))

    def err(self) -> str:
        return (self.folder / "err").read_text()

    def logged(self, word: str, times: int = 1) -> None:
        until(lambda: self.err().count(word) >= times, f"{word} in {self.err()}")

    def records(self, word: str) -> list[list[str]]:
        file = self.folder / "record"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.split()[1:] for line in lines if line.startswith(f"{word} ")]

    def recorded(self, word: str, times: int = 1) -> list[list[str]]:
        return until(  # type: ignore[no-any-return]
            lambda: len(found := self.records(word)) >= times and found,
            f"{times} times {word} in the record; {self.err()}",
        )

    def states(self) -> list[dict[str, Any]]:
        """What the workers tell when asked."""
        before = len(self._told_states())
        self.send(signal.SIGUSR1)
        workers = len(self.workers())
        found = until(lambda: (n := self._told_states())[before + workers - 1 :] and n, "a dump")
        return found[before:]  # type: ignore[no-any-return]

    def _told_states(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in self.err().splitlines() if line.startswith('{"worker"')
        ]

    def workers(self) -> list[int]:
        return [pid for pid in processes(self.folder) if pid != self.process.pid]

    def open_gate(self) -> None:
        """Let the slow ones end, those of now and later."""
        gate, opened = self.folder / "gate", self.folder / "opened"
        self.gate = os.open(gate, os.O_RDWR)
        opened.touch()
        # At no moment is there a gate at which somebody could begin to wait with nobody to open it.
        opened.replace(gate)
        os.close(self.gate)

    def end(self) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGQUIT)
            self.process.wait(timeout=DEADLINE_SECONDS)
        self.ear.close()
        shutil.rmtree(self.place)


def processes(folder: Path) -> list[int]:
    """Those that were started with this folder's mark and have not ended."""
    mark = f"MARK={folder}".encode()
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - quicker, and often
        with contextlib.suppress(OSError):
            told = Path(f"/proc/{name}/environ").read_bytes()
            if mark in told and mark in told.split(b"\0"):
                found.append(int(name))
    return found


def wpbridge(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
    command = [sys.executable, "-m", "wpbridge", *arguments]
    return warm.run(command, cwd=folder, env=clean, text=True)


StartDaemon = Callable[..., Daemon]
"""Takes a data source name and flags of ``wpbridge work``, and perhaps an environment."""


def work_folder(folder: Path, handlers: str) -> Path:
    """Give a folder the handlers that a daemon runs, and the gate at which slow ones wait."""
    (folder / "acts.py").write_text(handlers, encoding="utf-8")
    os.mkfifo(folder / "gate")
    return folder


@contextlib.contextmanager
def started_daemons(folder: Path) -> Iterator[StartDaemon]:
    """Start daemons in a folder; none of their processes outlives the block."""
    started: list[Daemon] = []

    def start(dsn: str, *flags: str, env: Mapping[str, str] | None = None) -> Daemon:
        started.append(Daemon(folder, dsn, *flags, env=env or {}))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.end()
        until(lambda: not processes(folder), "the end of all processes")
