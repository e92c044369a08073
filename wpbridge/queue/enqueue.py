"""Checks what is to be enqueued and turns it into a row's texts. Nothing here touches a database.

Dates, args and schedules as the plugin stores them. What cannot be stored is an
:class:`InputError` that says why in one line.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from wpbridge.action import ON_FAILED, ActionId, NewAction, OnFailed, ZonedCron
from wpbridge.clock import from_timestamp
from wpbridge.codec import args as args_codec
from wpbridge.codec import schedule, zoned
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError, CronError, InputError
from wpbridge.site.moments import checked_moment, parse_duration, parse_moment
from wpbridge.store.queueing.adding import Request

Moment: TypeAlias = datetime | timedelta | float | str | None
"""Aware datetime; a span from now; Unix seconds; text (:func:`wpbridge.site.moments.parse_moment`);
None for now."""
Args: TypeAlias = Sequence[Any] | Mapping[str, Any]
Interval: TypeAlias = int | timedelta | str | None

NOTHING: Final[tuple[Any, ...]] = ()
HOOK_CHARACTERS: Final = 191
GROUP_CHARACTERS: Final = 255
KEY_CHARACTERS: Final = 1000
ZONED_CHARACTERS: Final = 255
"""Of a cron expression in a time zone, as our own table keeps it."""
LAST_SECOND: Final = 253_402_300_799
PRIORITIES: Final = range(256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue:
    """An action to be enqueued: what is to run, when, and on which terms."""

    hook: str
    args: Args = NOTHING
    """Values in order, or by names; a PHP callback gets the values only."""
    at: Moment = None
    """When; without it, an interval and a cron the action is async: due at once."""
    interval: Interval = None
    """Whole seconds from the end of a run to the next."""
    cron: str | None = None
    """As the plugin reads cron expressions, in UTC unless ``tz`` names a zone."""
    tz: str | None = None
    """An IANA time zone."""
    group: str = ""
    priority: int = 10
    """0 to 255; lower runs first."""
    unique: bool = False
    """Refused while its like is pending or running."""
    key: str = ""
    """Idempotency key: the second call with it adds nothing and returns the first one's id."""
    after: Collection[int] = ()
    """Ids of actions that must have ended before it runs."""
    after_failed: OnFailed = "hold"
    """When one of those fails or is canceled: wait for a requeue, run all the same, or cancel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An action that was enqueued through the broker."""

    key: str
    """Its idempotency key, which handlers see as ``context.idempotency_key``."""
    action_id: int | None = None
    """The id of its row, where the broker was away and it became one; None otherwise."""


def new_action(new: Enqueue, now: datetime) -> NewAction:
    """Return the row's texts, all checked. InputError says what is wrong."""
    _check_texts(new)
    told, due, in_zone = _schedule(new, now)
    return NewAction(
        hook=new.hook,
        args=encoded(new.args),
        schedule=_blob(told),
        scheduled_at=due,
        is_async=isinstance(told, schedule.Async),
        group=new.group,
        priority=new.priority,
        zoned=in_zone,
    )


def request_of(new: Enqueue, now: datetime) -> Request:
    """Return what the store is asked to add; InputError says what is wrong."""
    return Request(
        action=new_action(new, now),
        unique=new.unique,
        key=new.key,
        after=tuple(ActionId(i) for i in new.after),
        on_failed=new.after_failed,
    )


def led_by(request: Request, traceparent: str) -> Request:
    """Return a request whose action keeps which span has led to it."""
    if not traceparent:
        return request
    return replace(request, action=replace(request.action, traceparent=traceparent))


def _check_texts(new: Enqueue) -> None:
    check_hook(new.hook)
    check_group(new.group)
    check_text("key", new.key, most=KEY_CHARACTERS)
    if isinstance(new.priority, bool) or new.priority not in PRIORITIES:
        raise InputError(f"priority: a whole number from 0 to 255, not {new.priority!r}")
    after: object = new.after
    if not isinstance(after, Collection) or any(type(i) is not int for i in after):
        raise InputError(f"after: ids of actions, not {after!r}")
    if new.after_failed not in ON_FAILED:
        raise InputError(f"after_failed is {', '.join(ON_FAILED)}, not {new.after_failed!r}")


def check_hook(value: object, name: str = "hook") -> None:
    """Raise InputError unless the tables can hold it as the name of a hook."""
    check_text(name, value, least=1, most=HOOK_CHARACTERS)


