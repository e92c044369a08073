"""Turn groups' slugs into ids and back, by the rules of the plugin's `get_group_id`.

There is no unique index, so one slug may have several rows. Filters match all of them. The first
one is written, and compared for uniqueness. Rows are never deleted or renumbered.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

from wpbridge.errors import Contention, InputError
from wpbridge.store.database.connection import Connection, DBAPIError, text
from wpbridge.store.database.named_lock import NamedLock
from wpbridge.store.schema.tables import GROUPS
from wpbridge.store.structure.tables import Tables

MAX_CHARACTERS: Final = 255
LOCK_SECONDS: Final = 10


class Groups:
    """Finds and makes the groups of one site. Slugs are remembered, since a row keeps its slug."""

    def __init__(self, tables: Tables) -> None:
        names, dialect, layout = tables.names, tables.dialect, tables.layout
        self._session = tables.session
        self._dialect = dialect
        self._texts = layout.texts
        self._place = (names.groups, "slug")
        self._has_empty = layout.has_priority
        """Whether "no group" is a row with an empty slug (plugin 3.6 and later), not the id 0."""
        self._slugs: dict[int, str] = {}
        table = self._table = names.groups
        self._slug = text(f"SELECT slug FROM {table} WHERE group_id = :id")
        self._ids = text(f"SELECT group_id FROM {table} WHERE slug IN :slugs")
        self._first = text(
            f"SELECT group_id FROM {table} WHERE slug = :slug ORDER BY group_id LIMIT 1"
        )
        self._insert = text(f"{GROUPS.insert_into(table)}{dialect.returning('group_id')}")
        self._write_nothing = text(f"UPDATE {table} SET slug = slug WHERE 1 = 0")
        self._begin, self._commit = text(dialect.begin), text("COMMIT")
        self._roll_back = text("ROLLBACK")
        self._lock = NamedLock("groups", table)

    def slug(self, group_id: int) -> str:
        """Return a group's slug. "" means "no group": id 0, a missing row or an empty slug."""
        if group_id and group_id not in self._slugs:
            return self._session.run(lambda c: self.slug_on(c, group_id))
        return self._slugs.get(group_id, "")

    def slug_on(self, connection: Connection, group_id: int) -> str:
        """Do the same as :meth:`slug` on this connection, which must not be exchanged just now."""
        if group_id and group_id not in self._slugs:
            found = connection.execute(self._slug, {"id": group_id}).scalar()
            self._slugs[group_id] = str(found or "")
        return self._slugs.get(group_id, "")

    def ids(self, slugs: Collection[str]) -> list[int]:
        """Return all ids of the slugs, compared by the database, with all rows of the same slug.

        An empty slug is "no group", which is also written as 0.
        """
        if not slugs:
            return []
        rows = self._session.run(lambda c: self._rows(c, slugs))
        return sorted({*(int(group) for (group,) in rows), *([0] if "" in slugs else [])})

    def _rows(self, connection: Connection, slugs: Collection[str]) -> Sequence[Sequence[Any]]:
        # The server would refuse to compare a slug that the column cannot hold.
        possible = [s for s in sorted(slugs) if self._texts.holds(connection, self._place, s)]
        return connection.execute(self._ids, {"slugs": possible}).fetchall() if possible else ()

    def first(self, slug: str) -> int | None:
        """Return the id by which uniqueness is judged; None when there is no such group."""
        if not slug and not self._has_empty:
            return 0
        return self._session.run(lambda c: self._first_on(c, slug))

    def _first_on(self, connection: Connection, slug: str) -> int | None:
        if not self._texts.holds(connection, self._place, slug):
            return None
        found = connection.execute(self._first, {"slug": slug}).scalar()
        return None if found is None else int(found)

    def ensure(self, slug: str) -> int:
        """Return the id to write for a slug; make the group where there is none.

        It is made under a named lock of wpbridge where the server keeps such locks, so that two of
        our writers never make two rows. The plugin ignores the lock. Raises Contention when the
        lock is not free in time, and InputError for a slug that the table cannot hold.
        """
        found = self.first(slug)
        return found if found is not None else self._made(slug)

    def lock_row(self, group_id: int) -> int:
        """Return the group whose row writers of its unique actions lock, one after another.

        Before plugin 3.6 "no group" has no row. Then one is made, which that plugin never reads.
        """
        return group_id or self._made("")

    def _made(self, slug: str) -> int:
        if self._dialect.one_writer:
            return self._session.transact(lambda c: self._make_alone(c, slug))
        self._session.check_writable()
        made = self._session.run(lambda c: self._make_locked(c, slug))
        if made is not None:
            return made
        return self._session.transact(lambda c: self._make_in_place(c, slug))

    def _make_alone(self, connection: Connection, slug: str) -> int:
        """Make the group on SQLite, where the transaction is the lock from its first write on."""
        connection.execute(self._write_nothing)
        return self._make(connection, slug)

    def _make_in_place(self, connection: Connection, slug: str) -> int:
        """Make the group without a named lock, by locking its place in the index by slug.

        If two writers both find no row, the database undoes one, which then tries again. Only that
        index is read. A scan of the table would wait for writers of other groups, and one of them
        may be the transaction for which the group is made. One statement (INSERT … SELECT) would
        also lock the table's counter, and a deadlock over that has a number that means something
        else (1467).
        """
        indexes = self._dialect.indexes(connection, self._table)
        by_slug = next((name for name, columns in indexes.items() if columns[0] == "slug"), None)
        if by_slug is None or self._texts.fault(connection, [("group", self._place, slug)]):
            return self._make(connection, slug)
        look = f"SELECT group_id FROM {self._table}{self._dialect.use_index(by_slug)}"
        locked = text(f"{look} WHERE slug = :slug LIMIT 1 FOR UPDATE")
        found = connection.execute(locked, {"slug": slug}).scalar()
        return self._add(connection, slug) if found is None else int(found)

    def _make(self, connection: Connection, slug: str) -> int:
        found = self._first_on(connection, slug)
        if found is not None:
            return found
        if fault := self._texts.fault(connection, [("group", self._place, slug)]):
            raise InputError(fault)
        return self._add(connection, slug)

    def _add(self, connection: Connection, slug: str) -> int:
        done = connection.execute(self._insert, {"slug": slug})
        return self._dialect.new_ids(connection, done, 1, self._table)[0]

    def _make_locked(self, connection: Connection, slug: str) -> int | None:
        """Make the group under the named lock; return None where the server keeps no such locks."""
        taken = self._lock.take(connection, seconds=LOCK_SECONDS)
        if taken is None:
            return None
        if not taken:
            raise Contention("another writer holds the lock for new groups; try again")
        try:
            # This is committed before the lock is given back, and not at all where the row got no
            # id.
            connection.execute(self._begin)
            try:
                made = self._make(connection, slug)
                connection.execute(self._commit)
            except BaseException:
                if not connection.invalidated:
                    with suppress(DBAPIError):
                        connection.execute(self._roll_back)
                raise
            return made
        finally:
            self._lock.free(connection)
