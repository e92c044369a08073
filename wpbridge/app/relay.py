"""Make what hands actions over to Celery: the relay's executor, and the filter of its claims."""

import os
import selectors
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from wpbridge.app.routing import routes_of
from wpbridge.clock import Clock
from wpbridge.executors.base import Executor, Mailbox
from wpbridge.executors.celery.opening import open_broker
from wpbridge.executors.handlers import Handler
from wpbridge.executors.router import Router
from wpbridge.executors.routes import Routes
from wpbridge.queue import wake
from wpbridge.queue.through import site_mark
from wpbridge.site.config import Settings
from wpbridge.site.rules import Route
from wpbridge.store.base import ClaimFilter
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.runner_store import RunnerStore

_EAR_SECONDS: Final = 0.5


def relay_filter(only: ClaimFilter, routes: Routes) -> ClaimFilter:
    """Narrow the filter of a run's claims to what goes to Celery."""
    return replace(only, accepts=lambda hook, group: routes.decide(hook, group).to == "celery")


def make_relay_executor(
    settings: Settings, store: RunnerStore, handlers: Mapping[str, Handler], *, clock: Clock
) -> Executor:
    """Make the executor of a relay, which names actions to Celery's workers."""
    # Its broker needs what may not be installed, which is told in one line.
    broker = open_broker(settings)
    from wpbridge.executors.celery.executor import CeleryExecutor  # noqa: PLC0415

    routes = routes_of(settings, handlers)

    def route_of(hook: str, group: str) -> Route:
        return routes.decide(hook, group).route or Route(to="celery", hook=hook)

    mailbox = Mailbox()
    executor = CeleryExecutor(
        broker,
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
def listening(store: OpenStore, heard: Callable[[], None], *, mark: str = "") -> Iterator[None]:
    """Call this whenever something was enqueued on this host, from a thread of its own.

    ``mark`` tells several listeners of one process apart.
    """
    name = f"{os.getpid()}{mark}" if mark else None
    ear = wake.Listener.open(wake.wake_name(store), wake.folders(), name)
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
