"""Keep idempotency keys, and reserve many with one statement where their actions are added.

A key is taken before its action is added, so of two writers with one key the second waits for the
first one's commit and then finds its action. A row with the action 0 is a key that the transaction
itself has just taken.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.codec.keys import THROUGH
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.records import Record
from wpbridge.store.schema.tables import KEYS
from wpbridge.store.structure.old_keys import old_mark
from wpbridge.store.structure.tables import Tables

_PORTION: Final = 500
_OF_BROKER: Final = re.compile(
    rf"{THROUGH}[0-9a-f]{{8}}-[0-9a-f]{{4}}-7[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}"
)
"""What the queue makes for an action that is enqueued through a broker."""
_AFTER_THROUGH: Final = THROUGH[:-1] + chr(ord(THROUGH[-1]) + 1)
"""The first text behind all of these; hashes have no letter beyond f."""


def hashed(key: str) -> str:
    """Return the text under which a key is stored."""
    # Others may give keys that begin so, and theirs are hashed like all.
    if key.startswith(THROUGH) and _OF_BROKER.fullmatch(key):
        return key
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and few actions have a key

    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class IdempotencyKeys:
    """The idempotency keys of one site.

    What runs in a transaction takes keys as :func:`hashed` returns them.
    """

    def __init__(self, tables: Tables) -> None:
        self._table = table = tables.names.keys
        dialect = tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._row = f"({', '.join([dialect.mark] * len(KEYS.given))})"
        self._take = KEYS.insert_start(table, dialect.insert_ignore)
        self._fill = KEYS.insert_start(table)
        self._or_fill = dialect.or_update("key_hash", "action_id")
        # This locks in a transaction of ours too: whoever took the key may have committed just
        # now, after the first read of a batch.
        self._taken = text(
            f"SELECT key_hash, action_id FROM {table} WHERE key_hash IN :keys{dialect.shared_lock}"
        )
        self._drop = text(f"DELETE FROM {table} WHERE key_hash IN :keys")
        self._of_keys = text(f"SELECT key_hash, action_id FROM {table} WHERE key_hash IN :keys")
        self._of_actions = text(f"SELECT key_hash, action_id FROM {table} WHERE action_id IN :ids")
        self._any_through = text(
            f"SELECT 1 FROM {table} WHERE key_hash >= :first AND key_hash < :end LIMIT 1"
        )
        self._pass_on = text(f"UPDATE {table} SET key_hash = :to WHERE key_hash = :key")

    def take(
        self, connection: Connection, keys: Sequence[str], now: datetime
    ) -> dict[str, ActionId]:
        """Take those of the keys that are free; return by key the actions that the others made.

        It waits for writers that have taken one of the keys and have not committed yet. They take
        their keys in the same order, so that two of them never wait for each other.
        """
        ordered = sorted(set(keys))
        made: dict[str, ActionId] = {}
        for start in range(0, len(ordered), _PORTION):
            part = ordered[start : start + _PORTION]
            rows = [(key, 0, to_text(now)) for key in part]
            if self._insert(connection, self._take, rows) == len(part):
                continue
            for key, action_id in connection.execute(self._taken, {"keys": part}):
                if int(action_id):
                    made[str(key)] = ActionId(int(action_id))
        return made

    def fill(self, connection: Connection, made: Mapping[str, ActionId], now: datetime) -> None:
        """Note which actions the keys have made that the transaction has taken."""
        rows = [(key, action_id, to_text(now)) for key, action_id in sorted(made.items())]
        for start in range(0, len(rows), _PORTION):
            part = rows[start : start + _PORTION]
            self._insert(connection, self._fill, part, self._or_fill)

    def drop(self, connection: Connection, keys: Sequence[str]) -> None:
        """Give keys back."""
        connection.execute(self._drop, {"keys": list(keys)})

    def made(self, keys: Sequence[str]) -> dict[str, ActionId]:
        """Return by key, as it was given, the actions that these keys have made."""
        if not keys or not self._own.has(self._table):
            return {}
        by_hash = {hashed(key): key for key in keys}
        values = {"keys": list(by_hash)}
        rows = self._session.run(lambda c: c.execute(self._of_keys, values).fetchall())
        return {by_hash[str(key)]: ActionId(int(action)) for key, action in rows if int(action)}

    def keyed(self, records: Sequence[Record]) -> frozenset[ActionId]:
        """Return those of the actions that an idempotency key has made.

        Actions that were queued when the tables of wpbridge 0.1 were brought forward also have a
        row among the keys, though no key made them.
        """
        if not records or not self._own.has(self._table):
            return frozenset()
        marks = {r.id: old_mark(r.id, r.hook, r.args) for r in records}
        values = {"ids": sorted(marks)}
        rows = self._session.run(lambda c: c.execute(self._of_actions, values).fetchall())
        found = [(str(key), ActionId(int(action))) for key, action in rows]
        return frozenset(action for key, action in found if key != marks[action])

    def has_through(self, connection: Connection) -> bool:
        """Tell whether any action has a row that was enqueued through a broker."""
        if not self._own.has(self._table):
            return False
        values = {"first": THROUGH, "end": _AFTER_THROUGH}
        return connection.execute(self._any_through, values).first() is not None

    def through(self, connection: Connection, ids: Sequence[ActionId]) -> dict[ActionId, str]:
        """Return the keys of those of the actions that were enqueued through a broker."""
        if not ids or not self._own.has(self._table):
            return {}
        rows = connection.execute(self._of_actions, {"ids": sorted(ids)}).fetchall()
        return {
            ActionId(int(action)): str(key).removeprefix(THROUGH)
            for key, action in rows
            if str(key).startswith(THROUGH)
        }

    def pass_on(self, key: str, to: str) -> None:
        """Let the action that a key has made count as made by ``to``, which has made nothing."""
        values = {"key": hashed(key), "to": hashed(to)}
        self._session.run(lambda c: c.execute(self._pass_on, values))

    def _insert(
        self, connection: Connection, start: str, rows: Sequence[tuple[object, ...]], end: str = ""
    ) -> int:
        told = f"{start}{', '.join([self._row] * len(rows))}{end}"
        values = tuple(value for row in rows for value in row)
        return int(connection.exec_driver_sql(told, values).rowcount)
