"""The kinds of schedule that the plugin knows, each as a value class."""

import math
import re
from typing import ClassVar, Final, TypeAlias

from wpbridge.codec.php_values import INT_MAX, INT_MIN
from wpbridge.dataclass import dataclass

_NUMBER: Final = re.compile(
    r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Async:
    """Run as soon as possible, once."""

    kind: ClassVar[str] = "async"
    php_class: ClassVar[str] = "ActionScheduler_NullSchedule"
    is_recurring: ClassVar[bool] = False
    timestamp: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """Run once, at one moment."""

    kind: ClassVar[str] = "single"
    php_class: ClassVar[str] = "ActionScheduler_SimpleSchedule"
    is_recurring: ClassVar[bool] = False
    timestamp: int | None
    """Unix seconds. None if the blob has no date, which the plugin reads as the present time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Run again and again, a number of seconds after each run."""

    kind: ClassVar[str] = "interval"
    php_class: ClassVar[str] = "ActionScheduler_IntervalSchedule"
    timestamp: int | None
    """As in :class:`Single`."""
    first_timestamp: int | None
    """When the chain began. None if the blob does not say."""
    recurrence: float | str | None
    """The seconds between runs, in the PHP type of the blob (int, float or string)."""

    @property
    def seconds(self) -> int:
        """Return the recurrence as PHP casts it. A negative one makes the next run due at once."""
        return php_int(self.recurrence)

    @property
    def is_recurring(self) -> bool:
        """Return False for 0 seconds, with which the plugin would repeat without a pause."""
        return self.seconds != 0

    @property
    def period(self) -> int:
        """What tells two recurring chains apart: the seconds between runs."""
        return self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Run again and again, by a cron expression read in UTC."""

    kind: ClassVar[str] = "cron"
    php_class: ClassVar[str] = "ActionScheduler_CronSchedule"
    is_recurring: ClassVar[bool] = True
    timestamp: int | None
    """As in :class:`Single`."""
    first_timestamp: int | None
    """As in :class:`Interval`."""
    expression: str
    """Five or six fields, joined by single spaces. Macros are expanded."""

    @property
    def period(self) -> str:
        """What tells two recurring chains apart: the expression."""
        return self.expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """Never run. Only the plugin's migration from posts writes this kind."""

    kind: ClassVar[str] = "canceled"
    php_class: ClassVar[str] = "ActionScheduler_CanceledSchedule"
    is_recurring: ClassVar[bool] = False
    timestamp: int | None
    """As in :class:`Single`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSchedule:
    """A class of another plugin. Only that plugin can read it, so the row stays as it is."""

    kind: ClassVar[str] = "foreign"
    is_recurring: ClassVar[bool] = False
    timestamp: ClassVar[None] = None
    php_class: str
    blob: bytes


Schedule: TypeAlias = Async | Single | Interval | Cron | Canceled | ForeignSchedule

KNOWN_CLASSES: Final = frozenset(
    kind.php_class for kind in (Async, Single, Interval, Cron, Canceled)
)


def php_int(value: float | str | None) -> int:
    """Cast to a whole number as PHP's ``(int)`` does, kept within 64 bit.

    A text counts by the number that it begins with, and as 0 if it begins with none.
    """
    if isinstance(value, str):
        match = _NUMBER.match(value)
        value = None if match is None else float(match[1])
    if value is None or not math.isfinite(value):
        return 0
    return int(min(max(value, INT_MIN), INT_MAX))
