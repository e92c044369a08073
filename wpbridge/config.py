"""Settings: flags, environment and ``wpbridge.toml``, checked and put into one frozen object.

A flag goes before ``WPBRIDGE_*``, that before the file, that before the default. Says where each
value came from, and never shows a secret. Reads no ``wp-config.php`` and connects to nothing.
"""

import difflib
import math
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from wpbridge.errors import ConfigError
from wpbridge.moments import seconds_of

ENV_PREFIX: Final = "WPBRIDGE_"
FILE_NAME: Final = "wpbridge.toml"

_NOT_SETTINGS: Final = ("WPBRIDGE_GOLDEN_DIR", "WPBRIDGE_SEED", "WPBRIDGE_TEST_")
"""Variables of wpbridge's own tests, by their beginning."""
Format: TypeAlias = Literal["text", "table", "json", "jsonl", "csv", "yaml", "ids", "count"]
"""How lists are printed; what a command does not know is text there."""
ROUTES: Final = ("python", "webhook", "php", "leave")
"""Where a route may lead."""
_WEBHOOK_SECONDS: Final = 30.0
_ATTEMPTS: Final = 5
_LONGEST: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a hook's actions are posted to."""

    url: str = field(repr=False)
    """May hold a token, so it is not shown."""
    secret: str | None = field(default=None, repr=False)
    """Signs the body; None for no signature."""
    timeout_seconds: float = _WEBHOOK_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where actions go whose hook and group match; patterns as in a shell (``*``, ``?``)."""

    to: Literal["python", "webhook", "php", "leave"]
    hook: str | None = None
    """None: any."""
    group: str | None = None
    """None: any; an empty text: actions without a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long ended actions are kept; the first rule that fits an action decides."""

    status: Literal["complete", "failed", "canceled"] | None = None
    """None: all three."""
    hook: str | None = None
    """Pattern as in a route; None: any."""
    keep: timedelta | None = None
    """From their last attempt on; None: for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """For which failures an action runs again, how often, and how long it waits."""

    hook: str | None = None
    """Pattern as in a route; None: any."""
    group: str | None = None
    """Pattern; an empty text: actions without a group; None: any."""
    error: str | None = None
    """Pattern of the error's class name; None: any but those that waiting cannot mend."""
    max_attempts: int = _ATTEMPTS
    """Failed starts in all; 1: never again."""
    base: timedelta = timedelta(seconds=30)
    """The longest wait before the second attempt; doubled for each further one."""
    cap: timedelta = timedelta(hours=6)
    """The longest wait of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many may start within a time."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What the actions of a hook, or of a group, are held to: counted for each exact name."""

    hook: str | None = None
    """Pattern as in a route. A limit names a hook or a group, not both."""
    group: str | None = None
    """Pattern; an empty text: actions without a group."""
    max_concurrency: int = 0
    """How many may be claimed or run at once, on all hosts, PHP's among them. 0: any number."""
    rate: Rate | None = None
    """How many may start, on all hosts; None: any number."""
    pause_after: int = 0
    """So many failures in a row pause the hook; 0: never."""
    pause_for: timedelta | None = None
    """How long; None: until somebody resumes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked one by one; what they name need not exist yet."""

    path: Path | None = None
    """Absolute: a WordPress folder, or its configuration file."""
    dsn: str | None = field(default=None, repr=False)
    table_prefix: str | None = None
    blog_id: int | None = None
    """None: the site of ``url``, or the main site."""
    url: str | None = None
    ask_php: bool = False
    handlers: tuple[str, ...] = ()
    """Modules, by their dotted names."""
    handlers_folder: str | None = None
    """Where they are searched first: the file's folder when it names them, else None."""
    webhooks: Mapping[str, Webhook] = field(default_factory=lambda: MappingProxyType({}))
    """By hook."""
    batch_size: int = 25
    batches: int = 0
    """0: until nothing is due."""
    max_actions: int = 0
    """0: no limit."""
    max_time: timedelta | None = None
    hooks: tuple[str, ...] = ()
    """Empty: all that have a handler."""
    exclude_hooks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Slugs; empty: all."""
    exclude_groups: tuple[str, ...] = ()
    concurrency: int = 4
    routes: tuple[Route, ...] = ()
    """In order: the first that matches decides."""
    retry: tuple[RetryRule, ...] = ()
    """In order: the first that fits a failure decides; none: the failure is an ending."""
    limits: tuple[Limit, ...] = ()
    """In order: the first that fits a hook counts, and the first that fits its group."""
    shares: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Weights of groups, by pattern, in order; empty: the plugin's order alone."""
    retention: tuple[Keep, ...] = ()
    """What `clean` and upkeep keep for how long, before the plugin's own rule."""
    owns_site: bool = False
    """The plugin's own runners are off: its upkeep actions are run here too."""
    upkeep: bool = True
    """What the plugin's cleaner does is done here; only with ``owns_site``."""
    unique_by: Literal["auto", "group", "args"] = "auto"
    """What makes actions the same: hook and group (the plugin up to 3.9), or their args too (4.0);
    auto goes by what the tables show."""
    php: bool = False
    """Run what has no handler here in PHP workers."""
    php_workers: int = 0
    """0: as many as there are processors."""
    wp: tuple[str, ...] = ()
    """WP-CLI's command, word by word; its last word may be php itself. Empty: what is found."""
    user: str | None = None
    """WordPress user that PHP workers act as."""
    skip_plugins: tuple[str, ...] = ()
    """Not loaded in PHP workers; ``*`` for all."""
    php_books: Literal["bridge", "native"] = "bridge"
    missing_callback: Literal["hold", "fail"] = "hold"
    on_crash: Literal["fail", "retry"] = "fail"
    """An action that took its PHP worker with it; tried three times at most."""
    php_timeout: timedelta | None = timedelta(minutes=5)
    """For one action; None for no limit."""
    php_max_actions: int = 5000
    """A worker is replaced after so many; 0: never."""
    php_max_age: timedelta | None = timedelta(hours=1)
    timeout: timedelta | None = None
    """For one action of a Python handler that names none; None for no limit."""
    isolated_max_actions: int = 0
    """An isolated handler's process is replaced after so many; 0: never."""
    isolated_max_memory: int = 0
    """Bytes it holds after an action; 0: never."""
    keep_output: Literal["always", "failed", "never"] = "always"
    """When the end of what a Python handler printed goes into its action's log."""
    processes: int = 1
    """Worker processes of the daemon."""
    poll_interval: timedelta | None = timedelta(seconds=1)
    """How long an idle daemon waits before it looks again."""
    drain_timeout: timedelta | None = timedelta(seconds=30)
    """How long the daemon lets running actions end when it is told to stop."""
    max_age: timedelta | None = None
    """A worker process is replaced at this age; None: never."""
    max_memory: int = 0
    """Bytes; a worker process that uses more is replaced. 0: never."""
    heartbeat_file: Path | None = None
    """Touched while the daemon lives; `wpbridge probe` reads it."""
    rescue: Literal["retry", "fail", "hold"] = "retry"
    """What becomes of an action whose runner died while it ran."""
    log_format: Literal["text", "json"] = "text"
    php_max_memory: int = 0
    """Bytes; 0: four fifths of the worker's own memory_limit, 512 MiB where it has none."""
    format: Format = "text"
    quiet: bool = False
    verbose: int = 0
    """0 warnings, 1 information, 2 debugging."""
    color: bool | None = None
    """None: when the output is a terminal."""
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Each field's origin: flag, ``env NAME``, ``file PATH`` or default."""


