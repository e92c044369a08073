"""A file of gzip members beside a journal that tells where each of them lies.

What was written and not noted in the journal is cut off when the next member is written.
"""

import gzip
from pathlib import Path

from wpbridge.errors import InputError
from wpbridge.system import private_files


class PackedFile:
    """A file of gzip members, open for more of them."""

    def __init__(self, file: Path, end: int, *, level: int, label: str = "") -> None:
        """Open the file, or make it.

        Args:
            file: made where it is missing.
            end: how many of its bytes the journal tells of.
            level: how hard to pack.
            label: what an error begins with, such as ``--output``.

        Raises:
            InputError: it is shorter than the journal says, or cannot be written.
        """
        self.file = file
        self.end = end
        self._level = level
        self._label = label
        try:
            self._stream = private_files.opened(file)
            self._stream.tighten()
        except OSError as error:
            raise self._error(error) from None
        self.size = self._stream.size
        """Bytes it had when it was opened."""
        if self.size < end:
            self.close()
            raise InputError(
                f"{file} has {self.size} bytes, and its journal tells of {end}: it is not the file"
                " that was written; put that one back"
            )

    def add(self, data: bytes) -> tuple[int, int]:
        """Write a member. It is on the disk when this returns.

        Returns where it begins and ends. InputError when it cannot be written.
        """
        start = self.end
        try:
            self.end = self._stream.add(gzip.compress(data, self._level, mtime=0), start)
        except OSError as error:
            raise self._error(error) from None
        return start, self.end

    def close(self) -> None:
        """Close the file. Nothing more is written."""
        self._stream.close()

    def _error(self, error: OSError) -> InputError:
        return InputError(f"{self._label} {self.file}: {error.strerror}".lstrip())
