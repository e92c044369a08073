"""What a migration has done so far: JSON Lines, a step a line, on the disk before it counts.

The first line says whose journal it is. A process that is killed may leave the last line torn,
which is dropped when the file is opened again: that step was not told to be done. So a command
writes a step before it does what cannot be seen afterwards, and after what can be looked up.
"""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from wpbridge.errors import InputError
from wpbridge.store.sqlstore import SqlStore

VERSION: Final = 1


def name_of(store: SqlStore) -> str:
    """A site's name in journals: the same wherever it is reached from, and no password."""
    database = store.session.address.database or ""
    if store.dialect.name == "sqlite":
        database = str(Path(database).resolve())
    return f"{database} {store.names.prefix}"


def file_for(kind: str, store: SqlStore) -> Path:
    """Where a journal lies that nobody named: each site has its own, in the working folder."""
    database = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(store.session.address.database or "").stem)
    return Path(f"wpbridge-{kind}-{database}-{store.names.prefix.rstrip('_')}.journal")


class Journal:
    """One migration's journal, open for more steps; the only one that writes to it."""

    def __init__(
        self,
        file: Path,
        *,
        kind: str,
        site: str,
        asked: Mapping[str, Any] | None = None,
        is_old: bool = False,
    ) -> None:
        """Open it, or begin a new one.

        Args:
            file: made where it is missing; its folder must be there.
            kind: of migration, such as ``wp-cron``.
            site: whose, such as the address and prefix; no password.
            asked: what was asked for, for people and for :attr:`asked`; kept from the first time.
            is_old: it is there, and tells something: a file without a header is left as it is.

        Raises:
            InputError: it belongs to something else, is damaged, in use, or cannot be written.
        """
        self.file = file
        try:
            self._stream: BinaryIO = file.open("r+b" if is_old else "a+b")
        except OSError as error:
            raise InputError(f"journal {file}: {error.strerror}") from None
        self._is_old = is_old
        try:
            self._lock()
            self._header = self._begin(kind, site, dict(asked or {}))
        except OSError as error:
            self._stream.close()
            raise InputError(f"journal {file}: {error.strerror}") from None
        except BaseException:
            self._stream.close()
            raise

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for when it was begun."""
        return dict(self._header["asked"])

    def steps(self) -> Iterator[dict[str, Any]]:
        """What was done so far, in order; read line by line. InputError where it is damaged."""
        with self.file.open("rb") as stream:
            stream.readline()
            for number, line in enumerate(stream, 2):
                yield _read(line, self.file, number)

    def add(self, step: Mapping[str, Any]) -> None:
        """Write a step; it is on the disk when this returns. InputError where it cannot be."""
        try:
            self._append(step)
        except OSError as error:
            raise InputError(f"journal {self.file}: {error.strerror}") from None

    def close(self) -> None:
        """Nothing more is written."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"journal {self.file}: another process is at work with it") from None

    def _begin(self, kind: str, site: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The header: the file's, checked, or a new one."""
        self._drop_torn_line()
        self._stream.seek(0)
        first = self._stream.readline()
        if not first and self._is_old:
            raise InputError(f"{self.file} is no journal of wpbridge's")
        if not first:
            header = {"journal": VERSION, "kind": kind, "site": site, "asked": asked}
            self._append(header)
            _sync_folder(self.file.parent)
            return header
        try:
            found = _read(first, self.file, 1)
        except InputError:
            raise InputError(f"{self.file} is no journal of wpbridge's") from None
        if found.get("journal") != VERSION or not isinstance(found.get("asked"), dict):
            raise InputError(f"{self.file} is no journal of wpbridge's")
        for name, wanted in (("kind", kind), ("site", site)):
            if found.get(name) != wanted:
                raise InputError(
                    f"journal {self.file} is of the {name} {found.get(name)}, not {wanted}:"
                    " give another file's name"
                )
        return found

    def _drop_torn_line(self) -> None:
        end = self._stream.seek(0, os.SEEK_END)
        keep = end
        while keep:
            start = max(0, keep - 65_536)
            self._stream.seek(start)
            place = self._stream.read(keep - start).rfind(b"\n")
            if place >= 0:
                keep = start + place + 1
                break
            keep = start
        if keep == 0 and end and self._is_old:
            return
        if keep == 0 and end:
            # Ours if it is the beginning of a header: somebody's text is not emptied.
            self._stream.seek(0)
            mark = b'{"journal": '
            if self._stream.read(len(mark)) != mark[:end]:
                raise InputError(f"{self.file} is no journal of wpbridge's")
        if keep < end:
            self._stream.truncate(keep)

    def _append(self, step: Mapping[str, Any]) -> None:
        end = self._stream.seek(0, os.SEEK_END)
        try:
            self._stream.write(json.dumps(step, ensure_ascii=False).encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError:
            # What is left of it would make one line of this step and the next.
            with contextlib.suppress(OSError):
                os.ftruncate(self._stream.fileno(), end)
            raise


def _read(line: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        step = json.loads(line)
    except ValueError:
        step = None
    if not isinstance(step, dict):
        raise InputError(f"journal {file}: line {number} is damaged")
    return step


def _sync_folder(folder: Path) -> None:
    """So that the new file's name outlives a crash of the host, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
