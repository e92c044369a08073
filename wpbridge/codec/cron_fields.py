"""Decides what the fields of a cron expression match, as the plugin's copy of the library does.

A field is a list of parts, such as ``1-5`` and ``*/10`` in ``1-5,*/10``. Each function here turns
one part into a test for values. As in PHP, an error in a part is raised when a value is tested,
and not when the test is made.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from wpbridge.errors import CronError

_MONTHS: Final = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"
_WEEKDAYS: Final = "SUN MON TUE WED THU FRI SAT"
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# PHP's date parser reads a letter or an offset after the day as a time zone.
_NEAREST: Final = re.compile(
    r"([0-2][0-9]|3[01]|[0-9])(?:st|nd|rd|th|[a-ik-z.])?(?:[+-][0-9]{1,2})?",
    re.ASCII | re.IGNORECASE,
)
_MAX_STEPS: Final = 20_000
_SATURDAY: Final = 6
_SUNDAY: Final = 7


ValueTest = Callable[[str], bool]
"""Tells whether a value matches. The value is given as the text that PHP compares."""


class Day(NamedTuple):
    """A day, with what the two day fields ask about it."""

    first: date
    """The first day of its month."""
    day: int
    length: int
    """How many days its month has."""
    weekday: int
    """From 1 for Monday to 7 for Sunday."""


DayTest = Callable[[Day], bool]
"""Tells whether a day matches."""


def parts_of(field: str) -> list[str]:
    """Return the parts of a field. A repeated part is left out, since it changes no answer."""
    return list(dict.fromkeys(map(_trim, field.split(",")) if "," in field else [field]))


@lru_cache(maxsize=4096)
def _number(text: str, *, leading: bool = False) -> float | None:
    """Return a text as a number. With ``leading`` other text may follow it, as in PHP's sums."""
    found = _NUMBER.match(text)
    if not found or not (leading or found.end() == len(text)):
        return None
    try:
        return int(found[0])
    except ValueError:
        return float(found[0])


def _order(left: str, right: str) -> int:
    """Compare as PHP 8 does, by number if both are numbers: below 0, 0, or above 0."""
    a, b = _number(left), _number(right)
    if a is None or b is None:
        return (left > right) - (left < right)
    return (a > b) - (a < b)


def _trim(text: str) -> str:
    return text.strip(" \n\r\t\v\0")


def value_test(part: str, top: int) -> ValueTest:
    """Return the test for a step, a range or a single value in a field that ends at ``top``."""
    if "/" in part:
        base, step = map(_trim, part.split("/", 1))
        return _multiples(part, step) if base in {"*", "0"} else _steps(part, base, step, top)
    if "-" in part:
        low, high = map(_trim, part.split("-", 1))
        return lambda text: _order(text, low) >= 0 and _order(text, high) <= 0
    return lambda text: part == "*" or _order(text, part) == 0


def _multiples(part: str, step: str) -> ValueTest:
    number = _number(step, leading=True)
    # PHP casts an infinite number to the integer 0.
    divisor = 0 if number is None or number in {float("inf"), float("-inf")} else int(number)

    def test(text: str) -> bool:
        if not divisor:
            raise CronError(f"{part} divides by nothing")
        return int(text) % divisor == 0

    return test


def _steps(part: str, base: str, step: str, top: int) -> ValueTest:
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
    """Return the numbers that PHP's loop reaches after its start, and whether the loop ends."""
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


def month_test(part: str) -> ValueTest:
    """Return the test for a part of the month field, in which months may have names."""
    return value_test(_with_numbers(part, _MONTHS, 1), 12)


def _with_numbers(part: str, names: str, first: int) -> str:
    for number, name in enumerate(names.split(), first):
        part = re.sub(name, str(number), part, flags=re.ASCII | re.IGNORECASE)
    return part


def day_of_month_test(part: str) -> DayTest:
    """Return the test for a part of the day field: also ``?``, ``L`` and ``15W``."""
    if part == "?":
        return lambda _: True
    if part == "L":
        return lambda day: day.day == day.length
    if part.find("W") > 0:
        target = part[: part.find("W")]
        return lambda day: day.day == _nearest_weekday(day.first, target)
    test = value_test(part, 31)
    return lambda day: test(f"{day.day:02}")


def _nearest_weekday(first: date, target: str) -> int:
    """Return the day of the month that ``nW`` means, for the month that begins at ``first``.

    As in PHP, a day that the month lacks counts on into the next month.
    """
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


def day_of_week_test(part: str) -> DayTest:
    """Return the test for a part of the weekday field: also names, ``?``, ``5L`` and ``2#1``."""
    if part == "?":
        return lambda _: True
    part = _with_numbers(part, _WEEKDAYS, 0)
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
    test = value_test(part, 7)
    sunday = 7 if "7" in part else 0
    return lambda day: test(str(sunday if day.weekday == _SUNDAY else day.weekday))


def _last_weekday(wanted: str) -> DayTest:
    number = wanted.replace("7", "0")
    is_weekday = any(_order(str(weekday), number) == 0 for weekday in range(7))

    def test(day: Day) -> bool:
        if not is_weekday:
            raise CronError(f"{wanted}L never ends: there is no weekday {wanted}")
        return day.day > day.length - 7 and _order(str(day.weekday % 7), number) == 0

    return test


def _nth_weekday(weekday: str, nth: str) -> DayTest:
    count = next((count for count in range(1, 6) if _order(str(count), nth) >= 0), 6)

    def test(day: Day) -> bool:
        if _order(weekday, "1") < 0 or _order(weekday, "5") > 0:
            raise CronError(f"Weekday must be a value between 1 and 5. {weekday} given")
        if _order(nth, "5") > 0:
            raise CronError("There are never more than 5 of a given weekday in a month")
        return _order(str(day.weekday), weekday) == 0 and (day.day + 6) // 7 == count

    return test
