"""SQLite: the embedded queue, and a WordPress that runs on sqlite-database-integration."""

import functools
import os
import re
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    BindParameter,
    Connection,
    CursorResult,
    Engine,
    bindparam,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.pool import StaticPool

from wpbridge.errors import StoreMissing, StoreUnavailable
from wpbridge.store.schema import charsets
from wpbridge.store.schema.ids import KeyColumn, given
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.schema.text_columns import Texts

BUSY_MILLISECONDS = 10_000
_IN_MEMORY = (None, "", ":memory:")

_DATE = "TEXT COLLATE NOCASE DEFAULT '0000-00-00 00:00:00'"
_QUOTED = re.compile(r"""--[^\n]*|/\*.*?\*/|'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]""", re.DOTALL)
_AUTOINCREMENT = re.compile(r"\bPRIMARY\s+KEY\b[^,]*\bAUTOINCREMENT\b", re.IGNORECASE)
_STRICT = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""


class SQLite:
    """SQLite's dialect. One writer at a time, by SQLite's own lock."""

    name = "sqlite"
    begin = "BEGIN IMMEDIATE"
    insert_ignore = "INSERT OR IGNORE"
    db_now = "strftime('%Y-%m-%d %H:%M:%S', 'now')"
    now_seconds = "(julianday('now') - 2440587.5) * 86400.0"
    can_skip_locked = False
    most_bytes = 1_000_000_000
    """SQLite's own limit, unless it was built with another."""

    def forgets(self, _connection: Connection) -> str:
        """It keeps everything."""
        return ""

    def use_index(self, name: str | None) -> str:
        """INDEXED BY, so that the plan is the one we thought of."""
        return f' INDEXED BY "{name}"' if name else ""

    def lock_rows(self) -> str:
        """BEGIN IMMEDIATE has locked everything already."""
        return ""

    def strict(self, _connection: Connection) -> AbstractContextManager[None]:
        """It alters nothing."""
        return nullcontext()

    def cut(self, connection: Any) -> None:
        """The statement ends as one that failed."""
        connection.interrupt()

    def has_moved(self, connection: Any) -> bool:
        """A file that was deleted or replaced stays open, and what is written to it is lost."""
        is_ours = isinstance(connection, _FileConnection)
        return is_ours and _identity(connection.file) != connection.identity

    def age_seconds(self, column: str) -> str:
        """By the host's clock: there is no other."""
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

    def columns(self, connection: Connection, table: str) -> list[str]:
        """As PRAGMA table_info tells."""
        rows = connection.execute(text("SELECT name FROM pragma_table_info(:t)"), {"t": table})
        return [str(row[0]) for row in rows]

    def charset_of(self, connection: Connection) -> str:
        """Always the same."""
        del connection
        return charsets.PLAIN

    def texts(self, connection: Connection, tables: Sequence[str]) -> Texts:
        """All that is UTF-8."""
        del connection, tables
        return Texts()

    def indexes(self, connection: Connection, table: str) -> dict[str, list[str]]:
        """As PRAGMA index_list tells."""
        rows = connection.execute(
            text(
                "SELECT l.name, i.name FROM pragma_index_list(:t) AS l"
                " JOIN pragma_index_info(l.name) AS i ORDER BY l.name, i.seqno"
            ),
            {"t": table},
        )
        found: dict[str, list[str]] = {}
        for name, column in rows:
            found.setdefault(str(name), []).append(str(column))
        return found

    def key_columns(
        self, connection: Connection, columns: Mapping[str, str]
    ) -> dict[str, KeyColumn]:
        """As the tables' own definitions tell.

        Without the word AUTOINCREMENT the ids of deleted rows are given away again.
        """
        names: BindParameter[str] = bindparam("names", expanding=True)
        asked = text(
            "SELECT m.name, m.sql, i.name, i.type, i.pk FROM sqlite_master AS m"
            " JOIN pragma_table_info(m.name) AS i WHERE m.type = 'table' AND m.name IN :names"
        ).bindparams(names)
        found = connection.execute(asked, {"names": list(columns)})
        return {
            str(table): KeyColumn(
                is_key=int(place) == 1,
                gives_ids=(
                    int(place) == 1
                    and str(kind).upper() == "INTEGER"
                    and bool(_AUTOINCREMENT.search(_QUOTED.sub("", str(written))))
                ),
            )
            for table, written, column, kind, place in found
            if column == columns[table]
        }

    def is_transactional(self, connection: Connection, table: str) -> bool:
        """Always."""
        del connection, table
        return True

    def without_transactions(self, connection: Connection, tables: Collection[str]) -> list[str]:
        """None."""
        del connection, tables
        return []

    def version(self, connection: Connection) -> str:
        """The library's version."""
        return f"SQLite {connection.execute(text('SELECT sqlite_version()')).scalar()}"

    def returning(self, column: str) -> str:
        """SQLite tells them from 3.35 on."""
        return f" RETURNING {column}" if sqlite3.sqlite_version_info >= (3, 35) else ""

    def new_ids(
        self, _connection: Connection, done: CursorResult[Any], rows: int, table: str
    ) -> list[int]:
        """As returned, in whatever order, else from the last one: one writer means no gaps."""
        if done.returns_rows:
            return sorted(given(row[0], table) for row in done)
        last = given(done.lastrowid, table)
        return [*range(given(last - rows + 1, table), last + 1)]

    def try_to_write(self, connection: Connection, table: str) -> None:
        """A table that is taken back needs a file, and a folder for its journal, that take it."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            connection.exec_driver_sql(f'CREATE TABLE "{table}_wpbridge_try" (one)')
        finally:
            connection.exec_driver_sql("ROLLBACK")

    def may_create(self, connection: Connection, table: str) -> bool:
        """Who may write the file may."""
        del connection, table
        return True

    def make_database(self, address: URL) -> None:
        """An empty file is a database; a new one is for its owner alone, as it holds the args."""
        if address.database not in _IN_MEMORY:
            try:
                Path(str(address.database)).touch(mode=0o600)
            except OSError as error:
                raise StoreUnavailable(
                    f"the file {address.database} cannot be made: {error.strerror}"
                ) from error

    def ddl(self, names: TableNames) -> list[str]:
        """Schema 8 in the layout that sqlite-database-integration 2 gives it."""
        tables = {
            names.actions: f"""
            "action_id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            "hook" TEXT COLLATE NOCASE NOT NULL,
            "status" TEXT COLLATE NOCASE NOT NULL,
            "scheduled_date_gmt" {_DATE},
            "scheduled_date_local" {_DATE},
            "priority" INTEGER NOT NULL DEFAULT '10',
            "args" TEXT COLLATE NOCASE,
            "schedule" TEXT COLLATE NOCASE,
            "group_id" INTEGER NOT NULL DEFAULT '0',
            "attempts" INTEGER NOT NULL DEFAULT '0',
            "last_attempt_gmt" {_DATE},
            "last_attempt_local" {_DATE},
            "claim_id" INTEGER NOT NULL DEFAULT '0',
            "extended_args" TEXT COLLATE NOCASE""",
            names.claims: f"""
            "claim_id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "date_created_gmt" {_DATE}""",
            names.groups: """
            "group_id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            "slug" TEXT COLLATE NOCASE NOT NULL""",
            names.logs: f"""
            "log_id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            "action_id" INTEGER NOT NULL,
            "message" TEXT COLLATE NOCASE NOT NULL,
            "log_date_gmt" {_DATE},
            "log_date_local" {_DATE}""",
        }
        indexes = {
            names.actions: (
                ("hook", "status", "scheduled_date_gmt"),
                ("status", "scheduled_date_gmt"),
                ("scheduled_date_gmt",),
                ("args",),
                ("group_id",),
                ("last_attempt_gmt",),
                ("claim_id", "status", "priority", "scheduled_date_gmt"),
                ("status", "last_attempt_gmt"),
                ("status", "claim_id"),
            ),
            names.claims: (("date_created_gmt",),),
            names.groups: (("slug",),),
            names.logs: (("action_id",), ("log_date_gmt",)),
        }
        made = [
            f'CREATE TABLE IF NOT EXISTS "{name}" ({body}) {_STRICT}'
            for name, body in tables.items()
        ]
        for table, several in indexes.items():
            made += [
                f'CREATE INDEX IF NOT EXISTS "{table}__{"_".join(columns)}"'
                f' ON "{table}" ({", ".join(columns)})'
                for columns in several
            ]
        return made

    def own_ddl(self, names: TableNames) -> dict[str, str]:
        """See :class:`Dialect`; docs/explain/own-tables.md."""
        columns = {
            names.runners: """
            "runner_id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            "host" text NOT NULL, "boot" text NOT NULL, "pid" INTEGER NOT NULL,
            "pid_started" text NOT NULL, "version" text NOT NULL,
            "started_gmt" text NOT NULL, "beat_gmt" text NOT NULL,
            "claims" text NOT NULL, "once" text NOT NULL,
            "writes" integer NOT NULL DEFAULT 0""",
            names.pauses: """
            "kind" text NOT NULL, "name" text NOT NULL, "until_gmt" text,
            "reason" text NOT NULL, "created_gmt" text NOT NULL, PRIMARY KEY ("kind", "name")""",
            names.zones: """
            "action_id" INTEGER NOT NULL PRIMARY KEY, "hook" text NOT NULL, "args" text NOT NULL,
            "group_id" INTEGER NOT NULL, "expression" text NOT NULL, "zone" text NOT NULL""",
            names.waits: """
            "action_id" INTEGER NOT NULL, "after_id" INTEGER NOT NULL, "on_failed" text NOT NULL,
            PRIMARY KEY ("action_id", "after_id")""",
            names.keys: """
            "key_hash" text NOT NULL PRIMARY KEY, "action_id" INTEGER NOT NULL,
            "created_gmt" text NOT NULL""",
            names.limits: """
            "kind" text NOT NULL, "name" text NOT NULL, "tokens" REAL NOT NULL,
            "refilled" REAL NOT NULL, "failures" INTEGER NOT NULL, PRIMARY KEY ("kind", "name")""",
            names.suspects: """
            "action_id" INTEGER NOT NULL PRIMARY KEY, "seen_gmt" text NOT NULL""",
            names.duties: """
            "duty" text NOT NULL PRIMARY KEY, "holder" text NOT NULL, "due_gmt" text NOT NULL,
            "left_to" text NOT NULL""",
            names.held: """
            "hook" text NOT NULL PRIMARY KEY, "told_gmt" text NOT NULL""",
            names.site: """
            "name" text NOT NULL PRIMARY KEY, "value" text NOT NULL""",
        }
        return {
            table: f'CREATE TABLE IF NOT EXISTS "{table}" ({told})'
            for table, told in columns.items()
        }

    def own_indexes(self, names: TableNames) -> dict[str, str]:
        """See :class:`Dialect`; those of MySQL are in its tables' definitions."""
        return {
            table: f'CREATE INDEX IF NOT EXISTS "{table}__{column}" ON "{table}" ("{column}")'
            for table, column in ((names.keys, "action_id"), (names.waits, "after_id"))
        }

    def tables(self, connection: Connection) -> frozenset[str]:
        """As sqlite_master tells."""
        rows = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        return frozenset(str(row[0]) for row in rows)


