"""Remember suspects: actions that a runner had in hand when it died.

A short call leaves no trace before it ends, so an action that kills its runner at once would go
unnoticed. Whoever starts a suspect therefore writes its start mark first. The table is shared,
since another runner may claim the action next.
"""

from collections.abc import Collection, Iterable
from typing import Final

from wpbridge.action import ActionId
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import listed
from wpbridge.store.schema.tables import SUSPECTS
from wpbridge.store.structure.tables import Tables

KEPT_SECONDS: Final = 7 * 86_400
"""Suspects that were canceled or deleted instead of run are forgotten after so long."""


class Suspects:
    """The suspects of one site."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._own = tables.own
        self.in_hand: frozenset[ActionId] = frozenset()
        """The suspects that this runner has in hand."""
        self._table = table = names.suspects
        # Hundreds of bound values would cost more than the statement.
        self._among = f"SELECT action_id FROM {table} WHERE action_id IN "
        self._delete = text(f"DELETE FROM {table} WHERE action_id IN :ids")
        self._insert = text(SUSPECTS.insert_into(table, action_id=":id", seen_gmt=dialect.db_now))
        age = dialect.age_seconds("seen_gmt")
        self._forget = text(f"DELETE FROM {table} WHERE {age} > {KEPT_SECONDS}")

    def add(self, connection: Connection, ids: Iterable[ActionId]) -> None:
        """Add suspects, in the caller's transaction; the table must exist."""
        found = sorted(set(ids))
        connection.execute(self._forget)
        connection.execute(self._delete, {"ids": found})
        connection.execute(self._insert, [{"id": action_id} for action_id in found])

    def among(self, connection: Connection, ids: Collection[ActionId]) -> frozenset[ActionId]:
        """Return those of the actions that are suspects."""
        if not ids or not self._own.has(self._table):
            return frozenset()
        rows = connection.exec_driver_sql(self._among + listed(ids))
        return frozenset(ActionId(int(action)) for (action,) in rows)

    def clear(self, connection: Connection, ids: Collection[ActionId]) -> None:
        """Forget suspects that have ended."""
        if ids:
            connection.execute(self._delete, {"ids": sorted(ids)})
