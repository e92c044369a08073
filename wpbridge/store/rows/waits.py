"""Keep the waits of actions that wait for others to end.

A waiting action is pending without a date (NULL), so no runner of any kind takes it for due. Our
own table says which actions it waits for. :meth:`Waits.release` gives it its date when they have
ended, whoever ran them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias

from wpbridge.action import ActionId, OnFailed, Status
from wpbridge.clock import from_timestamp, to_text
from wpbridge.codec import schedule
from wpbridge.errors import CodecError
from wpbridge.outcome import LogLine
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import as_bytes, date
from wpbridge.store.records import Wait
from wpbridge.store.rows.writes import Writes
from wpbridge.store.schema.tables import WAITS
from wpbridge.store.structure.tables import Tables

Verdict: TypeAlias = Literal["wait", "run", "cancel"]
MOST: Final = 1_000
"""The most waiting actions to look at in one transaction."""


def is_over(wait: Wait) -> bool:
    """Return whether the wait is over: the other action is complete, or its failure suffices."""
    return wait.status == Status.COMPLETE or (_has_failed(wait) and wait.on_failed == "run")


def _has_failed(wait: Wait) -> bool:
    """Return whether the other action failed, was canceled, or is deleted.

    A canceled one may be gone within minutes, since the plugin purges them.
    """
    return wait.status in (None, Status.FAILED, Status.CANCELED)


def verdict(waits: Iterable[Wait]) -> Verdict:
    """Return what a waiting action does next, by its waits.

    With ``hold`` it goes on waiting after a failure, until a requeue or a person helps.
    """
    waits = list(waits)
    if any(_has_failed(wait) and wait.on_failed == "cancel" for wait in waits):
        return "cancel"
    return "run" if all(is_over(wait) for wait in waits) else "wait"


class Waits:
    """Keeps the waits of one site. Its statements run in a transaction of the caller's."""

    def __init__(self, tables: Tables, writes: Writes) -> None:
        """Prepare the statements. Locking ones wait for rows and never skip them."""
        names, lock = tables.names, tables.dialect.row_lock
        self._own = tables.own
        self._writes = writes
        self._table = table = names.waits
        self._insert = text(WAITS.insert_into(table, action_id=":id", after_id=":after"))
        self._any = text(f"SELECT 1 FROM {table} LIMIT 1")
        self._moved = text(
            f"SELECT DISTINCT w.action_id FROM {table} w"
            f" LEFT JOIN {names.actions} a ON a.action_id = w.after_id"
            f" LEFT JOIN {names.actions} d ON d.action_id = w.action_id"
            " WHERE d.action_id IS NULL OR d.status NOT IN ('pending', 'in-progress')"
            # Each of these ends a wait, so none keeps others from being found for long.
            " OR (d.status = 'pending' AND (a.status = 'complete' OR (w.on_failed <> 'hold'"
            " AND (a.action_id IS NULL OR a.status IN ('failed', 'canceled')))))"
            f" LIMIT {MOST}"
        )
        self._over = text(
            f"SELECT COUNT(*), MIN(COALESCE(a.last_attempt_gmt, a.scheduled_date_gmt))"
            f" FROM {table} w JOIN {names.actions} d ON d.action_id = w.action_id"
            f" JOIN {names.actions} a ON a.action_id = w.after_id"
            " WHERE d.hook = :hook AND d.status = 'pending' AND w.on_failed = 'run'"
            " AND a.status IN ('complete', 'failed', 'canceled')"
        )
        self._behind = text(f"SELECT DISTINCT action_id FROM {table} WHERE after_id IN :ids")
        self._lock = text(
            f"SELECT action_id, after_id, on_failed FROM {table} WHERE action_id IN :ids"
            f" ORDER BY action_id, after_id{lock}"
        )
        self._statuses = text(
            f"SELECT action_id, status, schedule FROM {names.actions} WHERE action_id IN :ids"
        )
        self._of = text(
            f"SELECT w.action_id, w.after_id, w.on_failed, a.status FROM {table} w"
            f" LEFT JOIN {names.actions} a ON a.action_id = w.after_id"
            " WHERE w.action_id IN :ids ORDER BY w.action_id, w.after_id"
        )
        self._waiting_for = text(
            f"SELECT action_id FROM {table} WHERE after_id = :id ORDER BY action_id LIMIT {MOST}"
        )
        self._delete_one = text(f"DELETE FROM {table} WHERE action_id = :id AND after_id = :after")
        self._delete = text(f"DELETE FROM {table} WHERE action_id IN :ids")
        self._hand_on = text(f"UPDATE {table} SET after_id = :new WHERE after_id = :old")
        self._count = text(f"SELECT COUNT(DISTINCT action_id) FROM {table}")
        self._due = text(
            f"UPDATE {names.actions} SET scheduled_date_gmt = :due, scheduled_date_local = :local"
            " WHERE action_id = :id AND status = 'pending' AND scheduled_date_gmt IS NULL"
        )

    @property
    def are_there(self) -> bool:
        """Whether this site has ever had a wait."""
        return self._own.has(self._table)

    def add(
        self,
        connection: Connection,
        action_id: ActionId,
        after: Sequence[ActionId],
        on_failed: OnFailed,
    ) -> None:
        """Make a new action wait for others."""
        for other in sorted(set(after)):
            values = {"id": action_id, "after": other, "on_failed": on_failed}
            connection.execute(self._insert, values)

    def of(self, connection: Connection, ids: Sequence[int]) -> list[Wait]:
        """Return the waits of actions."""
        if not ids or not self.are_there:
            return []
        return [
            Wait(
                action_id=ActionId(int(action)),
                after_id=ActionId(int(after)),
                on_failed=str(on_failed),
                status=None if status is None else str(status),
            )
            for action, after, on_failed, status in connection.execute(
                self._of, {"ids": sorted(ids)}
            )
        ]

    def waiting_for(self, connection: Connection, action_id: ActionId) -> list[ActionId]:
        """Return the actions that wait for one, up to :data:`MOST` of them; by the index."""
        if not self.are_there:
            return []
        rows = connection.execute(self._waiting_for, {"id": action_id})
        return [ActionId(int(action)) for (action,) in rows]

    def count(self, connection: Connection) -> int:
        """Count the actions that wait."""
        return int(connection.execute(self._count).scalar() or 0) if self.are_there else 0

    def hand_on(self, connection: Connection, old: ActionId, new: ActionId) -> None:
        """Let the actions that wait for a failed one wait for the one that does its work again."""
        if self.are_there:
            connection.execute(self._hand_on, {"old": old, "new": new})

    def moved(self, connection: Connection) -> list[ActionId]:
        """Return actions with a wait that is over, :data:`MOST` at a time.

        It is for a connection outside of a transaction.
        """
        if not self.are_there or connection.execute(self._any).first() is None:
            return []
        return [ActionId(int(action)) for (action,) in connection.execute(self._moved)]

    def over(self, connection: Connection, hook: str) -> tuple[int, datetime | None]:
        """Count the actions of a hook whose waits are over, and that nobody has released yet.

        Returns with it when the first wait has ended, as well as the rows tell; None for none. It
        reads every wait. It is for actions that wait for one other action, however that ends.
        """
        if not self.are_there:
            return 0, None
        [[count, since]] = connection.execute(self._over, {"hook": hook}).fetchall()
        return int(count), None if since is None else date(since)

    def release(self, connection: Connection, ids: Sequence[ActionId], now: datetime) -> int:
        """Give dates to actions whose waits are over, or cancel them; return how many may run now.

        The waits are locked first. If two transactions end the last waits of one action at the same
        moment, the second one sees what the first has done.
        """
        released = 0
        while ids:
            done, canceled = self._release(connection, ids, now)
            released += done
            # Actions that waited for one canceled here must be looked at, too.
            rows = connection.execute(self._behind, {"ids": canceled}) if canceled else ()
            ids = [ActionId(int(action)) for (action,) in rows]
        return released

    def _release(
        self, connection: Connection, ids: Sequence[ActionId], now: datetime
    ) -> tuple[int, list[ActionId]]:
        """Return how many may run now, and which were canceled."""
        waits = connection.execute(self._lock, {"ids": sorted(ids)}).fetchall()
        named = sorted({int(i) for action_id, after, _ in waits for i in (action_id, after)})
        rows = connection.execute(self._statuses, {"ids": named}).fetchall() if named else []
        states = {int(i): str(status) for i, status, _ in rows}
        blobs = {int(i): blob for i, _, blob in rows}
        found: defaultdict[ActionId, list[Wait]] = defaultdict(list)
        for action_id, after, on_failed in waits:
            found[ActionId(int(action_id))].append(
                Wait(
                    action_id=ActionId(int(action_id)),
                    after_id=ActionId(int(after)),
                    on_failed=str(on_failed),
                    status=states.get(int(after)),
                )
            )
        released = 0
        done: list[ActionId] = []
        canceled: list[ActionId] = []
        for action_id, own in found.items():
            if states.get(action_id) == Status.IN_PROGRESS:
                # Somebody started it by its id. If it is put back, it waits again.
                continue
            if states.get(action_id) != Status.PENDING:
                done.append(action_id)
                continue
            match verdict(own):
                case "run":
                    released += self._date(connection, action_id, blobs[action_id], now)
                    done.append(action_id)
                case "cancel":
                    self._cancel(connection, own, now)
                    done.append(action_id)
                    canceled.append(action_id)
                case "wait":
                    self._forget_over(connection, own)
        if done:
            connection.execute(self._delete, {"ids": done})
        return released, canceled

    def _forget_over(self, connection: Connection, waits: Sequence[Wait]) -> None:
        """Delete single waits that are over: a complete action may be purged before others end."""
        for wait in waits:
            if is_over(wait):
                values = {"id": wait.action_id, "after": wait.after_id}
                connection.execute(self._delete_one, values)

    def _date(
        self, connection: Connection, action_id: ActionId, blob: object, now: datetime
    ) -> int:
        due, is_async = _date_of(blob, now)
        local = self._writes.zone.scheduled_local(due, is_async)
        values = {"id": action_id, "due": to_text(due), "local": to_text(local)}
        line = LogLine(message="action released via wpbridge: what it waited for has ended", at=now)
        if not connection.execute(self._due, values).rowcount:
            return 0
        self._writes.insert_logs(connection, [(action_id, line)])
        return 1

    def _cancel(self, connection: Connection, waits: Sequence[Wait], now: datetime) -> None:
        cause = next(w for w in waits if _has_failed(w) and w.on_failed == "cancel")
        reason = f"action {cause.after_id}, which it waited for, is {cause.status or 'gone'}"
        self._writes.cancel(connection, [waits[0].action_id], now, reason=reason)


def _date_of(blob: object, now: datetime) -> tuple[datetime, bool]:
    """Return the schedule's date and False; now and True for an async or unreadable schedule."""
    try:
        told = schedule.decode(as_bytes(blob))
    except CodecError:
        return now, True
    if told.timestamp is None:
        return now, True
    try:
        return from_timestamp(told.timestamp), False
    except (OverflowError, ValueError, OSError):
        # The runner that runs it will report what is wrong with it.
        return now, False
