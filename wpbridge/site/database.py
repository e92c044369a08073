"""Finds the address of a queue's database, from a DSN or from wp-config.php.

Nothing here connects to a database or loads a database library.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl, quote, unquote

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, SiteError
from wpbridge.site.tls import TLS_OPTIONS, Tls, tls_of_flags, tls_of_options

if TYPE_CHECKING:
    from wpbridge.site.wpconfig import WpConfig

__all__ = [
    "MEMORY",
    "SOCKETS",
    "Client",
    "DatabaseAddress",
    "Driver",
    "Tls",
    "names_of",
    "parse_db_host",
]

Driver = Literal["mysql", "sqlite"]
Client = Literal["auto", "pymysql", "mysqlclient"]
"""The Python package that speaks with MariaDB and MySQL; auto chooses the faster one that can."""

SOCKETS: Final = (
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",  # noqa: S108 - MySQL's own default
)
"""Sockets of the server on ``localhost``. The first that exists is used, as by PHP's mysqlnd."""
MEMORY: Final = ":memory:"

_PORT: Final = 3306
_CHARSET: Final = "utf8mb4"
_SERVERS: Final = ("mysql", "mariadb")
_CLIENTS: Final[Mapping[str, Client]] = {
    "": "auto",
    "+pymysql": "pymysql",
    "+mysqldb": "mysqlclient",
    "+mysqlclient": "mysqlclient",
}
_SCHEMES: Final[Mapping[str, tuple[Driver, Client]]] = {
    **{
        f"{server}{package}": ("mysql", client)
        for server in _SERVERS
        for package, client in _CLIENTS.items()
    },
    "sqlite": ("sqlite", "auto"),
    "sqlite+pysqlite": ("sqlite", "auto"),
}
"""What the beginning of a DSN means: the kind of database, and the package that speaks with it."""
_DSN = re.compile(
    r"""(?P<scheme>[\w+]+)://
    (?:(?P<user>[^:@/]*)(?::(?P<password>[^@]*))?@)?
    (?:\[(?P<ipv6>[^\]/]+)\]|(?P<host>[^:/?@]*))(?::(?P<port>\d+))?
    (?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?""",
    re.VERBOSE | re.DOTALL,
)
_SHAPE: Final = "mysql://user:password@host:3306/database or sqlite:///file.db"
_CODES: Final = "write @ as %40, / as %2F, : as %3A, ? as %3F and % as %25 there"
_OPTIONS: Final = ("unix_socket", "charset", "collation", *TLS_OPTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAddress:
    """The address of one database. Only :attr:`safe` may be shown to people."""

    driver: Driver
    host: str | None = None
    """None for a socket and for SQLite."""
    port: int | None = None
    socket: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    name: str | None = None
    """The name of the database. None for SQLite."""
    path: str | None = None
    """The file of SQLite, or ``:memory:``."""
    charset: str | None = _CHARSET
    """The character set of the connection. None for the server's own."""
    collate: str | None = None
    tls: Tls | None = None
    client: Client = "auto"
    """The wanted package; see :mod:`wpbridge.store.database.client`."""
    only_reads: bool = False
    """Whether sessions take no writes."""
    source: str = field(default="", compare=False)
    """What names this address, for people, such as ``--dsn``. Empty where nobody knows."""
    of_wordpress: bool = False
    """Whether the database belongs to a WordPress. wpbridge then never creates the database, nor
    the plugin's tables on SQLite."""

    @classmethod
    def from_dsn(cls, text: str, config: "WpConfig | None" = None) -> "DatabaseAddress":
        """Read a URL. In user and password, ``%``, ``@``, ``?`` and ``:`` are written as ``%XX``.

        Args:
            text: the URL.
            config: the configuration of the WordPress to which the database belongs. Its character
                set counts if the URL names none.

        Raises:
            ConfigError: wpbridge cannot read the URL. The message does not show it.
        """
        match = _DSN.fullmatch(text.strip())
        if _is_torn(text, match):
            raise ConfigError(
                f"the DSN seems to have a mark in its user or password that splits it: {_CODES}"
            )
        if match is None:
            raise ConfigError(f"the DSN cannot be read; it looks like {_SHAPE}")
        scheme = match["scheme"].lower()
        if scheme not in _SCHEMES:
            raise ConfigError(f"the DSN begins with {scheme}://; it looks like {_SHAPE}")
        options = _options(match["query"] or "")
        driver, client = _SCHEMES[scheme]
        is_file = driver == "sqlite"
        address = _sqlite(match, options) if is_file else _mysql(match, options, config)
        return replace(address, client=client, of_wordpress=config is not None)

    @classmethod
    def from_wp(
        cls, config: "WpConfig", *, exists: Callable[[str], bool] = lambda path: Path(path).exists()
    ) -> "DatabaseAddress":
        """Return the address to which a configured WordPress connects.

        Args:
            config: the configuration.
            exists: tells whether a socket exists.

        Raises:
            SiteError: the configuration does not say where the database is.
        """
        from wpbridge.site import dropin  # noqa: PLC0415 - a DSN needs no configuration

        if file := dropin.sqlite_file(config):
            return cls(driver="sqlite", path=file, of_wordpress=True)
        host, port, socket = parse_db_host(config.db_host)
        if host.lower() in {"", "localhost"}:
            # The driver of PHP uses the socket, whatever the port is.
            socket = socket or next(filter(exists, SOCKETS), None)
            host = "127.0.0.1"
        else:
            socket = None
        charset, collate = names_of(config)
        return cls(
            driver="mysql",
            host=None if socket else host,
            port=None if socket else port or _PORT,
            socket=socket,
            user=config.db_user,
            password=config.db_password,
            name=config.db_name,
            charset=charset,
            collate=collate,
            tls=tls_of_flags(config.client_flags),
            source=str(config.file),
            of_wordpress=True,
        )

    @property
    def safe(self) -> str:
        """Return the address as a URL without its password."""
        if self.driver == "sqlite":
            return "sqlite://" if self.path == MEMORY else f"sqlite:///{self.path}"
        host = self.host or "localhost"
        place = f"[{host}]" if ":" in host else host
        account = f"{quote(self.user)}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        socket = f"?unix_socket={self.socket}" if self.socket else ""
        return f"mysql://{account}{place}{port}/{self.name}{socket}"

    @property
    def password_bytes(self) -> bytes:
        """Return the password as PHP sends it. Bytes that are not UTF-8 are kept as they are."""
        return (self.password or "").encode("utf-8", "surrogateescape")

    def __str__(self) -> str:
        return self.safe


def parse_db_host(text: str) -> tuple[str, int | None, str | None]:
    """Split a ``DB_HOST`` into host, port and socket, as ``wpdb::parse_db_host`` does.

    An IPv6 host loses its brackets. A text that WordPress cannot split is a host as a whole.
    """
    host, separator, socket = text.partition(":/")
    # Two colons make an IPv6 address.
    pattern = r"\[?([0-9a-fA-F:]+)(?:\]:(\d+))?" if host.count(":") > 1 else r"([^:/]*)(?::(\d+))?"
    match = re.match(pattern, host, re.ASCII)
    if match is None:
        return text, None, None
    port = int(match[2] or 0) or None
    return match[1], port, f"/{socket}" if separator else None


def _is_torn(text: str, match: re.Match[str] | None) -> bool:
    """Tell whether a mark in the user or the password has split the DSN at the wrong place.

    An ``@`` remains then where none belongs, and what seems to be the host, the database or an
    option is a piece of the password. No message may show it.
    """
    scheme, _, rest = text.strip().partition("://")
    if _SCHEMES.get(scheme.lower(), ("sqlite",))[0] == "sqlite":
        return False
    if match is None:
        return "/" in rest.rpartition("@")[0] or rest.count("@") > 1
    pairs = (match["query"] or "").split("&")
    known = tuple(f"{option}=" for option in _OPTIONS)
    others = [pair for pair in pairs if not pair.replace("-", "_").startswith(known)]
    return "@" in (match["name"] or "") or any("@" in pair for pair in others)


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    options = {name.replace("-", "_"): value for name, value in pairs}
    for name in options:
        if name not in _OPTIONS:
            import difflib  # noqa: PLC0415 - loads only where an option is misspelled

            close = difflib.get_close_matches(name, _OPTIONS, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(_OPTIONS)}"
            raise ConfigError(f"the DSN has an unknown option {name}{hint}")
    return options


def _mysql(
    match: re.Match[str], options: Mapping[str, str], config: "WpConfig | None"
) -> DatabaseAddress:
    name = unquote(match["name"] or "", errors="surrogateescape")
    if not name:
        raise ConfigError(f"the DSN names no database; it looks like {_SHAPE}")
    host = match["ipv6"] or unquote(match["host"] or "")
    socket = options.get("unix_socket") or None
    if not host and not socket:
        socket = next((path for path in SOCKETS if Path(path).exists()), None)
    port = int(match["port"] or _PORT)
    if not 0 < port < 1 << 16:
        raise ConfigError(f"the DSN's port {port} is not one")
    user, password = (
        None if part is None else unquote(part, errors="surrogateescape")
        for part in (match["user"] or None, match["password"])
    )
    charset, collate = named = options.get("charset"), options.get("collation")
    if any(named):
        charset, collate = _names("--dsn", charset or _CHARSET, collate or "")
    else:
        charset, collate = _default_names(config)
    return DatabaseAddress(
        driver="mysql",
        host=None if socket else host or "127.0.0.1",
        port=None if socket else port,
        socket=socket,
        user=user,
        password=password,
        name=name,
        charset=charset,
        collate=collate,
        tls=tls_of_options(options),
    )


def _sqlite(match: re.Match[str], options: Mapping[str, str]) -> DatabaseAddress:
    if options:
        raise ConfigError("a sqlite DSN takes no options")
    if match["host"] or match["user"] or match["ipv6"] or match["port"]:
        raise ConfigError(
            "the sqlite DSN names a host: sqlite:///file.db has three slashes, and four before"
            " a path from the root"
        )
    return DatabaseAddress(driver="sqlite", path=unquote(match["name"] or "") or MEMORY)


def names_of(config: "WpConfig") -> tuple[str | None, str | None]:
    """Return the character set and collation of WordPress's sessions, as `wpdb::init_charset`.

    None as the character set means that the server's own is used.
    """
    charset, collate = config.text("DB_CHARSET"), config.text("DB_COLLATE") or ""
    if config.is_multisite:
        charset = "utf8" if charset is None else charset
        collate = collate or "utf8_general_ci"
    return _names(str(config.file), charset or "", collate)


def _default_names(config: "WpConfig | None") -> tuple[str | None, str | None]:
    """Return the names for a DSN that has none. A configuration counts only if it can be read."""
    with contextlib.suppress(SiteError):
        if config is not None:
            return names_of(config)
    return _CHARSET, None


def _names(source: str, charset: str, collate: str) -> tuple[str | None, str | None]:
    """Choose character set and collation as `wpdb::determine_charset` does on a current server."""
    if charset.lower() == "binary":
        raise ConfigError(
            f"the character set in {source} is binary, which wpbridge does not speak: name the one"
            " of the tables, with charset= in --dsn"
        )
    if charset in {"utf8", _CHARSET}:
        charset = _CHARSET
        is_old = collate in {"", "utf8_general_ci"}
        collate = "utf8mb4_unicode_ci" if is_old else collate.replace("utf8_", "utf8mb4_")
    if collate == "utf8mb4_unicode_ci":
        collate = "utf8mb4_unicode_520_ci"
    return charset or None, collate or None
