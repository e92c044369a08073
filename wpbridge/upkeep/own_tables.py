"""Makes the tables that wpbridge needs, and the signing secret."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, StoreMissing
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import connect_site
from wpbridge.store.opened import open_tables
from wpbridge.store.structure.creation import create_tables
from wpbridge.store.structure.tables import Connected


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made, or would be."""

    tables: Sequence[str]
    everything: bool
    """The plugin's tables too."""
    has_secret: bool
    """Whether the site's signing secret was among what was made."""
    where: str
    """The database, without a password."""


def make(
    settings: Settings,
    *,
    with_tables: bool,
    dry_run: bool,
    tell: Callable[[Sequence[str]], None],
) -> Made:
    """Make wpbridge's own tables; a stand-alone SQLite queue gets its file and all tables.

    The site also gets its signing secret, unless it has one.

    Args:
        settings: name the site.
        with_tables: the plugin's tables too, on MySQL.
        dry_run: make none.
        tell: is given the tables that are missing, before they are made.

    Raises:
        ConfigError: the plugin's tables of a WordPress on SQLite were asked for.
    """
    site = resolve(settings, os.environ)
    on_sqlite = site.database.driver == "sqlite"
    if with_tables and on_sqlite and site.database.of_wordpress:
        raise ConfigError(
            "--with-tables is not for a WordPress on SQLite: the plugin makes its tables there"
            " when a page of wp-admin is opened"
        )
    everything = with_tables or (on_sqlite and not site.database.of_wordpress)
    with closing(connect_site(site)) as way:
        if not everything:
            open_tables(way)
        names = _missing(way, everything=everything)
        if names:
            tell(names)
        if dry_run:
            has_secret = way.names.secrets in names or open_tables(way).signing.is_missing()
        else:
            create_tables(way, everything=everything)
            has_secret = open_tables(way).signing.make()
    return Made(
        tables=names, everything=everything, has_secret=has_secret, where=site.database.safe
    )


def _missing(way: Connected, *, everything: bool) -> list[str]:
    """The tables that are not there yet, of wpbridge's own and with ``everything`` the plugin's."""
    names = way.names
    plugins = (names.actions, names.claims, names.groups, names.logs) if everything else ()
    try:
        there = {table.lower() for table in way.session.run(way.dialect.tables)}
    except StoreMissing:
        there = set()
    return [table for table in (*plugins, *names.own) if table.lower() not in there]
