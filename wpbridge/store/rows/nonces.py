"""Keep what may be used only once, so that no process of any host takes it a second time.

A row has a digest. It is kept for longer than anything it stands for counts, and then removed by
whoever uses something else. All dates are by the database's clock.
"""

from typing import Final

from wpbridge.clock import seconds_since_boot
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.schema.tables import NONCES
from wpbridge.store.structure.tables import Tables

KEPT_SECONDS: Final = 600
"""So long a row is kept. What counts for longer must not be used once by this table."""
_REMOVE_EVERY_SECONDS: Final = 30.0
_PIECE: Final = 1000
"""So many old rows are removed at once."""


class Nonces:
    """What was used on one site."""

    def __init__(self, tables: Tables) -> None:
        dialect = tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._table = table = tables.names.nonces
        until = dialect.db_in(KEPT_SECONDS)
        self._take = text(NONCES.insert_into(table, dialect.insert_ignore, until_gmt=until))
        # By the index of the dates. The rows are named by their keys, so nobody waits for a gap.
        self._old = text(
            f"SELECT digest FROM {table} WHERE until_gmt <= {dialect.db_now}"
            f" ORDER BY until_gmt LIMIT {_PIECE}"
        )
        self._remove = text(f"DELETE FROM {table} WHERE digest IN :digests")
        self._removed_at: float | None = None

    def use(self, digest: str) -> bool:
        """Return whether a digest, of 64 characters, was not used before. From now on it was.

        Of two who use it at once, one is told so. Where the answer of the database is lost, neither
        may be.
        """
        self._own.ensure(self._table)
        values = {"digest": digest}
        is_new = self._session.transact(lambda c: c.execute(self._take, values).rowcount == 1)
        self._remove_old()
        return is_new

    def _remove_old(self) -> None:
        now = seconds_since_boot()
        if self._removed_at is not None and now - self._removed_at < _REMOVE_EVERY_SECONDS:
            return
        self._removed_at = now
        self._session.run(self._remove_some)

    def _remove_some(self, connection: Connection) -> None:
        digests = [str(digest) for (digest,) in connection.execute(self._old)]
        if digests:
            connection.execute(self._remove, {"digests": digests})
