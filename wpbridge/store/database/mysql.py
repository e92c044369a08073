"""MariaDB and MySQL: sessions set up as WordPress sets them, and what only they know."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

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
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from wpbridge.store.database.dialect import (
    FORGETFUL,
    LOGIN_BROKE,
    TOO_BIG,
    WORDPRESS_REMOVES,
    knows_skip_locked,
    parse_version,
    sort_trouble,
)
from wpbridge.store.database.mysql_catalogue import MySQLCatalogue
from wpbridge.store.database.portions import room
from wpbridge.store.schema import charsets
from wpbridge.store.schema.ddl import Ddl, MySQLDdl
from wpbridge.store.schema.ids import given
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.schema.text_columns import Column, Texts

CONNECT_SECONDS = 10
ANSWER_SECONDS = 600.0
"""A server that has not answered a statement by then is taken for gone: the longest are scans."""
RUNNER_ANSWER_SECONDS = 30.0
"""A runner's statements are short ones, and it must beat again before others take it for dead."""
_PROBES = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}
"""A host that vanished is noticed within half a minute, however long the statement may take."""
_NO_SAFETY_NETS = ", sql_safe_updates = 0, sql_select_limit = 18446744073709551615"
"""Against a server's, or an account's, nets for people at a keyboard: the first refuses statements
by an index that it does not count as one, the second leaves rows out of what is read."""
_MAY_NOT_CREATE = frozenset({1044, 1142, 1227, 1370})
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
    db_now = "UTC_TIMESTAMP()"
    now_seconds = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6"

    def __init__(self) -> None:
        self.can_skip_locked = False
        self.most_bytes = 1 << 20
        self.charset = charsets.PLAIN
        """Of the sessions, in the server's words."""
        self._is_mariadb = self._returns_ids = False

    def forgets(self, connection: Connection) -> str:
        """See :data:`wpbridge.store.database.dialect.FORGETFUL`."""
        flush = connection.execute(text("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit")).scalar()
        return FORGETFUL.get(int(flush or 0), "")

    def use_index(self, name: str | None) -> str:
        """FORCE, since a filesort over the backlog is never wanted."""
        return f" FORCE INDEX (`{name}`)" if name else ""

    def lock_rows(self) -> str:
        """Rows that others hold are passed over where the server knows how."""
        return " FOR UPDATE SKIP LOCKED" if self.can_skip_locked else " FOR UPDATE"

    @contextmanager
    def strict(self, connection: Connection) -> Iterator[None]:
        """WordPress's sessions are not, and cut and convert silently."""
        connection.exec_driver_sql(
            "SET @wpbridge_mode = @@SESSION.sql_mode, SESSION sql_mode ="
            " CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_ALL_TABLES')"
        )
        try:
            yield
        finally:
            # A connection that is lost takes its mode with it.
            with suppress(SQLAlchemyError):
                connection.exec_driver_sql("SET SESSION sql_mode = @wpbridge_mode")

    def cut(self, connection: Any) -> None:
        """The server takes back what was not committed."""
        link = getattr(connection, "_sock", None)
        if isinstance(link, socket.socket):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def has_moved(self, _connection: Any) -> bool:
        """A server that went away ends its connections itself."""
        return False

    def age_seconds(self, column: str) -> str:
        """By the server's clock."""
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

        Over an index on part of a column the server reads ``> :last`` from the first row that has
        :last on, past all of them, be they a million. ``>=`` the least text that goes on after it
        is one step. Which that is depends on the collation, so the server chooses among a few;
        what goes on with another character of less weight (a tab, two spaces) is passed over.
        The order is the index's own: no ORDER BY could use it, and NO_MRR keeps MySQL from
        reading the range in the order of the rows.
        """
        ways = " OR ".join(f"{column} >= CONCAT(:last, '{end}')" for end in LEAST_ENDS)
        return (
            f"SELECT /*+ NO_MRR({table}) */ {column} FROM {table}{self.use_index(index)}"
            f" WHERE {ways} LIMIT 1"
        )

    def charset_of(self, connection: Connection) -> str:
        """In the server's words."""
        return str(connection.exec_driver_sql("SELECT @@character_set_connection").scalar())

    def texts(self, connection: Connection, tables: Sequence[str]) -> Texts:
        """As information_schema tells; the session's character set is remembered."""
        wanted: BindParameter[str] = bindparam("tables", expanding=True)
        rows = connection.execute(
            text(
                "SELECT TABLE_NAME, COLUMN_NAME, CHARACTER_SET_NAME, CHARACTER_MAXIMUM_LENGTH,"
                " CHARACTER_OCTET_LENGTH FROM information_schema.COLUMNS"
                " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN :tables"
                " AND CHARACTER_SET_NAME IS NOT NULL"
            ).bindparams(wanted),
            {"tables": list(tables)},
        )
        columns = {
            (str(table).lower(), str(name).lower()): Column(str(charset), int(most), int(octets))
            for table, name, charset, most, octets in rows
        }
        self.charset = self.charset_of(connection)
        return Texts(session=self.charset, columns=columns)

    def version(self, connection: Connection) -> str:
        """Also learns what the server can do."""
        told = connection.exec_driver_sql("SELECT VERSION(), @@max_allowed_packet").one()
        kind, numbers = parse_version(str(told[0]))
        self.most_bytes = int(told[1])
        self.can_skip_locked = knows_skip_locked(kind, numbers)
        self._is_mariadb = kind == "MariaDB"
        self._returns_ids = self._is_mariadb and numbers >= (10, 5, 0)
        return f"{kind} {'.'.join(map(str, numbers))}"

    def returning(self, column: str) -> str:
        """MariaDB tells them from 10.5 on, MySQL does not."""
        return f" RETURNING {column}" if self._returns_ids else ""

    def new_ids(
        self, connection: Connection, done: CursorResult[Any], rows: int, table: str
    ) -> list[int]:
        """As the server returned them, else in steps from the first one on.

        The step is asked for after each statement and on its connection: it differs between the
        members of a cluster, changes when one comes or goes, and with every SET GLOBAL.
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
        """The server asks whether it takes writes before it looks for rows; there are none."""
        connection.exec_driver_sql(f"UPDATE {table} SET claim_id = claim_id WHERE 1 = 0")

    def may_create(self, connection: Connection, table: str) -> bool:
        """MariaDB tells it when a statement is prepared; MySQL when one is run.

        The one for MySQL is refused for its two columns of one name, and before for the name of
        its tablespace, which is longer than any may be. Rights are asked for first.
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
            if error.connection_invalidated or sort_trouble(error.orig or error).gone:
                raise
            return code not in _MAY_NOT_CREATE
        return True

    def make_database(self, address: URL) -> None:
        """Not ours to do."""

    def own_ddl(self, names: TableNames) -> dict[str, str]:
        """See :class:`Dialect`."""
        return self.ddl.own(names)

    def own_indexes(self, names: TableNames) -> dict[str, str]:
        """See :class:`Dialect`."""
        return self.ddl.own_indexes(names)


