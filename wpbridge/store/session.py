"""One connection and its troubles: transactions, deadlocks, lost servers.

Deadlocks and lock waits are part of life beside PHP: tried again soon, often, with jitter. A
server that is gone is waited for, longer and longer, up to ``patience_seconds``; the work is then
done again from its beginning, so work handed in here must be safe to repeat: every statement of
ours is guarded by id, claim and status.
"""

import random
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from wpbridge.errors import Contention
from wpbridge.store.dialect import Dialect, Trouble, sort_trouble

T = TypeVar("T")

BUSY_TRIES = 12
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0


class Transactor(Protocol):
    """What work on the tables is handed to: a session of ours, or the caller's own transaction."""

    @property
    def is_borrowed(self) -> bool:
        """Whether the transaction is the caller's: theirs to commit, and to try again."""
        ...

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do it; each statement may stand alone."""
        ...

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do it whole or not at all."""
        ...


class Session:
    """A connection in autocommit that can be lost and found again."""

    is_borrowed = False

    def __init__(self, engine: Engine, dialect: Dialect, *, patience_seconds: float = 0.0) -> None:
        self._engine = engine
        self._dialect = dialect
        self._connection: Connection | None = None
        self.patience_seconds = patience_seconds
        self.pause: Callable[[float], None] = time.sleep
        self.was_lost: Callable[[str], None] = lambda _message: None
        """Told once for each outage."""
        self.came_back: Callable[[float], None] = lambda _seconds: None
        """Told at its end, and how long it was."""

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in autocommit."""
        return self._insist(lambda: work(self._connected()))

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in one transaction; on any error nothing of it stays."""

        def attempt() -> T:
            connection = self._connected()
            connection.execute(text(self._dialect.begin))
            try:
                result = work(connection)
                connection.execute(text("COMMIT"))
            except BaseException:
                self._roll_back(connection)
                raise
            return result

        return self._insist(attempt)

    @property
    def address(self) -> URL:
        """Where the database is."""
        return self._engine.url

    def close(self) -> None:
        """Give the connection back."""
        self._drop()
        self._engine.dispose()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _roll_back(self, connection: Connection) -> None:
        """The server rolls back what a lost connection had begun."""
        try:
            if not connection.invalidated:
                connection.execute(text("ROLLBACK"))
        except SQLAlchemyError:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _insist(self, attempt: Callable[[], T]) -> T:
        busy = 0
        lost_since: float | None = None
        while True:
            try:
                done = attempt()
            except DBAPIError as error:
                trouble = sort_trouble(error.orig or error)
                if trouble.gone or error.connection_invalidated:
                    self._drop()
                    lost_since = self._wait_for_server(trouble, lost_since)
                elif trouble.busy:
                    busy = self._wait_for_locks(busy)
                else:
                    raise trouble.error from None
            else:
                if lost_since is not None:
                    self.came_back(time.monotonic() - lost_since)
                return done

    def _wait_for_locks(self, tries: int) -> int:
        if tries >= BUSY_TRIES:
            raise Contention("locks were not to be had: other runners hold the rows") from None
        self.pause(random.uniform(0.001, 0.005 * 2 ** min(tries, 6)))  # noqa: S311 - jitter
        return tries + 1

    def _wait_for_server(self, trouble: Trouble, since: float | None) -> float:
        now = time.monotonic()
        if since is None:
            since = now
            if self.patience_seconds:
                self.was_lost(str(trouble.error))
        waited = now - since
        if waited >= self.patience_seconds:
            raise trouble.error from None
        longest = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, waited))
        self.pause(random.uniform(FIRST_PAUSE_SECONDS / 2, longest))  # noqa: S311 - jitter
        return since
