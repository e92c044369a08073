"""Wakes idle daemons of this host when something was enqueued here. Each worker has one socket.

A hint, never a promise: what is not heard is found at the next look. A poke carries nothing, so
that the worst a stranger could do is to make a daemon look. Sockets lie in a folder of the user's
own; daemons and enqueuers of one user find each other there, others wait for the next look.
"""

import contextlib
import errno
import hashlib
import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from wpbridge.store.opened import OpenStore
from wpbridge.system import datagrams

_NAME_BYTES: Final = 16


def name_of(database: str, prefix: str) -> str:
    """Return the name of the folder that holds the sockets of one queue.

    By the database's name (a file by its real path) and the prefix alone: the same server is
    reached by many addresses, and one poke too many does no harm.
    """
    told = f"{database}\0{prefix}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(told).hexdigest()[:_NAME_BYTES]


def wake_name(store: OpenStore) -> str:
    """Return the name that this queue's daemons listen under."""
    return name_of(store.dialect.place(store.session.address), store.names.prefix)


def folders(env: Mapping[str, str] = os.environ) -> list[str]:
    """Return where sockets may lie: the user's runtime folder, else a folder in /tmp."""
    user = os.geteuid()
    told = env.get("XDG_RUNTIME_DIR") or f"/run/user/{user}"
    return [f"{told}/wpbridge", f"/tmp/wpbridge-{user}"]  # noqa: S108 - checked to be ours alone


def poke(name: str, places: Sequence[str]) -> int:
    """Wake the daemons that listen, and return how many were told.

    It never raises, and never waits.
    """
    told = 0
    for place in places:
        folder = f"{place}/{name}"
        try:
            found = os.listdir(folder)  # noqa: PTH208 - a few microseconds count here
        except OSError:
            continue
        if not found or not _is_private(place):
            continue
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.settimeout(0)
            told += sum(_ring(bell, f"{folder}/{one}") for one in found)
    return told


def _ring(bell: socket.socket, place: str) -> bool:
    try:
        bell.sendto(b"1", place)
    except OSError as error:
        if error.errno == datagrams.GONE:
            # Its process was killed: a socket that is alive never refuses.
            with contextlib.suppress(OSError):
                os.unlink(place)  # noqa: PTH108
        # Full: it is being told already.
        return error.errno in (errno.EAGAIN, errno.ENOBUFS)
    return True


class Listener:
    """The socket on which one worker is woken."""

    def __init__(self, ear: socket.socket, place: str) -> None:
        self._ear = ear
        self.place = place

    @classmethod
    def open(cls, name: str, places: Sequence[str], mark: str | None = None) -> Self | None:
        """Listen in the first folder that only this user may use.

        None where there is no such folder.
        """
        for place in places:
            with contextlib.suppress(OSError):
                if not _make_private(place):
                    continue
                folder = Path(place, name)
                folder.mkdir(mode=0o700, exist_ok=True)
                _sweep(folder)
                ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                ear.settimeout(0)
                at = folder / (mark or str(os.getpid()))
                try:
                    at.unlink(missing_ok=True)
                    ear.bind(str(at))
                except OSError:
                    ear.close()
                    raise
                return cls(ear, str(at))
        return None

    def fileno(self) -> int:
        """Return the socket's descriptor, so that a selector can wait for it."""
        return self._ear.fileno()

    def drain(self) -> bool:
        """Take all pokes that have come. Returns whether there was one."""
        found = False
        with contextlib.suppress(BlockingIOError):
            while self._ear.recv(16):
                found = True
        return found

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        with contextlib.suppress(OSError):
            os.unlink(self.place)  # noqa: PTH108
        self._ear.close()


def _sweep(folder: Path) -> None:
    """Remove the sockets of processes that have ended."""
    for place in _sockets(folder):
        try:
            is_heard = datagrams.is_heard(place)
        except OSError:
            continue
        if not is_heard:
            place.unlink(missing_ok=True)


def _sockets(folder: Path) -> Iterator[Path]:
    for place in folder.iterdir():
        if place.is_socket():
            yield place


def _make_private(place: str) -> bool:
    with contextlib.suppress(FileExistsError):
        os.mkdir(place, 0o700)  # noqa: PTH102
    return _is_private(place)


def _is_private(place: str) -> bool:
    """Tell whether it is a folder, and no link, that only this user may enter and write to."""
    try:
        found = os.lstat(place)
    except OSError:
        return False
    is_folder = stat.S_ISDIR(found.st_mode)
    return is_folder and found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077
