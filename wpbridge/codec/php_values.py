"""The Python values that stand for PHP values. Nothing in a blob is ever called or imported.

========== =====================================================================
PHP        Python
========== =====================================================================
null, bool ``None``, ``bool``
int, float ``int`` (64 bit), ``float``
string     ``bytes``
array      ``dict`` in PHP's order; keys are ``int`` or ``bytes``
object     :class:`PhpObject`, :class:`PhpEnum` or :class:`PhpCustom`
``&``      :class:`PhpReference`, the same object in every place that shares the value
========== =====================================================================
"""

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from wpbridge.dataclass import dataclass

PhpKey: TypeAlias = int | bytes
PhpArray: TypeAlias = dict[PhpKey, "PhpValue"]

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
MAX_DEPTH: Final = 512
"""How deep arrays and objects may be nested, unless a caller says otherwise."""

_CANONICAL_INT: Final = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})")
_REPR_SWITCHES_AT: Final = 16
"""From this power of ten on repr() writes an exponent. PHP does so one digit later."""


@dataclass(slots=True, eq=False)
class PhpObject:
    """A PHP object as data. It equals only itself, since ``r:`` refers to one object."""

    class_name: str
    """Decoded from UTF-8. Other bytes are kept as surrogate escapes."""
    properties: PhpArray
    """Keyed as stored: ``x`` public, ``\\0*\\0x`` protected, ``\\0C\\0x`` private to class C."""

    def get(self, name: str, default: "PhpBare" = None) -> "PhpBare":
        """Return the property of a plain name, whatever its visibility. References are followed.

        Several properties may have this name, since a class and its parent may both have a private
        one. The order is: public, protected, private to this class, private to any other.
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
        """Yield each property: its owner (see :func:`split_name`), plain name and bare value."""
        for key, value in self.properties.items():
            owner, name = split_name(key if isinstance(key, bytes) else b"%d" % key)
            yield owner, name, deref(value)


@dataclass(frozen=True, slots=True)
class PhpEnum:
    """A case of an enum (``E:``). The blob does not contain the value behind the case."""

    class_name: str
    case: str


@dataclass(slots=True, eq=False)
class PhpCustom:
    """An object with a custom body (``C:``), in a format that only its class can read."""

    class_name: str
    data: bytes


@dataclass(slots=True, eq=False)
class PhpReference:
    """A value shared by ``&``. Every place that shares it contains this same object."""

    value: "PhpBare"


PhpBare: TypeAlias = bool | int | float | bytes | PhpArray | PhpObject | PhpEnum | PhpCustom | None
PhpValue: TypeAlias = PhpBare | PhpReference


def deref(value: PhpValue) -> PhpBare:
    """Return the value behind a reference. Any other value is returned as it is."""
    return value.value if isinstance(value, PhpReference) else value


def split_name(key: bytes) -> tuple[str, bytes]:
    """Return a stored property's owner and plain name.

    The owner is ``""`` for a public property, ``"*"`` for a protected one, and for a private one
    the name of its class.
    """
    if key[:1] == b"\0":
        owner, parted, name = key[1:].partition(b"\0")
        if parted:
            return owner.decode("utf-8", "surrogateescape"), name
    return "", key


def array_key(name: bytes) -> PhpKey:
    """Return a string as PHP uses it for an array key: a canonical decimal becomes an int."""
    if _CANONICAL_INT.fullmatch(name) and INT_MIN <= (number := int(name)) <= INT_MAX:
        return number
    return name


def float_text(number: float, exponent: str) -> str:
    """Write a finite float as PHP does at ``serialize_precision = -1``.

    That is with the fewest digits that read back as the same number, without a trailing ``.0``.

    Args:
        number: the float.
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
    """Counts the slots that ``r:`` and ``R:`` refer to, as PHP counts them while it writes.

    Every value takes the next number, also an object that was written before. Only a reference
    (``&``) that was written before takes none. Keys and names are not counted.
    """

    __slots__ = ("_count", "_numbers")

    def __init__(self) -> None:
        self._count = 0
        self._numbers: dict[int | PhpEnum, int] = {}

    def seen(self, value: PhpValue) -> int | None:
        """Count a value; return the number under which it was written before, or else None."""
        self._count += 1
        shared = isinstance(value, PhpReference)
        # A reference to an object counts as the object itself.
        inner = deref(value)
        if isinstance(inner, PhpObject | PhpCustom):
            identity: int | PhpEnum = id(inner)
        elif isinstance(inner, PhpEnum):
            identity = inner  # in PHP a case exists once, so equal cases count as the same
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
