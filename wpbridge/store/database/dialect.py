"""What differs between MySQL/MariaDB and SQLite, and nothing else."""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, CursorResult
from sqlalchemy.engine import URL

from wpbridge.errors import Contention, ReadOnly, StoreError, StoreUnavailable, Unfit
from wpbridge.store.schema.ddl import Ddl
from wpbridge.store.schema.found import FoundTable, TableSize
from wpbridge.store.schema.ids import MEND, KeyColumn
from wpbridge.store.schema.layout import TableNames
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

    def own_ddl(self, names: TableNames) -> dict[str, str]:
        """Our own tables, each with the statement that creates it if it is not there."""
        ...

    def own_indexes(self, names: TableNames) -> dict[str, str]:
        """Indexes that tables of ours made by earlier versions lack: what adds them once."""
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


_BUSY = frozenset(
    {
        1213,
        1205,
        1020,
        1206,
        1637,  # deadlock, lock wait, changed meanwhile, no room for locks
        1412,
        3101,  # the table was altered, the cluster refused the commit
    }
)
_GONE = frozenset(
    {
        2006,
        2013,
        2002,
        2003,
        2014,
        2055,
        4031,  # no connection, or not any more
        1053,
        1077,
        1079,
        1080,
        1152,
        1158,
        1159,
        1160,
        1161,
        1184,
        1317,
        1927,
        3169,  # closed on us
        1040,
        1041,
        1129,
        1135,
        1203,
        1226,  # too many connections, no memory or thread for one
        1047,
        3100,  # a cluster that is not ready
        3,
        1021,
        1026,
        1114,  # disk full
        9001,
        9002,
        9006,  # ProxySQL has no server to hand on to
    }
)
_READ_ONLY = frozenset({1290, 1792, 1836, 1036, 1874, 1881, 3989})
"""Of the server, of the session, of InnoDB, of the database."""
_DENIED = frozenset(
    {
        1044,
        1045,
        1049,
        1698,
        1130,  # no such right, login or database, or not from this host
        1820,
        1862,
        3118,
        4151,
        3955,  # a password that expired, an account that is locked
    }
)
LOGIN_BROKE = 2000
"""Ours, for a login in which the driver raised what has no number."""
_NO_METHOD = frozenset({1251, 1275, 1524, 2054, 2058, 2059, 2061, LOGIN_BROKE})
"""Server and driver know no common way to log in."""
_NEEDS_TLS = 3159
_TLS_ADVICE = "connect with TLS: ssl=1 in --dsn, or MYSQL_CLIENT_FLAGS in wp-config.php"
_METHOD_ADVICE = (
    "wpbridge logs in with mysql_native_password, caching_sha2_password, sha256_password and"
    " ed25519: give the account one of them"
)
TOO_BIG = 1153
"""A statement of more than max_allowed_packet."""
_NO_RIGHT = frozenset({1142, 1143, 1227, 1370})
_UNFIT = frozenset({1264, 1265, 1267, 1292, 1300, 1366, 1406, 3988})
"""Out of range, truncated, no such date, not of the column's character set, too long."""
_LOST_IDS = re.compile(r"Duplicate entry '0' for key|Field '\w+_id' doesn't have a default")
"""A second row with the id 0, or a first one in a strict session."""
_TLS = 2026
_FULL = re.compile(
    r"No space left|errno: 28\b|error 28\b|Disk quota|table .* is full", re.IGNORECASE
)
"""Among the words of errors with many causes (1030, 1180, 1004)."""
_SQLITE_GONE = (
    "database or disk is full",
    "disk I/O error",
)
_SQLITE_READ_ONLY = (
    "attempt to write a readonly database",
    # The file is open, and its journal cannot be made: the folder takes no new file.
    "unable to open database file",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A driver's error, sorted; docs/explain/outages.md has the table."""

    error: StoreError
    busy: bool = False
    """Tried again at once."""
    gone: bool = False
    """Tried again after a while, on a new connection."""
    denied: bool = False
    """The login: waited for a little, when it was good before."""
    read_only: bool = False
    """The server answers, and takes no writes: it is gone, for who has to write."""


def sort_trouble(error: BaseException) -> Trouble:
    """Sort a DBAPI error by its number (MySQL) or its words (SQLite). Never tells parameters."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    text = str(error.args[1] if code is not None and len(error.args) > 1 else error)
    line = " ".join(text.split())[:300]
    if refusal := _login_advice(code, text):
        return Trouble(
            error=StoreUnavailable(f"the database refuses us: {line} ({refusal})"), denied=True
        )
    if code in _BUSY or "database is locked" in text or "database table is locked" in text:
        return Trouble(
            error=Contention(f"locks were not to be had, others hold the rows: {line}"), busy=True
        )
    if code in _READ_ONLY or (code is None and any(one in text for one in _SQLITE_READ_ONLY)):
        error = ReadOnly(f"the database is read-only: {line}")
        return Trouble(error=error, gone=True, read_only=True)
    if _is_gone(code, text):
        return Trouble(error=StoreUnavailable(_complaint(code, text, line)), gone=True)
    if code == TOO_BIG:
        return Trouble(error=Unfit(f"the server's max_allowed_packet is too small: {line}"))
    advice = ": the account needs that right, or name another with --dsn" * (code in _NO_RIGHT)
    if _LOST_IDS.search(text):
        advice = f": a table gives new rows no ids; {MEND}"
    kind = Unfit if code in _UNFIT else StoreError
    return Trouble(error=kind(f"the database refused a statement: {line}{advice}"))


def lost_connection(error: BaseException) -> Trouble:
    """The driver gave the connection up, whatever it says about why."""
    line = " ".join(str(error).split())[:300]
    return Trouble(error=StoreUnavailable(f"the database does not answer: {line}"), gone=True)


def _login_advice(code: int | None, text: str) -> str:
    """What to do about a login that is refused; empty where the error is of another kind."""
    is_broken = code == LOGIN_BROKE
    for applies, advice in (
        (
            code == _TLS or "CERTIFICATE_VERIFY_FAILED" in text,
            "check the settings of TLS, or --dsn",
        ),
        (code == _NEEDS_TLS, _TLS_ADVICE),
        (is_broken and "cryptography" in text, f"pip install 'wpbridge[sha2]', or {_TLS_ADVICE}"),
        (is_broken and "pynacl" in text, "pip install 'wpbridge[ed25519]'"),
        (code in _NO_METHOD, _METHOD_ADVICE),
        (code in _DENIED, "check DB_USER, DB_PASSWORD and DB_NAME, or --dsn"),
    ):
        if applies:
            return advice
    return ""


def _is_gone(code: int | None, text: str) -> bool:
    if code is None:
        # What is left of an answer that did not come in time stands before the next one.
        return any(words in text for words in (*_SQLITE_GONE, "Packet sequence number wrong"))
    return code in _GONE or code == 0 or (code in (1030, 1180, 1004) and bool(_FULL.search(text)))


def _complaint(code: int | None, text: str, line: str) -> str:
    if code in (3, 1021, 1026, 1114) or _FULL.search(text) or "disk is full" in text:
        return f"the database has no room left: {line}"
    return f"the database does not answer: {line}"
