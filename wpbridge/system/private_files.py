"""Creates, opens and replaces files with customers' data.

Only its owner can read such a file, from its first byte on and whatever the umask. No file is
opened through a link, since somebody else might make a link lead to another file. No new file is
created where a web server may hand it out (:mod:`wpbridge.system.served_folders`).

Every function raises OSError with a reason in plain words. The caller adds the name of the file.
"""

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Literal, TextIO

from wpbridge.system.append_only import MODE, AppendOnlyFile
from wpbridge.system.served_folders import why_served
from wpbridge.system.trusted_files import owner_name
from wpbridge.system.whole_files import keep_names, replacing

FOLDER_MODE: Final = 0o700
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC
OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH

Which = Literal["new", "old", "any"]


def opened(file: Path, which: Which = "any") -> AppendOnlyFile:
    """Open a file for reading and writing.

    An existing file must be a plain one that belongs to this user or root, and that nobody else may
    write to. If others may read it, call :meth:`AppendOnlyFile.tighten` once it is known to be
    ours.

    Args:
        file: the file.
        which: ``new`` creates the file, ``old`` opens an existing one, ``any`` does what fits.
    """
    if which != "new":
        with contextlib.suppress(FileNotFoundError), folder_of(file) as folder:
            return _existing(file.name, folder)
        if which == "old":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    with folder_of(file, is_for_new=True) as folder:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS
        stream = AppendOnlyFile(os.open(file.name, flags, MODE, dir_fd=folder), "r+b")
        stream.is_new = True
        keep_names(folder)
        return stream


def new(file: Path) -> AppendOnlyFile:
    """Create a file. Raises FileExistsError if it exists."""
    return opened(file, "new")


def fresh(file: Path) -> AppendOnlyFile:
    """Open a file as :func:`opened` does, and empty it."""
    stream = opened(file)
    try:
        stream.tighten()
        stream.truncate(0)
    except OSError:
        stream.discard(file)
        raise
    return stream


@contextlib.contextmanager
def text(file: Path) -> Iterator[TextIO]:
    """Open a file for text as :func:`fresh` does."""
    with io.TextIOWrapper(io.BufferedWriter(fresh(file)), "utf-8") as stream:
        yield stream


@contextlib.contextmanager
def replaced(file: Path) -> Iterator[IO[bytes]]:
    """Write a file that replaces an older one as a whole. After a crash the older one is there."""
    with folder_of(file, is_for_new=True) as folder:
        _check_replaceable(file.name, folder)
        with replacing(folder, file.name) as stream:
            yield stream


@contextlib.contextmanager
def folder_of(file: Path, *, is_for_new: bool = False) -> Iterator[int]:
    """Open the folder of a file. A link that somebody makes in the meantime is not followed.

    With ``is_for_new``, OSError is raised if a web server may hand out what the folder contains.
    """
    real = Path(os.path.realpath(file.parent))
    if is_for_new and (why := why_served(real)):
        raise OSError(errno.EPERM, why)
    handle = walk(real)
    try:
        yield handle
    finally:
        os.close(handle)


def walk(folder: Path, *, makes: bool = False) -> int:
    """Open a folder by its real path, from the root down. ``makes`` creates missing folders."""
    flags = os.O_RDONLY | os.O_DIRECTORY | _FLAGS
    passing = os.O_PATH | os.O_DIRECTORY | _FLAGS
    handle = os.open("/", passing)
    parts = folder.parts[1:] or (".",)
    try:
        for place, part in enumerate(parts, 1):
            above, wanted = handle, flags if place == len(parts) else passing
            try:
                handle = os.open(part, wanted, dir_fd=above)
            except FileNotFoundError:
                if not makes:
                    raise
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, FOLDER_MODE, dir_fd=above)
                handle = os.open(part, wanted, dir_fd=above)
            os.close(above)
    except OSError:
        os.close(handle)
        raise
    return handle


def _existing(name: str, folder: int) -> AppendOnlyFile:
    try:
        handle = os.open(name, os.O_RDWR | os.O_NONBLOCK | _FLAGS, dir_fd=folder)
    except OSError as error:
        raise _in_plain_words(error) from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")  # noqa: TRY301 - one way out
        _check_owner(found)
    except OSError:
        os.close(handle)
        raise
    return AppendOnlyFile(handle, "r+b")


def _check_owner(found: os.stat_result) -> None:
    if found.st_uid not in {0, os.geteuid()}:
        raise OSError(
            errno.EPERM,
            f"it belongs to {owner_name(found.st_uid)}: run wpbridge as that user,"
            " or make the file your own (chown)",
        )
    if found.st_mode & OTHERS_MAY_WRITE:
        raise OSError(
            errno.EPERM,
            "others may write to it, so it may tell anything: look at it, then chmod 600",
        )


def _check_replaceable(name: str, folder: int) -> None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise _in_plain_words(OSError(errno.ELOOP, ""))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no plain file")


def _in_plain_words(error: OSError) -> OSError:
    if error.errno == errno.ELOOP:
        return OSError(errno.ELOOP, "it is a link: name the file that it leads to")
    return error
