"""Answer the dialect's questions for SQLite.

It serves the embedded queue, and a WordPress that runs on sqlite-database-integration.
"""

import functools
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from wpbridge.errors import StoreMissing, StoreUnavailable
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.connection import Connection, Driver, Engine, Result, text
from wpbridge.store.database.sqlite_catalogue import SQLiteCatalogue
from wpbridge.store.schema import charsets
from wpbridge.store.schema.ddl import Ddl, SQLiteDdl
from wpbridge.store.schema.ids import given
from wpbridge.store.schema.text_columns import Texts

BUSY_MILLISECONDS = 10_000
_STEPS_BETWEEN_LOOKS: Final = 10_000
"""After so many steps of its machine, SQLite asks whether the time is over."""
_IN_MEMORY = (None, "", ":memory:")
_OPTIONS: Final[Mapping[str, Any]] = {
    "check_same_thread": False,
    "timeout": BUSY_MILLISECONDS / 1000,
    "isolation_level": None,
}
"""The driver's options. Without an isolation level, it begins no transactions by itself."""


class SQLite(SQLiteCatalogue):
    """SQLite's dialect. SQLite's own lock lets one writer in at a time."""

    name = "sqlite"
    driver = f"sqlite3 {sqlite3.sqlite_version}"
    row_lock = ""
    is_file = True
    ddl: Final[Ddl] = SQLiteDdl(is_strict=sqlite3.sqlite_version_info >= (3, 37))
    begin = "BEGIN IMMEDIATE"
    insert_ignore = "INSERT OR IGNORE"
    by_key = " NOT INDEXED"
    shared_lock = ""
    mark = "?"
    whole_number = "INTEGER"
    one_writer = True
    php_sees_ours = False
    db_now = "strftime('%Y-%m-%d %H:%M:%S', 'now')"
    now_seconds = "(julianday('now') - 2440587.5) * 86400.0"
    can_skip_locked = False
    most_bytes = 1_000_000_000
    """SQLite's own limit, unless the library was built with another."""

    def forgets(self, _connection: Connection) -> str:
        """Return "": SQLite keeps what it has committed."""
        return ""

    def limit_statements(self, connection: Connection, seconds: float) -> None:
        """See :class:`Dialect`. SQLite asks every few thousand steps whether it shall go on."""
        begin = time.monotonic()

        def begins(_statement: str) -> None:
            nonlocal begin
            begin = time.monotonic()

        connection.raw.set_trace_callback(begins)
        connection.raw.set_progress_handler(
            lambda: time.monotonic() - begin > seconds, _STEPS_BETWEEN_LOOKS
        )

    def use_index(self, name: str | None) -> str:
        """See :class:`Dialect`. INDEXED BY makes sure that the intended index is used."""
        return f' INDEXED BY "{name}"' if name else ""

    def lock_rows(self) -> str:
        """Return "": BEGIN IMMEDIATE has locked everything already."""
        return ""

    def lock_groups(self, table: str) -> str:
        """See :class:`Dialect`. It changes nothing, but a writer keeps all others waiting."""
        return f"UPDATE {table} SET slug = slug WHERE group_id IN :ids"

    def for_driver(self, statement: str) -> str:
        """See :class:`Dialect`."""
        return statement

    def place(self, address: DatabaseAddress) -> str:
        """See :class:`Dialect`."""
        return os.path.realpath(address.path or "")

    def strict(self, _connection: Connection) -> AbstractContextManager[None]:
        """Do nothing: SQLite alters no values."""
        return nullcontext()

    def cut(self, connection: Any) -> None:
        """See :class:`Dialect`. The statement fails."""
        connection.interrupt()

    def has_moved(self, connection: Any) -> bool:
        """Return whether the file was deleted or replaced: what the open one gets would be lost."""
        is_ours = isinstance(connection, _FileConnection)
        return is_ours and _identity(connection.file) != connection.identity

    def or_update(self, key: str, *columns: str) -> str:
        """See :class:`Dialect`."""
        changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
        return f" ON CONFLICT ({key}) DO UPDATE SET {changes}"

    def age_seconds(self, column: str) -> str:
        """See :class:`Dialect`. The clock is the host's, since there is no other."""
        return f"(strftime('%s', 'now') - strftime('%s', {column}))"

    def db_in(self, seconds: int) -> str:
        """See :class:`Dialect`."""
        return f"strftime('%Y-%m-%d %H:%M:%S', 'now', '{seconds:+d} seconds')"

    def as_bytes(self, column: str) -> str:
        """See :class:`Dialect`."""
        return f"CAST({column} AS BLOB)"

    def from_php(self, value: str) -> str:
        """See :class:`Dialect`."""
        return f"CAST({value} AS TEXT)"

    def next_value(self, table: str, column: str, index: str) -> str:
        """See :class:`Dialect`."""
        return (
            f"SELECT {column} FROM {table}{self.use_index(index)} WHERE {column} > :last"
            f" ORDER BY {column} LIMIT 1"
        )

    def charset_of(self, connection: Connection) -> str:
        """Return UTF-8, which it always is."""
        del connection
        return charsets.PLAIN

    def texts(self, connection: Connection, tables: Sequence[str]) -> Texts:
        """See :class:`Dialect`. The columns hold all of UTF-8."""
        del connection, tables
        return Texts()

    def version(self, connection: Connection) -> str:
        """Return the library's version."""
        return f"SQLite {connection.execute(text('SELECT sqlite_version()')).scalar()}"

    def returning(self, column: str) -> str:
        """See :class:`Dialect`. SQLite returns ids from 3.35 on."""
        return f" RETURNING {column}" if sqlite3.sqlite_version_info >= (3, 35) else ""

    def new_ids(self, _connection: Connection, done: Result, rows: int, table: str) -> list[int]:
        """Return the ids that SQLite returned, sorted, or count back from the last one.

        There is only one writer, so there are no gaps.
        """
        if done.returns_rows:
            return sorted(given(row[0], table) for row in done)
        last = given(done.lastrowid, table)
        return [*range(given(last - rows + 1, table), last + 1)]

    def try_to_write(self, connection: Connection, table: str) -> None:
        """Create a table and roll back: this fails where the file or its folder takes no writes."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            connection.exec_driver_sql(f'CREATE TABLE "{table}_wpbridge_try" (one)')
        finally:
            connection.exec_driver_sql("ROLLBACK")

    def may_create(self, connection: Connection, table: str) -> bool:
        """Return True: an account that may write the file may create tables."""
        del connection, table
        return True

    def make_database(self, address: DatabaseAddress) -> None:
        """Make an empty file, which is a database. Only its owner may read the args in it."""
        if address.path not in _IN_MEMORY:
            try:
                Path(str(address.path)).touch(mode=0o600)
            except OSError as error:
                raise StoreUnavailable(
                    f"the file {address.path} cannot be made: {error.strerror}"
                ) from error


def open_engine(address: DatabaseAddress) -> Engine:
    """Return an engine in autocommit that waits for other writers."""
    file = ":memory:"
    if address.path not in _IN_MEMORY:
        file = os.path.abspath(str(address.path))  # noqa: PTH100 - a text
    return Engine(
        address=address,
        driver=DRIVER,
        open=functools.partial(_open, file, address),
    )


def _is_lost(error: Exception) -> bool:
    return "Cannot operate on a closed database" in str(error)


DRIVER: Final = Driver(error=sqlite3.Error, mark=SQLite.mark, is_lost=_is_lost)


def _open(file: str, address: DatabaseAddress) -> sqlite3.Connection:
    connection: sqlite3.Connection
    if file == ":memory:":
        connection = sqlite3.connect(file, **_OPTIONS)
    else:
        connection = _connect(file, of_wordpress=address.of_wordpress)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    if address.only_reads:
        connection.execute("PRAGMA query_only = 1")
    connection.text_factory = _text
    return connection


class _FileConnection(sqlite3.Connection):
    """A connection that remembers which file it has opened."""

    file = ""
    identity: tuple[int, int] | None = None


def _identity(file: str) -> tuple[int, int] | None:
    """Return which file has this name now; None for no file."""
    try:
        found = os.stat(file)  # noqa: PTH116 - before each piece of work
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(file: str, *, of_wordpress: bool) -> sqlite3.Connection:
    """Open a file that exists, so that a misspelt name does not become an empty queue."""
    # This comes before the opening, so that a file replaced in between is opened once more.
    identity = _identity(file)
    try:
        connection = sqlite3.connect(
            f"file:{quote(file)}?mode=rw",
            uri=True,
            factory=_FileConnection,
            **_OPTIONS,
        )
    except sqlite3.OperationalError as error:
        if "unable to open" not in str(error):
            raise
        if Path(file).exists():
            raise StoreMissing(f"the database file {file} cannot be opened: {error}") from error
        advice = (
            "WordPress makes it when it is first used; if it lies elsewhere, name it with --dsn"
            if of_wordpress
            else "is its name right? wpbridge init makes a new one"
        )
        raise StoreMissing(f"there is no database file {file}: {advice}") from error
    connection.file, connection.identity = file, identity
    return connection


def _text(data: bytes) -> str | bytes:
    """Decode the value of a text column. Bytes that are no UTF-8 stay bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
