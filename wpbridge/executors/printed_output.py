"""Take what handlers print from ``sys.stdout``, log it line by line, and keep its end.

Isolated handlers and PHP print into a pipe, which marks cut into actions (:class:`Output`). Those
on threads share one ``sys.stdout``: while :class:`Stdout` stands in its place, a context variable
says whose text it is. What belongs to no action goes where it always went.
"""

import contextlib
import io
import os
import re
import sys
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TextIO, cast

from wpbridge.action import Action
from wpbridge.telling.log import is_heard, tell

TAIL_BYTES: Final = 8192
"""At most so many bytes of an action's output are kept, from its end."""
_CUT: Final = "…"
_LONGEST_LINE: Final = 1 << 16
_UNSHOWABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CONTINUED: Final = bytes(range(0x80, 0xC0))


def tail(text: bytes) -> str:
    """Return the end of a text as one that any table takes, with … where something was cut off."""
    kept = text
    if is_cut := len(text) > TAIL_BYTES:
        kept = text[-TAIL_BYTES + len(_CUT.encode()) :].lstrip(_CONTINUED)
    shown = _UNSHOWABLE.sub("\ufffd", kept.decode("utf-8", "replace")).strip()
    return _CUT + shown if is_cut else shown


class Lines:
    """Joins bytes to whole lines of text, as they come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Take bytes; return the lines that are whole now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) >= _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        return [text for text in map(_text, lines) if text]

    def end(self) -> list[str]:
        """Return the last line, if nothing ended it."""
        return self.feed(b"\n")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def tell_lines(action: Action | None, lines: list[str]) -> None:
    """Write lines to the log at level info; they belong to no action when it is None."""
    action_id, hook = (None, None) if action is None else (action.id, action.hook)
    for line in lines:
        tell("action.printed", action_id=action_id, hook=hook, line=line)


# Through a pipe


class Output:
    """A worker's stdout and stderr, cut into actions at the marks that the worker writes."""

    def __init__(self, mark: str) -> None:
        self._mark = re.compile(re.escape(mark).encode() + rb"(\d{1,20})\n")
        self._start = mark
        self._lines = Lines()
        self._text = b""
        self._tails: dict[int, str] = {}

    def feed(self, data: bytes) -> None:
        """Take bytes that were read."""
        text, over = self._text + data, 0
        for match in self._mark.finditer(text):
            if match.start() > over:
                self._tails[int(match[1])] = tail(text[over : match.start()])
            over = match.end()
        # The end may hold the first half of a mark.
        self._text = text[over:][-TAIL_BYTES - 64 :]

    def lines(self, data: bytes) -> list[str]:
        """Take bytes that were read; return the lines for the log that are whole now."""
        told = (line.partition(self._start)[0] for line in self._lines.feed(data))
        return [line for line in told if line]

    def take(self, action_id: int) -> str:
        """Return the end of what an action printed."""
        return self._tails.pop(action_id, "")

    def rest(self) -> str:
        """Return what came since the last mark: the running action's output, or the boot's."""
        return tail(self._text)


# On threads


class Printed:
    """What one action prints while this is entered: here, and in tasks that are started here."""

    __slots__ = ("_action", "_is_over", "_lines", "_text", "_token")

    _lock: ClassVar = threading.RLock()
    """One lock for all: most actions print nothing. Destructors may print while it is locked."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self._is_over = False
        self._text: bytearray | None = None

    def __enter__(self) -> Self:
        self._token = _printed.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _printed.reset(self._token)
        self._is_over = True

    def take(self, data: bytes) -> bool:
        """Take bytes; return False, and take nothing, once the action is over."""
        with self._lock:
            if self._is_over:
                return False
            if self._text is None:
                self._text, self._lines = bytearray(), Lines()
            self._text += data
            if len(self._text) > 2 * TAIL_BYTES:
                del self._text[: -TAIL_BYTES - 1]
            lines = self._lines.feed(data) if is_heard("action.printed") else []
        self._tell(lines)
        return True

    def end(self) -> str:
        """Return the end of what was printed; call it once the action is over."""
        if self._text is None:
            return ""
        with self._lock:
            lines, text = self._lines.end(), bytes(self._text)
        self._tell(lines)
        return tail(text)

    def _tell(self, lines: list[str]) -> None:
        if lines:
            # What a log writes to sys.stdout is not the action's output.
            token = _printed.set(None)
            # A log that fails must not fail the action.
            with contextlib.suppress(Exception):
                tell_lines(self._action, lines)
            _printed.reset(token)


_printed: ContextVar[Printed | None] = ContextVar("wpbridge_printed", default=None)


class Stdout(io.TextIOBase):
    """Stands in the place of ``sys.stdout``."""

    @classmethod
    def install(cls) -> "Stdout":
        """Put one there, or use the one that another executor of this process has put there."""
        there: Any = sys.stdout
        if there is None:
            # The process was started without one.
            there = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as it
        it: Stdout = there if isinstance(there, Stdout) else cls(there)
        it.users += 1
        sys.stdout = cast("TextIO", it)
        return it

    def __init__(self, real: TextIO) -> None:
        self._real = real
        self._pid = os.getpid()
        self.users = 0

    def uninstall(self) -> None:
        """Put the real one back after the last user, unless somebody else has replaced it."""
        self.users -= 1
        if not self.users and sys.stdout is cast("TextIO", self):
            sys.stdout = self._real

    def write(self, text: str, /) -> int:
        """Write to the action that prints, or else to the real stream."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        is_taken = self.gives(text.encode("utf-8", "replace"))
        return len(text) if is_taken else self._real.write(text)

    def gives(self, data: bytes) -> bool:
        """Return whether an action has taken the bytes. In a copy made by fork there is none."""
        printed = _printed.get()
        return printed is not None and self._pid == os.getpid() and printed.take(data)

    def flush(self) -> None:
        """Flush the real stream."""
        self._real.flush()

    def close(self) -> None:
        """Do nothing, so that no handler closes it for all the others."""

    def isatty(self) -> bool:
        """Return False, since the output is read later: no colours, no progress bars."""
        return _printed.get() is None and self._real.isatty()

    def writable(self) -> bool:
        """Return True: text can be written."""
        return True

    def fileno(self) -> int:
        """Return the real stream's descriptor: what others write to it belongs to no action."""
        return self._real.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding of the real stream."""
        return self._real.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """Return how the real stream treats what it cannot encode."""
        return self._real.errors

    @property
    def buffer(self) -> "_Bytes":
        """Return a stream for those who write bytes."""
        return _Bytes(self, self._real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Bytes:
    """Stands in the place of ``sys.stdout.buffer``."""

    def __init__(self, stdout: Stdout, real: TextIO) -> None:
        self._stdout, self._real = stdout, real

    def write(self, data: bytes | bytearray | memoryview) -> int:
        taken = bytes(data)
        return len(taken) if self._stdout.gives(taken) else self._real.buffer.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real.buffer, name)
