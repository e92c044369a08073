"""Keep how large the tables of a queue were, hour by hour for a week, to see how fast they grow.

The rows stand in `wpbridge_stats`, in a span of their own, so that nobody takes them for endings.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from wpbridge.clock import to_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.schema.tables import STATS
from wpbridge.store.structure.tables import Tables

KEPT: Final = timedelta(days=7)
_SPAN: Final = "size"


class Size(NamedTuple):
    """How large a table was at some hour."""

    at: datetime
    table: str
    bytes: int


class Sizes:
    """The sizes of one site's tables."""

    def __init__(self, tables: Tables) -> None:
        self._session = tables.session
        self._own = tables.own
        self._table = table = tables.names.stats
        none = dict.fromkeys(("duration_seconds", "wait_seconds", "group_id"), "0")
        texts = {"durations": "''", "waits": "''", "outcome": "''", "span": f"'{_SPAN}'"}
        self._enter = text(STATS.insert_into(table, tables.dialect.insert_ignore, **none, **texts))
        self._read = text(
            f"SELECT begin_gmt, hook, actions FROM {table} WHERE span = '{_SPAN}'"
            " AND begin_gmt >= :since ORDER BY begin_gmt"
        )
        self._delete = text(f"DELETE FROM {table} WHERE span = '{_SPAN}' AND begin_gmt < :before")

    def note(self, at: datetime, sizes: Mapping[str, int]) -> None:
        """Note the sizes of the hour, unless that was done, and forget what is too old."""
        if not self._own.has(self._table):
            return
        begin = to_text(at.replace(minute=0, second=0, microsecond=0))

        def note(connection: Connection) -> None:
            for name, size in sorted(sizes.items()):
                values = {"begin_gmt": begin, "hook": name, "actions": size}
                connection.execute(self._enter, values)
            connection.execute(self._delete, {"before": to_text(at - KEPT)})

        self._session.transact(note)

    def since(self, at: datetime) -> list[Size]:
        """Return the sizes from a moment on, the oldest first."""
        if not self._own.has(self._table):
            return []
        rows = self._session.run(lambda c: c.execute(self._read, {"since": to_text(at)}).fetchall())
        return [
            Size(moment, str(table), int(str(size)))
            for begin, table, size in rows
            if (moment := date(begin)) is not None
        ]
