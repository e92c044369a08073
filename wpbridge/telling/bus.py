"""The bus: it hands each event to those who subscribed to its kind, and raises nothing."""

from collections.abc import Iterable

from wpbridge.events import Event, Subscriber
from wpbridge.telling.log import tell


class Bus:
    """Tells events to those who subscribed to their kind or to one it belongs to."""

    def __init__(self, site: str = "") -> None:
        self.site = site
        self._subscribers: list[tuple[type[Event], Subscriber]] = []

    def subscribe(self, kind: type[Event], subscriber: Subscriber) -> None:
        """Have it called for each event of a kind; :class:`Event` for all."""
        self._subscribers.append((kind, subscriber))

    def extend(self, subscribers: Iterable[tuple[type[Event], Subscriber]]) -> None:
        """Several at once."""
        self._subscribers += subscribers

    def tell(self, event: Event) -> None:
        """Call everybody whom it concerns; raises nothing."""
        for kind, subscriber in self._subscribers:
            if isinstance(event, kind):
                try:
                    subscriber(event)
                except BaseException:  # noqa: BLE001 - it must not stop the loop
                    _tell_failure(type(event).__name__)


def _tell_failure(kind: str) -> None:
    """Log that a subscriber raised; its error may not even be printable."""
    try:
        tell("event.subscriber_failed", kind=kind, exc_info=True)
    except BaseException:  # noqa: BLE001 - a subscriber's own class may do anything
        tell("event.subscriber_failed", kind=kind)
