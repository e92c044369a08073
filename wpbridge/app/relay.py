"""Make what hands actions over to Celery: the relay's executor, and the filter of its claims."""

import selectors
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from wpbridge.app.routing import routes_of
from wpbridge.clock import Clock
from wpbridge.errors import ConfigError
from wpbridge.executors.base import Executor, Mailbox
from wpbridge.executors.celery.broker import Broker
from wpbridge.executors.celery.executor import CeleryExecutor
from wpbridge.executors.handlers import Handler
from wpbridge.executors.router import Router
from wpbridge.executors.routes import Routes
from wpbridge.queue import wake
from wpbridge.site.config import Settings
from wpbridge.site.rules import Route
from wpbridge.store.base import ClaimFilter
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.runner_store import RunnerStore

_EAR_SECONDS: Final = 0.5


def site_mark(store: OpenStore) -> str:
    """Return by what messages name a site: short, and the same on every machine.

    It is made of the site's id in wpbridge's own tables. A database that has none is told by its
    name and prefix.
    """
    facts = store.own.facts
    return wake.wake_name(store) if facts is None else f"{facts.site_id[:12]}.{store.names.prefix}"


def open_broker(settings: Settings) -> Broker:
    """Return the broker of the settings, not connected yet. Raises ConfigError without one."""
    if settings.celery_broker is None:
        raise ConfigError(
            "there is no message broker: set [celery] broker, or WPBRIDGE_CELERY_BROKER"
        )
    return Broker(settings.celery_broker, settings.celery_transport_options)


def relay_filter(only: ClaimFilter, routes: Routes) -> ClaimFilter:
    """Narrow the filter of a run's claims to what goes to Celery."""
    return replace(only, accepts=lambda hook, group: routes.decide(hook, group).to == "celery")


def make_relay_executor(
    settings: Settings, store: RunnerStore, handlers: Mapping[str, Handler], *, clock: Clock
) -> Executor:
    """Make the executor of a relay, which names actions to Celery's workers."""
    routes = routes_of(settings, handlers)

    def route_of(hook: str, group: str) -> Route:
        return routes.decide(hook, group).route or Route(to="celery", hook=hook)

    mailbox = Mailbox()
    executor = CeleryExecutor(
        open_broker(settings),
        hooks=handlers,
        route_of=route_of,
        site=lambda: site_mark(store.parts),
        relay=lambda: store.runner_name,
        window=settings.celery_window,
        resend_after_seconds=settings.celery_resend_after.total_seconds(),
        clock=clock,
        mailbox=mailbox,
    )
    return Router({"celery": executor}, lambda hook, group: routes.decide(hook, group).to, mailbox)


@contextmanager
def listening(store: OpenStore, heard: Callable[[], None]) -> Iterator[None]:
    """Call this whenever something was enqueued on this host, from a thread of its own."""
    ear = wake.Listener.open(wake.wake_name(store), wake.folders())
    if ear is None:
        yield
        return
    is_over = threading.Event()

    def listen() -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(ear, selectors.EVENT_READ)
            while not is_over.is_set():
                if selector.select(_EAR_SECONDS) and ear.drain():
                    heard()

    thread = threading.Thread(target=listen, name="wpbridge-ear", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        ear.close()
