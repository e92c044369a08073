"""Schedules as bytes: exactly as the plugin writes them, and every form it reads."""

import math
import re
from decimal import Decimal
from typing import Final, assert_never

from wpbridge.codec import php
from wpbridge.codec.php_values import (
    INT_MAX,
    INT_MIN,
    PhpBare,
    PhpCustom,
    PhpObject,
    deref,
)
from wpbridge.codec.schedule_kinds import (
    KNOWN_CLASSES,
    Async,
    Canceled,
    Cron,
    ForeignSchedule,
    Interval,
    Schedule,
    Single,
)
from wpbridge.errors import CodecError

MAX_DEPTH: Final = 100
"""As the plugin's own loader since 4.1."""

PREFIX_BYTES: Final = 80
"""How much of a blob :func:`class_of` wants to see, if there is so much."""

_CLASS: Final = re.compile(rb'[OC]:0*([0-9]{1,20}):"([0-9A-Za-z_\\\x7f-\xff]+)("?)')
_NAMES: Final = {name.lower(): name for name in KNOWN_CLASSES}
_DECLARING: Final = {*_NAMES, "cronexpression", "cronexpression_fieldfactory"}

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
# By the number of parts: the plugin makes one field object for each.
_FIELD_TEXTS: Final = {
    count: php.encode(
        {place: PhpObject(f"CronExpression_{_FIELDS[place]}Field", {}) for place in range(count)}
    )
    for count in (5, 6)
}

# Blobs as 3.x and later write them, with ints: nearly all there are.
_INT: Final = rb"(-?[0-9]{1,18})"
_COMMON_SINGLE: Final = re.compile(re.escape(_SINGLE).replace(b"%d", _INT))
_COMMON_INTERVAL: Final = re.compile(
    re.escape(_INTERVAL).replace(b"%d", _INT).replace(b"%s", b"i:" + _INT + b";")
)
_PART: Final = re.compile(rb'"([^"]*)"')
_COMMON_CRON: Final = re.compile(
    re.escape(_CRON)
    .replace(b"%d", _INT)
    .replace(b"%s", rb"(a:[56]:\{.*?;\})", 1)
    .replace(b"%s", b"(" + b"|".join(re.escape(text) for text in _FIELD_TEXTS.values()) + b")")
)

# An owner's name, or a star, between two NULs.
_OWNED: Final = re.compile(rb"\0[^\0]+\0")
_NUMERIC: Final = re.compile(
    rb"[ \t\n\r\v\f]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t\n\r\v\f]*"
)

# What PHP's DateTime takes after an "@": up to microseconds.
_UNIX_TEXT: Final = re.compile(rb"(-?[0-9]{1,19}(?:\.[0-9]{1,6})?)[ \t\n\r\v\f]*")


def class_of(prefix: bytes) -> str | None:
    """The class a blob begins with, read off its first ``PREFIX_BYTES``; None when there is none.

    A name that goes on beyond them comes back cut; all of ``KNOWN_CLASSES`` fit. A shorter text
    that ends within the name is a damaged blob, and has no class.
    """
    match = _CLASS.match(prefix)
    if match is None:
        return None
    is_whole = match[3] and int(match[1]) == len(match[2])
    goes_on = match.end() == len(prefix) >= PREFIX_BYTES
    return _class_name(match[2].decode("utf-8", "surrogateescape")) if is_whole or goes_on else None


def decode(blob: bytes) -> Schedule:
    """What a blob means, read as the plugin's ``__wakeup`` methods read it.

    Raises:
        CodecError: The plugin could not load it either.
    """
    if blob == _ASYNC:
        return Async()
    if match := _COMMON_SINGLE.fullmatch(blob):
        return Single(timestamp=int(match[1]))
    if match := _COMMON_INTERVAL.fullmatch(blob):
        timestamp, first = int(match[1]), int(match[2])
        return Interval(
            timestamp=timestamp,
            first_timestamp=first if first > 0 else timestamp,
            recurrence=int(match[3]),
        )
    return _common_cron(blob) or _decode_any(blob)