def load(flags: Mapping[str, object], env: Mapping[str, str], cwd: Path) -> Settings:
    """Settings from all their sources.

    Args:
        flags: fields by name, and ``config`` (a file); None and ``()`` count as not given. Lists
            may come as one text with commas, webhooks as ``HOOK=URL``.
        env: the environment; also read for ``secret_env`` of webhooks and for NO_COLOR.
        cwd: where relative paths of flags and variables begin.

    Raises:
        ConfigError: a key or variable is unknown, a value is of the wrong kind, or the file is
            missing or no TOML; names the origin, never a secret.
    """
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    file = _file(given.pop("config", None), env, cwd)
    tables = _read(file) if file else {}
    found = {
        **_from_file(tables, file, env),
        **_from_env(env, cwd, _secret_names(tables)),
        **_from_flags(given, env, cwd),
    }
    values = {name: value for name, (value, _) in found.items()}
    sources = {name: found[name][1] if name in found else "default" for name in _KINDS}
    if file and sources["handlers"] == f"file {file}":
        values["handlers_folder"] = str(file.parent)
    return Settings(**values, sources=MappingProxyType(sources))


def sources_of(settings: Settings) -> dict[str, str]:
    """Where each setting came from, by field, in the fields' order."""
    return dict(settings.sources)


# Kinds of value. Each function takes what a source gave and says in ValueError what it expects.


