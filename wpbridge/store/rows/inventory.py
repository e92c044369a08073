"""List the hooks and groups of the queue, at a cost that does not grow with the backlog.

A claim needs them when rows that are not ours fill the front of the queue. Hooks are found by
stepping over the index by hook, with one read for each, instead of reading a million due rows.
"""

from collections.abc import Sequence
from typing import Final

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import as_bytes
from wpbridge.store.schema.charsets import to_text
from wpbridge.store.structure.tables import Tables

MOST_HOOKS: Final = 1_000
"""With more hooks, ended ones included, stepping is given up: some plugin invents them."""
MOST_FOR_CLAIMS: Final = 10_000
"""The same for claims, whose other way is to read every due row."""
MOST_GROUPS: Final = 1_000
TWINS_DEPTH: Final = 2_000
"""How many due rows in all are searched for other spellings of the names."""
LEAST_TWINS_DEPTH: Final = 20
"""How many due rows of each name are searched at least."""
_NAMES_A_STATEMENT: Final = 100


class Inventory:
    """Lists the hooks and groups of one site's queue."""

    def __init__(self, tables: Tables) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        table, index = names.actions, layout.hook_index
        due = "status = 'pending' AND scheduled_date_gmt <= :now AND claim_id = 0"
        # Bytes are compared, since the collation takes spellings for equal that PHP tells apart.
        self._exact = dialect.as_bytes("hook")
        self._next = text(dialect.next_value(table, "hook", index)) if index else None
        self._first_rows = (
            f"SELECT * FROM (SELECT hook FROM {table}{dialect.use_index(index)}"
            f" WHERE hook = :name AND {due} LIMIT :depth) AS rows_name"
        )
        # This reads every due row. It is used without an index by hook, or with too many hooks.
        self._of_all_due = text(
            f"SELECT DISTINCT {self._exact} FROM {table}{dialect.use_index(layout.due_index)}"
            f" WHERE {due}"
        )
        self._newest_groups = text(
            f"SELECT group_id, slug FROM {names.groups} ORDER BY group_id DESC"
            f" LIMIT {MOST_GROUPS + 1}"
        )

    def due_hooks(self, connection: Connection, now: str) -> tuple[str, ...]:
        """Return hooks with due, unclaimed rows, in each spelling near the front of their rows.

        The names share the rows that are read for it, so that many names do not read many more.
        """
        names = self.names(connection, MOST_FOR_CLAIMS)
        if names is None:
            return _told(connection.execute(self._of_all_due, {"now": now}).fetchall())
        found: list[str] = []
        depth = max(TWINS_DEPTH // max(1, len(names)), LEAST_TWINS_DEPTH)
        for start in range(0, len(names), _NAMES_A_STATEMENT):
            found += self._spellings(
                connection, names[start : start + _NAMES_A_STATEMENT], now, depth
            )
        return tuple(found)

    def groups(self, connection: Connection) -> dict[int, str] | None:
        """Return slugs by id, with 0 for no group; None when there are too many groups."""
        rows = connection.execute(self._newest_groups).fetchall()
        if len(rows) > MOST_GROUPS:
            return None
        return {0: "", **{int(group_id): str(slug or "") for group_id, slug in rows}}

    def names(self, connection: Connection, most: int | None = None) -> list[str] | None:
        """Return each name in the index by hook, in one spelling; None where stepping fails.

        It is given up with more than ``most`` names, or MOST_HOOKS.
        """
        if self._next is None:
            return None
        found: dict[str, None] = {}
        last = ""
        while len(found) <= (MOST_HOOKS if most is None else most):
            name = connection.execute(self._next, {"last": last}).scalar()
            if name is None:
                return list(found)
            if not isinstance(name, str) or name in found:
                # Bytes that are no text cannot be named to go on from there; SQLite has such. And
                # in some collations none of our least characters continues a text, so we are back
                # here.
                return None
            last = name
            found[last] = None
        return None

    def _spellings(
        self, connection: Connection, names: Sequence[str], now: str, depth: int
    ) -> tuple[str, ...]:
        keys = {f"name_{n}": name for n, name in enumerate(names)}
        parts = [self._first_rows.replace(":name", f":{k}").replace("rows_name", k) for k in keys]
        statement = f"SELECT DISTINCT {self._exact} FROM ({' UNION ALL '.join(parts)}) AS firsts"
        return _told(
            connection.execute(text(statement), {"now": now, "depth": depth, **keys}).fetchall()
        )


def _told(rows: Sequence[Sequence[object]]) -> tuple[str, ...]:
    """Return the names whose bytes are the rows' only column."""
    names = (name for (name,) in rows)
    return tuple(to_text(as_bytes(name)) for name in names)
