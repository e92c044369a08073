"""Actions that a dead runner held: whoever starts one marks it first.

A call that ends within a moment leaves no trace before it ends, so of an action that kills its
runner at once nothing would tell. Known to all runners, since another one may claim it next.
"""

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, text

from wpbridge.action import ActionId
from wpbridge.store.structure.tables import Tables

KEPT_SECONDS: Final = 7 * 86_400
"""What was canceled or deleted instead of run is forgotten after so long."""


class Suspects:
    """The suspects of one site."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._own = tables.own
        self.in_hand: frozenset[ActionId] = frozenset()
        """Those of them that this runner has in hand."""
        self._table = table = names.suspects
        ids: BindParameter[int] = bindparam("ids", expanding=True)
        self._among = text(f"SELECT action_id FROM {table} WHERE action_id IN :ids").bindparams(ids)
        self._delete = text(f"DELETE FROM {table} WHERE action_id IN :ids").bindparams(ids)
        self._insert = text(
            f"INSERT INTO {table} (action_id, seen_gmt) VALUES (:id, {dialect.db_now})"
        )
        age = dialect.age_seconds("seen_gmt")
        self._forget = text(f"DELETE FROM {table} WHERE {age} > {KEPT_SECONDS}")

    def add(self, connection: Connection, ids: Iterable[ActionId]) -> None:
        """In a transaction; the table must be there."""
        found = sorted(set(ids))
        connection.execute(self._forget)
        connection.execute(self._delete, {"ids": found})
        connection.execute(self._insert, [{"id": action_id} for action_id in found])

    def among(self, connection: Connection, ids: Collection[ActionId]) -> frozenset[ActionId]:
        """Those of them that are suspect."""
        if not ids or not self._own.has(self._table):
            return frozenset()
        rows = connection.execute(self._among, {"ids": sorted(ids)})
        return frozenset(ActionId(int(action)) for (action,) in rows)

    def clear(self, connection: Connection, ids: Collection[ActionId]) -> None:
        """They have ended."""
        if ids:
            connection.execute(self._delete, {"ids": sorted(ids)})
