"""Change actions by hand: cancel, delete, reschedule, set priorities, requeue.

Every statement names rows by primary key and says what they must still be, so whatever a runner has
claimed meanwhile is left to it. All methods take the ids of one page (some thousand at most) and
return what they did change.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId, NewAction
from wpbridge.clock import to_text
from wpbridge.codec.args import columns
from wpbridge.errors import InputError
from wpbridge.outcome import LogLine
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.queueing.adding import texts_of
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.rows.traces import Traces
from wpbridge.store.rows.waits import Waits
from wpbridge.store.rows.writes import Writes
from wpbridge.store.rows.zones import ZonedAction, Zones
from wpbridge.store.schema.charsets import to_text as php_text
from wpbridge.store.structure.tables import Tables

REQUEUED: Final = "action requeued via wpbridge as action "
"""How the log row of a requeued action begins; the new action's id follows."""

REQUEUED_FROM: Final = "action requeued via wpbridge from action "
"""How the log row of the new action begins; the old action's id follows."""


class Edits:
    """Changes to one site's actions, in a transaction of its own or the caller's."""

    def __init__(  # noqa: PLR0917 - the parts that it changes
        self,
        tables: Tables,
        inserts: Inserts,
        writes: Writes,
        zones: Zones,
        waits: Waits,
        traces: Traces,
    ) -> None:
        names, layout, lock = tables.names, tables.layout, tables.dialect.row_lock
        self._own = tables.own
        self._session = tables.session
        self._names = names
        self._texts = layout.texts
        self._inserts = inserts
        self._writes = writes
        self._zones = zones
        self._waits = waits
        self._traces = traces
        actions, logs = names.actions, names.logs
        self._pending = text(
            f"SELECT action_id FROM {actions} WHERE action_id IN :ids AND status = 'pending'{lock}"
        )
        self._free = text(
            f"SELECT action_id FROM {actions} WHERE action_id IN :ids AND status = 'pending'"
            f" AND claim_id = 0{lock}"
        )
        idle = "NOT (status = 'in-progress' OR (status = 'pending' AND claim_id <> 0))"
        self._idle = text(
            f"SELECT action_id FROM {actions} WHERE action_id IN :ids AND {idle}{lock}"
        )
        self._drop_keys = text(
            f"UPDATE {actions} SET unique_key = NULL WHERE action_id IN :ids"
            " AND status IN ('complete', 'failed', 'canceled')"
        )
        self._delete = text(f"DELETE FROM {actions} WHERE action_id IN :ids")
        self._delete_logs = text(f"DELETE FROM {logs} WHERE action_id IN :ids")
        self._forget_keys = text(f"DELETE FROM {names.keys} WHERE action_id IN :ids")
        self._forget_waits = text(f"DELETE FROM {names.waits} WHERE action_id IN :ids")
        self._forget_results = text(f"DELETE FROM {names.results} WHERE action_id IN :ids")
        self._forget_traces = text(f"DELETE FROM {names.traces} WHERE action_id IN :ids")
        self._follow = text(f"UPDATE {names.jobs} SET action_id = :new WHERE action_id = :old")
        self._move = text(
            f"UPDATE {actions} SET scheduled_date_gmt = :due, scheduled_date_local = :local,"
            " schedule = :schedule WHERE action_id = :id AND status = 'pending' AND claim_id = 0"
        )
        self._move_waiting = text(
            f"UPDATE {actions} SET schedule = :schedule WHERE action_id = :id"
            " AND status = 'pending' AND claim_id = 0 AND scheduled_date_gmt IS NULL"
        )
        self._prioritize = text(
            f"UPDATE {actions} SET priority = :priority WHERE action_id IN :ids"
            " AND status = 'pending' AND claim_id = 0"
        )
        self._ended = text(
            f"SELECT action_id FROM {actions} WHERE action_id IN :ids"
            f" AND status IN ('failed', 'canceled', 'complete'){lock}"
        )
        self._said = text(
            f"SELECT action_id, message FROM {logs} WHERE action_id IN :ids"
            " AND message LIKE :start ORDER BY log_id"
        )

    def cancel(
        self,
        ids: Sequence[ActionId],
        *,
        now: datetime,
        reason: str = "",
        only_free: bool = False,
    ) -> list[ActionId]:
        """Cancel pending actions, while the plugin's own cancel changes those of any status.

        With ``only_free`` those that a runner has claimed are left out. Raises InputError for a
        reason that the log cannot hold.
        """

        def cancel(connection: Connection) -> list[ActionId]:
            place = (self._names.logs, "message")
            if why := self._texts.why_not(connection, place, reason, any_length=True):
                raise InputError(f"reason: {why}")
            found = _found(connection, self._free if only_free else self._pending, ids)
            if found:
                self._writes.cancel(connection, found, now, reason=reason)
            return found

        return self._session.transact(cancel)

    def drop_unique_keys(self, ids: Sequence[ActionId]) -> int:
        """Clear the unique keys of ended actions, which a writer that does not know them left."""
        return self._session.transact(
            lambda c: int(c.execute(self._drop_keys, {"ids": sorted(ids)}).rowcount)
        )

    def delete(self, ids: Sequence[ActionId]) -> list[ActionId]:
        """Delete actions and their logs, but no claimed one: its runner would lose its batch."""

        def delete(connection: Connection) -> list[ActionId]:
            found = _found(connection, self._idle, ids)
            if found:
                connection.execute(self._delete, {"ids": found})
                connection.execute(self._delete_logs, {"ids": found})
                self._forget(connection, found)
            return found

        return self._session.transact(delete)

    def _forget(self, connection: Connection, ids: Sequence[ActionId]) -> None:
        """Delete what our own tables say of deleted actions."""
        self._zones.forget(connection, ids)
        for table, statement in (
            (self._names.keys, self._forget_keys),
            (self._names.waits, self._forget_waits),
            (self._names.results, self._forget_results),
            (self._names.traces, self._forget_traces),
        ):
            if self._own.deleting(table):
                connection.execute(statement, {"ids": list(ids)})

    def forget_keys(self, ids: Sequence[ActionId]) -> None:
        """Let the idempotency keys that made these actions make others."""
        if ids and self._own.has(self._names.keys):
            self._session.transact(lambda c: c.execute(self._forget_keys, {"ids": sorted(ids)}))

    def move(self, moves: Mapping[ActionId, NewAction], *, now: datetime) -> list[ActionId]:
        """Move free pending actions to other dates and schedules, in blob and columns alike.

        Of each :class:`NewAction` only schedule, date and zone count. An action that waits for
        others gets its date when they have ended.
        """

        def move(connection: Connection) -> list[ActionId]:
            moved: list[ActionId] = []
            for action_id, to in sorted(moves.items()):
                local = self._writes.zone.scheduled_local(to.scheduled_at, to.is_async)
                values = {"id": action_id, "schedule": php_text(to.schedule)}
                statement = self._move_waiting
                if not to.is_waiting:
                    statement = self._move
                    values |= {"due": to_text(to.scheduled_at), "local": to_text(local)}
                if connection.execute(statement, values).rowcount:
                    moved.append(action_id)
            self._zones.forget(connection, moved)
            self._zones.keep(connection, [_zoned(i, moves[i]) for i in moved if moves[i].zoned])
            lines = [(i, LogLine(message=_moved(moves[i].scheduled_at), at=now)) for i in moved]
            self._inserts.logs(connection, lines)
            return moved

        return self._session.transact(move)

    def set_priority(
        self, ids: Sequence[ActionId], priority: int, *, now: datetime
    ) -> list[ActionId]:
        """Give free pending actions another priority; the tables must have that column."""

        def set_it(connection: Connection) -> list[ActionId]:
            found = _found(connection, self._free, ids)
            if found:
                connection.execute(self._prioritize, {"ids": found, "priority": priority})
                line = LogLine(message=f"priority set via wpbridge to {priority}", at=now)
                self._inserts.logs(connection, [(i, line) for i in found])
            return found

        return self._session.transact(set_it)

    def requeue(
        self, copies: Mapping[ActionId, NewAction], *, now: datetime
    ) -> dict[ActionId, ActionId]:
        """Add a new action for each ended one. Their logs link the two, and the old row stays."""

        def requeue(connection: Connection) -> dict[ActionId, ActionId]:
            old = _found(connection, self._ended, list(copies))
            for i in old:
                if fault := self._texts.fault(connection, texts_of(self._names, copies[i])):
                    raise InputError(f"action {i}: {fault}")
            new = self._inserts.actions(connection, [copies[i] for i in old], now)
            made = dict(zip(old, new, strict=True))
            lines = [(i, LogLine(message=f"{REQUEUED}{made[i]}", at=now)) for i in old] + [
                (made[i], LogLine(message=f"{REQUEUED_FROM}{i}", at=now)) for i in old
            ]
            self._inserts.logs(connection, lines)
            for one, other in made.items():
                self._waits.hand_on(connection, one, other)
                self._traces.hand_on(connection, one, other)
                if self._own.has(self._names.jobs):
                    connection.execute(self._follow, {"old": one, "new": other})
            return made

        return self._session.transact(requeue)

    def requeued(self, ids: Sequence[ActionId]) -> dict[ActionId, ActionId]:
        """Return those of the actions that were requeued before, each with its new action."""
        if not ids:
            return {}
        values = {"ids": list(ids), "start": f"{REQUEUED}%"}
        rows = self._session.run(lambda c: c.execute(self._said, values).fetchall())
        told = {ActionId(int(i)): str(log).removeprefix(REQUEUED).split()[0] for i, log in rows}
        return {i: ActionId(int(new)) for i, new in told.items() if new.isdigit()}

    def log(self, lines: Sequence[tuple[ActionId, LogLine]]) -> None:
        """Write rows into the actions' own logs."""
        self._session.transact(lambda c: self._inserts.logs(c, lines))


def _found(connection: Connection, statement: Statement, ids: Sequence[ActionId]) -> list[ActionId]:
    """Lock and return rows, in ascending order, so that two writers never wait for each other."""
    if not ids:
        return []
    rows = connection.execute(statement, {"ids": sorted(ids)})
    return sorted(ActionId(int(action)) for (action,) in rows)


def _moved(due: datetime) -> str:
    return f"action rescheduled via wpbridge to {to_text(due)} UTC"


def _zoned(action_id: ActionId, to: NewAction) -> ZonedAction:
    assert to.zoned is not None
    return ZonedAction(
        action_id=action_id,
        hook=to.hook,
        args=columns(to.args)[0],
        group_id=to.group_id or 0,
        expression=to.zoned.expression,
        zone=to.zoned.zone,
    )
