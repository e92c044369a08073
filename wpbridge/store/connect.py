"""From an address to a store."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from wpbridge.codec import schedule
from wpbridge.errors import ConfigError, SiteError
from wpbridge.site.database import DatabaseAddress, Tls
from wpbridge.site.resolve import Site, match_blog
from wpbridge.store.database import mysql, sqlite
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Session
from wpbridge.store.running.runner_store import SqlStore


def open_store(
    address: DatabaseAddress,
    prefix: str,
    *,
    is_runnable: Callable[[bytes], bool] | None = None,
    patience_seconds: float = 0.0,
    is_runner: bool = False,
) -> SqlStore:
    """A store for one site's tables; connects when it is first used.

    Args:
        address: where the database is.
        prefix: the site's table prefix, already checked.
        is_runnable: judges the first bytes of a schedule; :func:`has_known_schedule` unless given.
        patience_seconds: how long a lost server is waited for; 0 fails at once.
        is_runner: see :func:`wpbridge.store.database.mysql.open_engine`.
    """
    engine, dialect = _engine(address, is_runner=is_runner)
    return SqlStore(
        engine,
        dialect,
        prefix,
        is_runnable=is_runnable or has_known_schedule,
        patience_seconds=patience_seconds,
    )


def has_known_schedule(start: bytes) -> bool:
    """Whether rows with a schedule that begins so are ours to run.

    A class that the plugin does not define belongs to another plugin: PHP knows it, we do not. A
    text that is no object at all is claimed, and failed with the reason.
    """
    found = schedule.class_of(start)
    return found is None or found in schedule.KNOWN_CLASSES


def open_site(
    site: Site,
    *,
    is_runner: bool = False,
    prepare: Callable[[Session], None] = lambda _session: None,
) -> SqlStore:
    """The site's store; with a URL and no blog id the network's table tells which blog it is.

    ``prepare`` is given its session before that is used.
    """
    store = open_store(site.database, site.table_prefix, is_runner=is_runner)
    prepare(store.session)
    if site.blog_id is not None or site.url is None:
        return store
    blog = match_blog(site.url, store.blogs(site.base_prefix))
    store.close()
    if blog is None:
        raise SiteError(f"no site of this network has the address {site.url}")
    prefix = site.with_blog(blog).table_prefix
    store = open_store(site.database, prefix, is_runner=is_runner)
    prepare(store.session)
    return store


def _engine(address: DatabaseAddress, *, is_runner: bool) -> tuple[Engine, Dialect]:
    if address.driver == "sqlite":
        url = URL.create("sqlite", database=address.path)
        return sqlite.open_engine(url, of_wordpress=address.of_wordpress), sqlite.SQLite()
    # As bytes, since that is what PHP sends: the driver would encode text as latin-1.
    extra: dict[str, Any] = {"password": address.password_bytes}
    if address.socket:
        extra["unix_socket"] = address.socket
    if address.tls is not None:
        _check_files(address.tls)
        extra["ssl"] = address.tls.driver_options()
    url = URL.create(
        "mysql+pymysql",
        username=address.user,
        host=None if address.socket else address.host,
        port=address.port,
        database=address.name,
    )
    names = (address.charset, address.collate)
    return mysql.open_engine(url, extra, names=names, is_runner=is_runner), mysql.MySQL()


def _check_files(tls: Tls) -> None:
    """ConfigError for a file that the driver could not use, whose own error names none."""
    for option, file in (("ssl_ca", tls.ca), ("ssl_cert", tls.cert), ("ssl_key", tls.key)):
        if file:
            try:
                Path(file).read_bytes()
            except OSError as error:
                raise ConfigError(f"{option} {file}: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca:
            context.load_verify_locations(cafile=tls.ca)
    except ssl.SSLError:
        raise ConfigError(f"ssl_ca {tls.ca}: it has no certificate in PEM") from None
    try:
        if tls.cert:
            # A password is never asked for: nobody may be there to give it.
            context.load_cert_chain(tls.cert, tls.key, password=lambda: b"")
    except ssl.SSLError:
        key = f" and ssl_key {tls.key}" if tls.key else ""
        raise ConfigError(
            f"ssl_cert {tls.cert}{key}: no certificate and its key in PEM, without a password"
        ) from None
