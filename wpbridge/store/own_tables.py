"""Our own tables, beside the plugin's: which are there, made on first use, removed as a whole.

The plugin's tables never change shape, so what they have no column for lives here:
docs/explain/own-tables.md. A feature whose table is missing was never used on this site.
"""

from collections.abc import Iterable
from functools import partial

from sqlalchemy import Connection, text

from wpbridge.errors import StoreError, StoreUnavailable
from wpbridge.store.dialect import Dialect
from wpbridge.store.session import Transactor
from wpbridge.store.tables import TableNames


class OwnTables:
    """wpbridge's tables of one site."""

    def __init__(self, session: Transactor, names: TableNames, dialect: Dialect) -> None:
        self._session = session
        self._names = names
        self._dialect = dialect
        self._there: frozenset[str] = frozenset()
        self._indexes = dialect.own_indexes(names)
        """Those that nobody has looked after yet."""

    def look(self) -> frozenset[str]:
        """Those that exist, as :class:`TableNames` calls them; remembered for :meth:`has`."""
        found = {name.lower() for name in self._session.run(self._dialect.tables)}
        # A server may keep names in lower case whatever the prefix is written in.
        self._there = frozenset(name for name in self._names.own if name.lower() in found)
        return self._there

    def look_again(self) -> None:
        """For who keeps a store open: another process may have made what was missing."""
        if not self._there.issuperset(self._names.own):
            self.look()

    def has(self, table: str) -> bool:
        """Whether it was there when somebody last looked."""
        return table in self._there

    def ensure(self, *tables: str) -> None:
        """Make those of the tables that are missing, with none named all, and indexes they lack.

        Looked for first: who may write the plugin's tables need not be allowed to create any.
        Raises StoreError with what to do when they cannot be made.
        """
        wanted = tables or self._names.own
        if all(self.has(table) for table in wanted):
            self._index(wanted)
            return
        missing = [table for table in wanted if table not in self.look()]
        ddl = self._dialect.own_ddl(self._names)

        def make(connection: Connection) -> None:
            for table in missing:
                connection.execute(text(ddl[table]))

        try:
            self._session.run(make)
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise StoreError(
                f"{error}; {', '.join(missing)} must be made once: run `wpbridge init` with an"
                " account that may create tables"
            ) from error
        self._there |= frozenset(missing)
        self._index(wanted)

    def deleting(self, table: str) -> bool:
        """:meth:`has`, for who is about to delete from it by the ids of actions."""
        if self.has(table):
            self._index((table,))
        return self.has(table)

    def _index(self, tables: Iterable[str]) -> None:
        for table in tables:
            if table in self._indexes:
                statement = text(self._indexes[table])
                self._session.run(partial(Connection.execute, statement=statement))
                del self._indexes[table]

    def drop(self) -> None:
        """Remove all of ours."""

        def drop(connection: Connection) -> None:
            for table in self._names.own:
                connection.execute(text(f"DROP TABLE IF EXISTS {table}"))

        self._session.run(drop)
        self._there = frozenset()
        self._indexes = self._dialect.own_indexes(self._names)
