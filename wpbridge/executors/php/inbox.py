"""Calls of the PHP pool: those that wait, those that workers have, and their reports.

Used by the runner's thread and the pool's; every method takes the lock for itself.
"""

import threading
from collections import deque
from collections.abc import Collection, Sequence
from datetime import datetime

from wpbridge.action import Action
from wpbridge.clock import Clock
from wpbridge.executors.base import Call, Mailbox, Report, unstarted
from wpbridge.executors.php.worker import Sent
from wpbridge.outcome import Outcome, Unrun


class Desk:
    """Where the runner leaves calls, and the pool fetches them."""

    def __init__(self, clock: Clock, mailbox: Mailbox) -> None:
        """``clock`` dates the reports, which go to ``mailbox``."""
        self._clock = clock
        self._mailbox = mailbox
        self._lock = threading.Lock()
        self._queue: deque[Call] = deque()
        self._parked: list[Call] = []
        """Came back from a worker after the runner had asked for them; the runner fetches them."""
        self._sent: dict[Call, Sent] = {}
        self._ignored: deque[Action] = deque()

    # For the runner

    def put(self, call: Call) -> None:
        """Queue a call."""
        with self._lock:
            self._queue.append(call)

    def ignore(self, action: Action) -> None:
        """Queue an event for an action that was no longer pending."""
        with self._lock:
            self._ignored.append(action)

    def waiting(self) -> int:
        """Calls that no worker has."""
        with self._lock:
            return len(self._queue)

    def sent(self) -> int:
        """Calls that workers have."""
        with self._lock:
            return len(self._sent)

    def running(self) -> dict[Call, datetime]:
        """When each call began that has begun and has not ended."""
        with self._lock:
            return {call: s.started_at for call, s in self._sent.items() if s.started_at}

    def recall(self, only: Collection[Call] | None) -> list[Call]:
        """Take back what waits; what a worker has and does not begin comes with a later recall."""
        with self._lock:
            waiting = [*self._parked, *self._queue]
            taken = {call: None for call in waiting if only is None or call in only}
            self._parked = [call for call in self._parked if call not in taken]
            self._queue = deque(call for call in self._queue if call not in taken)
            for call, sent in self._sent.items():
                if only is None or call in only:
                    sent.is_recalled = True
        return list(taken)

    # For the pool

    def take(self) -> Sent | None:
        """The next call, for a worker that has room."""
        with self._lock:
            while self._queue:
                call = self._queue.popleft()
                if call.may_start():
                    sent = self._sent[call] = Sent(call)
                    return sent
                self._mailbox.put(unstarted(call, self._clock.now()))
        return None

    def wake(self) -> None:
        """Have the runner look again: more can be run than a moment ago."""
        self._mailbox.wake()

    def take_ignored(self) -> list[Action]:
        """The actions whose events are to be fired."""
        with self._lock:
            found = list(self._ignored)
            self._ignored.clear()
        return found

    def begun(self, sent: Sent) -> None:
        """Its callbacks are called now."""
        at = self._clock.now()
        with self._lock:
            sent.begin(at)

    def take_back(self, calls: Sequence[Sent]) -> None:
        """What no worker has begun is the next again; what was recalled waits for the runner."""
        with self._lock:
            for sent in reversed(calls):
                self._sent.pop(sent.call, None)
                if sent.is_recalled:
                    self._parked.append(sent.call)
                else:
                    self._queue.appendleft(sent.call)

    def report(self, sent: Sent, outcome: Outcome) -> None:
        """It has ended."""
        at = self._clock.now()
        with self._lock:
            self._sent.pop(sent.call, None)
        started_at = sent.started_at or at
        self._mailbox.put(
            Report(call=sent.call, outcome=outcome, started_at=started_at, ended_at=at)
        )

    def clear(self, reason: str) -> None:
        """Nothing that waits can be run: it goes back."""
        with self._lock:
            calls = [*self._parked, *self._queue]
            self._parked.clear()
            self._queue.clear()
        for call in calls:
            self.report(Sent(call), Unrun(reason=reason))
        self._mailbox.wake()
