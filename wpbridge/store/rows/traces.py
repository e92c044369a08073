"""Keep which span led to an action: the ``traceparent`` of whoever added it.

A row is written in the transaction that adds its action. Attempts link to that span, and so do
those of its successors and of the action that a requeue makes. Jobs that came over HTTP keep theirs
in their own row. Without the table nothing is kept, and everything else goes on.
"""

from collections.abc import Collection, Sequence
from typing import Final

from wpbridge.action import ActionId
from wpbridge.errors import Contention, StoreError, StoreUnavailable
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import listed
from wpbridge.store.schema.tables import TRACES
from wpbridge.store.structure.tables import Tables
from wpbridge.telling.log import tell

_PORTION: Final = 500
WINDOW: Final = 5_000
"""So many rows one transaction looks at for those whose action is gone."""


class Traces:
    """The traceparents of one site's actions."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._table = table = names.traces
        self._jobs = names.jobs
        self._is_refused = False
        self._insert = TRACES.insert_start(table, dialect.insert_ignore)
        self._row = f"({dialect.mark}, {dialect.mark})"
        self._hand_on = text(
            f"{dialect.insert_ignore} INTO {table} (action_id, traceparent)"
            f" SELECT :new, traceparent FROM {table} WHERE action_id = :old"
        )
        self._seen_until = 0
        self._window = text(
            f"SELECT MAX(action_id) FROM (SELECT action_id FROM {table}"
            f" WHERE action_id > :after ORDER BY action_id LIMIT {WINDOW}) w"
        )
        self._orphans = text(
            f"SELECT t.action_id FROM {table} t LEFT JOIN {names.actions} a"
            " ON a.action_id = t.action_id WHERE t.action_id > :after AND t.action_id <= :until"
            " AND a.action_id IS NULL"
        )

    def prepare(self) -> None:
        """Make the table if it is missing. Where that is refused, it is logged once.

        In a transaction this would commit it.
        """
        if self._is_refused:
            return
        try:
            self._own.ensure(self._table)
        except (StoreUnavailable, Contention):
            raise
        except StoreError as error:
            self._is_refused = True
            tell("traces.not_kept", reason=str(error))

    def keep(self, connection: Connection, rows: Sequence[tuple[ActionId, str]]) -> None:
        """Store the traceparents of new actions."""
        if not rows or not self._own.has(self._table):
            return
        for start in range(0, len(rows), _PORTION):
            part = rows[start : start + _PORTION]
            values = tuple(value for row in part for value in row)
            connection.exec_driver_sql(self._insert + ", ".join([self._row] * len(part)), values)

    def of(self, connection: Connection, ids: Collection[int]) -> dict[ActionId, str]:
        """Return the traceparents of those actions, and of those jobs, that have one."""
        found: dict[ActionId, str] = {}
        for table, where in ((self._table, ""), (self._jobs, " AND traceparent <> ''")):
            if ids and self._own.has(table):
                rows = connection.exec_driver_sql(
                    f"SELECT action_id, traceparent FROM {table}"
                    f" WHERE action_id IN {listed(sorted(ids))}{where}"
                )
                found |= {ActionId(int(action)): str(told) for action, told in rows}
        return found

    def hand_on(self, connection: Connection, old: ActionId, new: ActionId) -> None:
        """Give the traceparent of an action to the one that a requeue has made of it."""
        if self._own.has(self._table):
            connection.execute(self._hand_on, {"old": old, "new": new})

    def expire(self) -> bool:
        """Delete the rows whose action is gone, in one window of ids; return whether more follow.

        The plugin's cleaner deletes actions alone. After the last window the next call begins
        anew.
        """
        if not self._own.has(self._table):
            return False

        def expire(connection: Connection) -> int:
            after = self._seen_until
            until = int(connection.execute(self._window, {"after": after}).scalar() or 0)
            rows = connection.execute(self._orphans, {"after": after, "until": until}).fetchall()
            ids = sorted(int(action) for (action,) in rows)
            if ids:
                connection.exec_driver_sql(
                    f"DELETE FROM {self._table} WHERE action_id IN {listed(ids)}"
                )
            return until

        self._seen_until = self._session.transact(expire)
        return self._seen_until > 0
