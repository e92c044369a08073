"""Log in with PyMySQL, which is written in Python and always installed."""

import select
from typing import Any, Final

import pymysql
from pymysql.connections import Connection
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.client import AS_TEXT, Work, wait_for_answer

ANSWER_BYTES: Final = 1 << 18
"""So many bytes of an answer are read at a time; the driver itself would take 8 KiB."""
_DATES: Final = frozenset(getattr(FIELD_TYPE, name) for name in AS_TEXT)


class PyMySQL:
    """See :class:`wpbridge.store.database.client.ClientDriver`."""

    package: Any = pymysql

    def __init__(self, reason: str = "") -> None:
        self.label = f"PyMySQL {pymysql.VERSION_STRING}{reason and f' ({reason})'}"

    def options(self, address: DatabaseAddress) -> dict[str, Any]:
        """See :class:`ClientDriver`. A text would be encoded as latin-1, so bytes are given."""
        options: dict[str, Any] = {
            "password": address.password_bytes,
            "conv": {kind: read for kind, read in conversions.items() if kind not in _DATES},
        }
        if address.socket:
            options["unix_socket"] = address.socket
        if address.tls is not None:
            options["ssl"] = address.tls.driver_options()
        elif address.socket:
            # PyMySQL 1.2 would offer TLS, and load every root certificate of the machine for it.
            options["ssl_disabled"] = True
        return options

    def connect(self, options: dict[str, Any]) -> Any:
        """See :class:`ClientDriver`."""
        connection: Any = _Link(**options)
        # Nothing is buffered between two answers. With each read other threads take their turn.
        large = connection._sock.makefile("rb", ANSWER_BYTES)  # noqa: SLF001 - there is no setting
        small, connection._rfile = connection._rfile, large  # noqa: SLF001
        small.close()
        return connection


class _Link(Connection):
    """A connection that has something to do while it waits."""

    meanwhile: Work | None = None
    """See :data:`Work`."""
    _sock: Any
    _force_close: Any

    def _read_query_result(self, *given: Any, **named: Any) -> Any:
        if self.meanwhile is not None and self._sock is not None:
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            try:
                # That nothing comes in time is found when it is read.
                wait_for_answer(poll, self.meanwhile, 0)
            except BaseException:
                # The answer would be read as the one to the next statement.
                self._force_close()
                raise
        return super()._read_query_result(*given, **named)  # type: ignore[misc]
