"""Rows of the actions table as actions: which columns are read, and what they mean."""

import functools
from collections.abc import Iterable, Sequence

from sqlalchemy import BindParameter, Connection, bindparam, text

from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.clock import from_text
from wpbridge.codec import schedule
from wpbridge.store.database.texts import as_bytes, chosen_args, number
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.writes import STATUS
from wpbridge.store.rows.zones import Zones
from wpbridge.store.running.site_keys import SiteKeys
from wpbridge.store.structure.tables import Tables


class ActionRows:
    """Reads rows of one site's actions, some of them under a lock."""

    def __init__(self, tables: Tables, groups: Groups, zones: Zones, keys: SiteKeys) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._session = tables.session
        self._groups = groups
        self._zones = zones
        self._keys = keys
        priority = "priority" if layout.has_priority else "10"
        extended = "extended_args" if layout.has_extended_args else "NULL"
        columns = (
            f"action_id, hook, {STATUS}, scheduled_date_gmt, {priority}, args, {extended},"
            " schedule, group_id, attempts, claim_id"
        )
        # SQLite: no index but the primary key. It would walk a whole backlog's for a few ids.
        key = " FORCE INDEX (PRIMARY)" if dialect.name == "mysql" else " NOT INDEXED"
        ids: BindParameter[int] = bindparam("ids", expanding=True)
        table, lock = names.actions, dialect.lock_rows()
        free = (
            f"SELECT {columns} FROM {table}{key} WHERE action_id IN :ids AND claim_id = 0"
            " AND status = 'pending'"
        )
        held = "claim_id IN :ids AND status IN ('pending', 'in-progress')"
        self.by_ids = text(
            f"SELECT {columns} FROM {table}{key} WHERE action_id IN :ids"
        ).bindparams(ids)
        self.lock_due = text(f"{free} AND scheduled_date_gmt <= :now{lock}").bindparams(ids)
        self.lock_any = text(f"{free}{lock}").bindparams(ids)
        self.of_claims = text(f"SELECT {columns} FROM {table} WHERE {held}").bindparams(ids)
        self.lock_of_claims = text(f"SELECT action_id FROM {table} WHERE {held}{lock}").bindparams(
            ids
        )

    def load(self, ids: Sequence[int]) -> Sequence[Sequence[object]]:
        """As they are, in no order."""
        return self._session.run(lambda c: c.execute(self.by_ids, {"ids": list(ids)}).fetchall())

    def actions(
        self,
        rows: Sequence[Sequence[object]],
        *,
        claim: ClaimId | None = None,
        on: Connection | None = None,
    ) -> list[Action]:
        """Rows as nouns.

        ``claim``: under which they are now. ``on``: the transaction's connection, which must not be
        changed for another within.
        """
        groups = self._groups
        slug = groups.slug if on is None else functools.partial(groups.slug_on, on)
        zones = self._zones_of(rows, on)
        found = [
            Action(
                id=ActionId(int(str(r[0]))),
                hook=str(r[1]),
                status=_status(r[2]),
                scheduled_at=from_text(None if r[3] is None else str(r[3])),
                priority=number(r[4]),
                args=chosen_args(r[5], r[6]),
                schedule=as_bytes(r[7]),
                group_id=number(r[8]),
                group=slug(number(r[8])),
                attempts=number(r[9]),
                claim_id=claim if claim is not None else ClaimId(number(r[10])),
                zone=zones.get(ActionId(int(str(r[0])))),
            )
            for r in rows
        ]
        return self._keys.given(found, on)

    def _zones_of(
        self, rows: Sequence[Sequence[object]], on: Connection | None
    ) -> dict[ActionId, str]:
        """Time zones of cron chains; nothing is asked where there never was one."""
        zones = self._zones
        if not zones.are_there:
            return {}
        crons = [int(str(r[0])) for r in rows if _is_cron(as_bytes(r[7]))]
        return zones.of(on, crons) if on else self._session.run(lambda c: zones.of(c, crons))


def _is_cron(blob: bytes) -> bool:
    return schedule.class_of(blob[: schedule.PREFIX_BYTES]) == schedule.Cron.php_class


def in_order(actions: Iterable[Action]) -> list[Action]:
    """The plugin's, within a claim."""
    return sorted(
        actions,
        key=lambda a: (a.priority, a.attempts, str(a.scheduled_at or ""), a.id),
    )


def _status(value: object) -> Status:
    """PENDING for what the plugin has no word for: only rows that may run come here."""
    try:
        return Status(str(value))
    except ValueError:
        return Status.PENDING
