"""Put files into a folder of a WordPress, and take them away, whoever else may write there.

The folders belong to others: to the web server's user, as a rule, who may exchange any name in
them for a link at any moment. So root goes there by descriptors. Each folder is opened once. Links
on the way are followed only where their owner might write himself. From there on everything happens
relative to the descriptor, and no name is ever given to chmod or chown. A folder is made with the
rights of its owner, so that it need not be handed over.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wpbridge.errors import SiteError
from wpbridge.system.trusted_files import owner_name

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STEP: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE: Final = 0o644
_MOST_LINKS: Final = 40
"""As the kernel."""
_MOST_BYTES: Final = 16 << 20
"""What is larger is not ours."""


def source_of(file: Path) -> bytes | None:
    """Return what is in a file; None when there is no such file.

    SiteError when it cannot be read, is no plain file, or is far larger than any of ours.
    """
    try:
        # Not to wait: it may be a pipe.
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
    """Write a file whole or not at all; a reader sees the old one or the new one.

    A new file belongs to its folder's owner, who may replace it anyhow. One that is there keeps its
    owner, its group and its mode, but for everybody's right to write it. Only the last folder of
    the path is made if it is missing: a missing wp-content is a wrong path.

    Raises:
        SiteError: it cannot be written, is no plain file, or would change hands; or a link on the
            way is of a user who may not write where it leads.
    """
    try:
        with _opened(file.parent, makes=True) as folder:
            _put(folder, file, source, _standing(folder, file))
    except OSError as error:
        raise _refused(file, "written", error) from error


def remove_file(file: Path) -> None:
    """Take a file away. SiteError when it cannot be."""
    try:
        with _opened(file.parent) as folder:
            os.unlink(file.name, dir_fd=folder)
    except OSError as error:
        raise _refused(file, "removed", error) from error


# The file


def _standing(folder: int, file: Path) -> os.stat_result | None:
    """What has the name now; None for nothing."""
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
    temporary = f".{file.name}.{secrets.token_hex(8)}"
    number = os.open(temporary, _NEW, 0o600, dir_fd=folder)
    try:
        with open(number, "wb") as stream:  # noqa: PTH123 - a descriptor
            stream.write(source)
            stream.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(number, owner.st_uid, owner.st_gid)
            os.fchmod(number, mode)
            os.fsync(number)
        os.rename(temporary, file.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


# The folder


@contextlib.contextmanager
def _opened(folder: Path, *, makes: bool = False) -> Iterator[int]:
    """Give a descriptor of the folder; with ``makes`` the folder is made if it is missing."""
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
        # A link that took its place meanwhile is refused; a folder that did is one of theirs.
        return os.open(folder.name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    finally:
        os.close(above)


def _walked(path: Path) -> int:
    """Open a folder. Root follows a link only where its owner might write himself.

    Otherwise whoever may make links in a WordPress would choose the folder that root writes into.
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
            # Whoever has the link's folder may have put it there.
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
    """Act with the rights of a folder's owner, if we are root; what is made is his from the start.

    The whole process does so: nothing else may happen in it meanwhile.
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
