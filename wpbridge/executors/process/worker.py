"""One child of the process pool, from the pool's side: started, spoken to, ended, and judged.

Nothing here decides or waits; the pool does.
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.executors.handler_calls import over
from wpbridge.executors.pools.worker import PoolWorker, now
from wpbridge.executors.printed_output import tell_lines
from wpbridge.executors.process.frames import CHANNEL_LOST
from wpbridge.executors.process.inbox import Sent
from wpbridge.outcome import Failed
from wpbridge.system import programs
from wpbridge.telling.log import is_heard

_CODE: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop());"
    " from wpbridge.executors.process.child import main; main()"
)
GRACE_SECONDS: Final = 2.0
"""Between TERM and KILL, and for an idle child to go home."""
_LAST_WORDS: Final = 200
_FATAL: Final = "Fatal Python error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a child is told before its first call; it travels over a pipe."""

    modules: tuple[str, ...]
    folder: str | None
    trusted: bool = False
    """All three as :func:`wpbridge.executors.loading.load` takes them."""
    site: str
    opener: str = ""
    """``module:function`` that makes the queue for handlers; empty for none."""
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the opener is called with: plain values, perhaps a password."""
    traces: Mapping[str, Any] | None = None
    """What :func:`wpbridge.telling.traces.start` is called with; None where no traces are made."""

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
                "traces": self.traces and dict(self.traces),
                "mark": worker.mark,
                "secret": worker.answers.secret,
                "levels": {name: logging.getLogger(name).getEffectiveLevel() for name in _LOGGERS},
            }
        )
        return worker


_LOGGERS: Final = ("", "wpbridge")


@dataclass(slots=True, kw_only=True)
class Worker(PoolWorker):
    """One child that has been started."""

    refusal: str = ""
    """Why it cannot begin, in its own words."""
    sent: Sent | None = None
    is_told_to_stop: bool = False
    why_retiring: str = ""
    """Why it gets no more calls."""

    @property
    def is_busy(self) -> bool:
        """Whether it has a call."""
        return self.sent is not None

    def retire(self, why: str) -> None:
        """Give it no more calls."""
        self.is_retiring, self.why_retiring = True, why

    def printed(self, data: bytes) -> None:
        """Write what was printed to the log, if anybody listens."""
        if is_heard("action.printed"):
            self.tell(self.output.lines(data))

    def tell(self, lines: list[str]) -> None:
        """Write lines to the log, as printed by the action that it has."""
        tell_lines(self.sent.call.action if self.sent else None, lines)

    def look_at(self) -> float | None:
        """See :class:`PoolWorker`: the time limit of its call, too."""
        at, sent = PoolWorker.look_at(self), self.sent
        if at is None and sent and sent.kill_after_seconds is not None:
            return sent.since + sent.kill_after_seconds
        return at

    def overdue(self, boot_timeout: timedelta) -> Failed | None:
        """Return why it must be ended now; None when it may go on."""
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

    def hang_up(self) -> None:
        """Let it end by itself, within the grace: it sees the end of its requests."""
        PoolWorker.hang_up(self)
        self.kill_at = now() + GRACE_SECONDS


# Why it is gone


def death(worker: Worker, code: int) -> Failed:
    """Return the failure of an action whose child died while it ran."""
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
    """Return why it did not come up: its own words, as one line of text."""
    if worker.refusal or worker.killed:
        return worker.refusal or str(worker.killed and worker.killed.reason)
    printed = " ".join(worker.output.rest().split())[-600:]
    return f"it {how(code)}" + (f": {printed}" if printed else " and said nothing")
