"""From an address to a store."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from wpbridge.database import DatabaseAddress
from wpbridge.store import mysql, sqlite
from wpbridge.store.dialect import Dialect
from wpbridge.store.sqlstore import SqlStore


def open_store(
    address: DatabaseAddress,
    prefix: str,
    *,
    is_runnable: Callable[[bytes], bool],
    patience_seconds: float = 0.0,
) -> SqlStore:
    """A store for one site's tables; connects when it is first used.

    Args:
        address: where the database is.
        prefix: the site's table prefix, already checked.
        is_runnable: judges the first bytes of a schedule.
        patience_seconds: how long a lost server is waited for; 0 fails at once.
    """
    engine, dialect = _engine(address)
    return SqlStore(
        engine, dialect, prefix, is_runnable=is_runnable, patience_seconds=patience_seconds
    )


def _engine(address: DatabaseAddress) -> tuple[Engine, Dialect]:
    if address.driver == "sqlite":
        return sqlite.open_engine(URL.create("sqlite", database=address.path)), sqlite.SQLite()
    # As bytes, since that is what PHP sends: the driver would encode text as latin-1.
    extra: dict[str, Any] = {"password": address.password_bytes}
    if address.socket:
        extra["unix_socket"] = address.socket
    if address.tls is not None:
        extra["ssl"] = address.tls.driver_options()
    url = URL.create(
        "mysql+pymysql",
        username=address.user,
        host=None if address.socket else address.host,
        port=address.port,
        database=address.name,
    )
    return mysql.open_engine(url, extra), mysql.MySQL()
