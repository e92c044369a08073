"""Files of exported queues. They are written whole or not at all, and read line by line."""

import contextlib
import gzip
import io
import stat
import sys
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.migrate.transfer.lines import (
    ACTIONS,
    BIGGEST,
    VERSION,
    checked_utf8,
    dumped,
    value_of,
)
from wpbridge.system import private_files

if TYPE_CHECKING:
    from wpbridge.system.append_only import AppendOnlyFile

LONGEST_LINE: Final = 32 << 20
"""Bytes. A longer one is no action's: its logs alone would be hundreds of the longest."""
_SMALL_PART: Final = 1_000
_SKIPPED: Final = 1 << 20
"""Bytes of a line that is too long, passed over at a time."""
_LONGEST_ORIGIN: Final = 1_000
_GZIP_LEVEL: Final = 3


def write(lines: Iterable[dict[str, Any]], stream: IO[bytes]) -> dict[str, Any]:
    """Write lines, and return the last one."""
    line: dict[str, Any] = {}
    for line in lines:
        stream.write(dumped(line))
    return line


@contextlib.contextmanager
def output(name: str) -> Iterator[IO[bytes]]:
    """Open a file that appears whole or not at all. ``-`` is standard output, ``.gz`` packs it.

    Raises InputError when it cannot be written.
    """
    if name == "-":
        # Lines of JSON in which everything that could steer a terminal is escaped.
        stdout = sys.stdout.buffer  # noqa: TID251
        yield stdout
        stdout.flush()
        return
    file = Path(name)
    try:
        if _is_stream(file):
            with file.open("wb") as device:
                yield device
            return
        with private_files.replaced(file) as plain:
            if file.suffix == ".gz":
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, plain, 0) as packed:
                    yield cast("IO[bytes]", packed)
            else:
                yield plain
    except OSError as error:
        raise InputError(f"--output {name}: {error.strerror or error}") from None


def _is_stream(file: Path) -> bool:
    """Tell whether it is a pipe or a device, under any name that the system has for it."""
    try:
        is_its_own = not file.is_symlink() or file.is_relative_to("/dev")
        mode = file.stat().st_mode
    except OSError:
        return False
    return is_its_own and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@dataclass(slots=True, kw_only=True)
class Line:
    """A line that was read: its value, or why there is none."""

    number: int
    value: dict[str, Any]
    text: bytes = b""
    why: str = ""


def read(stream: IO[bytes]) -> Iterator[Line]:
    """Read the lines of a file. A packed file that was cut off ends where it can be read no more.

    One line at a time is in memory, whatever the file holds or unpacks to.
    """
    number = 0
    try:
        while text := stream.readline(LONGEST_LINE):
            number += 1
            if text.isspace():
                continue
            value: dict[str, Any] = {}
            why = ""
            if len(text) == LONGEST_LINE:
                why = f"it is longer than {LONGEST_LINE >> 20} MiB"
                is_whole = text.endswith(b"\n")
                text = text[:_SMALL_PART]
                if not is_whole:
                    _skip_line(stream)
            else:
                try:
                    # Files that were put together have a mark at the start of each.
                    value = value_of(text.removeprefix(BOM_UTF8))
                except InputError as error:
                    why = str(error)
            yield Line(number=number, value=value, text=text, why=why)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Line(number=number + 1, value={}, why=f"the file cannot be unpacked: {error}")


def _skip_line(stream: IO[bytes]) -> None:
    while part := stream.readline(_SKIPPED):
        if part.endswith(b"\n"):
            return


def header_of(line: Line | None) -> dict[str, Any]:
    """Read the first line of a file. InputError where it is no exported queue's."""
    header = {} if line is None else line.value
    origin, version = header.get("origin"), header.get("version")
    if header.get("wpbridge") != ACTIONS or not isinstance(origin, str):
        raise InputError("the input is no exported queue: its first line is no header")
    if len(origin) > _LONGEST_ORIGIN:
        raise InputError(f"the input's origin has more than {_LONGEST_ORIGIN} characters")
    checked_utf8(origin, "the input's origin")
    if not isinstance(version, int) or version != VERSION:
        told = version if isinstance(version, int) else "another kind"
        raise InputError(
            f"the input has version {told} of the format; this is {VERSION}: use a newer wpbridge"
        )
    return header


def count_of(header: dict[str, Any]) -> int | None:
    """Return about how many actions there are, if the header tells."""
    count = header.get("count")
    return count if isinstance(count, int) and 0 <= count <= BIGGEST else None


@contextlib.contextmanager
def source(name: str) -> Iterator[IO[bytes]]:
    """Open a file to read. ``-`` is standard input. Packed files are known by their first bytes."""
    if name == "-" and sys.stdin is None:
        raise InputError("--input -: there is no standard input")
    try:
        with contextlib.ExitStack() as stack:
            raw: Any = sys.stdin
            raw = raw.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
            # Looked at and not read: a pipe does not go back.
            plain = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)
            is_packed = plain.peek(2)[:2] == b"\x1f\x8b"
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=plain)) if is_packed else plain
    except OSError as error:
        raise InputError(f"--input {name}: {error.strerror or error}") from None


class Rejects:
    """The side file of lines that could not be added. It is made with its first line."""

    def __init__(self, file: Path, *, is_usual: bool = False, beside: str = "-") -> None:
        """With ``is_usual`` nobody named the file: an older one is kept, and this gets a number.

        Raises InputError where it cannot lie, or is ``beside``, the input itself.
        """
        self.file = file
        number = 1
        while is_usual and self.file.exists():
            number += 1
            self.file = file.with_name(f"{file.stem}-{number}{file.suffix}")
        if not self.file.parent.is_dir():
            raise InputError(f"--rejects {file}: there is no folder {file.parent}")
        if self.file.exists() and Path(beside).exists() and self.file.samefile(beside):
            raise InputError(f"--rejects {file}: it is the input itself")
        self._is_usual = is_usual
        self._stream: AppendOnlyFile | None = None

    def add(self, line: Line, why: str) -> None:
        """Keep a line with the reason. InputError when it cannot be kept."""
        text = line.text or dumped(line.value)
        kept = {
            "line": line.number,
            "why": why,
            "text": text.decode("utf-8", "backslashreplace").rstrip("\n"),
        }
        try:
            if self._stream is None:
                which = private_files.new if self._is_usual else private_files.fresh
                self._stream = which(self.file)
            self._stream.write_line(dumped(kept))
        except OSError as error:
            raise InputError(f"--rejects {self.file}: {error.strerror}") from None

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
