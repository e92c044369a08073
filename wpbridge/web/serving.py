"""Serve the gateway from this process, and end it in order."""

import gc
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from wpbridge.access.attempts import Attempts
from wpbridge.access.callers import Callers
from wpbridge.access.rates import Rates
from wpbridge.action import ActionId
from wpbridge.app import unrun
from wpbridge.clock import SystemClock
from wpbridge.daemon.notify import Notifier
from wpbridge.doctor.explain import explain_action
from wpbridge.errors import WpbridgeError
from wpbridge.monitor.gauges import CachedGauges
from wpbridge.plugin.own_hooks import OwnHooks
from wpbridge.queue.jobs import JobQueue
from wpbridge.runner.identity import identity
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.telling import traces
from wpbridge.web.access_log import AccessLog
from wpbridge.web.app import make_app
from wpbridge.web.calls import Parts
from wpbridge.web.counted import Counted
from wpbridge.web.listening import opened
from wpbridge.web.many.routes import INDEX_ROUTES
from wpbridge.web.metrics import Metrics
from wpbridge.web.origins import ApiOrigins
from wpbridge.web.own_runner import OwnRunner
from wpbridge.web.pages.mounted import index_routes, page_routes
from wpbridge.web.pages.opening import open_pages
from wpbridge.web.protocol import StrictProtocol
from wpbridge.web.readers import Readers
from wpbridge.web.routes import ROUTES
from wpbridge.web.sender import Sender
from wpbridge.web.watching import Watching
from wpbridge.web.writer import Writer

if TYPE_CHECKING:
    from wpbridge.web.many.index import SitesIndex

DRAIN_SECONDS: Final = 15
"""What takes longer at the end is cut. Nobody waits for news any more then, and a body that has
not arrived is cut before."""
KEEP_ALIVE_SECONDS: Final = 30


def application(
    settings: Settings,
    env: Mapping[str, str] = os.environ,
    *,
    runs_own: bool = True,
    is_alone: bool = True,
    attempts: Attempts | None = None,
    index: "tuple[SitesIndex, str] | None" = None,
) -> Starlette:
    """Return the gateway of one site as an ASGI application.

    Args:
        settings: with which it serves the site.
        env: the environment.
        runs_own: whether it also runs wpbridge's own hooks, such as callbacks.
        is_alone: whether no supervisor adds up what it counts.
        attempts: the failed attempts to get in of late; None to begin anew.
        index: makes it the index of many sites, which has one page and one route: what they show,
            and what stands before the names of sites in their addresses.
    """
    base_path = settings.web_base_path
    site = resolve(settings, env)
    own_hooks = OwnHooks(settings, site)
    counted = Counted()
    metrics = Metrics(
        lambda: CachedGauges.of(settings, env), counted if is_alone else None, site=site.label
    )

    def open_queue() -> JobQueue:
        queue = JobQueue.of(settings, env)
        # A client is told to come again: it does not wait for a server that is away.
        queue.store.session.patience_seconds = 0.0
        if queue.store.dialect.is_file:
            # SQLite itself has waited for the file already.
            queue.store.session.busy_tries = 0
        return queue

    def explain(action_id: ActionId) -> dict[str, Any]:
        return asdict(explain_action(settings, action_id, ask_wordpress=False))

    def open_parts() -> Parts:
        if settings.telemetry_traces:
            traces.start(settings.telemetry_otlp_endpoint)
        with closing(open_queue()) as queue:
            queue.store.check_writable()
            queue.store.own.ensure()
        return Parts(
            writer=Writer(open_queue),
            sender=Sender(open_queue),
            readers=Readers(open_queue),
            watching=Watching(open_queue),
            own=OwnRunner(settings, counted) if runs_own else None,
            callers=Callers(
                open_queue().store,
                wordpress_login=settings.web_wordpress_login,
                roles=settings.web_roles,
                attempts=attempts,
            ),
            rates=Rates(),
            refusal=lambda queue: own_hooks.refusal(queue.store),
            allow_private=settings.web_allow_private_callbacks,
            explain=explain,
            troubles=_troubles,
            metrics=metrics,
            counted=counted,
            pages=open_pages(settings, site, open_queue, attempts=attempts, index=index)
            if settings.web_ui
            else None,
            base_path=base_path,
        )

    pages = page_routes if index is None else index_routes
    app = make_app(
        open_parts,
        routes=ROUTES if index is None else INDEX_ROUTES,
        pages=pages if settings.web_ui else None,
        base_path=base_path,
    )
    if settings.web_origins:
        app.add_middleware(ApiOrigins, origins=settings.web_origins, base_path=base_path)
    if settings.web_access_log != "none":
        app.add_middleware(AccessLog)
    app.state.metrics, app.state.counted = metrics, counted
    return app


def _troubles(queue: JobQueue) -> list[str]:
    """Return what keeps the gateway from working; the question itself shows a database away."""
    queue.store.check_writable()
    queue.due(1)
    told = unrun(queue.store, SystemClock().now(), identity())
    return [] if told is None else [told]


def check(settings: Settings, env: Mapping[str, str] = os.environ) -> None:
    """Open the queue, and find out whether it can be written.

    Raises:
        SiteError, StoreError: it cannot.
    """
    with closing(JobQueue.of(settings, env)) as queue:
        _troubles(queue)


class Served(Protocol):
    """An ASGI application as the server sees it: one site's, or that of many sites."""

    @property
    def state(self) -> Any:
        """Return what is known of it: ``base_path``, ``counted``, and ``let_go`` once it runs."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        ...


def config_of(app: Served) -> uvicorn.Config:
    """Return how uvicorn is to serve the gateway."""
    # It would tell in its own words what the gateway tells in its log.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)
    return uvicorn.Config(
        app,
        http=StrictProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        lifespan="on",
        ws="none",
    )


class Server(uvicorn.Server):
    """Uvicorn's server, which ends in order when it is told to."""

    def __init__(self, app: Served, *, ready: Callable[[], None] = lambda: None) -> None:
        """Take the gateway, and what is called when it answers."""
        super().__init__(config_of(app))
        self._app = app
        self._ready = ready

    def serve_at(self, sock: socket.socket) -> None:
        """Serve until told to stop.

        Raises:
            WpbridgeError: the gateway cannot start.
        """
        try:
            self.run(sockets=[sock])
        except SystemExit:
            # Uvicorn says so when the parts cannot be opened.
            error = getattr(self._app.state, "why_not", None)
            if isinstance(error, WpbridgeError):
                raise error from None
            raise

    def stop(self) -> None:
        """Take no more connections, answer what runs, then end. Once more: end at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take in TERM or INT. Uvicorn would end the process by the same signal afterwards."""
        del sig, frame
        self.stop()

    async def startup(self, sockets: Any = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        # What is loaded by now stays. Without this, each collection looks through all of it.
        gc.collect()
        gc.freeze()
        if self.started:
            self._ready()

    async def shutdown(self, sockets: Any = None) -> None:
        """Let everybody go who waits for news, and end when the others have their answers."""
        self._app.state.let_go()
        await super().shutdown(sockets)


def serve(app: Served, settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serve the gateway until TERM or INT: no new connections then, and what runs is answered.

    Raises:
        ConfigError: nothing can listen there.
        SiteError, StoreError: the queue cannot be opened.
    """
    notifier = Notifier.of(os.environ)
    ear = opened(settings)

    def started() -> None:
        ready(ear.told)
        notifier.ready(f"listening on {ear.told}")

    try:
        Server(app, ready=started).serve_at(ear.sock)
    finally:
        ear.close()
