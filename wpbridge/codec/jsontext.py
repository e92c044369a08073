"""Writes JSON that every reader accepts, without the ``Infinity`` and ``NaN`` of Python's writer.

PHP reads the number ``1E400`` as INF, so args, and reports about them, may contain such numbers.
"""

import json
import math
from collections.abc import Callable
from typing import Any


def dumps(
    value: object,
    *,
    ensure_ascii: bool = True,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """Write a value as JSON. Numbers that JSON cannot hold become the texts INF, -INF and NAN."""
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        default=default,
        allow_nan=False,
    )
    try:
        return encoder.encode(value)
    except ValueError:
        return encoder.encode(_with_texts(value))


def is_finite(value: object) -> bool:
    """Tell whether JSON can hold all numbers in a decoded value."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _with_texts(value: object) -> object:
    if isinstance(value, dict):
        return {name: _with_texts(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_texts(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NAN" if math.isnan(value) else "INF" if value > 0 else "-INF"
    return value
