"""Turns any PHP value into one that JSON can hold, for people and logs. Nothing reads it back.

==================== ==============================================================
PHP                  shown as
==================== ==============================================================
string               a string; ``{"$base64": ...}`` where it is not UTF-8
float INF, NAN       ``{"$float": "INF"}``
array                a list when its keys are 0..n-1 in order, else an object
object               ``{"$class": name, ...}``; a property is named as ``print_r``
                     does: ``x``, ``x:protected``, ``x:C:private``
enum case, ``C:``    ``{"$class": name, "$case": ...}``, ``{"$class": name, "$data": ...}``
met before           ``{"$ref": n}``: the n-th value, counted from 1 as ``r:n`` counts
==================== ==============================================================

A key that begins with ``$`` gets a second ``$``.
"""

import base64
import math
from collections.abc import Iterator
from typing import TypeAlias

from wpbridge.codec.php_values import (
    PhpArray,
    PhpCustom,
    PhpEnum,
    PhpKey,
    PhpObject,
    PhpValue,
    Slots,
    deref,
    split_name,
)

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
_Target: TypeAlias = list[Plain] | dict[str, Plain]

_Leaf: TypeAlias = bool | int | float | bytes | PhpEnum | PhpCustom | None


def to_plain(value: PhpValue) -> Plain:
    """Return a value as JSON can hold it. A value met before is shown by its number only."""
    slots = Slots()
    root: list[Plain] = []
    open_: list[tuple[_Target, Iterator[tuple[str, PhpValue]]]] = [(root, iter((("", value),)))]
    while open_:
        target, entries = open_[-1]
        for name, item in entries:
            seen = slots.seen(item)
            inner = deref(item)
            if seen is not None:
                _add(target, name, {"$ref": seen})
            elif isinstance(inner, dict | PhpObject):
                shown: _Target = _frame(inner)
                _add(target, name, shown)
                open_.append((shown, _entries(inner)))
                break
            else:
                _add(target, name, _leaf(inner))
        else:
            open_.pop()
    return root[0]


def _add(target: _Target, name: str, shown: Plain) -> None:
    if isinstance(target, list):
        target.append(shown)
    else:
        target[name] = shown


def _frame(value: PhpArray | PhpObject) -> _Target:
    if isinstance(value, PhpObject):
        return {"$class": _printable(value.class_name)}
    return [] if is_list(value) else {}


def is_list(value: PhpArray) -> bool:
    """Tell whether PHP calls an array a list: its keys are 0 to n-1 in order."""
    return all(key == place for place, key in enumerate(value))


def _entries(value: PhpArray | PhpObject) -> Iterator[tuple[str, PhpValue]]:
    if isinstance(value, PhpObject):
        return ((_property_name(key), item) for key, item in value.properties.items())
    return ((_key_name(key), item) for key, item in value.items())


def _key_name(key: PhpKey) -> str:
    text = str(key) if isinstance(key, int) else key.decode("utf-8", "backslashreplace")
    return f"${text}" if text.startswith("$") else text


def _property_name(key: PhpKey) -> str:
    if isinstance(key, int):
        return str(key)
    owner, name = split_name(key)
    shown = _key_name(name)
    if not owner:
        return shown
    return f"{shown}:protected" if owner == "*" else f"{shown}:{_printable(owner)}:private"


def _leaf(value: _Leaf) -> Plain:
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value).upper()}
    if isinstance(value, PhpEnum):
        return {"$class": _printable(value.class_name), "$case": _printable(value.case)}
    if isinstance(value, PhpCustom):
        return {"$class": _printable(value.class_name), "$data": _text(value.data)}
    return value


def _text(value: bytes) -> Plain:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"$base64": base64.b64encode(value).decode()}


def _printable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
