"""A worker process as its supervisor sees it: started, told, heard, ended.

They speak over a socket pair, a line a message: words one way, JSON objects the other. The socket
is also the lifeline: when the supervisor is gone it closes, and the worker ends with its group.
"""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import IO, Any, Final, Literal, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.system.links import LinkReader

GATEWAY: Final = 0
"""The number of the process that serves HTTP beside the workers."""
RECYCLED: Final = 88
"""Exit code of a worker that has reached its age, size or number of actions."""

State: TypeAlias = Literal["starting", "working", "leaving", "left"]


@dataclass(slots=True, kw_only=True, eq=False)
class Child:
    """One worker process, as its supervisor sees it."""

    number: int
    """Its place among the workers, from 1; or the gateway's."""
    process: subprocess.Popen[bytes]
    link: socket.socket
    started: float
    state: State = "starting"
    why: str = ""
    """Why it leaves."""
    left_at: float = 0.0
    signed: float = 0.0
    """When its loop last gave a sign."""
    has_database: bool = True
    totals: dict[str, float] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """Modules below the handlers' folder."""
    _reader: LinkReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = LinkReader(self.link)

    @property
    def pid(self) -> int:
        """Of the process, which leads a session and group of its own."""
        return self.process.pid

    def fileno(self) -> int:
        """Return the descriptor that a selector watches."""
        return self.link.fileno()

    def tell(self, word: str) -> None:
        """Hand a command on; a worker that does not read is found by its silence."""
        with contextlib.suppress(OSError):
            self.link.send(f"{word}\n".encode())

    def hear(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the messages that have arrived, and whether more may come."""
        return self._reader.messages()

    def has_ended(self) -> bool:
        """Return whether it has ended; then what its handlers started is ended, too."""
        if self.process.returncode is not None:
            return True
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
        # Not yet waited for, so the number cannot be another's.
        self.kill()
        self.process.wait()
        return True

    def kill(self) -> None:
        """Kill the process and all of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    @property
    def code(self) -> int:
        """The exit code, as a shell would tell it."""
        code = self.process.returncode
        return 128 - code if code < 0 else code


Start: TypeAlias = Callable[[int, bytes], Child]
"""Start a worker, given its number and what it is handed."""


def starter(
    words: Callable[[str], Sequence[str]],
    env: Mapping[str, str],
    *,
    shared: Callable[[int], Sequence[int]] = lambda _number: (),
) -> Start:
    """Starts workers of a command.

    Args:
        words: the command; given what the worker must know: its number, the descriptor of its
            link, and that of a file with what it is handed.
        env: the whole environment.
        shared: the supervisor's descriptors that a worker of this number gets too.
    """

    def start(number: int, handed: bytes) -> Child:
        ours, theirs = socket.socketpair()
        with theirs, handed_file(handed) as file:
            told = f"{number}:{theirs.fileno()}:{file.fileno()}"
            process = subprocess.Popen(  # noqa: S603 - this program itself
                words(told),
                stdin=subprocess.DEVNULL,
                env=dict(env),
                pass_fds=(theirs.fileno(), file.fileno(), *shared(number)),
                # The terminal's Ctrl-C is the supervisor's to hand on.
                start_new_session=True,
            )
        ours.settimeout(0)
        now = time.monotonic()
        return Child(number=number, process=process, link=ours, started=now, signed=now)

    return start


def handed_file(data: bytes) -> IO[bytes]:
    """Put data into a file without a name, in memory where that is possible."""
    file: IO[bytes]
    if hasattr(os, "memfd_create"):
        file = open(os.memfd_create("wpbridge"), "w+b")  # noqa: PTH123, SIM115 - a descriptor
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    file.write(data)
    file.seek(0)
    return file
