"""The caller's own transaction: what is written in it is true when they commit, and not before.

Takes an SQLAlchemy ``Connection`` or ORM ``Session``, or a DB-API connection of PyMySQL,
mysqlclient or sqlite3 (Django: ``django.db.connection.connection``). Nothing here commits, rolls
back or closes, and nothing is tried again: after a deadlock the whole transaction is gone, and
only its owner knows what else was in it.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from wpbridge.errors import Contention, InputError
from wpbridge.store.dialect import WORDPRESS_REMOVES, sort_trouble

T = TypeVar("T")


class Borrowed:
    """See :class:`wpbridge.store.session.Transactor`."""

    is_borrowed = True

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """In the caller's transaction."""
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
        """The same: the transaction is there already."""
        return self.run(work)


@contextlib.contextmanager
def borrow(connection: Any, driver: str) -> Iterator[Borrowed]:
    """The caller's connection, with a session set up as WordPress's while it is ours.

    Args:
        connection: see the module.
        driver: ``mysql`` or ``sqlite``, as the queue's own database.

    Raises InputError when it is no connection, or one to another kind of database.
    """
    inner = _sqlalchemy(connection, driver)
    if inner.dialect.name.replace("mariadb", "mysql") != driver:
        raise InputError(f"the connection is to {inner.dialect.name}, the queue is on {driver}")
    with _wordpress_modes(inner) if driver == "mysql" else contextlib.nullcontext():
        yield Borrowed(inner)


@contextlib.contextmanager
def _wordpress_modes(connection: Connection) -> Iterator[None]:
    """Zero dates are part of the rows; a strict session refuses them."""
    before = str(connection.execute(text("SELECT @@SESSION.sql_mode")).scalar() or "")
    kept = ",".join(mode for mode in before.split(",") if mode not in WORDPRESS_REMOVES)
    change = text("SET SESSION sql_mode = :modes")
    connection.execute(change, {"modes": kept})
    try:
        yield
    finally:
        # A connection that broke meanwhile has no session to mend, and its error goes first.
        with contextlib.suppress(DBAPIError):
            connection.execute(change, {"modes": before})


def _sqlalchemy(connection: Any, driver: str) -> Connection:
    if isinstance(connection, Connection):
        return connection
    if callable(getattr(connection, "get_bind", None)):
        found = connection.connection()
        if isinstance(found, Connection):
            return found
    if not callable(getattr(connection, "cursor", None)):
        raise InputError(
            f"{type(connection).__name__} is no connection: give an SQLAlchemy Connection or"
            " Session, or a DB-API connection"
        )
    url = "sqlite://" if driver == "sqlite" else "mysql+pymysql://"
    engine = create_engine(
        url, creator=lambda: _Kept(connection), poolclass=StaticPool, pool_reset_on_return=None
    )
    return engine.connect()


class _Kept:
    """A DB-API connection whose transaction nobody but its owner may end."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        """Not ours to do."""

    def rollback(self) -> None:
        """Not ours to do."""

    def close(self) -> None:
        """Not ours to do."""