class _Origin(NamedTuple):
    """Where a value was found, for messages and for what is relative to it."""

    text: str
    folder: Path
    env: Mapping[str, str]


_Kind: TypeAlias = Callable[[object, _Origin], Any]
_Found: TypeAlias = dict[str, tuple[Any, str]]


def _text(value: object, _origin: _Origin) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def _path(value: object, origin: _Origin) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("a path")
    return _expanded(str(value), origin.folder, origin.env)


def _number(least: int, most: int) -> _Kind:
    def number(value: object, _origin: _Origin) -> int:
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
            value = int(value)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not isinstance(value, int) or not whole or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return value

    return number


_WORDS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off", ""), False),
}


def _boolean(value: object, _origin: _Origin) -> bool:
    known = _WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise ValueError("true or false")  # noqa: TRY004 - load() turns it into a ConfigError
    return known


def _names(value: object, _origin: _Origin) -> tuple[str, ...]:
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("a list of texts, or one with commas")
    names = (name.strip() for part in parts for name in part.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _choice(*words: str) -> _Kind:
    def choice(value: object, _origin: _Origin) -> str:
        if value not in words:
            raise ValueError(" or ".join(words))
        return str(value)

    return choice


def _prefix(value: object, _origin: _Origin) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\w+", value, re.ASCII):
        raise ValueError("letters, digits and underscores")
    return value


def _duration(value: object, _origin: _Origin) -> timedelta | None:
    """Seconds, or units as in 1h30m; None for 0."""
    seconds = seconds_of(value)
    if seconds is None or not 0 <= seconds <= _LONGEST.total_seconds():
        raise ValueError('a time such as 90, "55s", "10m" or "1h30m"')
    return timedelta(seconds=seconds) if seconds else None


def _webhooks(value: object, origin: _Origin) -> Mapping[str, Webhook]:
    pairs = value.split() if isinstance(value, str) else value
    if isinstance(pairs, list | tuple):
        split = [str(pair).partition("=") for pair in pairs]
        if not all(hook and separator for hook, separator, _ in split):
            raise ValueError("HOOK=URL")
        pairs = {hook: url for hook, _, url in split}
    if not isinstance(pairs, Mapping):
        raise ValueError("a table of hook = url")  # noqa: TRY004 - load() turns it into a ConfigError
    return MappingProxyType({hook: _webhook(hook, told, origin) for hook, told in pairs.items()})


def _webhook(hook: str, told: object, origin: _Origin) -> Webhook:
    table = told if isinstance(told, Mapping) else {"url": told}
    where = f"{origin.text}: webhook {hook}"
    _only_known(table, ("url", "secret", "secret_env", "timeout"), where)
    url, secret, variable = table.get("url"), table.get("secret"), table.get("secret_env")
    if not isinstance(url, str) or not re.match(r"https?://[^/\s]", url):
        raise ConfigError(f"{where}: url is one that begins with https:// or http://")
    if variable is not None:
        secret = origin.env.get(str(variable))
        if not secret:
            raise ConfigError(f"{where}: the variable {variable} of secret_env is not set")
    if secret is not None and not (isinstance(secret, str) and secret):
        raise ConfigError(f"{where}: secret is a text")
    seconds = seconds_of(table.get("timeout", _WEBHOOK_SECONDS))
    if seconds is None or not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f'{where}: timeout is a time such as 30 or "30s"')
    return Webhook(url=url, secret=secret, timeout_seconds=seconds)


def _words(value: object, _origin: _Origin) -> tuple[str, ...]:
    """A command, as a shell would split it; no shell runs it."""
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"a command ({error})") from None
    if not isinstance(words, list | tuple) or not all(isinstance(w, str) and w for w in words):
        raise ValueError("a command")
    if not words:
        raise ValueError("a command")
    return tuple(words)


_BYTES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _bytes(value: object, _origin: _Origin) -> int:
    text = str(value).strip().lower() if not isinstance(value, bool) else ""
    match = re.fullmatch(r"(\d{1,12})([kmg]?)(?:i?b)?", text, re.ASCII)
    if match is None:
        raise ValueError("a size such as 256M or 1G")
    return int(match[1]) * _BYTES[match[2]]


