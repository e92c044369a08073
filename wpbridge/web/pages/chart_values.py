"""What a chart is made of, as the macros of ``templates/charts.html`` draw it."""

from typing import NamedTuple

from wpbridge.dataclass import dataclass


class Mark(NamedTuple):
    """A word at an axis."""

    at: float
    """Where it stands along the axis."""
    text: str


class Place(NamedTuple):
    """A part of the chart that says what it shows when it is pointed at."""

    x: float
    width: float
    text: str


class Row(NamedTuple):
    """A row of the table beside a chart."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """A small line without axes."""

    width: float
    height: float
    path: str
    """Empty where there is nothing to draw."""
    area: str
    """What lies below the line."""
    values: tuple[str, ...]
    """The numbers, as words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line, or a row of parts of bars, with its name and its number among the others."""

    name: str
    drawn: str
    """Its class."""
    key: str
    """The class of its name in the legend."""
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines or stacked bars over time, with both axes."""

    width: float
    height: float
    left: float
    right: float
    """Where the axis of times begins and ends."""
    top: float
    bottom: float
    """Where the axis of values begins and ends; y grows downwards."""
    is_bars: bool
    lines: tuple[Line, ...]
    across: tuple[Mark, ...]
    up: tuple[Mark, ...]
    places: tuple[Place, ...]
    """None of them where there are too many to be pointed at."""
    rows: tuple[Row, ...]

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to draw."""
        return not any(line.path for line in self.lines)


class Ending(NamedTuple):
    """One mark of a row of endings."""

    x: float
    y: float
    width: float
    height: float
    drawn: str
    """Its class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """The last endings of an action or hook, one mark each: what went well is half as high."""

    width: float
    height: float
    marks: tuple[Ending, ...]
    kinds: tuple[str, ...]


class Cell(NamedTuple):
    """One cell of a heat map."""

    x: float
    y: float
    drawn: str
    """Its class: ``heat-0`` to ``heat-9``, or ``grid`` where nothing is known."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A heat map: rows and columns, with a word for some of the columns."""

    width: float
    height: float
    left: float
    """Where the cells begin."""
    cell: float
    """The width and height of a cell."""
    cells: tuple[Cell, ...]
    down: tuple[Mark, ...]
    across: tuple[Mark, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is known of any cell."""
        return all(cell.drawn == "grid" for cell in self.cells)
