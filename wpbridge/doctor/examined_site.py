"""The site that is examined: what the checks look at, each thing asked for once.

What fails to be told raises in the check that asks, and again in the next: nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from wpbridge import app
from wpbridge.clock import Clock, SystemClock
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
from wpbridge.store.reading.pending import Reading
from wpbridge.store.reading.survey import CAP, SIGHT, Rows
from wpbridge.store.records import Pause
from wpbridge.store.running.ownership import runners as runners_of
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
    """What one PHP worker told."""

    hello: Hello
    callbacks: Mapping[str, bool]
    """Which of the due hooks have a callback."""


@dataclass(kw_only=True)
class ExaminedSite:
    """A site, and the answers to what the checks ask of it: each is asked for once."""

    way: Connected
    """The way to its tables."""
    settings: Settings
    site: Site
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    handlers_fault: str = ""
    """Why there are none."""
    left_out: Sequence[str] = ()
    """Modules of handlers that are not loaded, since nobody named them."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    clock: Clock = field(default_factory=SystemClock)
    me: Identity = field(default_factory=identity)

    def anew(self) -> "ExaminedSite":
        """Return the same site with nothing remembered."""
        return replace(self)

    @cached_property
    def now(self) -> datetime:
        """When the examination began."""
        return self.clock.now()

    @cached_property
    def store(self) -> OpenStore:
        """Its store, opened when it is first asked; SchemaError without usable tables."""
        return open_tables(self.way)

    @cached_property
    def server(self) -> Server:
        """The questions that can be asked about the server."""
        return Server(self.way)

    @cached_property
    def rows(self) -> Rows:
        """The questions that can be asked about rows."""
        return Rows(self.store.tables)

    @property
    def info(self) -> StoreInfo:
        """What the store says of itself; SchemaError without usable tables."""
        return self.store.info

    @cached_property
    def options(self) -> Mapping[str, str]:
        """The options that matter, as far as they are set."""
        return self.server.options(*_OPTIONS)

    @cached_property
    def has_options(self) -> bool:
        """Whether there is a WordPress around the queue."""
        return self.server.has_table(self.way.names.options)

    @cached_property
    def sizes(self) -> Mapping[str, TableSize]:
        """The tables, as the server's catalogue tells of them."""
        return self.server.sizes()

    @cached_property
    def routes(self) -> Routes:
        """What happens to each hook."""
        return app.routes_of(self.settings, dict(self.handlers), left_out=self.left_out)

    def time(self, moment: datetime) -> str | None:
        """Return a time as findings tell it: in the zone of the settings, and in UTC in JSON."""
        if self.settings.format == "json":
            return iso(moment)
        return iso(moment, shown_zone(self.settings.tz, self.store.inserts.zone))

    # Who runs

    @cached_property
    def runners(self) -> Sequence[RunnerRecord]:
        """Every wpbridge runner that entered itself."""
        return runners_of(self.store.tables)

    def is_dead(self, runner: RunnerRecord) -> bool:
        """Whether it is gone for certain, or gave no sign for too long."""
        return is_dead(runner, self.me)

    @cached_property
    def contexts(self) -> Mapping[str, datetime]:
        """The runners that the log of the last hour names."""
        return self.rows.contexts(self.now - SIGHT)

    @property
    def is_somebody_running(self) -> bool:
        """Whether any runner was seen, of whatever kind."""
        return bool(self.contexts) or self.is_ours_running or self.has_claimed

    @cached_property
    def last_attempt(self) -> datetime | None:
        """When any runner last claimed or started an action."""
        return self.rows.last_attempt()

    @property
    def has_claimed(self) -> bool:
        """Whether that was lately: a run that held all that it took leaves no other sign."""
        return self.last_attempt is not None and self.now - self.last_attempt < SIGHT

    @property
    def is_ours_running(self) -> bool:
        """Whether a wpbridge runner lives, or one was at work within the last ten minutes.

        Where cron starts the runs, none lives between two of them. Such a run says in the log what
        it ran; where it found nothing to run, it has looked after the site.
        """
        if any(not self.is_dead(runner) for runner in self.runners):
            return True
        seen = self.contexts.get("wpbridge")
        if seen is not None and self.now - seen < AWAY:
            return True
        age = self.tended_seconds
        return age is not None and age < AWAY.total_seconds()

    @cached_property
    def tended_seconds(self) -> float | None:
        """How long ago a wpbridge runner looked after the site; None where none ever did."""
        return self.store.duties.sign_age_seconds("claims")

    @property
    def cleaners_seen(self) -> list[str]:
        """The plugin's own runners that upkeep is left to just now."""
        return sorted(
            name
            for name, last in self.contexts.items()
            if name in CLEANERS and self.now - last < AWAY
        )

    @property
    def is_php_running(self) -> bool:
        """Whether one of the plugin's runners was seen."""
        return bool(set(self.contexts) - {"wpbridge"})

    # What is due

    @cached_property
    def held(self) -> int:
        """How many due actions are held back, since WordPress has no callback for their hooks."""
        parts = self.store
        return parts.due.held(self.now, parts.held.hooks())

    @cached_property
    def due(self) -> int:
        """How many actions, without the held ones; capped."""
        return self.store.due.count(self.now, cap=CAP + 1, held=self.held)

    @cached_property
    def oldest_due(self) -> DueAction | None:
        """The one that waits longest; held ones left aside."""
        parts = self.store
        return parts.due.oldest(self.now, hooks=parts.held.hooks())

    @cached_property
    def oldest_open(self) -> DueAction | None:
        """The one that waits longest, though nothing of it is paused or held."""
        if any(pause.kind == "all" for pause in self.pauses):
            return None
        parts = self.store
        hooks = parts.held.hooks() | {p.name for p in self.pauses if p.kind == "hook"}
        groups = {p.name for p in self.pauses if p.kind == "group"}
        return parts.due.oldest(self.now, hooks=hooks, groups=groups)

    @cached_property
    def due_hooks(self) -> Sequence[str] | None:
        """None when they are too many."""
        return self.rows.due_hooks(self.now)

    @cached_property
    def pauses(self) -> Sequence[Pause]:
        """Those in force."""
        return self.store.pauses.in_force(self.now)

    @cached_property
    def pending(self) -> Reading:
        """The first pending actions, read."""
        return self.rows.pending()

    @cached_property
    def legacy_posts(self) -> int:
        """Pending and running actions that are still posts."""
        return sum(
            count
            for status, count in self.rows.legacy_posts().items()
            if status in {"pending", "in-progress"}
        )

    # WordPress

    @cached_property
    def config(self) -> WpConfig | None:
        """What wp-config.php says; None without a folder."""
        return self.site.config

    def drop_in(self, name: str) -> bytes:
        """The start of a file of wp-content; empty where there is none."""
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
        """That handlers were not loaded, in words; empty when all were."""
        return app.not_loaded(self.left_out) if self.left_out else ""

    @cached_property
    def launch(self) -> Launch:
        """How PHP workers are started."""
        return app.php_launch(self.settings, self.site, self.store, self.env)

    @cached_property
    def php(self) -> PhpSight | WpbridgeError:
        """WordPress, loaded once; or in its own words why it does not start."""
        try:
            hello, callbacks = interview(self.launch, self.due_hooks or ())
        except (ConfigError, WpCliError) as error:
            return error
        return PhpSight(hello=hello, callbacks=callbacks)
