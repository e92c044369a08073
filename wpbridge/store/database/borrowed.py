"""Work in the caller's own transaction. What is written becomes true when the caller commits.

The caller gives an SQLAlchemy ``Connection`` or ORM ``Session``, or a DB-API connection of PyMySQL,
mysqlclient or sqlite3 (Django: ``django.db.connection.connection``). Nothing here commits, rolls
back or closes. Nothing is tried again either: a deadlock undoes the whole transaction, and only its
owner knows what else was in it.
"""

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from wpbridge.errors import Contention, InputError, SchemaError, WpbridgeError
from wpbridge.store.database import mysql_engine, sqlite
from wpbridge.store.database.connection import Connection, DBAPIError, Driver, text
from wpbridge.store.database.dialect import WORDPRESS_REMOVES
from wpbridge.store.database.trouble import trouble_of

T = TypeVar("T")

_KINDS: Final = {"sqlite3": "sqlite", "pymysql": "mysql", "MySQLdb": "mysql"}
"""The kind of database by the package of a connection's class."""


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
            trouble = trouble_of(error)
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
    borrowed = Borrowed(_ours(connection, driver))
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
        with contextlib.suppress(WpbridgeError):
            borrowed.run(lambda c: c.execute(change, {"modes": before}))


def _ours(connection: Any, kind: str) -> Connection:
    """Return a connection of ours that works on the caller's. Raises as :func:`borrow` does."""
    if isinstance(connection, Connection):
        return connection
    found, lost = connection, _do_nothing
    is_session = callable(getattr(connection, "get_bind", None))
    if is_session and not inspect.iscoroutinefunction(connection.connection):
        found = connection.connection()
    sqlalchemy = sys.modules.get("sqlalchemy")
    if sqlalchemy is not None and isinstance(found, sqlalchemy.Connection):
        _check_kind(found.dialect.name.replace("mariadb", "mysql"), kind)
        if not found.in_transaction():
            # As any statement on it does. Without this, its owner's commit would do nothing.
            found.begin()
        found, lost = found.connection, found.invalidate
    # A connection from an SQLAlchemy pool wraps the driver's own.
    raw = getattr(found, "dbapi_connection", None) or found
    package = _package_of(raw)
    if package is None:
        raise InputError(
            f"{type(raw).__name__} is no connection that can be used: give an SQLAlchemy"
            " Connection or Session, or a connection, of PyMySQL, mysqlclient or sqlite3"
        )
    _check_kind(_KINDS[package], kind)
    kept = _Kept(raw, package, lost)
    if kind == "sqlite":
        return Connection(kept, sqlite.DRIVER)
    errors = sys.modules[package].Error
    return Connection(kept, Driver(error=errors, mark="%s", is_lost=mysql_engine.is_lost))


def _do_nothing() -> None:
    """Leave a driver's own connection to its owner, who sees for himself that it is lost."""


def _package_of(connection: Any) -> str | None:
    """Return the driver's package, also for a class that derives from or wraps the driver's own."""
    if isinstance(connection, type):
        return None
    packages = (kind.__module__.partition(".")[0] for kind in connection.__class__.__mro__)
    return next((package for package in packages if package in _KINDS), None)


def _check_kind(kind: str, driver: str) -> None:
    if kind != driver:
        raise InputError(f"the connection is to {kind}, the queue is on {driver}")


class _Kept:
    """Wraps a DB-API connection so that only its owner can close it."""

    def __init__(self, connection: Any, package: str, lost: Callable[[], None]) -> None:
        self._connection = connection
        self._package = package
        self._lost = lost

    def cursor(self) -> Any:
        """Return a cursor whose rows are tuples, whatever row type the owner has set."""
        if self._package == "sqlite3":
            cursor = self._connection.cursor()
            cursor.row_factory = None
            return cursor
        return self._connection.cursor(sys.modules[f"{self._package}.cursors"].Cursor)

    def close(self) -> None:
        """Leave it open, since only the owner closes it, and tell him that it is lost."""
        self._lost()
