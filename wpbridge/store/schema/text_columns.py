r"""Tell what the text columns of one site's tables can hold.

WordPress's sessions are not strict. In them a server stores a question mark for a character that
the column's character set lacks, and cuts a text that is too long. Here this is known before
anything is written. :meth:`Texts.why_not` refuses a text. :meth:`Texts.shown` writes a missing
character as ``\u{1F600}``; log rows use it, since they must never keep an action from ending.

The columns are read once, together with the tables. For a character set other than UTF-8, the
server is asked once for each character whether the set has it.
"""

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.store.schema.charsets import PLAIN, UTF8, WIDE, to_bytes

if TYPE_CHECKING:
    from wpbridge.store.database.connection import Connection

Place: TypeAlias = tuple[str, str]
"""The names of a table and a column."""

_ODD: Final = frozenset({"sjis", "swe7", "ucs2", "utf16", "utf16le", "utf32"})
"""Character sets that write some of ASCII in another way."""
_NO_UTF8: Final = "it holds half a surrogate pair, or a byte that is not UTF-8"
_ASKED_AT_ONCE: Final = 200
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Column:
    """Describes a text column. Those of SQLite hold any text."""

    charset: str = PLAIN
    characters: int | None = None
    """The most characters that it holds; None for no limit."""
    octets: int | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """One character of a text, as the session sends it."""

    text: str
    units: tuple[bytes, ...]
    """The characters that the server sees: one in UTF-8, elsewhere one for each byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Holds one site's text columns, and the character set of the sessions that write to them."""

    session: str = PLAIN
    columns: Mapping[Place, Column] = field(default_factory=dict)
    """The columns by table and column name, in lower case."""
    is_foreign: bool = False
    """Whether PHP would read other characters than those that are sent. Then only ASCII is safe."""
    _known: dict[tuple[str, bytes], int | None] = field(default_factory=dict)
    """How many bytes a unit takes in a character set; None when the set lacks it."""

    def spoken(self, session: str) -> "Texts":
        """Return a copy for a connection of the caller's, which has its own character set."""
        is_foreign = not {session, self.session} <= UTF8
        return replace(self, session=session, is_foreign=is_foreign, _known={})

    def check(self, texts: Iterable[str]) -> None:
        """Raise InputError for a text that the session cannot send even in a query."""
        for text in texts:
            if not text.isascii() and not all(part.units for part in _parts(text, self.session)):
                raise InputError(f"{_escaped(text)}: {_NO_UTF8}")

    def written_out(self, text: str) -> str:
        """Return a text with escapes for characters that the session cannot send at all."""
        missing = [part.text for part in _distinct(text, self.session) if not part.units]
        if self.session in WIDE:
            return _escaped(text) if missing else text
        return text.translate({ord(char): _escaped(char) for char in missing}) if missing else text

    def holds(self, connection: "Connection", place: Place, text: str) -> bool:
        """Return whether a column has all characters of a text, whatever its length."""
        return not self.why_not(connection, place, text, any_length=True)

    def why_not(
        self, connection: "Connection", place: Place, text: str, *, any_length: bool = False
    ) -> str:
        """Say why a column cannot hold a text unchanged; return "" if it can.

        With ``any_length`` only the characters count, and not the length.
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

    def fault(
        self, connection: "Connection", given: Iterable[tuple[str, Place, str | None]]
    ) -> str:
        """Say why one of these named texts cannot be held; return "" if all can be."""
        for name, place, text in given:
            if text and (why := self.why_not(connection, place, text)):
                return f"{name}: {why}"
        return ""

    def shown(
        self,
        connection: "Connection",
        place: Place,
        text: str,
        *,
        octets: int | None = None,
        characters: int | None = None,
    ) -> str:
        """Return a text as a column can hold it: missing characters escaped, and the rest cut."""
        column = self._column(place)
        most, longest = _least(column.octets, octets), _least(column.characters, characters)
        # Each character takes at least a byte, so the rest is cut off before the slow part.
        text = text[: min(most, longest)]
        quick = self._quick(column, text)
        if quick:
            fits = quick[0] <= longest and quick[1] <= most
            # No character is missing, so it is only cut: what is left of the last one goes, too.
            return text if fits else text.encode()[:most].decode(errors="ignore")[:longest]
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
        """Return the characters and bytes of a text that surely fits, as most do; else None."""
        if not text:
            return 0, 0
        if text.isascii():
            return None if {column.charset, self.session} & _ODD else (len(text), len(text))
        if self.session == column.charset == PLAIN and not self.is_foreign:
            with contextlib.suppress(UnicodeEncodeError):
                return len(text), len(text.encode())
        return None

    def _sizes(
        self, connection: "Connection", charset: str, parts: Sequence[_Part]
    ) -> list[int | None]:
        """Return how many bytes each part takes in a character set; None where the set lacks it."""
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

    def _learn(self, connection: "Connection", charset: str, units: Collection[bytes]) -> None:
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        new = [unit for unit in units if (charset, unit) not in self._known]
        for start in range(0, len(new), _ASKED_AT_ONCE):
            some = new[start : start + _ASKED_AT_ONCE]
            asked = ", ".join(_question(unit, charset, self.session) for unit in some)
            # The question has only hexadecimal digits, so nothing needs quoting.
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
    """Return an expression for the bytes that a unit takes in the set; NULL if the set lacks it."""
    there = f"CONVERT(CONVERT(0x{unit.hex()} USING {session}) USING {charset})"
    back = f"CAST(CONVERT({there} USING {session}) AS BINARY)"
    return f"IF({back} = 0x{unit.hex()}, LENGTH({there}), NULL)"


def _parts(text: str, session: str) -> list[_Part]:
    if session in WIDE:
        # There the bytes of UTF-8 form other characters, which cross the borders of ours.
        try:
            return [_Part(text, (to_bytes(text),))]
        except UnicodeEncodeError:
            return [_Part(text, ())]
    return [_Part(char, tuple(_units(char, session))) for char in text]


def _distinct(text: str, session: str) -> dict[_Part, int]:
    """Count the different parts of a text, in the order in which they first occur.

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
    """Escape what is not ASCII as PHP's literals do, and half a surrogate pair as Python does."""
    return "".join(
        char
        if char.isascii()
        else f"\\u{ord(char):x}"
        if _is_surrogate(char)
        else f"\\u{{{ord(char):X}}}"
        for char in text
    )
