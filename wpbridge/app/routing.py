"""Make the routes of a run and the filter of its claims from settings and handlers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wpbridge.action import OWN_HOOKS, is_own_hook
from wpbridge.app.own_hooks import OWN
from wpbridge.errors import ConfigError
from wpbridge.executors.handlers import Handler
from wpbridge.executors.loading import load
from wpbridge.executors.routes import Routes
from wpbridge.executors.webhook import webhook_handler
from wpbridge.site.config import Settings
from wpbridge.store.base import ClaimFilter


def handlers_of(settings: Settings) -> dict[str, Handler]:
    """Load Python handlers and webhooks, by hook; without those of wpbridge's own hooks.

    Raises:
        ConfigError: they cannot be loaded, two claim one hook, or one claims a hook of wpbridge's.
    """
    found = load(settings.handlers, folder=settings.handlers_folder, trusted=settings.trusted)
    for hook, webhook in settings.webhooks.items():
        if hook in found:
            raise ConfigError(f"hook {hook!r} has both a Python handler and a webhook")
        found[hook] = webhook_handler(hook, webhook)
    if taken := sorted(filter(is_own_hook, found)):
        raise ConfigError(
            f"hook {taken[0]!r} has a handler or a webhook, but hooks that begin with {OWN_HOOKS}"
            " are wpbridge's own: give it another name"
        )
    return found


def handlers_to_look(settings: Settings) -> tuple[dict[str, Handler], tuple[str, ...]]:
    """Load handlers for a command that only looks, and name the modules that it does not load.

    Nobody expects such a command to run code, so it loads only what the command line names.
    """
    if settings.sources.get("handlers", "flag") == "flag":
        return handlers_of(settings), ()
    return handlers_of(replace(settings, handlers=())), settings.handlers


def not_loaded(modules: Sequence[str], settings: Settings) -> str:
    """Say who names these modules of handlers, that they are not loaded, and how to load them."""
    names = ",".join(modules)
    it = "it" if len(modules) == 1 else "them"
    kind, _, place = settings.sources.get("handlers", "flag").partition(" ")
    if kind == "flag":
        # A page: it runs no code, whoever names it.
        return f"the handlers of {names} are not loaded here"
    who = Path(place).name if kind == "file" else place
    return f"{who} names {names}; this command does not load {it}: give --handlers {names}"


def routes_of(
    settings: Settings, handlers: Mapping[str, Handler], *, left_out: Sequence[str] = ()
) -> Routes:
    """Say what happens to each hook with these settings and handlers, including webhooks.

    ``left_out`` are modules of handlers that were not loaded.
    """
    return Routes(
        settings.routes,
        python={h: handlers[h].source for h in handlers if h not in settings.webhooks},
        webhooks=settings.webhooks,
        php=settings.php,
        owns_site=settings.owns_site,
        not_loaded=not_loaded(left_out, settings) if left_out else "",
        own=OWN,
        has_broker=settings.celery_broker is not None,
    )


def claim_filter(settings: Settings, routes: Routes) -> ClaimFilter:
    """Say what this process claims: what it can run, narrowed by the settings.

    Raises ConfigError when the settings name a hook that it cannot run.
    """
    known = routes.hooks()
    unknown = [] if known is None else sorted(set(settings.hooks) - known)
    if unknown:
        there = sorted((known or frozenset()) - OWN)
        raise ConfigError(f"no handler for {', '.join(unknown)}; there are {', '.join(there)}")
    return ClaimFilter(
        hooks=frozenset(settings.hooks) or known,
        groups=frozenset(settings.groups) if settings.groups else None,
        exclude_hooks=frozenset(settings.exclude_hooks),
        exclude_groups=frozenset(settings.exclude_groups),
        accepts=routes.accepts,
        may_accept=routes.may_accept,
        upkeep=settings.owns_site and settings.php,
        limits=settings.limits,
    )
