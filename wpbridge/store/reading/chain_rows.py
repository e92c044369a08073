"""Read the recurring actions of one hook after another, at a cost that no backlog adds to.

Hooks are found by stepping over the index by hook. Of each hook a bounded number of actions is
looked at: the pending ones that are due first, and the endings that were due last.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from wpbridge.codec import schedule
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.texts import as_bytes, date, number
from wpbridge.store.structure.tables import Tables

LIVE: Final = 2_000
"""So many pending actions of a hook are looked at, and as many running ones."""
ENDED: Final = 200
"""So many endings of a hook are looked at, for each way to end."""
_KEPT: Final = 500
"""So many recurring actions of a hook are taken."""


_IDS: Final = 1_000


class ChainRow(NamedTuple):
    """A live action that repeats."""

    id: int
    status: str
    group_id: int
    args: bytes
    """The args column, which has a hash of long args. It tells chains of one hook apart."""
    scheduled_at: datetime | None


class EndedRow(NamedTuple):
    """An action that has ended."""

    id: int
    status: str
    group_id: int
    args: bytes
    scheduled_at: datetime | None
    repeats: bool
    """Whether its schedule is one that repeats."""


class Run(NamedTuple):
    """When an action began and ended, as its log says."""

    began: datetime | None
    ended: datetime | None


class ChainRows:
    """The recurring actions of one site. Every statement is bounded."""

    def __init__(self, tables: Tables) -> None:
        self._session = tables.session
        layout, dialect, names = tables.layout, tables.dialect, tables.names
        actions = names.actions
        index = layout.hook_index or layout.old_hook_index
        self._next = text(dialect.next_value(actions, "hook", index)) if index else None
        # The leading wildcard reads the few rows that the inner statement gives.
        repeats = (
            f"(schedule LIKE '%{schedule.Interval.php_class}%'"
            f" OR schedule LIKE '%{schedule.Cron.php_class}%')"
        )
        hinted = f"{actions}{dialect.use_index(index)}"
        columns = "action_id, status, group_id, args, scheduled_date_gmt"
        live = " UNION ALL ".join(
            f"SELECT * FROM (SELECT {columns}, schedule FROM {hinted} WHERE hook = :hook"
            f" AND status = '{status}' ORDER BY scheduled_date_gmt LIMIT {LIVE}) AS {name}"
            for status, name in (("pending", "pending"), ("in-progress", "running"))
        )
        self._live = text(f"SELECT {columns} FROM ({live}) AS live WHERE {repeats} LIMIT {_KEPT}")
        self._pending = text(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {hinted} WHERE hook = :hook"
            f" AND status = 'pending' LIMIT {LIVE + 1}) AS counted"
        )
        self._ended = text(
            " UNION ALL ".join(
                f"SELECT * FROM (SELECT {columns}, {repeats} FROM {hinted} WHERE hook = :hook"
                f" AND status = '{status}' ORDER BY scheduled_date_gmt DESC LIMIT :most)"
                f" AS {status}"
                for status in ("complete", "failed", "canceled")
            )
        )
        self._runs = text(
            f"SELECT action_id, MIN(log_date_gmt), MAX(log_date_gmt) FROM {names.logs}"
            " WHERE action_id IN :ids AND message NOT LIKE 'action created%'"
            " AND message NOT LIKE 'action requeued%' AND message NOT LIKE 'action rescheduled%'"
            " GROUP BY action_id"
        )

    def hooks(self, after: str, most: int) -> list[str]:
        """Return the hooks that come after this one in the index, one step for each.

        Empty where the table has no index by hook, or its collation does not let one step on.
        """
        step = self._next
        if step is None:
            return []

        def look(connection: Connection) -> list[str]:
            found: dict[str, None] = {}
            last = after
            while len(found) < most:
                name = connection.execute(step, {"last": last}).scalar()
                if name is None or str(name) in found or str(name) == after:
                    break
                last = str(name)
                found[last] = None
            return list(found)

        return self._session.run(look)

    def live(self, hook: str) -> list[ChainRow]:
        """Return the live actions of a hook that repeat, the next ones first."""
        rows = self._fetched(self._live, {"hook": hook})
        return [
            ChainRow(number(action), str(status), number(group), as_bytes(args), date(at))
            for action, status, group, args, at in rows
        ]

    def is_crowded(self, hook: str) -> bool:
        """Tell whether a hook has more pending actions than are looked at."""
        found = self._session.run(lambda c: c.execute(self._pending, {"hook": hook}).scalar())
        return number(found) > LIVE

    def ended(self, hook: str, most: int = ENDED) -> list[EndedRow]:
        """Return the endings of a hook that were due last, so many of each status at most.

        The newest come first.
        """
        rows = self._fetched(self._ended, {"hook": hook, "most": min(most, ENDED)})
        found = [
            EndedRow(
                number(action), str(status), number(group), as_bytes(args), date(at), bool(repeats)
            )
            for action, status, group, args, at, repeats in rows
        ]
        return sorted(found, key=_newest, reverse=True)

    def runs(self, ids: Sequence[int]) -> dict[int, Run]:
        """Return when actions began and ended; the index of the logs by action finds it."""
        found: dict[int, Run] = {}
        for start in range(0, len(ids), _IDS):
            part = {"ids": ids[start : start + _IDS]}
            for action, began, ended in self._fetched(self._runs, part):
                found[number(action)] = Run(date(began), date(ended))
        return found

    def _fetched(
        self, statement: Statement, values: Mapping[str, object]
    ) -> Sequence[Sequence[object]]:
        return self._session.run(lambda c: c.execute(statement, values).fetchall())


def _newest(row: EndedRow) -> tuple[float, int]:
    return (row.scheduled_at.timestamp() if row.scheduled_at else 0.0, row.id)
