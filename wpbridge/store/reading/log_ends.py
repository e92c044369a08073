"""Read the ends of actions' logs, for who looks at them.

An action that is put off again and again has many log rows, and a row may be as long as its writer
wanted. So few rows are read, and of each as much as anybody shows.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from wpbridge.action import ActionId
from wpbridge.store.database.connection import Statement, text
from wpbridge.store.database.texts import date
from wpbridge.store.reading.conditions import possible
from wpbridge.store.reading.found import whole
from wpbridge.store.records import LogEntry
from wpbridge.store.structure.tables import Tables

MESSAGE_CHARS: Final = 10_000
"""So much of a message is read."""
MOST_COUNTED: Final = 100_000
"""So far the rows of an action are counted."""
_IDS_A_STATEMENT: Final = 1000


class Ends(NamedTuple):
    """The first and the newest rows of one action, in the order in which they were written."""

    entries: Sequence[LogEntry]
    skipped: int
    """How many lie between them, counted up to :data:`MOST_COUNTED`."""


class LogEnds:
    """Reads log rows of one site by the index of their actions."""

    def __init__(self, tables: Tables) -> None:
        """Prepare the statements."""
        self._session = tables.session
        logs = tables.names.logs
        columns = f"l.log_id, l.action_id, SUBSTR(l.message, 1, {MESSAGE_CHARS}), l.log_date_gmt"
        of_one = f"SELECT {columns} FROM {logs} l WHERE l.action_id = :id ORDER BY l.log_id"
        self._first = text(f"{of_one} LIMIT :most")
        self._newest = text(f"{of_one} DESC LIMIT :most")
        self._count = text(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {logs} WHERE action_id = :id"
            f" LIMIT {MOST_COUNTED}) AS some"
        )
        self._last = text(
            f"SELECT {columns} FROM {logs} l JOIN (SELECT MAX(log_id) AS log_id FROM {logs}"
            " WHERE action_id IN :ids GROUP BY action_id) AS newest ON newest.log_id = l.log_id"
        )

    def last(self, ids: Sequence[int]) -> dict[ActionId, LogEntry]:
        """Return the newest row of each action that has one."""
        found: dict[ActionId, LogEntry] = {}
        for start in range(0, len(ids), _IDS_A_STATEMENT):
            part = possible(ids[start : start + _IDS_A_STATEMENT])
            found |= {one.action_id: one for one in self._rows(self._last, ids=part)}
        return found

    def newest(self, action_id: int, most: int) -> list[LogEntry]:
        """Return the newest rows of an action, in the order in which they were written."""
        return self._rows(self._newest, id=action_id, most=most)[::-1]

    def of(self, action_id: int, *, first: int, newest: int) -> Ends:
        """Return the ends of an action's log; all of it where it has no more rows than that."""
        end = self.newest(action_id, newest)
        if len(end) < newest:
            return Ends(end, 0)
        begin = self._rows(self._first, id=action_id, most=first)
        begin = [one for one in begin if one.id < end[0].id]
        count = self._session.run(lambda c: c.execute(self._count, {"id": action_id}).scalar())
        return Ends([*begin, *end], max(0, whole(count) - len(begin) - len(end)))

    def _rows(self, statement: Statement, **values: object) -> list[LogEntry]:
        rows = self._session.run(lambda c: c.execute(statement, values).fetchall())
        return [
            LogEntry(
                id=whole(log),
                action_id=ActionId(whole(action)),
                message=str(message),
                at=date(at),
            )
            for log, action, message, at in rows
        ]
