"""One child of the process pool, from the pool's side: started, spoken to, ended, and judged.

Nothing here decides or waits; the pool does.
"""

import contextlib
import json
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from wpbridge.executors.answers import Answers, Stray
from wpbridge.executors.base import Call
from wpbridge.executors.calling import over
from wpbridge.executors.printed import Output, tell_lines
from wpbridge.executors.process.frames import CHANNEL_LOST, line
from wpbridge.outcome import Failed
from wpbridge.system import programs
from wpbridge.telling.log import is_heard

_CODE: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop());"
    " from wpbridge.executors.process.child import main; main()"
)
_CHUNK: Final = 1 << 16
_CHUNKS: Final = 2
"""Read at a time: more than a pipe holds, so a mark that was written before is among it."""
_LAST_WORDS: Final = 200
_FATAL: Final = "Fatal Python error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a child is told before its first call; it travels over a pipe."""

    modules: tuple[str, ...]
    folder: str | None
    trusted: bool = False
    """All three as :func:`wpbridge.executors.handlers.load` takes them."""
    site: str
    opener: str = ""
    """``module:function`` that makes the queue for handlers; empty for none."""
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the opener is called with: plain values, perhaps a password."""

    def start(self) -> "Worker":
        """Start one. WpCliError when there is no starting anything."""
        command = (sys.executable, "-u", "-P", "-c", _CODE, json.dumps(sys.path))
        worker = Worker(child=programs.spawn(command, env=os.environ), born=now())
        worker.ask(
            {
                "modules": list(self.modules),
                "folder": self.folder,
                "trusted": self.trusted,
                "site": self.site,
                "opener": self.opener,
                "given": dict(self.given),
                "mark": worker.mark,
                "secret": worker.answers.secret,
                "levels": {name: logging.getLogger(name).getEffectiveLevel() for name in _LOGGERS},
            }
        )
        return worker


_LOGGERS: Final = ("", "wpbridge")


@dataclass(slots=True)
class Sent:
    """The call that a child has."""

    call: Call
    limit: timedelta | None
    kill_after_seconds: float | None
    """From its start; None: never."""
    started_at: datetime
    since: float
    """Monotonic."""
    is_started: bool = False
    """The child has said that it begins."""

    def begin(self, at: datetime) -> None:
        """Its time limit counts from now."""
        self.is_started, self.started_at, self.since = True, at, now()

    def is_over(self) -> bool:
        """Whether it has run for so long that its process must be killed."""
        limit = self.kill_after_seconds
        return self.is_started and limit is not None and now() - self.since >= limit


@dataclass(slots=True)
class Worker:
    """A started child. Its descriptors do not block."""

    child: programs.Child
    born: float
    """Monotonic."""
    mark: str = field(default_factory=lambda: f"\x1e{secrets.token_hex(8)}:")
    is_ready: bool = False
    refusal: str = ""
    """Why it cannot begin, in its own words."""
    sent: Sent | None = None
    is_told_to_stop: bool = False
    done: int = 0
    retiring: str = ""
    """Why it gets no more calls."""
    killed: Failed | None = None
    """Why we ended it."""
    kill_at: float | None = None
    """Monotonic: when it must be gone."""
    watched: int | None = None
    """Readable when it ends; None where the system cannot tell."""
    output: Output = field(init=False)
    spent: set[int] = field(default_factory=set)
    """Descriptors with nothing more to come."""
    answers: Answers = field(default_factory=Answers)
    _unsent: bytes = b""

    def __post_init__(self) -> None:
        self.output = Output(self.mark)

    @property
    def pid(self) -> int:
        """Of the child, of its process group and of its session."""
        return self.child.process.pid

    def ask(self, frame: dict[str, Any]) -> None:
        """Send a request; what the pipe does not take waits for :meth:`flush`."""
        self._unsent += line(frame)
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        while self._unsent:
            try:
                self._unsent = self._unsent[os.write(self.child.requests, self._unsent) :]
            except BlockingIOError:
                return
            except OSError:
                # It is gone; its end is told elsewhere.
                self._unsent = b""

    def hear(self) -> list[dict[str, Any] | Stray]:
        """All whole answers that have arrived, and what is none among them."""
        return self.answers.feed(self._read(self.child.answers))

    def listen(self) -> None:
        """Take in what was printed; what comes before an action's mark is that action's."""
        data = self._read(self.child.output)
        self.output.feed(data)
        if is_heard("action.printed"):
            self.tell(self.output.lines(data))

    def tell(self, lines: list[str]) -> None:
        """To the log, as printed by the action that it has."""
        tell_lines(self.sent.call.action if self.sent else None, lines)

    def _read(self, descriptor: int) -> bytes:
        parts = []
        with contextlib.suppress(OSError):
            for _ in range(_CHUNKS):
                parts.append(os.read(descriptor, _CHUNK))
                if not parts[-1]:
                    self.spent.add(descriptor)
                if len(parts[-1]) < _CHUNK:
                    break
        return b"".join(parts)

    def overdue(self, boot_timeout: timedelta) -> Failed | None:
        """Why it must be ended now; None when it may go on."""
        sent, moment = self.sent, now()
        most = boot_timeout.total_seconds()
        if not self.is_ready:
            late = "the handlers' modules were not imported in time"
            return Failed(reason=late) if moment - self.born >= most else None
        if sent is None:
            return None
        if sent.limit and sent.is_over():
            return Failed(reason=over(sent.limit), error_type="TimedOut")
        if not sent.is_started and moment - sent.since >= most:
            silent = "the handler's process does not answer"
            return Failed(reason=silent, error_type="WorkerLost")
        return None

    def hang_up(self, grace_seconds: float) -> None:
        """Let it end by itself, within the grace: it sees the end of its requests."""
        self.retiring = self.retiring or "it is not needed any more"
        self.kill_at = now() + grace_seconds
        self.child.hang_up()

    def terminate(self, why: Failed, grace_seconds: float) -> None:
        """TERM to all of its session; the pool sends KILL after the grace."""
        self.killed = why
        self.kill_at = now() + grace_seconds
        self.child.kill(signal.SIGTERM)

    def bury(self) -> int:
        """Kill what it has left behind, reap it, close its pipes; returns the exit code."""
        self.child.kill(signal.SIGKILL)
        code = self.child.process.wait()
        if self.watched is not None:
            os.close(self.watched)
        self.child.release()
        return code


# Why it is gone


def death(worker: Worker, code: int) -> Failed:
    """What the action of a child is failed with that died under it."""
    if worker.killed:
        return worker.killed
    lines = worker.output.rest().splitlines() or [""]
    # What Python says of a crash comes before where it was.
    last = next((text for text in lines if text.startswith(_FATAL)), lines[-1])
    said = f"; it last said: {last.strip()[:_LAST_WORDS]}" if last else ""
    return Failed(reason=f"the handler's process {how(code)}{said}", error_type="WorkerLost")


def how(code: int) -> str:
    """How a process ended, from its exit code."""
    if code == CHANNEL_LOST:
        return "lost its pipes to wpbridge: the handler closed them"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    hint = _HINTS.get(-code, "")
    return f"was ended by signal {-code} ({name}{hint})"


_HINTS: Final[Mapping[int, str]] = {
    signal.SIGKILL: ": by hand, or by the kernel when memory ran out",
    signal.SIGSEGV: ": it crashed",
    signal.SIGBUS: ": it crashed",
    signal.SIGILL: ": it crashed",
    signal.SIGABRT: ": it aborted",
    signal.SIGXCPU: ": its limit of processor time",
}


def boot_failure(worker: Worker, code: int) -> str:
    """Why it did not come up: its own words, as one line of text."""
    if worker.refusal or worker.killed:
        return worker.refusal or str(worker.killed and worker.killed.reason)
    printed = " ".join(worker.output.rest().split())[-600:]
    return f"it {how(code)}" + (f": {printed}" if printed else " and said nothing")


def now() -> float:
    """The clock that limits are measured by."""
    return time.monotonic()
