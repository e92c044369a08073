"""Which hooks the routes hand to Celery, and what advice leaves out for it. Pure.

What a route hands to Celery needs no place here, and a worker of Celery is no place for anything
else. Handlers are not looked at: a route whose hook has none hands nothing over, but counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from wpbridge.action import UPKEEP_HOOKS, is_own_hook
from wpbridge.monitor.history import Ended, History
from wpbridge.site.rules import route_of

if TYPE_CHECKING:
    from wpbridge.site.config import Settings

IsHanded: TypeAlias = Callable[[str, str | None], bool]
"""Whether a hook's actions in a group go to Celery; None for a group that is not known."""


def handed_by(settings: "Settings") -> IsHanded | None:
    """Return which actions the routes hand to Celery; None where they hand over nothing."""
    routes = settings.routes
    if settings.celery_broker is None or all(route.to != "celery" for route in routes):
        return None

    def is_handed(hook: str, group: str | None) -> bool:
        if is_own_hook(hook) or hook in UPKEEP_HOOKS:
            return False
        found = route_of(routes, hook, group)
        return found is not None and found[1].to == "celery"

    return is_handed


def history_here(history: History, is_handed: IsHanded) -> History:
    """Return a history without what Celery's workers ran. Arrivals are shared out by attempts."""
    here = {hook: one for hook, one in history.hooks.items() if not is_handed(hook, None)}
    attempts, seconds = _sums(history.hooks)
    if len(here) == len(history.hooks) or not attempts:
        return history
    attempts_here, seconds_here = _sums(here)
    share = attempts_here / attempts
    arrivals, service = history.arrivals_per_second, history.service_seconds
    if service is not None:
        service = service * seconds_here / seconds / share if share and seconds else None
    return replace(
        history,
        hooks=here,
        arrivals_per_second=None if arrivals is None else arrivals * share,
        service_seconds=service,
    )


def _sums(hooks: Mapping[str, Ended]) -> tuple[int, float]:
    """Return how many attempts there were, and how long they took together."""
    ended = hooks.values()
    attempts = sum(one.complete + one.failed + one.retried + one.canceled for one in ended)
    return attempts, sum(one.duration_seconds for one in ended)
