"""Sort the errors of drivers: which are tried again or waited for, and what people are told."""

import re

from wpbridge.dataclass import dataclass
from wpbridge.errors import (
    Contention,
    ReadOnly,
    StoreError,
    StoreUnavailable,
    TookTooLong,
    Unfit,
)
from wpbridge.site.database import SOCKETS, DatabaseAddress
from wpbridge.store.database.connection import DBAPIError
from wpbridge.store.schema.ids import MEND

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
        2005,
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
_NO_SERVER = frozenset({2002, 2003})
"""Nobody listens where the server was sought."""
_NO_RIGHT_THERE = 1044
"""The account may log in, and has no right in the database."""
_READ_ONLY = frozenset({1290, 1792, 1836, 1036, 1874, 1881, 3989})
"""The server, the session, InnoDB or the database is read-only."""
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
"""Our own number for a login in which the driver raised an error without a number."""
_NO_METHOD = frozenset({1251, 1275, 1524, 2012, 2054, 2058, 2059, 2061, 5010, LOGIN_BROKE})
"""The server and the driver have no way to log in in common."""
_NEEDS_TLS = 3159
_TLS_ADVICE = "connect with TLS: ssl=1 in --dsn, or MYSQL_CLIENT_FLAGS in wp-config.php"
_METHOD_ADVICE = (
    "wpbridge logs in with mysql_native_password, caching_sha2_password, sha256_password and"
    " ed25519: give the account one of them"
)
_LOCAL = ("localhost", "127.0.0.1", "::1")
_TIME_IS_OVER = frozenset({1969, 3024})
"""A statement took longer than its session allows, on MariaDB and on MySQL."""
_SQLITE_TIME_IS_OVER = "interrupted"
TOO_BIG = 1153
"""A statement was longer than max_allowed_packet."""
_NO_RIGHT = frozenset({1142, 1143, 1227, 1370})
_UNFIT = frozenset({1264, 1265, 1267, 1292, 1300, 1366, 1406, 3988})
"""A value is out of range, truncated, too long, no date, or not of the column's character set."""
_LOST_IDS = re.compile(r"Duplicate entry '0' for key|Field '\w+_id' doesn't have a default")
"""The words about a second row with the id 0, or about the first one in a strict session."""
_TLS = 2026
_FULL = re.compile(
    r"No space left|errno: 28\b|error 28\b|Disk quota|table .* is full", re.IGNORECASE
)
"""Words for a full disk in the text of errors that have many causes (1030, 1180, 1004)."""
_SQLITE_GONE = (
    "database or disk is full",
    "disk I/O error",
)
_SQLITE_READ_ONLY = (
    "attempt to write a readonly database",
    # The file is open, but the folder takes no new file, so SQLite cannot make its journal.
    "unable to open database file",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Holds a driver's error and its kind; docs/explain/outages.md has the table."""

    error: StoreError
    busy: bool = False
    """The work is tried again at once."""
    gone: bool = False
    """The work is tried again after a while, on a new connection."""
    denied: bool = False
    """The login was refused. It is tried again for a short time if it has worked before."""
    read_only: bool = False
    """The server answers and takes no writes. Whoever must write treats it as gone."""


def sort_trouble(error: BaseException, address: DatabaseAddress | None = None) -> Trouble:
    """Sort a DBAPI error by its number (MySQL) or words (SQLite). Parameters are never shown.

    ``address`` is of the database, where the error may be one of connecting: the message says where
    it was sought, and which setting to look at.
    """
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    text = str(error.args[1] if code is not None and len(error.args) > 1 else error)
    line = " ".join(text.split())[:300]
    if refusal := _login_advice(code, text, address):
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
        return Trouble(error=StoreUnavailable(_complaint(code, text, line, address)), gone=True)
    if (bounds := _beyond_bounds(code, text, line)) is not None:
        return Trouble(error=bounds)
    advice = ": the account needs that right, or name another with --dsn" * (code in _NO_RIGHT)
    if _LOST_IDS.search(text):
        advice = f": a table gives new rows no ids; {MEND}"
    kind = Unfit if code in _UNFIT else StoreError
    return Trouble(error=kind(f"the database refused a statement: {line}{advice}"))


def _beyond_bounds(code: int | None, text: str, line: str) -> StoreError | None:
    """Return the error of a statement that took too long, or was too long; None for others."""
    if code in _TIME_IS_OVER or (code is None and text == _SQLITE_TIME_IS_OVER):
        return TookTooLong()
    if code == TOO_BIG:
        return Unfit(f"the server's max_allowed_packet is too small: {line}")
    return None


def code_of(error: DBAPIError) -> str:
    """Return the code that a database gave: a number, or SQLite's name for it."""
    given = error.orig.args[0] if error.orig.args else None
    if isinstance(given, int):
        return str(given)
    return str(getattr(error.orig, "sqlite_errorname", "unknown"))


def trouble_of(error: DBAPIError, address: DatabaseAddress | None = None) -> Trouble:
    """Sort an error by the driver's own. One that cost the connection is an outage."""
    trouble = sort_trouble(error.orig, address)
    if trouble.gone or not error.connection_invalidated:
        return trouble
    line = " ".join(str(error.orig).split())[:300]
    return Trouble(error=StoreUnavailable(f"the database does not answer: {line}"), gone=True)


def _login_advice(code: int | None, text: str, address: DatabaseAddress | None) -> str:
    """Say what to do about a refused login; return "" for an error of another kind."""
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
        (code in _DENIED, _look_at(code, address)),
    ):
        if applies:
            return advice
    return ""


def _look_at(code: int | None, address: DatabaseAddress | None) -> str:
    """Say which account to check, and that it may have no right at all."""
    source = "" if address is None else address.source
    if not source:
        told = "check DB_USER, DB_PASSWORD and DB_NAME, or --dsn"
    elif address is not None and source.endswith(".php"):
        told = f"check DB_USER, DB_PASSWORD and DB_NAME in {source}"
    else:
        told = f"check the user, password and database of {source}"
    if code == _NO_RIGHT_THERE:
        told += "; to an account without any right, give what `wpbridge grants` prints"
    return told


def _is_gone(code: int | None, text: str) -> bool:
    if code is None:
        # An answer that came too late is read in place of the next one.
        return any(words in text for words in (*_SQLITE_GONE, "Packet sequence number wrong"))
    return code in _GONE or code == 0 or (code in (1030, 1180, 1004) and bool(_FULL.search(text)))


def _complaint(code: int | None, text: str, line: str, address: DatabaseAddress | None) -> str:
    if code in (3, 1021, 1026, 1114) or _FULL.search(text) or "disk is full" in text:
        return f"the database has no room left: {line}"
    told = f"the database does not answer: {line}"
    return f"{told} ({_sought_at(address)})" if address and code in _NO_SERVER else told


def _sought_at(address: DatabaseAddress) -> str:
    """Say where the server was sought, by which setting, and where a local one may be instead."""
    place = f"socket {address.socket}" if address.socket else f"{address.host}:{address.port}"
    told = f"looked for at {place}"
    if address.source:
        told += f", named by {address.source}"
    if address.host not in _LOCAL or address.source.endswith(".php"):
        return told
    return f"{told}; a local server may have only a socket: ?unix_socket={SOCKETS[0]} in the DSN"
