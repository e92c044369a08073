"""Waking idle daemons of this host when something was enqueued here: one socket a worker.

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

from wpbridge.store.running.runner_store import SqlStore

_NAME_BYTES: Final = 16
_GONE: Final = errno.ECONNREFUSED
"""Nobody listens at a socket's name any more."""


def name_of(database: str, prefix: str) -> str:
    """What the sockets of one queue lie under.

    By the database's name (a file by its real path) and the prefix alone: the same server is
    reached by many addresses, and one poke too many does no harm.
    """
    told = f"{database}\0{prefix}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(told).hexdigest()[:_NAME_BYTES]


def wake_name(store: SqlStore) -> str:
    """Return the name that this queue's daemons listen under; connects to ask for its database."""
    dialect, named = store.session.run(lambda c: (c.engine.dialect.name, c.engine.url.database))
    database = os.path.realpath(named or "") if dialect == "sqlite" else named or ""
    return name_of(database, store.names.prefix)


def folders(env: Mapping[str, str] = os.environ) -> list[str]:
    """Where sockets may lie: the user's runtime folder, and one below /tmp for those without."""
    user = os.geteuid()
    told = env.get("XDG_RUNTIME_DIR") or f"/run/user/{user}"
    return [f"{told}/wpbridge", f"/tmp/wpbridge-{user}"]  # noqa: S108 - checked to be ours alone


def poke(name: str, places: Sequence[str]) -> int:
    """Wake who listens; returns how many were told. Never raises, never waits."""
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
        if error.errno == _GONE:
            # Its process was killed: a socket that is alive never refuses.
            with contextlib.suppress(OSError):
                os.unlink(place)  # noqa: PTH108
        # Full: it is being told already.
        return error.errno in (errno.EAGAIN, errno.ENOBUFS)
    return True


class Listener:
    """One worker's ear."""

    def __init__(self, ear: socket.socket, place: str) -> None:
        self._ear = ear
        self.place = place

    @classmethod
    def open(cls, name: str, places: Sequence[str], mark: str | None = None) -> Self | None:
        """In the first folder that is, or can be made, ours alone; None where there is none."""
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
        """For a selector."""
        return self._ear.fileno()

    def drain(self) -> bool:
        """Take all pokes there are; whether there was one."""
        found = False
        with contextlib.suppress(BlockingIOError):
            while self._ear.recv(16):
                found = True
        return found

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            os.unlink(self.place)  # noqa: PTH108
        self._ear.close()


def _sweep(folder: Path) -> None:
    """Remove sockets of the dead."""
    for place in _sockets(folder):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.settimeout(0)
            try:
                bell.connect(str(place))
            except OSError as error:
                if error.errno == _GONE:
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
    """A folder, no link, of this user, and nobody else may write into it or look inside."""
    try:
        found = os.lstat(place)
    except OSError:
        return False
    is_folder = stat.S_ISDIR(found.st_mode)
    return is_folder and found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077
