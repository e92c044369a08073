"""Make a runner with real parts, and the caretaker beside it."""

import math
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

from wpbridge.action import Action, ActionId
from wpbridge.app.executors import PATIENCE_SECONDS, make_executor
from wpbridge.app.own_hooks import OWN
from wpbridge.app.reporting import reporters
from wpbridge.app.routing import routes_of
from wpbridge.clock import Clock, SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.events import StoreBack, StoreLost
from wpbridge.executors.base import Mailbox
from wpbridge.executors.handlers import Handler
from wpbridge.executors.loading import subscribers
from wpbridge.executors.routes import Routes
from wpbridge.runner.about import Kind, Process
from wpbridge.runner.claim_size import MOST
from wpbridge.runner.handed_loop import HandedRunner
from wpbridge.runner.identity import Identity, identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.site.rules import RetryRule
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.session import Session
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.handed import Fate, HandedStore, Inbox
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.rights import refuse_read_only
from wpbridge.telling import lines
from wpbridge.telling.bus import Bus
from wpbridge.telling.counting import DB_ERROR, PHP_RESTART, Counter, What, minute_of
from wpbridge.telling.log import tell
from wpbridge.upkeep.caretaker import SiteCaretaker
from wpbridge.upkeep.history import History
from wpbridge.upkeep.old_rows import InTurn, OldRows

