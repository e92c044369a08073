"""Apply the routes to what is in the queue: say who runs each hook, and why."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, tzinfo

from wpbridge.app.php import callbacks
from wpbridge.app.routing import handlers_to_look, routes_of
from wpbridge.dataclass import dataclass
from wpbridge.executors.routes import Routes
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.site.zone import shown_zone
from wpbridge.store.base import QueuedHook
from wpbridge.store.connect import open_site


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedHook:
    """A hook in a group, with what becomes of its actions."""

    hook: str
    group: str
    to: str
    why: str
    pending: int = 0
    due: int = 0
    running: int = 0
    held: int = 0
    next_at: datetime | None = None
    callback: bool | None = None
    """Whether PHP knows the hook; None when it was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedHooks:
    """All hooks of a queue, and those of handlers that have no action in it."""

    hooks: Sequence[RoutedHook]
    left_out: Sequence[str]
    """Modules of handlers that were not loaded."""
    zone: tzinfo
    """Times are shown to people in it."""


def queued_hooks(settings: Settings, now: datetime, *, ask_wordpress: bool = False) -> RoutedHooks:
    """Say of each hook in the queue who runs it. Changes nothing.

    Handlers are loaded only where the command line names them. With ``ask_wordpress`` PHP loads
    WordPress once, to say which hooks have a callback.
    """
    site = resolve(settings, os.environ)
    handlers, left_out = handlers_to_look(settings)
    with closing(open_site(site)) as store:
        queued = store.reading.queued(now)
        names = {one.hook for one in queued}
        known = callbacks(settings, site, store, names, os.environ) if ask_wordpress else {}
        zone = shown_zone(settings.tz, store.tables.zone)
    routes = routes_of(settings, handlers, left_out=left_out)
    hooks = _routed(queued, handlers, routes, known)
    return RoutedHooks(hooks=hooks, left_out=left_out, zone=zone)


def _routed(
    queued: Sequence[QueuedHook],
    handlers: Iterable[str],
    routes: Routes,
    known: Mapping[str, bool],
) -> list[RoutedHook]:
    found = [
        RoutedHook(
            hook=one.hook,
            group=one.group,
            to=routes.decide(one.hook, one.group).to,
            why=routes.decide(one.hook, one.group).why,
            pending=one.pending,
            due=one.due,
            running=one.running,
            held=one.held,
            next_at=one.next_at,
            callback=known.get(one.hook),
        )
        for one in queued
    ]
    for hook in sorted(set(handlers) - {one.hook for one in queued}):
        decision = routes.decide(hook, "")
        found.append(RoutedHook(hook=hook, group="", to=decision.to, why=decision.why))
    return sorted(found, key=lambda one: (one.to, one.hook, one.group))
