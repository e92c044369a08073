"""Write what people wish of a runner into its row. The runner reads it with its next beat."""

from typing import Final, Literal, TypeAlias

from wpbridge.errors import SchemaError
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.structure.tables import Tables

Wish: TypeAlias = Literal["", "quiet", "stop"]
"""Empty: it shall work. ``quiet``: it shall claim nothing more. ``stop``: it shall end in order."""
_COLUMN: Final = "wish"


def make_wish(tables: Tables, runner_id: int, wish: Wish) -> bool:
    """Write a wish into a runner's row, in one transaction; return whether it is a new one.

    It is written by the runner's id, so a runner that has ended meanwhile is not changed, and
    nobody else is. A runner that was told to stop cannot be told otherwise any more.

    Raises:
        SchemaError: the table lacks the column, and the account cannot add it.
    """
    table = tables.names.runners
    tables.own.ensure(table)
    change = text(
        f"UPDATE {table} SET wish = :wish WHERE runner_id = :id AND wish NOT IN (:wish, 'stop')"
    )

    def write(connection: Connection) -> bool:
        if _COLUMN not in tables.dialect.columns(connection, table):
            raise SchemaError(
                f"the table {table} lacks the column {_COLUMN}: run `wpbridge init` with an account"
                " that may alter tables"
            )
        return bool(connection.execute(change, {"id": runner_id, "wish": wish}).rowcount)

    return tables.session.transact(write)
