"""PHP values to the Python ones that :mod:`wpbridge.codec.args` writes, or hands to a handler."""

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
"""Shared values are copied out each time, and a few bytes can share very many."""

_Made: TypeAlias = list[object] | dict[str | bytes, object] | JsonObject


def from_php(value: PhpValue) -> object:
    """A value as ``args.encode`` takes it to write what PHP would.

    Objects keep their public properties only, as ``json_encode`` sees them, and strings that are
    not UTF-8 stay bytes.

    Raises:
        CodecError: For cycles and nesting over 512 levels, enum cases (their value is not in
            the blob) and ``C:`` bodies.
    """
    return _rebuilt(value, for_json=True)


def read_php(value: PhpValue) -> JsonValue:
    """A value as a handler takes it: objects are dicts of all their properties by plain name.

    Bytes that are not UTF-8 become ``?``, as the next repeat would store them.

    Raises:
        CodecError: For cycles and nesting over 512 levels, and ``C:`` bodies.
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
                raise CodecError("args: the PHP value holds itself, or far too much")
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
