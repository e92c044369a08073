"""Settings: flags, environment and ``wpbridge.toml``, checked and put into one frozen object.

A flag goes before ``WPBRIDGE_*``, that before the file, that before the default. Says where each
value came from, and never shows a secret. Reads no ``wp-config.php`` and connects to nothing.
"""

import os
import pwd
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from wpbridge.errors import ConfigError
from wpbridge.site import rules
from wpbridge.site.moments import seconds_of
from wpbridge.site.rules import LONGEST, Keep, Limit, Origin, RetryRule, Route, Webhook, only_known
from wpbridge.site.zone import shown_name
from wpbridge.system import trusted_files as trust

ENV_PREFIX: Final = "WPBRIDGE_"
FILE_NAME: Final = "wpbridge.toml"

_NOT_SETTINGS: Final = ("WPBRIDGE_GOLDEN_DIR", "WPBRIDGE_SEED", "WPBRIDGE_TEST_")
"""Variables of wpbridge's own tests, by their beginning."""
Format: TypeAlias = Literal["text", "table", "json", "jsonl", "csv", "yaml", "ids", "count"]
"""How lists are printed; what a command does not know is text there."""
AskPhp: TypeAlias = Literal["never", "auto", "always"]


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A settings file as it was when it was read."""

    path: Path
    text: bytes


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
    ask_php: AskPhp = "auto"
    """When PHP runs ``wp-config.php``: where it cannot be read without PHP, or never, or always."""
    handlers: tuple[str, ...] = ()
    """Modules, by their dotted names."""
    handlers_folder: str | None = None
    """Where they are searched first: the file's folder when it names them, else None."""
    trusted: bool = False
    """Files are obeyed whoever may write them; said by ``WPBRIDGE_TRUST`` alone."""
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
    state_dir: Path | None = None
    """Where journals and the like lie that nobody named a place for; None: the usual one."""
    rescue: Literal["retry", "fail", "hold"] = "retry"
    """What becomes of an action whose runner died while it ran."""
    log_format: Literal["text", "json"] = "text"
    php_max_memory: int = 0
    """Bytes; 0: four fifths of the worker's own memory_limit, 512 MiB where it has none."""
    format: Format = "text"
    quiet: bool = False
    verbose: int = 0
    """0 warnings, 1 information, 2 debugging."""
    tz: str = "UTC"
    """The zone that times are shown in for people: ``site``, or a zone's name."""
    color: bool | None = None
    """None: when the output is a terminal."""
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Each field's origin: flag, ``env NAME``, ``file PATH`` or default."""
    file: SettingsFile | None = field(default=None, repr=False, compare=False)
    """The file that was read; it may hold secrets."""


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
    return combine(flags, env, cwd, _found_file(flags, env, cwd))


def combine(
    flags: Mapping[str, object], env: Mapping[str, str], cwd: Path, file: SettingsFile | None
) -> Settings:
    """Settings as ``load`` makes them, from a file that was read before, or from none.

    Raises:
        ConfigError: as ``load`` does.
    """
    given = {
        name: value for name, value in flags.items() if value not in (None, ()) and name != "config"
    }
    trusted = trust.is_lifted(env)
    tables = _tables(file.text, file.path) if file else {}
    found = {
        **_from_file(tables, file.path if file else None, env),
        **_from_env(env, cwd, _secret_names(tables)),
        **_from_flags(given, env, cwd),
    }
    values = {name: value for name, (value, _) in found.items()}
    sources = {name: found[name][1] if name in found else "default" for name in _KINDS}
    sources["trusted"] = f"env {trust.LIFTS}" if trusted else "default"
    if file and sources["handlers"] == f"file {file.path}":
        values["handlers_folder"] = str(file.path.parent)
    return Settings(**values, trusted=trusted, sources=MappingProxyType(sources), file=file)


def sources_of(settings: Settings) -> dict[str, str]:
    """Where each setting came from, by field, in the fields' order."""
    return dict(settings.sources)


# Kinds of value. Each function takes what a source gave and says in ValueError what it expects.


_Kind: TypeAlias = Callable[[object, Origin], Any]
_Found: TypeAlias = dict[str, tuple[Any, str]]


def _text(value: object, _origin: Origin) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def _path(value: object, origin: Origin) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("a path")
    return _expanded(str(value), origin.folder, origin.env)


def _number(least: int, most: int) -> _Kind:
    def number(value: object, _origin: Origin) -> int:
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


