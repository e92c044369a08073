"""Actions in progress in a claim of nobody: wpbridge started them, and no runner's row names it.

A runner writes what it has in hand in the transaction that changes it, so none of its crashes
leaves such a row. But wpbridge 0.1 left some, tables of that release that could not be changed have
no counter of writes, and people delete rows. What PHP started is the plugin's cleaner's business.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, text

from wpbridge.clock import to_text
from wpbridge.store.database.texts import split
from wpbridge.store.structure.tables import Tables

SILENT: Final = timedelta(seconds=120)
"""A living runner refreshes its rows every 10 s, and is taken for dead itself after so long. It is
well before 300 s, when the plugin's cleaner would fail them."""
MOST: Final = 500
"""So many are looked at in one go."""
STARTED: Final = "action started via wpbridge"
PHP_CONTEXTS: Final = (
    "WP Cron",
    "Async Request",
    "WP CLI",
    "Action Scheduler CLI",
    "Admin List Table",
)
"""What the plugin's log rows name as the way an action was run; they are never translated."""


class Orphans:
    """The orphans of one site."""

    def __init__(self, tables: Tables) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._own = tables.own
        self._runners = names.runners
        index = dialect.use_index(layout.attempt_index or layout.due_index)
        held: BindParameter[int] = bindparam("held", expanding=True)
        ids: BindParameter[int] = bindparam("ids", expanding=True)
        self._find = text(
            f"SELECT action_id FROM {names.actions}{index} WHERE status = 'in-progress'"
            " AND last_attempt_gmt <= :before AND claim_id > 0 AND claim_id NOT IN :held"
            f" LIMIT {MOST}"
        ).bindparams(held)
        by_php = " OR ".join(f"message LIKE '%via {context}%'" for context in PHP_CONTEXTS)
        self._starts = text(
            f"SELECT action_id, MAX(CASE WHEN message LIKE '{STARTED}%' THEN log_id END) AS ours,"
            f" MAX(CASE WHEN {by_php} THEN log_id END) AS theirs FROM {names.logs}"
            " WHERE action_id IN :ids GROUP BY action_id"
        ).bindparams(ids)
        self._claims = text(f"SELECT claims FROM {names.runners} WHERE claims <> ''")

    def find(self, connection: Connection, now: datetime) -> list[int]:
        """Return ids of rows in progress that wpbridge started last and that nobody has in hand."""
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
