"""Read WordPress's options one at a time, and change them by compare-and-swap.

WordPress writes its options without a lock. So the value that was read must still be there, byte
for byte, when it is replaced. The column's own collation would take other bytes for equal.
"""

from typing import Final

from wpbridge.errors import Contention, SchemaError
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.structure.tables import Tables

CRON: Final = "cron"
CRON_LOCK: Final = "_transient_doing_cron"
CRON_LOCK_SECONDS: Final = 60
"""WordPress's WP_CRON_LOCK_TIMEOUT: an older lock counts as free."""


class Options:
    """Reads and changes the options of one site, alone or in a transaction of the caller's."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._table = table = names.options
        self._dialect = dialect
        value = dialect.as_bytes("option_value")
        new = dialect.from_php(":new")
        self._read = text(f"SELECT {value} FROM {table} WHERE option_name = :name")
        self._swap = text(
            f"UPDATE {table} SET option_value = {new} WHERE option_name = :name AND {value} = :old"
        )
        self._set = text(f"UPDATE {table} SET option_value = {new} WHERE option_name = :name")
        self._insert = text(
            f"{dialect.insert_ignore} INTO {table} (option_name, option_value, autoload)"
            f" VALUES (:name, {new}, 'yes')"
        )
        self._delete = text(f"DELETE FROM {table} WHERE option_name = :name AND {value} = :old")

    def check(self) -> None:
        """Raise SchemaError where options cannot be changed in one transaction with the queue."""

        def check(connection: Connection) -> None:
            if not self._dialect.columns(connection, self._table):
                raise SchemaError(f"there is no table {self._table}: check --table-prefix")
            if not self._dialect.is_transactional(connection, self._table):
                raise SchemaError(
                    f"the table {self._table} has no transactions (MyISAM): convert it with"
                    f" ALTER TABLE {self._table} ENGINE=InnoDB"
                )

        self._session.run(check)

    def are_there(self) -> bool:
        """Tell whether there is a WordPress around the queue."""
        return self._session.run(lambda c: bool(self._dialect.columns(c, self._table)))

    def read(self, name: str) -> bytes | None:
        """Return an option's bytes as PHP has them; None when there is no such option."""

        def read(connection: Connection) -> bytes | None:
            found = connection.execute(self._read, {"name": name}).scalar()
            return None if found is None else bytes(found)

        return self._session.run(read)

    def swap(self, name: str, old: bytes, new: bytes) -> bool:
        """Replace an option's bytes; return False, with nothing done, unless these are ``old``.

        Raises Unfit for bytes that the column would cut or convert.
        """
        values = {"name": name, "old": old, "new": new}

        def swap(connection: Connection) -> bool:
            with self._dialect.strict(connection):
                return bool(connection.execute(self._swap, values).rowcount)

        return self._session.run(swap)

    def write(self, name: str, value: str) -> None:
        """Write an option, whether it exists or not."""
        values = {"name": name, "new": value.encode()}

        def write(connection: Connection) -> None:
            if connection.execute(self._read, {"name": name}).first() is None:
                connection.execute(self._insert, values)
            else:
                connection.execute(self._set, values)

        self._session.transact(write)

    def remove(self, name: str, old: bytes) -> bool:
        """Delete an option; return False, with nothing done, unless its bytes are still ``old``."""
        values = {"name": name, "old": old}
        return self._session.run(lambda c: bool(c.execute(self._delete, values).rowcount))

    # The lock of WP-Cron's passes

    def take_cron_lock(self, mine: str | None, now: float) -> str:
        """Take or renew the lock under which WP-Cron runs; return the text that frees it.

        While it is taken, no pass of WP-Cron begins, here or elsewhere. After a crash it runs out
        by itself.

        Raises:
            Contention: a pass is running.
        """
        new = f"{now:.22f}"
        found = self.read(CRON_LOCK)
        if found is None:
            values = {"name": CRON_LOCK, "new": new.encode()}
            taken = self._session.run(lambda c: bool(c.execute(self._insert, values).rowcount))
        else:
            is_free = found.decode("latin-1") == mine or _is_old(found, now)
            taken = is_free and self.swap(CRON_LOCK, found, new.encode())
        if not taken:
            raise Contention(
                "WP-Cron is running its events, or a move was killed within the last minute (the"
                " transient doing_cron is held): try again in a minute"
            )
        return new

    def free_cron_lock(self, mine: str) -> None:
        """Give the lock back. The lock of somebody else is left alone."""
        self.remove(CRON_LOCK, mine.encode())


def _is_old(value: bytes, now: float) -> bool:
    """Return whether WordPress would ignore the lock. One from far in the future is an error."""
    try:
        since = float(value)
    except ValueError:
        return True
    return not now - CRON_LOCK_SECONDS < since <= now + 10 * CRON_LOCK_SECONDS
