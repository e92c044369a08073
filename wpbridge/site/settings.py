"""All settings: each one's value, what it may be, and where a file has it."""

import os
from collections.abc import Mapping
from dataclasses import field, fields
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from wpbridge.dataclass import dataclass
from wpbridge.site import alert_kinds, celery_kinds, wake_kinds, web_kinds
from wpbridge.site import rule_tables as tables
from wpbridge.site import value_kinds as kinds
from wpbridge.site.bounds import Bounds
from wpbridge.site.database import Client
from wpbridge.site.rules import (
    WORDPRESS_PEOPLE,
    WORDPRESS_ROLES,
    Keep,
    Limit,
    RetryRule,
    Right,
    Role,
    Route,
    Webhook,
)
from wpbridge.site.settings_file import SettingsFile

Format: TypeAlias = Literal["text", "table", "json", "jsonl", "csv", "yaml", "ids", "count"]
"""How lists are printed; what a command does not know is text there."""
AskPhp: TypeAlias = Literal["never", "auto", "always"]


class Setting(NamedTuple):
    """How one setting is given."""

    kind: kinds.Kind
    table: str | None
    """The file's table that has it; None: it is a table of its own."""
    key: str
    """Its key in that table."""
    is_secret: bool
    """Its value is never shown."""


def _setting(
    default: Any,
    kind: kinds.Kind,
    table: str | None = "run",
    *,
    key: str = "",
    is_secret: bool = False,
) -> Any:
    """Return a field. Its key in the file is its name, in [php] without ``php_``, unless told."""
    told = {"setting": Setting(kind, table, key, is_secret)}
    if isinstance(default, dict):
        return field(default_factory=lambda: MappingProxyType(default), repr=False, metadata=told)
    return field(default=default, repr=not is_secret, metadata=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked one by one; what they name need not exist yet."""

    path: Path | None = _setting(None, kinds.path, "site")
    """Absolute: a WordPress folder, or its configuration file."""
    dsn: str | None = _setting(None, kinds.text, "site", is_secret=True)
    site_name: str | None = _setting(None, kinds.line, "site", key="name")
    """What logs, metrics and alerts call the site. None: its folder, address or database."""
    driver: Client = _setting("auto", kinds.choice(*get_args(Client)), "site")
    """The package that speaks with MariaDB and MySQL. auto: the faster one that is installed."""
    table_prefix: str | None = _setting(None, kinds.prefix, "site")
    blog_id: int | None = _setting(None, kinds.number(1, 1 << 62), "site")
    """None: the site of ``url``, or the main site."""
    url: str | None = _setting(None, kinds.text, "site")
    ask_php: AskPhp = _setting("auto", kinds.ask_php, "site")
    """When PHP runs ``wp-config.php``: where it cannot be read without PHP, or never, or always."""
    handlers: tuple[str, ...] = _setting((), kinds.modules)
    """Modules, by their dotted names."""
    handlers_folder: str | None = None
    """Where they are searched first: the file's folder when it names them, else None."""
    trusted: bool = False
    """Files are obeyed whoever may write them; said by ``WPBRIDGE_TRUST`` alone."""
    webhooks: Mapping[str, Webhook] = _setting({}, tables.webhooks, None, is_secret=True)
    """By hook."""
    batch_size: int | None = _setting(None, kinds.number(1, 10_000))
    """How many actions a claim takes at most; None for as many as start soon."""
    batches: int = _setting(0, kinds.number(0, 1 << 31))
    """0: until nothing is due."""
    max_actions: int = _setting(0, kinds.number(0, 1 << 31))
    """0: no limit."""
    max_time: timedelta | None = _setting(None, kinds.duration)
    hooks: tuple[str, ...] = _setting((), kinds.names)
    """Empty: all that have a handler."""
    exclude_hooks: tuple[str, ...] = _setting((), kinds.names)
    groups: tuple[str, ...] = _setting((), kinds.names)
    """Slugs; empty: all."""
    exclude_groups: tuple[str, ...] = _setting((), kinds.names)
    concurrency: Bounds = _setting(Bounds(4, 4), kinds.bounds(1, 1000))
    """Python handlers that run at once in a process; a run of its own takes the lower bound."""
    routes: tuple[Route, ...] = _setting((), tables.routes, None)
    """In order: the first that matches decides."""
    retry: tuple[RetryRule, ...] = _setting((), tables.retries, None)
    """In order: the first that fits a failure decides; none: the failure is an ending."""
    limits: tuple[Limit, ...] = _setting((), tables.limits, None)
    """In order: the first that fits a hook counts, and the first that fits its group."""
    shares: Mapping[str, int] = _setting({}, tables.shares, None)
    """Weights of groups, by pattern, in order; empty: the plugin's order alone."""
    retention: tuple[Keep, ...] = _setting((), tables.retention, None)
    """What `clean` and upkeep keep for how long, before the plugin's own rule."""
    owns_site: bool = _setting(False, kinds.boolean, "site")
    """The plugin's own runners are off: its upkeep actions are run here too."""
    upkeep: bool = _setting(True, kinds.boolean, "site")
    """What the plugin's cleaner does is done here; only with ``owns_site``."""
    results_keep: timedelta | None = _setting(timedelta(days=7), kinds.duration, "results")
    """How long what handlers returned is kept; None: as long as the action."""
    unique_by: Literal["auto", "group", "args"] = _setting(
        "auto", kinds.choice("auto", "group", "args"), "site"
    )
    """What makes actions the same: hook and group (the plugin up to 3.9), or their args too (4.0);
    auto goes by what the tables show."""
    php: bool = _setting(False, kinds.boolean, "php", key="enabled")
    """Run what has no handler here in PHP workers."""
    php_workers: int = _setting(0, kinds.number(0, 256), "php")
    """0: as many as there are processors."""
    wp: tuple[str, ...] = _setting((), kinds.command, "php")
    """WP-CLI's command, word by word; its last word may be php itself. Empty: what is found."""
    user: str | None = _setting(None, kinds.text, "php")
    """WordPress user that PHP workers act as."""
    skip_plugins: tuple[str, ...] = _setting((), kinds.names, "php")
    """Not loaded in PHP workers; ``*`` for all."""
    php_books: Literal["bridge", "native"] = _setting(
        "bridge", kinds.choice("bridge", "native"), "php"
    )
    missing_callback: Literal["hold", "fail"] = _setting(
        "hold", kinds.choice("hold", "fail"), "php"
    )
    on_crash: Literal["fail", "retry"] = _setting("fail", kinds.choice("fail", "retry"), "php")
    """An action that took its PHP worker with it; tried three times at most."""
    php_timeout: timedelta | None = _setting(timedelta(minutes=5), kinds.duration, "php")
    """For one action; None for no limit."""
    php_max_actions: int = _setting(5000, kinds.number(0, 1 << 31), "php")
    """A worker is replaced after so many; 0: never."""
    php_max_age: timedelta | None = _setting(timedelta(hours=1), kinds.duration, "php")
    timeout: timedelta | None = _setting(None, kinds.duration)
    """For one action of a Python handler that names none; None for no limit."""
    isolated_max_actions: int = _setting(0, kinds.number(0, 1 << 31))
    """An isolated handler's process is replaced after so many; 0: never."""
    isolated_max_memory: int = _setting(0, kinds.size)
    """Bytes it holds after an action; 0: never."""
    keep_output: Literal["always", "failed", "never"] = _setting(
        "always", kinds.choice("always", "failed", "never")
    )
    """When the end of what a Python handler printed goes into its action's log."""
    processes: Bounds = _setting(Bounds(1, 1), kinds.bounds(1, 64))
    """Worker processes of the daemon."""
    poll_interval: timedelta | None = _setting(timedelta(seconds=1), kinds.duration)
    """How long an idle daemon waits before it looks again."""
    drain_timeout: timedelta | None = _setting(timedelta(seconds=30), kinds.duration)
    """How long the daemon lets running actions end when it is told to stop."""
    max_age: timedelta | None = _setting(None, kinds.duration)
    """A worker process is replaced at this age; None: never."""
    max_memory: int = _setting(0, kinds.size)
    """Bytes; a worker process that uses more is replaced. 0: never."""
    heartbeat_file: Path | None = _setting(None, kinds.path)
    """Touched while the daemon lives; `wpbridge probe` reads it."""
    state_dir: Path | None = _setting(None, kinds.path)
    """Where journals and the like lie that nobody named a place for; None: the usual one."""
    advise_target_wait: timedelta = _setting(
        timedelta(minutes=1), kinds.positive_duration, "advise"
    )
    """For how long an action may be due before it starts: what advice and scaling aim at."""
    advise_down_after: timedelta = _setting(
        timedelta(minutes=10), kinds.positive_duration, "advise"
    )
    """For how long fewer workers must have sufficed before a daemon gives one up."""
    sites: Path | None = _setting(None, kinds.path, "sites", key="list")
    """The list of sites that a daemon for many serves: a file, or a folder."""
    sites_state_file: Path | None = _setting(None, kinds.path, "sites")
    """Where that daemon tells how its sites are; None: the usual place of its user."""
    sites_max_running: int = _setting(8, kinds.number(1, 1000), "sites")
    """How many sites have a process at once."""
    sites_max_php: int = _setting(8, kinds.number(0, 1000), "sites")
    """How many PHP workers all these processes have together; 0: none run PHP."""
    sites_linger: timedelta = _setting(timedelta(seconds=30), kinds.positive_duration, "sites")
    """How long a site's process that has nothing to do stays."""
    sites_turn: timedelta = _setting(timedelta(minutes=1), kinds.positive_duration, "sites")
    """A site's process that has run for so long ends in order when other sites wait."""
    sites_kill_after: timedelta | None = _setting(timedelta(minutes=15), kinds.duration, "sites")
    """A site's process that was told to end for others is killed after so long; None: never."""
    rescue: Literal["retry", "fail", "hold"] = _setting(
        "retry", kinds.choice("retry", "fail", "hold")
    )
    """What becomes of an action whose runner died while it ran."""
    log_format: Literal["text", "json"] = _setting("text", kinds.choice("text", "json"))
    wake_socket: Path | None = _setting(None, wake_kinds.socket_path, "wake")
    """A Unix socket on which the daemon hears wakes."""
    wake_mode: str = _setting("0666", wake_kinds.mode, "wake")
    """Of that socket. Everybody may write to it, since only signed wakes count."""
    wake_group: str | None = _setting(None, kinds.text, "wake")
    """Of that socket; None: the group of the daemon's user."""
    wake_listen: str | None = _setting(None, wake_kinds.listen, "wake")
    """``HOST:PORT`` on which the daemon hears wakes by UDP, or ``off``. None: a free port of the
    loopback interface, but ``off`` if there is a socket."""
    wake_announce: str | None = _setting(None, wake_kinds.announce, "wake")
    """``HOST`` or ``HOST:PORT`` to which PHP on other machines sends wakes; None: as listened."""
    wake_address: str = ""
    """What a worker tells PHP of where its supervisor hears wakes. The supervisor says it."""
    only_reads: bool = False
    """Sessions with the database take no writes. `wpbridge mcp` says it."""
    web_descriptor: int | None = None
    """Of the socket at which a process of the gateway listens. Its supervisor says it."""
    web_wordpress_login: bool = _setting(False, kinds.boolean, "web")
    """The HTTP gateway knows users of WordPress by their application passwords."""
    web_roles: Mapping[str, tuple[Right, ...]] = _setting(
        dict(WORDPRESS_ROLES), tables.roles, "web"
    )
    """What they may do there, by capability or role. A table of one's own replaces the default."""
    web_listen: str = _setting("127.0.0.1:8787", web_kinds.listen, "web")
    """``HOST:PORT``, or ``unix:PATH``, at which `wpbridge serve` takes requests."""
    web_socket_mode: str = _setting("0660", wake_kinds.mode, "web")
    """Of that Unix socket."""
    web_base_path: str = _setting("", web_kinds.base_path, "web")
    """What stands before ``/v1`` in its addresses; empty for nothing."""
    web_workers: int = _setting(1, kinds.number(1, 64), "web")
    """Processes that answer requests."""
    web_access_log: Literal["none", "text", "json"] = _setting(
        "none", kinds.choice("none", "text", "json"), "web"
    )
    """A line for each request."""
    php_max_memory: int = _setting(0, kinds.size, "php")
    """Bytes; 0: four fifths of the worker's own memory_limit, 512 MiB where it has none."""
    web_origins: tuple[str, ...] = _setting((), web_kinds.origins, "web")
    """Web pages of which origins may call the gateway from a browser; none: no page may."""
    web_allow_private_callbacks: bool = _setting(False, kinds.boolean, "web")
    """Callbacks may go to private hosts that an API key names; to addresses it names, always."""
    web_ui: bool = _setting(True, kinds.boolean, "web")
    """`wpbridge serve` shows the dashboard, too."""
    web_home: str | None = _setting(None, kinds.text, "web")
    """The site of a list whose admins see the index of all sites, by its name."""
    web_url: str | None = _setting(None, web_kinds.http_url, "web")
    """The address at which people open the dashboard, for links to it."""
    web_hosts: tuple[str, ...] = _setting((), web_kinds.hosts, "web")
    """Names by which browsers may ask for the dashboard, beside this host's own and ``url``'s."""
    web_on_site: bool = _setting(False, kinds.boolean, "web")
    """The companion plugin shows the dashboard at ``/wpbridge/`` of the site's own address."""
    web_people: Mapping[str, Role] = _setting(dict(WORDPRESS_PEOPLE), tables.people, "web")
    """Which role a capability of WordPress gives in the dashboard; the first that fits decides."""
    web_proxy_header: str | None = _setting(None, web_kinds.header, "web")
    """The header in which a proxy says who has signed in; None: no proxy does."""
    web_proxy_from: tuple[str, ...] = _setting((), web_kinds.addresses, "web")
    """The addresses from which that header counts; none: it never does."""
    web_proxy_role: Literal["none", "viewer", "operator", "admin"] = _setting(
        "none", kinds.choice("none", "viewer", "operator", "admin"), "web"
    )
    """The role of whom the proxy names and who is no user of wpbridge."""
    web_mask: tuple[str, ...] = _setting(web_kinds.MASK, kinds.names, "web")
    """Patterns of names of args, in any letter case, whose values the dashboard does not show."""
    web_metrics: str | None = _setting(None, web_kinds.metrics_listen, "web")
    """``HOST:PORT`` at which `wpbridge serve` tells metrics, beside its own `/metrics`."""
    metrics_listen: str | None = _setting(None, web_kinds.metrics_listen, "metrics")
    """``HOST:PORT`` at which the daemon tells metrics; None: nowhere."""
    metrics_token: str | None = _setting(None, web_kinds.token, "metrics", is_secret=True)
    """What who reads metrics must send. Without it they are told on this host only."""
    telemetry_traces: bool = _setting(False, kinds.boolean, "telemetry")
    """Spans are made of what is added and run, and sent by OTLP."""
    telemetry_otlp_endpoint: str | None = _setting(None, web_kinds.http_url, "telemetry")
    """Where OTLP is spoken over HTTP; None: as the variables ``OTEL_EXPORTER_OTLP_…`` say."""
    sentry_dsn: str | None = _setting(None, web_kinds.sentry_dsn, "sentry", is_secret=True)
    """Where failures are reported to Sentry. None: to ``SENTRY_DSN``, and without that nowhere."""
    sentry_retries: bool = _setting(False, kinds.boolean, "sentry")
    """Failures that are retried are reported, too."""
    sentry_check_ins: bool = _setting(True, kinds.boolean, "sentry")
    """Sentry hears when recurring hooks run."""
    sentry_send_args: bool = _setting(False, kinds.boolean, "sentry")
    """Reports hold the args of actions, and the messages of errors as they are."""
    metrics_textfile: Path | None = _setting(None, kinds.path, "metrics")
    """A file to which each `claim-and-run` adds its metrics, for node_exporter."""
    alerts_to: tuple[str, ...] = _setting((), alert_kinds.targets, "alerts", is_secret=True)
    """Addresses of apprise to which `wpbridge watch` sends alerts."""
    alerts_quiet_hours: str | None = _setting(None, alert_kinds.quiet_hours, "alerts")
    """Such as ``22:00-07:00``, in the site's zone: only critical alerts are sent then."""
    alerts_repeat: timedelta | None = _setting(timedelta(hours=4), kinds.duration, "alerts")
    """After so long people are told again that an alert fires; None: never."""
    alerts_rules: Mapping[str, alert_kinds.Threshold] = _setting(
        {}, alert_kinds.thresholds, "alerts"
    )
    """Thresholds by rule, in place of its own; false switches a rule off."""
    celery_broker: str | None = _setting(None, celery_kinds.broker, "celery", is_secret=True)
    """The broker through which actions are handed to Celery; None: none are."""
    celery_transport_options: Mapping[str, Any] = _setting(
        {}, celery_kinds.transport_options, "celery", is_secret=True
    )
    """What kombu gives to the transport of that broker."""
    celery_window: int = _setting(1000, kinds.number(1, 100_000), "celery")
    """So many actions a relay has handed over at most that no worker has started yet."""
    celery_resend_after: timedelta = _setting(
        timedelta(minutes=1), kinds.positive_duration, "celery"
    )
    """What no worker has started after so long is sent again."""
    celery_completions: Literal["write", "drop"] = _setting(
        "write", kinds.choice("write", "drop"), "celery"
    )
    """Whether actions that were enqueued through the broker leave a row when they complete."""
    celery_volatile: bool = _setting(False, kinds.boolean, "celery")
    """Actions may be enqueued through a Redis that forgets them when it stops."""
    format: Format = _setting("text", kinds.choice(*get_args(Format)))
    quiet: bool = _setting(False, kinds.boolean)
    verbose: int = _setting(0, kinds.number(0, 2))
    """0 warnings, 1 information, 2 debugging."""
    tz: str = _setting("UTC", kinds.shown_zone)
    """The zone that times are shown in for people: ``site``, or a zone's name."""
    color: bool | None = _setting(None, kinds.boolean)
    """None: when the output is a terminal."""
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Each field's origin: flag, ``env NAME``, ``file PATH`` or default."""
    file: SettingsFile | None = field(default=None, repr=False, compare=False)
    """The file that was read; it may hold secrets."""
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """A line for each name that was given and is deprecated."""

    def php_workers_each(self, processes: int = 1) -> int:
        """Return how many PHP workers each of so many processes has: they share the processors."""
        return self.php_workers or max(1, (os.cpu_count() or 1) // processes)


def _described() -> dict[str, Setting]:
    found = {one.name: one.metadata.get("setting") for one in fields(Settings)}
    return {
        name: told._replace(key=told.key or name.removeprefix(f"{told.table}_"))
        for name, told in found.items()
        if told is not None
    }


SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(_described())
"""How each setting is given, by its name."""