def check_group(value: object, name: str = "group") -> None:
    """Raise InputError unless the tables can hold it as the name of a group."""
    check_text(name, value, most=GROUP_CHARACTERS)


def check_text(name: str, value: object, *, least: int = 0, most: int | None = None) -> None:
    """Raise InputError unless it is a text of so many characters that the tables can hold."""
    if not isinstance(value, str):
        raise InputError(f"{name}: a text, not {type(value).__name__}")
    if "\0" in value:
        raise InputError(f"{name}: it holds a NUL")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name}: it holds half a surrogate pair") from error
    if most is not None and not least <= len(value) <= most:
        raise InputError(f"{name}: {least} to {most} characters, not {len(value)}")


@functools.lru_cache(maxsize=1024)
def _blob(told: schedule.Schedule) -> bytes:
    return schedule.encode(told)


def _schedule(new: Enqueue, now: datetime) -> tuple[schedule.Schedule, datetime, ZonedCron | None]:
    if new.interval is not None and new.cron is not None:
        raise InputError("interval and cron: give one of them")
    if new.tz is not None and new.cron is None:
        raise InputError("tz: it is for cron expressions")
    if new.cron is not None:
        return _cron(new.cron, moment_of(new.at, now), new.tz)
    seconds = 0 if new.interval is None else _interval(new.interval)
    if seconds:
        start = moment_of(new.at, now)
        return schedule.interval(start, seconds), start, None
    if new.at is None and new.interval is None:
        return schedule.Async(), now, None
    start = moment_of(new.at, now)
    return schedule.single(start), start, None


def _cron(
    expression: str, start: datetime, tz: str | None
) -> tuple[schedule.Schedule, datetime, ZonedCron | None]:
    check_text("cron", expression)
    if tz is not None:
        check_text("tz", tz)
    try:
        zone = None if tz is None else zoned.zone_named(tz)
        told = schedule.cron_schedule(start, expression, zone=zone)
    except CronError as error:
        raise InputError(f"cron: {error}") from error
    if tz is not None and len(told.expression) > ZONED_CHARACTERS:
        raise InputError(
            f"cron: {ZONED_CHARACTERS} characters at most with a tz, not {len(told.expression)}"
        )
    return told, from_timestamp(told.timestamp or 0), zoned_cron(told, tz)


def zoned_cron(told: schedule.Schedule, zone: str | None) -> ZonedCron | None:
    """Return what the zones table keeps of a schedule. None where it is read in UTC."""
    if zone is None or not isinstance(told, schedule.Cron):
        return None
    return ZonedCron(expression=told.expression, zone=zone)


def _interval(told: int | timedelta | str) -> int:
    seconds = parse_duration(told, "interval").total_seconds()
    if seconds != int(seconds) or seconds < 0:
        raise InputError(f"interval: whole seconds, not {told!r}")
    return int(seconds)


def moment_of(told: Moment, now: datetime) -> datetime:
    """Return a :data:`Moment` as an aware datetime in UTC.

    InputError for a datetime without a zone, and outside of the years 1970 to 9999.
    """
    if told is None:
        return now
    try:
        if isinstance(told, timedelta):
            return checked_moment(now + told)
        if isinstance(told, datetime):
            if told.tzinfo is None:
                raise InputError("a date needs a time zone: datetime(…, tzinfo=UTC)")
            return checked_moment(told.astimezone(UTC))
        if isinstance(told, int | float) and not isinstance(told, bool):
            if not 0 <= told <= LAST_SECOND:
                raise InputError(f"a date: {told!r} lies outside of the years 1970 to 9999")
            return from_timestamp(int(told))
    except OverflowError as error:
        raise InputError(f"a date: {told} lies outside of the calendar") from error
    return parse_moment(str(told), now)


def encoded(value: Args) -> str:
    """Return args as the plugin stores them. InputError when the plugin would refuse them."""
    if isinstance(value, str | bytes | bytearray) or not isinstance(value, Sequence | Mapping):
        raise InputError(f"args: a list or a dict, not {type(value).__name__}")
    try:
        plain = value if isinstance(value, dict | list | tuple) else _plain(value)
        return args_codec.encode_new(plain)
    except CodecError as error:
        raise InputError(f"args: {str(error).removeprefix('args: ')}") from error


def _plain(value: Args) -> dict[str, Any] | list[Any]:
    return dict(value) if isinstance(value, Mapping) else list(value)
