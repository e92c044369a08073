"""Removes what wpbridge has put into a site, and says what stays.

The plugin's tables are left with rows that the plugin would accept, and nothing of wpbridge's own.
The order is so that a crash leaves nothing to PHP that PHP would harm, and that the next call goes
on: our own tables go last.
"""

import os
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from wpbridge.action import OWN_GROUP
from wpbridge.clock import SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.leaving.found import Found, Left, left_of, look, some
from wpbridge.plugin import companion, cron_bridge
from wpbridge.plugin.own_hooks import SIGN
from wpbridge.runner.identity import identity
from wpbridge.runner.reaper import reap
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.base import RunnerRecord
from wpbridge.store.connect import connect_site
from wpbridge.store.opened import OpenStore, open_tables
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.creation import drop_tables
from wpbridge.store.structure.definitions import Definitions
from wpbridge.telling.words import plural

__all__ = ["Left", "Removed", "remove"]
REASON: Final = "wpbridge was uninstalled while this action waited"
_PAGE: Final = 1000
"""Actions that one transaction changes."""
_NAMED: Final = 5
"""So many runners are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was removed, or would be."""

    removed: Sequence[str]
    """In words, in the order of the deeds."""
    tables: Sequence[str]
    lost: Sequence[str]
    """What was lost with it, in words."""
    left: Sequence[Left]
    refusal: str = ""
    """Why a dry run's deed would be refused at this moment; empty where it would not."""


def remove(
    settings: Settings, *, may_lose: bool, dry_run: bool, with_index: bool, with_bridge: bool
) -> Removed:
    """Remove wpbridge from a site.

    Args:
        settings: name the site.
        may_lose: go on although something is lost.
        dry_run: only say what would be done.
        with_index: also drop the index of `migrate index`.
        with_bridge: also remove the file that shows moved events of WP-Cron to PHP.

    Raises:
        ConfigError: a runner may be at work, or something is lost that ``may_lose`` does not allow.
        SiteError: a file of ours cannot be changed.
    """
    site = resolve(settings, os.environ)
    with closing(connect_site(site)) as way, closing(connect_site(site)) as second:
        store = open_tables(way)
        found = look(settings, site, second, store, SystemClock().now())
        refusal = _refusal(found, may_lose=may_lose or dry_run)
        if refusal and not dry_run:
            raise ConfigError(refusal)
        left = left_of(found, with_index=with_index, with_bridge=with_bridge)
        words = list(_words(found, with_index=with_index, with_bridge=with_bridge))
        if not dry_run:
            _free(store, found)
            _clear(store)
            _unplug(settings, site, store, found, with_bridge=with_bridge)
            if with_index and found.index:
                Definitions(second).run(found.index)
            drop_tables(store.tables)
    return Removed(removed=words, tables=found.tables, lost=found.lost, left=left, refusal=refusal)


def _refusal(found: Found, *, may_lose: bool) -> str:
    if found.live:
        return (
            f"{plural(len(found.live), 'runner')} may still be at work ({_named(found.live)}): stop"
            " them first (systemctl disable --now, the line of the crontab, or `wpbridge workers"
            " stop --all`)"
        )
    if found.lost and not may_lose:
        return f"still in use: {', '.join(found.lost)}; add --yes to remove them too"
    return ""


def _named(live: Sequence[RunnerRecord]) -> str:
    return some([f"pid {one.pid} on {one.host}" for one in live], _NAMED)


def _words(found: Found, *, with_index: bool, with_bridge: bool) -> list[str]:
    told = []
    if found.dead:
        told.append(f"the claims of {plural(len(found.dead), 'dead runner')}, put back")
    if found.undated:
        told.append(f"the waits of {plural(found.undated, 'action')}, canceled")
    if found.own_actions:
        count = plural(found.own_actions, "action")
        told.append(f"{count} of wpbridge's own hooks, with their logs and their group")
    if found.companion:
        told.append(f"the companion plugin {found.companion}")
    if found.has_sign and not found.is_elsewhere:
        told.append(f"the option {SIGN}")
    if found.bridge and with_bridge:
        told.append(f"the bridge {found.bridge}")
    if found.index and with_index:
        told.append("the index wpbridge_claim")
    return told


def _free(store: OpenStore, found: Found) -> None:
    """Put back what dead runners had in hand, as the next run would."""
    if not found.dead:
        return
    mine, me, clock = RunnerStore(store), identity(), SystemClock()
    dead = {one.id for one in found.dead}
    mine.register(host=me.host, boot=me.boot, pid=me.pid, pid_started=me.pid_started, places=0)
    reap(mine, me, clock, judge=lambda runner, _me: runner.id in dead)
    mine.unregister()


def _clear(store: OpenStore) -> None:
    """Leave no row that only wpbridge understands. What was just put back may be among them."""
    while waiting := store.leaving.undated(_PAGE):
        if not store.edits.cancel(waiting, now=SystemClock().now(), reason=REASON):
            break
    while own := store.leaving.own_actions(_PAGE):
        if not store.edits.delete(own):
            break
    store.leaving.remove_group(OWN_GROUP)


def _unplug(
    settings: Settings, site: Site, store: OpenStore, found: Found, *, with_bridge: bool
) -> None:
    prefix = store.names.prefix
    if found.companion:
        companion.remove(site.plugins_to_write(trusted=settings.trusted), prefix)
    if found.has_sign and not found.is_elsewhere and (sign := store.options.read(SIGN)) is not None:
        store.options.remove(SIGN, sign)
    if found.bridge and with_bridge:
        cron_bridge.forget(site.plugins_to_write(trusted=settings.trusted), prefix)
