"""Find what PHP's own runners have ended, in the log rows that they write.

The plugin's tables do not say who ended an action, or when. Its log does. Rows are read by their
ids, up to the newest one at the look before. So a row that was numbered and not yet committed then
is there by now, and none is passed over. The mark of what was counted is moved on in the
transaction that adds the counts: each ending is counted once, whoever dies.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.stats import Count, Stats
from wpbridge.store.structure.tables import Tables
from wpbridge.store.upkeep.duties import Duty

DUTY: Final[Duty] = "history"
MOST_ROWS: Final = 20_000
"""How many log rows one look reads at most."""
_OURS: Final = "via wpbridge"


class PhpEnding(NamedTuple):
    """One ending that a runner of PHP's has written. Its moments have whole seconds."""

    hook: str
    group_id: int
    group: str
    outcome: str
    reason: str
    """Of a failure, in one word: ``error``, ``crash`` or ``timeout``. Else empty."""
    ended_at: datetime
    took_seconds: float | None
    """None where the start is not known."""
    waited_seconds: float | None


class PhpEndings:
    """The endings that PHP's runners have written since somebody last looked."""

    def __init__(self, tables: Tables, groups: Groups, stats: Stats) -> None:
        names, dialect = tables.names, tables.dialect
        logs, actions = names.logs, names.actions
        self._session = tables.session
        self._groups = groups
        self._stats = stats
        self._read_mark = text(
            f"SELECT left_to FROM {names.duties} WHERE duty = :duty{dialect.row_lock}"
        )
        self._move = text(f"UPDATE {names.duties} SET left_to = :mark WHERE duty = :duty")
        self._newest = text(f"SELECT MAX(log_id) FROM {logs}")
        self._last = text(
            f"SELECT MAX(log_id) FROM (SELECT log_id FROM {logs} WHERE log_id > :after"
            " AND log_id <= :until ORDER BY log_id LIMIT :most) AS part"
        )
        ended = " OR ".join(f"l.message LIKE '{start}%'" for start in _STARTS)
        self._ended = text(
            "SELECT l.message, l.log_date_gmt, a.hook, a.group_id, a.scheduled_date_gmt,"
            f" (SELECT MAX(s.log_id) FROM {logs} s WHERE s.action_id = l.action_id"
            " AND s.log_id < l.log_id AND s.message LIKE 'action started%') AS start_id"
            f" FROM {logs} l JOIN {actions} a ON a.action_id = l.action_id"
            " WHERE l.log_id > :after AND l.log_id <= :until"
            f" AND ({ended}) AND l.message NOT LIKE '%{_OURS}%' ORDER BY l.log_id"
        )
        self._starts = text(
            f"SELECT log_id, message, log_date_gmt FROM {logs} WHERE log_id IN :ids"
        )

    def count(self, counts_of: Callable[[Sequence[PhpEnding]], Sequence[Count]]) -> "Looked":
        """Add to the history what PHP has ended since the last look. Only the duty's holder may.

        Args:
            counts_of: returns what is to be added for these endings, with samples of the moment.
        """

        def count(connection: Connection) -> Looked:
            mark, seen = self._mark(connection)
            newest = int(connection.execute(self._newest, {}).scalar() or 0)
            if mark is None or newest < mark:
                # The first look, or the log was emptied: what was before is not counted.
                endings, mark, has_more = [], newest, False
            else:
                given = {"after": mark, "until": seen, "most": MOST_ROWS}
                last = int(connection.execute(self._last, given).scalar() or mark)
                endings = self._endings(connection, mark, last)
                mark, has_more = max(mark, last), last < seen
            self._stats.add_on(connection, counts_of(endings))
            connection.execute(self._move, {"duty": DUTY, "mark": f"{mark} {newest}"})
            return Looked(endings, has_more=has_more)

        return self._session.transact(count)

    def _mark(self, connection: Connection) -> tuple[int | None, int]:
        """Return up to which row was counted, and which was the newest at that look."""
        told = str(connection.execute(self._read_mark, {"duty": DUTY}).scalar() or "")
        mark, _, seen = told.partition(" ")
        if not (mark.isdigit() and seen.isdigit()):
            return None, 0
        return int(mark), int(seen)

    def _endings(self, connection: Connection, after: int, until: int) -> list[PhpEnding]:
        rows = connection.execute(self._ended, {"after": after, "until": until}).fetchall()
        ids = [int(row[5]) for row in rows if row[5] is not None]
        started: dict[int, tuple[str, datetime | None]] = {}
        for start in range(0, len(ids), 1000):
            part = {"ids": ids[start : start + 1000]}
            for log_id, message, at in connection.execute(self._starts, part).fetchall():
                started[int(log_id)] = str(message), date(at)
        found = []
        for message, ended, hook, group_id, due, start_id in rows:
            said, began = started.get(int(start_id or 0), ("", None))
            at = date(ended)
            if _OURS in said or at is None:
                # A PHP worker of ours ran it, and our runner has counted it.
                continue
            outcome, reason = _meaning(str(message))
            scheduled = date(due)
            found.append(
                PhpEnding(
                    hook=str(hook),
                    group_id=int(group_id or 0),
                    group=self._groups.slug_on(connection, int(group_id or 0)),
                    outcome=outcome,
                    reason=reason,
                    ended_at=at,
                    took_seconds=_seconds(began, at),
                    waited_seconds=_seconds(scheduled, began),
                )
            )
        return found


class Looked(NamedTuple):
    """What one look has found."""

    endings: Sequence[PhpEnding]
    has_more: bool
    """Whether there are more log rows to read at once."""


_STARTS: Final = {
    "action complete": ("complete", ""),
    "action failed": ("failed", "error"),
    "unexpected shutdown": ("failed", "crash"),
    "action timed out": ("failed", "timeout"),
    "action marked as failed": ("failed", "timeout"),
}
"""How the plugin's log rows of endings begin, and what each means."""


def _meaning(message: str) -> tuple[str, str]:
    return next(meaning for start, meaning in _STARTS.items() if message.startswith(start))


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    if begin is None or end is None:
        return None
    return max(0.0, (end - begin).total_seconds())
