"""Open connections to MariaDB and MySQL, set up as WordPress sets up its own."""

import socket
from typing import Any

from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.client import ClientDriver
from wpbridge.store.database.connection import Driver, Engine
from wpbridge.store.database.dialect import WORDPRESS_REMOVES
from wpbridge.store.database.portions import room
from wpbridge.store.database.trouble import LOGIN_BROKE, TOO_BIG
from wpbridge.store.schema import charsets

CONNECT_SECONDS = 10
ANSWER_SECONDS = 600.0
"""A server that takes longer to answer a statement counts as gone. Scans take longest."""
RUNNER_ANSWER_SECONDS = 30.0
"""A runner's statements are short, and it must renew its beat before others take it for dead."""
_FOUND_ROWS = 2
"""An UPDATE counts the rows that it finds, also those that are as they should be already."""
_LOST = frozenset({0, 1927, 2006, 2013, 2014, 2045, 2055, 4031})
"""Numbers of the errors after which the connection is closed."""
_PROBES = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}
"""With these, a vanished host is noticed within half a minute, however long a statement takes."""
_NO_SAFETY_NETS = ", sql_safe_updates = 0, sql_select_limit = 18446744073709551615"
"""Switches off two safety nets that servers and accounts may have for people at a keyboard: the
first refuses statements by indexes that it does not recognise, the second cuts off answers."""


def open_engine(
    address: DatabaseAddress, driver: ClientDriver, *, is_runner: bool = False
) -> Engine:
    """Return an engine whose sessions are set up as WordPress's: sql_mode, autocommit, text dates.

    With ``is_runner`` nothing keeps the caller waiting for so long that others take it for dead.
    Lock waits end before the connection times out. The server closes the connection of a runner
    that vanished, so that its locks stop nobody.
    """
    answer = RUNNER_ANSWER_SECONDS if is_runner else ANSWER_SECONDS
    limits = _limits(answer) if is_runner else ""
    options = {
        "user": address.user,
        "database": address.name,
        "host": None if address.socket else address.host,
        "port": address.port or 0,
        "autocommit": True,
        "client_flag": _FOUND_ROWS,
        "charset": charsets.PLAIN,
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": answer,
        "write_timeout": answer,
        **driver.options(address),
    }

    def connect() -> Any:
        connection = _log_in(driver, options)
        try:
            _set_up(connection, limits, address)
        except BaseException:
            connection.close()
            raise
        return connection

    kind = Driver(error=driver.package.Error, mark="%s", is_lost=is_lost)
    return Engine(address=address, driver=kind, open=connect)


def is_lost(error: Exception) -> bool:
    """Return whether a connection is of no use any more after an error of its driver."""
    code = error.args[0] if error.args else None
    return code in _LOST or "already closed" in str(error).lower()


def _set_up(connection: Any, limits: str, address: DatabaseAddress) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@SESSION.sql_mode, @@max_allowed_packet")
        told, most_bytes = cursor.fetchone()
        modes = str(told).split(",")
        kept = ",".join(mode for mode in modes if mode and mode not in WORDPRESS_REMOVES)
        cursor.execute(f"SET SESSION sql_mode = %s{_NO_SAFETY_NETS}{limits}", (kept,))
        if address.only_reads:
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
    charsets.speak(connection, address.charset, address.collate)
    _bound(connection, int(most_bytes))
    _probe(getattr(connection, "_sock", None))


def _log_in(driver: ClientDriver, options: dict[str, Any]) -> Any:
    """Log in, and give every error of the driver a number.

    The drivers raise errors without a number for ways to log in that need a package which is not
    installed, and for answers that they do not understand.
    """
    try:
        return driver.connect(options)
    except OSError:
        raise
    except Exception as error:
        is_numbered = bool(error.args) and isinstance(error.args[0], int)
        if isinstance(error, driver.package.Error) and is_numbered:
            raise
        raise driver.package.OperationalError(LOGIN_BROKE, str(error)) from error


def _bound(connection: Any, most_bytes: int) -> None:
    """Make a connection refuse statements that the server would not take.

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