def open_engine(url: URL, *, of_wordpress: bool = False) -> Engine:
    """An engine in autocommit that waits for other writers; one connection for memory."""
    memory = url.database in _IN_MEMORY
    extra: dict[str, Any] = {"poolclass": StaticPool} if memory else {}
    if not memory:
        file = os.path.abspath(str(url.database))  # noqa: PTH100 - a text
        extra["creator"] = functools.partial(_connect, file, of_wordpress=of_wordpress)
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": BUSY_MILLISECONDS / 1000},
        **extra,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.text_factory = _text

    return engine


class _FileConnection(sqlite3.Connection):
    """A connection that knows which file it has opened."""

    file = ""
    identity: tuple[int, int] | None = None


def _identity(file: str) -> tuple[int, int] | None:
    """Which file has this name now; None for no file."""
    try:
        found = os.stat(file)  # noqa: PTH116 - before each piece of work
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(file: str, *, of_wordpress: bool) -> sqlite3.Connection:
    """Open a file that is there: a misspelt name shall not become an empty queue."""
    # Before it is opened: a file that is replaced in between is then opened once more.
    identity = _identity(file)
    try:
        connection = sqlite3.connect(
            f"file:{quote(file)}?mode=rw",
            uri=True,
            check_same_thread=False,
            timeout=BUSY_MILLISECONDS / 1000,
            isolation_level=None,
            factory=_FileConnection,
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
    """A text column's value, which may be any bytes: those that are no UTF-8 stay bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
