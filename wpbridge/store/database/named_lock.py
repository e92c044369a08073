"""Take a lock that the server keeps under a name while the connection that took it lives.

Clusters refuse it: a Percona XtraDB Cluster in its strict mode (error 1105), and Galera clusters of
some releases of MariaDB (1235), since only one node knows of such a lock. Callers ask for the lock
first, and do without it where the server has none: docs/explain/clusters.md.
"""

from wpbridge.store.database.connection import Connection, DBAPIError, text
from wpbridge.store.database.trouble import sort_trouble


class NamedLock:
    """One named lock of one site."""

    def __init__(self, purpose: str, table: str) -> None:
        """Name the lock. ``purpose`` and ``table`` are constants and checked names, never data."""
        name = f"CONCAT('wpbridge.{purpose}.', MD5(CONCAT(DATABASE(), '.{table}')))"
        mine = f"IS_USED_LOCK({name}) = CONNECTION_ID()"
        self._take = text(f"SELECT IF({mine}, 1, GET_LOCK({name}, :seconds))")
        self._holder = text(f"SELECT IS_USED_LOCK({name})")
        self._free = text(f"SELECT RELEASE_LOCK({name})")
        self.is_refused = False
        """Whether the server has refused to keep such locks."""

    def take(self, connection: Connection, *, seconds: int) -> bool | None:
        """Take the lock, or keep it where this connection already has it.

        Returns whether the lock was free within ``seconds``; None where the server keeps no locks.
        """
        if self.is_refused:
            return None
        try:
            return bool(connection.execute(self._take, {"seconds": seconds}).scalar() == 1)
        except DBAPIError as error:
            trouble = sort_trouble(error.orig)
            # The statement writes nothing, so "read-only" (1290) refuses the lock itself.
            is_away = (trouble.gone and not trouble.read_only) or trouble.busy or trouble.denied
            if error.connection_invalidated or is_away:
                raise
            self.is_refused = True
            return None

    def holder(self, connection: Connection) -> object:
        """Return the id of the connection that has the lock."""
        return connection.execute(self._holder).scalar()

    def free(self, connection: Connection) -> None:
        """Give the lock back. A lost connection has already lost it."""
        if not (self.is_refused or connection.invalidated):
            connection.execute(self._free)
