"""The one table that says what happens to a hook's actions: docs/reference/routing.md.

In order: wpbridge's own hooks, the plugin's own upkeep, the routes of the settings, a Python
handler, a webhook, PHP when it is on. What nothing takes is left to the plugin's runner.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypeAlias

from wpbridge.action import UPKEEP_HOOKS, is_own_hook
from wpbridge.dataclass import dataclass
from wpbridge.patterns import is_any, matches
from wpbridge.site.rules import Route, route_of

Target: TypeAlias = Literal["python", "webhook", "php", "celery", "leave", "unknown"]
"""Unknown: it depends on handlers that were not loaded."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a hook's actions go, and which rule said so."""

    to: Target
    why: str
    route: Route | None = None
    """The route that hands the actions to Celery."""


class Routes:
    """Decisions for hooks and group slugs; each is made once."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        python: Mapping[str, str],
        webhooks: Collection[str],
        php: bool,
        owns_site: bool,
        not_loaded: str = "",
        own: Collection[str] = (),
        has_broker: bool = False,
    ) -> None:
        """What there is.

        Args:
            routes: in order; the first that matches decides.
            python: hooks with a Python handler, and the function's name.
            webhooks: hooks with a webhook.
            php: PHP workers are on.
            owns_site: the plugin's own runners are off.
            not_loaded: says that modules which may have more handlers were not loaded.
            own: wpbridge's own hooks, which have a handler of wpbridge's.
            has_broker: there is a message broker for what goes to Celery.
        """
        self._routes = tuple(routes)
        self._python = dict(python)
        self._webhooks = frozenset(webhooks)
        self._php = php
        self._owns_site = owns_site
        self._not_loaded = not_loaded
        self._own = frozenset(own)
        self._has_broker = has_broker
        self.decide = functools.lru_cache(maxsize=10_000)(self._decide)

    def accepts(self, hook: str, group: str) -> bool:
        """Return whether this process runs the hook's actions at all."""
        return self.decide(hook, group).to != "leave"

    def may_accept(self, hook: str) -> bool:
        """Return whether it is ours in some group; never False for one that :meth:`accepts` takes.

        True also where an earlier route turns away every group that a later one would take.
        """
        if is_own_hook(hook):
            return self._ours(hook).to != "leave"
        if hook in UPKEEP_HOOKS:
            return self._upkeep().to != "leave"
        for route in self._routes:
            if not matches(route.hook, hook):
                continue
            is_ours = self._routed(route, hook, "").to != "leave"
            if is_ours or is_any(route.group):
                return is_ours
        return self._default(hook).to != "leave"

    def hooks(self) -> frozenset[str] | None:
        """All hooks that may be ours; None when any may be."""
        if self._php or self._not_loaded:
            return None
        return frozenset(self._python) | self._webhooks | self._own

    def _decide(self, hook: str, group: str) -> Decision:
        if is_own_hook(hook):
            return self._ours(hook)
        if hook in UPKEEP_HOOKS:
            return self._upkeep()
        if (found := route_of(self._routes, hook, group)) is not None:
            number, route = found
            return self._routed(route, hook, f"route {number}")
        return self._default(hook)

    def run_by_worker(self, hook: str) -> Target:
        """Return what runs the actions of a hook that was handed to Celery, in its workers."""
        return self._default(hook).to

    def _default(self, hook: str) -> Decision:
        if hook in self._python:
            return Decision("python", f"handler {self._python[hook]}")
        if hook in self._webhooks:
            return Decision("webhook", "webhook")
        if self._not_loaded:
            return Decision("unknown", self._not_loaded)
        if self._php:
            return Decision("php", "php is on, and no handler is here")
        return Decision("leave", "no handler is here, and php is off")

    def _ours(self, hook: str) -> Decision:
        if hook in self._own:
            return Decision("python", "one of wpbridge's own hooks")
        return Decision("leave", "one of wpbridge's own hooks, which this release does not know")

    def _upkeep(self) -> Decision:
        if not self._owns_site:
            return Decision("leave", "the plugin's own upkeep; owns_site is off")
        if not self._php:
            return Decision("leave", "the plugin's own upkeep needs php, which is off")
        return Decision("php", "the plugin's own upkeep; owns_site is on")

    def _routed(self, route: Route, hook: str, rule: str) -> Decision:
        to = route.to
        is_here = hook in self._python
        if to in {"python", "celery"} and self._not_loaded and not is_here:
            return Decision("unknown", f"{rule} says {to}, but {self._not_loaded}")
        missing = {
            "python": None if is_here else "there is no handler",
            "webhook": None if hook in self._webhooks else "there is no webhook",
            "php": None if self._php else "php is off",
            "celery": self._lacks_for_celery(hook),
            "leave": None,
        }[to]
        if missing:
            return Decision("leave", f"{rule} says {to}, but {missing}")
        return Decision(to, rule, route if to == "celery" else None)

    def _lacks_for_celery(self, hook: str) -> str | None:
        if not self._has_broker:
            return "[celery] broker is not set"
        is_here = hook in self._python or hook in self._webhooks
        return None if is_here else "there is no handler"
