"""Reads any schedule that the plugin reads, as its ``__wakeup`` methods do.

:mod:`wpbridge.codec.schedule_blob` reads the common forms faster, and asks here for all others.
"""

import math
import re
from decimal import Decimal
from typing import Final

from wpbridge.codec import php
from wpbridge.codec.php_values import PhpBare, PhpCustom, PhpObject, deref
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
"""How deep values may be nested, as in the plugin's own loader since 4.1."""

FIELDS: Final = ("Minutes", "Hours", "DayOfMonth", "Month", "DayOfWeek", "Year")
_NAMES: Final = {name.lower(): name for name in KNOWN_CLASSES}
_DECLARING: Final = {*_NAMES, "cronexpression", "cronexpression_fieldfactory"}

# An owner's name, or a star, between two NULs.
_OWNED: Final = re.compile(rb"\0[^\0]+\0")
_NUMERIC: Final = re.compile(
    rb"[ \t\n\r\v\f]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t\n\r\v\f]*"
)

# What PHP's DateTime takes after an "@": up to microseconds.
_UNIX_TEXT: Final = re.compile(rb"(-?[0-9]{1,19}(?:\.[0-9]{1,6})?)[ \t\n\r\v\f]*")


def read_schedule(blob: bytes) -> Schedule:
    """Return the schedule in a blob of any form.

    Raises:
        CodecError: the blob is damaged. The plugin could not load it either.
    """
    value = php.decode(blob, max_depth=MAX_DEPTH, ignore_rest=True)
    if not isinstance(value, PhpObject | PhpCustom):
        raise CodecError("the schedule is no object", offset=0)
    name = class_name_of(value.class_name)
    if name not in KNOWN_CLASSES:
        return ForeignSchedule(php_class=name, blob=blob)
    _check_names(value)
    # None of these classes writes a custom body (``C:``), so PHP would read no property from one.
    stored = value if isinstance(value, PhpObject) else PhpObject(name, {})
    if name == Async.php_class:
        return Async()
    if name == Single.php_class:
        at = _timestamp(name, _either(stored, "scheduled_timestamp", "timestamp"))
        return Single(timestamp=at)
    if name == Canceled.php_class:
        # This class, unlike the others, prefers the old name.
        at = _timestamp(name, _either(stored, "timestamp", "scheduled_timestamp"))
        return Canceled(timestamp=at)
    timestamp = _timestamp(name, _either(stored, "scheduled_timestamp", "start_timestamp"))
    first_stored = _property(stored, "first_timestamp")
    first = _timestamp(name, first_stored) if _is_positive(first_stored) else timestamp
    if name == Interval.php_class:
        recurrence = _recurrence(_either(stored, "recurrence", "interval_in_seconds"))
        return Interval(timestamp=timestamp, first_timestamp=first, recurrence=recurrence)
    expression = _expression(_either(stored, "recurrence", "cron"))
    return Cron(timestamp=timestamp, first_timestamp=first, expression=expression)


def _check_names(root: PhpBare) -> None:
    """Raise CodecError for a property name that PHP refuses in a class with declared ones."""
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
    """Return what PHP puts into a declared property: the last value under any of its names.

    PHP accepts the public name, the protected one, and the one private to the object's own class.
    """
    own = value.class_name.lower()
    found: PhpBare = None
    for owner, stored, item in value.named():
        # PHP reads a third NUL as the end of the name of an anonymous class.
        plain = stored.partition(b"\0")[2] if owner and b"\0" in stored else stored
        if plain == name.encode() and (owner in ("", "*") or owner.lower() == own):
            found = item
    return found


def _either(value: PhpObject, name: str, old_name: str) -> PhpBare:
    found = _property(value, name)
    return _property(value, old_name) if found is None else found


def _timestamp(class_name: str, found: PhpBare) -> int | None:
    """Return a date as ``as_get_datetime_object`` reads it. None where it would read "now"."""
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
    """Answer PHP's ``$value > 0``. A text that is no number is compared as text."""
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
    """Return the cron expression, or an empty text where its parts cannot be joined to one.

    PHP looks up each part, and the field object that reads it, by its number. So parts that are no
    list, or that are read by another object, do not mean what their joined text would mean.
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
    """Tell whether the stored field objects are the ones that PHP would make for the parts."""
    factory = expression.get("fieldFactory")
    fields = factory.get("fields") if isinstance(factory, PhpObject) else None
    if not isinstance(fields, dict):
        return True
    names = {n: f"cronexpression_{name}field".lower() for n, name in enumerate(FIELDS)}
    return all(
        isinstance(field := deref(kept), PhpObject) and field.class_name.lower() == names.get(key)
        for key, kept in fields.items()
        if isinstance(key, int)
    )


def class_name_of(name: str) -> str:
    """Return the name of a class as the plugin spells it, since PHP ignores its letter case."""
    # PHP lowers ASCII letters only.
    lower = name.encode("utf-8", "surrogateescape").lower().decode("utf-8", "surrogateescape")
    return _NAMES.get(lower, name)
