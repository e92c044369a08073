"""A file that grows at its end. What was written to it is there as a whole, or not at all.

:mod:`wpbridge.system.private_files` opens such files.
"""

import contextlib
import fcntl
import io
import os
import stat
from pathlib import Path
from typing import Final

MODE: Final = 0o600
_READ_BYTES: Final = 1 << 16


class AppendOnlyFile(io.FileIO):
    """A file without a buffer. A failed write leaves no part behind."""

    is_new = False
    """Whether the file was created just now."""

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return os.fstat(self.fileno()).st_size

    def lock(self) -> None:
        """Lock the file. Raises OSError if another process has locked it."""
        fcntl.flock(self, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def add(self, data: bytes, at: int) -> int:
        """Write ``data`` at a place, cut off what follows, and wait until it is on the disk.

        Returns the place after the data. After an OSError the file ends at ``at``.
        """
        try:
            self.truncate(at)
            end = self._write(data, at)
            os.fsync(self.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self.truncate(at)
            raise
        return end

    def write_line(self, data: bytes) -> None:
        """Write all of ``data`` at the file's end, or nothing. It may not be on the disk yet."""
        start = self.size
        try:
            self._write(data, start)
        except OSError:
            with contextlib.suppress(OSError):
                self.truncate(start)
            raise

    def end_of_lines(self) -> int:
        """Return the place after the last whole line. It is 0 if there is none."""
        keep = self.size
        while keep:
            start = max(0, keep - _READ_BYTES)
            place = os.pread(self.fileno(), keep - start, start).rfind(b"\n")
            if place >= 0:
                return start + place + 1
            keep = start
        return 0

    def tighten(self) -> None:
        """Let only the owner read the file from now on."""
        if stat.S_IMODE(os.fstat(self.fileno()).st_mode) & ~MODE:
            os.fchmod(self.fileno(), MODE)

    def discard(self, file: Path) -> None:
        """Close the file after a failure, and remove it if it was created just now."""
        self.close()
        if self.is_new:
            with contextlib.suppress(OSError):
                file.unlink()

    def _write(self, data: bytes, start: int) -> int:
        place = start
        while place < start + len(data):
            place += os.pwrite(self.fileno(), data[place - start :], place)
        return place
