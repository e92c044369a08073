"""Next dates of cron expressions, as the plugin's old copy of mtdowling/cron-expression gives them.

Both sides repeat the same rows, so its faults are kept: day of month and weekday must both match,
ranges do not wrap, the step to the next month can skip one, and a search ends after 1,000 rounds.
A part is a text that is understood only when a date is tested against it. What is wrong with it
is raised then, and never if an earlier part or field settles the matter.

The answers of a field are kept as bits, and the search jumps from bit to bit, counting the rounds
which the plugin would have walked.
"""

import re
from calendar import isleap, monthrange
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from wpbridge.errors import CronError

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"
_WEEKDAYS: Final = "SUN MON TUE WED THU FRI SAT"
_SPACE: Final = re.compile(r"[\t-\r ]+")
_CLOCK: Final = re.compile(r"[*,/\-0-9]")
_NAMED: Final = re.compile(r"[*,/\-0-9A-Z]")
_LEGAL: Final = (_CLOCK, _CLOCK, re.compile(r"[*,/\-?0-9A-Za-z]"), _NAMED, _NAMED, _CLOCK)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# PHP's date parser takes a letter or an offset after the day for a time zone.
_NEAREST: Final = re.compile(
    r"([0-2][0-9]|3[01]|[0-9])(?:st|nd|rd|th|[a-ik-z.])?(?:[+-][0-9]{1,2})?",
    re.ASCII | re.IGNORECASE,
)
_FEWEST_FIELDS: Final = 5
_MAX_ROUNDS: Final = 1000
_MAX_STEPS: Final = 20_000
_SATURDAY: Final = 6
_SUNDAY: Final = 7


@dataclass(frozen=True, slots=True)
class CronExpression:
    """An expression the plugin accepts; it need not ever match."""

    parts: tuple[str, ...]
    """Minute, hour, day of month, month, weekday and perhaps year; macros are expanded."""

    @property
    def expression(self) -> str:
        """The parts, joined by one space."""
        return " ".join(self.parts)


@lru_cache(maxsize=1024)
def parse(expression: str) -> CronExpression:
    """The expression in its parts; CronError where the plugin refuses it."""
    expression = _MACROS.get(expression, expression)
    parts = tuple(filter(None, _SPACE.split(expression)))
    if len(parts) < _FEWEST_FIELDS:
        raise CronError(f"{expression} is not a valid CRON expression")
    for position, part in enumerate(parts):
        if position == len(_LEGAL):
            raise CronError(f"{position} is not a valid position")
        if not _LEGAL[position].search(part):
            raise CronError(f"Invalid CRON field value {part} as position {position}")
    return CronExpression(parts)


def next_date(
    expression: CronExpression, after: datetime, *, allow_current: bool = False
) -> datetime:
    """The first match later than the minute of ``after``, or also at it; aware UTC, no seconds.

    CronError where PHP throws, does not find a match, or would never come back.
    """
    if after.tzinfo is None:
        raise ValueError("a date without a time zone")
    try:
        search = _Search(_plan(expression.parts), after.astimezone(UTC))
        return search.run(skip_start=not allow_current)
    except (OverflowError, ValueError) as error:
        raise CronError("Impossible CRON expression: no date or number is that large") from error


# Numbers and comparison, as PHP 8 has them


@lru_cache(maxsize=4096)
def _number(text: str, *, leading: bool = False) -> float | None:
    """The text as a number; ``leading`` lets other text follow it, as PHP's arithmetic does."""
    found = _NUMBER.match(text)
    if not found or not (leading or found.end() == len(text)):
        return None
    try:
        return int(found[0])
    except ValueError:
        return float(found[0])


def _order(left: str, right: str) -> int:
    """Below, at or above 0: numeric if both sides are, else by text."""
    a, b = _number(left), _number(right)
    if a is None or b is None:
        return (left > right) - (left < right)
    return (a > b) - (a < b)


def _trim(text: str) -> str:
    return text.strip(" \n\r\t\v\0")


# What one part of a field says of a value, given as the text which PHP compares


_Test = Callable[[str], bool]


def _plain(part: str, top: int) -> _Test:
    """The test for steps, ranges and single values in a field that ends at ``top``."""
    if "/" in part:
        base, step = map(_trim, part.split("/", 1))
        return _multiples(part, step) if base in {"*", "0"} else _steps(part, base, step, top)
    if "-" in part:
        low, high = map(_trim, part.split("-", 1))
        return lambda text: _order(text, low) >= 0 and _order(text, high) <= 0
    return lambda text: part == "*" or _order(text, part) == 0


def _multiples(part: str, step: str) -> _Test:
    number = _number(step, leading=True)
    # PHP makes integer 0 of an infinite number.
    divisor = 0 if number is None or number in {float("inf"), float("-inf")} else int(number)

    def test(text: str) -> bool:
        if not divisor:
            raise CronError(f"{part} divides by nothing")
        return int(text) % divisor == 0

    return test


