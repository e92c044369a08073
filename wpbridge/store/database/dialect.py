"""The questions whose answers differ between MySQL/MariaDB and SQLite, and nothing else.

:mod:`wpbridge.store.database.mysql` and :mod:`wpbridge.store.database.sqlite` have the answers.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, CursorResult
from sqlalchemy.engine import URL

from wpbridge.store.schema.ddl import Ddl
from wpbridge.store.schema.found import FoundTable, TableSize
from wpbridge.store.schema.ids import KeyColumn
from wpbridge.store.schema.text_columns import Texts

WORDPRESS_REMOVES = frozenset(
    {
        "NO_ZERO_DATE",
        "ONLY_FULL_GROUP_BY",
        "STRICT_TRANS_TABLES",
        "STRICT_ALL_TABLES",
        "TRADITIONAL",
        "ANSI",
    }
)
"""The modes that wpdb::set_sql_mode takes out of the session (WordPress 6)."""


FORGETFUL = {
    0: "a crash of the database server undoes about the last second of what was committed",
    2: "a crash of the database server's host undoes about the last second of what was committed",
}
"""By ``innodb_flush_log_at_trx_commit``; 1, the servers' default, undoes nothing."""


class Catalogue(Protocol):
    """What a database tells of itself and of its tables. No row of a table is read."""

    def tables(self, connection: Connection) -> frozenset[str]:
        """Name all tables of the database."""
        ...

    def columns(self, connection: Connection, table: str) -> list[str]:
        """Name the columns of a table; none where there is no such table."""
        ...

    def indexes(self, connection: Connection, table: str) -> dict[str, tuple[str, ...]]:
        """Name the indexes of a table and their columns."""
        ...

    def key_columns(
        self, connection: Connection, columns: Mapping[str, str]
    ) -> dict[str, KeyColumn]:
        """Say what becomes of a column in each table. Missing tables are left out.

        It is one statement. ``columns``: by table.
        """
        ...

    def is_transactional(self, connection: Connection, table: str) -> bool:
        """Say whether the engine of a table has transactions."""
        ...

    def without_transactions(self, connection: Connection, tables: Collection[str]) -> list[str]:
        """Name those of the tables whose engine has no transactions."""
        ...

    def look(self, connection: Connection, table: str, key: str) -> FoundTable | None:
        """Tell a table's whole definition; None where there is no such table.

        ``key``: the column that should be, or begin, its primary key.
        """
        ...

    def written(self, connection: Connection, table: str) -> str:
        """Return a table's definition as the database writes it, with its indexes."""
        ...

    def next_id(self, connection: Connection, table: str) -> int | None:
        """Return the id that the next row of a table gets; None where nothing tells it."""
        ...

    def sizes(self, connection: Connection) -> dict[str, TableSize]:
        """Tell how large all tables are, by name; nothing where the database does not tell."""
        ...

    def file_bytes(self, connection: Connection) -> int:
        """Return the size of the database's file; 0 for a server."""
        ...

    def journal_mode(self, connection: Connection) -> str:
        """Return the journal mode of the database's file, such as ``wal``; empty for a server."""
        ...

    def variables(self, connection: Connection, names: Sequence[str], scope: str) -> dict[str, str]:
        """Tell the server's variables by name, in lower case. Unknown ones are left out.

        ``scope``: SESSION or GLOBAL.
        """
        ...

    def clock(self, connection: Connection) -> datetime | None:
        """Tell the server's time, to the second; None for a file, which has no clock of its own."""
        ...

    def identity(self, connection: Connection) -> str:
        """Say which database this is. It tells so itself, whatever way it is reached."""
        ...

    def can_index_online(self, connection: Connection) -> bool:
        """Say whether an index can be added without locking the table."""
        ...

    def plan(
        self, connection: Connection, select: str, values: Mapping[str, object]
    ) -> list[Mapping[str, Any]]:
        """Return the server's plan of a statement, with its words in lower case."""
        ...

    def index_used(self, connection: Connection, select: str) -> tuple[str | None, bool]:
        """Return the index that a statement on one table uses, and whether it sorts."""
        ...


