"""Open connections to MariaDB and MySQL, set up as WordPress sets up its own."""

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
"""A server that takes longer to answer a statement counts as gone. Scans take longest."""
RUNNER_ANSWER_SECONDS = 30.0
"""A runner's statements are short, and it must renew its beat before others take it for dead."""
_PROBES = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}
"""With these, a vanished host is noticed within half a minute, however long a statement takes."""
_NO_SAFETY_NETS = ", sql_safe_updates = 0, sql_select_limit = 18446744073709551615"
"""Switches off two safety nets that servers and accounts may have for people at a keyboard: the
first refuses statements by indexes that it does not recognise, the second cuts off answers."""


def open_engine(
    url: URL,
    connect_args: dict[str, Any],
    *,
    names: tuple[str | None, str | None] = (charsets.PLAIN, None),
    is_runner: bool = False,
) -> Engine:
    """Return an engine whose sessions are set up as WordPress's: sql_mode, autocommit, text dates.

    ``names`` is the character set and the collation, see
    :func:`wpbridge.store.schema.charsets.speak`.

    With ``is_runner`` nothing keeps the caller waiting for so long that others take it for dead.
    Lock waits end before the connection times out. The server closes the connection of a runner
    that vanished, so that its locks stop nobody.
    """
    from pymysql.constants import FIELD_TYPE  # noqa: PLC0415 - the driver loads when it is needed
    from pymysql.converters import conversions  # noqa: PLC0415

    # Dates stay text, since the driver has no value of its own for the zero date.
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
    """Log in as the engine does, and give every error of the driver a number.

    The driver raises errors without a number for ways to log in that need a package which is not
    installed, and for answers that it does not understand.
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
    """Make a PyMySQL connection refuse statements that the server would not take.

    The server would close the connection, which looks like an outage, and that is waited for.
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
    # The driver joins rows into one statement itself, up to this length.
    bound = {"max_stmt_length": room(most_bytes)}
    connection.cursorclass = type("Cursor", (connection.cursorclass,), bound)


def _limits(answer_seconds: float) -> str:
    """Return more assignments for a SET of timeouts. None is made longer than the server's own."""
    wanted = {
        "innodb_lock_wait_timeout": answer_seconds / 2,
        "lock_wait_timeout": answer_seconds / 2,
        "wait_timeout": answer_seconds * 3,
    }
    return "".join(f", {n} = LEAST(@@SESSION.{n}, {int(s)})" for n, s in wanted.items())


def _probe(link: Any) -> None:
    """Make the system check that the other end of a TCP connection is still there."""
    if isinstance(link, socket.socket) and link.family in (socket.AF_INET, socket.AF_INET6):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES.items():
            # Not every system has all of these options.
            if hasattr(socket, name):
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
