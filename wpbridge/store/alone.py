"""Who moves a site's posts, there or back, is alone: on a server by a lock that dies with them.

The lock is a connection's. Each piece of work makes sure of it on the very connection that it is
done on, so one whose connection was lost and replaced does nothing beside who came after it. SQLite
needs none: each piece is a transaction, and there is one writer at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from sqlalchemy import Connection, text

from wpbridge.errors import Contention, StoreError
from wpbridge.store.sqlstore import SqlStore

T = TypeVar("T")

WAIT_SECONDS: Final = 5
"""The server may not have noticed yet that the last holder died."""


class Alone:
    """The right to move one site's posts."""

    def __init__(self, store: SqlStore) -> None:
        self._session = store.session
        self._is_locked = store.dialect.name == "mysql"
        name = f"CONCAT('wpbridge.posts.', MD5(CONCAT(DATABASE(), '.{store.names.actions}')))"
        mine = f"IS_USED_LOCK({name}) = CONNECTION_ID()"
        self._take = text(f"SELECT IF({mine}, 1, GET_LOCK({name}, :seconds))")
        self._holder = text(f"SELECT IS_USED_LOCK({name})")
        self._free = text(f"SELECT RELEASE_LOCK({name})")

    @contextmanager
    def held(self) -> Iterator[None]:
        """From beginning to end. Contention while another moves them."""
        self.run(lambda _connection: None)
        try:
            yield
        finally:
            self._let_go()

    def run(self, work: Callable[[Connection], T]) -> T:
        """As :meth:`Session.run`. Contention while another moves posts."""
        return self._session.run(lambda c: self._do(c, work))

    def transact(self, work: Callable[[Connection], T]) -> T:
        """As :meth:`Session.transact`. Contention while another moves posts."""
        return self._session.transact(lambda c: self._do(c, work))

    def _do(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        if self._is_locked and not self._is_taken(connection):
            holder = connection.execute(self._holder).scalar()
            raise Contention(
                f"the posts of this site are being moved already, by connection {holder} of the"
                " server: wait for its end"
            )
        return work(connection)

    def _is_taken(self, connection: Connection) -> bool:
        return bool(connection.execute(self._take, {"seconds": WAIT_SECONDS}).scalar())

    def _let_go(self) -> None:
        if self._is_locked:
            # What cannot be given back goes with its connection.
            with suppress(StoreError):
                self._session.run(lambda c: c.execute(self._free))
