"""The calls of the PHP pool: some are sent ahead, and come back when no worker has begun them."""

from collections import deque
from collections.abc import Collection, Sequence

from wpbridge.action import Action
from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Call, Mailbox
from wpbridge.executors.pools import inbox
from wpbridge.outcome import Failed


@dataclass(slots=True)
class Sent(inbox.Sent):
    """A call that a worker has and did not answer yet; it may not have begun."""

    posted: float = 0.0
    """The monotonic time at which the worker got it."""
    is_recalled: bool = False
    """The runner wants it back, if it does not begin."""
    spoilt: Failed | None = None
    """While it ran, something that is no answer came to the worker's answers."""


class Inbox(inbox.Inbox[Sent]):
    """The inbox of the PHP pool, which also takes events for ignored actions."""

    def __init__(self, clock: Clock, mailbox: Mailbox) -> None:
        """``clock`` dates the reports, which go to ``mailbox``."""
        super().__init__(clock, mailbox, Sent)
        self._parked: list[Call] = []
        """Came back from a worker after the runner had asked for them; the runner fetches them."""
        self._ignored: deque[Action] = deque()

    # For the runner

    def ignore(self, action: Action) -> None:
        """Queue an event for an action that was no longer pending."""
        with self._lock:
            self._ignored.append(action)

    def recall(self, only: Collection[Call] | None) -> list[Call]:
        """Take back what waits; what a worker has and does not begin comes with a later recall."""
        with self._lock:
            for call, sent in self._sent.items():
                if only is None or call in only:
                    sent.is_recalled = True
            return self._withdraw(only)

    def _withdraw(self, only: Collection[Call] | None) -> list[Call]:
        parked, self._parked = self._parked, []
        taken: list[Call] = []
        for call in parked:
            (taken if only is None or call in only else self._parked).append(call)
        return [*taken, *super()._withdraw(only)]

    # For the pool

    def take_ignored(self) -> list[Action]:
        """The actions whose events are to be fired."""
        with self._lock:
            found = list(self._ignored)
            self._ignored.clear()
        return found

    def take_back(self, calls: Sequence[Sent]) -> None:
        """Queue first what no worker has begun; what was recalled waits for the runner."""
        with self._lock:
            for sent in reversed(calls):
                self._sent.pop(sent.call, None)
                if sent.is_recalled:
                    self._parked.append(sent.call)
                else:
                    self._queue.appendleft(sent.call)
