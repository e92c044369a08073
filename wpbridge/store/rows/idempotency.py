"""Reserve idempotency keys, many with one statement, in the transaction that adds their actions.

A key is taken before its action is added, so of two writers with one key the second waits for the
first one's commit and then finds its action. A row with the action 0 is a key that the transaction
itself has just taken.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.schema.tables import KEYS
from wpbridge.store.structure.tables import Tables

_PORTION: Final = 500


def hashed(key: str) -> str:
    """Return the text under which a key is stored."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and few actions have a key

    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class IdempotencyKeys:
    """The idempotency keys of one site. Keys are given as :func:`hashed` returns them."""

    def __init__(self, tables: Tables) -> None:
        table, dialect = tables.names.keys, tables.dialect
        self._row = f"({', '.join([dialect.mark] * len(KEYS.given))})"
        self._take = KEYS.insert_start(table, dialect.insert_ignore)
        self._fill = KEYS.insert_start(table)
        self._or_fill = dialect.or_update("key_hash", "action_id")
        # This locks in a transaction of ours too: whoever took the key may have committed just
        # now, after the first read of a batch.
        self._made = text(
            f"SELECT key_hash, action_id FROM {table} WHERE key_hash IN :keys{dialect.shared_lock}"
        )
        self._drop = text(f"DELETE FROM {table} WHERE key_hash IN :keys")

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
            for key, action_id in connection.execute(self._made, {"keys": part}):
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

    def _insert(
        self, connection: Connection, start: str, rows: Sequence[tuple[object, ...]], end: str = ""
    ) -> int:
        told = f"{start}{', '.join([self._row] * len(rows))}{end}"
        values = tuple(value for row in rows for value in row)
        return int(connection.exec_driver_sql(told, values).rowcount)
