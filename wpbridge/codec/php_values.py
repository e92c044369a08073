"""PHP values as inert Python ones: nothing in a blob is ever called or imported.

========== =====================================================================
PHP        Python
========== =====================================================================
null, bool ``None``, ``bool``
int, float ``int`` (64 bit), ``float``
string     ``bytes``
array      ``dict`` in PHP's order; keys are ``int`` or ``bytes``
object     :class:`PhpObject`, :class:`PhpEnum` or :class:`PhpCustom`
``&``      :class:`PhpReference`, the same box in every place that shares the value
========== =====================================================================
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

PhpKey: TypeAlias = int | bytes
PhpArray: TypeAlias = dict[PhpKey, "PhpValue"]

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
MAX_DEPTH: Final = 512
"""Containers within containers, unless a caller says otherwise."""

_CANONICAL_INT: Final = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})")
_REPR_SWITCHES_AT: Final = 16  # repr() leaves plain notation here, PHP one digit later


@dataclass(slots=True, eq=False)
class PhpObject:
    """An object as data. Equal only to itself, since identity is what ``r:`` records."""

    class_name: str
    """UTF-8; other bytes are kept as surrogate escapes."""
    properties: PhpArray
    """Keyed as stored: ``x`` public, ``\\0*\\0x`` protected, ``\\0C\\0x`` private to class C."""

    def get(self, name: str, default: "PhpBare" = None) -> "PhpBare":
        """The property of that plain name, whatever its visibility.

        A class and its parent may both hold a private one: public comes first, then protected,
        the class's own private, any other private. References are followed.
        """
        plain = name.encode("utf-8", "surrogateescape")
        own = self.class_name.encode("utf-8", "surrogateescape")
        for stored in (plain, b"\0*\0" + plain, b"\0" + own + b"\0" + plain):
            if stored in self.properties:
                return deref(self.properties[stored])
        for key, value in self.properties.items():
            if isinstance(key, bytes) and split_name(key)[1] == plain:
                return deref(value)
        return default

    def named(self) -> Iterator[tuple[str, bytes, "PhpBare"]]:
        """Each property as its owner (see :func:`split_name`), plain name and followed value."""
        for key, value in self.properties.items():
            owner, name = split_name(key if isinstance(key, bytes) else b"%d" % key)
            yield owner, name, deref(value)


@dataclass(frozen=True, slots=True)
class PhpEnum:
    """A case of an enum (``E:``); its backing value is not in the blob."""

    class_name: str
    case: str


@dataclass(slots=True, eq=False)
class PhpCustom:
    """An object that wrote itself (``C:``), in a format only its class knows."""

    class_name: str
    data: bytes


@dataclass(slots=True, eq=False)
class PhpReference:
    """A value shared by ``&``: every place that shares it holds this same box."""

    value: "PhpBare"


PhpBare: TypeAlias = bool | int | float | bytes | PhpArray | PhpObject | PhpEnum | PhpCustom | None
PhpValue: TypeAlias = PhpBare | PhpReference


def deref(value: PhpValue) -> PhpBare:
    """The value itself, out of its box if it is in one."""
    return value.value if isinstance(value, PhpReference) else value


def split_name(key: bytes) -> tuple[str, bytes]:
    """Owner and plain name of a stored property: ``""`` public, ``"*"`` protected, else a class."""
    if key[:1] == b"\0":
        owner, parted, name = key[1:].partition(b"\0")
        if parted:
            return owner.decode("utf-8", "surrogateescape"), name
    return "", key


def array_key(name: bytes) -> PhpKey:
    """A string as PHP uses it for an array key: canonical 64-bit decimals become ints."""
    if _CANONICAL_INT.fullmatch(name) and INT_MIN <= (number := int(name)) <= INT_MAX:
        return number
    return name


def float_text(number: float, exponent: str) -> str:
    """A finite float in PHP's layout at ``serialize_precision = -1``.

    Args:
        number: The shortest digits that read back as it are written, without a trailing ``.0``.
        exponent: ``"E"`` as in serialize, ``"e"`` as in JSON.
    """
    text = repr(number)
    mantissa, marked, power = text.partition("e")
    if not marked:
        return text.removesuffix(".0")
    if int(power) == _REPR_SWITCHES_AT:
        whole, _, fraction = mantissa.partition(".")
        return whole + fraction.ljust(_REPR_SWITCHES_AT, "0")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}{exponent}{int(power):+d}"


class Slots:
    """The numbers ``r:`` and ``R:`` speak of, counted as PHP counts while it writes.

    Every value takes the next number, an object met again too; only a shared place met again
    takes none. Keys and names are not counted.
    """

    __slots__ = ("_count", "_numbers")

    def __init__(self) -> None:
        self._count = 0
        self._numbers: dict[int | PhpEnum, int] = {}

    def seen(self, value: PhpValue) -> int | None:
        """The number under which a value was written before; else None, and it is counted now."""
        self._count += 1
        shared = isinstance(value, PhpReference)
        # A reference to an object counts as the object.
        inner = deref(value)
        if isinstance(inner, PhpObject | PhpCustom):
            identity: int | PhpEnum = id(inner)
        elif isinstance(inner, PhpEnum):
            identity = inner  # a case exists once, however often it was built here
        elif shared:
            identity = id(value)
        else:
            return None
        number = self._numbers.setdefault(identity, self._count)
        if number == self._count:
            return None
        if shared:
            self._count -= 1
        return number
