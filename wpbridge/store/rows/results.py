"""Keep what handlers returned, and how far those that run say they are.

A result is written in the transaction that settles its action. So there is no result of an action
that has not ended, and after a crash both are there or neither is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.outcome import Progress
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.portions import escaped_size, portions, room
from wpbridge.store.database.texts import date, listed
from wpbridge.store.records import StoredResult
from wpbridge.store.schema.tables import RESULTS
from wpbridge.store.structure.tables import Tables

_PORTION: Final = 100


class Results:
    """The results of one site's actions."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._table = table = names.results
        self._insert = RESULTS.insert_start(table)
        self._row = f"({dialect.mark}, {dialect.mark}, NULL, '', {dialect.mark})"
        self._or_change = dialect.or_update("action_id", "result", "updated_gmt")
        self._room = room(dialect.most_bytes)
        self._advance = text(
            RESULTS.insert_into(table, result="NULL")
            + dialect.or_update("action_id", "progress", "progress_text", "updated_gmt")
        )
        self._read = text(
            "SELECT action_id, result, progress, progress_text, updated_gmt"
            f" FROM {table} WHERE action_id IN :ids"
        )
        self._old = text(
            f"SELECT action_id FROM {table} WHERE updated_gmt <= :before"
            " ORDER BY updated_gmt LIMIT :most"
        )
        self._orphans = text(
            f"SELECT r.action_id FROM {table} r WHERE NOT EXISTS"
            f" (SELECT 1 FROM {names.actions} a WHERE a.action_id = r.action_id) LIMIT :most"
        )

    def is_kept(self) -> bool:
        """Return whether the site has the table; without it, results are left out."""
        return self._own.has(self._table)

    def write(
        self, connection: Connection, results: Sequence[tuple[ActionId, str]], now: datetime
    ) -> None:
        """Write results, as JSON, in the transaction that settles their actions."""
        parts = portions(results, most=_PORTION, room=self._room, size_of=_size)
        for part in parts:
            rows = ", ".join([self._row] * len(part))
            values = [value for one in part for value in (*one, to_text(now))]
            connection.exec_driver_sql(f"{self._insert}{rows}{self._or_change}", values)

    def advance(self, steps: Mapping[ActionId, Progress]) -> None:
        """Write how far running actions are. Without the table nothing is written."""
        if not (steps and self.is_kept()):
            return

        def write(connection: Connection) -> None:
            for action_id, step in sorted(steps.items()):
                values: dict[str, object] = {
                    "action_id": action_id,
                    "progress": step.fraction,
                    "progress_text": step.text,
                    "updated_gmt": to_text(step.at),
                }
                connection.execute(self._advance, values)

        self._session.transact(write)

    def of(self, ids: Sequence[ActionId]) -> dict[ActionId, StoredResult]:
        """Return what is kept of these actions."""
        if not (ids and self.is_kept()):
            return {}
        found: dict[ActionId, StoredResult] = {}
        values = {"ids": sorted(ids)}
        for action_id, result, progress, said, updated in self._session.run(
            lambda c: c.execute(self._read, values).fetchall()
        ):
            found[ActionId(int(action_id))] = StoredResult(
                result=None if result is None else str(result),
                progress=None if progress is None else float(progress),
                progress_text=str(said),
                updated_at=date(updated),
            )
        return found

    def forget(self, connection: Connection, ids: Sequence[int]) -> None:
        """Delete what is kept of actions that are deleted, or that run anew."""
        if ids and self._own.has(self._table):
            connection.exec_driver_sql(
                f"DELETE FROM {self._table} WHERE action_id IN {listed(ids)}"
            )

    def expire(self, before: datetime | None, most: int) -> int:
        """Delete at most so many rows that were written at ``before`` or earlier.

        With None those whose action is gone: the plugin's cleaner deletes actions alone. Returns
        how many were deleted; ``most`` says that there may be more.
        """
        if not self.is_kept():
            return 0
        values: dict[str, object] = {"most": most}
        statement = self._orphans
        if before is not None:
            statement, values = self._old, values | {"before": to_text(before)}

        def expire(connection: Connection) -> int:
            ids = [int(row[0]) for row in connection.execute(statement, values).fetchall()]
            self.forget(connection, sorted(ids))
            return len(ids)

        return self._session.transact(expire)


def _size(one: tuple[ActionId, str]) -> int:
    return escaped_size(one[1]) + 64
