"""A server that forgets: the tables as they were a while ago, put back under a running runner.

As MariaDB does when it is killed with ``innodb_flush_log_at_trx_commit`` 0, when its host crashes
with 2, or when a replica that lags takes over: the last commits are gone, in their order.
"""

from collections.abc import Sequence

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.running.runner_store import RunnerStore


class Past:
    """All rows of the plugin's tables and of ours, as they are when this is made."""

    def __init__(self, store: RunnerStore) -> None:
        names = store.names
        plugins = [names.actions, names.claims, names.groups, names.logs]
        there = store.parts.own.look()
        self._tables = [*plugins, *(table for table in names.own if table in there)]
        self._store = store
        self._rows: dict[str, Sequence[dict[str, object]]] = store.session.transact(self._read)

    def _read(self, connection: Connection) -> dict[str, Sequence[dict[str, object]]]:
        return {
            table: [
                dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()
            ]
            for table in self._tables
        }

    def come_back(self) -> None:
        """Put them back, in one transaction."""

        def write(connection: Connection) -> None:
            for table, rows in self._rows.items():
                connection.execute(text(f"DELETE FROM {table}"))
                if rows:
                    columns = ", ".join(rows[0])
                    values = ", ".join(f":{column}" for column in rows[0])
                    statement = text(f"INSERT INTO {table} ({columns}) VALUES ({values})")
                    connection.execute(statement, list(rows))

        self._store.session.transact(write)
