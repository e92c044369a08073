"""The keys of actions that were added in bulk: what they have made, and how that is now."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.bulk.inserting import BATCH
from wpbridge.store.bulk.rows import WholeRow
from wpbridge.store.database.connection import Connection
from wpbridge.store.database.portions import SMALL, portions, room
from wpbridge.store.database.texts import as_text, listed
from wpbridge.store.schema.tables import KEYS
from wpbridge.store.structure.tables import Tables

ORIGIN: Final = 48
"""Digits of a key that are the same for all that comes from one queue."""


class Raced(Exception):
    """Some of the rows are known, or another process has added them: all is rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An action that was added before, under a key."""

    id: ActionId
    hook: str | None
    args: str | None
    """As they are; None where the action is gone."""

    def why_not(self, row: WholeRow) -> str:
        """Return why it is not the same as ``row``, whose key it has. It is empty if it is."""
        if self.hook is None or (self.hook, self.args) == (row.hook, row.args):
            return ""
        return (
            f"id {row.id} was another action's (hook {self.hook}) when it was added before: give"
            " the queue it comes from another name, with --origin"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """An action that was added under a key, as it is now."""

    key: str
    id: ActionId
    status: str
    is_in_hand: bool
    """Running, or claimed."""
    mark: str
    """See :func:`mark_of`."""
    is_waited_for: bool
    """By an action that does not come from the same queue."""


def mark_of(
    status: str, scheduled: str | None, attempts: int, last_attempt: str | None, logs: int
) -> str:
    """Sum up what running, ending and rescheduling change in an action.

    A claim alone changes nothing.
    """
    tried = "" if status == "pending" else last_attempt
    return f"{zlib.crc32(f'{status} {scheduled} {attempts} {tried} {logs}'.encode()):08x}"


class BulkKeys:
    """Keys of 64 hexadecimal digits, in our own table. Nothing in them has to be quoted."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._names = names
        self._dialect = dialect
        self._own = tables.own
        self._room = room(dialect.most_bytes)
        self._known = (
            "SELECT k.key_hash, k.action_id, a.hook, a.args"
            f" FROM {names.keys} k LEFT JOIN {names.actions} a ON a.action_id = k.action_id"
            " WHERE k.key_hash IN "
        )
        self._keep = KEYS.insert_start(names.keys, dialect.insert_ignore)

    def known_on(self, connection: Connection, keys: Sequence[str]) -> dict[str, Known]:
        """Return the actions that keys have made here before, gone ones too."""
        known: dict[str, Known] = {}
        for part in self._by_key(keys):
            # Hexadecimal digits only: nothing in them has to be quoted.
            wanted = ",".join([f"'{key}'" for key in part])
            for key, action, hook, args in connection.exec_driver_sql(f"{self._known}({wanted})"):
                known[str(key)] = Known(
                    id=ActionId(int(action)), hook=as_text(hook), args=as_text(args)
                )
        return known

    def _by_key(self, keys: Iterable[str]) -> Iterator[list[str]]:
        """Part keys into portions that a statement may name, each with an id and a date."""
        return portions(keys, most=BATCH, room=self._room, size_of=lambda key: SMALL + len(key))

    def keep(self, connection: Connection, ids: Mapping[str, ActionId], now: datetime) -> None:
        """Write the keys of new actions. Raced where one of them is there already."""
        at = to_text(now)
        for part in self._by_key(sorted(ids)):
            rows = ",".join([f"('{key}',{ids[key]},'{at}')" for key in part])
            if connection.exec_driver_sql(self._keep + rows).rowcount != len(part):
                raise Raced

    def added_on(self, connection: Connection, keys: Sequence[str], at: datetime) -> list[Added]:
        """Return what was added under these keys at just that ``now``, and lock it.

        ``keys``: of one queue, which tells itself by their first :data:`ORIGIN` digits.
        """
        if not keys:
            return []
        names = self._names
        lock = self._dialect.row_lock
        wanted = ",".join([f"'{key}'" for key in keys])
        # No text(): a thousand of its statements are kept in memory, and these are long.
        rows = connection.exec_driver_sql(
            "SELECT k.key_hash, a.action_id, a.status, a.claim_id, a.scheduled_date_gmt,"
            f" a.attempts, a.last_attempt_gmt FROM {names.keys} k JOIN {names.actions} a"
            f" ON a.action_id = k.action_id WHERE k.key_hash IN ({wanted})"
            f" AND k.created_gmt = '{to_text(at)}' ORDER BY a.action_id{lock}"
        ).fetchall()
        ids = listed([int(action) for _, action, *_ in rows] or [0])
        logs = self._pairs(
            connection,
            f"SELECT action_id, COUNT(*) FROM {names.logs} WHERE action_id IN {ids}"
            " GROUP BY action_id",
        )
        waited_for: dict[int, int] = {}
        if self._own.has(names.waits):
            waited_for = self._pairs(
                connection,
                f"SELECT w.after_id, COUNT(*) FROM {names.waits} w LEFT JOIN {names.keys} k"
                " ON k.action_id = w.action_id"
                f" AND SUBSTR(k.key_hash, 1, {ORIGIN}) = '{keys[0][:ORIGIN]}'"
                f" WHERE w.after_id IN {ids} AND k.key_hash IS NULL GROUP BY w.after_id",
            )
        return [
            Added(
                key=str(key),
                id=ActionId(int(i)),
                status=str(status),
                is_in_hand=status == "in-progress" or (status == "pending" and bool(claim)),
                mark=mark_of(
                    str(status),
                    as_text(scheduled),
                    int(attempts),
                    as_text(tried),
                    logs.get(int(i), 0),
                ),
                is_waited_for=int(i) in waited_for,
            )
            for key, i, status, claim, scheduled, attempts, tried in rows
        ]

    @staticmethod
    def _pairs(connection: Connection, statement: str) -> dict[int, int]:
        return {int(one): int(two) for one, two in connection.exec_driver_sql(statement)}
