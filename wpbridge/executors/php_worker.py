"""One PHP worker process: its channel, its output, and what it says about its end.

Nothing here decides or waits; the pool does. docs/reference/php-protocol.md has the protocol.
"""

import contextlib
import json
import logging
import os
import re
import secrets
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from wpbridge import wp
from wpbridge.executors.base import Call
from wpbridge.executors.printed import Output
from wpbridge.outcome import Failed

PROTOCOL: Final = 1
_CHUNK: Final = 1 << 16
_FATAL: Final = re.compile(r"^(?:PHP )?((?:Fatal|Parse|Compile) error: .*)", re.MULTILINE)

_TAGS: Final = re.compile(r"<(style|script|head)\b.*?</\1>|<[^>]*>", re.DOTALL)

_log = logging.getLogger("wpbridge.php")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a worker says of itself once WordPress is loaded."""

    worker: int
    pid: int
    php: str
    wordpress: str
    action_scheduler: str | None
    """None where the plugin is not active."""
    store: str | None
    logger: str | None
    url: str
    zone: str
    memory_limit: int
    """Bytes; -1 for none."""
    prefix: str
    sees_runner: bool | None
    """Whether our runner's row is in its database; None when not asked."""
    wp_cli: str | None

    @classmethod
    def from_frame(cls, frame: dict[str, Any]) -> "Hello":
        """From the answer; members of newer workers are left out."""
        told: dict[str, Any] = {name: frame.get(name) for name in cls.__dataclass_fields__}
        return cls(**told)


@dataclass(slots=True)
class Sent:
    """A call that a worker has and did not answer yet."""

    call: Call
    started_at: datetime | None = None
    since: float = 0.0
    """Monotonic, of the start."""


