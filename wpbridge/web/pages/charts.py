"""Prepare charts: numbers become points, paths, ticks and classes. Pure.

The macros of ``templates/charts.html`` draw them as SVG, without any style in the markup, and write
the numbers in a table beside them. In a page::

    visit.render("x.html", trend=charts.sparkline([3, 5, 0, 9]))

    {% from "charts.html" import sparkline %}
    {{ sparkline(trend, _("Endings in each of the last hours")) }}

A value that is None is a gap. So is one that is not finite; a negative one is drawn as zero. How
axes are divided, and times named, is in :mod:`wpbridge.web.pages.scales`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wpbridge.web.pages.chart_values import (
    Cell,
    Chart,
    Ending,
    Endings,
    Heat,
    Line,
    Mark,
    Place,
    Row,
    Sparkline,
)
from wpbridge.web.pages.drawing import (
    area_of,
    bar_value,
    path_of,
    points,
    spread,
    tenth,
    y_of,
)
from wpbridge.web.pages.scales import Axis, Slots, Unit, axis_of, is_drawn, told

HEAT_LEVELS: Final = 9
"""A heat map has so many colors beside the one for zero."""
_LEFT: Final = 60.0
_RIGHT: Final = 6.0
_ABOVE: Final = 8.0
_BELOW: Final = 22.0
_ENDED: Final = {"complete": "bar-good", "failed": "bar-bad", "canceled": "bar-mute"}
_CELL: Final = 19.0
_GAP: Final = 1.0
_MOST_PLACES: Final = 100
"""With more places than these, each is too narrow to be pointed at."""


def sparkline(
    values: Sequence[float | None],
    *,
    width: float = 120,
    height: float = 24,
    unit: Unit = "count",
) -> Sparkline:
    """Return a small line through the values; the axis goes from zero to the highest."""
    top = max((v for v in values if v is not None and is_drawn(v) and v > 0), default=1.0)
    at = spread(len(values), 1.0, width - 1.0)
    runs = points(at, values, top, 1.0, height - 1.0)
    return Sparkline(
        width=width,
        height=height,
        path=path_of(runs),
        area=area_of(runs, height - 1.0),
        values=tuple(told(value, unit) for value in values),
    )


def endings(kinds: Sequence[str], *, height: float = 16) -> Endings:
    """Return marks for the statuses of the last endings, the oldest first."""
    marks = tuple(
        Ending(
            n * 5.0, height - _high(kind, height), 4.0, _high(kind, height), _ENDED.get(kind, "bar")
        )
        for n, kind in enumerate(kinds)
    )
    return Endings(width=max(1, len(kinds)) * 5.0, height=height, marks=marks, kinds=tuple(kinds))


def lines(
    series: Mapping[str, Sequence[float | None]],
    slots: Slots,
    *,
    unit: Unit = "count",
    width: float = 560,
    height: float = 190,
) -> Chart:
    """Return a chart of lines.

    Args:
        series: the values of each line by its name, one for each slot.
        slots: of the axis of times (:func:`.scales.hours`, :func:`.scales.days`).
        unit: of the values.
        width: of the whole chart, in its own units; a page scales it.
        height: as the width.
    """
    axis = axis_of([value for values in series.values() for value in values], unit)
    at = spread(len(slots.names), _LEFT + 4, width - _RIGHT - 4)
    drawn = tuple(
        Line(
            name=name,
            drawn="line" if number == 1 else f"line-{number}",
            key=f"key-{number}",
            path=path_of(points(at, values, axis.top, _ABOVE, height - _BELOW)),
        )
        for number, (name, values) in enumerate(series.items(), 1)
    )
    return _chart(drawn, at, series, slots, axis, unit, (width, height), is_bars=False)


def bars(
    series: Mapping[str, Sequence[float | None]],
    slots: Slots,
    *,
    kinds: Mapping[str, str] | None = None,
    unit: Unit = "count",
    width: float = 560,
    height: float = 190,
) -> Chart:
    """Return a chart of stacked bars, the first series at the bottom.

    ``kinds`` gives series a color that says something: ``good``, ``bad`` or ``mute``. Others have
    the color of their number, up to three.
    The other arguments are those of :func:`lines`.
    """
    columns = list(zip(*(map(bar_value, values) for values in series.values()), strict=True))
    axis = axis_of([sum(column) for column in columns], unit)
    bottom = height - _BELOW
    each = (width - _RIGHT - _LEFT) / max(1, len(slots.names))
    wide = max(0.5, each - min(2.0, each / 4))
    paths = [""] * len(series)
    named = [(kinds or {}).get(name, str(number)) for number, name in enumerate(series, 1)]
    for place, column in enumerate(columns):
        floor = bottom
        for number, value in enumerate(column):
            high = value / axis.top * (bottom - _ABOVE)
            if high > 0:
                floor -= high
                x, y, w, h = map(tenth, (_LEFT + place * each, floor, wide, high))
                paths[number] += f"M{x} {y}h{w}v{h}h-{w}z"
    drawn = tuple(
        Line(name=name, drawn=_bar(told_kind), key=f"key-{told_kind}", path=path)
        for name, told_kind, path in zip(series, named, paths, strict=True)
    )
    at = [_LEFT + place * each + wide / 2 for place in range(len(slots.names))]
    return _chart(drawn, at, series, slots, axis, unit, (width, height), is_bars=True)


def heat(
    rows: Mapping[str, Sequence[float | None]], columns: Sequence[str], *, mark_every: int = 3
) -> Heat:
    """Return a heat map of rows by their names, with a value for each column.

    The color goes by the square root of a value's share in the highest one, so that one peak does
    not make all others look alike. Each ``mark_every``th column has its name below it.
    """
    known = [v for values in rows.values() for v in values if v is not None and is_drawn(v)]
    top, size = max(known, default=0.0), _CELL + _GAP
    cells = tuple(
        Cell(_LEFT + c * size, _ABOVE + r * size, _level(v, top), f"{name} {column}: {told(v)}")
        for r, (name, values) in enumerate(rows.items())
        for c, (column, v) in enumerate(zip(columns, values, strict=True))
    )
    marked = [c for c in range(len(columns)) if c % mark_every == 0]
    return Heat(
        width=_LEFT + len(columns) * size + _RIGHT,
        height=_ABOVE + len(rows) * size + _BELOW,
        left=_LEFT,
        cell=_CELL,
        cells=cells,
        down=tuple(Mark(_ABOVE + r * size + _CELL / 2, name) for r, name in enumerate(rows)),
        across=tuple(Mark(_LEFT + c * size + _CELL / 2, columns[c]) for c in marked),
        columns=tuple(columns),
        rows=tuple(Row(name, tuple(told(v) for v in values)) for name, values in rows.items()),
    )


def _chart(  # noqa: PLR0917 - what both kinds of charts have worked out
    drawn: tuple[Line, ...],
    at: Sequence[float],
    series: Mapping[str, Sequence[float | None]],
    slots: Slots,
    axis: Axis,
    unit: Unit,
    size: tuple[float, float],
    *,
    is_bars: bool,
) -> Chart:
    width, height = size
    bottom, right = height - _BELOW, width - _RIGHT
    each = (right - _LEFT) / max(1, len(slots.names))
    rows = tuple(
        Row(name, tuple(told(values[place], unit) for values in series.values()))
        for place, name in enumerate(slots.names)
    )
    return Chart(
        width=width,
        height=height,
        left=_LEFT,
        right=right,
        top=_ABOVE,
        bottom=bottom,
        is_bars=is_bars,
        lines=drawn,
        across=tuple(Mark(round(at[place], 1), word) for place, word in slots.marks.items()),
        up=tuple(
            Mark(round(y_of(value, axis.top, _ABOVE, bottom), 1), told(value, unit))
            for value in axis.ticks
        ),
        places=tuple(
            Place(round(_LEFT + place * each, 1), round(each, 1), _said(row, series))
            for place, row in enumerate(rows if len(rows) <= _MOST_PLACES else ())
        ),
        rows=rows,
    )


def _said(row: Row, series: Iterable[str]) -> str:
    told_of = (f"{name} {value}" for name, value in zip(series, row.values, strict=True))
    return f"{row.name}: {', '.join(told_of)}"


def _bar(kind: str) -> str:
    return "bar" if kind == "1" else f"bar-{kind}"


def _high(kind: str, height: float) -> float:
    return height / 2 if kind == "complete" else height


def _level(value: float | None, top: float) -> str:
    if value is None or not is_drawn(value):
        return "grid"
    if value <= 0:
        return "heat-0"
    return f"heat-{max(1, math.ceil(HEAT_LEVELS * math.sqrt(value / top)))}"
