"""Readers of the settings' tables that hold rules for hooks and groups.

Each reader is a kind of value (:mod:`wpbridge.site.value_kinds`). What is wrong inside of its
tables it raises as one ConfigError with all faults.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from wpbridge.action import OWN_HOOKS
from wpbridge.errors import ConfigError
from wpbridge.site.faults import Faults
from wpbridge.site.moments import seconds_of
from wpbridge.site.rules import (
    RIGHTS,
    ROLES,
    Keep,
    Limit,
    RetryRule,
    Right,
    Role,
    Route,
    Webhook,
    rate_of,
)
from wpbridge.site.table_rows import Key, row
from wpbridge.site.value_kinds import LONGEST, Kind, Origin

_MOST: Final = 1_000_000


def _rows(
    title: str,
    one: str,
    make: Callable[..., Any],
    keys: Mapping[str, Key],
    check: Callable[[Mapping[str, object]], Iterator[str]] = lambda _given: iter(()),
) -> Kind:
    """Return the reader of a list of tables, ``[[title]]``, each of which is ``one``."""

    def read(value: object, origin: Origin) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"a list of tables: [[{title}]]")  # noqa: TRY004 - as every kind
        faults, made = Faults(), []
        for number, told in enumerate(value, 1):
            where = f"{origin.text}: {one} {number}"
            with faults.kept():
                if not isinstance(told, Mapping):
                    raise ConfigError(f"{where} is a table: [[{title}]]")
                made.append(make(**row(told, where, keys, check)))
        faults.refuse()
        return tuple(made)

    return read


# Values below a key.


def _text(value: object, *, least: int = 0) -> str:
    if not isinstance(value, str) or len(value) < least:
        raise ValueError
    return value


def _word(value: object, *, words: tuple[str, ...]) -> object:
    if value not in words:
        raise ValueError
    return value


def _error_pattern(value: object) -> str:
    pattern = _text(value)
    if "[" in pattern:
        raise ValueError("no error's class has brackets in its name (patterns may use * and ?)")
    return pattern


def _count(value: object, *, most: int = _MOST) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError
    return value


def _seconds(value: object, *, longest: timedelta = LONGEST) -> float:
    seconds = seconds_of(value)
    if seconds is None or not 0 < seconds <= longest.total_seconds():
        raise ValueError
    return seconds


def _span(value: object) -> timedelta:
    return timedelta(seconds=_seconds(value))


def _no_span(value: object) -> timedelta | None:
    """A span, or 0 for none."""
    return None if seconds_of(value) == 0 else _span(value)


def _kept_for(value: object) -> timedelta | None:
    return None if value == "forever" else _span(value)


# The tables.


def _hook(value: object, *, least: int = 1) -> str:
    pattern = _text(value, least=least)
    if pattern.startswith(OWN_HOOKS):
        raise ValueError(
            f"hook {pattern!r}: hooks that begin with {OWN_HOOKS} are wpbridge's own, and no rule"
            " of yours counts for them"
        )
    return pattern


_HOOK_OR_GROUP: Final = {
    "hook": Key(partial(_text, least=1), "hook and group are texts"),
    "group": Key(_text, "hook and group are texts"),
}
_ROUTES: Final = ("python", "webhook", "php", "celery", "leave")
_MOST_URGENT: Final = 9


def _queue(value: object) -> str:
    # What RabbitMQ, Redis and Amazon SQS all take as a name.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", value):
        raise ValueError
    return value


def _priority(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_URGENT:
        raise ValueError
    return value


def _route_faults(given: Mapping[str, object]) -> Iterator[str]:
    if not given.keys() & {"hook", "group"}:
        yield "name a hook, a group, or both (patterns may use * and ?)"
    if given.get("to") != "celery" and (names := given.keys() & {"queue", "priority"}):
        yield f'{min(names)} counts only with to = "celery"'


def _limit_faults(given: Mapping[str, object]) -> Iterator[str]:
    if len(given.keys() & {"hook", "group"}) != 1:
        yield "name a hook or a group (patterns may use * and ?)"
    elif "group" in given and "pause_after" in given:
        yield "pause_after counts the failures of a hook, not of a group"
    if not given.keys() & {"max_concurrency", "rate", "pause_after"}:
        yield "give it max_concurrency, rate or pause_after"


routes: Final = _rows(
    "routes",
    "route",
    Route,
    {
        "to": Key(
            partial(_word, words=_ROUTES),
            "to is python, webhook, php, celery or leave",
            is_required=True,
        ),
        **_HOOK_OR_GROUP,
        "hook": Key(_hook, "hook and group are texts"),
        "queue": Key(_queue, "queue is a name of 1 to 80 letters, digits, _ and -"),
        "priority": Key(_priority, f"priority is a whole number from 0 to {_MOST_URGENT}"),
    },
    _route_faults,
)
retention: Final = _rows(
    "retention",
    "retention",
    Keep,
    {
        "status": Key(
            partial(_word, words=("complete", "failed", "canceled")),
            "status is complete, failed or canceled",
        ),
        "hook": Key(partial(_text, least=1), "hook is a text"),
        "keep": Key(
            _kept_for, 'keep is a time such as "7d" or "12h", or "forever"', is_required=True
        ),
    },
)
_MOST_ATTEMPTS: Final = 1000
retries: Final = _rows(
    "retry",
    "retry",
    RetryRule,
    {
        "hook": Key(partial(_hook, least=0), "hook is a text"),
        "group": Key(_text, "group is a text"),
        "error": Key(_error_pattern, "error is a text"),
        "max_attempts": Key(
            partial(_count, most=_MOST_ATTEMPTS),
            f"max_attempts is a whole number from 1 to {_MOST_ATTEMPTS}",
        ),
        "base": Key(_span, 'base is a time such as "30s" or "6h"'),
        "cap": Key(_span, 'cap is a time such as "30s" or "6h"'),
    },
)
limits: Final = _rows(
    "limits",
    "limit",
    Limit,
    {
        **_HOOK_OR_GROUP,
        "max_concurrency": Key(_count, f"max_concurrency is a whole number from 1 to {_MOST}"),
        "rate": Key(rate_of, 'rate is so many in a time, such as "30/min" or "100/5m"'),
        "pause_after": Key(_count, f"pause_after is a whole number from 1 to {_MOST}"),
        "pause_for": Key(_no_span, 'pause_for is a time such as "10m" or "2h"'),
    },
    _limit_faults,
)


def shares(value: object, _origin: Origin) -> Mapping[str, int]:
    """``[shares]``."""
    if not isinstance(value, Mapping) or not all(
        type(weight) is int and 1 <= weight <= _MOST for weight in value.values()
    ):
        raise ValueError(f"a table [shares] of group = weight, whole numbers from 1 to {_MOST}")
    return MappingProxyType(dict(value))


def roles(value: object, _origin: Origin) -> Mapping[str, tuple[Right, ...]]:
    """``[web.roles]``: what capabilities and roles of WordPress allow at the HTTP gateway."""
    if not isinstance(value, Mapping) or not all(
        isinstance(given, list) and all(right in RIGHTS for right in given)
        for given in value.values()
    ):
        raise ValueError(
            f"a table [web.roles] of capability or role = a list of {', '.join(RIGHTS)}"
        )
    return MappingProxyType(
        {name: tuple(right for right in RIGHTS if right in given) for name, given in value.items()}
    )


def people(value: object, _origin: Origin) -> Mapping[str, Role]:
    """``[web.people]``: which role in the dashboard a capability of WordPress gives."""
    if not isinstance(value, Mapping) or not all(given in ROLES for given in value.values()):
        raise ValueError(f"a table [web.people] of capability or role = one of {', '.join(ROLES)}")
    return MappingProxyType({str(name): given for name, given in value.items()})


def webhooks(value: object, origin: Origin) -> Mapping[str, Webhook]:
    """Hooks and where they are posted to: a table, or texts such as ``HOOK=URL``."""
    pairs = value.split() if isinstance(value, str) else value
    if isinstance(pairs, list | tuple):
        split = [str(pair).partition("=") for pair in pairs]
        if not all(hook and separator for hook, separator, _ in split):
            raise ValueError("HOOK=URL")
        pairs = {hook: url for hook, _, url in split}
    if not isinstance(pairs, Mapping):
        raise ValueError("a table of hook = url")  # noqa: TRY004 - as every kind
    faults, made = Faults(), {}
    for hook, told in pairs.items():
        with faults.kept():
            made[hook] = _webhook(f"{origin.text}: webhook {hook}", told, origin.env)
    faults.refuse()
    return MappingProxyType(made)


def _webhook(where: str, told: object, env: Mapping[str, str]) -> Webhook:
    table = dict(told) if isinstance(told, Mapping) else {"url": told}
    variable = table.get("secret_env")
    if variable is not None:
        table.pop("secret", None)
    found = row(
        table,
        where,
        {
            "url": Key(_url, "url is one that begins with https:// or http://", is_required=True),
            "secret": Key(partial(_text, least=1), "secret is a text"),
            "secret_env": Key(
                lambda name: _text(env.get(str(name)), least=1),
                f"the variable {variable} of secret_env is not set",
            ),
            "timeout": Key(
                partial(_seconds, longest=timedelta(days=1)),
                'timeout is a time such as 30 or "30s", a day at most',
            ),
        },
    )
    given = {"timeout_seconds": found["timeout"]} if "timeout" in found else {}
    secret = found.get("secret_env", found.get("secret"))
    return Webhook(url=found["url"], secret=secret, **given)


def _url(value: object) -> str:
    if not isinstance(value, str) or not re.match(r"https?://[^/\s]", value):
        raise ValueError
    return value
