"""Rules of the settings for hooks and groups: where they go, and what they are held to.

:mod:`wpbridge.site.rule_tables` reads them from the settings' tables.
"""

from dataclasses import field
from datetime import timedelta
from typing import Final, Literal

from wpbridge.dataclass import dataclass

FIRST_CLAIM: Final = 25
"""The size of a claim before anything is known of the handlers, as in the plugin."""


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
