"""A relay in a worker process of `wpbridge work`: a runner of its own, in a thread of its own."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from wpbridge.app.relay import listening, relay_filter
from wpbridge.app.routing import claim_filter, routes_of
from wpbridge.app.runners import make_runner, wait_for_database
from wpbridge.executors.handlers import Handler
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.store.connect import open_site
from wpbridge.telling.log import tell

if TYPE_CHECKING:
    from wpbridge.runner.loop import Runner

AGAIN_SECONDS = 5.0
"""A relay that has ended by an error begins anew after so long."""
STOP_SECONDS = 20.0


@contextlib.contextmanager
def relaying(settings: Settings, site: Site, handlers: dict[str, Handler]) -> Iterator[None]:
    """Hand over to Celery what goes there, while this is entered; nothing without such a route."""
    is_routed = any(route.to == "celery" for route in settings.routes)
    if not (is_routed and settings.celery_broker):
        yield
        return
    relay = _Relay(settings, site, handlers)
    relay.start()
    try:
        yield
    finally:
        relay.stop()


class _Relay:
    def __init__(self, settings: Settings, site: Site, handlers: dict[str, Handler]) -> None:
        # A worker is replaced after so many actions of its own.
        self._settings = replace(settings, max_actions=0)
        self._site = site
        self._handlers = handlers
        self._runner: Runner | None = None
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="wpbridge-relaying", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the relay, and free what no worker of Celery has started."""
        self._is_stopping.set()
        if self._runner is not None:
            self._runner.stop()
        self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self._run()
            except Exception as error:  # noqa: BLE001 - the worker beside it goes on
                tell("celery.relay_ended", reason=f"{type(error).__name__}: {error}")
                self._is_stopping.wait(AGAIN_SECONDS)
            else:
                # It is wished that it stops.
                return

    def _run(self) -> None:
        store = open_site(self._site, is_runner=True, prepare=wait_for_database)
        with contextlib.closing(store):
            routes = routes_of(self._settings, self._handlers)
            runner = self._runner = make_runner(
                self._settings,
                self._site,
                store,
                self._handlers,
                only=relay_filter(claim_filter(self._settings, routes), routes),
                daemon=True,
                kind="relay",
            )
            runner.when_wished(lambda wish: runner.stop() if wish == "stop" else None)
            if self._is_stopping.is_set():
                runner.stop()
            with listening(store, runner.wake, mark="relay"):
                runner.run()
