"""What an executor is given, what it reports, and what it offers."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from wpbridge.action import Action
from wpbridge.dataclass import dataclass
from wpbridge.executors.openings import Openings
from wpbridge.outcome import LogLine, Outcome, Progress, Unrun
from wpbridge.telling.traces import Attempt

StartMark: TypeAlias = Literal["with_ending", "before_call", "once", "by_plugin", "by_worker"]
"""When an action's start mark is written.

``with_ending``: with the ending, or earlier when the call takes long. ``before_call``: before the
call. ``once``: before the call, and the action is never called again. ``by_plugin``: by the
plugin's own runner, which writes the ending, too. ``by_worker``: by the worker that takes the
action over, and ends it as its own.
"""


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One action in one claim, decoded and ready to run.

    Only its lines and steps change, and whether it may start.

    A call is equal to itself only. An action that others took over may come back to this runner in
    a new claim while its old call still runs, so an action's id does not tell which call is meant.
    """

    action: Action
    values: Sequence[Any]
    """As a PHP callback gets them."""
    mapping: Any
    """The args with their keys."""
    start_mark: StartMark = "with_ending"
    lines: list[LogLine] = field(default_factory=list)
    """Filled by the handler's ctx.log while it runs; emptied by the runner."""
    steps: list[Progress] = field(default_factory=list)
    """Filled by the handler's ctx.progress in the same way. Only the last one counts."""
    attempt: Attempt | None = field(default=None, repr=False)
    """The span of the attempt, where traces are made. It is kept here until the action has ended.
    """
    may_start: Callable[[], bool] = field(default=lambda: True, repr=False)
    """Asked right before it starts, from any thread. It says no while others may have taken the
    action over, and for good when they have canceled or ended it.
    """

    @property
    def traceparent(self) -> str:
        """Return what names the span of the attempt to others; empty for none."""
        return "" if self.attempt is None else self.attempt.traceparent


class Report(NamedTuple):
    """How one call went, and when."""

    call: Call
    outcome: Outcome
    started_at: datetime
    ended_at: datetime
    output: str = ""
    """The end of what a Python handler printed; PHP's stands in a failure's detail."""

    @property
    def took(self) -> timedelta:
        """How long the call ran."""
        return self.ended_at - self.started_at


def unstarted(call: Call, at: datetime) -> Report:
    """Of a call that may start no more."""
    outcome = Unrun(reason="its runner had not been heard of for too long")
    return Report(call=call, outcome=outcome, started_at=at, ended_at=at)


class Mailbox:
    """Where executors put their reports, and the runner waits for them.

    No SimpleQueue: CPython 3.11 and 3.12 have it wait for ever if a signal interrupts a wait whose
    timeout has passed meanwhile, as after SIGSTOP and SIGCONT. No Queue either: it must not be used
    in a signal handler. A lock keeps to its timeout, and its release interrupts nothing.
    """

    def __init__(self) -> None:
        self._reports: deque[Report] = deque()
        self._bell = threading.Lock()
        """Held while nothing has come. Whoever puts something in releases it."""
        self._bell.acquire()

    def put(self, *reports: Report) -> None:
        """Add reports; any thread may do it. The runner is woken once for all of them."""
        self._reports.extend(reports)
        self.wake()

    def wake(self) -> None:
        """End a wait, or the next one if there is none just now. Safe in a signal handler."""
        try:
            self._bell.release()
        except RuntimeError:
            # It rings already.
            return

    def take(self, timeout_seconds: float) -> list[Report]:
        """Return all there is; wait for the first up to the timeout."""
        self._bell.acquire(timeout=max(0.0, timeout_seconds))
        return [self._reports.popleft() for _ in range(len(self._reports))]


class Executor(Protocol):
    """Runs calls beside the runner's loop. Its methods are called by that loop alone."""

    def openings(self) -> Sequence[Openings]:
        """What it would start soon, as it stands now; a claim is planned by it."""
        ...

    def refuses(self, hook: str, group: str) -> str | None:
        """Why the hook's actions will not be run, though they are ours; None when they will."""
        ...

    def missing(self) -> frozenset[str]:
        """Hooks that were found to have nothing that runs them, since this was last asked."""
        ...

    def start_mark(self, hook: str, group: str) -> StartMark:
        """When the start mark of the hook's actions has to be written."""
        ...

    def has_room(self, *, ahead: bool = False) -> bool:
        """Return whether more calls would start at once: the runner claims only then.

        With ``ahead`` also when they would by the time that a claim takes.
        """
        ...

    def admit(self, waiting: Sequence[Call]) -> list[Call]:
        """Those that would start at once: they are marked now, and submitted then."""
        ...

    def trouble(self) -> str | None:
        """Return why it cannot run anything just now; None when it can."""
        ...

    def ignored(self, action: Action) -> None:
        """An action's turn came and it was no longer pending: tell who wants to know."""
        ...

    def submit(self, call: Call) -> None:
        """Queue a call, which starts as soon as something is free."""
        ...

    def reports(self, timeout_seconds: float) -> list[Report]:
        """What has ended since the last time; waits for the first one up to the timeout."""
        ...

    def wake(self) -> None:
        """End a wait in :meth:`reports`; safe in a signal handler."""
        ...

    def running(self) -> dict[Call, datetime]:
        """Return when each call started that has started and has not ended."""
        ...

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """Take back queued calls that have not started: all of them, or those in ``only``."""
        ...

    def resize(self, concurrency: int) -> None:
        """Run so many Python handlers at once from now on. What runs already goes on to its end."""
        ...

    def announce_stop(self) -> None:
        """Let handlers know that the runner wants to stop; safe in a signal handler."""
        ...

    def close(self) -> None:
        """Stop the threads; queued calls are dropped."""
        ...