@dataclass(slots=True)
class PhpWorker:
    """A started process. Its descriptors do not block."""

    child: wp.Child
    born: float
    """Monotonic."""
    mark: str = field(default_factory=lambda: f"\x1e{secrets.token_hex(8)}:")
    hello: Hello | None = None
    sent: deque[Sent] = field(default_factory=deque)
    """In the order of their execution; the first is the one that runs."""
    done: int = 0
    seconds: float = 0.0
    """Mean length of an action, the latest counting most; 0 before the first."""
    idle_since: float = 0.0
    deferred: bool = False
    """It put something off to the end of the process."""
    retiring: bool = False
    killed: str = ""
    """Why we ended it."""
    kill_at: float = 0.0
    """Monotonic: when TERM was not enough."""
    dying: dict[str, Any] | None = None
    asked: set[str] = field(default_factory=set)
    """Hooks it was asked about; asked again elsewhere when it dies."""
    stopped: bool = False
    watched: int | None = None
    """Readable when the process ends; None where the system cannot tell."""
    output: Output = field(init=False)
    _unread: bytes = b""
    _unsent: bytes = b""

    def __post_init__(self) -> None:
        self.output = Output(self.mark)
        self.idle_since = self.born

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request; what the pipe does not take waits for :meth:`flush`."""
        self.post(line(request))

    def post(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._unsent += data
        self.flush()

    def count(self, seconds: float) -> None:
        """One action more."""
        self.done += 1
        # From the second on: the first loads classes that the others find loaded.
        if self.done > 1:
            self.seconds += (max(seconds, 1e-6) - self.seconds) / min(self.done - 1, 8)

    def flush(self) -> bool:
        """Write what waits; whether all of it is gone."""
        while self._unsent:
            try:
                written = os.write(self.child.requests, self._unsent)
            except BlockingIOError:
                return False
            except OSError:
                # It is gone; its end is told elsewhere.
                self._unsent = b""
                return True
            self._unsent = self._unsent[written:]
        return True

    def answers(self) -> list[dict[str, Any]]:
        """All whole answers that have arrived."""
        data = self._unread + _drain(self.child.answers)
        *lines, self._unread = data.split(b"\n")
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def listen(self) -> None:
        """Take in what it has printed."""
        data = _drain(self.child.output)
        if data:
            if _log.isEnabledFor(logging.INFO):
                _tell(self.child.process.pid, data, self.mark)
            self.output.feed(data)

    def stop(self) -> None:
        """Let it end by itself: it sees the end of its requests."""
        self.retiring = self.stopped = True
        self.child.hang_up()

    def close(self) -> None:
        """Close its descriptors, once it has ended."""
        if self.watched is not None:
            os.close(self.watched)
        self.child.release()

    def terminate(self, why: str, now: float, grace_seconds: float) -> None:
        """TERM to its whole group, and KILL later if that is not enough."""
        self.killed = why
        self.kill_at = now + grace_seconds
        self.child.kill(signal.SIGTERM)


def line(request: dict[str, Any]) -> bytes:
    """A request as it travels."""
    return json.dumps(request).encode() + b"\n"


def _drain(descriptor: int) -> bytes:
    parts = []
    with contextlib.suppress(OSError):
        while data := os.read(descriptor, _CHUNK):
            parts.append(data)
            if len(data) < _CHUNK:
                break
    return b"".join(parts)


def _tell(pid: int, data: bytes, mark: str) -> None:
    for line in data.decode("utf-8", "replace").split("\n"):
        if line and not line.startswith(mark):
            _log.info("worker %d: %s", pid, line)


def failure(error: dict[str, Any], tail: str) -> Failed:
    """From what a worker caught: the message as the plugin logs it, the rest as a detail."""
    place = f"{error['class']} in {error['file']}:{error['line']}"
    return Failed(
        reason=str(error["message"]), error_type=str(error["class"]), detail=_with(place, tail)
    )


def death(worker: PhpWorker, exit_code: int) -> Failed:
    """Why a worker that ran an action is gone: never "unknown error"."""
    tail = worker.output.rest()
    told = (worker.dying or {}).get("error")
    printed = _FATAL.findall(tail)
    if worker.killed:
        return Failed(reason=worker.killed, error_type="TimedOut", detail=_with("", tail))
    if told:
        # The plugin's own words for it (log_unexpected_shutdown).
        reason = (
            f"unexpected shutdown: PHP Fatal error {told['message']} in {told['file']}"
            f" on line {told['line']}"
        )
        return Failed(reason=reason, error_type="PhpFatalError", detail=_with("", tail))
    if exit_code < 0 or exit_code > 128:  # noqa: PLR2004 - 128 + n, as a shell tells a signal
        number = -exit_code if exit_code < 0 else exit_code - 128
        if not worker.dying and (exit_code < 0 or number in _SIGNALS):
            reason = f"PHP was ended by signal {number}{_SIGNALS.get(number, '')}"
            return Failed(reason=reason, error_type="WorkerLost", detail=_with("", tail))
    if printed:
        return Failed(
            reason=f"unexpected shutdown: PHP {printed[-1]}",
            error_type="PhpFatalError",
            detail=_with("", tail),
        )
    what = "the callback ended PHP with exit" if worker.dying else "PHP ended"
    return Failed(
        reason=f"{what} (status {exit_code})", error_type="WorkerLost", detail=_with("", tail)
    )


_SIGNALS: Final[dict[int, str]] = {
    signal.SIGKILL: " (SIGKILL: killed by hand, or by the kernel when memory ran out)",
    signal.SIGSEGV: " (SIGSEGV: PHP crashed)",
    signal.SIGABRT: " (SIGABRT: PHP crashed)",
    signal.SIGBUS: " (SIGBUS: PHP crashed)",
    signal.SIGILL: " (SIGILL: PHP crashed)",
    signal.SIGFPE: " (SIGFPE: PHP crashed)",
    signal.SIGTERM: " (SIGTERM)",
    signal.SIGINT: " (SIGINT)",
    signal.SIGALRM: " (SIGALRM)",
    signal.SIGXCPU: " (SIGXCPU: its limit of processor time)",
}


def _with(place: str, tail: str) -> str:
    printed = f"last output: {tail}" if tail else ""
    return "; ".join(part for part in (place, printed) if part)


def boot_failure(worker: PhpWorker, exit_code: int | None) -> str:
    """Why WordPress did not start: its own words, as one line of text."""
    printed = worker.output.rest()
    if fatal := _FATAL.search(printed):
        return f"PHP {fatal[1]}"
    words = _TAGS.sub(" ", printed)
    said = " ".join(words.split())[-600:]
    how = "did not answer in time" if exit_code is None else f"ended with status {exit_code}"
    return said or f"PHP {how} and said nothing"


def request_of(call: Call) -> dict[str, Any]:
    """A call as a worker gets it; args as the text of the row, for PHP's own decoder."""
    return {
        "do": "run",
        "id": call.action.id,
        "hook": call.action.hook,
        "args": call.action.args.decode("utf-8", "replace"),
        "native": call.books == "kept",
    }


def now() -> float:
    """The clock that limits are measured by."""
    return time.monotonic()
