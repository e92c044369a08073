"""Calls of the process pool: those that wait, those that run, and the reports of those that ended.

Used by the runner's thread and the pool's; every method takes the lock for itself.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final

from wpbridge.clock import Clock
from wpbridge.executors.base import Call, Mailbox, Report, unstarted
from wpbridge.executors.process.worker import Sent
from wpbridge.outcome import Outcome, Unrun

_UNSTARTED_TRIES: Final = 3
"""An action that children die of before they have begun it is not sent again then."""


class Desk:
    """Where the runner leaves calls, and the pool fetches them."""

    def __init__(
        self, size: int, *, clock: Clock, mailbox: Mailbox, send: Callable[[Call], Sent]
    ) -> None:
        """``size`` calls run at a time; ``send`` gives one its limits and its start."""
        self._size = size
        self._clock = clock
        self._mailbox = mailbox
        self._send = send
        self._lock = threading.Lock()
        self._queue: deque[Call] = deque()
        self._running: dict[Call, datetime] = {}
        self._tries: dict[Call, int] = {}

    def put(self, call: Call) -> None:
        """Queue a call."""
        with self._lock:
            self._queue.append(call)

    def free(self) -> int:
        """How many more calls would start soon."""
        with self._lock:
            return self._size - len(self._queue) - len(self._running)

    def waiting(self) -> int:
        """Calls that no child has."""
        with self._lock:
            return len(self._queue)

    def running(self) -> dict[Call, datetime]:
        """When each call that a child has was begun, or sent."""
        with self._lock:
            return self._running.copy()

    def recall(self, only: Collection[Call] | None) -> list[Call]:
        """Take back what waits."""
        with self._lock:
            taken = [c for c in self._queue if only is None or c in only]
            self._queue = deque(c for c in self._queue if not (only is None or c in only))
        return taken

    def take(self) -> Sent | None:
        """The next call, for a child that is free."""
        with self._lock:
            while self._queue:
                call = self._queue.popleft()
                if not call.may_start():
                    self._mailbox.put(unstarted(call, self._clock.now()))
                    continue
                sent = self._send(call)
                self._note(sent)
                return sent
        return None

    def _note(self, sent: Sent) -> None:
        self._running[sent.call] = sent.started_at

    def begun(self, sent: Sent) -> None:
        """The child has said that it begins; its time counts from now."""
        sent.begin(self._clock.now())
        with self._lock:
            self._note(sent)

    def take_back(self, sent: Sent) -> bool:
        """Its child died before it began: it is the next again, unless that happens too often."""
        call = sent.call
        with self._lock:
            self._tries[call] = self._tries.get(call, 0) + 1
            if self._tries[call] >= _UNSTARTED_TRIES:
                return False
            del self._running[call]
            self._queue.appendleft(call)
            return True

    def report(self, sent: Sent, outcome: Outcome, output: str = "") -> None:
        """It has ended."""
        with self._lock:
            self._running.pop(sent.call, None)
            self._tries.pop(sent.call, None)
        self._mailbox.put(
            Report(
                call=sent.call,
                outcome=outcome,
                started_at=sent.started_at,
                ended_at=self._clock.now(),
                output=output,
            )
        )

    def clear(self, reason: str) -> None:
        """Nothing that waits can be run: it goes back."""
        for call in self.recall(None):
            self.report(self._send(call), Unrun(reason=reason))
        self._mailbox.wake()
