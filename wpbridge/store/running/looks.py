"""Look whether something is due: for one runner, and for many queues over one connection.

A look is one statement of index probes. A runner asks by its own connection. A daemon for many
sites asks for queues of one account one after another over the same connection.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from wpbridge.clock import to_text
from wpbridge.dataclass import dataclass
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import Sight
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.session import Session
from wpbridge.store.running.orphans import SILENT
from wpbridge.store.structure.tables import Tables

STATEMENT_SECONDS: Final = 5.0
"""A look of a queue among many is given up after so long."""
_NOBODY: Final = 0
"""No runner has this id."""


class IdleLook:
    """The look at one queue: three probes of indexes, and no row of an action is read."""

    def __init__(self, tables: Tables, *, has_runners: bool = True) -> None:
        """Write the statement. Without ``has_runners`` the queue has no table of runners yet."""
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        age = dialect.age_seconds("beat_gmt")
        due = dialect.use_index(layout.due_index)
        attempted = dialect.use_index(layout.attempt_index or layout.due_index)
        silent = f"SELECT 1 FROM {names.runners} WHERE runner_id <> :id AND {age} > :silent"
        self._statement: Statement = text(
            f"SELECT EXISTS (SELECT 1 FROM {names.actions}{due}"
            " WHERE status = 'pending' AND scheduled_date_gmt <= :now),"
            f" {f'EXISTS ({silent})' if has_runners else '0'},"
            f" EXISTS (SELECT 1 FROM {names.actions}{attempted} WHERE status = 'in-progress'"
            " AND last_attempt_gmt <= :stale AND claim_id > 0)"
        )

    def look(
        self,
        connection: Connection,
        *,
        now: datetime,
        silent_seconds: float,
        runner: int | None = _NOBODY,
    ) -> Sight:
        """Look once. A runner whose beat is older than ``silent_seconds`` counts as silent.

        ``runner`` is the id of the runner that asks, whose own beat does not count.
        """
        values = {
            "now": to_text(now),
            "id": runner,
            "silent": silent_seconds,
            "stale": to_text(now - SILENT),
        }
        [found] = connection.execute(self._statement, values).fetchall()
        is_due, is_silent, is_stale = map(bool, found)
        return Sight(is_due=is_due, is_silent=is_silent, is_stale=is_stale)


@dataclass(frozen=True, slots=True)
class LookedQueue:
    """A queue that is looked at beside others."""

    address: DatabaseAddress
    idle_look: IdleLook

    @property
    def account(self) -> DatabaseAddress:
        """Return the address without the database's name: whose connection may be shared."""
        is_file = self.address.driver == "sqlite"
        return self.address if is_file else replace(self.address, name=None)


class SharedConnection:
    """One connection over which queues of one account are looked at. One thread uses it."""

    def __init__(self, session: Session) -> None:
        """``session`` is of the account, and of any of its databases."""
        session.statement_seconds = STATEMENT_SECONDS
        session.patience_seconds = 0.0
        self._session = session
        self._connection: Connection | None = None
        self._database: str | None = None
        """The database that the connection is in."""

    def look(self, queue: LookedQueue, *, now: datetime, silent_seconds: float) -> Sight:
        """Look at one queue. Raises StoreError where its database does not answer in time."""

        def work(connection: Connection) -> Sight:
            if connection is not self._connection:
                # It is new, and in the database of the session's own address.
                self._connection, self._database = connection, self._session.address.name
            if queue.address.name != self._database:
                connection.raw.select_db(queue.address.name)
                self._database = queue.address.name
            return queue.idle_look.look(connection, now=now, silent_seconds=silent_seconds)

        return self._session.run(work)

    def close(self) -> None:
        """Close the connection. The next look opens a new one."""
        self._connection = None
        self._session.close()
