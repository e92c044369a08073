"""The calls of a pool: those that wait, those that workers have, and the reports of ended ones.

Used by the runner's thread and the pool's; every method takes the lock for itself.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Generic, TypeVar

from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Call, Mailbox, Report, unstarted
from wpbridge.outcome import Outcome, Unrun
from wpbridge.telling import traces


@dataclass(slots=True)
class Sent:
    """A call that a worker has and did not answer yet."""

    call: Call
    started_at: datetime | None = None
    since: float = 0.0
    """The monotonic time of the start."""

    def begin(self, at: datetime) -> None:
        """Let its time limit count from now."""
        self.started_at, self.since = at, time.monotonic()


S = TypeVar("S", bound=Sent)


class Inbox(Generic[S]):
    """Where the runner leaves calls, and the pool fetches them."""

    def __init__(self, clock: Clock, mailbox: Mailbox, sent_of: Callable[[Call], S]) -> None:
        """``sent_of`` makes a call ready to be sent; ``clock`` dates reports, for ``mailbox``."""
        self._clock = clock
        self._mailbox = mailbox
        self._sent_of = sent_of
        self._lock = threading.Lock()
        self._queue: deque[Call] = deque()
        self._sent: dict[Call, S] = {}
        self._ended: list[Report] = []
        """Reports that the runner has not got yet."""

    # For the runner

    def put(self, call: Call) -> None:
        """Queue a call behind the others."""
        with self._lock:
            self._queue.append(call)

    def waiting(self) -> int:
        """Return how many calls no worker has."""
        with self._lock:
            return len(self._queue)

    def sent(self) -> int:
        """Return how many calls workers have."""
        with self._lock:
            return len(self._sent)

    def running(self) -> dict[Call, datetime]:
        """Return when each call began that has begun and has not ended."""
        with self._lock:
            return {call: s.started_at for call, s in self._sent.items() if s.started_at}

    def recall(self, only: Collection[Call] | None) -> list[Call]:
        """Take back what waits: all of it, or the calls in ``only``."""
        with self._lock:
            return self._withdraw(only)

    def _withdraw(self, only: Collection[Call] | None) -> list[Call]:
        taken = [call for call in self._queue if only is None or call in only]
        self._queue = deque(call for call in self._queue if call not in set(taken))
        return taken

    # For the pool

    def take(self) -> S | None:
        """Return the next call, for a worker that has room; None when none waits."""
        with self._lock:
            while self._queue:
                call = self._queue.popleft()
                if call.may_start():
                    call.attempt = traces.attempt(call.action)
                    sent = self._sent[call] = self._sent_of(call)
                    return sent
                self._mailbox.put(unstarted(call, self._clock.now()))
        return None

    def begun(self, sent: S) -> None:
        """A worker has said that it begins the call."""
        at = self._clock.now()
        with self._lock:
            sent.begin(at)

    def report(self, sent: S, outcome: Outcome, output: str = "") -> None:
        """Note that a call has ended; :meth:`deliver` tells the runner."""
        at = self._clock.now()
        self._ended.append(Report(sent.call, outcome, sent.started_at or at, at, output))

    def deliver(self) -> None:
        """Give the runner all that has ended since the last time: it wakes once for all of it."""
        if not self._ended:
            return
        reports, self._ended = self._ended, []
        with self._lock:
            for report in reports:
                self._sent.pop(report.call, None)
        self._mailbox.put(*reports)

    def put_back(self, reason: str) -> None:
        """Give back all that waits, since nothing can run it."""
        with self._lock:
            calls = self._withdraw(None)
        for call in calls:
            self.report(self._sent_of(call), Unrun(reason=reason))
        self.wake()

    def wake(self) -> None:
        """Have the runner look again: more can be run than a moment ago."""
        self._mailbox.wake()