def open_engine(
    url: URL,
    connect_args: dict[str, Any],
    *,
    names: tuple[str | None, str | None] = (charsets.PLAIN, None),
    is_runner: bool = False,
) -> Engine:
    """An engine whose sessions are WordPress's: its sql_mode, autocommit, text dates.

    ``names``: character set and collation, see :func:`wpbridge.store.schema.charsets.speak`.

    ``is_runner``: nothing may keep it waiting for so long that others take it for dead. Locks are
    given up before the connection is, and a connection whose runner vanished is closed by the
    server, so that its locks bar nobody.
    """
    from pymysql.constants import FIELD_TYPE  # noqa: PLC0415 - the driver loads when it is needed
    from pymysql.converters import conversions  # noqa: PLC0415

    # Dates stay text: the driver would turn the zero date into something else than NULL is.
    plain = {
        k: v for k, v in conversions.items() if k not in (FIELD_TYPE.DATETIME, FIELD_TYPE.DATE)
    }
    answer = RUNNER_ANSWER_SECONDS if is_runner else ANSWER_SECONDS
    limits = _limits(answer) if is_runner else ""
    engine = create_engine(
        url.set(drivername="mysql+pymysql"),
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=1,
        hide_parameters=True,
        connect_args={
            "charset": charsets.PLAIN,
            "conv": plain,
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": answer,
            "write_timeout": answer,
            **connect_args,
        },
    )

    @event.listens_for(engine, "do_connect")
    def log_in(dialect: Any, _record: Any, words: Any, options: Any) -> Any:
        """As the engine does it, and whatever the driver raises is an error with a number.

        It raises others for ways to log in that need a package which is not installed, and for
        answers that it does not understand.
        """
        driver = dialect.loaded_dbapi
        try:
            return dialect.connect(*words, **options)
        except OSError:
            raise
        except Exception as error:
            is_numbered = bool(error.args) and isinstance(error.args[0], int)
            if isinstance(error, driver.Error) and is_numbered:
                raise
            raise driver.OperationalError(LOGIN_BROKE, str(error)) from error

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@SESSION.sql_mode, @@max_allowed_packet")
            told, most_bytes = cursor.fetchone()
            modes = str(told).split(",")
            kept = ",".join(mode for mode in modes if mode and mode not in WORDPRESS_REMOVES)
            cursor.execute(f"SET SESSION sql_mode = %s{_NO_SAFETY_NETS}{limits}", (kept,))
        charsets.speak(connection, *names)
        _bound(connection, int(most_bytes))
        _probe(getattr(connection, "_sock", None))

    return engine


def _bound(connection: Any, most_bytes: int) -> None:
    """Have a connection of PyMySQL refuse statements that the server would not take.

    Sent nevertheless, they would look like a server that went away, which is waited for.
    """
    send = connection.query

    def query(sql: str | bytes | bytearray, *rest: Any) -> Any:
        if 4 * len(sql) >= most_bytes - 1:
            is_text = isinstance(sql, str)
            size = len(charsets.to_bytes(sql)) if is_text else len(sql)  # type: ignore[arg-type]
            if size >= most_bytes - 1:
                raise connection.DataError(
                    TOO_BIG, f"a statement has {size:,} bytes, and it may have {most_bytes:,}"
                )
        return send(sql, *rest)

    connection.query = query
    # Of what the driver makes one statement of by itself.
    bound = {"max_stmt_length": room(most_bytes)}
    connection.cursorclass = type("Cursor", (connection.cursorclass,), bound)


def _limits(answer_seconds: float) -> str:
    """More assignments of a SET: never longer than the server has them."""
    wanted = {
        "innodb_lock_wait_timeout": answer_seconds / 2,
        "lock_wait_timeout": answer_seconds / 2,
        "wait_timeout": answer_seconds * 3,
    }
    return "".join(f", {n} = LEAST(@@SESSION.{n}, {int(s)})" for n, s in wanted.items())


def _probe(link: Any) -> None:
    """Have the system look whether the other end of a TCP connection is still there."""
    if isinstance(link, socket.socket) and link.family in (socket.AF_INET, socket.AF_INET6):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES.items():
            # Not every system has each of them.
            if hasattr(socket, name):
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
