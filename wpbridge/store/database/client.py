"""Choose the package that speaks with MariaDB and MySQL: mysqlclient where it can, else PyMySQL.

Both are used in the same way, and what they read and write is the same. mysqlclient is a driver in
C, and faster. What it would do in another way than PyMySQL is left to PyMySQL, and the driver's
label says why.
"""

import functools
import importlib
import select
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from wpbridge.errors import ConfigError
from wpbridge.site.database import Client, DatabaseAddress

AS_TEXT: Final = ("DATE", "DATETIME", "TIMESTAMP")
"""The types of columns that stay text: the drivers have no value of their own for a zero date."""
PREFERRED: Client = "mysqlclient"
"""What is chosen for an address that demands nothing."""
_CHARSET: Final = "utf8mb4"
_LEAST: Final = (2, 2)
"""The oldest mysqlclient whose waiting for an answer can be interrupted as ours is."""


Work: TypeAlias = Callable[[], bool]
"""What a connection does while the server works on a statement: it calls this again and again until
there is an answer. Each call does a little, and returns whether there was something to do."""
SOON_MS: Final = 1
"""An answer that comes so soon is waited for without any work."""


class ClientDriver(Protocol):
    """Opens connections, in whose options and answers no difference of the package is left."""

    package: Any
    """The package, which has the errors."""
    label: str
    """The package, its version, and why it was chosen where another one might be expected."""

    def options(self, address: DatabaseAddress) -> dict[str, Any]:
        """Return the options of a login that the package takes in its own way."""
        ...

    def connect(self, options: dict[str, Any]) -> Any:
        """Log in. Raises the package's own errors.

        The connection does what its attribute ``meanwhile``, a :data:`Work` or None, says.
        """
        ...


def wait_for_answer(poll: select.poll, work: Work | None, longest_ms: float) -> bool:
    """Wait until an answer begins, and do the work meanwhile; return False when none comes in time.

    The time counts from the end of the work. Most answers come at once, and are not kept waiting.
    """
    if work is not None and poll.poll(SOON_MS):
        return True
    while work is not None:
        if poll.poll(0):
            return True
        if not work():
            break
    return bool(poll.poll(longest_ms))


def choose(address: DatabaseAddress) -> ClientDriver:
    """Return the driver for an address.

    Raises:
        ConfigError: mysqlclient is demanded, and it is not there or cannot serve the address.
    """
    if address.client == "pymysql" or (address.client == "auto" and PREFERRED == "pymysql"):
        return _pymysql()
    problem = missing() or obstacle(address)
    if not problem:
        chosen: ClientDriver = _loaded("mysqlclient_driver").MySQLClient()
        return chosen
    if address.client == "mysqlclient":
        raise ConfigError(
            f"the driver mysqlclient is demanded, and {problem}: set WPBRIDGE_DRIVER=auto, or"
            " pymysql"
        )
    return _pymysql("" if missing() else f"not mysqlclient: {problem}")


def _pymysql(reason: str = "") -> ClientDriver:
    chosen: ClientDriver = _loaded("pymysql_driver").PyMySQL(reason)
    return chosen


@functools.cache
def missing() -> str:
    """Return why mysqlclient cannot be loaded; "" where it can."""
    try:
        found = importlib.import_module("MySQLdb")
        # PyMySQL may have put itself in this place, for programs that know the other name only.
        if found.__name__ != "MySQLdb":
            return f"the module MySQLdb is {found.__name__} here"
        if found.version_info[:2] < _LEAST:
            return f"it is older than {'.'.join(map(str, _LEAST))}"
        _loaded("mysqlclient_driver")
    except ImportError as error:
        if error.name == "MySQLdb":
            return "it is not installed (pip install 'wpbridge[fast]')"
        return f"it cannot be loaded: {error}"
    return ""


def obstacle(address: DatabaseAddress) -> str:
    """Return what of an address mysqlclient would do in another way; "" for nothing."""
    words = (address.user, address.password, address.name)
    if address.charset != _CHARSET:
        return f"the session speaks {address.charset or 'the character set of the server'}"
    if any("\0" in word or not _is_whole(word) for word in words if word):
        return "the account or its password is not UTF-8"
    if address.host == "localhost":
        return "its C library takes localhost for a socket; write 127.0.0.1"
    tls = address.tls
    if tls is not None and not (address.host and tls.ca and tls.verify_identity):
        return (
            "its C library checks TLS differently unless ssl_ca and ssl_verify_identity are given"
        )
    return ""


def _is_whole(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _loaded(module: str) -> Any:
    """Return a driver's module. It loads its package, so it is loaded when it is needed."""
    return importlib.import_module(f"wpbridge.store.database.{module}")
