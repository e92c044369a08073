"""Adds whole rows thousands at a time, in any status.

Each has a key in our own table, written in the same transaction. So adding the same rows again, or
going on after a crash, adds nothing twice.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.errors import Contention, Unfit
from wpbridge.store.bulk.inserting import BATCH, WholeRowInserts
from wpbridge.store.bulk.keys import BulkKeys, Known, Raced
from wpbridge.store.bulk.rows import WholeRow
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.structure.tables import Tables

_TRIES: Final = 5


@dataclass(slots=True, kw_only=True)
class Fate:
    """What became of a row that was to be added."""

    id: ActionId | None
    """Its id here; None when it was refused as not unique, or would be added by a trial."""
    is_new: bool
    why: str = ""
    """Why it cannot be added at all."""


class Bulk:
    """Adds whole rows to one site."""

    def __init__(
        self,
        tables: Tables,
        groups: Groups,
        inserts: Inserts,
        rows: WholeRowInserts,
        keys: BulkKeys,
    ) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._names = names
        self._dialect = dialect
        self._own = tables.own
        self._groups = groups
        self._inserts = inserts
        self._rows = rows
        self._keys = keys
        self._group_ids: dict[str, int] = {}
        """Of slugs written before: rows of groups are never deleted."""
        self._meets_known = True
        """Whether the last rows had some that were added before; then the next are looked up."""
        self._lock_groups = text(
            f"SELECT group_id FROM {names.groups} WHERE group_id IN :ids ORDER BY group_id"
            f"{dialect.row_lock}"
        )
        self._same = text(
            f"SELECT 1 FROM {names.actions} WHERE hook = :hook AND args = :args"
            " AND status IN ('pending', 'in-progress') AND group_id = :group_id LIMIT 1"
        )
        self._wait = text(
            f"{dialect.insert_ignore} INTO {names.waits} (action_id, after_id, on_failed)"
            f" SELECT action_id, :after, :on_failed FROM {names.actions} WHERE action_id = :id"
            # What was let go already has a date, and waits no more.
            " AND status = 'pending' AND scheduled_date_gmt IS NULL"
        )

    def known(self, keys: Sequence[str]) -> dict[str, Known]:
        """Return the actions that keys have made here before."""
        if not self._own.has(self._names.keys):
            return {}
        return self._session.run(lambda c: self._keys.known_on(c, keys))

    def same(self, row: WholeRow) -> bool:
        """Tell whether a pending or running action here has the same hook, args and group."""
        group_id = self._groups.first(row.group)
        if group_id is None or self._rows.why_not([row])[0]:
            return False
        return self._session.run(lambda c: self._is_same(c, row, group_id))

    def add(
        self, keyed: Sequence[tuple[str, WholeRow]], *, unique: bool, now: datetime
    ) -> list[Fate]:
        """Add rows in one transaction, each under its key. A crash leaves all of them or none.

        A row that the tables cannot hold is refused, and the others are added without it, in
        parts; what the database would cut or convert it refuses.

        Args:
            keyed: with keys as in :meth:`known`, none twice; :data:`BATCH` at most is wise.
            unique: refuse pending ones that are there already.
            now: for the keys.

        Raises:
            Contention: another process adds the same rows.
        """
        faults = self._rows.why_not([row for _, row in keyed])
        if any(faults):
            fit = [one for one, why in zip(keyed, faults, strict=True) if not why]
            added = iter(self.add(fit, unique=unique, now=now) if fit else ())
            return [Fate(id=None, is_new=False, why=why) if why else next(added) for why in faults]
        try:
            return self._add_all(keyed, unique=unique, now=now)
        except Unfit as error:
            if len(keyed) == 1:
                return [Fate(id=None, is_new=False, why=str(error))]
            half = len(keyed) // 2
            return [
                fate
                for part in (keyed[:half], keyed[half:])
                for fate in self.add(part, unique=unique, now=now)
            ]

    def _add_all(
        self, keyed: Sequence[tuple[str, WholeRow]], *, unique: bool, now: datetime
    ) -> list[Fate]:
        names = self._names
        has_zones = any(row.zone for _, row in keyed)
        self._own.ensure(names.keys, *([names.zones] if has_zones else []))
        for slug in {row.group for _, row in keyed} - self._group_ids.keys():
            self._group_ids[slug] = self._groups.ensure(slug)
        known_before: list[Collection[str]] = []

        def add(connection: Connection) -> list[Fate]:
            with self._dialect.strict(connection):
                return self._add(connection, keyed, unique, now, known_before)

        for _ in range(_TRIES):
            try:
                return self._session.transact(add)
            except Raced:
                self._meets_known = True
        raise Contention("another process adds the same actions; try again")

    def _add(
        self,
        connection: Connection,
        keyed: Sequence[tuple[str, WholeRow]],
        unique: bool,  # noqa: FBT001 - the caller's
        now: datetime,
        known_before: list[Collection[str]],
    ) -> list[Fate]:
        groups = self._group_ids
        # Of a COMMIT that was never answered: what was not known before it was made by us.
        was_ours = self._session.in_doubt
        if unique:
            # Before anything is read: what others have added meanwhile is to be seen.
            ids = sorted({groups[row.group] for _, row in keyed})
            connection.execute(self._lock_groups, {"ids": ids})
        known: dict[str, Known] = {}
        # Else the keys themselves refuse what is known, and all of this is done again.
        if self._meets_known or was_ours or unique:
            known = self._keys.known_on(connection, [key for key, _ in keyed])
            self._meets_known = bool(known)
        fresh = [(key, row) for key, row in keyed if key not in known]
        if unique:
            fresh = self._not_there(connection, fresh, groups)
        made = dict(
            zip(
                (key for key, _ in fresh),
                self._rows.insert_rows(connection, [row for _, row in fresh], groups),
                strict=True,
            )
        )
        if fresh:
            self._keys.keep(connection, made, now)
            self._inserts.raw_logs(
                connection, ((made[key], *log) for key, row in fresh for log in row.logs)
            )
            self._rows.zones(connection, [(made[key], row) for key, row in fresh], groups)
        was_known = known_before[-1] if known_before and was_ours else known
        known_before.append(known)
        return [
            Fate(id=one.id, is_new=key not in was_known, why=one.why_not(row))
            if (one := known.get(key)) is not None
            else Fate(id=made.get(key), is_new=key in made)
            for key, row in keyed
        ]

    def _not_there(
        self,
        connection: Connection,
        keyed: Sequence[tuple[str, WholeRow]],
        groups: Mapping[str, int],
    ) -> list[tuple[str, WholeRow]]:
        """Leave out pending rows whose like is there, or stands before them."""
        seen: set[tuple[str, str | None, int]] = set()
        found: list[tuple[str, WholeRow]] = []
        for key, row in keyed:
            group_id = groups[row.group]
            if row.status == "pending":
                mine = (row.hook, row.args, group_id)
                if mine in seen or self._is_same(connection, row, group_id):
                    continue
                seen.add(mine)
            found.append((key, row))
        return found

    def _is_same(self, connection: Connection, row: WholeRow, group_id: int) -> bool:
        values = {"hook": row.hook, "args": row.args, "group_id": group_id}
        return connection.execute(self._same, values).first() is not None

    def wait(self, waits: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Let actions wait for others, both named by their keys.

        Returns the waits of unknown keys.
        """
        if not waits:
            return []
        self._own.ensure(self._names.keys, self._names.waits)
        keys = sorted({key for wait in waits for key in wait[:2]})

        def add(connection: Connection) -> list[tuple[str, str, str]]:
            ids: dict[str, ActionId] = {}
            for start in range(0, len(keys), BATCH):
                known = self._keys.known_on(connection, keys[start : start + BATCH])
                ids |= {key: one.id for key, one in known.items()}
            for one, after, on_failed in waits:
                if one in ids and after in ids:
                    values = {"id": ids[one], "after": ids[after], "on_failed": on_failed}
                    connection.execute(self._wait, values)
            return [wait for wait in waits if wait[0] not in ids or wait[1] not in ids]

        return self._session.transact(add)
