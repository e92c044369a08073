"""Rows as a person reads them on a terminal, as wide as that is.

Columns stand side by side while there is room. Dates, numbers and states are always whole; other
texts are cut with an ellipsis, and prose in the last column is broken between its words. A terminal
that is too narrow for that gets one field under another. Nothing is ever broken inside a word.
`--format json` and `--field` print everything whole.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.cells import cell_len, set_cell_size

from wpbridge.cli.terminal import Piece
from wpbridge.dataclass import dataclass
from wpbridge.telling.visible import visible

COLOURS: Final = {
    "complete": "green",
    "failed": "red",
    "canceled": "yellow",
    "in-progress": "cyan",
    "problem": "bold red",
    "warning": "yellow",
    "ok": "green",
    "note": "cyan",
}
_WHOLE: Final = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:]+(?:Z|[+-][\d:]+)|\d*|pending|" + "|".join(COLOURS)
)
"""What is not cut in a column."""
_GAP: Final = "  "
_LEAST: Final = 10
"""Cells that a text keeps in a column; with fewer there are no columns."""
_LEAST_HEAD: Final = 4
_LEAST_PROSE: Final = 20
_TAB: Final = 8

Print = Callable[[Sequence[Piece]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where a table is drawn."""

    width: int
    """In cells: a letter has one, a Chinese character two."""
    ellipsis: str = "…"
    """``...`` where the terminal has no other."""
    print_pieces: Print


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    texts: tuple[str, ...]
    """One a row; only prose has newlines."""
    is_number: bool
    is_prose: bool

    @property
    def wanted(self) -> int:
        """How many cells everything in it takes."""
        lines = [line for text in (self.name, *self.texts) for line in text.split("\n")]
        return max(map(cell_len, lines))

    @property
    def least(self) -> int:
        """How many cells it needs at least to say anything."""
        some = _LEAST_PROSE if self.is_prose else _LEAST
        floors = [
            cell_len(text) if _WHOLE.fullmatch(text) else min(some, cell_len(text))
            for text in self.texts
        ]
        return max([*floors, min(_LEAST_HEAD, cell_len(self.name))])


def draw(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    screen: Screen,
    text_of: Callable[[object], str],
) -> None:
    """Draw rows; what ``text_of`` makes of a value may hold anything."""
    made = [
        _column(rows, name, text_of, is_last=len(columns) > 1 and name == columns[-1])
        for name in columns
    ]
    widths = _widths(made, screen.width - len(_GAP) * (len(columns) - 1))
    if widths is None:
        for number, row in enumerate(rows):
            if number:
                screen.print_pieces([])
            draw_one(row, columns, screen, text_of)
        return
    head = [
        _fitted(column, column.name, width, screen, "bold")
        for column, width in zip(made, widths, strict=True)
    ]
    _print_row(head, screen)
    for number in range(len(rows)):
        cells = [
            _fitted(column, text, width, screen, COLOURS.get(text, ""))
            for column, width in zip(made, widths, strict=True)
            for text in (column.texts[number],)
        ]
        _print_row(cells, screen)


def draw_one(
    row: Mapping[str, Any],
    names: Sequence[str],
    screen: Screen,
    text_of: Callable[[object], str],
) -> bool:
    """Draw one thing, a field under another; tell whether something had to be cut."""
    label_width = max(map(cell_len, names)) + len(_GAP)
    is_beside = screen.width - label_width >= _LEAST_PROSE
    margin = label_width if is_beside else len(_GAP)
    width = max(1, screen.width - margin)
    is_cut = False
    for name in names:
        text = _prose(text_of(row[name]))
        is_cut |= any(cell_len(word.rstrip()) > width for word in _words(text))
        if not is_beside:
            screen.print_pieces([(_cut(name, screen.width, screen.ellipsis), "bold")])
        for number, line in enumerate(_wrapped(text, width, screen.ellipsis)):
            label = set_cell_size(name if is_beside and not number else "", margin)
            screen.print_pieces([(label, "bold"), (line, COLOURS.get(text, ""))])
    return is_cut


def _column(
    rows: Sequence[Mapping[str, Any]], name: str, text_of: Callable[[object], str], *, is_last: bool
) -> _Column:
    values = [row[name] for row in rows]
    is_prose = is_last and all(isinstance(value, str | None) for value in values)
    return _Column(
        name=name,
        texts=tuple((_prose if is_prose else visible)(text_of(value)) for value in values),
        is_number=bool(values)
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values),
        is_prose=is_prose,
    )


def _prose(text: str) -> str:
    """Keep the lines of prose: the layout sets them apart from other rows."""
    return "\n".join(map(visible, text.expandtabs(_TAB).split("\n")))


def _widths(columns: Sequence[_Column], room: int) -> list[int] | None:
    """Return a width for each column; None when there is too little room for columns."""
    widths = [column.least for column in columns]
    left = room - sum(widths)
    if left < 0:
        return None
    # What is left goes to those that still want some, the narrowest first.
    order = sorted(range(len(columns)), key=lambda n: columns[n].wanted - widths[n])
    for place, n in enumerate(order):
        more = min(columns[n].wanted - widths[n], left // (len(order) - place))
        widths[n] += more
        left -= more
    return widths


def _fitted(column: _Column, text: str, width: int, screen: Screen, style: str) -> list[Piece]:
    """Return a cell's lines, each as wide as its column."""
    lines = [_cut(text, width, screen.ellipsis)]
    if column.is_prose:
        lines = list(_wrapped(text, width, screen.ellipsis))
    if column.is_number:
        return [(" " * (width - cell_len(line)) + line, style) for line in lines]
    return [(set_cell_size(line, width), style) for line in lines]


def _print_row(cells: Sequence[Sequence[Piece]], screen: Screen) -> None:
    blanks = [(" " * cell_len(lines[0][0]), "") for lines in cells]
    for number in range(max(map(len, cells))):
        pieces: list[Piece] = []
        for lines, blank in zip(cells, blanks, strict=True):
            pieces += [lines[number] if number < len(lines) else blank, (_GAP, "")]
        while pieces and not pieces[-1][0].strip():
            pieces.pop()
        if pieces:
            pieces[-1] = (pieces[-1][0].rstrip(), pieces[-1][1])
        screen.print_pieces(pieces)


def _cut(text: str, width: int, ellipsis: str) -> str:
    if cell_len(text) <= width:
        return text
    kept = max(0, width - cell_len(ellipsis))
    return set_cell_size(text, kept).rstrip() + set_cell_size(ellipsis, min(width, 3)).rstrip()


def _wrapped(text: str, width: int, ellipsis: str) -> Iterator[str]:
    """Break a text into lines of whole words; a word that is wider than a line is cut."""
    for line in text.split("\n"):
        so_far = ""
        for word in _words(line):
            if so_far and cell_len(so_far + word.rstrip()) > width:
                yield so_far.rstrip()
                so_far = ""
            so_far += word if cell_len(word.rstrip()) <= width else _cut(word, width, ellipsis)
        yield so_far.rstrip()


def _words(line: str) -> Iterator[str]:
    """Split a line into words with their blanks; it may also end between wide characters."""
    word = ""
    for c in line:
        is_new = bool(word) and not c.isspace() and (word[-1].isspace() or cell_len(c) > 1)
        if is_new and word.strip():
            yield word
            word = ""
        word += c
    yield word
