"""Write and remove the bridge of moved events: a must-use plugin that shows them to PHP."""

from wpbridge.errors import SiteError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.wp_cron.plan import Plan
from wpbridge.migrate.wp_cron.scheduled_since import Bridged, unfinished
from wpbridge.plugin import cron_bridge
from wpbridge.queue.facade import Queue
from wpbridge.site.resolve import Site


def install(
    queue: Queue, site: Site, plan: Plan, group: str, journal: Journal, *, trusted: bool
) -> None:
    """Write the bridge for the hooks of a plan.

    Do it before anything is moved: a request in between would schedule anew what it does not find.
    """
    folder = site.plugins_to_write(trusted=trusted)
    prefix = queue.store.names.prefix
    cron_bridge.install(folder, prefix, group, plan.by_hook(), _id_of(journal))


def remove(queue: Queue, site: Site, journal: Journal, *, trusted: bool) -> None:
    """Take a journal's hooks out of the bridge, and remove the bridge when none is left."""
    folder = site.plugins_to_write(trusted=trusted)
    cron_bridge.remove(folder, queue.store.names.prefix, _id_of(journal))


def leaving(queue: Queue, site: Site, journal: Journal) -> Bridged | None:
    """Return the hooks that leave the bridge with this undo, or with one that was interrupted."""
    if site.mu_plugins is None:
        return None
    try:
        there = cron_bridge.read(site.mu_plugins).get(queue.store.names.prefix, {})
    except SiteError:
        # The file is not ours, so it answers for nothing; the end of the undo says so.
        return None
    hooks: dict[str, list[str]] = there.get("hooks", {})
    mine = {hook for hook, journals in hooks.items() if set(journals) == {_id_of(journal)}}
    begun = unfinished(journal)
    group = there["group"] if mine else "" if begun is None else begun.group
    if begun is not None and begun.group == group:
        mine |= begun.hooks - hooks.keys()
    return Bridged(group=group, hooks=frozenset(mine)) if mine else None


def _id_of(journal: Journal) -> str:
    """Return the name by which the bridge knows a journal, wherever that is moved to."""
    return str(journal.asked.get("id", ""))
