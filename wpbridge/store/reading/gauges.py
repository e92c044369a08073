"""Read what a queue shows at one moment, at a cost that does not grow with the queue.

Every statement walks an index and stops after so many rows: docs/explain/measuring.md. On sites of
an old layout, which lack these indexes, rows are read one by one.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.reading.counting import CAP
from wpbridge.store.reading.due import DUE, Due
from wpbridge.store.reading.found import whole
from wpbridge.store.reading.survey import Rows
from wpbridge.store.schema.charsets import to_bytes
from wpbridge.store.structure.server import Server
from wpbridge.store.structure.tables import Tables

SCANNED: Final = 20_000
"""Hooks are told apart among so many running actions."""
LOG_ROWS: Final = 5_000
"""Signs of runners are looked for in so many of the newest log rows."""
LONGEST: Final = 1_000
"""The action that runs longest is looked for among so many."""
PAST_DUE: Final = timedelta(minutes=1)
"""What has been due for longer is past due."""
FILE: Final = "database"
"""The name under which the size of SQLite's file stands, which does not say more."""
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DueNumbers(NamedTuple):
    """How many actions are due, without the held ones."""

    due: int
    past_due: int


class TableNumbers(NamedTuple):
    """How large a table is."""

    rows: int | None
    """As the server estimates them; None where it does not."""
    size: int
    """In bytes, with the indexes."""


class Gauges:
    """The gauges of one site."""

    def __init__(self, tables: Tables, due: Due) -> None:
        layout, dialect = tables.layout, tables.dialect
        actions = tables.names.actions
        self._tables = tables
        self._due = due
        self._rows_of = Rows(tables)
        self._exact = dialect.as_bytes("hook")
        self._by_date = f"{actions}{dialect.use_index(layout.due_index)}"
        self._by_attempt = f"{actions}{dialect.use_index(layout.attempt_index)}"
        self._logs = tables.names.logs

    def due(self, now: datetime, held: Collection[str]) -> DueNumbers:
        """Count what is due, and what has been due for a minute, up to the cap.

        The actions of ``held`` hooks are left out.
        """
        then = now - PAST_DUE
        aside, past_aside = (self._due.held(at, held, cap=CAP) for at in (now, then))
        columns, but_held, values = "scheduled_date_gmt", "", dict[str, object]()
        most = CAP + aside
        if aside >= CAP:
            # There may be more held ones than were counted: only the others are counted then.
            columns, but_held = "scheduled_date_gmt, hook", f" WHERE {self._exact} NOT IN :held"
            values = {"held": [to_bytes(hook) for hook in sorted(held)]}
            most, aside, past_aside = 2 * CAP, 0, 0
        [[due, past]] = self._rows(
            "SELECT COUNT(*), SUM(CASE WHEN scheduled_date_gmt <= :then THEN 1 ELSE 0 END)"
            f" FROM (SELECT {columns} FROM {self._by_date} WHERE {DUE}"
            f" ORDER BY scheduled_date_gmt LIMIT :most) AS firsts{but_held}",
            now=to_text(now),
            then=to_text(then),
            most=most,
            **values,
        )
        return DueNumbers(_within(whole(due) - aside), _within(whole(past or 0) - past_aside))

    def claims(self) -> int:
        """Count the claims that hold actions, as PHP's runners do, up to ten thousand."""
        return self._rows_of.live_claims()

    def running(self) -> dict[str, int]:
        """Count the running actions by hook, among so many."""
        rows = self._rows(
            f"SELECT hook, COUNT(*) FROM (SELECT hook FROM {self._by_attempt}"
            f" WHERE status = 'in-progress' LIMIT {SCANNED}) AS running GROUP BY hook"
        )
        return {str(hook): whole(count) for hook, count in rows}

    def longest_start(self) -> datetime | None:
        """Return when the action started that runs longest; None where none runs.

        Its log says when. The date in its row is newer: a runner renews it while the action runs.
        """
        rows = self._rows(
            f"SELECT action_id, last_attempt_gmt FROM {self._by_attempt}"
            " WHERE status = 'in-progress' AND last_attempt_gmt > :zero"
            f" ORDER BY last_attempt_gmt LIMIT {LONGEST}",
            zero=ZERO_DATE,
        )
        starts = {whole(action): date(at) for action, at in rows}
        if starts:
            logged = self._rows(
                f"SELECT action_id, MAX(log_date_gmt) FROM {self._logs} WHERE action_id IN :ids"
                " AND message LIKE 'action started%' GROUP BY action_id",
                ids=sorted(starts),
            )
            starts |= {whole(action): date(at) for action, at in logged}
        return min((at for at in starts.values() if at is not None), default=None)

    def sizes(self) -> dict[str, TableNumbers]:
        """Return the sizes of the plugin's tables and ours, by name."""
        server = Server(self._tables)
        if server.is_file:
            return {FILE: TableNumbers(None, server.file_bytes())}
        return {
            name: TableNumbers(size.rows, size.data_bytes) for name, size in server.sizes().items()
        }

    def signs(self) -> Mapping[str, datetime]:
        """Return when the newest log rows last name a runner: ``wpbridge`` or ``php``."""
        found: dict[str, datetime] = {}
        for name, at in self._rows_of.contexts(_EVER, most=LOG_ROWS).items():
            kind = "wpbridge" if name == "wpbridge" else "php"
            found[kind] = max(at, found.get(kind, at))
        return found

    def last_counted(self) -> datetime | None:
        """Return the newest minute in which a runner of wpbridge has noted what was due."""
        table = self._tables.names.stats
        if not self._tables.own.has(table):
            return None

        def read(connection: Connection) -> object:
            return connection.execute(
                text(f"SELECT MAX(begin_gmt) FROM {table} WHERE span = 'minute'"), {}
            ).scalar()

        return date(self._tables.session.run(read))

    def _rows(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._tables.session.run(lambda c: c.execute(text(statement), values).fetchall())


def _within(count: int) -> int:
    return max(0, min(count, CAP))
