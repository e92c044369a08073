"""Who moves a site's posts, there or back, is alone: on a server by a lock that dies with them.

The lock is a connection's. Each piece of work makes sure of it on the very connection that it is
done on, so one whose connection was lost and replaced does nothing beside who came after it. SQLite
needs none: each piece is a transaction, and there is one writer at a time.

A cluster that refuses such locks is treated as SQLite is: each piece is a transaction that first
counts up one row of our own, so that two pieces never go on beside each other, not even on two
nodes, where one of both is then undone and done again. Pieces that are no transactions (the posts'
tables are MyISAM) are refused there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from wpbridge.errors import Contention, StoreError
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.named_lock import NamedLock
from wpbridge.store.opened import OpenStore

T = TypeVar("T")

WAIT_SECONDS: Final = 5
"""The server may not have noticed yet that the last holder died."""


class Alone:
    """The right to move one site's posts, which only one process has."""

    def __init__(self, store: OpenStore) -> None:
        self._store = store
        self._session = store.session
        self._is_locked = not store.dialect.one_writer
        self._lock = NamedLock("posts", store.names.actions)
        self._count_up = text(
            f"INSERT INTO {store.names.site} (name, value) VALUES ('posts_moves', '1')"
            " ON DUPLICATE KEY UPDATE value = value + 1"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold it from beginning to end. Contention while another process moves posts."""
        if self._is_locked:
            self._session.run(self._make_sure)
        if self._lock.is_refused:
            self._store.own.ensure(self._store.names.site)
        try:
            yield
        finally:
            self._let_go()

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do what :meth:`Session.run` does. Contention while another process moves posts.

        StoreError where the server keeps no named locks: nothing would keep another one out.
        """

        def do(connection: Connection) -> T:
            if self._is_locked and not self._make_sure(connection):
                raise StoreError(
                    "this server refuses GET_LOCK, as clusters do, and the posts' tables have no"
                    " transactions (MyISAM): convert them with ALTER TABLE … ENGINE=InnoDB first"
                )
            return work(connection)

        return self._session.run(do)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do what :meth:`Session.transact` does. Contention while another process moves posts."""

        def do(connection: Connection) -> T:
            if self._is_locked and not self._make_sure(connection):
                connection.execute(self._count_up)
            return work(connection)

        return self._session.transact(do)

    def _make_sure(self, connection: Connection) -> bool:
        """Take the lock on this connection. Returns False where the server keeps no such locks."""
        taken = self._lock.take(connection, seconds=WAIT_SECONDS)
        if taken is False:
            raise Contention(
                "the posts of this site are being moved already, by connection"
                f" {self._lock.holder(connection)} of the server: wait for its end"
            )
        return taken is True

    def _let_go(self) -> None:
        if self._is_locked:
            # What cannot be given back goes with its connection.
            with suppress(StoreError):
                self._session.run(self._lock.free)
