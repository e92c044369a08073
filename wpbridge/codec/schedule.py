"""The schedule column: what the plugin's schedule objects mean, and their exact bytes.

Only the row's date decides when it is due. What stands here decides the next one.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, TypeAlias

from wpbridge.codec import cron, php
from wpbridge.codec.php import PhpBare, PhpObject
from wpbridge.codec.php_values import INT_MAX, INT_MIN
from wpbridge.errors import CodecError

MAX_DEPTH: Final = 100
"""As the plugin's own loader since 4.1."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS: Final = 1_000_000
_LAST_SECOND: Final = 253_402_300_799  # the end of year 9999, where the date columns end


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
        return _php_int(self.recurrence)

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

_CLASS: Final = re.compile(rb'[OC]:[0-9]{1,20}:"([0-9A-Za-z_\\\x7f-\xff]+)')

_ASYNC: Final = b'O:28:"ActionScheduler_NullSchedule":0:{}'
_SINGLE: Final = (
    b'O:30:"ActionScheduler_SimpleSchedule":2:{'
    b's:22:"\0*\0scheduled_timestamp";i:%d;'
    b's:41:"\0ActionScheduler_SimpleSchedule\0timestamp";i:%d;}'
)
_CANCELED: Final = (
    b'O:32:"ActionScheduler_CanceledSchedule":2:{'
    b's:22:"\0*\0scheduled_timestamp";i:%d;'
    b's:43:"\0ActionScheduler_CanceledSchedule\0timestamp";N;}'
)
_INTERVAL: Final = (
    b'O:32:"ActionScheduler_IntervalSchedule":5:{'
    b's:22:"\0*\0scheduled_timestamp";i:%d;'
    b's:18:"\0*\0first_timestamp";i:%d;'
    b's:13:"\0*\0recurrence";%s'
    b's:49:"\0ActionScheduler_IntervalSchedule\0start_timestamp";i:%d;'
    b's:53:"\0ActionScheduler_IntervalSchedule\0interval_in_seconds";%s}'
)
_CRON: Final = (
    b'O:28:"ActionScheduler_CronSchedule":5:{'
    b's:22:"\0*\0scheduled_timestamp";i:%d;'
    b's:18:"\0*\0first_timestamp";i:%d;'
    b's:13:"\0*\0recurrence";O:14:"CronExpression":2:{'
    b's:25:"\0CronExpression\0cronParts";%s'
    b's:28:"\0CronExpression\0fieldFactory";O:27:"CronExpression_FieldFactory":1:{'
    b's:35:"\0CronExpression_FieldFactory\0fields";%s}}'
    b's:45:"\0ActionScheduler_CronSchedule\0start_timestamp";i:%d;'
    b's:34:"\0ActionScheduler_CronSchedule\0cron";r:4;}'
)
_FIELDS: Final = ("Minutes", "Hours", "DayOfMonth", "Month", "DayOfWeek", "Year")
_PARTS_LEAST: Final = 5

# Blobs as 3.x and later write them, with ints: all but cron, and nearly all there are.
_INT: Final = rb"(-?[0-9]{1,18})"
_COMMON_SINGLE: Final = re.compile(re.escape(_SINGLE).replace(b"%d", _INT))
_COMMON_INTERVAL: Final = re.compile(
    re.escape(_INTERVAL).replace(b"%d", _INT).replace(b"%s", b"i:" + _INT + b";")
)

_NUMBER: Final = re.compile(r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


def single(at: datetime) -> Single:
    """Once, at ``at``."""
    return Single(timestamp=_seconds(at))


def interval(at: datetime, seconds: int) -> Interval:
    """First at ``at``, then every ``seconds`` after a run."""
    if seconds == 0:
        raise CodecError("an interval needs seconds; without them it is a single schedule")
    start = _seconds(at)
    return Interval(timestamp=start, first_timestamp=start, recurrence=seconds)


def cron_schedule(start: datetime, expression: str) -> Cron:
    """By cron: first at the first match at or after the minute of ``start``.

    Raises:
        CronError: As the plugin refuses the expression, or when nothing ever matches.
    """
    parsed = cron.parse(expression)
    first_date = cron.next_date(parsed, start, allow_current=True)
    return Cron(
        timestamp=_seconds(first_date),
        first_timestamp=_seconds(start.replace(second=0, microsecond=0)),
        expression=parsed.expression,
    )
