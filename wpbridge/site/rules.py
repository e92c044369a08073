"""What the settings' tables say of hooks and groups: where they go, how they are held to it.

Each reader takes what a source gave and says in ConfigError what is wrong with it; a value of the
wrong kind altogether is a ValueError, with what was expected.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from wpbridge.errors import ConfigError
from wpbridge.site.moments import seconds_of

ROUTES: Final = ("python", "webhook", "php", "leave")
"""Where a route may lead."""
_WEBHOOK_SECONDS: Final = 30.0
_LONGEST_WEBHOOK: Final = timedelta(days=1)
_ATTEMPTS: Final = 5
LONGEST: Final = timedelta(days=3650)


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


class Origin(NamedTuple):
    """Where a value was found, for messages and for what is relative to it."""

    text: str
    folder: Path
    env: Mapping[str, str]


def webhooks(value: object, origin: Origin) -> Mapping[str, Webhook]:
    """Hooks and where they are posted to: a table, or texts such as ``HOOK=URL``."""
    pairs = value.split() if isinstance(value, str) else value
    if isinstance(pairs, list | tuple):
        split = [str(pair).partition("=") for pair in pairs]
        if not all(hook and separator for hook, separator, _ in split):
            raise ValueError("HOOK=URL")
        pairs = {hook: url for hook, _, url in split}
    if not isinstance(pairs, Mapping):
        raise ValueError("a table of hook = url")  # noqa: TRY004 - load() turns it into a ConfigError
    return MappingProxyType({hook: _webhook(hook, told, origin) for hook, told in pairs.items()})


def _webhook(hook: str, told: object, origin: Origin) -> Webhook:
    table = told if isinstance(told, Mapping) else {"url": told}
    where = f"{origin.text}: webhook {hook}"
    only_known(table, ("url", "secret", "secret_env", "timeout"), where)
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
    if seconds is None or not 0 < seconds <= _LONGEST_WEBHOOK.total_seconds():
        raise ConfigError(f'{where}: timeout is a time such as 30 or "30s", a day at most')
    return Webhook(url=url, secret=secret, timeout_seconds=seconds)


def routes(value: object, origin: Origin) -> tuple[Route, ...]:
    """``[[routes]]``."""
    if not isinstance(value, list):
        raise ValueError("a list of tables: [[routes]]")  # noqa: TRY004 - load() turns it into a ConfigError
    return tuple(_route(n, told, origin) for n, told in enumerate(value, 1))


def _route(number: int, told: object, origin: Origin) -> Route:
    where = f"{origin.text}: route {number}"
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where} is a table: [[routes]]")
    only_known(told, ("hook", "group", "to"), where)
    hook, group, to = told.get("hook"), told.get("group"), told.get("to")
    if to not in ROUTES:
        raise ConfigError(f"{where}: to is {', '.join(ROUTES[:-1])} or {ROUTES[-1]}")
    if hook is None and group is None:
        raise ConfigError(f"{where}: name a hook, a group, or both (patterns may use * and ?)")
    if not isinstance(hook, str | None) or not isinstance(group, str | None) or hook == "":
        raise ConfigError(f"{where}: hook and group are texts")
    return Route(to=to, hook=hook, group=group)


def retention(value: object, origin: Origin) -> tuple[Keep, ...]:
    """``[[retention]]``."""
    if not isinstance(value, list):
        raise ValueError("a list of tables: [[retention]]")  # noqa: TRY004 - load() turns it into a ConfigError
    return tuple(_keep(n, told, origin) for n, told in enumerate(value, 1))


def _keep(number: int, told: object, origin: Origin) -> Keep:
    where = f"{origin.text}: retention {number}"
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where} is a table: [[retention]]")
    only_known(told, ("status", "hook", "keep"), where)
    status, hook, keep = told.get("status"), told.get("hook"), told.get("keep")
    if status not in (None, "complete", "failed", "canceled"):
        raise ConfigError(f"{where}: status is complete, failed or canceled")
    if hook is not None and not (isinstance(hook, str) and hook):
        raise ConfigError(f"{where}: hook is a text")
    seconds = seconds_of(keep)
    if keep != "forever" and (seconds is None or not 0 < seconds <= LONGEST.total_seconds()):
        raise ConfigError(f'{where}: keep is a time such as "7d" or "12h", or "forever"')
    span = None if seconds is None else timedelta(seconds=seconds)
    return Keep(status=status, hook=hook, keep=span)


def retries(value: object, origin: Origin) -> tuple[RetryRule, ...]:
    """``[[retry]]``."""
    if not isinstance(value, list):
        raise ValueError("a list of tables: [[retry]]")  # noqa: TRY004 - load() turns it into a ConfigError
    return tuple(_retry_rule(n, told, origin) for n, told in enumerate(value, 1))


_MOST_ATTEMPTS: Final = 1000


def _retry_rule(number: int, told: object, origin: Origin) -> RetryRule:
    where = f"{origin.text}: retry {number}"
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where} is a table: [[retry]]")
    only_known(told, ("hook", "group", "error", "max_attempts", "base", "cap"), where)
    for name in ("hook", "group", "error"):
        if not isinstance(told.get(name), str | None):
            raise ConfigError(f"{where}: {name} is a text")
    if "[" in (told.get("error") or ""):
        raise ConfigError(
            f"{where}: no error's class has brackets in its name (patterns may use * and ?)"
        )
    most = told.get("max_attempts", _ATTEMPTS)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_ATTEMPTS:
        raise ConfigError(f"{where}: max_attempts is a whole number from 1 to {_MOST_ATTEMPTS}")
    spans: dict[str, timedelta] = {}
    for name in ("base", "cap"):
        seconds = seconds_of(told[name]) if name in told else None
        if name in told and (seconds is None or not 0 < seconds <= LONGEST.total_seconds()):
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


def limits(value: object, origin: Origin) -> tuple[Limit, ...]:
    """``[[limits]]``."""
    if not isinstance(value, list):
        raise ValueError("a list of tables: [[limits]]")  # noqa: TRY004 - load() turns it into a ConfigError
    return tuple(_limit(n, told, origin) for n, told in enumerate(value, 1))


_LIMIT_KEYS: Final = ("hook", "group", "max_concurrency", "rate", "pause_after", "pause_for")


def _limit(number: int, told: object, origin: Origin) -> Limit:
    where = f"{origin.text}: limit {number}"
    if not isinstance(told, Mapping):
        raise ConfigError(f"{where} is a table: [[limits]]")
    only_known(told, _LIMIT_KEYS, where)
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
    if seconds is None or not 0 <= seconds <= LONGEST.total_seconds():
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
    if not known or int(count) < 1 or not seconds or not 0 < seconds <= LONGEST.total_seconds():
        raise ConfigError(f'{where}: rate is so many in a time, such as "30/min" or "100/5m"')
    return Rate(count=int(count), per=timedelta(seconds=seconds))


def shares(value: object, _origin: Origin) -> Mapping[str, int]:
    """``[shares]``."""
    if not isinstance(value, Mapping) or not all(
        type(weight) is int and 1 <= weight <= _MOST for weight in value.values()
    ):
        raise ValueError(f"a table [shares] of group = weight, whole numbers from 1 to {_MOST}")
    return MappingProxyType(dict(value))


def only_known(names: Iterable[str], known: Iterable[str], place: str) -> None:
    """ConfigError for a name that nobody knows, with the one that was perhaps meant."""
    known = list(known)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known))}"
            raise ConfigError(f"{place}: unknown setting {name}; {hint}")
