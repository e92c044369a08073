"""Listens for wakes: on a Unix socket, by UDP, or both, as the settings say.

What cannot be opened now is tried again later, and the log says why. Without it the daemon finds
what PHP enqueues by polling, so nothing of this ends a daemon.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from wpbridge.codec.wakes import MOST_BYTES
from wpbridge.dataclass import dataclass
from wpbridge.errors import NotObeyed
from wpbridge.site.config import Settings
from wpbridge.site.wake_kinds import OFF, joined, split
from wpbridge.system import datagrams
from wpbridge.system.trusted_files import may_obey
from wpbridge.telling.log import tell

AGAIN_SECONDS: Final = 5.0
"""What could not be opened is tried again after this time."""
MOST_MESSAGES: Final = 64
"""So many messages are read at once. Those that come faster are dropped by the kernel."""
_ANY_PORT: Final = "127.0.0.1:0"


@dataclass(slots=True, eq=False)
class WakeSocket:
    """One socket, or the wish for one."""

    address: str
    """How it is told to PHP: ``unix:/path`` or ``udp:HOST:PORT``. Empty while that is not known."""
    bind: Callable[[], socket.socket]
    path: Path | None = None
    sock: socket.socket | None = None
    inode: tuple[int, int] | None = None
    """Device and number of the socket's file, so that no other one is removed at the end."""
    is_told: bool = False
    """Whether the log has said that it cannot be opened."""

    def try_to_open(self) -> None:
        """Open the socket unless it is open. What goes wrong is logged once."""
        if self.sock is not None:
            return
        try:
            self.sock = self.bind()
        except (OSError, NotObeyed) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            if not self.is_told:
                self.is_told = True
                tell("daemon.wakes_unheard", address=self.address, reason=why)
            return
        self.is_told = False
        self.inode = None if self.path is None else _inode(self.path)

    def messages(self) -> Iterator[bytes]:
        """Yield the messages that have come. A longer one than any wake is cut off."""
        if self.sock is None:
            return
        with contextlib.suppress(OSError):
            for _ in range(MOST_MESSAGES):
                yield self.sock.recv(MOST_BYTES + 1)

    def close(self) -> None:
        """Stop listening, and remove the socket's file if it is still ours."""
        if self.sock is None:
            return
        # The number of the file is nobody else's as long as the socket is open.
        if self.path is not None and _inode(self.path) == self.inode:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.sock.close()
        self.sock = None


class WakeListener:
    """The sockets of one daemon."""

    def __init__(self, ears: Sequence[WakeSocket] = ()) -> None:
        self.ears = tuple(ears)
        self._again_at = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make one as the settings say, and open what can be opened."""
        ears = []
        if settings.wake_socket is not None:
            ears.append(_at_path(settings, settings.wake_socket))
        listen = settings.wake_listen or (OFF if ears else _ANY_PORT)
        if listen != OFF:
            ears.append(_at_udp(listen, settings.wake_announce))
        listener = cls(ears)
        listener.open()
        return listener

    @property
    def address(self) -> str:
        """Return how PHP reaches this daemon: the first that answers of some addresses."""
        return " ".join(ear.address for ear in self.ears if ear.address)

    def open(self) -> None:
        """Open what is not open yet, unless it was tried a moment ago."""
        if time.monotonic() >= self._again_at and any(ear.sock is None for ear in self.ears):
            self._again_at = time.monotonic() + AGAIN_SECONDS
            for ear in self.ears:
                ear.try_to_open()

    def close(self) -> None:
        """Stop listening."""
        for ear in self.ears:
            ear.close()


def _inode(path: Path) -> tuple[int, int] | None:
    """Return the device and the number of a file; None if it is not there."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _at_path(settings: Settings, path: Path) -> WakeSocket:
    def bound() -> socket.socket:
        if not settings.trusted:
            may_obey(path.parent, "the folder of the wake socket", is_searched=True)
        mode, group = int(settings.wake_mode, 8), settings.wake_group
        return datagrams.bound_to_path(path, mode=mode, group=group)

    return WakeSocket(address=f"unix:{path}", bind=bound, path=path)


def _at_udp(listen: str, announce: str | None) -> WakeSocket:
    host, port = split(listen)
    ear = WakeSocket(address="", bind=lambda: datagrams.bound_to_udp(host, port or 0))
    ear.try_to_open()
    there = port if ear.sock is None else int(ear.sock.getsockname()[1])
    ear.address = _announced(host, there, announce) if there else ""
    return ear


def _announced(host: str, port: int, announce: str | None) -> str:
    """Return the address to which PHP sends. It is numeric, so that PHP asks no name server."""
    told, other = split(announce) if announce else (host, None)
    is_any = told in {"0.0.0.0", "::"}  # noqa: S104 - it is compared, not bound
    try:
        # A container's own name leads to the address by which the others reach it.
        found = datagrams.resolved(socket.gethostname() if is_any else told)
    except OSError as error:
        tell("daemon.wakes_unheard", address=f"udp:{told}", reason=error.strerror)
        return ""
    if is_any and found.startswith("127."):
        reason = "this host has no address of its own by its name: set announce below [wake]"
        tell("daemon.wakes_unheard", address=f"udp:{told}", reason=reason)
        return ""
    return f"udp:{joined(found, other or port)}"