def _steps(part: str, base: str, step: str, top: int) -> _Test:
    low, dash, high = base.partition("-")
    start, stride = _number(low, leading=True), _number(step, leading=True)
    is_empty = bool(dash) and _order(low, high) > 0
    hits, ends = frozenset[float](), stride is None or stride > 0
    if start is not None and stride is not None and stride > 0:
        hits, ends = _walk(start, stride, high if dash else str(top), top)

    def test(text: str) -> bool:
        if is_empty or _order(text, low) < 0 or (dash and _order(text, high) > 0):
            return False
        if _order(text, low) == 0:
            return True
        if start is None or stride is None:
            raise CronError(f"{part} counts with something that is not a number")
        if stride <= 0:
            raise CronError(f"{part} never ends: its step is not above zero")
        if not ends and int(text) not in hits:
            raise CronError(f"{part} never ends")
        return int(text) in hits

    return test


def _walk(start: float, stride: float, high: str, top: int) -> tuple[frozenset[float], bool]:
    """Where PHP's loop comes by after its start, and whether it ends."""
    number = _number(high)
    last = top if number is None else min(number, top)
    hits = set[float]()
    at = start
    for _ in range(_MAX_STEPS):
        at += stride
        if at > last if number is not None else str(at) > high:
            return frozenset(hits), True
        hits.add(at)
    return frozenset(hits), False


def _renamed(part: str, names: str, first: int) -> str:
    for number, name in enumerate(names.split(), first):
        part = re.sub(name, str(number), part, flags=re.ASCII | re.IGNORECASE)
    return part


# The two day fields


class _Day(NamedTuple):
    first: date
    day: int
    length: int
    weekday: int
    """1 is Monday, 7 Sunday."""


_DayTest = Callable[[_Day], bool]


def _day_of_month(part: str) -> _DayTest:
    if part == "?":
        return lambda _: True
    if part == "L":
        return lambda day: day.day == day.length
    if part.find("W") > 0:
        target = part[: part.find("W")]
        return lambda day: day.day == _nearest_weekday(day.first, target)
    test = _plain(part, 31)
    return lambda day: test(f"{day.day:02}")


def _nearest_weekday(first: date, target: str) -> int:
    """The day of the month which ``nW`` means; a day the month lacks spills over, as in PHP."""
    # PHP's date parser stops at a NUL.
    found = _NEAREST.fullmatch(target.rjust(2, "0").partition("\0")[0])
    if not found:
        raise CronError(f"{target}W names no day")
    aimed = first + timedelta(days=int(found[1]) - 1)
    if aimed.isoweekday() < _SATURDAY:
        return aimed.day
    number = _number(target, leading=True)
    if number is not None:
        last = monthrange(aimed.year, aimed.month)[1]
        for day in (int(number) + move for move in (-1, 1, -2, 2)):
            near = first + timedelta(days=day - 1)
            if 0 < day <= last and near.month == first.month and near.isoweekday() < _SATURDAY:
                return near.day
    raise CronError(f"{target}W has no weekday near it in this month")


def _day_of_week(part: str) -> _DayTest:
    if part == "?":
        return lambda _: True
    part = _renamed(part, _WEEKDAYS, 0)
    if part.find("L") > 0:
        return _last_weekday(part[: part.find("L")])
    if part.find("#") > 0:
        return _nth_weekday(*part.split("#")[:2])
    if part.find("-") > 0:
        ends = part.split("-")
        if _order(ends[0], "7") == 0:
            ends[0] = "0"
        elif _order(ends[1], "0") == 0:
            ends[1] = "7"
        part = "-".join(ends)
    test = _plain(part, 7)
    sunday = 7 if "7" in part else 0
    return lambda day: test(str(sunday if day.weekday == _SUNDAY else day.weekday))


def _last_weekday(wanted: str) -> _DayTest:
    number = wanted.replace("7", "0")
    is_weekday = any(_order(str(weekday), number) == 0 for weekday in range(7))

    def test(day: _Day) -> bool:
        if not is_weekday:
            raise CronError(f"{wanted}L never ends: there is no weekday {wanted}")
        return day.day > day.length - 7 and _order(str(day.weekday % 7), number) == 0

    return test


def _nth_weekday(weekday: str, nth: str) -> _DayTest:
    count = next((count for count in range(1, 6) if _order(str(count), nth) >= 0), 6)

    def test(day: _Day) -> bool:
        if _order(weekday, "1") < 0 or _order(weekday, "5") > 0:
            raise CronError(f"Weekday must be a value between 1 and 5. {weekday} given")
        if _order(nth, "5") > 0:
            raise CronError("There are never more than 5 of a given weekday in a month")
        return _order(str(day.weekday), weekday) == 0 and (day.day + 6) // 7 == count

    return test


# An expression, ready to be searched


class _Stops(NamedTuple):
    """The values of a field at which the search does not just move on; the last is its end."""

    bits: int
    end: int
    errors: dict[int, str]

    def at_or_after(self, value: int) -> int:
        ahead = self.bits >> value
        value += (ahead & -ahead).bit_length() - 1
        if value in self.errors:
            raise CronError(self.errors[value])
        return value


