"""Run work on one connection, and handle deadlocks and lost servers.

Deadlocks and lock waits are normal beside PHP. They are tried again soon, several times, with
jitter. A connection that breaks is replaced at once. When the new one fails too, it is an outage:
the session waits longer and longer between attempts, up to ``patience_seconds`` in all. Then the
work is done again from its beginning, so it must be safe to repeat. Every statement of ours is
guarded by id, claim and status, and work that only adds rows asks :attr:`Session.in_doubt`. See
docs/explain/outages.md.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias, TypeVar, cast

from wpbridge.errors import InputError, SchemaError
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.connection import Connection, DBAPIError, Engine, text
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.trouble import Trouble, code_of, trouble_of

T = TypeVar("T")
Transaction: TypeAlias = Connection
"""The connection of a transaction: what is done on it is done whole or not at all."""

BUSY_TRIES = 12
DENIED_SECONDS = 60.0
"""How long a refused login is retried if it worked before: passwords are changed in two places."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0


class CommittedBefore(Exception):
    """A witness has found that a COMMIT which got no answer was done: the work is not done again.

    :meth:`Session.transact` rolls the second try back, and returns what the first one has returned.
    """

    def __init__(self, result: object) -> None:
        super().__init__()
        self.result = result


class Transactor(Protocol):
    """Runs work on the tables: in a session of ours, or in the caller's own transaction."""

    @property
    def is_borrowed(self) -> bool:
        """Whether the transaction is the caller's, who commits it and tries it again."""
        ...

    @property
    def is_inside(self) -> bool:
        """Whether a transaction is open. Its first read decides which rows it sees."""
        ...

    @property
    def in_doubt(self) -> bool:
        """Whether the work may be done already, because a COMMIT of it was never answered."""
        ...

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, in which each statement may stand alone."""
        ...

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` whole or not at all. Raises SchemaError as :meth:`check_writable` does."""
        ...

    def check_writable(self) -> None:
        """Raise SchemaError where the tables must not be written to."""
        ...

    def sign(self) -> None:
        """Give a sign that long work goes on, for a supervisor that waits for one."""
        ...