def _boolean(value: object, _origin: Origin) -> bool:
    known = _WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise ValueError("true or false")  # noqa: TRY004 - load() turns it into a ConfigError
    return known


def _ask_php(value: object, origin: Origin) -> str:
    """One of the words, or a boolean as before there were words."""
    word = value.strip().lower() if isinstance(value, str) else value
    if word in get_args(AskPhp):
        return str(word)
    try:
        return "always" if _boolean(value, origin) else "never"
    except ValueError:
        raise ValueError("never, auto or always") from None


def _names(value: object, _origin: Origin) -> tuple[str, ...]:
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("a list of texts, or one with commas")
    names = (name.strip() for part in parts for name in part.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _choice(*words: str) -> _Kind:
    def choice(value: object, _origin: Origin) -> str:
        if value not in words:
            raise ValueError(" or ".join(words))
        return str(value)

    return choice


def _tz(value: object, _origin: Origin) -> str:
    name = shown_name(value) if isinstance(value, str) else None
    if name is None:
        raise ValueError("site, UTC or a time zone such as Europe/Rome")
    return name


def _prefix(value: object, _origin: Origin) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\w+", value, re.ASCII):
        raise ValueError("letters, digits and underscores")
    return value


def _duration(value: object, _origin: Origin) -> timedelta | None:
    """Seconds, or units as in 1h30m; None for 0."""
    seconds = seconds_of(value)
    if seconds is None or not 0 <= seconds <= LONGEST.total_seconds():
        raise ValueError('a time such as 90, "55s", "10m" or "1h30m"')
    return timedelta(seconds=seconds) if seconds else None


def _words(value: object, _origin: Origin) -> tuple[str, ...]:
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


def _bytes(value: object, _origin: Origin) -> int:
    text = str(value).strip().lower() if not isinstance(value, bool) else ""
    match = re.fullmatch(r"(\d{1,12})([kmg]?)(?:i?b)?", text, re.ASCII)
    if match is None:
        raise ValueError("a size such as 256M or 1G")
    return int(match[1]) * _BYTES[match[2]]


_KINDS: Final[Mapping[str, _Kind]] = {
    "path": _path,
    "dsn": _text,
    "table_prefix": _prefix,
    "blog_id": _number(1, 1 << 62),
    "url": _text,
    "ask_php": _ask_php,
    "handlers": _names,
    "webhooks": rules.webhooks,
    "batch_size": _number(1, 10_000),
    "batches": _number(0, 1 << 31),
    "max_actions": _number(0, 1 << 31),
    "max_time": _duration,
    "hooks": _names,
    "exclude_hooks": _names,
    "groups": _names,
    "exclude_groups": _names,
    "concurrency": _number(1, 1000),
    "routes": rules.routes,
    "retry": rules.retries,
    "limits": rules.limits,
    "shares": rules.shares,
    "retention": rules.retention,
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
    "state_dir": _path,
    "rescue": _choice("retry", "fail", "hold"),
    "log_format": _choice("text", "json"),
    "format": _choice(*get_args(Format)),
    "quiet": _boolean,
    "verbose": _number(0, 2),
    "tz": _tz,
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
    only_known(given, _KINDS, "flags")
    origin = Origin("flag", cwd, env)
    return {
        name: (_checked(name, value, f"--{name.replace('_', '-')}", origin), "flag")
        for name, value in given.items()
    }


def _from_env(env: Mapping[str, str], cwd: Path, ours: Iterable[str]) -> _Found:
    names = {f"{ENV_PREFIX}{name.upper()}": name for name in _KINDS}
    allowed = {*names, f"{ENV_PREFIX}CONFIG", trust.LIFTS, *ours}
    present = {key: value for key, value in env.items() if key.startswith(ENV_PREFIX)}
    only_known(
        [key for key in present if not key.startswith(_NOT_SETTINGS)], allowed, "the environment"
    )
    found: _Found = {}
    if env.get("NO_COLOR"):
        found["color"] = (False, "env NO_COLOR")
    elif env.get("FORCE_COLOR"):
        found["color"] = (True, "env FORCE_COLOR")
    for key, value in present.items():
        if key in names and value:
            origin = Origin(f"env {key}", cwd, env)
            found[names[key]] = (_checked(names[key], value, key, origin), origin.text)
    return found


def _from_file(tables: Mapping[str, Any], file: Path | None, env: Mapping[str, str]) -> _Found:
    if file is None:
        return {}
    origin = Origin(f"file {file}", file.parent, env)
    for table, names in _TABLES.items():
        for name in tables:
            if name in names and name not in _TABLES:
                raise ConfigError(f"{file}: {name} belongs below [{table}]")
    only_known(tables, (*_TABLES, *_ALONE), str(file))
    found: _Found = {}
    for table, names in _TABLES.items():
        values = tables.get(table, {})
        if not isinstance(values, Mapping):
            raise ConfigError(f"{file}: {table} is a table: [{table}]")
        only_known(values, names, f"{file} [{table}]")
        for key, value in values.items():
            place = f"{file}: {key}"
            found[names[key]] = (_checked(names[key], value, place, origin), origin.text)
    for name in _ALONE:
        if name in tables:
            checked = _checked(name, tables[name], f"{file}: {name}", origin)
            found[name] = (checked, origin.text)
    return found


def _checked(name: str, value: object, place: str, origin: Origin) -> Any:
    try:
        return _KINDS[name](value, origin)
    except ValueError as error:
        shown = "" if name in _SECRET else f", not {value!r}"
        raise ConfigError(f"{place} expects {error}{shown}") from None


# The file.


def _found_file(
    flags: Mapping[str, object], env: Mapping[str, str], cwd: Path
) -> SettingsFile | None:
    told = flags.get("config") or env.get(f"{ENV_PREFIX}CONFIG")
    file = _file(told, env, cwd)
    if file is None:
        return None
    welcome = None if told else _owners(_wordpress_folder(flags, env, cwd))
    return SettingsFile(file, _read(file, trusted=trust.is_lifted(env), welcome=welcome))


def _file(told: object, env: Mapping[str, str], cwd: Path) -> Path | None:
    if told:
        file = _expanded(str(told), cwd, env)
        if not file.is_file():
            raise ConfigError(f"the settings file {file} does not exist")
        return file
    places = [cwd / FILE_NAME]
    if (xdg := env.get("XDG_CONFIG_HOME")) or home_of(env):
        places.append(_expanded(xdg or "~/.config", cwd, env) / "wpbridge" / FILE_NAME)
    return next((place for place in places if _is_file(place)), None)


def home_of(env: Mapping[str, str]) -> Path | None:
    """Return the user's home; None for a user without one, as a container's by number alone."""
    try:
        return Path(env.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def _is_file(place: Path) -> bool:
    try:
        if place.is_file():
            return True
        is_there = place.is_symlink() or place.exists()
    except OSError as error:
        # sudo leaves HOME as it was: another user's.
        raise ConfigError(
            f"{place} cannot be looked at: {error.strerror}; set HOME to your own folder, or name"
            " a settings file with --config"
        ) from None
    if is_there:
        # A container's mount of a file that is missing makes a folder of that name.
        raise ConfigError(f"{place} is there and is no file: settings cannot be read from it")
    return False


def working_folder() -> Path:
    """Return the working folder. ConfigError where it was deleted, or cannot be reached."""
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"the working folder is gone or cannot be reached ({error.strerror}): go to another one"
        ) from None


def _wordpress_folder(
    given: Mapping[str, object], env: Mapping[str, str], cwd: Path
) -> Path | None:
    """The WordPress folder that is meant without any file: named, or around the working folder."""
    told = given.get("path") or env.get(f"{ENV_PREFIX}PATH")
    if told:
        place = _expanded(str(told), cwd, env)
        return place.parent if place.is_file() else place
    around = (place for place in (cwd, *cwd.parents) if (place / "wp-config.php").is_file())
    return next(around, None)


def _owners(folder: Path | None) -> frozenset[int]:
    try:
        return frozenset() if folder is None else frozenset({folder.stat().st_uid})
    except OSError:
        # The site's own reading will say what is wrong with it.
        return frozenset()


def _expanded(text: str, folder: Path, env: Mapping[str, str]) -> Path:
    if text == "~" or text.startswith("~/"):
        home = home_of(env)
        if home is None:
            raise ConfigError(f"{text}: there is no home folder: set HOME, or write the whole path")
        return home / text[2:]
    return (folder / text).absolute()


def _read(file: Path, *, trusted: bool, welcome: frozenset[int] | None) -> bytes:
    try:
        if trusted:
            return file.read_bytes()
        return trust.read(file, "the settings file", welcome=welcome)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error


def _tables(source: bytes, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.decode("utf-8-sig"))
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
