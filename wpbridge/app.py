"""Putting real parts together: the one place that names stores and executors."""

import logging

from wpbridge.clock import Clock, SystemClock
from wpbridge.codec import schedule
from wpbridge.config import Settings
from wpbridge.errors import ConfigError, SiteError
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.executors.webhook import webhook_handler
from wpbridge.handlers import Handler, load
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site import Site, match_blog
from wpbridge.store.base import ClaimFilter
from wpbridge.store.connect import open_store
from wpbridge.store.sqlstore import SqlStore

PATIENCE_SECONDS = 300.0
"""How long a run waits for a database that went away under it."""


_log = logging.getLogger("wpbridge.app")


def is_runnable(start: bytes) -> bool:
    """Whether rows with a schedule that begins so are ours to run.

    A class that the plugin does not define belongs to another plugin: PHP knows it, we do not. A
    text that is no object at all is claimed, and failed with the reason.
    """
    found = schedule.class_of(start)
    return found is None or found in schedule.KNOWN_CLASSES


def open_site(site: Site) -> SqlStore:
    """The site's store; with a URL and no blog id the network's table tells which blog it is."""
    store = open_store(site.database, site.table_prefix, is_runnable=is_runnable)
    if site.blog_id is not None or site.url is None:
        return store
    blog = match_blog(site.url, store.blogs(site.base_prefix))
    store.close()
    if blog is None:
        raise SiteError(f"no site of this network has the address {site.url}")
    prefix = site.with_blog(blog).table_prefix
    return open_store(site.database, prefix, is_runnable=is_runnable)


def handlers_of(settings: Settings) -> dict[str, Handler]:
    """Python handlers and webhooks, by hook."""
    found = load(settings.handlers, folder=settings.handlers_folder)
    for hook, webhook in settings.webhooks.items():
        if hook in found:
            raise ConfigError(f"hook {hook!r} has both a Python handler and a webhook")
        found[hook] = webhook_handler(hook, webhook)
    return found


def claim_filter(settings: Settings, hooks: frozenset[str]) -> ClaimFilter:
    """Only hooks that this process can run, narrowed by the settings.

    Raises ConfigError when the settings name a hook that it cannot run.
    """
    unknown = sorted(set(settings.hooks) - hooks)
    if unknown:
        raise ConfigError(
            f"no handler for {', '.join(unknown)}; there are {', '.join(sorted(hooks))}"
        )
    wanted = frozenset(settings.hooks) or hooks
    return ClaimFilter(
        hooks=wanted,
        groups=frozenset(settings.groups) if settings.groups else None,
        exclude_hooks=frozenset(settings.exclude_hooks),
        exclude_groups=frozenset(settings.exclude_groups),
    )


def make_runner(
    settings: Settings,
    site: Site,
    store: SqlStore,
    handlers: dict[str, Handler],
    *,
    only: ClaimFilter,
    clock: Clock | None = None,
) -> Runner:
    """A runner over the site's queue, its threads started."""
    clock = clock or SystemClock()
    store.session.patience_seconds = PATIENCE_SECONDS
    store.session.was_lost = lambda message: _log.warning("store.lost: %s; waiting", message)
    executor = ThreadExecutor(
        handlers, concurrency=settings.concurrency, clock=clock, site=site.name
    )
    limits = Limits(
        batch_size=settings.batch_size,
        batches=settings.batches,
        max_actions=settings.max_actions,
        max_time=settings.max_time,
        concurrency=settings.concurrency,
    )
    return Runner(store, executor, clock, identity(), only=only, limits=limits)
