"""Putting real parts together: the one place that names stores and executors."""

import math
import os
import re
import secrets
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from wpbridge.action import UPKEEP_HOOKS
from wpbridge.clock import Clock, SystemClock
from wpbridge.errors import ConfigError
from wpbridge.events import Event, StoreBack, StoreLost
from wpbridge.executors.base import Executor, Mailbox
from wpbridge.executors.handlers import Handler, load, subscribers
from wpbridge.executors.php.frames import Hello
from wpbridge.executors.php.launch import Launch, launch
from wpbridge.executors.php.limits import Greeting, PoolLimits
from wpbridge.executors.php.pool import PhpPool
from wpbridge.executors.php.probe import interview, notes, refusal
from wpbridge.executors.process.executor import PoolLimits as ProcessLimits
from wpbridge.executors.process.executor import ProcessExecutor, Setup
from wpbridge.executors.router import Router
from wpbridge.executors.routes import Routes
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.executors.webhook import webhook_handler
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import Identity, identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.config import Settings
from wpbridge.site.database import DatabaseAddress, Tls
from wpbridge.site.resolve import Site
from wpbridge.site.rules import RetryRule
from wpbridge.store.base import ClaimFilter
from wpbridge.store.connect import open_site
from wpbridge.store.database.session import Session
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.network import blogs_or_none
from wpbridge.store.structure.rights import refuse_read_only
from wpbridge.telling import lines
from wpbridge.telling.bus import Bus
from wpbridge.telling.log import tell
from wpbridge.upkeep.caretaker import SiteCaretaker

SWITCH_SECONDS = 0.0005
SHORTEST_POLL = timedelta(milliseconds=50)
PATIENCE_SECONDS = 300.0
"""How long a run waits for a database that went away under it."""
_BRACKETS = re.compile(r"\[.+\]")


def handlers_of(settings: Settings) -> dict[str, Handler]:
    """Python handlers and webhooks, by hook."""
    found = load(settings.handlers, folder=settings.handlers_folder, trusted=settings.trusted)
    for hook, webhook in settings.webhooks.items():
        if hook in found:
            raise ConfigError(f"hook {hook!r} has both a Python handler and a webhook")
        found[hook] = webhook_handler(hook, webhook)
    return found


def handlers_to_look(settings: Settings) -> tuple[dict[str, Handler], tuple[str, ...]]:
    """Handlers for a command that only looks, and the modules that it does not load.

    Whoever only looks does not expect code to run: modules are loaded that the command line names,
    and no others.
    """
    if settings.sources.get("handlers", "flag") == "flag":
        return handlers_of(settings), ()
    return handlers_of(replace(settings, handlers=())), settings.handlers


def not_loaded(modules: Sequence[str]) -> str:
    """Say that these modules of handlers were not loaded, and how they are."""
    names = ",".join(modules)
    return f"handlers not loaded: {names} (name them: --handlers {names})"


def routes_of(
    settings: Settings, handlers: Mapping[str, Handler], *, left_out: Sequence[str] = ()
) -> Routes:
    """What happens to each hook, with these settings and handlers (webhooks among them).

    ``left_out`` are modules of handlers that were not loaded.
    """
    return Routes(
        settings.routes,
        python={h: handlers[h].source for h in handlers if h not in settings.webhooks},
        webhooks=settings.webhooks,
        php=settings.php,
        owns_site=settings.owns_site,
        not_loaded=left_out,
    )


def claim_filter(settings: Settings, routes: Routes) -> ClaimFilter:
    """Only what this process can run, narrowed by the settings.

    Raises ConfigError when the settings name a hook that it cannot run.
    """
    known = routes.hooks()
    unknown = [] if known is None else sorted(set(settings.hooks) - known)
    if unknown:
        raise ConfigError(
            f"no handler for {', '.join(unknown)}; there are {', '.join(sorted(known or ()))}"
        )
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


