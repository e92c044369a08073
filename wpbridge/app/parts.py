"""Make what a process that runs actions works with, and say what it would claim."""

import os
from collections.abc import Callable

from wpbridge.action import Claim
from wpbridge.app.own_hooks import OWN
from wpbridge.app.routing import claim_filter, handlers_of, routes_of
from wpbridge.clock import SystemClock
from wpbridge.daemon.log_setup import start_log
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.executors.handlers import Handler
from wpbridge.executors.routes import Routes
from wpbridge.site.config import NOTHING_NAMED, Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.site.rules import FIRST_CLAIM
from wpbridge.store.base import ClaimFilter
from wpbridge.store.connect import open_site
from wpbridge.store.database.session import Session
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.runner_store import RunnerStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a runner is made of; the same for a plan."""

    site: Site
    handlers: dict[str, Handler]
    routes: Routes
    only: ClaimFilter
    store: OpenStore

    def close(self) -> None:
        """Close the store's connection."""
        self.store.close()


def prepared(
    settings: Settings,
    *,
    is_daemon: bool = False,
    any_hooks: bool = False,
    prepare: Callable[[Session], None] = lambda _session: None,
) -> Parts:
    """Start the log, load the handlers and open the store.

    Args:
        settings: the settings of the run.
        is_daemon: whether this is a worker of the daemon.
        any_hooks: the actions are named, so neither handlers nor the settings' filter matter.
        prepare: is given the store's session before that is used.

    Raises:
        ConfigError, SiteError: something is wrong with settings, handlers or the site.
        StoreUnavailable: the database does not answer.
    """
    site = resolve(settings, os.environ)
    start_log(settings, site, is_daemon=is_daemon)
    handlers = handlers_of(settings)
    runs_own = bool(settings.hooks) and OWN.issuperset(settings.hooks)
    if not (handlers or settings.php or any_hooks or runs_own):
        raise ConfigError(f"no handlers: {NOTHING_NAMED}")
    routes = routes_of(settings, handlers)
    return Parts(
        site=site,
        handlers=handlers,
        routes=routes,
        only=ClaimFilter() if any_hooks else claim_filter(settings, routes),
        store=open_site(site, is_runner=True, prepare=prepare),
    )


def plan(parts: Parts, settings: Settings, only: ClaimFilter | None = None) -> Claim | None:
    """Return what a run would claim first; None when nothing is due. Changes nothing."""
    return RunnerStore(parts.store).claim_due(
        now=SystemClock().now(),
        limit=settings.batch_size or FIRST_CLAIM,
        only=only or parts.only,
        dry_run=True,
    )
