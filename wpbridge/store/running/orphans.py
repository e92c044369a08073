"""Find running actions that wpbridge started and whose claim no runner's row names.

A runner writes what it has in hand in the transaction that changes it, so none of its crashes
leaves such a row. But wpbridge 0.1 left some, its tables have no counter of writes if they could
not be changed, and people delete rows. What PHP started is left to the plugin's cleaner.
"""

from datetime import datetime, timedelta
from typing import Final

from wpbridge.clock import to_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import split
from wpbridge.store.structure.tables import Tables

SILENT: Final = timedelta(seconds=120)
"""So long an orphan must be without a sign of life. A living runner renews its rows every 10 s and
is taken for dead after this time. The plugin's cleaner fails such rows only after 300 s."""
MOST: Final = 500
"""At most so many orphans are read at once."""
STARTED: Final = "action started via wpbridge"
PHP_CONTEXTS: Final = (
    "WP Cron",
    "Async Request",
    "WP CLI",
    "Action Scheduler CLI",
    "Admin List Table",
)
"""What the plugin's log rows name as the way an action was run; these names are not translated."""


class Orphans:
    """The orphans of one site."""

    def __init__(self, tables: Tables) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._own = tables.own
        self._runners = names.runners
        index = dialect.use_index(layout.attempt_index or layout.due_index)
        self._find = text(
            f"SELECT action_id FROM {names.actions}{index} WHERE status = 'in-progress'"
            " AND last_attempt_gmt <= :before AND claim_id > 0 AND claim_id NOT IN :held"
            f" LIMIT {MOST}"
        )
        by_php = " OR ".join(f"message LIKE '%via {context}%'" for context in PHP_CONTEXTS)
        self._starts = text(
            f"SELECT action_id, MAX(CASE WHEN message LIKE '{STARTED}%' THEN log_id END) AS ours,"
            f" MAX(CASE WHEN {by_php} THEN log_id END) AS theirs FROM {names.logs}"
            " WHERE action_id IN :ids GROUP BY action_id"
        )
        self._claims = text(f"SELECT claims FROM {names.runners} WHERE claims <> ''")

    def find(self, connection: Connection, now: datetime) -> list[int]:
        """Return ids of running rows that wpbridge started last and that nobody has in hand."""
        values = {"before": to_text(now - SILENT), "held": [-1, *self.owned(connection)]}
        ids = [int(action) for (action,) in connection.execute(self._find, values)]
        if not ids:
            return []
        starts = connection.execute(self._starts, {"ids": ids})
        return sorted(int(i) for i, ours, theirs in starts if ours and ours > (theirs or 0))

    def owned(self, connection: Connection) -> set[int]:
        """Return all claims that some runner of wpbridge has in hand."""
        if not self._own.has(self._runners):
            return set()
        rows = connection.execute(self._claims)
        return {claim for (told,) in rows for claim in split(str(told))}
