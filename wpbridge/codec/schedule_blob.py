"""Writes schedules as the bytes that the plugin writes, and reads those back fast.

Forms that the plugin reads but no longer writes are left to :mod:`wpbridge.codec.schedule_read`.
"""

import re
from typing import Final, assert_never

from wpbridge.codec import php
from wpbridge.codec.php_values import INT_MAX, INT_MIN, PhpObject
from wpbridge.codec.schedule_kinds import (
    Async,
    Canceled,
    Cron,
    ForeignSchedule,
    Interval,
    Schedule,
    Single,
)
from wpbridge.codec.schedule_read import FIELDS, class_name_of, read_schedule
from wpbridge.errors import CodecError

PREFIX_BYTES: Final = 80
"""How many bytes of a blob :func:`class_of` needs, if the blob has as many."""

_CLASS: Final = re.compile(rb'[OC]:0*([0-9]{1,20}):"([0-9A-Za-z_\\\x7f-\xff]+)("?)')
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
# The plugin makes one field object for each part. These are the objects for five and six parts.
_FIELD_TEXTS: Final = {
    count: php.encode(
        {place: PhpObject(f"CronExpression_{FIELDS[place]}Field", {}) for place in range(count)}
    )
    for count in (5, 6)
}

# Nearly all blobs have these forms, which version 3.x and later write, with ints as dates.
_INT: Final = rb"(-?[0-9]{1,18})"
# They are compiled when they are first used: that takes longer than all else in this module.
_COMMON_SINGLE: Final = re.escape(_SINGLE).replace(b"%d", _INT)
_COMMON_INTERVAL: Final = (
    re.escape(_INTERVAL).replace(b"%d", _INT).replace(b"%s", b"i:" + _INT + b";")
)
_PART: Final = re.compile(rb'"([^"]*)"')
_COMMON_CRON: Final = (
    re.escape(_CRON)
    .replace(b"%d", _INT)
    .replace(b"%s", rb"(a:[56]:\{.*?;\})", 1)
    .replace(b"%s", b"(" + b"|".join(re.escape(text) for text in _FIELD_TEXTS.values()) + b")")
)


_HEADS: Final = {
    b'O:%d:"%s"' % (len(name), name.encode()): name
    for name in (Single.php_class, Interval.php_class, Cron.php_class, Async.php_class)
}


def class_of(prefix: bytes) -> str | None:
    """Return the class that a blob begins with, read from its first ``PREFIX_BYTES``.

    All of ``KNOWN_CLASSES`` fit into these bytes. A longer name comes back cut. None means that the
    blob begins with no class, or that it is damaged and ends within the name.
    """
    known = _HEADS.get(prefix[: prefix.find(b'"', 6) + 1])
    if known is not None:
        return known
    match = _CLASS.match(prefix)
    if match is None:
        return None
    is_whole = match[3] and int(match[1]) == len(match[2])
    goes_on = match.end() == len(prefix) >= PREFIX_BYTES
    if not (is_whole or goes_on):
        return None
    return class_name_of(match[2].decode("utf-8", "surrogateescape"))


def decode(blob: bytes) -> Schedule:
    """Return the schedule in a blob, read as the plugin's ``__wakeup`` methods read it.

    Raises:
        CodecError: the blob is damaged. The plugin could not load it either.
    """
    if blob == _ASYNC:
        return Async()
    if match := re.fullmatch(_COMMON_SINGLE, blob):
        return Single(timestamp=int(match[1]))
    if match := re.fullmatch(_COMMON_INTERVAL, blob):
        timestamp, first = int(match[1]), int(match[2])
        return Interval(
            timestamp=timestamp,
            first_timestamp=first if first > 0 else timestamp,
            recurrence=int(match[3]),
        )
    return _common_cron(blob) or read_schedule(blob)


def encode(schedule: Schedule) -> bytes:
    """Return the bytes that the plugin would store for a schedule.

    Raises:
        CodecError: the schedule has no date or no recurrence. The plugin would repeat such an
            action without a pause.
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
    """Read a cron schedule in the form that the plugin writes. None for any other form."""
    match = re.fullmatch(_COMMON_CRON, blob)
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
