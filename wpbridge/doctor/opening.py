"""Open a site to examine it, however much of it does not answer."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from wpbridge import app
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.errors import (
    ConfigError,
    StoreUnavailable,
)
from wpbridge.executors.handlers import Handler
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.connect import connect, connect_site
from wpbridge.store.structure.tables import Connected


@contextmanager
def look_at(
    settings: Settings, env: Mapping[str, str] = os.environ, *, statement_seconds: float = 0.0
) -> Iterator[ExaminedSite]:
    """Open the site that these settings mean, and close its connection afterwards.

    Handlers that cannot be loaded and a database that does not answer are findings, not errors.

    Args:
        settings: they name the site.
        env: where the rest of them is.
        statement_seconds: how long a statement may take; zero for any time.

    Raises:
        ConfigError, SiteError: the settings mean no site.
    """
    site = resolve(settings, env)
    handlers, left_out, fault = _handlers(settings)
    way = _way_to(site)
    if statement_seconds:
        way.session.close()
        way.session.statement_seconds = statement_seconds
    try:
        yield ExaminedSite(
            way=way,
            settings=settings,
            site=site,
            handlers=handlers,
            handlers_fault=fault,
            left_out=left_out,
            env=env,
        )
    finally:
        way.close()


def _handlers(settings: Settings) -> tuple[Mapping[str, Handler], Sequence[str], str]:
    """Return handlers, modules that are not loaded, and why there are no handlers."""
    try:
        return (*app.handlers_to_look(settings), "")
    except ConfigError as error:
        return {}, (), str(error)


def _way_to(site: Site) -> Connected:
    try:
        return connect_site(site)
    except StoreUnavailable:
        # The blog of the address could not be looked up. The first check will say what is wrong.
        return connect(site.database, site.table_prefix)
