"""Do the work of the plugin's cleaner: free or fail the rows of runners that are gone.

It does what `reset_timeouts` and `mark_failures` of action-scheduler 3.5 to 4.1 do, but looks at
each row once more under its lock. It never touches what a wpbridge runner has in hand, alive or
dead: the reaper knows more about it. A crash leaves each row as it was, or changed and logged.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, ActionId, ClaimId
from wpbridge.clock import to_text
from wpbridge.outcome import LogLine
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.texts import split
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.structure.tables import Tables

RESET: Final = "action reset"
FAILED: Final = (
    f"action was in-progress for at least {PLUGIN_TIMEOUT_SECONDS}"
    " seconds without completing and has been marked as failed. Check server, PHP and database"
    " error logs to diagnose cause."
)
FAILED_BEFORE_4: Final = (
    f"action marked as failed after {PLUGIN_TIMEOUT_SECONDS} seconds. Unknown error occurred. Check"
    " server, PHP and database error logs to diagnose cause."
)
CLEANERS: Final = ("WP Cron", "Async Request", "WP CLI")
"""The plugin's runners that clean with each run, as its log names them. These names are not
translated, unlike the words around them. Running one action by hand cleans nothing."""
AWAY: Final = timedelta(minutes=10)
"""One of the plugin's runners that was not seen for so long is taken to be off."""
NEWEST_LOGS: Final = 10_000
"""At most so many log rows are searched for them."""


