"""Passes each event to the functions that have subscribed to its kind."""

import threading
from collections.abc import Callable, Iterable

from wpbridge.events import Event, Subscriber
from wpbridge.telling.log import tell


class Bus:
    """The subscribers of one site. A subscriber to a class also gets events of its subclasses."""

    def __init__(self, site: str = "") -> None:
        self.site = site
        self._subscribers: list[tuple[type[Event], Subscriber]] = []
        self._wanted: dict[type[Event], bool] = {}
        """Whether a subscriber wants events of a kind, as far as somebody has asked."""
        self._lock = threading.RLock()
        """Subscribers are called by one thread at a time."""
        self._log: tuple[Subscriber, Callable[[type[Event]], bool]] | None = None

    def subscribe(self, kind: type[Event], subscriber: Subscriber) -> None:
        """Have a function called for each event of a kind. :class:`Event` stands for all kinds."""
        self.extend([(kind, subscriber)])

    def write_to(self, log: Subscriber, is_heard: Callable[[type[Event]], bool]) -> None:
        """Have events of all kinds written to a log, which says which kinds it hears just now."""
        self._log = (log, is_heard)

    def extend(self, subscribers: Iterable[tuple[type[Event], Subscriber]]) -> None:
        """Add several subscribers at once."""
        self._subscribers += subscribers
        self._wanted = {}

    def is_heard(self, kind: type[Event]) -> bool:
        """Return whether somebody would hear an event of the kind. Else nobody needs to make it."""
        if self._log is not None and self._log[1](kind):
            return True
        is_wanted = self._wanted.get(kind)
        if is_wanted is None:
            is_wanted = any(issubclass(kind, wanted) for wanted, _ in self._subscribers)
            self._wanted[kind] = is_wanted
        return is_wanted

    def tell(self, event: Event) -> None:
        """Call the subscribers of an event. What they raise is logged, and goes no further."""
        subscribers = self._subscribers
        if self._log is not None and self._log[1](type(event)):
            subscribers = [(Event, self._log[0]), *subscribers]
        with self._lock:
            for kind, subscriber in subscribers:
                if isinstance(event, kind):
                    try:
                        subscriber(event)
                    except BaseException:  # noqa: BLE001 - it must not stop the loop
                        _log_failure(type(event).__name__)


def _log_failure(kind: str) -> None:
    """Log that a subscriber raised an error, which may not even be printable."""
    try:
        tell("event.subscriber_failed", kind=kind, exc_info=True)
    except BaseException:  # noqa: BLE001 - a subscriber's own class may do anything
        tell("event.subscriber_failed", kind=kind)
