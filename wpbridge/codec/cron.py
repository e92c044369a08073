"""Finds the next date of a cron expression, as the plugin's old copy of mtdowling/cron-expression.

wpbridge and the plugin repeat the same rows, so the faults of that library are kept: day of month
and weekday must both match, ranges do not wrap, the step to the next month can skip one, and a
search ends after 1,000 rounds. An error in a part is raised only when a date is tested against the
part, so an earlier part or field may decide before it shows.

The search keeps the answers of a field as bits and jumps from bit to bit. It counts the rounds
that the plugin would have needed.
"""

import re
from calendar import isleap, monthrange
from collections.abc import Callable
from dataclasses import field
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from wpbridge.codec.cron_fields import (
    Day,
    DayTest,
    ValueTest,
    day_of_month_test,
    day_of_week_test,
    month_test,
    parts_of,
    value_test,
)
from wpbridge.dataclass import dataclass
from wpbridge.errors import CronError

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_SPACE: Final = re.compile(r"[\t-\r ]+")
_CLOCK: Final = re.compile(r"[*,/\-0-9]")
_NAMED: Final = re.compile(r"[*,/\-0-9A-Z]")
_LEGAL: Final = (_CLOCK, _CLOCK, re.compile(r"[*,/\-?0-9A-Za-z]"), _NAMED, _NAMED, _CLOCK)
_FEWEST_FIELDS: Final = 5
_MAX_ROUNDS: Final = 1000


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A cron expression that the plugin accepts. It may still match no date at all."""

    parts: tuple[str, ...]
    """Minute, hour, day of month, month, weekday and perhaps year. Macros are expanded."""

    @property
    def expression(self) -> str:
        """Return the fields as one text, joined by single spaces."""
        return " ".join(self.parts)


@lru_cache(maxsize=1024)
def parse(expression: str) -> CronExpression:
    """Split an expression into its fields.

    Raises:
        CronError: the plugin refuses the expression.
    """
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
    """Return the first date after the minute of ``after`` that matches, as aware UTC.

    With ``allow_current`` the minute of ``after`` itself may be the answer.

    Raises:
        CronError: PHP would throw here, find no match, or never come to an end.
        ValueError: ``after`` has no time zone.
    """
    if after.tzinfo is None:
        raise ValueError("a date without a time zone")
    try:
        search = _Search(_plan(expression.parts), after.astimezone(UTC))
        return search.run(skip_start=not allow_current)
    except (OverflowError, ValueError) as error:
        raise CronError("Impossible CRON expression: no date or number is that large") from error


class _Stops(NamedTuple):
    """The values of a field at which the search stops: where it matches, or raises, or ends."""

    bits: int
    """Bit n is set for the value n."""
    end: int
    """The first value above all values of the field, also set in ``bits``."""
    errors: dict[int, str]
    """The messages of the values at which PHP would throw."""

    def at_or_after(self, value: int) -> int:
        """Return the first stop from ``value`` on. Raises CronError if PHP would throw there."""
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


@dataclass(frozen=True, slots=True)
class _Plan:
    """A parsed expression, ready to be searched."""

    minutes: _Stops
    hours: _Stops
    days: list[DayTest]
    months: _Stops
    weekdays: list[DayTest]
    years: list[ValueTest]
    known: dict[tuple[int, int, bool], _Stops] = field(default_factory=dict)
    """The days of each kind of month that was asked for so far."""

    def is_year(self, year: int) -> bool:
        return not self.years or any(test(f"{year:04}") for test in self.years)

    def days_of(self, year: int, month: int) -> _Stops:
        """Return the days of a month. Only 168 kinds of month exist, so each is worked out once."""
        weekday, length = monthrange(year, month)
        kind = (month, weekday, isleap(year))
        if kind not in self.known:
            # The calendar repeats after 400 years, and Python's ends at either side.
            first = date(2000 + year % 400, month, 1)

            def test(number: int) -> bool:
                day = Day(first, number, length, (weekday + number - 1) % 7 + 1)
                return any(t(day) for t in self.days) and any(t(day) for t in self.weekdays)

            self.known[kind] = _stops(range(1, length + 1), test)
        return self.known[kind]


@lru_cache(maxsize=1024)
def _plan(parts: tuple[str, ...]) -> _Plan:
    def clock(position: int, values: range) -> _Stops:
        tests = [value_test(part, values[-1]) for part in parts_of(parts[position])]
        return _stops(values, lambda value: any(test(f"{value:02}") for test in tests))

    months = [month_test(part) for part in parts_of(parts[3])]
    return _Plan(
        minutes=clock(0, range(60)),
        hours=clock(1, range(24)),
        days=[day_of_month_test(part) for part in parts_of(parts[2])],
        months=_stops(range(1, 13), lambda value: any(test(f"{value:02}") for test in months)),
        weekdays=[day_of_week_test(part) for part in parts_of(parts[4])],
        years=[value_test(part, MAXYEAR) for year in parts[5:] for part in parts_of(year)],
    )


class _Search:
    """The plugin's walk from a minute to the next match.

    Each ``_is_...`` moves on to where its field matches. It returns False if it had to move into
    the next larger unit (such as the next month). Then the fields above are tested again.
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
        # PHP first adds a month, so a day that the next month lacks becomes a day of the month
        # after it. Only then it takes day 1. From the 29th to the 31st this can skip a month.
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
