"""Count what is due, and what runs, by pairs of hook and group.

Both are bounded: of what is due the oldest rows count, and few rows of a queue run at once.
"""

from datetime import datetime
from typing import Final

from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Statement, text
from wpbridge.store.database.texts import as_bytes, date
from wpbridge.store.reading.due import DUE, SCANNED
from wpbridge.store.rows.groups import Groups
from wpbridge.store.schema.charsets import to_text as from_bytes
from wpbridge.store.structure.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """How many actions of one hook in one group there are. Names are exact."""

    hook: str
    group: str
    """The slug; empty for no group."""
    actions: int
    claimed: int
    """Those of them that belong to a claim."""
    oldest: datetime | None = None
    """The earliest date of what is due; None where all have a zero date."""


class DuePairs:
    """Questions about the hooks and groups of what is due and of what runs."""

    def __init__(self, tables: Tables, groups: Groups) -> None:
        dialect, layout, table = tables.dialect, tables.layout, tables.names.actions
        self._session = tables.session
        self._groups = groups
        index = dialect.use_index(layout.due_index)
        exact = dialect.as_bytes("hook")
        columns = (
            f"SELECT {exact}, group_id, COUNT(*), SUM(CASE WHEN claim_id <> 0 THEN 1 ELSE 0 END)"
        )
        dated = "MIN(CASE WHEN scheduled_date_gmt > :zero THEN scheduled_date_gmt END)"
        self._due: Final = text(
            f"{columns}, {dated} FROM (SELECT hook, group_id, claim_id, scheduled_date_gmt"
            f" FROM {table}{index} WHERE {DUE}"
            f" ORDER BY scheduled_date_gmt LIMIT :most) AS firsts GROUP BY {exact}, group_id"
        )
        # Which dates the oldest have, the index tells alone.
        seen = (
            f"SELECT MAX(scheduled_date_gmt) FROM (SELECT scheduled_date_gmt FROM {table}{index}"
            f" WHERE {DUE} ORDER BY scheduled_date_gmt LIMIT :most) AS firsts"
        )
        self._newest: Final = text(
            f"{columns}, {dated} FROM (SELECT hook, group_id, claim_id, scheduled_date_gmt"
            f" FROM {table}{index} WHERE {DUE} AND scheduled_date_gmt > ({seen})"
            f" ORDER BY scheduled_date_gmt DESC LIMIT :most) AS lasts GROUP BY {exact}, group_id"
        )
        self._later: Final = text(
            f"{columns}, NULL FROM (SELECT hook, group_id, claim_id FROM {table}{index}"
            " WHERE status = 'pending' AND scheduled_date_gmt > :now"
            f" ORDER BY scheduled_date_gmt LIMIT :most) AS firsts GROUP BY {exact}, group_id"
        )
        self._running: Final = text(
            f"{columns}, NULL FROM (SELECT hook, group_id, claim_id FROM {table}{index}"
            f" WHERE status = 'in-progress' LIMIT :most) AS firsts GROUP BY {exact}, group_id"
        )

    def due(self, now: datetime, *, most: int = SCANNED) -> list[Pair]:
        """Count the due actions by pair, among the oldest ``most`` of them."""
        return self._pairs(self._due, now=to_text(now), zero=ZERO_DATE, most=most)

    def newest(self, now: datetime, *, most: int = SCANNED) -> list[Pair]:
        """Count by pair the newest ``most`` of the due actions that are not among the oldest.

        What is old may be unlike what is new, since what is paused or limited becomes old.
        """
        return self._pairs(self._newest, now=to_text(now), zero=ZERO_DATE, most=most)

    def later(self, now: datetime, *, most: int = SCANNED) -> list[Pair]:
        """Count by pair the pending actions that are not due yet, among the next ``most``."""
        return self._pairs(self._later, now=to_text(now), most=most)

    def running(self, *, most: int = SCANNED) -> list[Pair]:
        """Count the running actions by pair, among ``most`` of them."""
        return self._pairs(self._running, most=most)

    def _pairs(self, statement: Statement, **values: object) -> list[Pair]:
        rows = self._session.run(lambda c: c.execute(statement, values).fetchall())
        return [
            Pair(
                hook=from_bytes(as_bytes(hook)),
                group=self._groups.slug(int(group or 0)),
                actions=int(actions),
                claimed=int(claimed or 0),
                oldest=date(oldest),
            )
            for hook, group, actions, claimed, oldest in rows
        ]
