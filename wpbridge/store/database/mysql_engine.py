"""Connections to MariaDB and MySQL, set up as WordPress sets up its own."""

import socket
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

from wpbridge.store.database.dialect import WORDPRESS_REMOVES
from wpbridge.store.database.portions import room
from wpbridge.store.database.trouble import LOGIN_BROKE, TOO_BIG
from wpbridge.store.schema import charsets

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

    event.listen(engine, "do_connect", _log_in)

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


def _log_in(dialect: Any, _record: Any, words: Any, options: Any) -> Any:
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