def _routes(value: object, origin: _Origin) -> tuple[Route, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of tables: [[routes]]")  # noqa: TRY004 - load() turns it into a ConfigError
    return tuple(_route(n, told, origin) for n, told in enumerate(value, 1))


def _route(number: int, told: object, origin: _Origin) -> Route:
    where = f"{origin.text}: route {number}"
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where} is a table: [[routes]]")
    _only_known(told, ("hook", "group", "to"), where)
    hook, group, to = told.get("hook"), told.get("group"), told.get("to")
    if to not in ROUTES:
        raise ConfigError(f"{where}: to is {', '.join(ROUTES[:-1])} or {ROUTES[-1]}")
    if hook is None and group is None:
        raise ConfigError(f"{where}: name a hook, a group, or both (patterns may use * and ?)")
    if not isinstance(hook, str | None) or not isinstance(group, str | None) or hook == "":
        raise ConfigError(f"{where}: hook and group are texts")
    return Route(to=to, hook=hook, group=group)


def _retention(value: object, origin: _Origin) -> tuple[Keep, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of tables: [[retention]]")  # noqa: TRY004 - load() turns it into a ConfigError
    return tuple(_keep(n, told, origin) for n, told in enumerate(value, 1))


def _keep(number: int, told: object, origin: _Origin) -> Keep:
    where = f"{origin.text}: retention {number}"
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where} is a table: [[retention]]")
    _only_known(told, ("status", "hook", "keep"), where)
    status, hook, keep = told.get("status"), told.get("hook"), told.get("keep")
    if status not in (None, "complete", "failed", "canceled"):
        raise ConfigError(f"{where}: status is complete, failed or canceled")
    if hook is not None and not (isinstance(hook, str) and hook):
        raise ConfigError(f"{where}: hook is a text")
    seconds = seconds_of(keep)
    if keep != "forever" and (seconds is None or not 0 < seconds <= _LONGEST.total_seconds()):
        raise ConfigError(f'{where}: keep is a time such as "7d" or "12h", or "forever"')
    span = None if seconds is None else timedelta(seconds=seconds)
    return Keep(status=status, hook=hook, keep=span)


def _retry(value: object, origin: _Origin) -> tuple[RetryRule, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of tables: [[retry]]")  # noqa: TRY004 - load() turns it into a ConfigError
    return tuple(_retry_rule(n, told, origin) for n, told in enumerate(value, 1))


_MOST_ATTEMPTS: Final = 1000


def _retry_rule(number: int, told: object, origin: _Origin) -> RetryRule:
    where = f"{origin.text}: retry {number}"
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where} is a table: [[retry]]")
    _only_known(told, ("hook", "group", "error", "max_attempts", "base", "cap"), where)
    for name in ("hook", "group", "error"):
        if not isinstance(told.get(name), str | None):
            raise ConfigError(f"{where}: {name} is a text")
    most = told.get("max_attempts", _ATTEMPTS)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_ATTEMPTS:
        raise ConfigError(f"{where}: max_attempts is a whole number from 1 to {_MOST_ATTEMPTS}")
    spans: dict[str, timedelta] = {}
    for name in ("base", "cap"):
        seconds = seconds_of(told[name]) if name in told else None
        if name in told and (seconds is None or not 0 < seconds <= _LONGEST.total_seconds()):
            raise ConfigError(f'{where}: {name} is a time such as "30s" or "6h"')
        if seconds is not None:
            spans[name] = timedelta(seconds=seconds)
    return RetryRule(
        hook=told.get("hook"),
        group=told.get("group"),
        error=told.get("error"),
        max_attempts=most,
        **spans,
    )


def _limits(value: object, origin: _Origin) -> tuple[Limit, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of tables: [[limits]]")  # noqa: TRY004 - load() turns it into a ConfigError
    return tuple(_limit(n, told, origin) for n, told in enumerate(value, 1))


_LIMIT_KEYS: Final = ("hook", "group", "max_concurrency", "rate", "pause_after", "pause_for")


def _limit(number: int, told: object, origin: _Origin) -> Limit:
    where = f"{origin.text}: limit {number}"
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where} is a table: [[limits]]")
    _only_known(told, _LIMIT_KEYS, where)
    hook, group = told.get("hook"), told.get("group")
    if (hook is None) == (group is None):
        raise ConfigError(f"{where}: name a hook or a group (patterns may use * and ?)")
    if not isinstance(hook, str | None) or not isinstance(group, str | None) or hook == "":
        raise ConfigError(f"{where}: hook and group are texts")
    if not set(told) & {"max_concurrency", "rate", "pause_after"}:
        raise ConfigError(f"{where}: give it max_concurrency, rate or pause_after")
    counts: dict[str, int] = {}
    for name in ("max_concurrency", "pause_after"):
        counts[name] = told.get(name, 0)
        if name in told and not (type(counts[name]) is int and 1 <= counts[name] <= _MOST):
            raise ConfigError(f"{where}: {name} is a whole number from 1 to {_MOST}")
    if group is not None and "pause_after" in told:
        raise ConfigError(f"{where}: pause_after counts the failures of a hook, not of a group")
    seconds = seconds_of(told.get("pause_for", 0))
    if seconds is None or not 0 <= seconds <= _LONGEST.total_seconds():
        raise ConfigError(f'{where}: pause_for is a time such as "10m" or "2h"')
    return Limit(
        hook=hook,
        group=group,
        rate=_rate(told["rate"], where) if "rate" in told else None,
        pause_for=timedelta(seconds=seconds) if seconds else None,
        **counts,
    )


