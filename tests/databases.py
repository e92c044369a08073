"""Databases of a private server, which tests use one after the other.

To make a site's tables takes 0.1 s, and to drop them too. So a database whose tables were left as
they were made is emptied for the next test, down to the ids, and tables that the test has added are
dropped. A database in which a test has changed or dropped a table is dropped, and so is one to
which somebody is still connected.
"""

import contextlib
import functools
import os
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import pymysql

from daemons import until
from servers import MariaDB
from stores import make_store
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.schema.layout import TableNames

PREFIX: Final = "wp_"
FACTS: Final = TableNames(prefix=PREFIX).site
TABLE_FILES: Final = ("frm", "MYD", "MYI")
"""The kinds of files that a table has, besides the one of InnoDB's rows."""
Definitions: TypeAlias = list[tuple[str, int, int]]


@dataclass
class Databases:
    """Those of one server."""

    server: MariaDB
    _root: pymysql.Connection = field(init=False)
    _ready: list[str] = field(default_factory=list)
    """With the site's tables, which are empty."""
    _made: dict[str, Definitions] = field(default_factory=dict)
    """How the tables were when they were made."""
    _facts: Sequence[tuple[str, str]] = ()
    """What wpbridge notes of a site when it makes the tables; the id is each site's own."""

    def __post_init__(self) -> None:
        self._root = self._connected()

    @contextlib.contextmanager
    def empty(self) -> Iterator[str]:
        """The DSN of a database without tables."""
        name = self._create()
        yield self.server.url(name)
        self._drop(name)

    @contextlib.contextmanager
    def with_tables(self) -> Iterator[str]:
        """The DSN of a database with a site's empty tables."""
        name = self._ready.pop() if self._ready else self._create()
        if name not in self._made:
            make_store(DatabaseAddress.from_dsn(self.server.url(name)), PREFIX).close()
            self._made[name] = self._definitions(name)
            self._facts = self._facts or self._rows(f"SELECT * FROM {name}.{FACTS}")
        yield self.server.url(name)
        added = self._added(name) if self._is_left(name) else None
        if added is not None:
            for table in added:
                self._rows(f"DROP TABLE {name}.{table}")
            self._clear(name)
            self._ready.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        self._root.close()

    def _create(self) -> str:
        name = f"t{uuid.uuid4().hex[:16]}"
        self._rows(f"CREATE DATABASE {name} COLLATE utf8mb4_unicode_520_ci")
        return name

    def _drop(self, name: str) -> None:
        self._made.pop(name, None)
        self._rows(f"DROP DATABASE {name}")

    def _clear(self, name: str) -> None:
        filled = self._rows(
            f"SELECT table_name, auto_increment > 1 FROM information_schema.tables WHERE table_schema = '{name}'"
        )
        for table, has_ids in filled:
            self._rows(f"DELETE FROM {name}.{table}")
            if has_ids:
                self._rows(f"ALTER TABLE {name}.{table} AUTO_INCREMENT = 1")
        self._rows(f"INSERT INTO {name}.{FACTS} VALUES {', '.join(map(str, self._facts))}")
        self._rows(f"UPDATE {name}.{FACTS} SET value = '{uuid.uuid4()}' WHERE name = 'site_id'")
        self._made[name] = self._definitions(name)

    def _is_left(self, name: str) -> bool:
        """Whether nobody is connected: a connection that was just closed has a moment to go."""
        asked = f"SELECT 1 FROM information_schema.processlist WHERE db = '{name}' LIMIT 1"
        try:
            until(lambda: not self._rows(asked), "the end of all connections", seconds=0.5)
        except AssertionError:
            return False
        return True

    def _added(self, name: str) -> set[str] | None:
        """The tables that a test has added; None where it has changed more than that."""
        made, now = set(self._made[name]), set(self._definitions(name))
        files = [file.partition(".") for file, _, _ in now - made]
        is_plain = all(table.isidentifier() and kind in TABLE_FILES for table, _, kind in files)
        return {table for table, _, _ in files} if is_plain and made <= now else None

    def _definitions(self, name: str) -> Definitions:
        """The files in which the server keeps what the tables look like, and when they were written."""
        found = []
        with os.scandir(self.server.folder / "data" / name) as entries:
            for entry in entries:
                # Rows are in the others.
                if not entry.name.endswith(".ibd"):
                    told = entry.stat()
                    found.append((entry.name, told.st_ino, told.st_mtime_ns))
        return sorted(found)

    def _rows(self, statement: str) -> Any:
        """Run a statement as root, over a connection that tests may have cut."""
        try:
            self._root.ping(reconnect=False)
        except pymysql.Error:
            self._root = self._connected()
        with self._root.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def _connected(self) -> pymysql.Connection:
        # The tables' own defaults are zero dates, which a strict server takes for no dates.
        return self.server.connect(autocommit=True, init_command="SET SESSION sql_mode = ''")


def empty_queue(file: Path) -> str:
    """Make a queue on SQLite, copied from one that is made once. Returns its DSN."""
    file.touch(mode=0o600)
    file.write_bytes(_empty_queue())
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(
            f"UPDATE {FACTS} SET value = ? WHERE name = 'site_id'", (str(uuid.uuid4()),)
        )
    return f"sqlite:///{file}"


@functools.cache
def _empty_queue() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "queue.db")
        make_store(DatabaseAddress.from_dsn(f"sqlite:///{file}"), PREFIX).close()
        return file.read_bytes()