def php_launch(settings: Settings, site: Site, store: OpenStore, env: Mapping[str, str]) -> Launch:
    """How this site's PHP workers are started. ConfigError when they cannot be."""
    return launch(
        settings.wp,
        path=site.folder,
        url=settings.url or _url_of(site, store),
        user=settings.user,
        skip_plugins=settings.skip_plugins,
        env=env,
        trusted=settings.trusted,
    )


def ask_php(settings: Settings, site: Site, store: OpenStore, env: Mapping[str, str]) -> Hello:
    """Load WordPress once. WpCliError with its own words when it does not start."""
    return interview(php_launch(settings, site, store, env))[0]


def callbacks(
    settings: Settings, site: Site, store: OpenStore, hooks: Collection[str], env: Mapping[str, str]
) -> Mapping[str, bool]:
    """Load WordPress once, and ask which of these hooks have a callback in PHP."""
    return interview(php_launch(settings, site, store, env), hooks)[1]


def judge_php(settings: Settings, store: OpenStore, hello: Hello) -> tuple[str | None, list[str]]:
    """Why PHP must not run this queue's actions (None: it may), and what is worth knowing."""
    return refusal(hello, prefix=store.names.prefix, bookkeeping=settings.php_books), notes(hello)


def _url_of(site: Site, store: OpenStore) -> str | None:
    """A network has to be told which of its sites is meant."""
    found = blogs_or_none(store.session, store.dialect, site.base_prefix) or []
    return {b: f"{domain}{path}" for b, domain, path in found}.get(site.blog_id or 1)


def make_executor(
    settings: Settings,
    site: Site,
    store: RunnerStore,
    handlers: dict[str, Handler],
    *,
    clock: Clock,
    env: Mapping[str, str],
) -> Executor:
    """Threads, children and PHP workers, as the routes say.

    Python handlers and webhooks run on threads, isolated handlers in child processes.
    """
    mailbox = Mailbox()
    # What a handler enqueues waits for the database as long as the runner does.
    patience = max(PATIENCE_SECONDS, store.session.patience_seconds)
    isolated = {hook: handler for hook, handler in handlers.items() if handler.isolate}
    threads = ThreadExecutor(
        {hook: handler for hook, handler in handlers.items() if hook not in isolated},
        concurrency=settings.concurrency,
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
        # Two threads share the interpreter then: the runner's must not wait 5 ms for its turn
        # after each answer of the database.
        sys.setswitchinterval(SWITCH_SECONDS)
        executors["php"] = _php_pool(
            settings, store, mailbox, clock, php_launch(settings, site, store.parts, env)
        )
    routes = routes_of(settings, handlers)

    def where(hook: str, group: str) -> str:
        to = routes.decide(hook, group).to
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
) -> ProcessExecutor:
    """As many children as there are threads; each is started when there is work for it."""
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
    )
    return ProcessExecutor(
        isolated,
        setup,
        limits=ProcessLimits(
            children=settings.concurrency,
            max_actions=settings.isolated_max_actions,
            max_memory=settings.isolated_max_memory,
        ),
        clock=clock,
        mailbox=mailbox,
        default_timeout=settings.timeout,
    )


def queue_in_child(given: Mapping[str, Any]) -> Queue:
    """The queue of an isolated handler, which its process opens with its own connection."""
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
    store = open_site(site)
    store.session.patience_seconds = given["patience_seconds"]
    return Queue(store, unique_by=given["unique_by"])


def _opener(settings: Settings, site: Site, patience_seconds: float) -> Callable[[], Queue]:
    """The queue that handlers enqueue into: one, with its own connection, opened when asked for.

    The runner's own store is its loop's alone.
    """
    lock = threading.Lock()
    opened: list[Queue] = []

    def open_queue() -> Queue:
        with lock:
            if not opened:
                store = open_site(site)
                store.session.patience_seconds = patience_seconds
                opened.append(Queue(store, unique_by=settings.unique_by))
            return opened[0]

    return open_queue


def _php_workers(settings: Settings) -> int:
    return settings.php_workers or os.cpu_count() or 1


