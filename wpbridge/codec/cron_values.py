"""Says which values the fields of a cron expression match, as the plugin reads them.

The syntax alone does not say it: ``*/5`` days are the days whose number divides by 5, and ``0/15``
minutes are ``*/15``. Here each field is asked for all its values, so what is made of them, such as
words for people, is true of the dates that the plugin finds.
"""

import re
from datetime import date
from functools import lru_cache
from typing import Final

from wpbridge.codec.cron import CronExpression
from wpbridge.codec.cron_fields import (
    Day,
    day_of_month_test,
    day_of_week_test,
    month_test,
    parts_of,
    value_test,
)
from wpbridge.dataclass import dataclass
from wpbridge.errors import CronError

_NEAREST: Final = re.compile(r"0?([1-9])W|(1[0-9]|2[0-8])W", re.ASCII)
"""Above 28 the plugin may count on into the next month."""
_LAST: Final = re.compile(r"([0-7])L", re.ASCII)
_NTH: Final = re.compile(r"([1-5])#([1-5])", re.ASCII)
_NAMES: Final = {
    name: str(number)
    for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
}
_YEARS: Final = range(1970, 2200)
_YEAR_FIELD: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CronValues:
    """What each field of an expression matches. A date must match all fields."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    """Days of the month that are matched by their number."""
    is_last_day: bool
    """Whether the last day of each month matches as well."""
    near_days: tuple[int, ...]
    """Days of which the nearest weekday of the month matches as well."""
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    """From 0 for Sunday to 6 for Saturday."""
    last_weekdays: tuple[int, ...]
    """Weekdays whose last one in a month matches as well."""
    nth_weekdays: tuple[tuple[int, int], ...]
    """A weekday, and which one of a month matches as well, from 1 to 5."""
    years: tuple[int, ...] | None
    """Of 1970 to 2199; None for every year."""


@lru_cache(maxsize=1024)
def values_of(expression: CronExpression) -> CronValues:
    """Return what an expression matches.

    Raises:
        CronError: a field raises an error for one of its values, or its meaning depends on the
            month in a way that no list of values can say.
    """
    minute, hour, day, month, weekday = expression.parts[:_YEAR_FIELD]
    days, near, is_last = _days(parts_of(day))
    weekdays, last, nth = _weekdays(parts_of(weekday))
    return CronValues(
        minutes=_numbers(minute, range(60)),
        hours=_numbers(hour, range(24)),
        days=days,
        is_last_day=is_last,
        near_days=near,
        months=_months(parts_of(month)),
        weekdays=weekdays,
        last_weekdays=last,
        nth_weekdays=nth,
        years=_years(expression.parts[_YEAR_FIELD:]),
    )


def _numbers(field: str, values: range) -> tuple[int, ...]:
    tests = [value_test(part, values[-1]) for part in parts_of(field)]
    return tuple(value for value in values if any(test(f"{value:02}") for test in tests))


def _months(parts: list[str]) -> tuple[int, ...]:
    tests = [month_test(part) for part in parts]
    return tuple(value for value in range(1, 13) if any(test(f"{value:02}") for test in tests))


def _years(fields: tuple[str, ...]) -> tuple[int, ...] | None:
    tests = [value_test(part, 9999) for field in fields for part in parts_of(field)]
    found = tuple(year for year in _YEARS if not tests or any(test(str(year)) for test in tests))
    return None if len(found) == len(_YEARS) else found


def _days(parts: list[str]) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """Return the numbers of days, the days whose nearest weekday is meant, and whether ``L`` is."""
    near, plain = list[int](), list[str]()
    for part in parts:
        if part.find("W") > 0:
            found = _NEAREST.fullmatch(part)
            if found is None:
                raise CronError(f"{part} means another day in some months")
            near.append(int(found[1] or found[2]))
        elif part != "L":
            plain.append(part)
    tests = [day_of_month_test(part) for part in plain]
    days = [Day(date(2024, 1, 1), number, 31, 1) for number in range(1, 32)]
    hits = tuple(day.day for day in days if any(test(day) for test in tests))
    return hits, tuple(sorted(near)), "L" in parts


def _weekdays(
    parts: list[str],
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Return the weekdays, the last ones and the numbered ones of a month."""
    last, nth, plain = list[int](), list[tuple[int, int]](), list[str]()
    for part in parts:
        numbered = part.upper()
        for name, number in _NAMES.items():
            numbered = numbered.replace(name, number)
        if numbered.find("L") > 0:
            if not (found := _LAST.fullmatch(numbered)):
                raise CronError(f"{part} names no weekday")
            last.append(int(found[1]) % 7)
        elif numbered.find("#") > 0:
            if not (found := _NTH.fullmatch(numbered)):
                raise CronError(f"{part} names no weekday of a month")
            nth.append((int(found[1]), int(found[2])))
        else:
            plain.append(part)
    tests = [day_of_week_test(part) for part in plain]
    days = [Day(date(2024, 1, 1), 1, 31, number or 7) for number in range(7)]
    hits = tuple(day.weekday % 7 for day in days if any(test(day) for test in tests))
    return hits, tuple(sorted(last)), tuple(sorted(nth))
