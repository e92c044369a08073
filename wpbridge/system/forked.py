"""Runs small pieces of work in copies of this process, each as a user and with a time limit.

A copy that hangs is killed, so that no piece of work delays the others. The process that starts
copies must have no other thread, since a copy would keep the locks of such threads for ever.
"""

import os
import pwd
import selectors
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from typing import Final, Generic, NamedTuple, NoReturn, TypeVar

K = TypeVar("K")
MOST_BYTES: Final = 4 << 20
"""A copy that answers more is killed."""
_PART: Final = 1 << 16


class Piece(NamedTuple, Generic[K]):
    """One piece of work."""

    key: K
    work: Callable[[], bytes]
    """Runs in the copy. What it raises is lost, so it catches everything that matters."""
    uid: int | None = None
    """The user as whom it runs, where this process is root. None for this process's own."""


class Done(NamedTuple, Generic[K]):
    """What became of a piece of work."""

    key: K
    answer: bytes | None
    """None where the copy died or was killed."""
    is_late: bool = False
    """Whether it was killed since its time was over."""


class _Copy(NamedTuple, Generic[K]):
    key: K
    pid: int
    until: float
    found: bytearray


class NotBefore(NamedTuple):
    """Says that the next piece comes no earlier than at this moment of the monotonic clock."""

    at: float


def run_each(
    pieces: Iterable[Piece[K] | NotBefore], *, most: int, seconds: float
) -> Generator[Done[K], None, None]:
    """Run pieces of work, so many at once, and yield what became of each as soon as it is known.

    When the caller stops early, all copies are killed.

    Args:
        pieces: the pieces. The next one is asked for when there is room for it, and not before the
            moment of a :class:`NotBefore`.
        most: how many run at once.
        seconds: how long each may run.
    """
    waiting, watched = iter(pieces), selectors.DefaultSelector()
    has_more, not_before = True, 0.0
    try:
        while has_more or watched.get_map():
            if has_more and len(watched.get_map()) < most and time.monotonic() >= not_before:
                piece = next(waiting, None)
                has_more = piece is not None
                if isinstance(piece, NotBefore):
                    not_before = piece.at
                elif piece is not None:
                    _start(piece, watched, seconds)
                continue
            has_room = has_more and len(watched.get_map()) < most
            yield from _ended(watched, until=not_before if has_room else None)
    finally:
        for key in list(watched.get_map().values()):
            _end(watched, key, kill=True)
        watched.close()


def _start(piece: Piece[K], watched: selectors.BaseSelector, seconds: float) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_copy(piece, writer)
    os.close(writer)
    os.set_blocking(reader, False)
    copy = _Copy(piece.key, pid, time.monotonic() + seconds, bytearray())
    watched.register(reader, selectors.EVENT_READ, copy)


def _be_copy(piece: Piece[K], writer: int) -> NoReturn:
    """Do the work, answer, and end without anything that the process does at its end."""
    with suppress(BaseException):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        if piece.uid is not None:
            become(piece.uid)
        left = memoryview(piece.work())
        while left:
            left = left[os.write(writer, left) :]
        os._exit(0)
    os._exit(1)


def become(uid: int) -> None:
    """Be this user from now on, with no way back. Does nothing where this process is the user.

    Raises:
        OSError: the system refuses.
        KeyError: the user has no name, so that nobody knows the groups.
    """
    if os.geteuid() == uid:
        return
    user = pwd.getpwuid(uid)
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(uid, uid, uid)
    if 0 in os.getresuid():
        raise PermissionError("this process could become root again")


def _ended(watched: selectors.BaseSelector, *, until: float | None) -> Iterator[Done[K]]:
    """Wait until something happens, or until this moment; yield those that have ended by then."""
    moments = [key.data.until for key in watched.get_map().values()]
    soonest = min([*moments, *([] if until is None else [until])])
    for key, _ in watched.select(max(0.0, soonest - time.monotonic())):
        copy: _Copy[K] = key.data
        part = os.read(key.fd, _PART)
        copy.found.extend(part)
        if not part:
            yield Done(copy.key, bytes(copy.found) if _end(watched, key) else None)
        elif len(copy.found) > MOST_BYTES:
            _end(watched, key, kill=True)
            yield Done(copy.key, None)
    now = time.monotonic()
    for key in [one for one in watched.get_map().values() if one.data.until <= now]:
        _end(watched, key, kill=True)
        yield Done(key.data.key, None, is_late=True)


def _end(
    watched: selectors.BaseSelector, key: selectors.SelectorKey, *, kill: bool = False
) -> bool:
    """Wait for a copy that has closed its end, or kill it; tell whether it has ended well."""
    watched.unregister(key.fd)
    os.close(key.fd)
    if kill:
        # The copy leads a group of its own as soon as it has begun. What it started is in there.
        for end in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                end(key.data.pid, signal.SIGKILL)
    _, status = os.waitpid(key.data.pid, 0)
    return status == 0
