"""Writes files into a folder of a WordPress, and removes them, whoever else may write there.

The folders usually belong to the web server's user, who may replace any name in them by a link at
any moment. So root works with descriptors. Each folder is opened once, and links on the way are
followed only if their owner may write to the folder himself. After that everything is done relative
to the descriptor, and chmod and chown never get a name. A folder is created with the rights of its
owner, so that its ownership never has to change.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wpbridge.errors import SiteError
from wpbridge.system.trusted_files import owner_name
from wpbridge.system.whole_files import replacing

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STEP: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE: Final = 0o644
_MOST_LINKS: Final = 40
"""How many links may be followed. The kernel has the same limit."""
_MOST_BYTES: Final = 16 << 20
"""A file that is larger cannot be ours."""


def source_of(file: Path) -> bytes | None:
    """Return the content of a file, or None if there is no such file.

    Raises:
        SiteError: the file cannot be read, is no plain file, or is far larger than any of ours.
    """
    try:
        # The file may be a pipe, so the call must not wait.
        number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(number, "rb") as stream:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise _foreign(file)
            source = stream.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _refused(file, "read", error) from error
    if len(source) > _MOST_BYTES:
        raise _foreign(file)
    return source


def write_file(file: Path, source: bytes) -> None:
    """Write a file as a whole. Readers see the old file or the new one, even after a crash.

    A new file belongs to the owner of its folder, who could replace it anyway. An existing file
    keeps its owner, group and mode, except that it loses the right of everybody to write it. Only
    the last folder of the path is created if it is missing, since a missing wp-content means that
    the path is wrong.

    Raises:
        SiteError: the file cannot be written, is no plain file, or would get another owner, or a
            link on the way belongs to a user who may not write where it leads.
    """
    try:
        with _opened(file.parent, makes=True) as folder:
            _put(folder, file, source, _standing(folder, file))
    except OSError as error:
        raise _refused(file, "written", error) from error


def remove_file(file: Path) -> None:
    """Remove a file. Raises SiteError if that is not possible."""
    try:
        with _opened(file.parent) as folder:
            os.unlink(file.name, dir_fd=folder)
    except OSError as error:
        raise _refused(file, "removed", error) from error


# The file


def _standing(folder: int, file: Path) -> os.stat_result | None:
    """Return the status of the file that has the name now, or None."""
    try:
        status = os.stat(file.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise SiteError(f"{file} is no plain file: move it away first")
    if os.geteuid() not in {0, status.st_uid}:
        owner = owner_name(status.st_uid)
        raise SiteError(
            f"{file} belongs to {owner} and would become yours: run wpbridge as {owner}, or move"
            " the file away first"
        )
    return status


def _put(folder: int, file: Path, source: bytes, standing: os.stat_result | None) -> None:
    owner = standing or os.fstat(folder)
    mode = _MODE if standing is None else stat.S_IMODE(standing.st_mode) & 0o775
    with replacing(folder, file.name) as stream:
        stream.write(source)
        stream.flush()
        with contextlib.suppress(PermissionError):
            os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
        os.fchmod(stream.fileno(), mode)


# The folder


@contextlib.contextmanager
def _opened(folder: Path, *, makes: bool = False) -> Iterator[int]:
    """Yield a descriptor of the folder. With ``makes`` a missing folder is created."""
    try:
        number = _walked(folder)
    except FileNotFoundError:
        if not makes:
            raise
        number = _made(folder)
    try:
        yield number
    finally:
        os.close(number)


def _made(folder: Path) -> int:
    above = _walked(folder.parent)
    try:
        with _as_owner_of(above):
            os.mkdir(folder.name, 0o755, dir_fd=above)
        # If a link has taken its place meanwhile, this fails. A folder there is its owner's own.
        return os.open(folder.name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    finally:
        os.close(above)


def _walked(path: Path) -> int:
    """Open a folder. Root follows a link only if its owner may write to the folder himself.

    Otherwise anybody who may create links in a WordPress could choose where root writes.
    """
    if os.geteuid() != 0:
        return os.open(path, _FOLDER)
    rest, links, guides = [*reversed(path.absolute().parts[1:])], 0, set[int]()
    place = os.open("/", _STEP)
    try:
        while rest:
            part = rest.pop()
            inside = os.open(part, _STEP, dir_fd=place)
            status = os.fstat(inside)
            if not stat.S_ISLNK(status.st_mode):
                os.close(place)
                place = inside
                continue
            target = _target(inside)
            # The owner of the link's folder may have put the link there.
            guides |= {status.st_uid, os.fstat(place).st_uid}
            rest += reversed(target.parts)
            if target.is_absolute():
                os.close(place)
                place = os.open(rest.pop(), _STEP)
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        folder = os.open(".", _FOLDER, dir_fd=place)
    finally:
        os.close(place)
    _judge(folder, path, guides)
    return folder


def _target(link: int) -> Path:
    try:
        return Path(os.readlink("", dir_fd=link))
    finally:
        os.close(link)


def _judge(folder: int, path: Path, guides: set[int]) -> None:
    owner = os.fstat(folder).st_uid
    strangers = guides - {0, owner}
    if strangers:
        os.close(folder)
        name = owner_name(min(strangers))
        cure = (
            f"run wpbridge as {owner_name(owner)}"
            if owner
            else "if it is right, give it and its folder to root"
        )
        raise SiteError(
            f"a link on the way to {path} is in the hands of {name}, and leads to a folder of"
            f" {owner_name(owner)}: root does not follow it; {cure}"
        )


@contextlib.contextmanager
def _as_owner_of(folder: int) -> Iterator[None]:
    """Let root act with the rights of a folder's owner, who so owns what is created.

    This holds for the whole process, so no other thread may do anything in the meantime.
    """
    status = os.fstat(folder)
    mask = os.umask(0o022)
    groups, group = os.getgroups(), os.getegid()
    is_root = os.geteuid() == 0
    try:
        if is_root and status.st_uid != 0:
            os.setgroups([status.st_gid])
            os.setegid(status.st_gid)
            os.seteuid(status.st_uid)
        yield
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(groups)
        os.umask(mask)


def _foreign(file: Path) -> SiteError:
    return SiteError(f"{file} was not written by wpbridge: move it away first")


def _refused(file: Path, deed: str, error: OSError) -> SiteError:
    advice = "; run wpbridge as their owner" if isinstance(error, PermissionError) else ""
    return SiteError(f"{file} cannot be {deed}: {error.strerror}{advice}")
