"""Read what a queue shows at one moment, at a cost that does not grow with the queue.

Every statement walks an index and stops after so many rows: docs/explain/measuring.md. On sites of
an old layout, which lack these indexes, rows are read one by one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.reading.counting import CAP
from wpbridge.store.reading.due import DUE, Due
from wpbridge.store.reading.found import whole
from wpbridge.store.reading.survey import Rows
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.held_hooks import HeldHooks
from wpbridge.store.schema.charsets import to_bytes
from wpbridge.store.structure.server import Server
from wpbridge.store.structure.tables import Tables

SCANNED: Final = 20_000
"""Groups are told apart among so many of the oldest due rows, and hooks among as many running."""
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


class DueGroup(NamedTuple):
    """The due actions of one group, among those that were read."""

    actions: int
    oldest: datetime | None
    """None where all have a zero date."""


class TableNumbers(NamedTuple):
    """How large a table is."""

    rows: int | None
    """As the server estimates them; None where it does not."""
    size: int
    """In bytes, with the indexes."""


class Gauges:
    """The gauges of one site."""

    def __init__(self, tables: Tables, groups: Groups, due: Due, held: HeldHooks) -> None:
        layout, dialect = tables.layout, tables.dialect
        actions = tables.names.actions
        self._tables = tables
        self._groups = groups
        self._due = due
        self._held = held
        self._rows_of = Rows(tables)
        self._exact = dialect.as_bytes("hook")
        self._by_date = f"{actions}{dialect.use_index(layout.due_index)}"
        self._by_attempt = f"{actions}{dialect.use_index(layout.attempt_index)}"
        self._logs = tables.names.logs

    def due(self, now: datetime) -> DueNumbers:
        """Count what is due, and what has been due for a minute, up to the cap."""
        hooks = self._held.hooks()
        return DueNumbers(self._count(now, hooks), self._count(now - PAST_DUE, hooks))

    def _count(self, now: datetime, hooks: Collection[str]) -> int:
        held = self._due.held(now, hooks, cap=CAP)
        if held < CAP:
            return self._due.count(now, cap=CAP, held=held)
        # There may be more held ones than were counted: only the others are counted then.
        [[found]] = self._rows(
            f"SELECT COUNT(*) FROM (SELECT hook FROM {self._by_date} WHERE {DUE}"
            f" ORDER BY scheduled_date_gmt LIMIT {2 * CAP}) AS firsts WHERE {self._exact}"
            " NOT IN :held",
            now=to_text(now),
            held=_listed(hooks),
        )
        return min(whole(found), CAP)

    def due_groups(self, now: datetime) -> dict[str, DueGroup]:
        """Return the groups of the oldest due actions, by slug, without the held ones."""
        hooks = self._held.hooks()
        but_held = f" WHERE {self._exact} NOT IN :held" if hooks else ""
        rows = self._rows(
            "SELECT group_id, COUNT(*), MIN(CASE WHEN scheduled_date_gmt > :zero THEN"
            " scheduled_date_gmt END) FROM (SELECT group_id, scheduled_date_gmt, hook FROM"
            f" {self._by_date} WHERE {DUE} ORDER BY scheduled_date_gmt LIMIT {SCANNED}) AS oldest"
            f"{but_held} GROUP BY group_id",
            now=to_text(now),
            zero=ZERO_DATE,
            **({"held": _listed(hooks)} if hooks else {}),
        )
        found: dict[str, DueGroup] = {}
        for group_id, count, first in rows:
            slug = self._groups.slug(whole(group_id or 0))
            # Several rows of the table of groups may have one slug.
            known = found.get(slug, DueGroup(0, None))
            dates = [one for one in (known.oldest, date(first)) if one is not None]
            found[slug] = DueGroup(known.actions + whole(count), min(dates, default=None))
        return found

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
        for name, at in self._rows_of.contexts(_EVER).items():
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


def _listed(hooks: Iterable[str]) -> list[bytes]:
    return [to_bytes(hook) for hook in sorted(hooks)]
