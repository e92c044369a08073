"""Writes JSON as WordPress's ``wp_json_encode`` does, without recursion."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from json.encoder import encode_basestring_ascii
from typing import Final, TypeAlias

from wpbridge.codec.php_values import INT_MAX, INT_MIN, array_key, float_text
from wpbridge.errors import CodecError

MAX_DEPTH: Final = 512

_Members: TypeAlias = Iterator[tuple[str, object]]


class JsonObject(dict[str | bytes, object]):
    """A PHP object. It is written as ``{...}`` even if it is empty or its keys are numbers."""


class JsonWriter:
    """Turns values into JSON.

    Args:
        keep_objects: whether a :class:`JsonObject` is written as an object; else as an array.
        read: turns the bytes of a PHP string into text.
    """

    def __init__(self, *, keep_objects: bool, read: Callable[[bytes], str] = bytes.decode) -> None:
        self.keep_objects = keep_objects
        self.read = read

    def write(self, value: object) -> str:
        """Return a value as JSON.

        Raises:
            CodecError: PHP cannot encode or hold the value.
            UnicodeDecodeError: raised by ``read``.
        """
        out: list[str] = []
        open_: list[_Members] = [iter((("", value),))]
        closers = [""]
        while open_:
            for prefix, item in open_[-1]:
                out.append(prefix)
                if not isinstance(item, list | tuple | dict):
                    out.append(self.scalar(item))
                    continue
                if len(closers) > MAX_DEPTH:
                    raise CodecError(f"args are nested deeper than {MAX_DEPTH}")
                members, brackets = self.members(item)
                out.append(brackets[0])
                open_.append(members)
                closers.append(brackets[1])
                break
            else:
                open_.pop()
                out.append(closers.pop())
        return "".join(out)

    def members(
        self, value: list[object] | tuple[object, ...] | dict[object, object]
    ) -> tuple[_Members, str]:
        """Return the members, each with the text that stands before it, and the two brackets."""
        if isinstance(value, dict):
            if self.keep_objects and isinstance(value, JsonObject):
                return _named({self.read(_name(key)): item for key, item in value.items()}), "{}"
            array = {self.key(key): item for key, item in value.items()}
            if any(key != place for place, key in enumerate(array)):
                return _named(array), "{}"
            value = list(array.values())
        return (("," if place else "", item) for place, item in enumerate(value)), "[]"

    def key(self, key: object) -> int | str:
        """Return a dict's key as PHP holds it: a canonical decimal becomes an int."""
        if isinstance(key, int) and not isinstance(key, bool) and INT_MIN <= key <= INT_MAX:
            return int(key)
        name = array_key(_name(key))
        return name if isinstance(name, int) else self.read(name)

    def scalar(self, value: object) -> str:
        """Return a value without members as JSON."""
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            _utf8(value)
            return _string(value)
        if isinstance(value, int):
            if not INT_MIN <= value <= INT_MAX:
                raise CodecError(f"args: {value} does not fit 64 bit")
            return int.__repr__(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise CodecError(f"args: JSON has no {value}; the plugin would store nothing")
            return float_text(float(value), "e")
        if isinstance(value, bytes):
            return _string(self.read(value))
        raise CodecError(f"args: a {type(value).__name__} cannot be stored")


_PLAIN: Final = frozenset({str, int, bool, type(None)})
_PLAIN_JSON: Final = json.JSONEncoder(separators=(",", ":"))
_BIG: Final = 1 << 63


def flat_text(value: object) -> str | None:
    """Encode a list or dict of plain values, which nearly all args are, with Python's fast encoder.

    None where PHP might write something else: for numbers as names, floats, long ints, DEL, and
    characters that JSON writes as a surrogate pair.
    """
    if type(value) is list:
        members: Iterable[object] = value
    elif type(value) is dict and value:
        if not all(type(key) is str and key[:1].isalpha() for key in value):
            return None
        members = value.values()
    else:
        return None
    for member in members:
        if type(member) not in _PLAIN or (type(member) is int and not -_BIG <= member < _BIG):
            return None
    text = _PLAIN_JSON.encode(value)
    if "\\u007f" in text or "\\ud" in text:
        return None
    return text.replace("/", "\\/")


def repaired(data: bytes) -> str:
    """Decode UTF-8 with a ``?`` for each run of bad bytes, as WordPress's second attempt does."""
    replacement = "\ufffd"  # the data itself may contain it as well
    return replacement.join(
        part.decode("utf-8", "replace").replace(replacement, "?")
        for part in data.split(replacement.encode())
    )


def _named(members: Mapping[str, object] | Mapping[int | str, object]) -> _Members:
    comma = ""
    for key, item in members.items():
        yield f"{comma}{_string(str(key))}:", item
        comma = ","


def _name(key: object) -> bytes:
    if isinstance(key, str):
        return _utf8(key)
    if isinstance(key, bytes):
        return key
    raise CodecError(f"args: {key!r} cannot be a name")


def _string(text: str) -> str:
    # Python escapes DEL and not the slash, PHP escapes the slash and not DEL.
    quoted = "\x7f".join(encode_basestring_ascii(part)[1:-1] for part in text.split("\x7f"))
    return '"' + quoted.replace("/", "\\/") + '"'


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise CodecError(f"args: half a surrogate pair in {text[:50]!r}") from error
