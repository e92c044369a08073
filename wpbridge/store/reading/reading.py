"""Read lists, counts and reports over one site's queue. Nothing is changed or locked.

Every report is bounded, or uses an index that holds all it needs, since a queue may hold millions
of ended actions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId, ClaimId, Status
from wpbridge.clock import to_text
from wpbridge.codec import schedule
from wpbridge.store.base import QueuedHook
from wpbridge.store.database.args_columns import chosen_args
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.texts import as_bytes, date
from wpbridge.store.reading.conditions import Conditions, possible
from wpbridge.store.reading.due import DUE, Due
from wpbridge.store.reading.found import LogRow, RecordRow, whole
from wpbridge.store.records import ClaimRecord, LogEntry, Query, Record, Wait
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.held_hooks import HeldHooks
from wpbridge.store.rows.inventory import Inventory
from wpbridge.store.rows.waits import Waits
from wpbridge.store.rows.zones import Zones
from wpbridge.store.schema.charsets import to_text as php_text
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ACTIONS, LOGS
from wpbridge.store.structure.tables import Tables

IDS_A_STATEMENT: Final = 1000
_ORDER: Final = {
    "id": "a.action_id",
    "date": "a.scheduled_date_gmt",
    "modified": "a.last_attempt_gmt",
    "hook": "a.hook",
}
_LIVE: Final = "('pending', 'in-progress')"


class Reading:
    """Questions about one site's actions, logs and claims."""

    def __init__(  # noqa: PLR0917 - what reading asks
        self,
        tables: Tables,
        groups: Groups,
        conditions: Conditions,
        zones: Zones,
        waits: Waits,
        due: Due,
        held: HeldHooks,
    ) -> None:
        self._tables = tables
        layout = tables.layout
        self._due = due
        self._held = held
        self._zones = zones
        self._waits = waits
        self._session = tables.session
        self._names = tables.names
        self._layout = layout
        self._dialect = tables.dialect
        self._groups = groups
        self._conditions = conditions
        self._reader = reader(RecordRow, ACTIONS, of="a", lacking=layout.lacking)
        self._log_reader = reader(LogRow, LOGS)

    # Actions

    def find(self, query: Query, *, walks: bool = False) -> list[Record]:
        """Return the actions of a query in its order; equal ones are ordered by id.

        With ``walks`` the database goes along the index of the order until it has found enough.
        That is quick where many rows match. Without it, MariaDB collects all that match a hook and
        sorts them, since the index by hook holds only the beginning of the hook.
        """
        where, values = self._conditions.where(query)
        if where is None:
            return []
        source, order = f"{self._names.actions} a{self._way(query) if walks else ''}", ""
        if query.order == "group":
            source += f" LEFT JOIN {self._names.groups} g ON g.group_id = a.group_id"
        if query.order != "none":
            way = "DESC" if query.descending else "ASC"
            first = "g.slug" if query.order == "group" else _ORDER[query.order]
            parts = [first] if query.order == "id" else [first, "a.action_id"]
            order = f" ORDER BY {', '.join(f'{part} {way}' for part in parts)}"
        limit = ""
        if query.limit or query.offset:
            limit = " LIMIT :limit OFFSET :offset"
            values |= {"limit": query.limit or 1 << 62, "offset": query.offset}
        rest = f"FROM {source}{where}{order}{limit}"
        if query.beyond is not None:
            return self._by_ids(text(f"SELECT a.action_id {rest}"), values)
        return self._records(text(f"SELECT {self._reader.columns} {rest}"), values)

    def _way(self, query: Query) -> str:
        """Return the text that pins the index of a query's order; empty where there is none."""
        if query.order == "id":
            return self._dialect.by_key
        if len(query.statuses) != 1:
            return ""
        by = {"date": self._layout.due_index, "modified": self._layout.attempt_index}
        return self._dialect.use_index(by.get(query.order))

    def _by_ids(self, statement: Statement, values: Mapping[str, object]) -> list[Record]:
        """Return the actions whose ids a statement finds, in its order.

        For ids alone MariaDB reads an index by date from the place on where a page begins. For
        whole rows of one status in falling order it reads that index from its end.
        """
        ids = [int(str(action)) for (action,) in self._rows(statement, values)]
        found = self.existing(ids)
        return [found[ActionId(one)] for one in ids if one in found]

    def pages(self, query: Query, size: int = IDS_A_STATEMENT) -> Iterator[list[Record]]:
        """Yield all actions of a query by id, a page at a time; rows may change meanwhile."""
        last = query.after_id
        first = replace(query, order="id", descending=False, limit=size, offset=0, beyond=None)
        while True:
            page = self.find(replace(first, after_id=last))
            if page:
                yield page
            if len(page) < size:
                return
            last = page[-1].id

    def get(self, action_id: int) -> Record | None:
        """Return one action; None when it does not exist."""
        found = self.find(Query(ids=(ActionId(action_id),), limit=1))
        return found[0] if found else None

    def existing(self, ids: Sequence[int]) -> dict[ActionId, Record]:
        """Return, by id, those of the actions that exist."""
        found: dict[ActionId, Record] = {}
        for start in range(0, len(ids), IDS_A_STATEMENT):
            part = tuple(ActionId(i) for i in ids[start : start + IDS_A_STATEMENT])
            found |= {r.id: r for r in self.find(Query(ids=part, order="none", limit=0))}
        return found

    def _records(self, statement: Statement, values: Mapping[str, object]) -> list[Record]:
        return [
            Record(
                id=ActionId(whole(row.action_id)),
                hook=str(row.hook),
                status=str(row.status),
                scheduled_at=date(row.scheduled_date_gmt),
                is_dated=row.scheduled_date_gmt is not None,
                priority=whole(row.priority),
                args=chosen_args(row.args, row.extended_args),
                schedule=as_bytes(row.schedule),
                group_id=whole(row.group_id),
                group=self._groups.slug(whole(row.group_id)),
                attempts=whole(row.attempts),
                last_attempt_at=date(row.last_attempt_gmt),
                has_attempt_date=row.last_attempt_gmt is not None,
                claim_id=ClaimId(whole(row.claim_id)),
            )
            for row in self._reader.read(self._rows(statement, values))
        ]

    def _rows(
        self, statement: Statement, values: Mapping[str, object]
    ) -> Sequence[Sequence[object]]:
        return self._session.run(lambda c: c.execute(statement, values).fetchall())

    def zones_of(self, ids: Sequence[int]) -> dict[ActionId, str]:
        """Return the time zones of those actions whose cron is not read in UTC."""
        return self._session.run(lambda c: self._zones.of(c, ids))

    def waits_of(self, ids: Sequence[int]) -> list[Wait]:
        """Return what these actions wait for."""
        return self._session.run(lambda c: self._waits.of(c, ids))

    def waiting_for(self, action_id: ActionId) -> list[ActionId]:
        """Return the actions that wait for one."""
        return self._session.run(lambda c: self._waits.waiting_for(c, action_id))

    # Logs

    def logs(self, ids: Sequence[int]) -> list[LogEntry]:
        """Return the log rows of actions, in the order in which they were written."""
        found: list[LogEntry] = []
        statement = text(
            f"SELECT {self._log_reader.columns} FROM {self._names.logs}"
            " WHERE action_id IN :ids ORDER BY log_id"
        )
        for start in range(0, len(ids), IDS_A_STATEMENT):
            part = {"ids": possible(ids[start : start + IDS_A_STATEMENT])}
            found += [
                LogEntry(
                    id=whole(row.log_id),
                    action_id=ActionId(whole(row.action_id)),
                    message=str(row.message),
                    at=date(row.log_date_gmt),
                )
                for row in self._log_reader.read(self._rows(statement, part))
            ]
        return found

    # Hooks and groups

    def queued(self, now: datetime) -> list[QueuedHook]:
        """Return hooks and groups with pending or running actions, by hook; read all of these."""
        hook = self._dialect.as_bytes("hook")
        statement = text(
            f"SELECT {hook}, group_id, SUM(status = 'pending'), SUM(status = 'in-progress'),"
            f" SUM(CASE WHEN {DUE} THEN 1 ELSE 0 END),"
            " MIN(CASE WHEN status = 'pending' THEN scheduled_date_gmt END)"
            f" FROM {self._names.actions} WHERE status IN {_LIVE} GROUP BY {hook}, group_id"
        )
        values = {"now": to_text(now)}
        rows = self._session.run(lambda c: c.execute(statement, values).fetchall())
        found: dict[tuple[str, str], QueuedHook] = {}
        held = self._held.hooks()
        for name, group_id, pending, running, due, following in rows:
            one = QueuedHook(
                hook=name if isinstance(name, str) else php_text(bytes(name)),
                group=self._groups.slug(int(group_id)),
                pending=int(pending),
                running=int(running),
                due=int(due),
                next_at=date(following),
            )
            if one.hook in held:
                one = replace(one, due=0, held=one.due)
            key = (one.hook, one.group)
            # Several group rows may have one slug.
            found[key] = one.joined(found[key]) if key in found else one
        return [found[key] for key in sorted(found)]

    def own_counts(self) -> tuple[int, int]:
        """Count the actions that wait for others, and the crons with a time zone of their own."""
        return self._session.run(lambda c: (self._waits.count(c), self._zones.count(c)))

    # Claims

    def claims(self) -> list[ClaimRecord]:
        """Return every claim that has a row or actions, by id."""
        live = text(
            "SELECT claim_id, SUM(CASE WHEN status = 'pending' THEN 1 ELSE 0 END),"
            " SUM(CASE WHEN status = 'in-progress' THEN 1 ELSE 0 END), MAX(last_attempt_gmt)"
            f" FROM {self._names.actions}{self._dialect.use_index(self._layout.claimed_index)}"
            f" WHERE status IN {_LIVE} AND claim_id > 0 GROUP BY claim_id"
        )
        known = text(f"SELECT claim_id, date_created_gmt FROM {self._names.claims}")

        def look(connection: Connection) -> list[ClaimRecord]:
            rows = {whole(claim): date(created) for claim, created in connection.execute(known)}
            held = {whole(claim): found for claim, *found in connection.execute(live)}
            none = (0, 0, None)
            return [
                ClaimRecord(
                    id=ClaimId(claim),
                    has_row=claim in rows,
                    created_at=rows.get(claim),
                    pending=whole(pending),
                    running=whole(running),
                    last_attempt_at=date(last),
                )
                for claim in sorted({*rows, *held})
                for pending, running, last in [held.get(claim, none)]
            ]

        return self._session.run(look)

    # Chains

    def repeated(self, query: Query) -> list[tuple[str, str, int]]:
        """Return hook, args column and group id that several pending recurring actions share."""
        where, values = self._conditions.where(replace(query, statuses=(Status.PENDING,)))
        if where is None:
            return []
        statement = text(
            f"SELECT MIN(a.hook), MIN(a.args), a.group_id FROM {self._names.actions} a{where}"
            " AND (a.schedule LIKE :interval OR a.schedule LIKE :cron)"
            " GROUP BY a.hook, a.args, a.group_id HAVING COUNT(*) > 1"
        )
        classes = {
            "interval": f'%"{schedule.Interval.php_class}"%',
            "cron": f'%"{schedule.Cron.php_class}"%',
        }
        rows = self._rows(statement, values | classes)
        return [(str(hook), str(args), whole(group_id)) for hook, args, group_id in rows]

    def of_identity(self, hook: str, args: str, group_id: int) -> list[Record]:
        """Return the pending actions of a hook, args and group id; the database compares."""
        statement = text(
            f"SELECT {self._reader.columns} FROM {self._names.actions} a WHERE a.hook = :hook"
            " AND a.status = 'pending' AND a.args = :args AND a.group_id = :group_id"
        )
        values = {"hook": hook, "args": args, "group_id": group_id}
        return self._records(statement, values)

    # What the functions of the plugin ask

    def next_of(self, query: Query) -> Record | None:
        """Return a running action, else the earliest pending one, as `as_next_scheduled_action`."""
        for status in (Status.IN_PROGRESS, Status.PENDING):
            found = self.find(replace(query, statuses=(status,), order="date", limit=1, offset=0))
            if found:
                return found[0]
        return None

    def hook_names(self) -> list[str] | None:
        """Return every hook in one spelling; None when there are too many to step over."""
        inventory = Inventory(self._tables)
        return self._session.run(inventory.names)
