"""Change actions with statements for few or many rows.

The caller has begun a transaction. Each statement finds rows by primary key and guards them by
claim and status, which the plugin does not; docs/explain/statuses.md has the table.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from wpbridge.action import FREE, Action, ActionId, ClaimId, NewAction, Status
from wpbridge.clock import to_text
from wpbridge.outcome import LogLine
from wpbridge.store.base import Ending
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import listed
from wpbridge.store.rows.failing import Failing
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.rows.zones import Zones
from wpbridge.store.schema.charsets import to_text as php_text
from wpbridge.store.schema.tables import CLAIMS
from wpbridge.store.structure.tables import Tables

STATUS: Final = (
    "CASE WHEN status = 'pending' THEN 'pending' WHEN status = 'in-progress' THEN 'in-progress'"
    " ELSE status END"
)
"""An expression for a row's status as the database's collation compares it. `Pending` is pending
for the plugin's statements, and so for ours."""


class LostRaceError(Exception):
    """Raised when fewer rows matched than were named: somebody else changed some of them."""


class _Change(NamedTuple):
    """What endings have in common that one UPDATE can write."""

    status: Status
    marked: bool
    counts: bool
    claim: ClaimId
    retry_at: datetime | None
    schedule: bytes | None
    is_undated: bool


class Writes:
    """Runs the statements on one site's actions and logs."""

    def __init__(self, tables: Tables, inserts: Inserts, zones: Zones) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._names = names
        self._inserts = inserts
        self._zones = zones
        self._failing = Failing(tables)
        self._layout = layout
        self._dialect = dialect
        self.zone = inserts.zone
        self._updates: dict[tuple[Status, bool, bool, bool, bool, bool], str] = {}
        _ids = self._for_ids
        table = self._by_key = f"{names.actions}{dialect.by_key}"
        self._start = _ids(
            f"UPDATE {table} SET status = 'in-progress', attempts = attempts + 1,"
            " last_attempt_gmt = :gmt, last_attempt_local = :local"
            " WHERE action_id IN :ids AND claim_id = :claim AND status = 'pending'"
        )
        self._free = _ids(
            f"UPDATE {table} SET claim_id = 0"
            " WHERE action_id IN :ids AND claim_id = :claim AND status = 'pending'"
        )
        self._touch = _ids(
            f"UPDATE {table} SET last_attempt_gmt = :gmt, last_attempt_local = :local"
            " WHERE action_id IN :ids AND claim_id IN :claims"
            " AND status IN ('pending', 'in-progress')"
        )
        self._take = _ids(
            f"UPDATE {table} SET claim_id = :claim, last_attempt_gmt = :gmt,"
            " last_attempt_local = :local"
            " WHERE action_id IN :ids AND claim_id = :held AND status = 'pending'"
        )
        self._states = _ids(
            f"SELECT action_id, {STATUS}, claim_id FROM {table} WHERE action_id IN :ids"
            f"{dialect.row_lock}"
        )
        self._take_started = _ids(
            f"UPDATE {table} SET claim_id = :claim, status = 'in-progress',"
            " attempts = attempts + 1, last_attempt_gmt = :gmt, last_attempt_local = :local"
            " WHERE action_id IN :ids AND claim_id = :held AND status = 'pending'"
        )
        key = ", unique_key = NULL" if layout.has_unique_key else ""
        self._cancel = _ids(
            f"UPDATE {table} SET status = 'canceled', last_attempt_gmt = :gmt,"
            f" last_attempt_local = :local{key} WHERE action_id IN :ids AND status = 'pending'"
        )
        self._insert_claim = text(
            CLAIMS.insert_into(names.claims, date_created_gmt=":gmt")
            + dialect.returning("claim_id")
        )
        self._delete_claims = _ids(f"DELETE FROM {names.claims} WHERE claim_id IN :ids")
        by_claim = dialect.use_index(layout.priority_index or layout.date_index)
        self._waiting = (
            f"SELECT action_id, claim_id FROM {names.actions}{by_claim}"
            " WHERE claim_id IN :claims AND status = 'pending'"
        )

    # Claims

    def new_claim(self, connection: Connection, now: datetime) -> ClaimId:
        """Insert a row into the claims table and return its id."""
        done = connection.execute(self._insert_claim, {"gmt": to_text(now)})
        [claim] = self._dialect.new_ids(connection, done, 1, self._names.claims)
        return ClaimId(claim)

    def take(
        self,
        connection: Connection,
        ids: Sequence[int],
        claim: ClaimId,
        now: datetime,
        *,
        held: ClaimId = FREE,
        is_start: bool = False,
    ) -> int:
        """Put rows under a claim that are free, or in the claim ``held``; return how many were.

        With ``is_start`` the actions are marked as started too.
        """
        statement = self._take_started if is_start else self._take
        return self._execute(
            connection, statement, ids, claim=claim, held=held, **self._attempt(now)
        )

    def free(self, connection: Connection, ids: Sequence[int], claim: ClaimId) -> int:
        """Remove the claim from actions that have not started; return how many were still ours."""
        return self._execute(connection, self._free, ids, claim=claim)

    def delete_claims(self, connection: Connection, claims: Collection[ClaimId]) -> None:
        """Delete rows of the claims table."""
        if claims:
            self._execute(connection, self._delete_claims, list(claims))

    def finish(self, connection: Connection, claims: Collection[ClaimId]) -> None:
        """Delete claims without live actions. An action that is pending in one after all is freed.

        That happens when somebody has set it back, or when the server forgot its ending.
        """
        if claims:
            for action_id, claim in self.waiting(connection, claims).items():
                self.free(connection, [action_id], claim)
            self.delete_claims(connection, claims)

    def waiting(
        self, connection: Connection, claims: Collection[ClaimId]
    ) -> dict[ActionId, ClaimId]:
        """Return the actions that are pending in these claims, with their claims."""
        found = connection.exec_driver_sql(self._waiting.replace(":claims", listed(claims)))
        return {ActionId(int(action)): ClaimId(int(claim)) for action, claim in found.fetchall()}

    def touch(
        self, connection: Connection, ids: Sequence[int], claims: Collection[ClaimId], now: datetime
    ) -> None:
        """Renew the rows' signs of life, so that the plugin's cleaner (300 s) leaves them alone."""
        if ids and claims:
            statement = self._touch.replace(":claims", listed(claims))
            self._execute(connection, statement, ids, **self._attempt(now))

    def insert_logs(self, connection: Connection, lines: Iterable[tuple[int, LogLine]]) -> None:
        """See :meth:`Inserts.logs`."""
        self._inserts.logs(connection, lines)

    def cancel(
        self, connection: Connection, ids: Sequence[int], now: datetime, *, reason: str = ""
    ) -> int:
        """Cancel pending rows, with log rows; return how many were still pending.

        The last attempt is dated, although the plugin does not do that: it purges undated rows at
        once.
        """
        done = self._execute(connection, self._cancel, ids, **self._attempt(now))
        text_of = f"action canceled via wpbridge: {reason}" if reason else "action canceled"
        self._inserts.logs(connection, [(i, LogLine(message=text_of, at=now)) for i in ids])
        return done

    # Starting and ending

    def start(self, connection: Connection, actions: Sequence[Action], now: datetime) -> None:
        """Mark actions as started. Raises LostRaceError unless all were ours and pending."""
        for claim, ids in _by_claim(actions).items():
            matched = self._execute(connection, self._start, ids, claim=claim, **self._attempt(now))
            if matched != len(ids):
                raise LostRaceError

    def end(self, connection: Connection, endings: Sequence[Ending], now: datetime) -> None:
        """Write endings with their log rows and successors.

        Raises LostRaceError when one was no longer ours. The caller's transaction must then roll
        back.
        """
        judge = self._failing.judge(connection, endings)
        changes: list[Ending] = []
        successors: list[NewAction] = []
        lines: list[tuple[int, LogLine]] = []
        stopped: set[ActionId] = set()

        def write() -> None:
            self._change(connection, changes, now)
            self._inserts.actions(connection, successors, now)
            changes.clear()
            successors.clear()

        for ending in endings:
            changes.append(ending)
            lines += [(ending.action.id, line) for line in ending.logs]
            if judge.stops(ending, write):
                assert ending.stop_line is not None
                lines.append((ending.action.id, ending.stop_line))
                stopped.add(ending.action.id)
            elif ending.successor is not None:
                successors.append(ending.successor)
        write()
        self._inserts.logs(connection, lines)
        # An action that failed without a successor keeps its zone, since it may be requeued.
        over = [
            e.action.id
            for e in endings
            if e.action.zone
            and (e.status is Status.COMPLETE or (e.successor and e.action.id not in stopped))
        ]
        self._zones.forget(connection, over)

    def states(
        self, connection: Connection, ids: Sequence[int]
    ) -> dict[ActionId, tuple[str, ClaimId]]:
        """Return the status and claim of rows, and lock the rows where the server locks rows."""
        statement = self._states.replace(":ids", listed(ids))
        rows = connection.exec_driver_sql(statement) if ids else ()
        return {ActionId(int(i)): (str(status), ClaimId(int(claim))) for i, status, claim in rows}

    def _change(self, connection: Connection, endings: Sequence[Ending], now: datetime) -> None:
        changes: defaultdict[_Change, list[int]] = defaultdict(list)
        for e in endings:
            counts = e.counts_attempt and not e.marked
            key = _Change(
                e.status, e.marked, counts, e.action.claim_id, e.retry_at, e.schedule, e.is_undated
            )
            changes[key].append(e.action.id)
        for change, ids in changes.items():
            values: dict[str, object] = {"claim": change.claim, **self._attempt(now)}
            if change.retry_at is not None:
                values["due"] = to_text(change.retry_at)
                values["due_local"] = to_text(
                    self.zone.scheduled_local(change.retry_at, is_async=False)
                )
            if change.schedule is not None:
                values["schedule"] = php_text(change.schedule)
            if self._execute(connection, self._update(change), ids, **values) != len(ids):
                raise LostRaceError

    def _update(self, change: _Change) -> str:
        moved, reshaped = change.retry_at is not None, change.schedule is not None
        key = (change.status, change.marked, change.counts, moved, reshaped, change.is_undated)
        if key not in self._updates:
            was = Status.IN_PROGRESS if change.marked else Status.PENDING
            sets = [f"status = '{change.status}'"]
            if change.counts:
                sets.append("attempts = attempts + 1")
            if change.counts or change.marked:
                sets.append("last_attempt_gmt = :gmt, last_attempt_local = :local")
            if change.status is Status.PENDING:
                sets.append("claim_id = 0")
            elif self._layout.has_unique_key:
                sets.append("unique_key = NULL")
            if change.is_undated:
                sets.append("scheduled_date_gmt = NULL, scheduled_date_local = NULL")
            elif moved:
                sets.append("scheduled_date_gmt = :due, scheduled_date_local = :due_local")
            if reshaped:
                sets.append("schedule = :schedule")
            self._updates[key] = self._for_ids(
                f"UPDATE {self._by_key} SET {', '.join(sets)}"
                f" WHERE action_id IN :ids AND claim_id = :claim AND status = '{was}'"
            )
        return self._updates[key]

    def _attempt(self, now: datetime) -> dict[str, str]:
        return {"gmt": to_text(now), "local": to_text(self.zone.attempt_local(now))}

    def _for_ids(self, statement: str) -> str:
        """Return a statement for the driver. Lists of ids are later written into its text.

        Hundreds of bound parameters in a statement cost more than all the rest of a small batch.
        """
        return self._dialect.for_driver(statement)

    @staticmethod
    def _execute(
        connection: Connection, statement: str, ids: Sequence[int], **values: object
    ) -> int:
        """Run for ids in ascending order, so that two writers never wait for each other."""
        done = connection.exec_driver_sql(statement.replace(":ids", listed(ids)), values)
        return int(done.rowcount)


def _by_claim(actions: Iterable[Action]) -> dict[ClaimId, list[int]]:
    found: defaultdict[ClaimId, list[int]] = defaultdict(list)
    for action in actions:
        found[action.claim_id].append(action.id)
    return found