def encode(schedule: Schedule) -> bytes:
    """The bytes the plugin would store.

    Raises:
        CodecError: For a schedule without a date or a recurrence, which the plugin would run
            without a pause.
    """
    match schedule:
        case ForeignSchedule():
            return schedule.blob
        case Async():
            return _ASYNC
        case Single():
            at = _checked(schedule.timestamp)
            return _SINGLE % (at, at)
        case Canceled():
            return _CANCELED % _checked(schedule.timestamp)
        case Interval():
            return _encode_interval(schedule)
        case Cron():
            return _encode_cron(schedule)
        case _:
            assert_never(schedule)


def _common_cron(blob: bytes) -> Cron | None:
    """A cron schedule whose parts are where the plugin writes them; None for the full reader."""
    match = _COMMON_CRON.fullmatch(blob)
    if match is None:
        return None
    parts = _PART.findall(match[3])
    if _parts_text(parts) != match[3]:
        return None
    timestamp, first = int(match[1]), int(match[2])
    return Cron(
        timestamp=timestamp,
        first_timestamp=first if first > 0 else timestamp,
        expression=b" ".join(parts).decode("utf-8", "surrogateescape"),
    )


def _class_name(name: str) -> str:
    """A class as the plugin spells it: letter case means nothing in PHP."""
    # Of ASCII letters only, as PHP does.
    lower = name.encode("utf-8", "surrogateescape").lower().decode("utf-8", "surrogateescape")
    return _NAMES.get(lower, name)


def _decode_any(blob: bytes) -> Schedule:
    value = php.decode(blob, max_depth=MAX_DEPTH, ignore_rest=True)
    if not isinstance(value, PhpObject | PhpCustom):
        raise CodecError("the schedule is no object", offset=0)
    name = _class_name(value.class_name)
    if name not in KNOWN_CLASSES:
        return ForeignSchedule(php_class=name, blob=blob)
    _check_names(value)
    # PHP reads nothing from what a class wrote that cannot write itself.
    told = value if isinstance(value, PhpObject) else PhpObject(name, {})
    if name == Async.php_class:
        return Async()
    if name == Single.php_class:
        return Single(timestamp=_timestamp(name, _either(told, "scheduled_timestamp", "timestamp")))
    if name == Canceled.php_class:
        # Here, and only here, the old name goes first.
        at = _timestamp(name, _either(told, "timestamp", "scheduled_timestamp"))
        return Canceled(timestamp=at)
    timestamp = _timestamp(name, _either(told, "scheduled_timestamp", "start_timestamp"))
    first_told = _property(told, "first_timestamp")
    first = _timestamp(name, first_told) if _is_positive(first_told) else timestamp
    if name == Interval.php_class:
        recurrence = _recurrence(_either(told, "recurrence", "interval_in_seconds"))
        return Interval(timestamp=timestamp, first_timestamp=first, recurrence=recurrence)
    expression = _expression(_either(told, "recurrence", "cron"))
    return Cron(timestamp=timestamp, first_timestamp=first, expression=expression)


def _check_names(root: PhpBare) -> None:
    """Raise CodecError for a property name that PHP refuses in a class that declares some."""
    left, seen = [root], set[int]()
    while left:
        value = left.pop()
        if not isinstance(value, PhpObject | dict) or id(value) in seen:
            continue
        seen.add(id(value))
        members = value.properties if isinstance(value, PhpObject) else value
        left += map(deref, members.values())
        if isinstance(value, PhpObject) and value.class_name.lower() in _DECLARING:
            for key in members:
                if isinstance(key, bytes) and key.startswith(b"\0") and not _OWNED.match(key):
                    raise CodecError(f"{value.class_name}: the property name {key!r} is damaged")


def _property(value: PhpObject, name: str) -> PhpBare:
    """What PHP puts into a declared property: the last that was written under any of its names.

    It takes a public and a protected name, and one that is private to the object's own class.
    """
    own = value.class_name.lower()
    found: PhpBare = None
    for owner, stored, item in value.named():
        # PHP takes a third NUL for the end of an anonymous class's name.
        plain = stored.partition(b"\0")[2] if owner and b"\0" in stored else stored
        if plain == name.encode() and (owner in ("", "*") or owner.lower() == own):
            found = item
    return found


