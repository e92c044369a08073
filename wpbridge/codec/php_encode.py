"""Writes PHP values byte for byte as PHP's ``serialize`` does, without recursion."""

import math
from collections.abc import Iterator

from wpbridge.codec.php_values import (
    INT_MAX,
    INT_MIN,
    MAX_DEPTH,
    PhpArray,
    PhpBare,
    PhpCustom,
    PhpEnum,
    PhpKey,
    PhpObject,
    PhpReference,
    PhpValue,
    Slots,
    array_key,
    deref,
    float_text,
)
from wpbridge.errors import CodecError


def encode(value: PhpValue, *, max_depth: int = MAX_DEPTH) -> bytes:
    """Return a value in PHP's serialize format.

    An object that was written before becomes ``r:n``, and such a :class:`PhpReference` ``R:n``.

    Raises:
        CodecError: PHP has no type for the value, an int has over 64 bit, or the nesting is deeper
            than ``max_depth``. An array that contains itself without a reference is too deep.
    """
    out: list[bytes] = []
    slots = Slots()
    open_: list[Iterator[tuple[bytes, PhpValue]]] = [iter(((b"", value),))]
    while open_:
        for key, item in open_[-1]:
            out.append(key)
            seen = slots.seen(item)
            if seen is not None:
                out.append(b"%s:%d;" % (b"R" if isinstance(item, PhpReference) else b"r", seen))
                continue
            inner = deref(item)
            if isinstance(inner, dict | PhpObject):
                if len(open_) > max_depth:
                    raise CodecError(f"PHP data: nested deeper than {max_depth}")
                head, entries = _container(inner)
                out.append(head)
                open_.append(entries)
                break
            out.append(_leaf(inner))
        else:
            open_.pop()
            out.append(b"}")
    return b"".join(out[:-1])  # the last brace closes no container: the root is no entry of one


def string(value: bytes) -> bytes:
    """Return a string in PHP's serialize format."""
    return b's:%d:"%s";' % (len(value), value)


def _container(value: PhpArray | PhpObject) -> tuple[bytes, Iterator[tuple[bytes, PhpValue]]]:
    if isinstance(value, PhpObject):
        name = _bytes(value.class_name)
        entries = value.properties
        head = b'O:%d:"%s":%d:{' % (len(name), name, len(entries))
    else:
        entries = value
        if any(isinstance(key, bytes) and array_key(key) != key for key in entries):
            entries = {_array_key(key): item for key, item in entries.items()}
        head = b"a:%d:{" % len(entries)
    return head, ((_key(key), item) for key, item in entries.items())


def _array_key(key: PhpKey) -> PhpKey:
    return array_key(key) if isinstance(key, bytes) else key


def _key(key: object) -> bytes:
    if isinstance(key, bytes):
        return string(key)
    if isinstance(key, int) and INT_MIN <= key <= INT_MAX:
        return b"i:%d;" % key
    raise CodecError(f"PHP data: {key!r} cannot be a key")


def _leaf(value: PhpBare) -> bytes:  # noqa: PLR0911 - one return a type
    if value is None:
        return b"N;"
    if isinstance(value, bool):
        return b"b:%d;" % value
    if isinstance(value, int):
        if not INT_MIN <= value <= INT_MAX:
            raise CodecError(f"PHP data: {value} does not fit 64 bit")
        return b"i:%d;" % value
    if isinstance(value, float):
        return b"d:%s;" % _float(value)
    if isinstance(value, bytes):
        return string(value)
    if isinstance(value, PhpEnum):
        case = _bytes(f"{value.class_name}:{value.case}")
        return b'E:%d:"%s";' % (len(case), case)
    if isinstance(value, PhpCustom):
        name = _bytes(value.class_name)
        return b'C:%d:"%s":%d:{%s}' % (len(name), name, len(value.data), value.data)
    raise CodecError(f"PHP data: a {type(value).__name__} has no PHP type")


def _float(value: float) -> bytes:
    if math.isfinite(value):
        return float_text(value, "E").encode()
    if math.isnan(value):
        return b"NAN"
    return b"INF" if value > 0 else b"-INF"


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