_MOST: Final = 1_000_000
_PER: Final = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "hour": 3600, "day": 86400}


def _rate(value: object, where: str) -> Rate:
    """``30/min``, ``10/s``, ``100/5m``."""
    count, _, per = value.partition("/") if isinstance(value, str) else ("", "", "")
    span = per.strip().lower()
    seconds = _PER.get(span) or seconds_of(span if span[:1].isdigit() else f"1{span}")
    known = re.fullmatch(r"[0-9]{1,7}", count.strip())
    if not known or int(count) < 1 or not seconds or not 0 < seconds <= _LONGEST.total_seconds():
        raise ConfigError(f'{where}: rate is so many in a time, such as "30/min" or "100/5m"')
    return Rate(count=int(count), per=timedelta(seconds=seconds))


def _shares(value: object, _origin: _Origin) -> Mapping[str, int]:
    if not isinstance(value, Mapping) or not all(
        type(weight) is int and 1 <= weight <= _MOST for weight in value.values()
    ):
        raise ValueError(f"a table [shares] of group = weight, whole numbers from 1 to {_MOST}")
    return MappingProxyType(dict(value))


_KINDS: Final[Mapping[str, _Kind]] = {
    "path": _path,
    "dsn": _text,
    "table_prefix": _prefix,
    "blog_id": _number(1, 1 << 62),
    "url": _text,
    "ask_php": _boolean,
    "handlers": _names,
    "webhooks": _webhooks,
    "batch_size": _number(1, 10_000),
    "batches": _number(0, 1 << 31),
    "max_actions": _number(0, 1 << 31),
    "max_time": _duration,
    "hooks": _names,
    "exclude_hooks": _names,
    "groups": _names,
    "exclude_groups": _names,
    "concurrency": _number(1, 1000),
    "routes": _routes,
    "retry": _retry,
    "limits": _limits,
    "shares": _shares,
    "retention": _retention,
    "owns_site": _boolean,
    "upkeep": _boolean,
    "unique_by": _choice("auto", "group", "args"),
    "php": _boolean,
    "php_workers": _number(0, 256),
    "wp": _words,
    "user": _text,
    "skip_plugins": _names,
    "php_books": _choice("bridge", "native"),
    "missing_callback": _choice("hold", "fail"),
    "on_crash": _choice("fail", "retry"),
    "php_timeout": _duration,
    "php_max_actions": _number(0, 1 << 31),
    "php_max_age": _duration,
    "php_max_memory": _bytes,
    "timeout": _duration,
    "isolated_max_actions": _number(0, 1 << 31),
    "isolated_max_memory": _bytes,
    "keep_output": _choice("always", "failed", "never"),
    "processes": _number(1, 64),
    "poll_interval": _duration,
    "drain_timeout": _duration,
    "max_age": _duration,
    "max_memory": _bytes,
    "heartbeat_file": _path,
    "rescue": _choice("retry", "fail", "hold"),
    "log_format": _choice("text", "json"),
    "format": _choice(*get_args(Format)),
    "quiet": _boolean,
    "verbose": _number(0, 2),
    "color": _boolean,
}
_SECRET: Final = frozenset({"dsn", "webhooks"})
_SITE: Final = (
    "path",
    "dsn",
    "table_prefix",
    "blog_id",
    "url",
    "ask_php",
    "owns_site",
    "upkeep",
    "unique_by",
)
_PHP: Final[Mapping[str, str]] = {
    "enabled": "php",
    "workers": "php_workers",
    "wp": "wp",
    "user": "user",
    "skip_plugins": "skip_plugins",
    "books": "php_books",
    "missing_callback": "missing_callback",
    "on_crash": "on_crash",
    "timeout": "php_timeout",
    "max_actions": "php_max_actions",
    "max_age": "php_max_age",
    "max_memory": "php_max_memory",
}
_ALONE: Final = ("webhooks", "routes", "retry", "limits", "shares", "retention")
"""Tables of their own: no settings' names inside."""
_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "site": {name: name for name in _SITE},
    "run": {n: n for n in _KINDS if n not in {*_SITE, *_PHP.values(), *_ALONE}},
    "php": _PHP,
}
"""The file's tables: their keys, and the settings they mean."""


