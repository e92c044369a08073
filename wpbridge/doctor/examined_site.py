"""The site that is examined: what the checks read, each thing read once.

What cannot be read raises in the check that asks for it, and again in the next: nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from wpbridge import app
from wpbridge.clock import Clock, SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.errors import (
    ConfigError,
    SiteError,
    WpbridgeError,
    WpCliError,
)
from wpbridge.executors.handlers import Handler
from wpbridge.executors.php.frames import Hello
from wpbridge.executors.php.launch import Launch
from wpbridge.executors.php.probe import interview
from wpbridge.executors.routes import Routes
from wpbridge.monitor.handed_hooks import IsHanded, handed_by
from wpbridge.runner.identity import Identity, identity
from wpbridge.runner.liveness import is_dead
from wpbridge.site.config import Settings
from wpbridge.site.moments import iso
from wpbridge.site.resolve import Site
from wpbridge.site.wpconfig import WpConfig
from wpbridge.site.zone import shown_zone
from wpbridge.store.base import RunnerRecord, StoreInfo
from wpbridge.store.opened import OpenStore, open_tables
from wpbridge.store.reading.due import DueAction
from wpbridge.store.reading.due_pairs import Pair
from wpbridge.store.reading.pending import Reading
from wpbridge.store.reading.survey import CAP, SIGHT, Rows
from wpbridge.store.records import Pause
from wpbridge.store.running.seen_runners import CELERY, RELAY, SeenRunner, seen_runners
from wpbridge.store.schema.found import TableSize
from wpbridge.store.schema.layout import STORE_OPTION
from wpbridge.store.structure.server import Server
from wpbridge.store.structure.tables import Connected
from wpbridge.store.upkeep.cleaning import AWAY, CLEANERS

LOGGER_OPTION: Final = "schema-ActionScheduler_LoggerSchema"
MIGRATION_OPTION: Final = "action_scheduler_migration_status"
DEMARCATION_OPTION: Final = "action_scheduler_hybrid_store_demarkation"
LOCK_OPTION: Final = "action_scheduler_lock_async-request-runner"
_OPTIONS: Final = (
    STORE_OPTION,
    LOGGER_OPTION,
    MIGRATION_OPTION,
    DEMARCATION_OPTION,
    LOCK_OPTION,
    "timezone_string",
    "gmt_offset",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhpSight:
    """What one PHP worker reported."""

    hello: Hello
    callbacks: Mapping[str, bool]
    """Whether each of the due hooks has a callback."""


@dataclass(kw_only=True)
class ExaminedSite:
    """A site, and the answers to what the checks ask about it. Each is read once."""

    way: Connected
    """The connection to its tables."""
    settings: Settings
    site: Site
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    handlers_fault: str = ""
    """Why no handlers could be loaded."""
    left_out: Sequence[str] = ()
    """The modules of handlers that are not loaded, since nobody named them."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    clock: Clock = field(default_factory=SystemClock)
    me: Identity = field(default_factory=identity)

    def anew(self) -> "ExaminedSite":
        """Return the same site with nothing remembered."""
        return replace(self)

    @cached_property
    def now(self) -> datetime:
        """Return when the examination began."""
        return self.clock.now()

    @cached_property
    def store(self) -> OpenStore:
        """Return its store, opened at the first call. Raises SchemaError without usable tables."""
        return open_tables(self.way)

    @cached_property
    def server(self) -> Server:
        """Return the questions that can be asked about the server."""
        return Server(self.way)

    @cached_property
    def rows(self) -> Rows:
        """Return the questions that can be asked about rows."""
        return Rows(self.store.tables)

    @property
    def info(self) -> StoreInfo:
        """Return what the store says of itself. Raises SchemaError without usable tables."""
        return self.store.info

    @cached_property
    def options(self) -> Mapping[str, str]:
        """Return the options that matter, as far as they are set."""
        return self.server.options(*_OPTIONS)

    @cached_property
    def has_options(self) -> bool:
        """Tell whether there is a WordPress around the queue."""
        return self.server.has_table(self.way.names.options)

    @cached_property
    def sizes(self) -> Mapping[str, TableSize]:
        """Return the sizes of the tables, as the server's catalogue has them."""
        return self.server.sizes()

    @cached_property
    def routes(self) -> Routes:
        """Return the routes of the hooks."""
        return app.routes_of(self.settings, dict(self.handlers), left_out=self.left_out)

    def time(self, moment: datetime) -> str | None:
        """Return a time as findings show it: in the zone of the settings, and in UTC in JSON."""
        if self.settings.format == "json":
            return iso(moment)
        return iso(moment, shown_zone(self.settings.tz, self.store.tables.zone))

    # Who runs

    @cached_property
    def seen(self) -> Sequence[SeenRunner]:
        """Return every wpbridge runner that has a row, with what it says of itself."""
        return seen_runners(self.store.tables)

    @cached_property
    def runners(self) -> Sequence[RunnerRecord]:
        """Return every wpbridge runner that has a row."""
        return [one.runner for one in self.seen]

    def living(self, kind: str) -> int:
        """Count the runners of one kind that are alive."""
        return sum(one.about.kind == kind and not self.is_dead(one.runner) for one in self.seen)

    @property
    def is_handed(self) -> IsHanded | None:
        """Return which actions the routes hand to Celery; None where they hand over nothing."""
        return handed_by(self.settings)

    def is_dead(self, runner: RunnerRecord) -> bool:
        """Tell whether a runner is certainly gone, or gave no sign of life for too long."""
        return is_dead(runner, self.me)

    @cached_property
    def contexts(self) -> Mapping[str, datetime]:
        """Return the runners that the log of the last hour names, and when each was named last."""
        return self.rows.contexts(self.now - SIGHT)

    @property
    def is_somebody_running(self) -> bool:
        """Tell whether any runner of any kind was seen."""
        return bool(self.contexts) or self.is_ours_running or self.has_claimed

    @cached_property
    def last_attempt(self) -> datetime | None:
        """Return when any runner last claimed or started an action."""
        return self.rows.last_attempt()

    @property
    def has_claimed(self) -> bool:
        """Tell whether that was lately: a run that put back all it claimed leaves no other sign."""
        return self.last_attempt is not None and self.now - self.last_attempt < SIGHT

    @property
    def is_ours_running(self) -> bool:
        """Tell whether a wpbridge runner is alive, or one was at work within the last ten minutes.

        Where cron starts the runs, none is alive between two of them. Such a run says in the log
        what it ran; where it found nothing to run, it has looked after the site. A relay and the
        workers of Celery count together, where it is Celery's turn to run what has waited longest.
        """
        if any(one.runs_what_is_due and not self.is_dead(one.runner) for one in self.seen):
            return True
        if self.living(RELAY) and self.living(CELERY) and self._is_oldest_handed:
            return True
        seen = self.contexts.get("wpbridge")
        if seen is not None and self.now - seen < AWAY:
            return True
        age = self.tended_seconds
        return age is not None and age < AWAY.total_seconds()

    @property
    def _is_oldest_handed(self) -> bool:
        is_handed, oldest = self.is_handed, self.oldest_open
        return is_handed is not None and oldest is not None and is_handed(oldest.hook, None)

    @cached_property
    def tended_seconds(self) -> float | None:
        """Return how long ago a wpbridge runner looked after the site; None where none ever did."""
        return self.store.duties.sign_age_seconds("claims")

    @property
    def cleaners_seen(self) -> list[str]:
        """Return the plugin's own runners that do the upkeep now."""
        return sorted(
            name
            for name, last in self.contexts.items()
            if name in CLEANERS and self.now - last < AWAY
        )

    @property
    def is_php_running(self) -> bool:
        """Tell whether one of the plugin's runners was seen."""
        return bool(set(self.contexts) - {"wpbridge"})

    # What is due

    @cached_property
    def held(self) -> int:
        """Count the due actions of held hooks, for which WordPress has no callback."""
        parts = self.store
        return parts.due.held(self.now, parts.held.hooks())

    @cached_property
    def due(self) -> int:
        """Count the due actions without those of held hooks, up to the cap."""
        return self.store.due.count(self.now, cap=CAP + 1, held=self.held)

    @cached_property
    def oldest_due(self) -> DueAction | None:
        """Return the action that has been due for the longest, without those of held hooks."""
        parts = self.store
        return parts.due.oldest(self.now, hooks=parts.held.hooks())

    @cached_property
    def oldest_open(self) -> DueAction | None:
        """Return the action that has been due for the longest and is neither paused nor held."""
        if any(pause.kind == "all" for pause in self.pauses):
            return None
        parts = self.store
        hooks = parts.held.hooks() | {p.name for p in self.pauses if p.kind == "hook"}
        groups = {p.name for p in self.pauses if p.kind == "group"}
        return parts.due.oldest(self.now, hooks=hooks, groups=groups)

    @cached_property
    def due_hooks(self) -> Sequence[str] | None:
        """Return the hooks of due actions; None when there are too many names."""
        return self.rows.due_hooks(self.now)

    @cached_property
    def due_pairs(self) -> Sequence[Pair]:
        """Return the oldest due actions by hook and group."""
        return self.store.due_pairs.due(self.now)

    @cached_property
    def pauses(self) -> Sequence[Pause]:
        """Return the pauses that are in force."""
        return self.store.pauses.in_force(self.now)

    @cached_property
    def pending(self) -> Reading:
        """Return what was found in the first pending actions."""
        return self.rows.pending()

    @cached_property
    def legacy_posts(self) -> int:
        """Count the pending and running actions that are still posts."""
        return sum(
            count
            for status, count in self.rows.legacy_posts().items()
            if status in {"pending", "in-progress"}
        )

    # WordPress

    @cached_property
    def config(self) -> WpConfig | None:
        """Return what wp-config.php says; None without a folder."""
        return self.site.config

    def drop_in(self, name: str) -> bytes:
        """Return the start of a file of wp-content; empty where there is none."""
        folder = self._content
        try:
            return b"" if folder is None else (folder / name).read_bytes()[:65_536]
        except OSError:
            return b""

    @cached_property
    def _content(self) -> Path | None:
        try:
            return None if self.config is None else self.config.content_dir
        except SiteError:
            return None

    @property
    def not_loaded(self) -> str:
        """Say that handlers were not loaded; empty when all were."""
        return app.not_loaded(self.left_out, self.settings) if self.left_out else ""

    @cached_property
    def launch(self) -> Launch:
        """Return how PHP workers are started."""
        return app.php_launch(self.settings, self.site, self.store, self.env)

    @cached_property
    def php(self) -> PhpSight | WpbridgeError:
        """Load WordPress once. Return what PHP says, or the error why it does not start."""
        try:
            hello, callbacks = interview(self.launch, self.due_hooks or ())
        except (ConfigError, WpCliError) as error:
            return error
        return PhpSight(hello=hello, callbacks=callbacks)