class Dialect(Catalogue, Protocol):
    """The seam between the shared SQL and a database."""

    name: str
    is_file: bool
    """Whether the database is a file of this host, and not a server."""
    begin: str
    db_now: str
    now_seconds: str
    """An expression: seconds since 1970 with their fractions, by the database's clock."""
    insert_ignore: str
    """The verb of an INSERT that passes over a row whose key is there already."""
    row_lock: str
    """Text that ends a SELECT which waits for rows and locks them; it skips none."""
    by_key: str
    """Text after a table's name: its rows are found by the primary key and by no other index."""
    shared_lock: str
    """Text that ends a SELECT which reads what is committed now, and locks it against writers."""
    mark: str
    """What stands for a value in a statement that goes to the driver as it is."""
    whole_number: str
    """The type that CAST makes of a text of digits."""
    one_writer: bool
    """Whether a transaction that writes shuts out all other writers."""
    php_sees_ours: bool
    """Whether WordPress can read our tables."""
    can_skip_locked: bool
    most_bytes: int
    """Of one statement."""

    def forgets(self, connection: Connection) -> str:
        """Say how the server loses what it has committed; empty where it keeps everything."""
        ...

    def use_index(self, name: str | None) -> str:
        """Text after the table's name that pins an index; empty for None."""
        ...

    def lock_rows(self) -> str:
        """Text that ends a locking SELECT."""
        ...

    def lock_groups(self, table: str) -> str:
        """Write a statement that locks the groups with the ids ``:ids`` against other writers."""
        ...

    def for_driver(self, statement: str) -> str:
        """Write a statement's named values as the driver takes them; `:ids`, `:claims` stay."""
        ...

    def place(self, address: URL) -> str:
        """Name a database by where it is: the same however it is reached from this host."""
        ...

    def strict(self, connection: Connection) -> AbstractContextManager[None]:
        """Within, the database refuses what it would alter to make it fit. See :class:`Unfit`."""
        ...

    def cut(self, connection: Any) -> None:
        """Wake a thread that waits for an answer on this connection of the driver's."""
        ...

    def has_moved(self, connection: Any) -> bool:
        """Whether the driver's connection leads to another place than a new one would."""
        ...

    def age_seconds(self, column: str) -> str:
        """An expression: seconds between a UTC column and the database's now."""
        ...

    def db_in(self, seconds: int) -> str:
        """An expression: the database's now, and so many seconds more; before it when negative."""
        ...

    def as_bytes(self, column: str) -> str:
        """An expression: the bytes of a text column as PHP reads them, which compare exactly."""
        ...

    def from_php(self, value: str) -> str:
        """An expression: the text that PHP writes when it writes these bytes."""
        ...

    def next_value(self, table: str, column: str, index: str) -> str:
        """A statement: the first value of an index's first column that comes after ``:last``.

        One step of the index, however many rows have the same value. Values that the column's
        collation takes for equal count as one.
        """
        ...

    def charset_of(self, connection: Connection) -> str:
        """The character set that a session speaks."""
        ...

    def texts(self, connection: Connection, tables: Sequence[str]) -> Texts:
        """What the text columns of these tables can hold."""
        ...

    def version(self, connection: Connection) -> str:
        """Server name and version, and what follows from it is remembered."""
        ...

    def try_to_write(self, connection: Connection, table: str) -> None:
        """Do what a database refuses that takes no writes, and change nothing by it.

        Raises its error. ``table``: one that is there.
        """
        ...

    def may_create(self, connection: Connection, table: str) -> bool:
        """Whether the account may create a table of this name; none is made."""
        ...

    def make_database(self, address: URL) -> None:
        """Make it where it is a file that is not there; a server's is its administrator's."""
        ...

    @property
    def ddl(self) -> Ddl:
        """What writes the statements that create and change tables."""
        ...

    def returning(self, column: str) -> str:
        """Text that ends an INSERT, so that the database tells the new rows' ids; may be empty."""
        ...

    def new_ids(
        self, connection: Connection, done: CursorResult[Any], rows: int, table: str
    ) -> list[int]:
        """The ids of the rows of an INSERT that has just been done, in their order.

        Raises SchemaError where the database gave none.
        """
        ...


def parse_version(text: str) -> tuple[str, tuple[int, ...]]:
    """``5.5.5-10.11.4-MariaDB`` as ("MariaDB", (10, 11, 4))."""
    kind = "MariaDB" if "mariadb" in text.lower() else "MySQL"
    numbers = text.removeprefix("5.5.5-") if kind == "MariaDB" else text
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", numbers)
    return kind, tuple(int(part) for part in found.groups()) if found else (0, 0, 0)


def knows_skip_locked(kind: str, version: tuple[int, ...]) -> bool:
    """The plugin's gate: MariaDB 10.6.0, MySQL 8.0.1."""
    return version >= ((10, 6, 0) if kind == "MariaDB" else (8, 0, 1))
