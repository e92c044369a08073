"""Log in with mysqlclient (the module MySQLdb), and wait for answers as PyMySQL does.

Python's signal handlers do not run while a C function waits. So a connection waits in Python for
the beginning of each answer, and C reads it then. To log in takes C as long as connecting may take,
so the main thread has another thread do it.
"""

import os
import queue
import re
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import MySQLdb
from MySQLdb.connections import Connection
from MySQLdb.constants import CR, FIELD_TYPE
from MySQLdb.converters import conversions

from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.client import AS_TEXT, Work, wait_for_answer

_FILE: Final = Path(__file__).with_name("mysqlclient.cnf")
"""What the C library takes from a file only: the ways to log in. Others ask at the terminal."""
_CONVERSIONS: Final = {
    **conversions,
    **{getattr(FIELD_TYPE, name): str for name in AS_TEXT},
}
_SYSTEM_ERROR: Final = re.compile(r"system error: (\d+)")
_WHEN_OFFERED: Final = {"cipher": "DEFAULT"}
"""MariaDB's C library uses TLS only where an option of TLS is given. PyMySQL uses it by itself
where the server has it, and checks no certificate. This option alone has the same effect."""


class MySQLClient:
    """See :class:`wpbridge.store.database.client.ClientDriver`."""

    package: Any = MySQLdb

    def __init__(self) -> None:
        version = ".".join(str(part) for part in MySQLdb.version_info[:3])
        self.label = f"mysqlclient {version}"

    def options(self, address: DatabaseAddress) -> dict[str, Any]:
        """See :class:`ClientDriver`."""
        options: dict[str, Any] = {
            "password": address.password or "",
            "conv": _CONVERSIONS,
            "binary_prefix": True,
            "local_infile": 0,
            "multi_statements": False,
            "read_default_file": str(_FILE),
            "read_default_group": "wpbridge",
        }
        if address.socket:
            options["unix_socket"] = address.socket
        elif (tls := address.tls) is not None:
            files = {"ca": tls.ca, "cert": tls.cert, "key": tls.key}
            options["ssl"] = {name: path for name, path in files.items() if path}
            options["ssl_mode"] = "VERIFY_IDENTITY"
        elif _is_of_mariadb():
            options["ssl"], options["ssl_mode"] = _WHEN_OFFERED, "PREFERRED"
        return options

    def connect(self, options: dict[str, Any]) -> Any:
        """See :class:`ClientDriver`. Signals are heard meanwhile."""
        given = {
            name: int(value) if name.endswith("_timeout") else value
            for name, value in options.items()
            if value is not None
        }
        return _beside(lambda: _Link(**given))


class _Link(Connection):
    """A connection whose waiting can be interrupted, by a signal or from another thread."""

    meanwhile: Work | None = None
    """See :data:`Work`."""

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except MySQLdb.MySQLError as error:
            self._mend(error)
            raise
        self._longest_ms = options["read_timeout"] * 1000
        link = self.fileno()
        os.set_inheritable(link, False)  # noqa: FBT003 - the system's own order
        is_blocking = os.get_blocking(link)
        # A descriptor of our own: C closes its own, whose number may then be another file's.
        self._sock = socket.socket(fileno=os.dup(link))
        os.set_blocking(link, is_blocking)
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)

    def query(self, query: Any) -> None:
        """Send a statement, and wait for the beginning of its answer."""
        try:
            self.send_query(bytes(query) if isinstance(query, bytearray) else query)
            self._wait()
            self.read_query_result()
        except MySQLdb.MySQLError as error:
            self._mend(error)
            raise
        except BaseException:
            # The answer may still come, and would be read in place of the next one.
            self._hang_up()
            raise

    def _wait(self) -> None:
        if not wait_for_answer(self._poll, self.meanwhile, self._longest_ms):
            self._hang_up()
            lost = "Lost connection to server during query (timed out)"
            raise MySQLdb.OperationalError(CR.SERVER_LOST, lost)

    def _mend(self, error: MySQLdb.MySQLError) -> None:
        """Give an error a message where the server's is no UTF-8, and words for a number.

        mysqlclient leaves a hole in such an error, and Python crashes when it reads the message.
        """
        try:
            message = self.error()
        except UnicodeDecodeError:
            error.args = (self.errno(), "the server's message is not UTF-8")
        else:
            if _SYSTEM_ERROR.search(message):
                words = _SYSTEM_ERROR.sub(lambda found: os.strerror(int(found[1])), message)
                error.args = (self.errno(), words)

    def _hang_up(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        try:
            super().close()
        finally:
            self._sock.close()

    def __del__(self) -> None:
        if hasattr(self, "_sock"):
            self._sock.close()


def _is_of_mariadb() -> bool:
    """Return whether the C library is MariaDB's, whose numbers are those of its own releases."""
    return MySQLdb.get_client_info().split(".")[0] in {"3", "10", "11"}


def _beside(work: Callable[[], Any]) -> Any:
    """Return what ``work`` does in another thread, so that the main thread hears signals.

    When a signal ends the waiting, the thread is left alone. It ends with the process.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    done: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            done.put((None, error))

    threading.Thread(target=run, name="wpbridge-login", daemon=True).start()
    link, error = done.get()
    if error is not None:
        raise error
    return link
