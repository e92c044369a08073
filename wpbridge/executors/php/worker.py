"""One PHP worker process: its channel, its output, and what it says about its end.

Nothing here decides or waits; the pool does. docs/reference/php-protocol.md has the protocol.
"""

import re
import signal
from collections import deque
from dataclasses import field, replace
from datetime import timedelta
from typing import Any, Final

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Call
from wpbridge.executors.php.frames import Caught, Dying, Hello
from wpbridge.executors.php.inbox import Sent
from wpbridge.executors.pools.answers import Stray
from wpbridge.executors.pools.worker import PoolWorker, now
from wpbridge.outcome import Failed
from wpbridge.telling.log import is_heard, tell

PROTOCOL: Final = 2
_AHEAD_SECONDS: Final = 0.025
"""About so much work is sent to a worker before it asks for it."""
_MOST_AHEAD: Final = 512
_STUCK_SECONDS: Final = 0.1
"""Nothing more is sent behind an action that runs longer."""
_FATAL: Final = re.compile(r"^(?:PHP )?((?:Fatal|Parse|Compile) error: .*)", re.MULTILINE)

_TAGS: Final = re.compile(r"<(style|script|head)\b.*?</\1>|<[^>]*>", re.DOTALL)


@dataclass(slots=True, kw_only=True)
class PhpWorker(PoolWorker):
    """One PHP process that has been started."""

    is_behind_prefix: bool = False
    """Its answers come over stdout, where the prefix may print something before it."""
    hello: Hello | None = None
    sent: deque[Sent] = field(default_factory=deque)
    """In the order of their execution; the first is the one that runs."""
    asked: deque[frozenset[str]] = field(default_factory=deque)
    """Hooks it was asked about and has not answered yet."""
    seconds: float = 0.0
    """Mean length of an action, the latest counting most; 0 before the first."""
    idle_since: float = 0.0
    """When it last ended something, or was given something while it had nothing."""
    deferred: bool = False
    """It put something off to the end of the process."""
    dying: Dying | None = None
    stopped: bool = False

    def __post_init__(self) -> None:
        PoolWorker.__post_init__(self)
        self.idle_since = self.born

    @property
    def is_busy(self) -> bool:
        """Return whether it has calls that it did not answer yet."""
        return bool(self.sent)

    def greet(self, **told: Any) -> None:
        """Send the first request: it brings the secret that its answers carry from then on."""
        self.ask({"do": "hello", "secret": self.answers.secret, "marker": self.mark, **told})

    def post(self, data: bytes) -> None:
        """Send bytes as they are."""
        if not (self.sent or self.asked):
            self.idle_since = now()
        PoolWorker.post(self, data)

    def look_at(self) -> float | None:
        """See :class:`PoolWorker`: what retires is looked at, too."""
        return 0.0 if self.is_retiring else PoolWorker.look_at(self)

    def count(self, seconds: float) -> None:
        """Note that an action took so many seconds."""
        self.done += 1
        # From the second on: the first loads classes that the others find loaded.
        if self.done > 1:
            self.seconds += (max(seconds, 1e-6) - self.seconds) / min(self.done - 1, 8)

    def window(self, max_actions: int) -> int:
        """Return how many calls it may have at a time."""
        if not self.is_up:
            return 0
        first = self.sent[0] if self.sent else None
        if first and first.started_at and now() - first.since > _STUCK_SECONDS:
            return 1
        most = max_actions - self.done if max_actions else _MOST_AHEAD
        if not self.seconds:
            return 1
        return max(1, min(_MOST_AHEAD, most, int(_AHEAD_SECONDS / self.seconds)))

    def find(self, action_id: ActionId) -> Sent | None:
        """The call of this action that it has; most often it is the one that runs."""
        if self.sent and self.sent[0].call.action.id == action_id:
            return self.sent[0]
        return next((sent for sent in self.sent if sent.call.action.id == action_id), None)

    def hear(self) -> list[dict[str, Any] | Stray]:
        """All whole answers that have arrived, and what is none among them.

        What is none before the greeting is a prefix's own output: a login's banner, a notice of
        PHP. It stands in the message if the start fails.
        """
        found = PoolWorker.hear(self)
        if not self.is_behind_prefix or self.hello is not None:
            return found
        for stray in found:
            if isinstance(stray, Stray):
                self.output.feed(f"{stray.why}\n".encode())
        return [answer for answer in found if not isinstance(answer, Stray)]

    def printed(self, data: bytes) -> None:
        """Write what was printed to the log, if anybody listens."""
        if is_heard("php.printed"):
            for said in data.decode("utf-8", "replace").split("\n"):
                if said and not said.startswith(self.mark):
                    tell("php.printed", pid=self.pid, line=said)

    def overdue(self, boot_timeout: timedelta, timeout: timedelta | None) -> Failed | None:
        """Return why it must be ended now; None when it may go on."""
        moment, first = now(), self.sent[0] if self.sent else None
        quiet, patience = moment - self.idle_since, boot_timeout.total_seconds()
        if self.stopped:
            is_late = timeout is not None and quiet >= timeout.total_seconds()
            return Failed(reason="PHP did not end when it should") if is_late else None
        if self.hello is None:
            is_late = moment - self.born >= patience
            return Failed(reason="WordPress did not start in time") if is_late else None
        if first and first.started_at:
            if timeout is None or moment - first.since < timeout.total_seconds():
                return None
            why = f"ran longer than {timeout.total_seconds():g} s and was ended"
            return Failed(reason=why, error_type="TimedOut")
        # Between two actions listeners to the plugin's events run, which take their time.
        most = max(patience, timeout.total_seconds() if timeout else 0.0)
        is_late = bool(first or self.asked) and quiet >= most
        return Failed(reason="PHP does not answer", error_type="WorkerLost") if is_late else None

    def hang_up(self) -> None:
        """Let it end by itself: it sees the end of its requests."""
        self.stopped = True
        self.idle_since = now()
        PoolWorker.hang_up(self)

    def bury(self) -> int:
        """See :class:`PoolWorker`; what one leaves behind that ended as it should may run on."""
        if self.stopped and not self.killed and self.child.has_ended():
            return self.close()
        return PoolWorker.bury(self)


