"""One worker process, from its pool's side: its channel, its output, and its end.

Nothing here decides or waits; the pool does.
"""

import contextlib
import os
import secrets
import signal
import time
from dataclasses import field
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.executors.pools.answers import Answers, Stray, line
from wpbridge.executors.printed_output import Output
from wpbridge.outcome import Failed
from wpbridge.system import programs

_CHUNK: Final = 1 << 16
_CHUNKS: Final = 2
"""Read at a time: more than a pipe holds, so a mark that was written before is among it."""


@dataclass(slots=True, kw_only=True)
class PoolWorker:
    """A process that has been started. Its descriptors do not block."""

    child: programs.Child
    born: float
    """The monotonic time of its start."""
    mark: str = field(default_factory=lambda: f"\x1e{secrets.token_hex(8)}:")
    """What it prints behind the output of each action, before the action's id."""
    answers: Answers = field(default_factory=Answers)
    output: Output = field(init=False)
    done: int = 0
    is_ready: bool = False
    is_retiring: bool = False
    """It gets no more calls."""
    killed: Failed | None = None
    """Why we ended it."""
    kill_at: float | None = None
    """The monotonic time at which it must be gone."""
    watched: int | None = None
    """Readable when it ends; None where the system cannot tell."""
    spent: set[int] = field(default_factory=set)
    """Descriptors with nothing more to come."""
    _unsent: bytes = b""

    def __post_init__(self) -> None:
        self.output = Output(self.mark)

    @property
    def pid(self) -> int:
        """The id of the process, which is that of its group and session, too."""
        return self.child.process.pid

    @property
    def is_up(self) -> bool:
        """Whether it may be given work."""
        return self.is_ready and not self.is_retiring and not self.killed

    @property
    def is_busy(self) -> bool:
        """Return whether it has calls that it did not answer yet."""
        raise NotImplementedError

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request; what the pipe does not take waits for :meth:`flush`."""
        self.post(line(request))

    def post(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._unsent += data
        self.flush()

    def flush(self) -> None:
        """Write as much of what waits as the pipe takes."""
        while self._unsent:
            try:
                self._unsent = self._unsent[os.write(self.child.requests, self._unsent) :]
            except BlockingIOError:
                return
            except OSError:
                # It is gone; its end is told elsewhere.
                self._unsent = b""

    def hear(self) -> list[dict[str, Any] | Stray]:
        """Return all whole answers that have arrived, with whatever else came between them."""
        return self.answers.feed(self._read(self.child.answers))

    def listen(self) -> None:
        """Take in what was printed; what comes before an action's mark is that action's."""
        data = self._read(self.child.output)
        self.output.feed(data)
        self.printed(data)

    def printed(self, data: bytes) -> None:
        """Write what was printed to the log, if anybody listens."""
        raise NotImplementedError

    def _read(self, descriptor: int) -> bytes:
        """Read what has arrived, up to a bound: others may write faster than we read."""
        parts = []
        with contextlib.suppress(OSError):
            for _ in range(_CHUNKS):
                parts.append(os.read(descriptor, _CHUNK))
                if not parts[-1]:
                    self.spent.add(descriptor)
                if len(parts[-1]) < _CHUNK:
                    break
        return b"".join(parts)

    def look_at(self) -> float | None:
        """The monotonic time of the next thing that no descriptor tells; None without such."""
        return 0.0 if self.watched is None or self.kill_at is not None else None

    def hang_up(self) -> None:
        """Let it end by itself: it sees the end of its requests."""
        self.is_retiring = True
        self.child.hang_up()

    def terminate(self, why: Failed, grace_seconds: float) -> None:
        """Send TERM to all of its session; the pool sends KILL after the grace."""
        self.killed = why
        self.kill_at = now() + grace_seconds
        self.child.kill(signal.SIGTERM if grace_seconds else signal.SIGKILL)

    def bury(self) -> int:
        """Kill what it has left behind, reap it, close its pipes; returns the exit code."""
        self.child.kill(signal.SIGKILL)
        return self.close()

    def close(self) -> int:
        """Close its descriptors, once it has ended; returns the exit code."""
        code = self.child.process.wait()
        if self.watched is not None:
            os.close(self.watched)
        self.child.release()
        return code


def now() -> float:
    """Return the time of the clock that limits are measured by."""
    return time.monotonic()
