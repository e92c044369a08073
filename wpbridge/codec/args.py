"""Reads and writes an action's args: JSON as PHP writes it, and the values that a callback gets.

PHP has one kind of array. So a Python list means the same here as a dict with the keys 0 to n-1 in
order, and ``[]`` means the same as ``{}``.
"""

import json
import re
from typing import AnyStr, Final, NoReturn

from wpbridge.codec import php
from wpbridge.codec.args_encode import JsonObject, JsonWriter, flat_text, repaired
from wpbridge.codec.args_from_php import JsonValue, from_php, read_php
from wpbridge.codec.php_values import INT_MAX, INT_MIN
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError

__all__ = [
    "Args",
    "JsonObject",
    "JsonValue",
    "canonical",
    "chosen",
    "columns",
    "decode",
    "encode",
    "encode_new",
    "from_php",
]

MAX_COLUMN_BYTES: Final = 191
MAX_BYTES: Final = 8000
DECODE_DEPTH: Final = 511
"""How deep args may be nested. PHP's reader stops one level before its writer does."""

_TOO_LONG: Final = (
    "ActionScheduler_Action::$args too long. To ensure the args column can be indexed, action "
    f"args should not be more than {MAX_BYTES} characters when encoded as JSON."
)
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)
_LONE_SURROGATE: Final = re.compile(
    r"\\u[dD][89abAB]..\\u[dD][c-fC-F]|\\(?!u[dD][89a-fA-F]).|(\\)", re.DOTALL
)
_LONG_NUMBER: Final = re.compile(r"[0-9]{19}")
_INT_TEXT_BYTES: Final = len(str(INT_MIN))
_PHP_HEADS: Final = (b"a:", b"O:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Args:
    """The decoded args of an action."""

    mapping: list[JsonValue] | dict[str, JsonValue]
    """A list where PHP sees a list, else a dict from names to values in stored order."""

    @property
    def values(self) -> tuple[JsonValue, ...]:
        """Return what a PHP callback gets: the values by position, without their names."""
        return tuple(self.mapping if isinstance(self.mapping, list) else self.mapping.values())


def encode(value: object, *, repair: bool = True) -> str:
    """Write a value as the plugin's ``wp_json_encode`` does: in ASCII, except for a raw DEL.

    Args:
        value: None, bool, int, float, str, bytes (a PHP string, perhaps not UTF-8), lists,
            tuples, and dicts keyed by int, str or bytes. A :class:`JsonObject` stays an object
            even if it is empty or its keys are numbers.
        repair: whether to write a question mark for bytes that are not UTF-8, as WordPress does.

    Raises:
        CodecError: PHP cannot hold the value, or cannot encode it (NaN, infinity, more than 512
            levels). The plugin would then store an empty text that nothing can read.
    """
    flat = flat_text(value)
    if flat is not None:
        return flat
    try:
        return JsonWriter(keep_objects=True).write(value)
    except UnicodeDecodeError as error:
        if not repair:
            raise CodecError("args: bytes that are not UTF-8") from error
        return JsonWriter(keep_objects=True, read=repaired).write(value)


def canonical(mapping: JsonValue) -> str:
    """Write decoded args as a successor stores them, after PHP has decoded and encoded them.

    PHP decodes every object to an array, so ``{}`` is written as ``[]`` at any depth.
    """
    return JsonWriter(keep_objects=False).write(mapping)


def columns(json_text: str) -> tuple[str, str | None]:
    """Return what goes into the columns ``args`` and ``extended_args``.

    A text of over 191 bytes goes into ``extended_args``, and its md5 into ``args``.

    Raises:
        CodecError: the text has over 8,000 bytes. The plugin refuses it too.
    """
    data = json_text.encode()
    if len(data) > MAX_BYTES:
        raise CodecError(_TOO_LONG)
    if len(data) <= MAX_COLUMN_BYTES:
        return json_text, None
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and few args are so long

    return hashlib.md5(data, usedforsecurity=False).hexdigest(), json_text


def chosen(short: AnyStr, extended: AnyStr | None) -> AnyStr:
    """Return the column that holds the args, as PHP chooses: unless it is empty, the longer one.

    For PHP a text of "0" is empty, too.
    """
    return extended if extended and extended not in {"0", b"0"} else short


def encode_new(value: object) -> str:
    """Write args that are to be stored.

    Raises:
        CodecError: the plugin would refuse them, or could not read them back.
    """
    text = encode(value, repair=False)
    if len(text) > MAX_BYTES:
        columns(text)
    if text.count("[") + text.count("{") > DECODE_DEPTH:
        # One level more can be written than read.
        decode(text.encode())
    return text


def decode(text: bytes) -> Args:
    """Read stored args as PHP's ``json_decode`` to arrays does.

    Texts in PHP's serialize format, which old or foreign writers have left, are read as well.

    Raises:
        CodecError: the plugin would call the row corrupt. ``offset`` is set if it is known.
    """
    mapping = read_php(php.decode(text)) if text.startswith(_PHP_HEADS) else _parse(text)
    if not isinstance(mapping, list | dict):
        raise CodecError("args hold a single value, no array", offset=0)
    return Args(mapping=mapping)


def _parse(data: bytes) -> JsonValue:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise CodecError("args are not UTF-8", offset=error.start) from error
    if text.count("[") + text.count("{") > DECODE_DEPTH:
        _check_depth(text)
    if "\\u" in text:
        _check_surrogates(text)
    try:
        has_long = _LONG_NUMBER.search(text)
        parsed = _read_whole(_LONG_NUMBERS if has_long else _DECODER, text)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode())
        raise CodecError(f"args are no JSON: {error.msg}", offset=offset) from error
    except RecursionError as error:
        raise CodecError("args are nested too deep to be read from here") from error
    return parsed


def _read_whole(decoder: json.JSONDecoder, text: str) -> JsonValue:
    """Read a text. One without blanks around it, as most are, is read in half the time."""
    parsed: JsonValue
    try:
        parsed, end = decoder.raw_decode(text)
    except json.JSONDecodeError:
        end = -1
    return parsed if end == len(text) else decoder.decode(text)


def _as_php_array(members: dict[str, JsonValue]) -> list[JsonValue] | dict[str, JsonValue]:
    if members and next(iter(members)) != "0":
        return members
    if all(name == str(place) for place, name in enumerate(members)):
        return list(members.values())
    return members


def _int(digits: str) -> int | float:
    if len(digits) <= _INT_TEXT_BYTES and INT_MIN <= (number := int(digits)) <= INT_MAX:
        return number
    return float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise CodecError(f"args are no JSON: {name}")


_DECODER: Final = json.JSONDecoder(object_hook=_as_php_array, parse_constant=_refuse_constant)
_LONG_NUMBERS: Final = json.JSONDecoder(
    object_hook=_as_php_array, parse_constant=_refuse_constant, parse_int=_int
)


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        if match[1]:
            depth += 1
            if depth > DECODE_DEPTH:
                offset = len(text[: match.start()].encode())
                raise CodecError(f"args are nested deeper than {DECODE_DEPTH}", offset=offset)
        elif match[2]:
            depth -= 1


def _check_surrogates(text: str) -> None:
    """Raise CodecError for half a surrogate pair, which PHP refuses and Python would accept."""
    for match in _LONE_SURROGATE.finditer(text):
        if match[1]:
            offset = len(text[: match.start()].encode())
            raise CodecError("args hold half a surrogate pair", offset=offset)
