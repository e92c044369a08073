"""A journal tells what a migration has done so far, in JSON Lines.

A step is on the disk before it counts.

The first line says whose journal it is. A process that is killed may leave the last line torn,
which is dropped when the file is opened again: that step was not told to be done. So a command
writes a step before it does what cannot be seen afterwards, and after what can be looked up.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from wpbridge.errors import CodecError, InputError
from wpbridge.store.opened import OpenStore
from wpbridge.store.structure.tables import Connected
from wpbridge.system import private_files

VERSION: Final = 1
_LONGEST_HEADER: Final = 1 << 20
"""Bytes."""
_FIRST_STEP: Final = 2
"""The line that it stands in."""
T = TypeVar("T")


def name_of(store: OpenStore | Connected) -> str:
    """Return a site's name in journals. It is the same wherever the site is reached from."""
    database = store.dialect.place(store.session.address)
    return f"{database} {store.names.prefix}"


def header_of(file: Path) -> dict[str, Any] | None:
    """Return the first line of a file, empty where it is no journal's; None for no file."""
    try:
        with file.open("rb") as stream:
            return _read(stream.readline(_LONGEST_HEADER), file, 1)
    except FileNotFoundError:
        return None
    except (OSError, InputError):
        return {}


class Journal:
    """One migration's journal, open for more steps. No other process writes to it meanwhile."""

    def __init__(
        self,
        file: Path,
        *,
        kind: str,
        site: str,
        asked: Mapping[str, Any] | None = None,
        is_old: bool = False,
        address: str = "",
    ) -> None:
        """Open the journal, or begin a new one.

        Args:
            file: made where it is missing; its folder must be there.
            kind: of migration, such as ``wp-cron``.
            site: whose, such as the address and prefix; no password.
            asked: what was asked for, for people and for :attr:`asked`; kept from the first time.
            address: of the database, without a password, for a new journal's header.
            is_old: it is there, and tells something: a file without a header is left as it is.

        Raises:
            InputError: it belongs to something else, is damaged, in use, or cannot be written.
        """
        self.file = file
        self._is_old = is_old
        self._end = 0
        try:
            self._stream = private_files.opened(file, "old" if is_old else "any")
        except OSError as error:
            raise InputError(f"journal {file}: {error.strerror}") from None
        try:
            self._lock()
            self._header = self._begin(kind, site, dict(asked or {}), address)
            self._stream.tighten()
        except OSError as error:
            self._stream.discard(file)
            raise InputError(f"journal {file}: {error.strerror}") from None
        except BaseException:
            self._stream.discard(file)
            raise

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for when the journal was begun."""
        return dict(self._header["asked"])

    def steps(self) -> Iterator[dict[str, Any]]:
        """Read what was done so far, in order and line by line.

        InputError where a line is damaged.
        """
        with self.file.open("rb") as stream:
            stream.readline()
            for number, line in enumerate(stream, _FIRST_STEP):
                yield _read(line, self.file, number)

    def meanings(
        self, meaning: Callable[[dict[str, Any]], T], *, wrong: str = "is damaged"
    ) -> Iterator[T]:
        """Read what each step means, in order.

        Raises:
            InputError: ``meaning`` cannot read a step; the message names its line, and ``wrong``.
        """
        for number, step in enumerate(self.steps(), _FIRST_STEP):
            try:
                found = meaning(step)
            except (LookupError, TypeError, ValueError, AttributeError, CodecError):
                raise InputError(f"journal {self.file}: line {number} {wrong}") from None
            yield found

    def add(self, step: Mapping[str, Any]) -> None:
        """Write a step.

        It is on the disk when this returns. InputError where it cannot be written.
        """
        try:
            self._append(step)
        except OSError as error:
            raise InputError(f"journal {self.file}: {error.strerror}") from None

    def close(self) -> None:
        """Close the file. Nothing more is written."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            self._stream.lock()
        except OSError:
            raise InputError(f"journal {self.file}: another process is at work with it") from None

    def _begin(self, kind: str, site: str, asked: dict[str, Any], address: str) -> dict[str, Any]:
        """Return the header: the checked one of the file, or a new one."""
        self._drop_torn_line()
        first = self._first_line()
        if not first and self._is_old:
            raise InputError(f"{self.file} is no journal of wpbridge's")
        if not first:
            header: dict[str, Any] = {"journal": VERSION, "kind": kind, "site": site}
            header |= {"address": address} if address else {}
            header["asked"] = asked
            self._append(header)
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

    def _first_line(self) -> bytes:
        found = os.pread(self._stream.fileno(), _LONGEST_HEADER, 0)
        return found[: found.find(b"\n") + 1]

    def _drop_torn_line(self) -> None:
        end, keep = self._stream.size, self._stream.end_of_lines()
        if keep == 0 and end and self._is_old:
            return
        mark = b'{"journal": '
        # Ours if it is the beginning of a header: somebody's text is not emptied.
        if keep == 0 and os.pread(self._stream.fileno(), len(mark), 0) != mark[:end]:
            raise InputError(f"{self.file} is no journal of wpbridge's")
        if keep < end:
            self._stream.truncate(keep)
        self._end = keep

    def _append(self, step: Mapping[str, Any]) -> None:
        line = json.dumps(step, ensure_ascii=False).encode() + b"\n"
        self._end = self._stream.add(line, self._end)


def _read(line: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        step = json.loads(line)
    except (ValueError, RecursionError):
        step = None
    if not isinstance(step, dict):
        raise InputError(f"journal {file}: line {number} is damaged")
    return step
