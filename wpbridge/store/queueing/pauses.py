"""Keep pauses: what no runner on any host may claim, until they end or are lifted.

They stand in a table of ours that the companion plugin reads in PHP too, so its columns are a
contract (docs/explain/companion.md). Names are compared exactly, unlike in the collation.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from wpbridge.clock import to_text
from wpbridge.errors import InputError
from wpbridge.outcome import plain
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.records import Pause
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import PAUSES
from wpbridge.store.structure.tables import Tables

KINDS: Final = ("all", "hook", "group")
REASON_CHARACTERS: Final = 255


class PauseRow(NamedTuple):
    """A row of the pauses table, as the driver gives it."""

    kind: object
    name: object
    until_gmt: object
    reason: object
    created_gmt: object


class Pauses:
    """The pauses of one site."""

    def __init__(self, tables: Tables) -> None:
        names, layout = tables.names, tables.layout
        self._session = tables.session
        self._texts = layout.texts
        self._own = tables.own
        self._table = table = names.pauses
        self._reader = reader(PauseRow, PAUSES)
        columns = self._reader.columns
        self._all = text(f"SELECT {columns} FROM {table} ORDER BY kind, name")
        self._in_force = text(
            f"SELECT {columns} FROM {table} WHERE until_gmt IS NULL OR until_gmt > :now"
        )
        self._delete = text(f"DELETE FROM {table} WHERE kind = :kind AND name = :name")
        self._insert = text(PAUSES.insert_into(table))
        self._purge = text(f"DELETE FROM {table} WHERE until_gmt <= :now")

    def stored(self) -> list[Pause]:
        """Return all pauses, ended ones too; none where nothing was ever paused."""
        if not self._own.has(self._table):
            return []
        return self._session.run(lambda c: self._pauses(c.execute(self._all)))

    def in_force(self, now: datetime) -> list[Pause]:
        """Return the pauses that are in force at ``now``."""
        if not self._own.has(self._table):
            return []
        return self._session.run(lambda c: self.in_force_on(c, now))

    def in_force_on(self, connection: Connection, now: datetime) -> list[Pause]:
        """Return the pauses that are in force, read on the connection of a claim."""
        return self._pauses(connection.execute(self._in_force, {"now": to_text(now)}))

    def _pauses(self, rows: Iterable[Sequence[object]]) -> list[Pause]:
        return [_pause(row) for row in self._reader.read(rows)]

    def add(self, pauses: Sequence[Pause], *, now: datetime) -> None:
        """Put pauses in force from every runner's next claim on; renew those of the same scope.

        Raises InputError for a name or a reason that the table cannot hold.
        """
        self._session.run(lambda c: self._check(c, pauses))
        self._own.ensure(self._table)
        self._session.transact(lambda c: self.add_on(c, pauses, now))

    def _check(self, connection: Connection, pauses: Sequence[Pause]) -> None:
        for pause in pauses:
            given = [("name", (self._table, "name"), pause.name)]
            given += [("reason", (self._table, "reason"), pause.reason[:REASON_CHARACTERS])]
            if fault := self._texts.fault(connection, given):
                raise InputError(f"pause: {fault}")

    def add_on(self, connection: Connection, pauses: Sequence[Pause], now: datetime) -> None:
        """Add pauses in the caller's transaction; the table must exist.

        A runner does this too, so a reason is never refused here but written with escapes.
        """
        connection.execute(self._purge, {"now": to_text(now)})
        for pause in pauses:
            connection.execute(self._delete, {"kind": pause.kind, "name": pause.name})
            connection.execute(
                self._insert,
                {
                    "kind": pause.kind,
                    "name": pause.name,
                    "until_gmt": None if pause.until is None else to_text(pause.until),
                    "reason": self._texts.shown(
                        connection,
                        (self._table, "reason"),
                        plain(pause.reason),
                        characters=REASON_CHARACTERS,
                    ),
                    "created_gmt": to_text(now),
                },
            )

    def remove(self, pauses: Collection[Pause]) -> int:
        """Lift pauses; return how many there were."""
        if not self._own.has(self._table):
            return 0

        def remove(connection: Connection) -> int:
            return sum(
                int(connection.execute(self._delete, {"kind": p.kind, "name": p.name}).rowcount)
                for p in pauses
            )

        return self._session.transact(remove)


def is_paused(pauses: Collection[Pause], hook: str, group: str) -> bool:
    """Tell whether one of these pauses holds back the actions of a hook in a group, by its slug."""
    names = {"all": "", "hook": hook, "group": group}
    return any(one.kind == "all" or one.name == names[one.kind] for one in pauses)


def narrowed(only: ClaimFilter, pauses: Collection[Pause]) -> ClaimFilter | None:
    """Return the filter without what is paused; None when everything is paused."""
    if any(pause.kind == "all" for pause in pauses):
        return None
    hooks = {pause.name for pause in pauses if pause.kind == "hook"}
    groups = {pause.name for pause in pauses if pause.kind == "group"}
    return only.without(hooks, groups)


def _pause(row: PauseRow) -> Pause:
    return Pause(
        kind=str(row.kind),  # type: ignore[arg-type]  # only these are written
        name=str(row.name),
        until=date(row.until_gmt),
        reason=str(row.reason),
        created_at=date(row.created_gmt),
    )
