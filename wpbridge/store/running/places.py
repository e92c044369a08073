"""Read how many actions each runner of a site can run at once."""

from collections.abc import Mapping
from typing import Final

from wpbridge.action import RunnerId
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.structure.tables import Tables

_COLUMN: Final = "places"


def places(tables: Tables) -> Mapping[RunnerId, int]:
    """Return the places of each runner that has a row. Of one that tells none, one is known."""
    session, dialect, table = tables.session, tables.dialect, tables.names.runners
    if not tables.own.has(table):
        return {}

    def read(connection: Connection) -> dict[RunnerId, int]:
        # A table of an earlier release that could not be changed lacks the column.
        told = f"COALESCE({_COLUMN}, 1)" if _COLUMN in dialect.columns(connection, table) else "1"
        rows = connection.execute(text(f"SELECT runner_id, {told} FROM {table}"))
        return {RunnerId(int(runner)): int(count) for runner, count in rows}

    return session.run(read)
