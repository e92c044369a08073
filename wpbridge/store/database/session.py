"""One connection and its troubles: transactions, deadlocks, lost servers.

Deadlocks and lock waits are part of life beside PHP: tried again soon, often, with jitter. A
connection that breaks is replaced at once; when the new one is no better it is an outage, which is
waited for, longer and longer, up to ``patience_seconds``. The work is then done again from its
beginning, so work handed in here must be safe to repeat: every statement of ours is guarded by id,
claim and status, and what only adds rows asks :attr:`Session.in_doubt`. docs/explain/outages.md.
"""

import random
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from wpbridge.errors import InputError, SchemaError
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.trouble import Trouble, lost_connection, sort_trouble

T = TypeVar("T")
Transaction: TypeAlias = Connection
"""What work is handed that is done whole or not at all."""

BUSY_TRIES = 12
DENIED_SECONDS = 60.0
"""How long a login that worked before is waited for: passwords are changed in two places."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0


class Transactor(Protocol):
    """What work on the tables is handed to: a session of ours, or the caller's own transaction."""

    @property
    def is_borrowed(self) -> bool:
        """Whether the transaction is the caller's: theirs to commit, and to try again."""
        ...

    @property
    def is_inside(self) -> bool:
        """Whether a transaction is open, whose first look decides which rows it sees."""
        ...

    @property
    def in_doubt(self) -> bool:
        """Whether the work handed in may be done already: a COMMIT of it was never answered."""
        ...

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do it; each statement may stand alone."""
        ...

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do it whole or not at all. Raises SchemaError as :meth:`check_writable` does."""
        ...

    def check_writable(self) -> None:
        """Raises SchemaError where the tables are in no state to be written to."""
        ...

    def sign(self) -> None:
        """Give a sign that long work goes on, for a supervisor that waits for one."""
        ...


class Session:
    """A connection in autocommit that can be lost and found again."""

    is_borrowed = False

    def __init__(self, engine: Engine, dialect: Dialect, *, patience_seconds: float = 0.0) -> None:
        self._engine = engine
        self._dialect = dialect
        self._connection: Connection | None = None
        self.has_worked = False
        """Whether the database ever did what it was asked."""
        self.in_doubt = False
        """See :class:`Transactor`."""
        self.is_inside = False
        """See :class:`Transactor`."""
        self.before_transaction: Callable[[], None] = lambda: None
        """What is looked for before each transaction, since within it would be too late."""
        self.refusal = ""
        """Why nothing may be written, as the last look at the tables found; empty if it may."""
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
        self.check_writable()

        def attempt() -> T:
            connection = self._connected()
            connection.execute(text(self._dialect.begin))
            self.is_inside = True
            try:
                result = work(connection)
                self._commit(connection)
            except BaseException:
                self._roll_back(connection)
                raise
            finally:
                self.is_inside = False
            return result

        self.before_transaction()
        try:
            return self._insist(attempt)
        finally:
            self.in_doubt = False

    def sign(self) -> None:
        """See :class:`Transactor`."""
        self.pause(0.0)

    def check_writable(self) -> None:
        """See :class:`Transactor`."""
        if self.refusal:
            raise SchemaError(self.refusal)

    @property
    def address(self) -> URL:
        """Where the database is."""
        return self._engine.url

    def close(self) -> None:
        """Give the connection back."""
        self._drop()
        self._engine.dispose()

    def cut(self) -> None:
        """Break off what another thread is doing on the connection, which is lost with it.

        For a process that is to end: to close a connection one would wait for that thread.
        """
        connection = self._connection
        if connection is not None and not connection.invalidated:
            self._dialect.cut(connection.connection.dbapi_connection)

    def _connected(self) -> Connection:
        if self._connection is not None and self._connection.invalidated:
            # An interrupt cut a statement off: SQLAlchemy has given it up, and wants to be told.
            self._drop()
        if self._connection is not None and self._dialect.has_moved(
            self._connection.connection.dbapi_connection
        ):
            self._drop()
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _commit(self, connection: Connection) -> None:
        try:
            connection.execute(text("COMMIT"))
        except DBAPIError as error:
            is_gone = error.connection_invalidated or sort_trouble(error.orig or error).gone
            self.in_doubt = self.in_doubt or is_gone
            raise

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
        outage = _Outage(self)
        while True:
            is_old = self._connection is not None
            try:
                done = attempt()
            except DBAPIError as error:
                trouble = sort_trouble(error.orig or error)
                if error.connection_invalidated and not trouble.gone:
                    trouble = lost_connection(error.orig or error)
                if trouble.gone or trouble.denied:
                    self._drop()
                outage.meet(trouble, is_old=is_old)
            except UnicodeEncodeError as error:
                # Nothing was sent. Whoever could answer better has not looked.
                outage.end()
                raise InputError(
                    "a text holds half a surrogate pair, or a byte that is not UTF-8"
                ) from error
            except Exception:
                # The work's own: the database has answered.
                outage.end()
                raise
            else:
                self.has_worked = True
                outage.end()
                return done


class _Outage:
    """What one piece of work met until it was done; most meet nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._busy = 0
        self._since: float | None = None
        self._has_renewed = False

    def meet(self, trouble: Trouble, *, is_old: bool) -> None:
        """Wait as is fit for it; raises its error when that is not to be waited for any more."""
        if trouble.busy and self._busy < BUSY_TRIES:
            self._busy += 1
            most = 0.005 * 2 ** min(self._busy, 6)
            self._session.pause(random.uniform(0.001, most))  # noqa: S311 - jitter
        elif trouble.gone and is_old and not self._has_renewed:
            # Only the connection, perhaps: idle for too long, or to a server that is not the
            # primary any more.
            self._has_renewed = True
            # The new one may take its time.
            self._session.sign()
        else:
            self._wait(trouble)

    def _wait(self, trouble: Trouble) -> None:
        session, now = self._session, time.monotonic()
        waited = 0.0 if self._since is None else now - self._since
        if waited >= self._patience(trouble):
            if not (trouble.gone or trouble.denied or trouble.busy):
                self.end()
            raise trouble.error from None
        if self._since is None:
            self._since = now
            session.was_lost(str(trouble.error))
        longest = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, waited))
        session.pause(random.uniform(FIRST_PAUSE_SECONDS / 2, longest))  # noqa: S311 - jitter

    def _patience(self, trouble: Trouble) -> float:
        session = self._session
        if trouble.denied:
            return min(session.patience_seconds, DENIED_SECONDS) if session.has_worked else 0.0
        return session.patience_seconds if trouble.gone or trouble.busy else 0.0

    def end(self) -> None:
        """It is done."""
        if self._since is not None:
            self._session.came_back(time.monotonic() - self._since)
