"""Reads whole rows thousands at a time, in any status."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from wpbridge.action import ActionId
from wpbridge.store.bulk.rows import Spans, WholeRow
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.portions import portions
from wpbridge.store.database.texts import as_text
from wpbridge.store.reading.conditions import Conditions
from wpbridge.store.records import Query
from wpbridge.store.rows.groups import Groups
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ACTIONS
from wpbridge.store.structure.tables import Tables

WINDOW: Final = 1_000
"""Rows read at a time, at most."""
WINDOW_BYTES: Final = 8 << 20
"""Rows read at a time have so many bytes together, or one row alone has more."""


class _Row(NamedTuple):
    """A row of the actions table, as the database gives it."""

    action_id: int
    hook: object
    status: object
    scheduled_date_gmt: object
    scheduled_date_local: object
    args: object
    extended_args: object
    schedule: object
    group_id: int
    priority: int
    attempts: int
    last_attempt_gmt: object
    last_attempt_local: object
    claim_id: int


class WholeRows:
    """Reads whole rows of one site, by windows of ids. One window is held in memory."""

    def __init__(self, tables: Tables, conditions: Conditions, groups: Groups) -> None:
        names, layout = tables.names, tables.layout
        self._session = tables.session
        self._names = names
        self._dialect = tables.dialect
        self._own = tables.own
        self._conditions = conditions
        self._groups = groups
        self._reader = reader(_Row, ACTIONS, of="a", lacking=layout.lacking)
        self._columns = self._reader.columns
        large = layout.present("args", "extended_args", "schedule")
        self._length = " + ".join([f"COALESCE(LENGTH(a.{one}), 0)" for one in large])
        self._logs = text(
            f"SELECT action_id, message, log_date_gmt, log_date_local FROM {names.logs}"
            " WHERE action_id IN :ids ORDER BY log_id"
        )
        self._log_lengths = text(
            f"SELECT action_id, SUM(LENGTH(message)) FROM {names.logs}"
            " WHERE action_id IN :ids GROUP BY action_id"
        )
        self._zones = text(
            f"SELECT action_id, expression, zone FROM {names.zones} WHERE action_id IN :ids"
        )
        self._waits = text(
            f"SELECT action_id, after_id, on_failed FROM {names.waits} WHERE action_id IN :ids"
            " ORDER BY action_id, after_id"
        )
        self._statuses = text(
            f"SELECT status, COUNT(*) FROM {names.actions}"
            " WHERE action_id BETWEEN :first AND :last GROUP BY status"
        )

    def identity(self) -> str:
        """Return which queue this is. The server itself tells it, whatever way it is reached."""
        return f"{self._session.run(self._dialect.identity)}:{self._names.prefix}"

    def highest(self) -> int:
        """Return the highest id."""
        statement = text(f"SELECT MAX(action_id) FROM {self._names.actions}")
        return int(self._session.run(lambda c: c.execute(statement).scalar()) or 0)

    def read(
        self, query: Query, *, logs: bool = True, size: int = WINDOW
    ) -> Iterator[list[WholeRow]]:
        """Read the actions meant by id, a window at a time. Each is as it is at that moment.

        What is added meanwhile is left out, so that it comes to an end. How large the rows are is
        asked first: a schedule alone may have 4 GiB.
        """
        where, given = self._conditions.where(query)
        if where is None:
            return
        joint = f"{where} AND" if where else " WHERE"
        wanted = (
            f" FROM {self._names.actions} a{joint} a.action_id > :last_id"
            " AND a.action_id <= :end_id ORDER BY a.action_id LIMIT :window"
        )
        sizes = text(f"SELECT a.action_id, {self._length}{wanted}")
        statement = text(f"SELECT {self._columns}{wanted}")
        end, last = self.highest(), 0
        while True:
            values = {**given, "last_id": last, "end_id": end, "window": size}
            found = self._session.run(lambda c: self._sizes(c, sizes, values, logs=logs))  # noqa: B023 - run at once
            for part in portions(found, most=size, room=WINDOW_BYTES, size_of=lambda one: one[1]):
                span = {**values, "last_id": last, "end_id": part[-1][0]}
                window = self._session.run(lambda c: self._window(c, statement, span, logs=logs))  # noqa: B023 - run at once
                last = part[-1][0]
                if window:
                    yield window
            if len(found) < size:
                return

    def _sizes(
        self,
        connection: Connection,
        statement: Statement,
        values: Mapping[str, object],
        *,
        logs: bool,
    ) -> list[tuple[int, int]]:
        """Return ids, and about how many characters the row of each has, with its logs."""
        found = {int(i): int(length or 0) for i, length in connection.execute(statement, values)}
        told: dict[int, int] = {}
        if logs and found:
            lengths = connection.execute(self._log_lengths, {"ids": list(found)})
            told = {int(i): int(length or 0) for i, length in lengths}
        return [(i, length + told.get(i, 0)) for i, length in found.items()]

    def in_windows(self, ids: Sequence[ActionId]) -> Iterator[list[ActionId]]:
        """Yield ids in their order, as many at a time as their rows may be read at once."""
        statement = text(
            f"SELECT a.action_id, {self._length} FROM {self._names.actions} a"
            " WHERE a.action_id IN :ids"
        )
        if ids:
            sizes = dict(
                self._session.run(lambda c: self._sizes(c, statement, {"ids": ids}, logs=True))
            )
            yield from portions(
                ids, most=len(ids), room=WINDOW_BYTES, size_of=lambda one: sizes.get(one, 0)
            )

    def on(self, connection: Connection, ids: Sequence[ActionId]) -> list[WholeRow]:
        """Read these actions with all that belongs to them, in the caller's transaction."""
        if not ids:
            return []
        statement = text(
            f"SELECT {self._columns} FROM {self._names.actions} a WHERE a.action_id IN :ids"
            " ORDER BY a.action_id"
        )
        return self._window(connection, statement, {"ids": ids}, logs=True)

    def _window(
        self,
        connection: Connection,
        statement: Statement,
        values: Mapping[str, object],
        *,
        logs: bool,
    ) -> list[WholeRow]:
        rows = self._reader.read(connection.execute(statement, values))
        ids = [row.action_id for row in rows]
        told = self._logs_of(connection, ids) if logs and ids else {}
        zones, waits = self._own_of(connection, ids) if ids else ({}, {})
        slug = self._groups.slug_on
        return [
            WholeRow(
                id=row.action_id,
                hook=as_text(row.hook) or "",
                status=str(row.status),
                scheduled=as_text(row.scheduled_date_gmt),
                scheduled_local=as_text(row.scheduled_date_local),
                args=as_text(row.args),
                extended_args=as_text(row.extended_args),
                schedule=as_text(row.schedule),
                group=slug(connection, int(row.group_id)),
                priority=int(row.priority),
                attempts=int(row.attempts),
                last_attempt=as_text(row.last_attempt_gmt),
                last_attempt_local=as_text(row.last_attempt_local),
                is_claimed=bool(row.claim_id),
                logs=tuple(told.get(row.action_id, ())),
                zone=zones.get(row.action_id),
                waits=tuple(waits.get(row.action_id, ())),
            )
            for row in rows
        ]

    def _logs_of(
        self, connection: Connection, ids: Sequence[int]
    ) -> Mapping[int, list[tuple[str, str | None, str | None]]]:
        found: defaultdict[int, list[tuple[str, str | None, str | None]]] = defaultdict(list)
        for i, message, gmt, local in connection.execute(self._logs, {"ids": ids}):
            found[i].append((as_text(message) or "", as_text(gmt), as_text(local)))
        return found

    def _own_of(
        self, connection: Connection, ids: Sequence[int]
    ) -> tuple[Mapping[int, tuple[str, str]], Mapping[int, list[tuple[int, str]]]]:
        zones: dict[int, tuple[str, str]] = {}
        waits: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        if self._own.has(self._names.zones):
            for i, expression, zone in connection.execute(self._zones, {"ids": ids}):
                zones[i] = (str(expression), str(zone))
        if self._own.has(self._names.waits):
            for i, after, on_failed in connection.execute(self._waits, {"ids": ids}):
                waits[i].append((int(after), str(on_failed)))
        return zones, waits

    def statuses_in(self, spans: Spans) -> dict[str, int]:
        """Count how many of these ids have each status."""
        found: defaultdict[str, int] = defaultdict(int)
        for first, last in spans.spans:
            values = {"first": first, "last": last}
            rows = self._session.run(
                lambda c, v=values: c.execute(self._statuses, v).fetchall()  # type: ignore[misc]
            )
            for status, count in rows:
                found[str(status)] += int(count)
        return dict(found)

    def again(self, ids: Sequence[ActionId], *, logs: bool) -> dict[int, WholeRow]:
        """Read these rows as they are now, without their waits, which name other ids."""
        # Without ids a query means all there are.
        pages = self.read(Query(ids=tuple(ids)), logs=logs) if ids else iter(())
        return {row.id: replace(row, waits=()) for row in itertools.chain.from_iterable(pages)}
