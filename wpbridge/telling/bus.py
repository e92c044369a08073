"""Passes each event to the functions that have subscribed to its kind."""

from collections.abc import Iterable

from wpbridge.events import Event, Subscriber
from wpbridge.telling.log import tell


class Bus:
    """The subscribers of one site. A subscriber to a class also gets events of its subclasses."""

    def __init__(self, site: str = "") -> None:
        self.site = site
        self._subscribers: list[tuple[type[Event], Subscriber]] = []

    def subscribe(self, kind: type[Event], subscriber: Subscriber) -> None:
        """Have a function called for each event of a kind. :class:`Event` stands for all kinds."""
        self._subscribers.append((kind, subscriber))

    def extend(self, subscribers: Iterable[tuple[type[Event], Subscriber]]) -> None:
        """Add several subscribers at once."""
        self._subscribers += subscribers

    def tell(self, event: Event) -> None:
        """Call the subscribers of an event. What they raise is logged, and goes no further."""
        for kind, subscriber in self._subscribers:
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
