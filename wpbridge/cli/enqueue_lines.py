"""The lines of ``enqueue --jsonl``: all are checked before the first one is written.

So they are read twice. At no time more is in memory than one line, or one batch of bounded bytes.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields as fields_of
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from wpbridge.cli.filters import BIGGEST, span_from
from wpbridge.clock import SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.errors import ActionNotFound, InputError
from wpbridge.migrate.transfer import files
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import BULK, Queue
from wpbridge.store.bulk.reading import WINDOW_BYTES
from wpbridge.store.database.portions import portions

_KEYS: Final = frozenset({*(f.name for f in fields_of(Enqueue)), "in"})
_MAY_NEST: Final = ("args", "after")
_TOLD: Final = 200
"""Characters of a reason: it may quote the value, and that may be of any length."""


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    size: int
    new: Enqueue


@contextmanager
def spooled(source: str) -> Iterator[IO[bytes]]:
    """Give the lines as a file that can be read twice, whatever they come from."""
    with _opened(source) as lines:
        if lines.seekable():
            yield lines
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(lines, copy)
            copy.seek(0)
            yield copy


@contextmanager
def _opened(source: str) -> Iterator[IO[bytes]]:
    if source == "-":
        # A process may have none at all.
        yield BytesIO() if sys.stdin is None else sys.stdin.buffer
        return
    try:
        file = Path(source.removeprefix("@")).open("rb")  # noqa: SIM115 - what it is read for may fail, too
    except OSError as error:
        raise InputError(f"--jsonl: {source}: {error.strerror}") from None
    with file:
        yield file


def check(queue: Queue, lines: IO[bytes]) -> int:
    """Count the actions of the lines. InputError or ActionNotFound names the first bad line."""
    count = 0
    try:
        for line in _parsed(lines):
            try:
                queue.check(line.new)
            except (InputError, ActionNotFound) as error:
                raise _named(line.number, error) from None
            count += 1
    except (InputError, ActionNotFound) as error:
        raise type(error)(f"{error}; nothing was written") from None
    return count


def batches(lines: IO[bytes], count: int) -> Iterator[list[Enqueue]]:
    """Give as many actions as were checked, in parts for one transaction each."""
    # What was put to the file's end meanwhile is not checked.
    checked = islice(_parsed(lines), count)
    for part in portions(checked, most=BULK, room=WINDOW_BYTES, size_of=lambda line: line.size):
        yield [line.new for line in part]


def _parsed(lines: IO[bytes]) -> Iterator[_Line]:
    for line in files.read(lines):
        try:
            new = _new(_value(line))
        except InputError as error:
            raise _named(line.number, error) from None
        yield _Line(line.number, len(line.text), new)


def _named(number: int, error: InputError | ActionNotFound) -> InputError | ActionNotFound:
    return type(error)(f"line {number}: {str(error)[:_TOLD]}")


def _value(line: files.Line) -> dict[str, Any]:
    if line.why:
        raise InputError(line.why)
    return line.value


def _new(told: dict[str, Any]) -> Enqueue:
    for name in told:
        if name not in _KEYS:
            raise InputError(f"unknown key {name[:40]!r}: known are {', '.join(sorted(_KEYS))}")
    # As programs write what is not there.
    given = {name: value for name, value in told.items() if value is not None}
    if "hook" not in given:
        raise InputError("no hook")
    for name, value in given.items():
        if isinstance(value, list | dict) and name not in _MAY_NEST:
            raise InputError(f"{name}: {_kind(value)} cannot stand here")
    if not isinstance(given.get("unique", False), bool):
        raise InputError(f"unique: true or false, not {given['unique']!r}")
    if "in" in given:
        if "at" in given:
            raise InputError("at and in: give one of them")
        given["at"] = span_from(SystemClock().now(), given.pop("in"), "in")
    after = _after(given.get("after", []))
    if "after_failed" in given and not after:
        raise InputError("after_failed: it is for after")
    return Enqueue(**{**given, "after": after})


def _after(told: object) -> tuple[int, ...]:
    """Read one id, or a list of them."""
    ids = told if isinstance(told, list) else [told]
    for one in ids:
        if type(one) is not int or not 0 < one <= BIGGEST:
            what = _kind(one) if isinstance(one, list | dict) else repr(one)
            raise InputError(f"after: ids of actions, not {what}")
    return tuple(ids)


def _kind(value: object) -> str:
    """Name a nested value: to quote one that is nested deeply would fail itself."""
    return "a list" if isinstance(value, list) else "an object"
