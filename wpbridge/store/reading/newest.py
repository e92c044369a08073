"""Find the newest actions of one hook or group in one status, by walking an index from its end.

No statement sorts, and each stops after so many rows, whatever the size of the queue.
"""

from collections.abc import Sequence
from typing import Any, Final

from wpbridge.action import ActionId
from wpbridge.store.database.connection import text
from wpbridge.store.database.texts import listed
from wpbridge.store.reading.summed_stats import exact_bytes
from wpbridge.store.rows.groups import Groups
from wpbridge.store.structure.tables import Tables

SCANNED: Final = 5_000
"""A group is looked for among so many of the newest actions of a status."""


class Newest:
    """Questions about the newest actions of one site."""

    def __init__(self, tables: Tables, groups: Groups) -> None:
        layout, dialect, table = tables.layout, tables.dialect, tables.names.actions
        self._session = tables.session
        self._texts = tables.layout.texts
        self._place = (table, "hook")
        self._groups = groups
        # Equal dates need no order of their own: the index has the rows in some order.
        self._of_hook: Final = text(
            f"SELECT action_id FROM {table}{dialect.use_index(layout.hook_index)}"
            f" WHERE hook = :hook AND status = :status AND {dialect.as_bytes('hook')} = :exact"
            " ORDER BY scheduled_date_gmt DESC LIMIT :most"
        )
        self._of_status = (
            "SELECT action_id FROM (SELECT action_id, group_id, last_attempt_gmt FROM"
            f" {table}{dialect.use_index(layout.attempt_index)} WHERE status = :status"
            f" ORDER BY last_attempt_gmt DESC LIMIT {SCANNED}) AS newest WHERE group_id IN {{}}"
            " ORDER BY last_attempt_gmt DESC LIMIT :most"
        )

    def of_hook(self, hook: str, status: str, *, most: int) -> list[ActionId]:
        """Return the ids of a hook's actions with the newest dates. The name is exact."""
        if not self._session.run(lambda c: self._texts.holds(c, self._place, hook)):
            return []
        values = {"hook": hook, "exact": exact_bytes(hook), "status": status, "most": most}
        return _ids(self._session.run(lambda c: c.execute(self._of_hook, values).fetchall()))

    def of_group(self, slug: str, status: str, *, most: int) -> list[ActionId]:
        """Return the ids of a group's actions whose last attempt is newest.

        They are looked for among the newest actions of the status.
        """
        statement = text(self._of_status.format(listed(self._groups.ids([slug]) or [-1])))
        values = {"status": status, "most": most}
        return _ids(self._session.run(lambda c: c.execute(statement, values).fetchall()))


def _ids(rows: Sequence[Sequence[Any]]) -> list[ActionId]:
    return [ActionId(int(action)) for (action,) in rows]
