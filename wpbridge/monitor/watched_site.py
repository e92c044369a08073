"""From settings to what watches a site: its targets, its rules and its watcher."""

import os
import uuid
from collections.abc import Mapping
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING

from wpbridge.clock import Clock, SystemClock
from wpbridge.errors import ConfigError
from wpbridge.monitor.facts import Facts
from wpbridge.monitor.looking import facts_of
from wpbridge.monitor.thresholds import thresholds_of
from wpbridge.monitor.watching import Plan, Watcher
from wpbridge.site.alert_kinds import QuietHours
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.connect import open_site

if TYPE_CHECKING:
    from wpbridge.monitor.sending import Target


def watcher_of(
    settings: Settings, *, env: Mapping[str, str] = os.environ, clock: Clock | None = None
) -> Watcher:
    """Return the watcher of the site that these settings mean. Nothing is connected to yet.

    Raises:
        ConfigError, SiteError: something is wrong with the settings, or apprise is not installed.
    """
    site = resolve(settings, env)
    quiet = settings.alerts_quiet_hours
    plan = Plan(
        site=name_of(site),
        targets=targets_of(settings, site),
        thresholds=thresholds_of(settings.alerts_rules),
        repeat=settings.alerts_repeat,
        quiet_hours=None if quiet is None else QuietHours.of(quiet),
    )
    return Watcher(
        # As a runner, it does not wait long for a server that does not answer.
        lambda: open_site(site, is_runner=True),
        lambda store, now: facts_of(store, now, settings),
        clock or SystemClock(),
        plan,
        holder=str(uuid.uuid4()),
    )


def facts_now(settings: Settings, *, env: Mapping[str, str] = os.environ) -> Facts:
    """Return what is known of a queue now.

    Raises:
        ConfigError, SiteError, StoreError: it cannot be asked.
    """
    with closing(open_site(resolve(settings, env))) as store:
        return facts_of(store, SystemClock().now(), settings)


def targets_of(settings: Settings, site: Site) -> "list[Target]":
    """Return to whom the settings have alerts sent.

    Raises:
        ConfigError: an address is none, or apprise is not installed.
    """
    if not settings.alerts_to:
        return []
    try:
        sending = import_module("wpbridge.monitor.sending")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"alerts need {error.name}: install it with `pip install 'wpbridge[alerts]'`"
        ) from None
    # Watchers on other hosts may call the site otherwise.
    salt = f"{site.database.name} {site.table_prefix}"
    found: list[Target] = sending.targets(settings.alerts_to, salt=salt)
    return found


def name_of(site: Site) -> str:
    """Return what messages call the site; not the address of its database."""
    database = site.database
    return site.label.replace(database.safe, str(database.path or database.name))