class Session:
    """Keeps one connection in autocommit, and replaces it when it is lost."""

    is_borrowed = False

    def __init__(self, engine: Engine, dialect: Dialect, *, patience_seconds: float = 0.0) -> None:
        self._engine = engine
        self._dialect = dialect
        self._connection: Connection | None = None
        self.has_worked = False
        """Whether the database has ever done what it was asked."""
        self.in_doubt = False
        """See :class:`Transactor`."""
        self.is_inside = False
        """See :class:`Transactor`."""
        self.before_transaction: Callable[[], None] = lambda: None
        """Called before each transaction, to look for what cannot be looked for inside it."""
        self.refusal = ""
        """Why nothing may be written, as the last look at the tables found; empty if it may."""
        self.patience_seconds = patience_seconds
        self.statement_seconds = 0.0
        """Statements that take longer are given up with TookTooLong; 0: none is."""
        self.busy_tries = BUSY_TRIES
        """How often work is tried again whose rows, or whose file, others hold."""
        self.pause: Callable[[float], None] = time.sleep
        self.was_lost: Callable[[str], None] = lambda _message: None
        """Called once at the beginning of each outage, with the error."""
        self.came_back: Callable[[float], None] = lambda _seconds: None
        """Called at the end of an outage, with its length in seconds."""
        self.had_trouble: Callable[[str], None] = lambda _code: None
        """Called for each error of the database, with the code that it gave."""
        self._work: Callable[[], bool] | None = None
        """See :meth:`meanwhile`."""
        self._witness: Callable[[Connection, object], None] = _look_away
        """See :meth:`witnessed`."""

    @contextlib.contextmanager
    def witnessed(self, witness: Callable[[Connection, object], None]) -> Iterator[None]:
        """Have each transaction of this block do one thing more before its commit.

        The witness gets the connection, and what the transaction's own work has returned. What it
        writes is committed or rolled back with the rest. It may raise :class:`CommittedBefore`
        where :attr:`in_doubt` is True.
        """
        self._witness = witness
        try:
            yield
        finally:
            self._witness = _look_away

    @contextlib.contextmanager
    def meanwhile(self, work: Callable[[], bool] | None) -> Iterator[None]:
        """Have other work done while the database works on the statements of this block.

        It is called until it returns False, in each wait for an answer anew, and all of it is done
        before a pause of an outage. It must not use the session, and what it raises ends the
        statement that is waited for.
        """
        self._work = work
        if self._connection is not None:
            self._connection.do_meanwhile(work)
        try:
            yield
        finally:
            self._work = None
            if self._connection is not None:
                self._connection.do_meanwhile(None)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in autocommit."""
        return self._insist(lambda: work(self._connected()))

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction. After any error nothing of it stays."""
        self.check_writable()

        def attempt() -> T:
            connection = self._connected()
            connection.execute(text(self._dialect.begin))
            self.is_inside = True
            try:
                result = work(connection)
                self._witness(connection, result)
                self._commit(connection)
            except CommittedBefore as found:
                self._roll_back(connection)
                return cast("T", found.result)
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

    def work_off(self) -> None:
        """Do what is to be done meanwhile, all of it."""
        while self._work is not None and self._work():
            pass

    def check_writable(self) -> None:
        """See :class:`Transactor`."""
        if self.refusal:
            raise SchemaError(self.refusal)

    @property
    def address(self) -> DatabaseAddress:
        """Return the address of the database."""
        return self._engine.address

    def close(self) -> None:
        """Close the connection."""
        self._drop()

    def cut(self) -> None:
        """Break off what another thread does on the connection, which is then lost.

        A process that is about to end uses it: closing the connection would wait for that thread.
        """
        connection = self._connection
        if connection is not None and not connection.invalidated:
            self._dialect.cut(connection.raw)

    def _connected(self) -> Connection:
        if self._connection is not None and self._connection.invalidated:
            # It was lost, or an interrupt cut a statement off.
            self._drop()
        if self._connection is not None and self._dialect.has_moved(self._connection.raw):
            self._drop()
        if self._connection is None:
            self._connection = self._engine.connect()
            self._connection.do_meanwhile(self._work)
            if self.statement_seconds:
                self._dialect.limit_statements(self._connection, self.statement_seconds)
        return self._connection

    def _commit(self, connection: Connection) -> None:
        try:
            connection.execute(text("COMMIT"))
        except DBAPIError as error:
            self.in_doubt = self.in_doubt or trouble_of(error).gone
            raise

    def _roll_back(self, connection: Connection) -> None:
        """Roll back, except on a lost connection: there the server has done it."""
        try:
            if not connection.invalidated:
                connection.execute(text("ROLLBACK"))
        except DBAPIError:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection = None

    def _insist(self, attempt: Callable[[], T]) -> T:
        outage = _Outage(self)
        while True:
            is_old = self._connection is not None
            try:
                done = attempt()
            except DBAPIError as error:
                trouble = trouble_of(error, self.address)
                self.had_trouble(code_of(error))
                if trouble.gone or trouble.denied:
                    self._drop()
                outage.meet(trouble, is_old=is_old)
            except UnicodeEncodeError as error:
                # Nothing was sent. No earlier check has refused the text with a better message.
                outage.end()
                raise InputError(
                    "a text holds half a surrogate pair, or a byte that is not UTF-8"
                ) from error
            except Exception:
                # The error is the work's own: the database has answered.
                outage.end()
                raise
            else:
                self.has_worked = True
                outage.end()
                return done


class _Outage:
    """Counts the troubles that one piece of work meets until it is done. Most meet none."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._busy = 0
        self._since: float | None = None
        self._has_renewed = False

    def meet(self, trouble: Trouble, *, is_old: bool) -> None:
        """Wait as the trouble requires. Raises its error when the time to wait is used up."""
        if trouble.busy and self._busy < self._session.busy_tries:
            self._busy += 1
            most = 0.005 * 2 ** min(self._busy, 6)
            self._session.pause(_jitter(0.001, most))
        elif trouble.gone and is_old and not self._has_renewed:
            # Perhaps only the connection is lost: it was idle for too long, or its server is not
            # the primary any more.
            self._has_renewed = True
            # To connect again may take long.
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
        session.work_off()
        longest = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, waited))
        session.pause(_jitter(FIRST_PAUSE_SECONDS / 2, longest))

    def _patience(self, trouble: Trouble) -> float:
        session = self._session
        if trouble.denied:
            return min(session.patience_seconds, DENIED_SECONDS) if session.has_worked else 0.0
        return session.patience_seconds if trouble.gone or trouble.busy else 0.0

    def end(self) -> None:
        """Report the end of the outage, if there was one."""
        if self._since is not None:
            self._session.came_back(time.monotonic() - self._since)


def _jitter(least: float, most: float) -> float:
    from random import uniform  # noqa: PLC0415 - most sessions meet no trouble

    return uniform(least, most)  # noqa: S311 - no secret


def _look_away(_connection: Connection, _result: object) -> None:
    """Do nothing: nobody wants to know."""
