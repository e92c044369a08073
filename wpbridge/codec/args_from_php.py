"""Turns PHP values into the Python values that JSON is written from, or that a handler gets."""

from collections.abc import Iterator
from typing import Final, TypeAlias, cast

from wpbridge.codec.args_encode import MAX_DEPTH, JsonObject, repaired
from wpbridge.codec.php_values import (
    PhpArray,
    PhpBare,
    PhpEnum,
    PhpObject,
    PhpValue,
    array_key,
    deref,
)
from wpbridge.errors import CodecError

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None

MAX_VALUES: Final = 200_000
"""How many values one blob may unfold to. A shared value counts each time it is copied out."""

_Made: TypeAlias = list[object] | dict[str | bytes, object] | JsonObject


def from_php(value: PhpValue) -> object:
    """Turn a PHP value into one from which ``args.encode`` writes the JSON that PHP would write.

    Objects keep their public properties only, as in ``json_encode``. Strings that are not UTF-8
    stay bytes.

    Raises:
        CodecError: the value contains a cycle, over 512 levels, an enum case (whose value is not
            in the blob), or a custom body (``C:``).
    """
    return _rebuilt(value, for_json=True)


def read_php(value: PhpValue) -> JsonValue:
    """Turn a PHP value into one for a handler. An object becomes a dict of all its properties.

    Bytes that are not UTF-8 become ``?``, as a successor would store them.

    Raises:
        CodecError: the value contains a cycle, over 512 levels, or a custom body (``C:``).
    """
    return cast("JsonValue", _rebuilt(value, for_json=False))


def _rebuilt(value: PhpValue, *, for_json: bool) -> object:
    root: list[object] = []
    left = MAX_VALUES
    open_: list[tuple[_Made, Iterator[tuple[bytes, PhpValue]]]] = [(root, iter(((b"", value),)))]
    while open_:
        target, entries = open_[-1]
        for name, item in entries:
            left -= 1
            if left < 0 or len(open_) > MAX_DEPTH + 1:
                raise CodecError("args: the PHP value contains itself, or far too many values")
            inner = deref(item)
            if isinstance(inner, dict | PhpObject):
                made, members = _opened(inner, for_json=for_json)
                _add(target, name, made, for_json=for_json)
                open_.append((made, members))
                break
            _add(target, name, _leaf(inner, for_json=for_json), for_json=for_json)
        else:
            open_.pop()
    return root[0]


def _opened(
    value: PhpArray | PhpObject, *, for_json: bool
) -> tuple[_Made, Iterator[tuple[bytes, PhpValue]]]:
    if isinstance(value, PhpObject):
        members = ((name, item) for owner, name, item in value.named() if not (for_json and owner))
        return (JsonObject() if for_json else {}), members
    is_list = all(_same_key(key, place) for place, key in enumerate(value))
    entries = ((b"%d" % key if isinstance(key, int) else key, item) for key, item in value.items())
    return ([] if is_list else {}), entries


def _same_key(key: int | bytes, place: int) -> bool:
    return (array_key(key) if isinstance(key, bytes) else key) == place


def _add(target: _Made, name: bytes, item: object, *, for_json: bool) -> None:
    if isinstance(target, list):
        target.append(item)
    else:
        target[_text(name, for_json=for_json)] = item


def _leaf(value: PhpBare, *, for_json: bool) -> object:
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, bytes):
        return _text(value, for_json=for_json)
    if isinstance(value, PhpEnum) and not for_json:
        return f"{value.class_name}::{value.case}"
    raise CodecError(f"args: a PHP {type(value).__name__} cannot be read")


def _text(data: bytes, *, for_json: bool) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data if for_json else repaired(data)
