"""Inserts whole rows thousands at a time, and says why the tables cannot hold one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.clock import ZERO_DATE
from wpbridge.store.bulk.rows import WholeRow
from wpbridge.store.database.connection import Connection
from wpbridge.store.database.portions import SMALL, portions, room, text_size
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.schema.tables import ZONES
from wpbridge.store.schema.text_columns import Place
from wpbridge.store.structure.tables import Tables

BATCH: Final = 2_000
"""Rows added in one transaction."""
_PLAIN: Final[Mapping[str | None, str]] = {
    None: "NULL",
    ZERO_DATE: f"'{ZERO_DATE}'",
    **{s.value: f"'{s.value}'" for s in Status},
}
"""What most rows have in some of their columns, as SQL."""


class WholeRowInserts:
    """Inserts whole rows in transactions of the caller's."""

    def __init__(self, tables: Tables) -> None:
        layout, dialect = tables.layout, tables.dialect
        self._session = tables.session
        self._names = tables.names
        self._layout = layout
        self._dialect = dialect
        self._room = room(dialect.most_bytes)
        self._mark = mark = dialect.mark
        numbers = layout.present("claim_id", "group_id", "attempts", "priority")
        texts = ["hook", "scheduled_date_gmt", "scheduled_date_local", "args", "schedule"]
        often = layout.present("status", "last_attempt_gmt", "last_attempt_local", "extended_args")
        columns = ", ".join([*numbers, *texts, *often])
        self._insert = f"INSERT INTO {tables.names.actions} ({columns}) VALUES "
        self._texts = ",".join([mark] * len(texts))

    def why_not(self, rows: Sequence[WholeRow]) -> list[str]:
        """Return for each row why the tables cannot hold it. It is empty if they can."""
        # What is ASCII can only be too long, which the server says.
        if all(_is_ascii(row) for row in rows):
            return [""] * len(rows)
        return self._session.run(lambda c: [self.fault(c, row) for row in rows])

    def fault(self, connection: Connection, row: WholeRow) -> str:
        """Return the same for one row, in the caller's transaction."""
        texts, names = self._layout.texts, self._names
        if fault := texts.fault(connection, _texts_of(names, row)):
            return fault
        # Longer log rows are cut, and bytes that are no text are written out, here as everywhere.
        place = (names.logs, "message")
        messages = [texts.written_out(log[0]) for log in row.logs]
        logs = (texts.why_not(connection, place, told, any_length=True) for told in messages)
        return next((f"log: {why}" for why in logs if why), "")

    def insert_rows(
        self, connection: Connection, rows: Sequence[WholeRow], groups: Mapping[str, int]
    ) -> list[ActionId]:
        """Insert rows without their logs, in the caller's transaction.

        ``groups`` has ids by slug.
        """
        made: list[ActionId] = []
        for part in portions(rows, most=BATCH, room=self._room, size_of=_size):
            values: list[object] = []
            marks: list[str] = []
            for row in part:
                values += (row.hook, row.scheduled, row.scheduled_local, row.args, row.schedule)
                often = [row.status, row.last_attempt, row.last_attempt_local]
                if self._layout.has_extended_args:
                    often.append(row.extended_args)
                # What needs no quoting is written as it is: the driver takes long to quote.
                values += [value for value in often if value not in _PLAIN]
                plain = ",".join([_PLAIN.get(value, self._mark) for value in often])
                priority = f",{row.priority:d}" if self._layout.has_priority else ""
                numbers = f"0,{groups[row.group]:d},{row.attempts:d}{priority}"
                marks.append(f"({numbers},{self._texts},{plain})")
            statement = self._insert + ",".join(marks) + self._dialect.returning("action_id")
            done = connection.exec_driver_sql(statement, tuple(values))
            given = self._dialect.new_ids(connection, done, len(part), self._names.actions)
            made += [ActionId(one) for one in given]
        return made

    def zones(
        self,
        connection: Connection,
        rows: Iterable[tuple[ActionId, WholeRow]],
        groups: Mapping[str, int],
    ) -> None:
        """Insert the time zones of those actions that have one."""
        zoned = [
            (action_id, row.hook, row.args, groups[row.group], *row.zone)
            for action_id, row in rows
            if row.zone is not None
        ]
        mark = f"({', '.join([self._mark] * len(ZONES.given))})"
        for part in portions(
            zoned,
            most=BATCH,
            room=self._room,
            size_of=lambda row: SMALL + text_size("".join(map(str, row))),
        ):
            connection.exec_driver_sql(
                ZONES.insert_start(self._names.zones) + ",".join([mark] * len(part)),
                tuple(value for row in part for value in row),
            )


def _is_ascii(row: WholeRow) -> bool:
    zone = row.zone or ()
    told = f"{row.hook}{row.args}{row.extended_args}{row.schedule}{row.group}{''.join(zone)}"
    return told.isascii() and all(log[0].isascii() for log in row.logs)


def _texts_of(names: TableNames, row: WholeRow) -> Iterator[tuple[str, Place, str | None]]:
    """Yield the texts of a row with their names and the columns that they are to stand in."""
    for name, told in (
        ("hook", row.hook),
        ("args", row.args),
        ("extended_args", row.extended_args),
        ("schedule", row.schedule),
    ):
        yield name, (names.actions, name), told
    yield "group", (names.groups, "slug"), row.group
    if row.zone is not None:
        yield "hook", (names.zones, "hook"), row.hook
        yield "cron", (names.zones, "expression"), row.zone[0]
        yield "tz", (names.zones, "zone"), row.zone[1]


def _size(row: WholeRow) -> int:
    """Estimate what a row takes in a statement."""
    return SMALL + text_size(f"{row.hook}{row.args}{row.extended_args}{row.schedule}")
