"""Reads what PHP's ``serialize`` wrote, as ``unserialize`` does, without recursion.

PHP ignores bytes after the value. Here they are an error, unless the caller allows them.
"""

import re
from typing import Final, NamedTuple

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
    array_key,
    deref,
)
from wpbridge.errors import CodecError

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_ITEMS: Final = 1_000_000

_SCALAR: Final = re.compile(
    rb"N;"
    rb"|b:([01]);"
    rb"|i:([+-]?[0-9]+);"
    rb"|d:([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-?INF|NAN);"
)
_BOOL, _INT, _FLOAT = 1, 2, 3
# PHP accepts any number of zeros before a length. No length has more than twenty digits.
_STRING: Final = re.compile(rb's:0*([0-9]{1,20}):"')
_ESCAPED: Final = re.compile(rb'S:0*([0-9]{1,20}):"')
_ARRAY: Final = re.compile(rb"a:0*([0-9]{1,20}):\{")
_NAMED: Final = re.compile(rb'[OCE]:0*([0-9]{1,20}):"')
# An object's count, and the length of a custom body, may have a sign, or no digits for 0.
_COUNT: Final = re.compile(rb":(?:\+|-(?=0*:))?0*([0-9]{0,20}):\{")
_BACK: Final = re.compile(rb"[rR]:0*([0-9]{1,20});")
_INT_DIGITS: Final = len(str(INT_MAX))
_CLASS_NAME: Final = re.compile(rb"[0-9A-Za-z_\\\x7f-\xff]+")
_ESCAPE: Final = re.compile(rb"\\([0-9A-Fa-f]{2})")
_SMALLEST_ENTRY_BYTES: Final = len(b"i:0;N;")


class _Open(NamedTuple):
    """A container whose end has not been reached yet."""

    entries: PhpArray
    left: list[int]
    is_object: bool


def decode(
    data: bytes,
    *,
    max_depth: int = MAX_DEPTH,
    max_bytes: int = MAX_BYTES,
    max_items: int = MAX_ITEMS,
    ignore_rest: bool = False,
) -> PhpBare:
    """Return the value in a serialized text.

    Args:
        data: the whole text.
        max_depth: how deep containers may be nested.
        max_bytes: how long ``data`` may be.
        max_items: how many entries all containers together may have.
        ignore_rest: whether to ignore what follows the value, as PHP does, or to raise.

    Raises:
        CodecError: the text is damaged or exceeds a limit. ``offset`` is the byte where reading
            stopped. Even for hostile input the cost is bounded by the length of ``data``.
    """
    if len(data) > max_bytes:
        raise CodecError(f"{len(data)} bytes are more than the {max_bytes} allowed", offset=0)
    reader = _Reader(data, max_depth, max_items)
    value = reader.read()
    if reader.at != len(data) and not ignore_rest:
        raise reader.error("bytes after the value")
    return value


