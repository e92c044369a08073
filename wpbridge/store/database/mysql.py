"""Answer the dialect's questions for MariaDB and MySQL."""

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.connection import Connection, DBAPIError, Result, text
from wpbridge.store.database.dialect import (
    FORGETFUL,
    knows_skip_locked,
    parse_version,
)
from wpbridge.store.database.mysql_catalogue import MySQLCatalogue
from wpbridge.store.database.trouble import code_of, sort_trouble
from wpbridge.store.schema import charsets
from wpbridge.store.schema.ddl import Ddl, MySQLDdl
from wpbridge.store.schema.ids import given
from wpbridge.store.schema.text_columns import Column, Texts

_MAY_NOT_CREATE = frozenset({1044, 1142, 1227, 1370})
_UNKNOWN_VARIABLE: Final = "1193"
LEAST_ENDS = (" _", " !", " `", "_", "!", "`")
"""The least printable characters of the servers' collations, alone and after one space."""


class MySQL(MySQLCatalogue):
    """See :class:`wpbridge.store.database.dialect.Dialect`."""

    name = "mysql"
    row_lock = " FOR UPDATE"
    is_file = False
    ddl: Final[Ddl] = MySQLDdl()
    begin = "START TRANSACTION"
    insert_ignore = "INSERT IGNORE"
    by_key = " FORCE INDEX (PRIMARY)"
    shared_lock = " LOCK IN SHARE MODE"
    mark = "%s"
    whole_number = "UNSIGNED"
    one_writer = False
    php_sees_ours = True
    db_now = "UTC_TIMESTAMP()"
    now_seconds = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6"

    def __init__(self, driver: str) -> None:
        self.driver = driver
        self.can_skip_locked = False
        self.most_bytes = 1 << 20
        self.charset = charsets.PLAIN
        """The character set of the sessions, by the server's name for it."""
        self._is_mariadb = self._returns_ids = False

    def forgets(self, connection: Connection) -> str:
        """See :data:`wpbridge.store.database.dialect.FORGETFUL`."""
        flush = connection.execute(text("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit")).scalar()
        return FORGETFUL.get(int(flush or 0), "")

    def limit_statements(self, connection: Connection, seconds: float) -> None:
        """See :class:`Dialect`. MariaDB has one variable for it, and MySQL another for reads."""
        for variable, value in (
            ("max_statement_time", seconds),
            ("max_execution_time", round(seconds * 1000)),
        ):
            try:
                connection.execute(text(f"SET SESSION {variable} = {value}"))
            except DBAPIError as error:
                if code_of(error) != _UNKNOWN_VARIABLE:
                    raise
            else:
                return

    def use_index(self, name: str | None) -> str:
        """See :class:`Dialect`. FORCE is used, since a filesort of a backlog is never wanted."""
        return f" FORCE INDEX (`{name}`)" if name else ""

    def lock_rows(self) -> str:
        """See :class:`Dialect`. Rows that others have locked are skipped where the server can."""
        return " FOR UPDATE SKIP LOCKED" if self.can_skip_locked else " FOR UPDATE"

    def lock_groups(self, table: str) -> str:
        """See :class:`Dialect`."""
        return f"SELECT group_id FROM {table} WHERE group_id IN :ids ORDER BY group_id FOR UPDATE"

    def for_driver(self, statement: str) -> str:
        """See :class:`Dialect`."""
        return re.sub(r":(?!ids\b|claims\b)([a-z_]+)", r"%(\1)s", statement)

    def place(self, address: DatabaseAddress) -> str:
        """See :class:`Dialect`."""
        return address.name or ""

    @contextmanager
    def strict(self, connection: Connection) -> Iterator[None]:
        """See :class:`Dialect`. WordPress's sessions are not strict: they cut and convert."""
        connection.exec_driver_sql(
            "SET @wpbridge_mode = @@SESSION.sql_mode, SESSION sql_mode ="
            " CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_ALL_TABLES')"
        )
        try:
            yield
        finally:
            # A lost connection needs no mode restored.
            with suppress(DBAPIError):
                connection.exec_driver_sql("SET SESSION sql_mode = @wpbridge_mode")

    def cut(self, connection: Any) -> None:
        """See :class:`Dialect`. The server then rolls back what was not committed."""
        link = getattr(connection, "_sock", None)
        if isinstance(link, socket.socket):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def has_moved(self, _connection: Any) -> bool:
        """Return False: a server that goes away ends its connections itself."""
        return False

    def or_update(self, key: str, *columns: str) -> str:
        """See :class:`Dialect`."""
        del key
        changes = ", ".join(f"{column} = VALUES({column})" for column in columns)
        return f" ON DUPLICATE KEY UPDATE {changes}"

    def age_seconds(self, column: str) -> str:
        """See :class:`Dialect`."""
        return f"TIMESTAMPDIFF(SECOND, {column}, UTC_TIMESTAMP())"

    def db_in(self, seconds: int) -> str:
        """See :class:`Dialect`."""
        return f"(UTC_TIMESTAMP() + INTERVAL {seconds} SECOND)"

    def as_bytes(self, column: str) -> str:
        """See :class:`Dialect`."""
        return f"CAST({self.from_php(column)} AS BINARY)"

    def from_php(self, value: str) -> str:
        """See :class:`Dialect`."""
        return f"CONVERT({value} USING {self.charset})"

    def next_value(self, table: str, column: str, index: str) -> str:
        """See :class:`Dialect`.

        With ``> :last`` on an index over part of a column, the server reads every row that equals
        :last, which may be a million. ``>=`` the least text that continues :last takes one step.
        The collation decides which text that is, so the server chooses among a few. A value that
        continues :last with a character of less weight (a tab, two spaces) is missed.

        The rows come in the index's own order: an ORDER BY could not use the index, and NO_MRR
        keeps MySQL from reading the range in the order of the rows.
        """
        ways = " OR ".join(f"{column} >= CONCAT(:last, '{end}')" for end in LEAST_ENDS)
        return (
            f"SELECT /*+ NO_MRR({table}) */ {column} FROM {table}{self.use_index(index)}"
            f" WHERE {ways} LIMIT 1"
        )

    def charset_of(self, connection: Connection) -> str:
        """See :class:`Dialect`. The name is the server's."""
        return str(connection.exec_driver_sql("SELECT @@character_set_connection").scalar())

    def texts(self, connection: Connection, tables: Sequence[str]) -> Texts:
        """See :class:`Dialect`. It reads information_schema and remembers the session's charset."""
        rows = connection.execute(
            text(
                "SELECT TABLE_NAME, COLUMN_NAME, CHARACTER_SET_NAME, CHARACTER_MAXIMUM_LENGTH,"
                " CHARACTER_OCTET_LENGTH FROM information_schema.COLUMNS"
                " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN :tables"
                " AND CHARACTER_SET_NAME IS NOT NULL"
            ),
            {"tables": list(tables)},
        )
        columns = {
            (str(table).lower(), str(name).lower()): Column(str(charset), int(most), int(octets))
            for table, name, charset, most, octets in rows
        }
        self.charset = self.charset_of(connection)
        return Texts(session=self.charset, columns=columns)

    def version(self, connection: Connection) -> str:
        """See :class:`Dialect`."""
        told = connection.exec_driver_sql("SELECT VERSION(), @@max_allowed_packet").one()
        kind, numbers = parse_version(str(told[0]))
        self.most_bytes = int(told[1])
        self.can_skip_locked = knows_skip_locked(kind, numbers)
        self._is_mariadb = kind == "MariaDB"
        self._returns_ids = self._is_mariadb and numbers >= (10, 5, 0)
        return f"{kind} {'.'.join(map(str, numbers))}"

    def returning(self, column: str) -> str:
        """See :class:`Dialect`. MariaDB returns ids from 10.5 on, MySQL does not."""
        return f" RETURNING {column}" if self._returns_ids else ""

    def new_ids(self, connection: Connection, done: Result, rows: int, table: str) -> list[int]:
        """Return the ids that the server returned, or count them in steps from the first one.

        The step is asked for after each statement, on its connection. It differs between the
        members of a cluster, and changes when one joins or leaves and with every SET GLOBAL.
        """
        if done.returns_rows:
            return [given(row[0], table) for row in done]
        first = given(done.lastrowid, table)
        if rows == 1:
            return [first]
        ask = "SELECT @@SESSION.auto_increment_increment"
        step = int(connection.exec_driver_sql(ask).scalar() or 1)
        return [first + step * place for place in range(rows)]

    def try_to_write(self, connection: Connection, table: str) -> None:
        """See :class:`Dialect`. The server checks for writes before it looks for rows."""
        connection.exec_driver_sql(f"UPDATE {table} SET claim_id = claim_id WHERE 1 = 0")

    def may_create(self, connection: Connection, table: str) -> bool:
        """Return whether the account may create a table; the statements never make one.

        MariaDB checks the rights when a statement is prepared, MySQL when it is run. MySQL's
        statement cannot succeed, because its two columns have one name and its tablespace's name is
        too long. The server checks rights before both.
        """
        create = f"CREATE TABLE {table} (one int"
        try:
            if self._is_mariadb:
                connection.exec_driver_sql(f"PREPARE wpbridge_try FROM '{create})'")
                connection.exec_driver_sql("DEALLOCATE PREPARE wpbridge_try")
            else:
                connection.exec_driver_sql(f"{create}, one int) TABLESPACE `{'x' * 70}`")
        except DBAPIError as error:
            code = getattr(error.orig, "args", (0,))[0]
            if error.connection_invalidated or sort_trouble(error.orig).gone:
                raise
            return code not in _MAY_NOT_CREATE
        return True

    def make_database(self, address: DatabaseAddress) -> None:
        """Do nothing: an administrator makes a server's databases."""