def _php_pool(
    settings: Settings, store: RunnerStore, mailbox: Mailbox, clock: Clock, start: Launch
) -> PhpPool:
    limits = PoolLimits(
        workers=_php_workers(settings),
        timeout=settings.php_timeout,
        max_actions=settings.php_max_actions,
        max_age=settings.php_max_age,
        max_memory=settings.php_max_memory,
        bookkeeping=settings.php_books,
        missing=settings.missing_callback,
        on_crash=settings.on_crash,
    )
    return PhpPool(
        start,
        limits=limits,
        clock=clock,
        mailbox=mailbox,
        greeting=Greeting(
            accept=lambda hello: refusal(
                hello, prefix=store.names.prefix, bookkeeping=settings.php_books
            ),
            runner=store.whoami,
        ),
        native=UPKEEP_HOOKS,
    )


def tell_outages(session: Session, bus: Bus, clock: Clock) -> None:
    """Once when the database is away, and once when it is back."""
    session.was_lost = lambda message: bus.tell(
        StoreLost(at=clock.now(), site=bus.site, reason=message)
    )
    session.came_back = lambda seconds: bus.tell(
        StoreBack(at=clock.now(), site=bus.site, after=timedelta(seconds=seconds))
    )


def make_runner(
    settings: Settings,
    site: Site,
    store: OpenStore,
    handlers: dict[str, Handler],
    *,
    only: ClaimFilter,
    clock: Clock | None = None,
    env: Mapping[str, str] = os.environ,
    daemon: bool = False,
) -> Runner:
    """A runner over the site's queue, its threads started; PHP starts when there is work for it.

    ``daemon``: it waits for work, and for a server that is away, until it is stopped.

    Raises:
        ReadOnly: nothing can be written. Later that is waited for; at the start it is an address
            that is wrong, or a right, or a switch that somebody must turn.
    """
    clock = clock or SystemClock()
    refuse_read_only(store.tables)
    store.session.patience_seconds = math.inf if daemon else PATIENCE_SECONDS
    bus = Bus(site.label)
    bus.subscribe(Event, lines.write)
    bus.extend(
        subscribers(settings.handlers, folder=settings.handlers_folder, trusted=settings.trusted)
    )
    tell_outages(store.session, bus, clock)
    mine = RunnerStore(store)
    executor = make_executor(settings, site, mine, handlers, clock=clock, env=env)
    limits = Limits(
        batch_size=settings.batch_size,
        batches=settings.batches,
        max_actions=settings.max_actions,
        max_time=settings.max_time,
        concurrency=settings.concurrency + (_php_workers(settings) if settings.php else 0),
        rescue=settings.rescue,
        keep_output=settings.keep_output,
        poll=(settings.poll_interval or SHORTEST_POLL) if daemon else None,
    )
    tell_brackets(settings.retry)
    me = identity()
    # Who runs a few named actions is soon gone.
    cares = settings.owns_site and settings.upkeep and only.ids is None
    caretaker = make_caretaker(settings, store, clock, bus, me) if cares else None
    return Runner(
        mine,
        executor,
        clock,
        me,
        only=only,
        limits=limits,
        retry=settings.retry,
        shares=settings.shares,
        bus=bus,
        caretaker=caretaker,
    )


def tell_brackets(rules: Sequence[RetryRule]) -> None:
    """Warn of retry rules whose brackets meant one of several characters in 0.1."""
    for number, rule in enumerate(rules, 1):
        for pattern in (rule.hook or "", rule.group or ""):
            if _BRACKETS.search(pattern):
                tell("retry.brackets", rule=number, pattern=pattern)


def make_caretaker(
    settings: Settings, store: OpenStore, clock: Clock, bus: Bus, me: Identity
) -> SiteCaretaker:
    """What does the plugin's cleaner's work beside a runner."""
    return SiteCaretaker(
        store,
        clock,
        bus,
        holder=f"{me.host[:200]}, pid {me.pid}, {secrets.token_hex(4)}",
        rules=settings.retention,
        runs_php=settings.php,
    )
