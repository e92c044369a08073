"""Turn an address or a site into an opened store."""

from collections.abc import Callable
from pathlib import Path

from wpbridge.errors import ConfigError, SiteError
from wpbridge.site.database import DatabaseAddress, Tls
from wpbridge.site.resolve import Site, match_blog
from wpbridge.store.database.connection import Engine
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Session
from wpbridge.store.opened import OpenStore, open_tables
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.structure.network import blogs
from wpbridge.store.structure.tables import Connected


def connect(
    address: DatabaseAddress,
    prefix: str,
    *,
    base_prefix: str = "",
    patience_seconds: float = 0.0,
    is_runner: bool = False,
) -> Connected:
    """Return the way to one site's tables. The connection is made at first use.

    Args:
        address: where the database is.
        prefix: the site's table prefix, already checked.
        base_prefix: of its network, already checked; empty where it is the same.
        patience_seconds: how long to wait for a lost server; 0 fails at once.
        is_runner: see :func:`wpbridge.store.database.mysql_engine.open_engine`.
    """
    engine, dialect = _engine(address, is_runner=is_runner)
    return Connected(
        session=Session(engine, dialect, patience_seconds=patience_seconds),
        names=TableNames(prefix=prefix, base_prefix=base_prefix),
        dialect=dialect,
    )


def connect_site(
    site: Site,
    *,
    is_runner: bool = False,
    prepare: Callable[[Session], None] = lambda _session: None,
) -> Connected:
    """Return the way to a site's tables.

    When the site has a URL and no blog id, this asks the network's table in the database which blog
    it is. ``prepare`` is called with each session before it is used.

    Raises:
        SiteError: no site of the network has the URL.
    """
    base = site.base_prefix
    way = connect(site.database, site.table_prefix, base_prefix=base, is_runner=is_runner)
    prepare(way.session)
    if site.blog_id is not None or site.url is None:
        return way
    try:
        blog = match_blog(site.url, blogs(way.session, way.dialect, site.base_prefix))
    finally:
        way.close()
    if blog is None:
        raise SiteError(f"no site of this network has the address {site.url}")
    return connect_site(site.with_blog(blog), is_runner=is_runner, prepare=prepare)


def open_store(address: DatabaseAddress, prefix: str, *, is_runner: bool = False) -> OpenStore:
    """Open the store of one site's tables. Raises SchemaError where they are missing."""
    return opened(connect(address, prefix, is_runner=is_runner))


def open_site(
    site: Site,
    *,
    is_runner: bool = False,
    prepare: Callable[[Session], None] = lambda _session: None,
) -> OpenStore:
    """Open a site's store, see :func:`connect_site`. Raises SchemaError for missing tables."""
    return opened(connect_site(site, is_runner=is_runner, prepare=prepare))


def opened(way: Connected) -> OpenStore:
    """Open a store. When that fails, close the connection."""
    try:
        return open_tables(way)
    except BaseException:
        way.close()
        raise


def preload() -> None:
    """Load what connections need, for a process whose copies shall share it. Connects nowhere.

    A copy that has become another user may not be able to read Python's own folders any more.
    """
    import encodings.ascii  # noqa: PLC0415 - what hosts' names need is loaded at first use
    import encodings.idna  # noqa: PLC0415
    import ssl  # noqa: PLC0415

    from wpbridge.store.database import mysql, mysql_engine, sqlite  # noqa: PLC0415
    from wpbridge.store.database.client import choose  # noqa: PLC0415

    choose(DatabaseAddress(driver="mysql", host="127.0.0.1"))
    choose(DatabaseAddress(driver="mysql", host="127.0.0.1", client="pymysql"))
    del encodings, ssl, mysql, mysql_engine, sqlite


def _engine(address: DatabaseAddress, *, is_runner: bool) -> tuple[Engine, Dialect]:
    if address.driver == "sqlite":
        from wpbridge.store.database import sqlite  # noqa: PLC0415 - as one of the kinds is needed

        return sqlite.open_engine(address), sqlite.SQLite()
    if address.tls is not None:
        _check_files(address.tls)
    from wpbridge.store.database import mysql, mysql_engine  # noqa: PLC0415
    from wpbridge.store.database.client import choose  # noqa: PLC0415

    driver = choose(address)
    engine = mysql_engine.open_engine(address, driver, is_runner=is_runner)
    return engine, mysql.MySQL(driver.label)


def _check_files(tls: Tls) -> None:
    """Raise ConfigError for a TLS file that the driver could not use.

    The driver's own error would not name the file.
    """
    for option, file in (("ssl_ca", tls.ca), ("ssl_cert", tls.cert), ("ssl_key", tls.key)):
        if file:
            try:
                Path(file).read_bytes()
            except OSError as error:
                raise ConfigError(f"{option} {file}: {error.strerror}") from None
    import ssl  # noqa: PLC0415 - most connections need no TLS

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca:
            context.load_verify_locations(cafile=tls.ca)
    except ssl.SSLError:
        raise ConfigError(f"ssl_ca {tls.ca}: it has no certificate in PEM") from None
    try:
        if tls.cert:
            # Without this, OpenSSL would ask for a password, and nobody may be there to give it.
            context.load_cert_chain(tls.cert, tls.key, password=lambda: b"")
    except ssl.SSLError:
        key = f" and ssl_key {tls.key}" if tls.key else ""
        raise ConfigError(
            f"ssl_cert {tls.cert}{key}: no certificate and its key in PEM, without a password"
        ) from None