def failure(error: Caught, tail: str) -> Failed:
    """From what a worker caught: the message as the plugin logs it, the rest as a detail."""
    place = f"{error.type} in {error.file}:{error.line}"
    return Failed(reason=error.message, error_type=error.type, detail=_with(place, tail))


def spoilt(stray: Stray) -> Failed:
    """Return why a worker is ended that something else than the worker answered for."""
    reason = f"PHP was ended, because what came to its answers is none: {stray.why}"
    return Failed(reason=reason, error_type="WorkerLost")


def death(worker: PhpWorker, exit_code: int) -> Failed:
    """Return why a worker that ran an action is gone: never "unknown error"."""
    tail = worker.output.rest()
    told = worker.dying.error if worker.dying else None
    printed = _FATAL.findall(tail)
    if worker.killed:
        return replace(worker.killed, detail=_with("", tail))
    if told:
        # The plugin's own words for it (log_unexpected_shutdown).
        reason = (
            f"unexpected shutdown: PHP Fatal error {told.message} in {told.file}"
            f" on line {told.line}"
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


def boot_failure(worker: PhpWorker, exit_code: int) -> str:
    """Return why WordPress did not start: its own words, as one line of text."""
    printed = worker.output.rest()
    if fatal := _FATAL.search(printed):
        return f"PHP {fatal[1]}"
    words = _TAGS.sub(" ", printed)
    said = " ".join(words.split())[-600:]
    if worker.killed:
        return f"{worker.killed.reason}: {said}" if said else worker.killed.reason
    return said or (
        f"PHP ended with status {exit_code} and said nothing: a plugin may have ended it, as some"
        " do under a WP-CLI that they do not know; `--wp php` starts WordPress without WP-CLI"
    )


def request_of(call: Call) -> dict[str, Any]:
    """A call as a worker gets it; args as the text of the row, for PHP's own decoder."""
    return {
        "do": "run",
        "id": call.action.id,
        "hook": call.action.hook,
        "args": call.action.args.decode("utf-8", "replace"),
        "native": call.start_mark == "by_plugin",
        **({"traceparent": call.traceparent} if call.traceparent else {}),
    }
