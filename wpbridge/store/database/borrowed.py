"""Work in the caller's own transaction. What is written becomes true when the caller commits.

The caller gives an SQLAlchemy ``Connection`` or ORM ``Session``, or a DB-API connection of PyMySQL,
mysqlclient or sqlite3 (Django: ``django.db.connection.connection``). Nothing here commits, rolls
back or closes. Nothing is tried again either: a deadlock undoes the whole transaction, and only its
owner knows what else was in it.
"""

import contextlib
import inspect
import sqlite3
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from wpbridge.errors import Contention, InputError, SchemaError, WpbridgeError
from wpbridge.store.database.dialect import WORDPRESS_REMOVES
from wpbridge.store.database.trouble import sort_trouble

T = TypeVar("T")

_DRIVERS: Final = {
    "sqlite3": ("sqlite", "sqlite://"),
    "pymysql": ("mysql", "mysql+pymysql://"),
    "MySQLdb": ("mysql", "mysql+mysqldb://"),
}
"""The kind of database and SQLAlchemy's URL for it, by the package of a connection's class."""


class Borrowed:
    """See :class:`wpbridge.store.database.session.Transactor`."""

    is_borrowed = True
    is_inside = True
    in_doubt = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.refusal = ""
        """See :class:`wpbridge.store.database.session.Session`."""

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the caller's transaction. Raises Contention after a deadlock."""
        try:
            return work(self._connection)
        except DBAPIError as error:
            trouble = sort_trouble(error.orig or error)
            if trouble.busy:
                raise Contention(
                    "the transaction was given up for another one: begin it again"
                ) from error
            raise trouble.error from error

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the caller's transaction, which is open already."""
        self.check_writable()
        return self.run(work)

    def sign(self) -> None:
        """Do nothing: no supervisor waits for a sign."""

    def check_writable(self) -> None:
        """See :class:`wpbridge.store.database.session.Transactor`."""
        if self.refusal:
            raise SchemaError(self.refusal)


@contextlib.contextmanager
def borrow(connection: Any, driver: str) -> Iterator[Borrowed]:
    """Yield the caller's connection, and set its session up as WordPress does meanwhile.

    Args:
        connection: see the module.
        driver: ``mysql`` or ``sqlite``, the kind of the queue's own database.

    Raises:
        InputError: it is no connection, or one to another kind of database.
        StoreUnavailable: it is closed, or was lost.
    """
    with _sqlalchemy(connection, driver) as inner:
        _check_kind(inner.dialect.name.replace("mariadb", "mysql"), driver)
        borrowed = Borrowed(inner)
        with _wordpress_modes(borrowed) if driver == "mysql" else contextlib.nullcontext():
            yield borrowed


@contextlib.contextmanager
def _wordpress_modes(borrowed: Borrowed) -> Iterator[None]:
    """Remove the SQL modes that WordPress removes, and restore them at the end.

    A strict session would refuse zero dates, which are part of the rows.
    """
    ask, change = text("SELECT @@SESSION.sql_mode"), text("SET SESSION sql_mode = :modes")
    before = str(borrowed.run(lambda c: c.execute(ask).scalar()) or "")
    kept = ",".join(mode for mode in before.split(",") if mode not in WORDPRESS_REMOVES)
    borrowed.run(lambda c: c.execute(change, {"modes": kept}))
    try:
        yield
    finally:
        # A connection that broke meanwhile has no session to restore, and its error matters more.
        with contextlib.suppress(WpbridgeError, SQLAlchemyError):
            borrowed.run(lambda c: c.execute(change, {"modes": before}))


@contextlib.contextmanager
def _sqlalchemy(connection: Any, driver: str) -> Iterator[Connection]:
    found = connection
    is_session = callable(getattr(connection, "get_bind", None))
    if is_session and not inspect.iscoroutinefunction(connection.connection):
        found = connection.connection()
    if isinstance(found, Connection):
        yield found
        return
    # A connection from an SQLAlchemy pool wraps the driver's own.
    raw = getattr(connection, "dbapi_connection", None) or connection
    package = _package_of(raw)
    if package is None:
        raise InputError(
            f"{type(connection).__name__} is no connection that can be used: give an SQLAlchemy"
            " Connection or Session, or a connection of PyMySQL, mysqlclient or sqlite3"
        )
    kind, url = _DRIVERS[package]
    _check_kind(kind, driver)
    engine = create_engine(
        url, creator=lambda: _Kept(raw, package), poolclass=StaticPool, pool_reset_on_return=None
    )
    try:
        with _connected(engine) as inner:
            yield inner
    finally:
        engine.dispose()


def _package_of(connection: Any) -> str | None:
    """Return the driver's package, also for a class that derives from or wraps the driver's own."""
    if isinstance(connection, type):
        return None
    packages = (kind.__module__.partition(".")[0] for kind in connection.__class__.__mro__)
    return next((package for package in packages if package in _DRIVERS), None)


def _check_kind(kind: str, driver: str) -> None:
    if kind != driver:
        raise InputError(f"the connection is to {kind}, the queue is on {driver}")


def _connected(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except DBAPIError as error:
        raise sort_trouble(error.orig or error).error from error
    except sqlite3.Error as error:
        # SQLAlchemy prepares the connection before it translates errors.
        raise sort_trouble(error).error from error


class _Kept:
    """Wraps a DB-API connection so that only its owner can end the transaction."""

    def __init__(self, connection: Any, package: str) -> None:
        self._connection = connection
        self._package = package

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        """Return a cursor whose rows are tuples, whatever row type the owner has set."""
        if self._package == "sqlite3":
            cursor = self._connection.cursor()
            cursor.row_factory = None
            return cursor
        return self._connection.cursor(sys.modules[f"{self._package}.cursors"].Cursor)

    def commit(self) -> None:
        """Do nothing: only the owner commits."""

    def rollback(self) -> None:
        """Do nothing: only the owner rolls back."""

    def close(self) -> None:
        """Do nothing: only the owner closes."""
