r"""What the text columns of one site's tables can hold.

A server that is not strict, as WordPress's sessions have it, stores a question mark for a character
that a column's character set does not have, and cuts what is too long. Here it is known before
anything is written: :meth:`Texts.why_not` refuses a text, :meth:`Texts.shown` writes what is
missing as ``\u{1F600}``, for log rows, which must never keep an action from ending.

The columns are looked at once, with the tables. Of a character set that is not UTF-8 the server is
asked what it has, once for each character.
"""

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from sqlalchemy import Connection

from wpbridge.errors import InputError
from wpbridge.store.schema.charsets import PLAIN, UTF8, WIDE, to_bytes

Place: TypeAlias = tuple[str, str]
"""A table's name and a column's."""

_ODD: Final = frozenset({"sjis", "swe7", "ucs2", "utf16", "utf16le", "utf32"})
"""Character sets in which some of ASCII is not written as ASCII."""
_NO_UTF8: Final = "it holds half a surrogate pair, or a byte that is not UTF-8"
_ASKED_AT_ONCE: Final = 200
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Column:
    """A text column. SQLite's hold all there is."""

    charset: str = PLAIN
    characters: int | None = None
    """The most it holds; None for no limit."""
    octets: int | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """One character of a text, as the session sends it."""

    text: str
    units: tuple[bytes, ...]
    """What the server takes it for: one character in UTF-8, one for each byte elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The columns of one site, and the character set of the sessions that write to them."""

    session: str = PLAIN
    columns: Mapping[Place, Column] = field(default_factory=dict)
    """By table and column in lower case."""
    is_foreign: bool = False
    """Whether PHP would read other characters than those that are sent; only ASCII is safe."""
    _known: dict[tuple[str, bytes], int | None] = field(default_factory=dict)
    """By character set and unit: how many bytes the unit takes there; None where it has none."""

    def spoken(self, session: str) -> "Texts":
        """The same for a connection of the caller's own, whose driver sends what it likes."""
        is_foreign = not {session, self.session} <= UTF8
        return replace(self, session=session, is_foreign=is_foreign, _known={})

    def check(self, texts: Iterable[str]) -> None:
        """InputError for a text that the session cannot even ask for."""
        for text in texts:
            if not text.isascii() and not all(part.units for part in _parts(text, self.session)):
                raise InputError(f"{_escaped(text)}: {_NO_UTF8}")

    def written_out(self, text: str) -> str:
        """A text with escapes for what the session cannot send at all."""
        missing = [part.text for part in _distinct(text, self.session) if not part.units]
        if self.session in WIDE:
            return _escaped(text) if missing else text
        return text.translate({ord(char): _escaped(char) for char in missing}) if missing else text

    def holds(self, connection: Connection, place: Place, text: str) -> bool:
        """Whether a column has all characters of a text, however many they are."""
        return not self.why_not(connection, place, text, any_length=True)

    def why_not(
        self, connection: Connection, place: Place, text: str, *, any_length: bool = False
    ) -> str:
        """Why a column cannot hold a text as it is; empty if it can.

        ``any_length``: only characters that it does not have count.
        """
        column = self._column(place)
        if quick := self._quick(column, text):
            return "" if any_length else _too_long(column, *quick)
        counts = _distinct(text, self.session)
        sizes = self._sizes(connection, column.charset, list(counts))
        units = octets = 0
        for (part, count), size in zip(counts.items(), sizes, strict=True):
            if size is None:
                return self._missing(part.text, column.charset)
            units, octets = units + count * len(part.units), octets + count * size
        return "" if any_length else _too_long(column, units, octets)

    def fault(self, connection: Connection, given: Iterable[tuple[str, Place, str | None]]) -> str:
        """Why some of these texts cannot be held, each with its name; empty if all can be."""
        for name, place, text in given:
            if text and (why := self.why_not(connection, place, text)):
                return f"{name}: {why}"
        return ""

    def shown(
        self,
        connection: Connection,
        place: Place,
        text: str,
        *,
        octets: int | None = None,
        characters: int | None = None,
    ) -> str:
        """A text as a column can hold it: what is missing there escaped, and its end cut off."""
        column = self._column(place)
        most, longest = _least(column.octets, octets), _least(column.characters, characters)
        # No character takes less than a byte, and a text may have millions that are cut off.
        text = text[: min(most, longest)]
        quick = self._quick(column, text)
        if quick and quick[0] <= longest and quick[1] <= most:
            return text
        parts = _parts(text, self.session)
        told: list[str] = []
        for part, size in zip(parts, self._sizes(connection, column.charset, parts), strict=True):
            piece = part.text if size is not None else _escaped(part.text)
            most -= len(piece) if size is None else size
            longest -= len(piece) if size is None else len(part.units)
            if min(most, longest) < 0:
                break
            told.append(piece)
        return "".join(told)

    def _column(self, place: Place) -> Column:
        table, column = place
        return self.columns.get((table.lower(), column.lower()), Column())

    def _quick(self, column: Column, text: str) -> tuple[int, int] | None:
        """Characters and bytes of a text that fits for sure, as most do; None for all others."""
        if not text:
            return 0, 0
        if text.isascii():
            return None if {column.charset, self.session} & _ODD else (len(text), len(text))
        if self.session == column.charset == PLAIN and not self.is_foreign:
            with contextlib.suppress(UnicodeEncodeError):
                return len(text), len(text.encode())
        return None

    def _sizes(
        self, connection: Connection, charset: str, parts: Sequence[_Part]
    ) -> list[int | None]:
        """Of each part how many bytes it takes in a character set; None where it has none."""
        if self.is_foreign:
            return [1 if part.text.isascii() else None for part in parts]
        if {charset, self.session} <= UTF8:
            is_narrow = {charset, self.session} != {PLAIN}
            return [_utf8_size(part.text, is_narrow=is_narrow) for part in parts]
        if charset == self.session and charset not in WIDE | {"ascii"}:
            return [len(part.units) for part in parts]
        self._learn(connection, charset, {unit for part in parts for unit in part.units})
        return [self._size(charset, part) for part in parts]

    def _size(self, charset: str, part: _Part) -> int | None:
        sizes = [self._known[charset, unit] for unit in part.units]
        return None if None in sizes or not sizes else sum(size or 0 for size in sizes)

    def _learn(self, connection: Connection, charset: str, units: Collection[bytes]) -> None:
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        new = [unit for unit in units if (charset, unit) not in self._known]
        for start in range(0, len(new), _ASKED_AT_ONCE):
            some = new[start : start + _ASKED_AT_ONCE]
            asked = ", ".join(_question(unit, charset, self.session) for unit in some)
            # Hexadecimal digits only: nothing in it has to be quoted.
            answer = connection.exec_driver_sql(f"SELECT {asked}").one()
            for unit, size in zip(some, answer, strict=True):
                self._known[charset, unit] = None if size is None else int(size)

    def _missing(self, text: str, charset: str) -> str:
        if self.is_foreign:
            return (
                f"it is not ASCII, and PHP would read other characters: the connection speaks"
                f" {self.session}, and the site another character set"
            )
        if len(text) == 1 and _is_surrogate(text) and self.session in UTF8:
            return _NO_UTF8
        what = _escaped(text) if len(text) == 1 else "it"
        spoken = "" if self.session in UTF8 else f" in a session of {self.session}"
        return f"the table's character set, {charset}, has no {what}{spoken}"


