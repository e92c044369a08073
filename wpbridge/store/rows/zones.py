"""Keep the time zones of cron chains that have one.

The plugin's cron schedule only knows UTC, and its blob has no place for a zone. So our own table
contains the zone of each action. A successor that wpbridge inserts inherits it. One that PHP
inserted has a date in UTC: :meth:`Zones.repair` finds it and corrects its date.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.codec import cron, schedule, zoned
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError, CronError
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import as_bytes, date
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ZONES
from wpbridge.store.structure.tables import Tables

FORGET_AFTER: Final = timedelta(days=1)
"""A chain without a successor has ended when its last action ended this long ago."""
MOST: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonedAction:
    """Holds a row of the zones table."""

    action_id: ActionId
    hook: str
    args: str
    """The value of the args column: the JSON, or the md5 of a long one."""
    group_id: int
    expression: str
    zone: str


class ZoneRow(NamedTuple):
    """What is read of a zoned action, and of its row in the actions table."""

    action_id: Any
    hook: object
    args: object
    group_id: Any
    expression: object
    zone: object
    schedule: object
    last_attempt_gmt: object


class Zones:
    """Keeps the zoned chains of one site. Its statements run in a transaction of the caller's."""

    def __init__(self, tables: Tables) -> None:
        """Prepare the statements. Locking ones wait for rows and never skip them."""
        names, zone, lock = tables.names, tables.zone, tables.dialect.row_lock
        self._own = tables.own
        self._site_zone = zone
        self._table = table = names.zones
        self._reader = reader(
            ZoneRow,
            ZONES,
            of="z",
            schedule="a.schedule",
            last_attempt_gmt="a.last_attempt_gmt",
        )
        self._of = text(f"SELECT action_id, zone FROM {table} WHERE action_id IN :ids")
        self._insert = text(ZONES.insert_into(table))
        self._delete = text(f"DELETE FROM {table} WHERE action_id IN :ids")
        self._lock_one = text(f"SELECT action_id FROM {table} WHERE action_id = :id{lock}")
        self._count = text(f"SELECT COUNT(*) FROM {table}")
        self._ended = text(
            f"SELECT {self._reader.columns} FROM {table} z LEFT JOIN {names.actions} a"
            " ON a.action_id = z.action_id WHERE a.action_id IS NULL"
            # A canceled action keeps its zone for as long as it may be requeued.
            f" OR a.status NOT IN ('pending', 'in-progress', 'canceled') LIMIT {MOST}"
        )
        self._heirs = text(
            f"SELECT a.action_id, a.schedule FROM {names.actions} a WHERE a.hook = :hook"
            " AND a.status = 'pending' AND a.claim_id = 0 AND a.group_id = :group_id"
            " AND a.args = :args AND a.action_id > :after"
            f" AND NOT EXISTS (SELECT 1 FROM {table} z WHERE z.action_id = a.action_id)"
            " ORDER BY a.action_id"
        )
        self._move = text(
            f"UPDATE {names.actions} SET scheduled_date_gmt = :due, scheduled_date_local = :local,"
            " schedule = :schedule WHERE action_id = :id AND status = 'pending' AND claim_id = 0"
        )

    @property
    def are_there(self) -> bool:
        """Whether this site has ever had a zoned action."""
        return self._own.has(self._table)

    def of(self, connection: Connection, ids: Collection[int]) -> dict[ActionId, str]:
        """Return the zones of those actions that have one."""
        if not ids or not self.are_there:
            return {}
        rows = connection.execute(self._of, {"ids": sorted(ids)})
        return {ActionId(int(action)): str(zone) for action, zone in rows}

    def count(self, connection: Connection) -> int:
        """Count the actions that have a zone."""
        return int(connection.execute(self._count).scalar() or 0) if self.are_there else 0

    def keep(self, connection: Connection, rows: Sequence[ZonedAction]) -> None:
        """Store the zones of new actions."""
        for row in rows:
            connection.execute(
                self._insert,
                {
                    "action_id": row.action_id,
                    "hook": row.hook,
                    "args": row.args,
                    "group_id": row.group_id,
                    "expression": row.expression,
                    "zone": row.zone,
                },
            )

    def forget(self, connection: Connection, ids: Collection[int]) -> None:
        """Delete the zones of actions that have ended or no longer have a cron in a zone."""
        if ids and self.are_there:
            connection.execute(self._delete, {"ids": sorted(ids)})

    def has_ended(self, connection: Connection) -> bool:
        """Return whether :meth:`repair` has anything to look at."""
        return connection.execute(self._ended).first() is not None

    def repair(self, connection: Connection, now: datetime) -> Mapping[ActionId, datetime]:
        """Correct dates that PHP wrote in UTC; return the changed actions with their new dates."""
        if not self.are_there:
            return {}
        moved: dict[ActionId, datetime] = {}
        for row in self._reader.read(connection.execute(self._ended).fetchall()):
            link = ZonedAction(
                action_id=ActionId(int(row.action_id)),
                hook=str(row.hook),
                args=str(row.args),
                group_id=int(row.group_id),
                expression=str(row.expression),
                zone=str(row.zone),
            )
            if connection.execute(self._lock_one, {"id": link.action_id}).first() is None:
                # Another runner has done it already.
                continue
            last = date(row.last_attempt_gmt)
            heir = self._heir(connection, link, _first_date(row.schedule))
            if heir is not None:
                action_id, found = heir
                due = self._hand_on(connection, link, action_id, found, last or now)
                if due is not None:
                    moved[action_id] = due
            elif last is not None and now - last < FORGET_AFTER:
                # PHP marks the old action first, so the successor may come in a moment.
                continue
            self.forget(connection, [link.action_id])
        return moved

    def _heir(
        self, connection: Connection, link: ZonedAction, first: int | None
    ) -> tuple[ActionId, schedule.Cron] | None:
        """Return the successor, whose chain began at the same moment. Other actions are new."""
        if first is None:
            return None
        values = {
            "hook": link.hook,
            "args": link.args,
            "group_id": link.group_id,
            "after": link.action_id,
        }
        for action_id, blob in connection.execute(self._heirs, values).fetchall():
            found = _cron_of(blob)
            if found and (found.expression, found.first_timestamp) == (link.expression, first):
                return ActionId(int(action_id)), found
        return None

    def _hand_on(
        self,
        connection: Connection,
        link: ZonedAction,
        heir: ActionId,
        found: schedule.Cron,
        last: datetime,
    ) -> datetime | None:
        """Give the chain's zone to its successor, and the date that is right in this zone."""
        self.keep(connection, [replace(link, action_id=heir)])
        try:
            due = zoned.next_date(cron.parse(link.expression), last, zoned.zone_named(link.zone))
        except CronError:
            return None
        if found.timestamp == int(due.timestamp()):
            return None
        local = self._site_zone.scheduled_local(due.astimezone(UTC), is_async=False)
        values = {
            "id": heir,
            "due": to_text(due),
            "local": to_text(local),
            "schedule": schedule.encode(replace(found, timestamp=int(due.timestamp()))).decode(),
        }
        return due if connection.execute(self._move, values).rowcount else None


def _first_date(blob: object) -> int | None:
    """Return when a cron chain began, as the plugin hands it on; None if it is unreadable."""
    found = _cron_of(blob)
    return (found.first_timestamp or found.timestamp) if found else None


def _cron_of(blob: object) -> schedule.Cron | None:
    try:
        found = schedule.decode(as_bytes(blob))
    except CodecError:
        return None
    return found if isinstance(found, schedule.Cron) else None