def _either(value: PhpObject, name: str, old_name: str) -> PhpBare:
    found = _property(value, name)
    return _property(value, old_name) if found is None else found


def _timestamp(class_name: str, found: PhpBare) -> int | None:
    """Unix seconds as ``as_get_datetime_object`` takes them; None where it takes now."""
    if found is None or found is False or (isinstance(found, bytes) and not found.strip()):
        return None
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    text = found if isinstance(found, bytes) else b""
    if isinstance(found, bytes) and not _NUMERIC.fullmatch(found):
        raise CodecError(f"{class_name}: its date is in words")
    if isinstance(found, float) and math.isfinite(found):
        text = f"{found:.14G}".encode()  # PHP's "precision"
    match = _UNIX_TEXT.fullmatch(text)
    if match is None:
        raise CodecError(f"{class_name}: its date is no Unix time")
    return math.floor(Decimal(match[1].decode()))


def _is_positive(value: PhpBare) -> bool:
    """PHP's ``$value > 0``: a text that is no number is compared as text."""
    if isinstance(value, bytes):
        is_number = _NUMERIC.fullmatch(value) is not None
        return float(value) > 0 if is_number else value > b"0"
    if value is None or isinstance(value, int | float):
        return value is not None and value > 0
    return True


def _recurrence(value: PhpBare) -> float | str | None:
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    raise CodecError(f"{Interval.php_class}: the recurrence is no number")


def _expression(value: PhpBare) -> str:
    """The parts joined; empty where there are none, since only the next date needs them.

    PHP finds a part, and what reads it, by its number: parts that are no list, or are read by
    others than their own, mean something else than their text.
    """
    if isinstance(value, PhpObject):
        parts = value.get("cronParts")
        if not isinstance(parts, dict) or list(parts) != list(range(len(parts))):
            return ""
        if not _has_own_fields(value):
            return ""
        value = b" ".join(part for item in parts.values() if isinstance(part := deref(item), bytes))
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""


def _has_own_fields(expression: PhpObject) -> bool:
    """Tell whether the readers that PHP has kept for the parts are those it would make."""
    factory = expression.get("fieldFactory")
    fields = factory.get("fields") if isinstance(factory, PhpObject) else None
    if not isinstance(fields, dict):
        return True
    names = {n: f"cronexpression_{name}field".lower() for n, name in enumerate(_FIELDS)}
    return all(
        isinstance(field := deref(kept), PhpObject) and field.class_name.lower() == names.get(key)
        for key, kept in fields.items()
        if isinstance(key, int)
    )


def _encode_interval(schedule: Interval) -> bytes:
    if not schedule.is_recurring:
        raise CodecError(f"{schedule.php_class}: no seconds to repeat after")
    at, first = _checked(schedule.timestamp), _checked(schedule.first_timestamp)
    recurrence = schedule.recurrence
    if isinstance(recurrence, str):
        text = php.encode(recurrence.encode("utf-8", "surrogateescape"))
    else:
        text = php.encode(recurrence)
    return _INTERVAL % (at, first, text, at, text)


def _encode_cron(schedule: Cron) -> bytes:
    at, first = _checked(schedule.timestamp), _checked(schedule.first_timestamp)
    parts = [part.encode("utf-8", "surrogateescape") for part in schedule.expression.split()]
    fields = _FIELD_TEXTS.get(len(parts))
    if fields is None:
        raise CodecError(f"{schedule.php_class}: {schedule.expression!r} is no cron expression")
    return _CRON % (at, first, _parts_text(parts), fields, at)


def _parts_text(parts: list[bytes]) -> bytes:
    items = (b'i:%d;s:%d:"%s";' % (place, len(part), part) for place, part in enumerate(parts))
    return b"a:%d:{%s}" % (len(parts), b"".join(items))


def _checked(timestamp: int | None) -> int:
    if timestamp is None or not INT_MIN <= timestamp <= INT_MAX:
        raise CodecError(f"a schedule cannot be written with the date {timestamp}")
    return timestamp
