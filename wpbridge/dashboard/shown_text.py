r"""Make what stands in the tables fit to be looked at: masked, cut, and without hidden characters.

Anybody may have written it. The pages escape it for HTML, which is not done here. A character that
is not printable is shown as a code such as ``\u202e``, so nothing on a page can hide or turn round.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wpbridge.codec import args as args_codec
from wpbridge.codec.jsontext import is_finite
from wpbridge.dashboard.hidden_values import MASK, hide, is_hidden
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError
from wpbridge.telling.visible import visible, visible_json

MOST_CHARACTERS: Final = 2048
_DEEPEST: Final = 40
_NAMES: Final = frozenset({"name", "key", "header", "field"})
"""Members of an object that may name the one that is called ``value``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A text that may be shown."""

    text: str
    is_cut: bool = False
    """Whether the rest was left out."""
    is_masked: bool = False
    """Whether something in it is hidden."""


def shown_text(text: str, patterns: Sequence[str], most: int = MOST_CHARACTERS) -> Shown:
    """Return a text of a log or an error: lines stay lines, values of masked names are hidden."""
    # What lies far beyond is not even looked at.
    part = text[: most * 4]
    masked = hide(part, patterns)
    lines = "\n".join(visible(line) for line in masked[: most + 1].splitlines())
    is_cut = len(lines) > most or len(masked) > most or len(text) > len(part)
    return Shown(text=lines[:most], is_cut=is_cut, is_masked=masked != part)


def shown_args(args: bytes, patterns: Sequence[str], most: int = MOST_CHARACTERS) -> Shown:
    """Return args as JSON with indents. Args that cannot be read are shown as they stand."""
    try:
        value: Any = args_codec.decode(args).mapping
    except CodecError:
        return shown_text(args.decode("utf-8", "backslashreplace"), patterns, most)
    if not is_finite(value):
        return shown_text(args.decode("utf-8", "backslashreplace"), patterns, most)
    return shown_value(value, patterns, most)


def short_args(args: bytes, patterns: Sequence[str], most: int = 120) -> str:
    """Return args on one line, for a list; masked and cut as :func:`shown_args` does it."""
    try:
        value: Any = args_codec.decode(args).mapping
    except CodecError:
        return shown_text(args.decode("utf-8", "backslashreplace"), patterns, most).text
    if not value:
        return ""
    if not is_finite(value):
        return shown_text(args.decode("utf-8", "backslashreplace"), patterns, most).text
    text = visible_json(_masked(value, patterns, _DEEPEST))
    return text if len(text) <= most else f"{text[:most]}…"


def short_text(text: str, patterns: Sequence[str], most: int = 120) -> str:
    """Return the beginning of a text on one line, for a list; masked as :func:`shown_text`."""
    line = visible(hide(text[: most * 4], patterns))
    return line if len(line) <= most else f"{line[:most]}…"


def shown_result(result: str, patterns: Sequence[str], most: int = MOST_CHARACTERS) -> Shown:
    """Return what a handler has returned, which is JSON, as args are shown."""
    try:
        return shown_value(json.loads(result), patterns, most)
    except (ValueError, RecursionError):
        return shown_text(result, patterns, most)


def shown_value(value: Any, patterns: Sequence[str], most: int = MOST_CHARACTERS) -> Shown:
    """Return a JSON value with indents. Values whose names fit a pattern are hidden."""
    masked = _masked(value, patterns, _DEEPEST)
    text = visible_json(masked, indent=2)
    return Shown(text=text[:most], is_cut=len(text) > most, is_masked=masked != value)


def _masked(value: Any, patterns: Sequence[str], depth: int) -> Any:
    if depth == 0:
        return "…"
    match value:
        case Mapping():
            named = _is_named(value, patterns)
            return {
                name: MASK
                if is_hidden(str(name), patterns) or (named and str(name).casefold() == "value")
                else _masked(one, patterns, depth - 1)
                for name, one in value.items()
            }
        case list() | tuple():
            return [_masked(one, patterns, depth - 1) for one in value]
        case str():
            return hide(value, patterns)
        case _:
            return value


def _is_named(value: Mapping[Any, Any], patterns: Sequence[str]) -> bool:
    """Tell whether an object has a value beside its name, such as a header, that is hidden."""
    told = (one for name, one in value.items() if str(name).casefold() in _NAMES)
    return any(isinstance(one, str) and is_hidden(one, patterns) for one in told)
