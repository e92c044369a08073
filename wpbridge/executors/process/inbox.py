"""The calls of the process pool: one that children die of before it begins is given up."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Call, Mailbox
from wpbridge.executors.pools import inbox
from wpbridge.executors.pools.worker import now
from wpbridge.outcome import Outcome

_UNSTARTED_TRIES: Final = 3
"""An action that children die of before they have begun it is not sent again then."""


@dataclass(slots=True)
class Sent(inbox.Sent):
    """The call that a child has; its start is dated when it is sent, and again when it begins."""

    limit: timedelta | None = None
    kill_after_seconds: float | None = None
    """How long after its start the child is killed; None: never."""
    is_started: bool = False
    """The child has said that it begins."""

    def is_over(self) -> bool:
        """Return whether it has run for so long that its process must be killed."""
        limit = self.kill_after_seconds
        return self.is_started and limit is not None and now() - self.since >= limit


class Inbox(inbox.Inbox[Sent]):
    """The inbox of the process pool, which knows how many calls may run."""

    def __init__(
        self, size: int, *, clock: Clock, mailbox: Mailbox, sent_of: Callable[[Call], Sent]
    ) -> None:
        """``size`` calls run at a time; ``sent_of`` gives one its limits and its start."""
        super().__init__(clock, mailbox, sent_of)
        self._size = size
        self._tries: dict[Call, int] = {}

    def free(self) -> int:
        """Return how many more calls would start soon."""
        with self._lock:
            return self._size - len(self._queue) - len(self._sent)

    def resize(self, size: int) -> None:
        """Have so many calls run at a time from now on."""
        with self._lock:
            self._size = size

    def begun(self, sent: Sent) -> None:
        """The child has said that it begins; its time counts from now."""
        super().begun(sent)
        sent.is_started = True

    def take_back(self, sent: Sent) -> bool:
        """Queue a call whose child died before it began; False when that happens too often."""
        call = sent.call
        with self._lock:
            self._tries[call] = self._tries.get(call, 0) + 1
            if self._tries[call] >= _UNSTARTED_TRIES:
                return False
            del self._sent[call]
            self._queue.appendleft(call)
            return True

    def report(self, sent: Sent, outcome: Outcome, output: str = "") -> None:
        """Report that a call has ended."""
        self._tries.pop(sent.call, None)
        super().report(sent, outcome, output)
