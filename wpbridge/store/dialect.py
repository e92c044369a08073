"""What differs between MySQL/MariaDB and SQLite, and nothing else."""

import re
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from wpbridge.errors import StoreError, StoreMissing, StoreUnavailable
from wpbridge.store.tables import TableNames

WORDPRESS_REMOVES = frozenset({
    "NO_ZERO_DATE", "ONLY_FULL_GROUP_BY", "STRICT_TRANS_TABLES", "STRICT_ALL_TABLES",
    "TRADITIONAL", "ANSI",
})  # fmt: skip
"""The modes that wpdb::set_sql_mode takes out of the session (WordPress 6)."""


class Dialect(Protocol):
    """The seam between the shared SQL and a database."""

    name: str
    begin: str
    db_now: str
    now_seconds: str
    """An expression: seconds since 1970 with their fractions, by the database's clock."""
    can_skip_locked: bool

    def use_index(self, name: str | None) -> str:
        """Text after the table's name that pins an index; empty for None."""
        ...

    def lock_rows(self) -> str:
        """Text that ends a locking SELECT."""
        ...

    def age_seconds(self, column: str) -> str:
        """An expression: seconds between a UTC column and the database's now."""
        ...

    def db_in(self, seconds: int) -> str:
        """An expression: the database's now, and so many seconds more."""
        ...

    def as_bytes(self, column: str) -> str:
        """An expression: a text column's UTF-8 bytes, which compare exactly."""
        ...

    def next_value(self, table: str, column: str, index: str) -> str:
        """A statement: the first value of an index's first column that comes after ``:last``.

        One step of the index, however many rows have the same value. Values that the column's
        collation takes for equal count as one.
        """
        ...

    def columns(self, connection: Connection, table: str) -> list[str]:
        """Column names; empty when the table does not exist."""
        ...

    def indexes(self, connection: Connection, table: str) -> dict[str, list[str]]:
        """Index name to column names."""
        ...

    def is_transactional(self, connection: Connection, table: str) -> bool:
        """Whether its engine has transactions."""
        ...

    def version(self, connection: Connection) -> str:
        """Server name and version, and what follows from it is remembered."""
        ...

    def make_database(self, address: URL) -> None:
        """Make it where it is a file that is not there; a server's is its administrator's."""
        ...

    def ddl(self, names: TableNames) -> list[str]:
        """Statements that create the plugin's tables (schema 8)."""
        ...

    def own_ddl(self, names: TableNames) -> dict[str, str]:
        """Our own tables, each with the statement that creates it if it is not there."""
        ...

    def tables(self, connection: Connection) -> frozenset[str]:
        """The names of all tables of the database."""
        ...

    def first_id(self, told: int, rows: int) -> tuple[int, int]:
        """First id and step of a multi-row insert, from the id the driver tells."""
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


_BUSY = frozenset({1213, 1205, 1020})
_GONE = frozenset({2006, 2013, 2002, 2003, 2055, 1053, 1927, 1040, 1129, 1203, 1290, 1836, 1021})
_DENIED = frozenset({1044, 1045, 1049, 1698})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A driver's error, sorted: ``busy`` is tried again at once, ``gone`` after a while."""

    busy: bool
    gone: bool
    error: StoreError


def sort_trouble(error: BaseException) -> Trouble:
    """Sort a DBAPI error by its number (MySQL) or its words (SQLite). Never tells parameters."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    text = str(error.args[1] if code is not None and len(error.args) > 1 else error)
    busy = code in _BUSY or "database is locked" in text or "database table is locked" in text
    gone = code in _GONE or code == 0 or type(error).__name__ == "InterfaceError"
    line = " ".join(text.split())[:300]
    if code in _DENIED:
        advice = " (check DB_USER, DB_PASSWORD and DB_NAME, or --dsn)"
        return Trouble(
            busy=False,
            gone=False,
            error=StoreUnavailable(f"the database refuses us: {line}{advice}"),
        )
    if "unable to open database file" in text:
        advice = "is its name right? wpbridge init makes a new one"
        return Trouble(busy=False, gone=False, error=StoreMissing(f"{line}: {advice}"))
    if gone:
        return Trouble(
            busy=False, gone=gone, error=StoreUnavailable(f"the database does not answer: {line}")
        )
    return Trouble(
        busy=busy, gone=False, error=StoreError(f"the database refused a statement: {line}")
    )