def _stops(values: range, test: Callable[[int], bool]) -> _Stops:
    bits, errors = 1 << values.stop, {}
    for value in values:
        try:
            is_stop = test(value)
        except CronError as error:
            is_stop, errors[value] = True, str(error)
        bits |= is_stop << value
    return _Stops(bits, values.stop, errors)


def _list(part: str) -> list[str]:
    # A repeated part changes nothing, as the first one has answered.
    return list(dict.fromkeys(map(_trim, part.split(",")) if "," in part else [part]))


@dataclass(frozen=True, slots=True)
class _Plan:
    minutes: _Stops
    hours: _Stops
    days: list[_DayTest]
    months: _Stops
    weekdays: list[_DayTest]
    years: list[_Test]
    known: dict[tuple[int, int, bool], _Stops] = field(default_factory=dict)

    def is_year(self, year: int) -> bool:
        return not self.years or any(test(f"{year:04}") for test in self.years)

    def days_of(self, year: int, month: int) -> _Stops:
        """The days of a month; there are 168 kinds of month."""
        weekday, length = monthrange(year, month)
        kind = (month, weekday, isleap(year))
        if kind not in self.known:
            # The calendar repeats after 400 years, and Python's ends at either side.
            first = date(2000 + year % 400, month, 1)

            def test(number: int) -> bool:
                day = _Day(first, number, length, (weekday + number - 1) % 7 + 1)
                return any(t(day) for t in self.days) and any(t(day) for t in self.weekdays)

            self.known[kind] = _stops(range(1, length + 1), test)
        return self.known[kind]


@lru_cache(maxsize=1024)
def _plan(parts: tuple[str, ...]) -> _Plan:
    def clock(position: int, values: range) -> _Stops:
        tests = [_plain(part, values[-1]) for part in _list(parts[position])]
        return _stops(values, lambda value: any(test(f"{value:02}") for test in tests))

    months = [_plain(_renamed(part, _MONTHS, 1), 12) for part in _list(parts[3])]
    return _Plan(
        minutes=clock(0, range(60)),
        hours=clock(1, range(24)),
        days=[_day_of_month(part) for part in _list(parts[2])],
        months=_stops(range(1, 13), lambda value: any(test(f"{value:02}") for test in months)),
        weekdays=[_day_of_week(part) for part in _list(parts[4])],
        years=[_plain(part, MAXYEAR) for year in parts[5:] for part in _list(year)],
    )


class _Search:
    """The plugin's walk from a minute to the next match.

    Each ``_is_...`` first moves to where its field matches. If that is in the next unit, it says
    no, and the fields above are to be tested again.
    """

    __slots__ = ("_at", "_plan", "_rounds")

    def __init__(self, plan: _Plan, start: datetime) -> None:
        self._plan, self._rounds = plan, 0
        self._at = start.replace(second=0, microsecond=0)

    def run(self, *, skip_start: bool) -> datetime:
        start = self._at
        while not self._is_match():
            pass
        if skip_start and self._at == start:
            self._go(1, start + timedelta(minutes=1))
            return self.run(skip_start=False)
        return self._at

    def _go(self, rounds: int, at: datetime) -> None:
        self._rounds, self._at = self._rounds + rounds, at
        if self._rounds >= _MAX_ROUNDS:
            raise CronError("Impossible CRON expression")

    def _is_match(self) -> bool:
        return (
            self._is_year()
            and self._is_month()
            and self._is_day()
            and self._is_hour()
            and self._is_minute()
        )

    def _is_year(self) -> bool:
        if self._plan.is_year(self._at.year):
            return True
        self._go(1, self._at.replace(self._at.year + 1, 1, 1, 0, 0))
        return False

    def _is_month(self) -> bool:
        month = self._at.month
        if self._plan.months.at_or_after(month) == month:
            return True
        # PHP lets a day which the next month lacks spill over before it takes day 1: from the
        # 29th-31st that can be the month after.
        days = timedelta(days=monthrange(self._at.year, month)[1])
        self._go(1, (self._at + days).replace(day=1, hour=0, minute=0))
        return False

    def _is_day(self) -> bool:
        stops = self._plan.days_of(self._at.year, self._at.month)
        day = stops.at_or_after(self._at.day)
        if days := day - self._at.day:
            self._go(days, self._at.replace(hour=0, minute=0) + timedelta(days=days))
        return day != stops.end

    def _is_hour(self) -> bool:
        hour = self._plan.hours.at_or_after(self._at.hour)
        if hours := hour - self._at.hour:
            self._go(hours, self._at.replace(minute=0) + timedelta(hours=hours))
        return hour != self._plan.hours.end

    def _is_minute(self) -> bool:
        minute = self._plan.minutes.at_or_after(self._at.minute)
        if minutes := minute - self._at.minute:
            self._go(minutes, self._at + timedelta(minutes=minutes))
        return minute != self._plan.minutes.end
