"""Define the questions that MySQL/MariaDB and SQLite answer differently, and nothing else.

:mod:`wpbridge.store.database.mysql` and :mod:`wpbridge.store.database.sqlite` have the answers.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.connection import Connection, Result
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
"""The SQL modes that wpdb::set_sql_mode removes from the session (WordPress 6)."""


FORGETFUL = {
    0: "a crash of the database server undoes about the last second of what was committed",
    2: "a crash of the database server's host undoes about the last second of what was committed",
}
"""What a crash loses, by ``innodb_flush_log_at_trx_commit``. The default, 1, loses nothing."""


class Catalogue(Protocol):
    """Says what a database knows about itself and its tables. No row of a table is read."""

    def tables(self, connection: Connection) -> frozenset[str]:
        """Return the names of all tables of the database."""
        ...

    def columns(self, connection: Connection, table: str) -> list[str]:
        """Return the names of a table's columns; an empty list where there is no such table."""
        ...

    def indexes(self, connection: Connection, table: str) -> dict[str, tuple[str, ...]]:
        """Return the indexes of a table by name, each with its columns."""
        ...

    def key_columns(
        self, connection: Connection, columns: Mapping[str, str]
    ) -> dict[str, KeyColumn]:
        """Describe one column of each table, with one statement. Missing tables are left out.

        ``columns`` gives the column by table.
        """
        ...

    def is_transactional(self, connection: Connection, table: str) -> bool:
        """Return whether the engine of a table has transactions."""
        ...

    def without_transactions(self, connection: Connection, tables: Collection[str]) -> list[str]:
        """Return those of the tables whose engine has no transactions."""
        ...

    def look(self, connection: Connection, table: str, key: str) -> FoundTable | None:
        """Return a table's whole definition; None where there is no such table.

        ``key`` is the column that should be, or begin, its primary key.
        """
        ...

    def written(self, connection: Connection, table: str) -> str:
        """Return a table's definition as the database writes it, with its indexes."""
        ...

    def next_id(self, connection: Connection, table: str) -> int | None:
        """Return the id that the next row of a table gets; None where the database does not say."""
        ...

    def sizes(self, connection: Connection, tables: Sequence[str]) -> dict[str, TableSize]:
        """Return the sizes of these tables by name; empty where the database does not say."""
        ...

    def file_bytes(self, connection: Connection) -> int:
        """Return the size of the database's file; 0 for a server."""
        ...

    def journal_mode(self, connection: Connection) -> str:
        """Return the journal mode of the database's file, such as ``wal``; empty for a server."""
        ...

    def variables(self, connection: Connection, names: Sequence[str], scope: str) -> dict[str, str]:
        """Return the server's variables by name, in lower case. Unknown ones are left out.

        ``scope`` is SESSION or GLOBAL.
        """
        ...

    def clock(self, connection: Connection) -> datetime | None:
        """Return the server's time, to the second; None for a file, which has no clock."""
        ...

    def identity(self, connection: Connection) -> str:
        """Return which database this is. The answer is the same by whatever way it is reached."""
        ...

    def can_index_online(self, connection: Connection) -> bool:
        """Return whether an index can be added without locking the table."""
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
    """Answers the questions that the shared SQL has about its database."""

    name: str
    driver: str
    """The package that speaks with the database, and its version, for people."""
    is_file: bool
    """Whether the database is a file on this host, and not a server."""
    begin: str
    db_now: str
    now_seconds: str
    """An expression for the seconds since 1970, with fractions, by the database's clock."""
    insert_ignore: str
    """The verb of an INSERT that skips a row whose key is already there."""
    row_lock: str
    """The end of a SELECT that waits for rows and locks them. It skips no row."""
    by_key: str
    """The text after a table's name that makes the database use the primary key only."""
    shared_lock: str
    """The end of a SELECT that reads what is committed now and locks it against writers."""
    mark: str
    """The placeholder for a value in a statement that goes to the driver unchanged."""
    whole_number: str
    """The type with which CAST turns a text of digits into a number."""
    one_writer: bool
    """Whether a transaction that writes keeps all other writers waiting."""
    php_sees_ours: bool
    """Whether WordPress can read wpbridge's own tables."""
    can_skip_locked: bool
    most_bytes: int
    """The longest statement that the database takes, in bytes."""

    def forgets(self, connection: Connection) -> str:
        """Say how the server can lose what it has committed; return "" when it cannot."""
        ...

    def limit_statements(self, connection: Connection, seconds: float) -> None:
        """Have each later statement of a connection end with an error after so many seconds.

        A server that has no such limit is left as it is.
        """
        ...

    def use_index(self, name: str | None) -> str:
        """Return the text after a table's name that pins an index; empty for None."""
        ...

    def lock_rows(self) -> str:
        """Return the end of a SELECT that locks rows; it skips locked ones where the server can."""
        ...

    def lock_groups(self, table: str) -> str:
        """Return a statement that locks the groups with the ids ``:ids`` against other writers."""
        ...

    def for_driver(self, statement: str) -> str:
        """Rewrite a statement's named values for the driver; `:ids` and `:claims` stay."""
        ...

    def place(self, address: DatabaseAddress) -> str:
        """Return where a database is: the same text however it is reached from this host."""
        ...

    def strict(self, connection: Connection) -> AbstractContextManager[None]:
        """Make the database refuse, within this context, values that it would alter to fit.

        The statement then raises :class:`Unfit`.
        """
        ...

    def cut(self, connection: Any) -> None:
        """Wake a thread that waits for an answer on this connection of the driver."""
        ...

    def has_moved(self, connection: Any) -> bool:
        """Return whether the driver's connection leads to another place than a new one would."""
        ...

    def or_update(self, key: str, *columns: str) -> str:
        """Return the end of an INSERT of one row that changes these columns where it is there."""
        ...

    def age_seconds(self, column: str) -> str:
        """Return an expression for the seconds from a UTC column to the database's now."""
        ...

    def db_in(self, seconds: int) -> str:
        """Return an expression for the database's now plus ``seconds``, which may be negative."""
        ...

    def as_bytes(self, column: str) -> str:
        """Return an expression for a text column's bytes, as PHP reads them, to compare exactly."""
        ...

    def from_php(self, value: str) -> str:
        """Return an expression for the text that results when PHP writes these bytes."""
        ...

    def next_value(self, table: str, column: str, index: str) -> str:
        """Return a statement for the next value after ``:last`` in an index's first column.

        It reads one step of the index, however many rows have the same value. Values that the
        column's collation takes for equal count as one.
        """
        ...

    def charset_of(self, connection: Connection) -> str:
        """Return the character set of a session."""
        ...

    def texts(self, connection: Connection, tables: Sequence[str]) -> Texts:
        """Return what the text columns of these tables can hold."""
        ...

    def version(self, connection: Connection) -> str:
        """Return the server's name and version, and remember what the server can do."""
        ...

    def try_to_write(self, connection: Connection, table: str) -> None:
        """Try something that a read-only database refuses, and change nothing.

        Raises the database's error. ``table`` must exist.
        """
        ...

    def may_create(self, connection: Connection, table: str) -> bool:
        """Return whether the account may create a table of this name. No table is made."""
        ...

    def make_database(self, address: DatabaseAddress) -> None:
        """Make the database file where it is missing. On a server nothing is made."""
        ...

    @property
    def ddl(self) -> Ddl:
        """Return the writer of the statements that create and change tables."""
        ...

    def returning(self, column: str) -> str:
        """Return the end of an INSERT that makes the database return the new ids; may be empty."""
        ...

    def new_ids(self, connection: Connection, done: Result, rows: int, table: str) -> list[int]:
        """Return the ids of the rows that an INSERT has just added, in their order.

        Raises SchemaError where the database gave none.
        """
        ...


def parse_version(text: str) -> tuple[str, tuple[int, ...]]:
    """Read ``5.5.5-10.11.4-MariaDB`` as ("MariaDB", (10, 11, 4))."""
    kind = "MariaDB" if "mariadb" in text.lower() else "MySQL"
    numbers = text.removeprefix("5.5.5-") if kind == "MariaDB" else text
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", numbers)
    return kind, tuple(int(part) for part in found.groups()) if found else (0, 0, 0)


def knows_skip_locked(kind: str, version: tuple[int, ...]) -> bool:
    """Return whether the plugin would use SKIP LOCKED: from MariaDB 10.6.0 and MySQL 8.0.1 on."""
    return version >= ((10, 6, 0) if kind == "MariaDB" else (8, 0, 1))