class Cleaning:
    """Finds and changes the rows of one site whose runners are gone."""

    def __init__(self, tables: Tables, inserts: Inserts) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._session = tables.session
        self._names = names
        self._own = tables.own
        self._inserts = inserts
        table = names.actions
        key = dialect.by_key
        # A NULL date is never old, as in the plugin; a zero date is.
        stale = "last_attempt_gmt <= :before AND claim_id NOT IN :held"
        waits = f"status = 'pending' AND claim_id > 0 AND {stale}"
        runs = f"status = 'in-progress' AND {stale}"
        # Only few rows are claimed or running, however many are pending or have ended.
        claimed, attempted = map(dialect.use_index, (layout.claimed_index, layout.attempt_index))
        self._find_waiting = text(
            f"SELECT action_id FROM {table}{claimed} WHERE {waits} LIMIT :size"
        )
        self._find_running = text(
            f"SELECT action_id FROM {table}{attempted} WHERE {runs} LIMIT :size"
        )
        chosen = f"SELECT action_id FROM {table}{key} WHERE action_id IN :ids"
        lock = f"ORDER BY action_id{dialect.lock_rows()}"
        self._lock_waiting = text(f"{chosen} AND {waits} {lock}")
        self._lock_running = text(f"{chosen} AND {runs} {lock}")
        self._unclaim = text(
            f"UPDATE {table} SET claim_id = 0 WHERE action_id IN :ids AND status = 'pending'"
        )
        unique = ", unique_key = NULL" if layout.has_unique_key else ""
        end = f"{unique} WHERE action_id IN :ids AND status = 'in-progress'"
        dated = "last_attempt_gmt = :gmt, last_attempt_local = :local"
        self._fail = text(f"UPDATE {table} SET status = 'failed', {dated}{end}")
        self._fail_before_4 = text(f"UPDATE {table} SET status = 'failed'{end}")
        self._claims = text(f"SELECT claims FROM {names.runners}")
        # PHP's runner makes its claims row first and claims a moment later, so a young row may be
        # in use. The age is by the database's clock, since those of the hosts may differ.
        old = dialect.db_in(-PLUGIN_TIMEOUT_SECONDS)
        empty = (
            f"(date_created_gmt <= {old} OR date_created_gmt IS NULL) AND claim_id NOT IN :held"
            f" AND NOT EXISTS (SELECT 1 FROM {table} a WHERE a.claim_id = {names.claims}.claim_id"
            " AND a.status IN ('pending', 'in-progress'))"
        )
        self._find_empty = text(
            f"SELECT claim_id FROM {names.claims} WHERE claim_id > :after AND {empty}"
            " ORDER BY claim_id LIMIT :size"
        )
        self._drop_empty = text(f"DELETE FROM {names.claims} WHERE claim_id IN :ids AND {empty}")
        cases = " ".join(f"WHEN message LIKE '%{name}%' THEN '{name}'" for name in CLEANERS)
        self._newest = text(
            f"SELECT CASE WHEN message LIKE '%via wpbridge%' THEN NULL {cases} END AS cleaner,"
            f" MAX(log_id) FROM (SELECT message, log_id FROM {names.logs} WHERE"
            f" log_date_gmt > :since ORDER BY log_date_gmt DESC LIMIT {NEWEST_LOGS}) AS newest"
            " GROUP BY cleaner"
        )

    def reset(self, size: int, *, before: datetime, now: datetime) -> list[ActionId]:
        """Free at most ``size`` claimed pending rows without a sign of life since ``before``.

        As in `reset_timeouts`, the claims row, the status and the attempts stay.
        """

        def unclaim(connection: Connection, ids: list[ActionId]) -> None:
            connection.execute(self._unclaim, {"ids": ids})

        return self._change(
            self._find_waiting, self._lock_waiting, unclaim, RESET, size, before, now
        )

    def fail(
        self, size: int, *, before: datetime, now: datetime, is_since_4: bool
    ) -> list[ActionId]:
        """Fail at most ``size`` running rows without a sign of life since ``before``.

        As in `mark_failures`, the row keeps its claim, and a recurring chain ends with it. Up to
        3.9 the last attempt keeps its date, and the log has other words.
        """
        local = to_text(self._inserts.zone.attempt_local(now))
        dates = {"gmt": to_text(now), "local": local} if is_since_4 else {}
        statement = self._fail if is_since_4 else self._fail_before_4
        message = FAILED if is_since_4 else FAILED_BEFORE_4

        def fail(connection: Connection, ids: list[ActionId]) -> None:
            connection.execute(statement, {"ids": ids, **dates})

        return self._change(
            self._find_running, self._lock_running, fail, message, size, before, now
        )

    def empty_claims(self, size: int, *, after: int = 0) -> list[ClaimId]:
        """Return the next rows of the claims table, by id, that are empty and belong to nobody.

        Such a row is at least 300 s old, has no pending or running action, and is in no row of a
        wpbridge runner, alive or dead. The plugin deletes a claim's row when its runner ends, so
        these are of runners that were killed; the plugin itself never looks for them.
        """

        def look(connection: Connection) -> list[ClaimId]:
            given = {"after": after, "size": size, "held": self._held(connection)}
            return [ClaimId(int(claim)) for (claim,) in connection.execute(self._find_empty, given)]

        return self._session.run(look)

    def drop_empty(self, claims: Sequence[ClaimId]) -> int:
        """Delete those of the rows that still are as :meth:`empty_claims` says. Return how many."""

        def drop(connection: Connection) -> int:
            given = {"ids": sorted(claims), "held": self._held(connection)}
            return int(connection.execute(self._drop_empty, given).rowcount)

        return self._session.transact(drop) if claims else 0

    def cleaner_seen(self, since: datetime) -> str:
        """Return the plugin's runner that wrote last into the log since then; empty for none."""
        values = {"since": to_text(since)}
        rows = self._session.run(lambda c: c.execute(self._newest, values).fetchall())
        seen = [(int(last), str(name)) for name, last in rows if name is not None]
        return max(seen)[1] if seen else ""

    def _change(  # noqa: PLR0917 - the steps of one change
        self,
        find: Statement,
        lock: Statement,
        change: Callable[[Connection, list[ActionId]], None],
        message: str,
        size: int,
        before: datetime,
        now: datetime,
    ) -> list[ActionId]:
        """Change and log the rows found. Look without locks first, since mostly there are none."""
        given = {"before": to_text(before)}

        def look(connection: Connection) -> list[ActionId]:
            held = self._held(connection)
            rows = connection.execute(find, {**given, "held": held, "size": size})
            return sorted(ActionId(int(action)) for (action,) in rows)

        def clean(connection: Connection) -> list[ActionId]:
            held = self._held(connection)
            rows = connection.execute(lock, {**given, "held": held, "ids": found})
            ids = [ActionId(int(action)) for (action,) in rows]
            if ids:
                change(connection, ids)
                line = LogLine(message=message, at=now)
                self._inserts.logs(connection, [(i, line) for i in ids])
            return ids

        found = self._session.run(look)
        return self._session.transact(clean) if found else []

    def _held(self, connection: Connection) -> list[int]:
        """Return the claims of wpbridge's runners, and -1, since no list in SQL may be empty."""
        rows = connection.execute(self._claims) if self._own.has(self._names.runners) else ()
        return [-1, *(claim for (told,) in rows for claim in split(str(told)))]
