"""What all methods of a queue share: the store, the clock, and whose turn it is."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from wpbridge.action import ActionId
from wpbridge.clock import Clock, SystemClock
from wpbridge.errors import ActionNotFound, ConfigError, StoreError
from wpbridge.queue.enqueue import Moment, moment_of
from wpbridge.store.opened import OpenStore
from wpbridge.store.queueing.adding import UniqueBy
from wpbridge.store.records import Record

if TYPE_CHECKING:
    from wpbridge.queue.through import BrokerQueue

T = TypeVar("T")
_MOST_NAMED: Final = 10
"""Missing ids that an error names."""


class QueueConnection:
    """One database connection, which the threads that call a queue use in turns."""

    def __init__(
        self,
        store: OpenStore | Callable[[], OpenStore],
        *,
        unique_by: UniqueBy = "auto",
        clock: Clock | None = None,
        close_store: bool = True,
        lock: "threading.RLock | None" = None,
        before_adding: Callable[[], None] | None = None,
        open_through: "Callable[[], BrokerQueue] | None" = None,
    ) -> None:
        """Work on a store that is open already, or that the function opens at first use.

        ``before_adding`` is called each time before something is added, and ``open_through`` once,
        when something is enqueued through the broker.
        """
        self._opened = None if callable(store) else store
        self._open = store if callable(store) else None
        self._unique_by: UniqueBy = unique_by
        self._clock = clock or SystemClock()
        self._closes = close_store
        self._lock = lock or threading.RLock()
        self._wake_name = ""
        self._before_adding = before_adding
        self._open_through = open_through
        self._opened_through: BrokerQueue | None = None
        self._left: Mapping[ActionId, str] = {}
        """The actions of the page in hand that a change leaves as they are, each with the reason.
        Who notes the change in its transaction can read it then."""

    @property
    def store(self) -> OpenStore:
        """The store below, opened at first use. Only one thread may use it at a time."""
        if self._opened is None:
            assert self._open is not None  # noqa: S101 - one of both is there
            self._opened = self._open()
        return self._opened

    def wake(self) -> int:
        """Let idle daemons of this host and user look at once. Returns how many were told.

        The queue does this after each commit of its own that leaves something due. After a
        transaction of the caller's the caller does it; without it the action starts when the
        daemon looks next. It never raises, and waits for nobody.
        """
        from wpbridge.queue import wake  # noqa: PLC0415 - who only looks wakes nobody

        with contextlib.suppress(StoreError):
            self._wake_name = self._wake_name or wake.wake_name(self.store)
            return wake.poke(self._wake_name, wake.folders())
        return 0

    def _through(self) -> "BrokerQueue":
        """Return the way to the broker. Raises ConfigError where the settings have none."""
        with self._lock:
            if self._opened_through is None:
                if self._open_through is None:
                    raise ConfigError(
                        "this queue has no message broker: set [celery] broker, or"
                        " WPBRIDGE_CELERY_BROKER"
                    )
                self._opened_through = self._open_through()
            return self._opened_through

    def _now(self) -> datetime:
        return self._clock.now()

    def _moment(self, told: Moment) -> datetime:
        return moment_of(told, self._now())

    @contextlib.contextmanager
    def _turn(self) -> Iterator[OpenStore]:
        """Wait until no other thread uses the connection, and keep it meanwhile."""
        with self._lock:
            yield self.store

    def _read(self, work: Callable[[OpenStore], T]) -> T:
        with self._turn() as parts:
            return work(parts)

    def _known(self, ids: Sequence[int], inner: OpenStore | None = None) -> dict[ActionId, Record]:
        """Return the rows of ids. ActionNotFound names those that are not there.

        ``inner`` looks from inside the caller's transaction, which sees its own new rows but
        perhaps not the newest of others.
        """
        found = {} if inner is None else inner.reading.existing(ids)
        if rest := [i for i in ids if i not in found]:
            found |= self._read(lambda parts: parts.reading.existing(rest))
        missing = [str(i) for i in dict.fromkeys(ids) if i not in found]
        if missing:
            some = ", ".join(missing[:_MOST_NAMED]) + (", …" if len(missing) > _MOST_NAMED else "")
            raise ActionNotFound(f"there is no action {some}")
        return found
