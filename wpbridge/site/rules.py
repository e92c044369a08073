"""Rules of the settings for hooks and groups: where they go, and what they are held to.

:mod:`wpbridge.site.rule_tables` reads them from the settings' tables.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from wpbridge.dataclass import dataclass
from wpbridge.patterns import is_any, matches
from wpbridge.site.moments import seconds_of
from wpbridge.site.value_kinds import LONGEST

FIRST_CLAIM: Final = 25
"""The size of a claim before anything is known of the handlers, as in the plugin."""
CELERY_QUEUE: Final = "wpbridge"
"""The broker's queue of a route to Celery that names none."""
Right: TypeAlias = Literal["enqueue", "read", "operate", "administer", "metrics"]
RIGHTS: Final[tuple[Right, ...]] = get_args(Right)
"""What a caller of the HTTP gateway may do: add jobs, look at its own, see and change all actions,
delete actions and edit schedules, read the metrics."""
WORDPRESS_ROLES: Final[Mapping[str, tuple[Right, ...]]] = MappingProxyType(
    {"manage_options": ("enqueue", "read", "operate", "administer")}
)
"""What capabilities of WordPress allow, unless the settings say otherwise."""
Role: TypeAlias = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""What a person may do in the dashboard. Each role may do what those before it may: look; change
what waits and pause; delete, edit schedules and mend."""
WORDPRESS_PEOPLE: Final[Mapping[str, Role]] = MappingProxyType(
    {"manage_options": "admin", "manage_woocommerce": "operator"}
)
"""Which role in the dashboard a capability of WordPress gives, unless the settings say otherwise.
The first capability that a person has decides."""
_PER: Final = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "hour": 3600, "day": 86400}


def allows(role: Role, needed: Role) -> bool:
    """Tell whether a role may do what needs another one."""
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a hook's actions are posted to."""

    url: str = field(repr=False)
    """May hold a token, so it is not shown."""
    secret: str | None = field(default=None, repr=False)
    """Signs the body; None for no signature."""
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where actions go whose hook and group match; patterns as in a shell (``*``, ``?``)."""

    to: Literal["python", "webhook", "php", "celery", "leave"]
    hook: str | None = None
    """None: any."""
    group: str | None = None
    """None: any; an empty text: actions without a group."""
    queue: str = CELERY_QUEUE
    """Of the broker, where actions are handed to Celery."""
    priority: int | None = None
    """Of their messages there, from 0 to 9, the most urgent; None: all are equal."""


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
    max_attempts: int = 5
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


def rate_of(told: object) -> Rate:
    """Read a rate such as ``30/min``, ``10/s`` or ``100/5m``. ValueError for anything else."""
    count, _, per = told.partition("/") if isinstance(told, str) else ("", "", "")
    name = per.strip().lower()
    seconds = seconds_of(_PER.get(name) or (name if name[:1].isdigit() else f"1{name}"))
    if not name or seconds is None or not 0 < seconds <= LONGEST.total_seconds():
        raise ValueError
    if not re.fullmatch(r"[0-9]{1,7}", count.strip()) or int(count) < 1:
        raise ValueError
    return Rate(count=int(count), per=timedelta(seconds=seconds))


def rate_text(rate: Rate | None) -> str | None:
    """Return a rate as :func:`rate_of` reads it; None for none."""
    if rate is None:
        return None
    seconds = rate.per.total_seconds()
    short = {1: "s", 60: "min", 3600: "hour", 86400: "day"}.get(int(seconds))
    return f"{rate.count}/{short if short and seconds == int(seconds) else f'{seconds:g}s'}"


def route_of(routes: Sequence[Route], hook: str, group: str | None) -> tuple[int, Route] | None:
    """Return the first route that matches a hook and group slug, and its number from 1 on.

    Of a group that is not known, which is None, only those routes are sure that are for any group.
    """
    for number, route in enumerate(routes, 1):
        is_group = is_any(route.group) if group is None else matches(route.group, group)
        if is_group and matches(route.hook, hook):
            return number, route
    return None