def _question(unit: bytes, charset: str, session: str) -> str:
    """An expression: how many bytes the unit takes in the character set; NULL if it has none."""
    there = f"CONVERT(CONVERT(0x{unit.hex()} USING {session}) USING {charset})"
    back = f"CAST(CONVERT({there} USING {session}) AS BINARY)"
    return f"IF({back} = 0x{unit.hex()}, LENGTH({there}), NULL)"


def _parts(text: str, session: str) -> list[_Part]:
    if session in WIDE:
        # Bytes of UTF-8 make other characters there, across the borders of ours.
        try:
            return [_Part(text, (to_bytes(text),))]
        except UnicodeEncodeError:
            return [_Part(text, ())]
    return [_Part(char, tuple(_units(char, session))) for char in text]


def _distinct(text: str, session: str) -> dict[_Part, int]:
    """The different parts of a text in the order of their first, with how often each is there.

    Texts of many megabytes have few different characters.
    """
    if session in WIDE:
        return dict.fromkeys(_parts(text, session), 1)
    told = Counter(text)
    return dict(zip(_parts("".join(told), session), told.values(), strict=True))


def _units(char: str, session: str) -> Iterator[bytes]:
    try:
        data = to_bytes(char)
    except UnicodeEncodeError:
        return
    if session not in UTF8:
        yield from (bytes((byte,)) for byte in data)
    elif not _is_surrogate(char):
        yield data


def _is_surrogate(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"


def _utf8_size(char: str, *, is_narrow: bool) -> int | None:
    if _is_surrogate(char) or (is_narrow and char > "\uffff"):
        return None
    return len(char.encode())


def _least(one: int | None, other: int | None) -> int:
    return min(one if one is not None else 1 << 62, other if other is not None else 1 << 62)


def _too_long(column: Column, characters: int, octets: int) -> str:
    if column.characters is not None and characters > column.characters:
        return f"its {characters:,} characters are more than the table's {column.characters:,}"
    if column.octets is not None and octets > column.octets:
        return f"its {octets:,} bytes are more than the table's {column.octets:,}"
    return ""


def _escaped(text: str) -> str:
    """What is not ASCII as PHP writes it in a literal, and half a surrogate pair as Python does."""
    return "".join(
        char
        if char.isascii()
        else f"\\u{ord(char):x}"
        if _is_surrogate(char)
        else f"\\u{{{ord(char):X}}}"
        for char in text
    )
