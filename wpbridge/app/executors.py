"""Make all executors of a run as one, and the queue that handlers enqueue into.

Child processes and PHP are loaded only where something runs in them: a short run would feel it.
"""

import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from wpbridge.app.own_hooks import own_handlers
from wpbridge.app.routing import routes_of
from wpbridge.clock import Clock
from wpbridge.executors.base import Executor, Mailbox
from wpbridge.executors.handlers import Handler
from wpbridge.executors.router import Router
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.queue.facade import Queue, open_through
from wpbridge.site.config import Settings
from wpbridge.site.database import DatabaseAddress, Tls
from wpbridge.site.resolve import Site
from wpbridge.store.connect import open_site
from wpbridge.store.database.session import Session
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling import traces
from wpbridge.telling.counting import Counter

SWITCH_SECONDS = 0.0005
PATIENCE_SECONDS = 300.0
"""For so long a run waits for a database that goes away while it runs."""


def make_executor(
    settings: Settings,
    site: Site,
    store: RunnerStore,
    handlers: dict[str, Handler],
    *,
    clock: Clock,
    env: Mapping[str, str],
    counter: Counter | None = None,
    mailbox: Mailbox | None = None,
) -> Executor:
    """Make one executor out of threads, child processes and PHP workers, as the routes say.

    Python handlers and webhooks run on threads, isolated handlers in child processes. With a
    ``mailbox`` of the caller's it is that of a worker of Celery, which runs what goes there.
    """
    runs_handed = mailbox is not None
    mailbox = mailbox or Mailbox()
    # What a handler enqueues waits for the database as long as the runner does.
    patience = max(PATIENCE_SECONDS, store.session.patience_seconds)
    isolated = {hook: handler for hook, handler in handlers.items() if handler.isolate}
    threaded = {hook: handler for hook, handler in handlers.items() if hook not in isolated}
    threads = ThreadExecutor(
        {**threaded, **own_handlers(settings)},
        concurrency=settings.concurrency.least,
        clock=clock,
        site=site.name,
        mailbox=mailbox,
        open_queue=_opener(settings, site, patience),
        default_timeout=settings.timeout,
    )
    executors: dict[str, Executor] = {"python": threads, "webhook": threads}
    if isolated:
        executors["isolated"] = _process_executor(
            settings, site, isolated, mailbox, clock, patience_seconds=patience
        )
    if settings.php:
        from wpbridge.app.php import php_launch, php_pool  # noqa: PLC0415 - see the module

        # Two threads then share the interpreter: the runner's must not wait 5 ms for its turn
        # after each answer of the database.
        sys.setswitchinterval(SWITCH_SECONDS)
        launch = php_launch(settings, site, store.parts, env)
        executors["php"] = php_pool(settings, store, mailbox, clock, launch, counter=counter)
    routes = routes_of(settings, handlers)

    def where(hook: str, group: str) -> str:
        to = routes.decide(hook, group).to
        if to == "celery" and runs_handed:
            to = routes.run_by_worker(hook)
        return "isolated" if to == "python" and hook in isolated else to

    return Router(executors, where, mailbox)


def _process_executor(
    settings: Settings,
    site: Site,
    isolated: dict[str, Handler],
    mailbox: Mailbox,
    clock: Clock,
    *,
    patience_seconds: float,
) -> Executor:
    """Make an executor with as many children as there are threads; each starts when it has work."""
    from wpbridge.executors.process.executor import (  # noqa: PLC0415 - see the module
        PoolLimits,
        ProcessExecutor,
        Setup,
    )

    setup = Setup(
        modules=settings.handlers,
        folder=settings.handlers_folder,
        trusted=settings.trusted,
        site=site.name,
        opener=f"{__name__}:{queue_in_child.__name__}",
        given={
            "database": asdict(site.database),
            "base_prefix": site.base_prefix,
            "table_prefix": site.table_prefix,
            "blog_id": site.blog_id,
            "numbers_first_blog": site.numbers_first_blog,
            "url": site.url,
            "unique_by": settings.unique_by,
            "patience_seconds": patience_seconds,
        },
        traces={"endpoint": settings.telemetry_otlp_endpoint} if traces.are_made() else None,
    )
    return ProcessExecutor(
        isolated,
        setup,
        limits=PoolLimits(
            children=settings.concurrency.least,
            max_actions=settings.isolated_max_actions,
            max_memory=settings.isolated_max_memory,
        ),
        clock=clock,
        mailbox=mailbox,
        default_timeout=settings.timeout,
    )


def queue_in_child(given: Mapping[str, Any]) -> Queue:
    """Open the queue of an isolated handler, in its process and with its own connection."""
    database = dict(given["database"])
    tls = database.pop("tls")
    site = Site(
        name="",
        database=DatabaseAddress(**database, tls=None if tls is None else Tls(**tls)),
        base_prefix=given["base_prefix"],
        table_prefix=given["table_prefix"],
        blog_id=given["blog_id"],
        numbers_first_blog=given["numbers_first_blog"],
        url=given["url"],
    )
    store = open_site(site, prepare=_patient(given["patience_seconds"]))
    return Queue(store, unique_by=given["unique_by"])


def _patient(seconds: float) -> Callable[[Session], None]:
    """Have a session wait so long for a server that is away, already when the store is opened."""

    def prepare(session: Session) -> None:
        session.patience_seconds = seconds

    return prepare


def _opener(settings: Settings, site: Site, patience_seconds: float) -> Callable[[], Queue]:
    """Return a function that opens the queue for handlers when one first asks for it.

    The runner's own store belongs to its loop alone.
    """
    lock = threading.Lock()
    opened: list[Queue] = []

    def open_queue() -> Queue:
        with lock:
            if not opened:
                store = open_site(site, prepare=_patient(patience_seconds))
                through = partial(open_through, settings) if settings.celery_broker else None
                queue = Queue(store, unique_by=settings.unique_by, open_through=through)
                # Nobody tells it that the last handler has ended: its connection ends with it.
                weakref.finalize(queue, store.close).atexit = False
                opened.append(queue)
            return opened[0]

    return open_queue