class _Reader:
    """Reads one text once, from its start to the end of its value."""

    def __init__(self, data: bytes, max_depth: int, max_items: int) -> None:
        self.data = data
        self.at = 0
        self.max_depth = max_depth
        self.items_left = max_items
        self.open: list[_Open] = []
        # Slot n is the place holders[n - 1][keys[n - 1]]. R: puts a PhpReference there.
        self.holders: list[PhpArray] = []
        self.keys: list[PhpKey] = []

    def read(self) -> PhpBare:
        """Read the value. It is the entry of a root array, so that ``R:1`` can refer to it."""
        root: PhpArray = {}
        self.value_into(root, 0)
        while self.open:
            entries, left, is_object = self.open[-1]
            if left[0]:
                left[0] -= 1
                self.value_into(entries, self.key(normalise=not is_object))
            elif self.data[self.at : self.at + 1] == b"}":
                self.at += 1
                self.open.pop()
            else:
                raise self.error("the container should end here")
        return deref(root[0])

    def value_into(self, entries: PhpArray, key: PhpKey) -> None:
        """Read the next value, or the head of a container, into its place."""
        kind = self.data[self.at : self.at + 1]
        if kind == b"R":
            entries[key] = self.shared(entries, key)
            return
        self.holders.append(entries)
        self.keys.append(key)
        if kind == b"s":
            entries[key] = self.string()
        elif kind == b"a":
            inner: PhpArray = {}
            entries[key] = inner
            self.enter(inner, self.number(_ARRAY), is_object=False)
        elif kind == b"O":
            made = PhpObject(self.class_name(), {})
            entries[key] = made
            self.enter(made.properties, self.number(_COUNT), is_object=True)
        else:
            # The slot is counted before the value is read, but has no value until then.
            entries[key] = self.rare(kind) if kind in (b"S", b"r", b"E", b"C") else self.scalar()

    def scalar(self) -> PhpBare:
        match = _SCALAR.match(self.data, self.at)
        if match is None:
            raise self.error("no PHP value")
        self.at = match.end()
        group = match.lastindex
        if group is None:
            return None
        if group == _INT:
            return _saturated(match[_INT])
        return match[_BOOL] == b"1" if group == _BOOL else float(match[_FLOAT])

    def rare(self, kind: bytes) -> PhpBare:
        """Read one of the kinds that hardly ever occur in schedules."""
        if kind == b"S":
            return self.escaped_string()
        if kind == b"r":
            return self.same_object()
        if kind == b"E":
            return self.enum_case()
        return self.custom()

    def key(self, *, normalise: bool) -> PhpKey:
        """Read an array's key, or an object's property name, which never becomes an int."""
        kind = self.data[self.at : self.at + 1]
        if kind == b"i":
            start = self.at
            number = self.scalar()
            if isinstance(number, int):
                return number
            raise self.error("no key", start)
        if kind not in (b"s", b"S"):
            raise self.error("no key")
        name = self.string() if kind == b"s" else self.escaped_string()
        return array_key(name) if normalise else name

    def string(self) -> bytes:
        size = self.number(_STRING)
        start = self.at
        self.skip(start + size, b'";')
        return self.data[start : start + size]

    def escaped_string(self) -> bytes:
        r"""Read a string in which ``\41`` means one byte. PHP 6 wrote these; all PHPs read them."""
        size = self.number(_ESCAPED)
        out = bytearray()
        while len(out) < size:
            char = self.data[self.at : self.at + 1]
            escape = _ESCAPE.match(self.data, self.at) if char == b"\\" else None
            if not char or (char == b"\\" and escape is None):
                raise self.error("the string is cut short")
            out += bytes.fromhex(escape[1].decode()) if escape else char
            self.at += 3 if escape else 1
        self.skip(self.at, b'";')
        return bytes(out)

    def enter(self, entries: PhpArray, count: int, *, is_object: bool) -> None:
        """Open a container. A count is refused at once if the rest of the text is too short."""
        if len(self.open) >= self.max_depth:
            raise self.error(f"nested deeper than {self.max_depth}")
        if count * _SMALLEST_ENTRY_BYTES > len(self.data) - self.at:
            raise self.error(f"{count} entries announced, too few bytes left")
        self.items_left -= count
        if self.items_left < 0:
            raise self.error("too many entries")
        self.open.append(_Open(entries, [count], is_object))

    def class_name(self) -> str:
        start = self.at
        name = self.quoted()
        if _CLASS_NAME.fullmatch(name) is None:
            raise self.error("no class name", start)
        return name.decode("utf-8", "surrogateescape")

    def quoted(self) -> bytes:
        size = self.number(_NAMED)
        start = self.at
        self.skip(start + size, b'"')
        return self.data[start : start + size]

    def enum_case(self) -> PhpEnum:
        start = self.at
        name, parted, case = self.quoted().rpartition(b":")
        if not parted or not case or _CLASS_NAME.fullmatch(name) is None:
            raise self.error("no enum case", start)
        self.skip(self.at, b";")
        escapes = "surrogateescape"
        return PhpEnum(name.decode("utf-8", escapes), case.decode("utf-8", escapes))

    def custom(self) -> PhpCustom:
        """Read a custom body. PHP may have counted slots inside it, which are unknown here."""
        name = self.class_name()
        size = self.number(_COUNT)
        start = self.at
        self.skip(start + size, b"}")
        return PhpCustom(name, self.data[start : start + size])

    def same_object(self) -> PhpBare:
        start = self.at
        entries, key = self.place()
        found = deref(entries.get(key))
        if not isinstance(found, PhpObject | PhpEnum | PhpCustom):
            raise self.error("r: names no object", start)
        return found

    def shared(self, entries: PhpArray, key: PhpKey) -> PhpReference:
        """Return the reference at the slot that ``R:`` names. Its value becomes one if needed."""
        start = self.at
        holder, name = self.place()
        if name not in holder or (holder is entries and name == key):
            raise self.error("R: names no value", start)
        found = holder[name]
        if not isinstance(found, PhpReference):
            found = holder[name] = PhpReference(found)
        return found

    def place(self) -> tuple[PhpArray, PhpKey]:
        start = self.at
        number = self.number(_BACK)
        if not 1 <= number <= len(self.keys):
            raise self.error(f"there is no slot {number}", start)
        return self.holders[number - 1], self.keys[number - 1]

    def number(self, pattern: re.Pattern[bytes]) -> int:
        match = pattern.match(self.data, self.at)
        if match is None:
            raise self.error("no length or count")
        self.at = match.end()
        return int(match[1] or 0)

    def skip(self, at: int, expected: bytes) -> None:
        """Go to a later byte, check that the expected bytes stand there, and go past them."""
        end = at + len(expected)
        if self.data[at:end] != expected:
            raise self.error(f"{expected.decode()} should stand at byte {at}")
        self.at = end

    def error(self, message: str, at: int | None = None) -> CodecError:
        where = self.at if at is None else at
        if where >= len(self.data):
            message = f"the text ends too early: {message}"
        return CodecError(f"PHP data: {message}", offset=where)


def _saturated(text: bytes) -> int:
    """Return a whole number, cut to 64 bit as in PHP."""
    digits = text.lstrip(b"+-").lstrip(b"0")
    size = int(digits or b"0") if len(digits) <= _INT_DIGITS else INT_MAX + 1
    return max(-size, INT_MIN) if text.startswith(b"-") else min(size, INT_MAX)
