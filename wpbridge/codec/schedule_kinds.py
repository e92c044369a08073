"""The kinds of schedule the plugin knows, as values."""

import math
import re
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from wpbridge.codec.php_values import INT_MAX, INT_MIN

_NUMBER: Final = re.compile(
    r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Async:
    """As soon as possible, once."""

    php_class: ClassVar[str] = "ActionScheduler_NullSchedule"
    is_recurring: ClassVar[bool] = False
    timestamp: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """At one moment, once."""

    php_class: ClassVar[str] = "ActionScheduler_SimpleSchedule"
    is_recurring: ClassVar[bool] = False
    timestamp: int | None
    """Unix seconds; None where the blob has none, which the plugin reads as now at every load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Again and again, a while after each run."""

    php_class: ClassVar[str] = "ActionScheduler_IntervalSchedule"
    timestamp: int | None
    """As in :class:`Single`."""
    first_timestamp: int | None
    """When the chain began; None when nothing tells."""
    recurrence: float | str | None
    """Seconds, in the PHP type they were given in (int, float or string)."""

    @property
    def seconds(self) -> int:
        """The recurrence as PHP casts it; may be negative, which is due again at once."""
        return php_int(self.recurrence)

    @property
    def is_recurring(self) -> bool:
        """False without seconds, where the plugin would repeat without a pause."""
        return self.seconds != 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Again and again, as a cron expression says, in UTC."""

    php_class: ClassVar[str] = "ActionScheduler_CronSchedule"
    is_recurring: ClassVar[bool] = True
    timestamp: int | None
    """As in :class:`Single`."""
    first_timestamp: int | None
    """As in :class:`Interval`."""
    expression: str
    """Five or six parts, joined by single spaces; macros are expanded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """Will not run; only the migration from posts writes it."""

    php_class: ClassVar[str] = "ActionScheduler_CanceledSchedule"
    is_recurring: ClassVar[bool] = False
    timestamp: int | None
    """As in :class:`Single`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSchedule:
    """A class some other plugin brought: only that plugin knows when, so leave the row alone."""

    is_recurring: ClassVar[bool] = False
    timestamp: ClassVar[None] = None
    php_class: str
    blob: bytes


Schedule: TypeAlias = Async | Single | Interval | Cron | Canceled | ForeignSchedule

KNOWN_CLASSES: Final = frozenset(
    kind.php_class for kind in (Async, Single, Interval, Cron, Canceled)
)


def php_int(value: float | str | None) -> int:
    """PHP's ``(int)``: the number a text begins with, else 0; the ends of 64 bit, not beyond."""
    if isinstance(value, str):
        match = _NUMBER.match(value)
        value = None if match is None else float(match[1])
    if value is None or not math.isfinite(value):
        return 0
    return int(min(max(value, INT_MIN), INT_MAX))