# Sources.


def _from_flags(given: Mapping[str, object], env: Mapping[str, str], cwd: Path) -> _Found:
    _only_known(given, _KINDS, "flags")
    origin = _Origin("flag", cwd, env)
    return {
        name: (_checked(name, value, f"--{name.replace('_', '-')}", origin), "flag")
        for name, value in given.items()
    }


def _from_env(env: Mapping[str, str], cwd: Path, ours: Iterable[str]) -> _Found:
    names = {f"{ENV_PREFIX}{name.upper()}": name for name in _KINDS}
    allowed = {*names, f"{ENV_PREFIX}CONFIG", *ours}
    present = {key: value for key, value in env.items() if key.startswith(ENV_PREFIX)}
    _only_known(
        [key for key in present if not key.startswith(_NOT_SETTINGS)], allowed, "the environment"
    )
    found: _Found = {}
    if env.get("NO_COLOR"):
        found["color"] = (False, "env NO_COLOR")
    elif env.get("FORCE_COLOR"):
        found["color"] = (True, "env FORCE_COLOR")
    for key, value in present.items():
        if key in names and value:
            origin = _Origin(f"env {key}", cwd, env)
            found[names[key]] = (_checked(names[key], value, key, origin), origin.text)
    return found


def _from_file(tables: Mapping[str, Any], file: Path | None, env: Mapping[str, str]) -> _Found:
    if file is None:
        return {}
    origin = _Origin(f"file {file}", file.parent, env)
    for table, names in _TABLES.items():
        for name in tables:
            if name in names and name not in _TABLES:
                raise ConfigError(f"{file}: {name} belongs below [{table}]")
    _only_known(tables, (*_TABLES, *_ALONE), str(file))
    found: _Found = {}
    for table, names in _TABLES.items():
        values = tables.get(table, {})
        if not isinstance(values, Mapping):
            raise ConfigError(f"{file}: {table} is a table: [{table}]")
        _only_known(values, names, f"{file} [{table}]")
        for key, value in values.items():
            place = f"{file}: {key}"
            found[names[key]] = (_checked(names[key], value, place, origin), origin.text)
    for name in _ALONE:
        if name in tables:
            checked = _checked(name, tables[name], f"{file}: {name}", origin)
            found[name] = (checked, origin.text)
    return found


def _checked(name: str, value: object, place: str, origin: _Origin) -> Any:
    try:
        return _KINDS[name](value, origin)
    except ValueError as error:
        shown = "" if name in _SECRET else f", not {value!r}"
        raise ConfigError(f"{place} expects {error}{shown}") from None


def _only_known(names: Iterable[str], known: Iterable[str], place: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known))}"
            raise ConfigError(f"{place}: unknown setting {name}; {hint}")


# The file.


def _file(told: object, env: Mapping[str, str], cwd: Path) -> Path | None:
    told = told or env.get(f"{ENV_PREFIX}CONFIG")
    if told:
        file = _expanded(str(told), cwd, env)
        if not file.is_file():
            raise ConfigError(f"the settings file {file} does not exist")
        return file
    home = env.get("XDG_CONFIG_HOME") or "~/.config"
    places = (cwd / FILE_NAME, _expanded(home, cwd, env) / "wpbridge" / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def _expanded(text: str, folder: Path, env: Mapping[str, str]) -> Path:
    if text == "~" or text.startswith("~/"):
        return Path(env.get("HOME") or Path.home(), text[2:])
    return (folder / text).absolute()


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is no TOML: {error}") from None


def _secret_names(tables: Mapping[str, Any]) -> list[str]:
    """Variables that webhooks take their secrets from, whatever they are called."""
    webhooks = tables.get("webhooks")
    if not isinstance(webhooks, Mapping):
        return []
    told = [webhook for webhook in webhooks.values() if isinstance(webhook, Mapping)]
    return [str(webhook["secret_env"]) for webhook in told if "secret_env" in webhook]
