"""Ask about the server and the tables' definitions. No row of the queue is read.

The answer is empty where SQLite has no such thing.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from wpbridge.store.database.connection import text
from wpbridge.store.schema.found import TableSize
from wpbridge.store.schema.ids import lost
from wpbridge.store.structure.tables import Connected, Tables


class Server:
    """Answers questions about one site's server and tables."""

    def __init__(self, way: Connected | Tables) -> None:
        """Keep the way. The first question connects."""
        self._session = way.session
        self._names = way.names
        self.dialect = way.dialect
        """The dialect of the database."""

    @property
    def is_file(self) -> bool:
        """Whether the database is a file of SQLite, and not a server."""
        return self.dialect.is_file

    def variables(self, *names: str, scope: str = "SESSION") -> dict[str, str]:
        """Return server variables by name, in lower case. Unknown ones are left out."""
        return self._session.run(partial(self.dialect.variables, names=names, scope=scope))

    def now(self) -> datetime | None:
        """Return the server's time, to the second; None on SQLite, which has no own clock."""
        return self._session.run(self.dialect.clock)

    def journal_mode(self) -> str:
        """Return SQLite's journal mode, such as ``wal``; empty on MySQL."""
        return self._session.run(self.dialect.journal_mode)

    def sizes(self) -> dict[str, TableSize]:
        """Return the sizes of the plugin's tables and ours by name; empty on SQLite."""
        return self._session.run(lambda c: self.dialect.sizes(c, self._names.queue))

    def file_bytes(self) -> int:
        """Return the size of SQLite's file; 0 on MySQL."""
        return self._session.run(self.dialect.file_bytes)

    def indexes(self) -> dict[str, frozenset[tuple[str, ...]]]:
        """Return the columns of each index of the plugin's tables, by table name."""
        dialect = self.dialect
        return self._session.run(
            lambda c: {
                table: frozenset(dialect.indexes(c, table).values()) for table in self._names.plugin
            }
        )

    def lost_keys(self) -> list[str]:
        """Say which tables lost ids or primary keys, see :func:`wpbridge.store.schema.ids.lost`."""
        names, dialect = self._names, self.dialect
        wanted = names.keys_of_tables
        found = self._session.run(lambda c: dialect.key_columns(c, wanted))
        return lost(names, found)

    def next_id(self) -> int | None:
        """Return the id that the next action gets; None where the database does not say."""
        return self._session.run(partial(self.dialect.next_id, table=self._names.actions))

    def options(self, *names: str) -> dict[str, str]:
        """Return those of WordPress's options that exist; empty where there is no options table."""
        if not self.has_table(self._names.options):
            return {}
        marks = {f"n{place}": name for place, name in enumerate(names)}
        listed = ", ".join(f":{mark}" for mark in marks)
        rows = self._rows(
            f"SELECT option_name, option_value FROM {self._names.options}"
            f" WHERE option_name IN ({listed})",
            **marks,
        )
        return {str(name): str(value or "") for name, value in rows}

    def has_table(self, name: str) -> bool:
        """Return whether a table exists."""
        dialect = self.dialect
        return bool(self._session.run(lambda c: dialect.columns(c, name)))

    def _rows(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._session.run(lambda c: c.execute(text(statement), values).fetchall())
