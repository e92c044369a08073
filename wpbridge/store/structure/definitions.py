"""Read the definitions of a site's tables, and change them one statement at a time.

A statement that changes a definition waits for the table's lock for a short time only, because all
later statements wait behind it.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from wpbridge.errors import Contention, StoreError, StoreUnavailable
from wpbridge.store.database.connection import Connection, DBAPIError, text
from wpbridge.store.database.texts import listed
from wpbridge.store.database.trouble import sort_trouble
from wpbridge.store.schema.ddl import Ddl
from wpbridge.store.schema.found import FoundTable
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.structure.server import Server
from wpbridge.store.structure.tables import Connected

TRIES: Final = 10
_LOCK_WAIT: Final = frozenset({1205})
_STOPPED: Final = 1317
_NOT_ONLINE: Final = frozenset({1845, 1846})
_LOOK_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 1.0


Progress: TypeAlias = Callable[[float | None], None]


class Definitions:
    """Reads and changes how one site's tables are defined."""

    def __init__(
        self,
        way: Connected,
        watcher: Connected | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """``watcher`` is a second connection to the site, which asks how far a statement is."""
        self.way = way
        self.server = Server(way)
        self._watcher = watcher
        self._pause = pause

    @property
    def names(self) -> TableNames:
        """Return the names of the site's tables."""
        return self.way.names

    @property
    def ddl(self) -> Ddl:
        """Return the writer of the statements that change the tables."""
        return self.server.dialect.ddl

    def table(self, short: str) -> FoundTable | None:
        """Return one of the plugin's tables by its short name; None where there is none."""
        return self.look(str(getattr(self.names, short)))

    def look(self, name: str) -> FoundTable | None:
        """Return a table by its whole name; None where there is none."""
        key = self.names.keys_of_tables.get(name, "")
        return self.way.session.run(partial(self.server.dialect.look, table=name, key=key))

    def written(self, name: str) -> str:
        """Return a table's definition as the server writes it, with its indexes."""
        return self.way.session.run(partial(self.server.dialect.written, table=name))

    def wrong_ids(self, table: str, column: str) -> tuple[int, int]:
        """Count the rows with the id 0, and those with another row's id, in the whole table."""
        [[zeros]] = self._ask(f"SELECT COUNT(*) FROM {table} WHERE {column} = 0")
        [[count, distinct]] = self._ask(
            f"SELECT COUNT(*), COUNT(DISTINCT {column}) FROM {table} WHERE {column} <> 0"
        )
        return int(zeros), int(count) - int(distinct)

    def has_copies(self, table: str, columns: Sequence[str]) -> bool:
        """Return whether two rows are equal in these columns."""
        listed = ", ".join(columns)
        asked = f"SELECT {listed} FROM {table} GROUP BY {listed} HAVING COUNT(*) > 1 LIMIT 1"
        return bool(self._ask(asked))

    def first_free_id(self, short: str) -> int:
        """Return the lowest id for a new row. It is above all ids that other tables' rows name."""
        names = self.names
        naming = {
            "actions": [
                (table, "action_id")
                for table in (
                    names.logs,
                    names.keys,
                    names.waits,
                    names.zones,
                    names.suspects,
                    names.results,
                    names.jobs,
                    names.traces,
                )
            ],
            "claims": [(names.actions, "claim_id")],
            "groups": [(names.actions, "group_id")],
        }
        highest = 0
        for table, column in naming.get(short, ()):
            found = self.look(table)
            if found is not None and column in found.columns:
                [[named]] = self._ask(f"SELECT MAX({column}) FROM {table}")
                highest = max(highest, int(named or 0))
        return highest + 1

    def _ask(self, statement: str) -> Sequence[Sequence[Any]]:
        return self.way.session.run(lambda c: _rows(c, statement))

    def can_work_online(self) -> bool:
        """Return whether the server can add an index beside writers: MySQL 5.6, MariaDB 10.0."""
        return self.way.session.run(self.server.dialect.can_index_online)

    def explain_claim(self) -> tuple[str | None, bool]:
        """Return the index that the plugin's own claim uses, and whether the claim sorts.

        On MySQL the claim's subselect is explained, which the plugin has from 3.9.3 on. The UPDATE
        of an older plugin finds its rows in the same way.
        """
        actions = self.table("actions")
        priority = "priority, " if actions is not None and "priority" in actions.columns else ""
        claim = (
            f"SELECT action_id FROM {self.names.actions} WHERE claim_id = 0 AND"
            f" scheduled_date_gmt <= {self.server.dialect.db_now} AND status = 'pending' ORDER BY"
            f" {priority}attempts, scheduled_date_gmt, action_id LIMIT 25"
        )
        return self.way.session.run(partial(self.server.dialect.index_used, select=claim))

    # Changing them

    def run(
        self,
        statement: str,
        *,
        lock_wait_seconds: float = 5.0,
        tries: int = TRIES,
        told: Progress = lambda _percent: None,
    ) -> None:
        """Run a statement that changes a definition. After an interrupt the server undoes it.

        Args:
            statement: only one.
            lock_wait_seconds: how long it may wait for the table. Others wait behind it meanwhile.
            tries: how often to try to get the table.
            told: called now and then with the progress in percent; None where the server does not
                tell.

        Raises:
            Contention: others had the table locked each time.
            StoreUnavailable: the server went away. It may still go on with the statement.
            StoreError: the server refuses the statement, or somebody stopped it.
        """
        for number in range(1, tries + 1):
            try:
                self._attempt(statement, lock_wait_seconds, told)
            except _TableHeld:
                if number == tries:
                    raise Contention(
                        f"the table was in use {tries} times for {lock_wait_seconds:g} s: a long"
                        " transaction holds it (SHOW PROCESSLIST); try again later, or with a"
                        " longer --lock-wait"
                    ) from None
                # This lets those go first who waited behind us.
                self._pause(_PAUSE_SECONDS)
            else:
                return

    def _attempt(self, statement: str, lock_wait_seconds: float, told: Progress) -> None:
        prepare = self.ddl.before_change(lock_wait_seconds)
        if not prepare:
            self.way.session.transact(lambda c: c.execute(text(statement)))
            return

        def work(connection: Connection) -> None:
            _be_patient(connection)
            for one in prepare:
                connection.exec_driver_sql(one)
            _execute(connection, statement)

        if self._watcher is None:
            self.way.session.run(work)
        else:
            self._watched(work, self._watcher, told)

    def _watched(
        self, work: Callable[[Connection], None], watcher: Connected, told: Progress
    ) -> None:
        """Run the statement in a thread, so that this one can ask for its progress and stop it."""
        ids: list[int] = []
        failure: list[BaseException] = []
        # After an interrupt of Thread.join, Python 3.11 takes the thread for ended.
        ended = threading.Event()

        def noted(connection: Connection) -> None:
            ids[:] = [int(_rows(connection, "SELECT CONNECTION_ID()")[0][0])]
            work(connection)

        def run() -> None:
            try:
                self.way.session.run(noted)
            except BaseException as error:  # noqa: BLE001 - raised below, where it is waited for
                failure.append(error)
            finally:
                ended.set()

        threading.Thread(target=run, name="ddl", daemon=True).start()
        try:
            while not ended.wait(_LOOK_SECONDS):
                told(watcher.session.run(lambda c: _progress(c, ids)))
        except BaseException:
            # This is repeated, since the first KILL may have come before the statement began.
            while not ended.is_set():
                with contextlib.suppress(StoreError):
                    watcher.session.run(lambda c: _kill(c, ids))
                ended.wait(_LOOK_SECONDS)
            raise
        if failure:
            raise failure[0]


class _TableHeld(Exception):
    """Raised when the table stays locked. The session would try a driver's error again at once."""


def _execute(connection: Connection, statement: str) -> None:
    """Run a statement once only. The session would repeat one that was stopped or cut off."""
    try:
        connection.exec_driver_sql(statement.replace("%", "%%"))
    except DBAPIError as error:
        code = error.orig.args[0] if error.orig.args else None
        if code in _LOCK_WAIT:
            raise _TableHeld from None
        if code == _STOPPED:
            raise StoreError(
                "somebody stopped the statement (KILL QUERY); nothing of it is left"
            ) from None
        trouble = sort_trouble(error.orig)
        if trouble.gone or error.connection_invalidated:
            raise StoreUnavailable(
                f"{trouble.error}; the server may be at it still: look (SHOW PROCESSLIST) before"
                " you begin again"
            ) from None
        if code in _NOT_ONLINE:
            raise StoreError(
                f"the server cannot do this beside writers ({error.orig}): at a quiet hour, run"
                " what --sql prints without its last words, ALGORITHM and LOCK"
            ) from None
        raise


def _be_patient(connection: Connection) -> None:
    """Switch off the driver's timeout, since a change may take hours. There is no public way."""
    connection.raw._read_timeout = None  # noqa: SLF001


def _progress(connection: Connection, ids: Sequence[int]) -> float | None:
    """Return a connection's progress in percent; None where the server does not say (MySQL).

    MariaDB says it in the list of processes when a table is rewritten. For InnoDB's work online it
    only has one number for the whole server.
    """
    try:
        rows = _rows(
            connection,
            "SELECT STAGE, MAX_STAGE, PROGRESS, STATE FROM information_schema.PROCESSLIST"
            f" WHERE ID IN {listed(ids or [0])}",
        )
        online = _rows(connection, "SHOW GLOBAL STATUS LIKE 'innodb_onlineddl_pct_progress'")
    except DBAPIError:
        return None
    if not rows:
        return None
    [(stage, stages, percent, state)] = rows
    if int(stages or 0):
        return min(100.0, ((max(float(stage), 1.0) - 1.0) * 100.0 + float(percent)) / int(stages))
    return int(online[0][1]) / 100.0 if online and state == "altering table" else None


def _kill(connection: Connection, ids: Sequence[int]) -> None:
    for one in ids:
        connection.exec_driver_sql(f"KILL QUERY {one}")


def _rows(connection: Connection, statement: str, **values: object) -> Sequence[Sequence[Any]]:
    return connection.execute(text(statement), values).fetchall()
