"""Opens sockets that receive datagrams: Unix sockets in the file system, and UDP.

A Unix socket may also be one that takes connections: ``kind`` says which is meant.

Every function raises OSError with a reason in plain words.
"""

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wpbridge.system.trusted_files import owner_name

GONE: Final = errno.ECONNREFUSED
"""The file of a socket is there, and no process listens on it any more."""
_NO_GROUP: Final = 2**32 - 1
"""The kernel takes this number for the wish to change nothing, and has no higher ones."""


def bound_to_path(
    path: Path,
    *,
    mode: int,
    group: str | None,
    kind: socket.SocketKind = socket.SOCK_DGRAM,
) -> socket.socket:
    """Return a Unix socket that listens at a path. It takes the place of one that is stale.

    The file has its mode from its first moment on. A link or a file of another kind is never
    followed or removed, nor is a socket of another user, or one on which somebody listens. The
    caller has judged the folder: nobody else may write into it.
    """
    owner = -1 if group is None else _number_of(group)
    with _locked(path.parent):
        try:
            ear = _bound(path, mode, kind)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(path, kind)
            ear = _bound(path, mode, kind)
        try:
            if group is not None:
                os.chown(path, -1, owner, follow_symlinks=False)
        except OSError:
            path.unlink()
            ear.close()
            raise
    return ear


def bound_to_udp(host: str, port: int) -> socket.socket:
    """Return a UDP socket that listens at a numeric address. Port 0 means any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ear = socket.socket(family, socket.SOCK_DGRAM)
    try:
        ear.bind((host, port))
        ear.settimeout(0)
    except OSError:
        ear.close()
        raise
    return ear


def is_heard(path: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> bool:
    """Tell whether a process listens on the socket at a path. OSError if that cannot be seen."""
    with socket.socket(socket.AF_UNIX, kind) as bell:
        bell.settimeout(0)
        try:
            bell.connect(str(path))
        except BlockingIOError:
            # So many wait for it already.
            return True
        except OSError as error:
            if error.errno == GONE:
                return False
            raise
    return True


def resolved(host: str) -> str:
    """Return the numeric address of a host. OSError if there is none."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
    except UnicodeError:
        raise OSError(None, "no name of a host") from None


def _bound(path: Path, mode: int, kind: socket.SocketKind) -> socket.socket:
    ear = socket.socket(socket.AF_UNIX, kind)
    # The umask counts for the whole process, which has one thread here.
    before = os.umask(0o777 & ~mode)
    try:
        ear.bind(str(path))
        ear.settimeout(0)
    except OSError:
        ear.close()
        raise
    finally:
        os.umask(before)
    return ear


def _remove_stale(path: Path, kind: socket.SocketKind) -> None:
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "there is something else of that name, which is no socket")
    if found.st_uid != os.geteuid():
        raise OSError(errno.EEXIST, f"the socket there belongs to {owner_name(found.st_uid)}")
    if is_heard(path, kind):
        raise OSError(errno.EADDRINUSE, "another process listens there")
    path.unlink()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other daemons from taking over a stale socket of this folder at the same moment.

    Otherwise the second one might remove the socket that the first one has just made.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(errno.EAGAIN, "another process keeps its folder locked") from None
        yield
    finally:
        os.close(handle)


def _number_of(group: str) -> int:
    try:
        number = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        number = _NO_GROUP
    if number >= _NO_GROUP:
        raise OSError(errno.EINVAL, f"there is no group {group}")
    return number
