"""A file that takes another one's place: a reader finds the old one or the new one, whole."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import IO, Final

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST: Final = 200
"""Characters of a name that its temporary file has, too."""


@contextlib.contextmanager
def replacing(folder: int, name: str) -> Iterator[IO[bytes]]:
    """Write a file of a folder. It has its name, on the disk, when this ends without an error.

    Until then it has another name and only its owner reads it. ``folder`` is a descriptor, so that
    nobody can lead the write elsewhere by a link.
    """
    temporary = f".{name[:_LONGEST]}.{secrets.token_hex(8)}"
    number = os.open(temporary, _NEW, 0o600, dir_fd=folder)
    try:
        with open(number, "wb") as stream:  # noqa: PTH123 - a descriptor
            yield stream
            stream.flush()
            os.fsync(number)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        keep_names(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def keep_names(folder: int) -> None:
    """Wait until the names in a folder are on the disk, and outlive a crash of the host."""
    os.fsync(folder)
