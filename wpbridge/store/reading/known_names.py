"""Say which names of hooks and groups the tables know, so that misspelled ones are noticed.

The cost does not grow with the number of actions: a hook is looked up in the index by hook. Where
that index is missing, no hook is known.
"""

from collections.abc import Sequence
from typing import Final

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import as_bytes
from wpbridge.store.schema.charsets import to_text
from wpbridge.store.structure.tables import Tables

MOST_GROUPS: Final = 1_000
"""At most so many of the newest groups are searched."""
_DEPTH: Final = 5_000
"""At most so many rows of a hook are searched for its spellings, and as many pending ones."""


class Known:
    """The names of one site's hooks and groups."""

    def __init__(self, tables: Tables) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._session = tables.session
        self._layout = layout
        self._actions, self._groups = names.actions, names.groups
        rows = (
            f"SELECT hook FROM {names.actions}{dialect.use_index(layout.hook_index)}"
            " WHERE hook = :name"
        )
        parts = " UNION ALL ".join(
            f"SELECT * FROM ({rows}{more} LIMIT {_DEPTH}) AS part{number}"
            for number, more in enumerate((" AND status = 'pending'", ""))
        )
        self._hook = text(f"SELECT DISTINCT {dialect.as_bytes('hook')} FROM ({parts}) AS parts")
        self._group = text(f"SELECT slug FROM {names.groups} WHERE slug = :name")
        self._newest = text(
            f"SELECT slug FROM {names.groups} ORDER BY group_id DESC LIMIT {MOST_GROUPS}"
        )

    def hook(self, name: str) -> list[str] | None:
        """Return the spellings of a hook that the database takes for equal; None if not known.

        Raises InputError for a name that is no valid text.
        """
        if not self._layout.hook_index:
            return None
        self._layout.texts.check((name,))

        def look(connection: Connection) -> list[str]:
            if not self._layout.texts.holds(connection, (self._actions, "hook"), name):
                return []
            rows = connection.execute(self._hook, {"name": name}).fetchall()
            return [to_text(as_bytes(name)) for (name,) in rows]

        return self._session.run(look)

    def group(self, name: str) -> list[str]:
        """Return the spellings of a group that the database takes for equal.

        Raises InputError for a name that is no valid text.
        """
        self._layout.texts.check((name,))

        def look(connection: Connection) -> list[str]:
            if not self._layout.texts.holds(connection, (self._groups, "slug"), name):
                return []
            return _slugs(connection.execute(self._group, {"name": name}).fetchall())

        return self._session.run(look)

    def groups(self) -> list[str]:
        """Return the newest groups that have a name."""
        return self._session.run(lambda c: _slugs(c.execute(self._newest).fetchall()))


def _slugs(rows: Sequence[Sequence[object]]) -> list[str]:
    return [str(name) for (name,) in rows if name]