SHORTEST_POLL = timedelta(milliseconds=50)
_WITHOUT_ROW = ("celery", "python", "webhook")
"""Where an action can go that has no row. PHP looks for a row."""
_BRACKETS = re.compile(r"\[.+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """By what a runner that looks for nothing gets its actions, and tells that they have ended."""

    inbox: Inbox
    mailbox: Mailbox
    told: Callable[[ActionId, Fate], None]
    """Called with what became of an action that has no row."""
    dropped: Callable[[], None]
    """Called when the runner has forgotten everything, since others took it for dead."""

    def store(self, store: OpenStore, settings: Settings, routes: Routes) -> HandedStore:
        """Return the runner's view of the store."""
        return HandedStore(
            store,
            self.inbox,
            keeps_completed=settings.celery_completions == "write",
            accepts=routes.accepts,
            told=self.told,
        )

    def runner(
        self, store: HandedStore, handlers: Mapping[str, Handler], routes: Routes, clock: Clock
    ) -> Callable[..., Runner]:
        """Return what makes the runner."""

        def runs(action: Action) -> bool:
            handler = handlers.get(action.hook)
            is_routed = routes.decide(action.hook, action.group).to in _WITHOUT_ROW
            return is_routed and handler is not None and not handler.at_most_once

        return partial(
            HandedRunner,
            is_named=self.inbox.__bool__,
            take_whole=lambda: store.take_whole(now=clock.now(), runs=runs),
            dropped=self.dropped,
        )


def wait_for_database(session: Session, clock: Clock | None = None) -> None:
    """Have a daemon wait for a database that is away, already at its start, and tell of it."""
    session.patience_seconds = math.inf
    bus = Bus()
    bus.write_to(lines.write, lines.is_heard)
    tell_outages(session, bus, clock or SystemClock())


def tell_outages(session: Session, bus: Bus, clock: Clock) -> None:
    """Tell subscribers once when the database is away, and once when it is back."""
    session.was_lost = lambda message: bus.tell(
        StoreLost(at=clock.now(), site=bus.site, reason=message)
    )
    session.came_back = lambda seconds: bus.tell(
        StoreBack(at=clock.now(), site=bus.site, after=timedelta(seconds=seconds))
    )


def count_troubles(session: Session, counter: Counter, clock: Clock) -> None:
    """Count the errors of the database, by its code."""
    session.had_trouble = lambda code: counter.add(
        What(minute_of(clock.now()), "", "", DB_ERROR, reason=code)
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
    kind: Kind = "claim-and-run",
    deaths: Callable[[], int] = lambda: 0,
    named: Named | None = None,
) -> Runner:
    """Make a runner over the site's queue and start its threads; PHP starts when it has work.

    With ``daemon`` it waits for work, and for a server that is away, until it is stopped.
    ``kind`` is the command whose process this is, and ``deaths`` returns how many workers before
    this one have died in its place: people are shown both. A ``relay`` runs nothing, but hands
    over what goes to Celery. With ``named`` it runs what was named to it, and looks for nothing.

    Raises:
        ReadOnly: nothing can be written. A run waits for that later, but at the start it means a
            wrong address, a missing right, or a switch that somebody must turn.
    """
    clock = clock or SystemClock()
    refuse_read_only(store.tables)
    store.session.patience_seconds = math.inf if daemon else PATIENCE_SECONDS
    bus = Bus(site.label)
    bus.write_to(lines.write, lines.is_heard)
    bus.extend(
        subscribers(settings.handlers, folder=settings.handlers_folder, trusted=settings.trusted)
    )
    tell_outages(store.session, bus, clock)
    bus.extend(reporters(settings, store, env))
    routes = routes_of(settings, handlers)
    mine = (
        RunnerStore(store, has_broker=settings.celery_broker is not None)
        if named is None
        else named.store(store, settings, routes)
    )
    counter = Counter()
    if kind == "relay":
        from wpbridge.app.relay import make_relay_executor  # noqa: PLC0415 - loads kombu

        executor = make_relay_executor(settings, mine, handlers, clock=clock)
    else:
        executor = make_executor(
            settings,
            site,
            mine,
            handlers,
            clock=clock,
            env=env,
            counter=counter,
            mailbox=None if named is None else named.mailbox,
        )
    tell_brackets(settings.retry)
    me = identity(settings.wake_address)
    # A runner of a few named actions is soon gone.
    cares = settings.owns_site and settings.upkeep and only.ids is None
    count_troubles(store.session, counter, clock)
    caretakers: list[History | OldRows | SiteCaretaker] = [
        History(store, clock, counter, holder=_holder(me), has_duty=only.ids is None)
    ]
    if only.ids is None:
        keep = settings.results_keep
        caretakers.append(OldRows(store, clock, holder=_holder(me), keep_results=keep))
    if cares:
        caretakers.append(make_caretaker(settings, store, clock, bus, me))
    make: Callable[..., Runner] = Runner
    if named is not None and isinstance(mine, HandedStore):
        make = named.runner(mine, handlers, routes, clock)
    return make(
        mine,
        executor,
        clock,
        me,
        only=only,
        limits=_limits(settings, only, daemon=daemon, is_relay=kind == "relay"),
        retry=settings.retry,
        shares=settings.shares,
        bus=bus,
        caretaker=InTurn(*caretakers),
        counter=counter,
        process=Process(
            kind=kind,
            supervisor=os.getppid() if kind == "work" else None,
            has_isolated=any(handler.isolate for handler in handlers.values()),
            php=_php_places(settings),
            restarts=_restarts(counter, deaths),
        ),
    )


def _php_places(settings: Settings) -> int:
    return settings.php_workers_each() if settings.php else 0


def _restarts(counter: Counter, deaths: Callable[[], int]) -> Callable[[], Mapping[str, int]]:
    """Return a function that says how often workers of a daemon, and its PHP workers, have died."""
    take, php = counter.reader("about"), 0

    def restarts() -> Mapping[str, int]:
        nonlocal php
        for what, tally in take().items():
            if what.outcome == PHP_RESTART and what.reason != "used_up":
                php += tally.actions
        return {"worker": deaths(), "php": php}

    return restarts


def _limits(
    settings: Settings, only: ClaimFilter, *, daemon: bool, is_relay: bool = False
) -> Limits:
    if is_relay:
        # It has no places of its own. Its claims are as long as they can be.
        return Limits(
            batch_size=settings.batch_size,
            concurrency=min(settings.celery_window, MOST),
            serves_queue=False,
            rescue=settings.rescue,
            poll=settings.poll_interval or SHORTEST_POLL,
        )
    return Limits(
        batch_size=settings.batch_size,
        batches=settings.batches,
        max_actions=settings.max_actions,
        max_time=settings.max_time,
        concurrency=settings.concurrency.least + _php_places(settings),
        serves_queue=only.ids is None and not OWN.issuperset(settings.hooks or ("",)),
        rescue=settings.rescue,
        keep_output=settings.keep_output,
        poll=(settings.poll_interval or SHORTEST_POLL) if daemon else None,
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
    """Make the caretaker that does the work of the plugin's cleaner beside a runner."""
    return SiteCaretaker(
        store,
        clock,
        bus,
        holder=_holder(me),
        rules=settings.retention,
        runs_php=settings.php,
    )


def _holder(me: Identity) -> str:
    """Return a name for the holder of a duty, which no other runner has."""
    return f"{me.host[:200]}, pid {me.pid}, {secrets.token_hex(4)}"
