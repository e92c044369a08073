"""Scales of charts: how far an axis goes, where its ticks stand, and how numbers are told. Pure."""

import math
from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from typing import Final, Literal, NamedTuple, TypeAlias

Unit: TypeAlias = Literal["count", "seconds", "bytes"]
"""What the numbers of a chart are."""
MOST_TICKS: Final = 4
"""An axis of values has at most so many steps."""
MOST_MARKS: Final = 8
"""An axis of times has at most so many words."""
_LARGEST: Final = 1e300
"""A number that is larger, or none, is not drawn."""
_SMALLEST: Final = 1e-9
"""A number that is smaller is drawn as zero."""
_DAY_HOURS: Final = 24
_DAY: Final = 86400.0
_COUNTS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SECONDS: Final = ((_DAY, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_BYTES: Final = ((1024.0**4, "TB"), (1024.0**3, "GB"), (1024.0**2, "MB"), (1024.0, "KB"))
_STEPS_OF_TIME: Final = (20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, _DAY)
"""Seconds that are round for people. Below them, and above a day, what is round is decimal."""
_ROUND: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1024)


class Axis(NamedTuple):
    """An axis of values, which begins with zero."""

    top: float
    """Its highest value, above zero."""
    ticks: tuple[float, ...]
    """The values of its ticks, zero among them."""


class Slots(NamedTuple):
    """The places of an axis of times."""

    names: tuple[str, ...]
    """What each is called, in a table or when it is pointed at."""
    marks: dict[int, str]
    """The short words that stand below some of them, by their number."""


def is_drawn(value: float | None) -> bool:
    """Return whether a value can be drawn; others leave a gap."""
    return value is not None and math.isfinite(value) and abs(value) <= _LARGEST


def axis_of(values: Sequence[float | None], unit: Unit = "count") -> Axis:
    """Return an axis for values: its top is round, and is not far above the highest one."""
    highest = max((v for v in values if v is not None and is_drawn(v)), default=0.0)
    if highest < _SMALLEST:
        return Axis(1.0, (0.0, 1.0))
    step = _step(highest / MOST_TICKS, unit)
    steps = max(1, math.ceil(highest / step - 1e-9))
    return Axis(step * steps, tuple(step * number for number in range(steps + 1)))


def _step(least: float, unit: Unit) -> float:
    """Return the smallest round step that is not below this one."""
    if unit == "count" and least <= 1:
        return 1.0
    if unit == "bytes" and least > 1:
        size = 1024.0 ** math.floor(math.log(least, 1024) + 1e-12)
        return size * next(step for step in _ROUND if step >= least / size)
    if unit == "seconds" and least > _DAY:
        return _DAY * _step(least / _DAY, "count")
    if unit == "seconds" and least > _STEPS_OF_TIME[0]:
        return next(step for step in _STEPS_OF_TIME if step >= least)
    power = 10.0 ** math.floor(math.log10(least))
    return power * next(step for step in _ROUND if step >= least / power * (1 - 1e-9))


def told(value: float | None, unit: Unit = "count") -> str:
    """Return a number in few characters: ``1.2k``, ``20 ms``, ``3 min``, ``1.5 GB``.

    A hyphen stands for none.
    """
    if value is None or not is_drawn(value):
        return "-"
    if value < 0:
        return f"-{told(-value, unit)}"
    if value == 0:
        return {"count": "0", "seconds": "0 s", "bytes": "0 B"}[unit]
    units = {"count": _COUNTS, "seconds": _SECONDS, "bytes": _BYTES}[unit]
    blank = "" if unit == "count" else " "
    for size, name in units:
        if value >= size * (1 - 5e-4):
            return f"{_short(value / size)}{blank}{name}"
    if unit == "seconds":
        return f"{_short(value * 1000)} ms"
    return f"{_short(value)}{'' if unit == 'count' else ' B'}"


def _short(value: float) -> str:
    """Return up to three digits of a number, all of those before the point."""
    if value >= 99.95:  # noqa: PLR2004 - three digits
        return f"{value:.0f}" if value < 1e6 else f"{value:.3g}"  # noqa: PLR2004 - no longer ones
    return f"{value:.3g}" if value < 1 else f"{value:.1f}".removesuffix(".0")


def hours(begins: Sequence[datetime], zone: tzinfo) -> Slots:
    """Return the slots of hours, which begin at these aware moments, in a zone."""
    local = [begin.astimezone(zone) for begin in begins]
    names = tuple(f"{at:%Y-%m-%d %H:%M}" for at in local)
    if len(local) > 2 * _DAY_HOURS:
        # Where a day begins; the first one has begun before unless it does so here.
        first = [
            n
            for n, at in enumerate(local)
            if (at.date() != local[n - 1].date() if n else at.hour == 0)
        ]
        return Slots(names, {n: f"{local[n]:%m-%d}" for n in _spread(first)})
    every = 1 if len(local) <= MOST_MARKS else 6 if len(local) > _DAY_HOURS else 3
    marked = [n for n, at in enumerate(local) if at.hour % every == 0]
    return Slots(names, {n: f"{local[n]:%H:%M}" for n in _spread(marked)})


def days(dates: Sequence[date]) -> Slots:
    """Return the slots of days."""
    names = tuple(day.isoformat() for day in dates)
    return Slots(names, {n: f"{dates[n]:%m-%d}" for n in _spread(range(len(dates)))})


def _spread(places: Sequence[int]) -> Sequence[int]:
    """Return some of the places, evenly, and no more of them than an axis has words."""
    every = math.ceil(len(places) / MOST_MARKS) or 1
    return places[::every]
