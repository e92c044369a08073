"""Words for the schedule of an action, and the dates on which it runs next.

Words for a cron expression are made of the values that its fields match in the plugin, and not of
its syntax: cron-descriptor reads expressions as other crons do, which repeat ``*/5`` days from the
first of a month on and ask for the day of the month *or* the weekday. So it is given plain forms
alone that mean the same everywhere, and the rest is said here. What no words can say truly is shown
as the expression.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from wpbridge.action import Status
from wpbridge.codec import cron, schedule, zoned
from wpbridge.codec.cron_values import CronValues, values_of
from wpbridge.errors import CodecError, CronError
from wpbridge.store.records import Record
from wpbridge.telling.visible import visible

LONGEST: Final = 200
"""Longer expressions, in characters, are neither read nor put into words."""
_SHOWN: Final = 80
_MOST_TIMES: Final = 8
"""So many times of a day are listed at most."""
_INSTANT: Final = timedelta(microseconds=1)
_MINUTES: Final = tuple(range(60))
_HOURS: Final = tuple(range(24))
_DAYS: Final = tuple(range(1, 32))
_MONTHS: Final = tuple(range(1, 13))
_WEEKDAYS: Final = tuple(range(7))
_DAY_NAMES: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTH_NAMES: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_NTH: Final = ("first", "second", "third", "fourth", "fifth")
_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_UNITS: Final = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def words_of(schedule_blob: bytes, zone: str | None = None) -> str:
    """Return a schedule in words, such as "every 15 minutes".

    Args:
        schedule_blob: the column of the action, whatever it holds.
        zone: the name of the time zone that a cron expression is read in; None for UTC.
    """
    try:
        found = schedule.decode(schedule_blob)
    except CodecError:
        return "cannot be read"
    match found:
        case schedule.Cron():
            words = cron_words(found.expression, zone)
        case schedule.Interval():
            words = interval_words(found.seconds)
        case schedule.Single():
            words = "once"
        case schedule.Async():
            words = "once, as soon as possible"
        case schedule.Canceled():
            words = "never: it came canceled from the plugin's old store"
        case schedule.ForeignSchedule():
            words = f"as the PHP class {visible(found.php_class[:_SHOWN])} decides"
    return words


def interval_words(seconds: int) -> str:
    """Return the time between two runs in words."""
    if seconds == 0:
        return "once: its interval has 0 seconds"
    if seconds < 0:
        return f"again at once after each run: its interval has {seconds} seconds"
    left, parts = seconds, list[str]()
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return f"every {parts[0].removeprefix('1 ')}" if len(parts) == 1 else f"every {_all(parts)}"


@lru_cache(maxsize=4096)
def cron_words(expression: str, zone: str | None = None) -> str:
    """Return a cron expression in words, with the zone that its hours and days are of."""
    where = visible(zone or "UTC")
    shown = visible(expression[:_SHOWN]) + ("…" if len(expression) > _SHOWN else "")
    as_it_is = f"by the cron expression {shown}, in {where}"
    if len(expression) > LONGEST:
        return as_it_is
    try:
        found = values_of(cron.parse(expression))
    except (CronError, ValueError, OverflowError):
        return as_it_is
    if _is_impossible(found):
        return f"never: no date matches the cron expression {shown}"
    dates = f"{_day(found)}{_month(found)}{_year(found)}"
    words = f"{_time(found.minutes, found.hours)}{dates}"
    # Every minute of an hour is the same one in nearly all zones.
    is_of_no_zone = zone is None and found.hours == _HOURS and not dates
    return words[:1].lower() + words[1:] + ("" if is_of_no_zone else f", in {where}")


def next_dates(record: Record, zone: str | None, now: datetime, count: int = 5) -> list[datetime]:
    """Return when an action and its successors run, if each begins at its date and ends at once.

    A pending action's own date is the first, also where it has passed; what is due runs now, so the
    dates after it are counted from now. An action that is in progress is taken to end now. One that
    has ended has no dates: its successor is an action of its own. The dates are aware UTC, and
    fewer than ``count`` where the chain ends, or nobody can say.
    """
    if not record.is_live or (record.status == Status.PENDING and record.scheduled_at is None):
        return []
    dates = [record.scheduled_at] if record.status == Status.PENDING else []
    try:
        told: schedule.Schedule | None = schedule.decode(record.schedule)
        where: tzinfo | None = None if zone is None else zoned.zone_named(zone)
        if isinstance(told, schedule.Cron) and len(told.expression) > LONGEST:
            told = None
        ran_at = now
        while told is not None and len(dates) < count:
            if dates and dates[-1] is not None:
                ran_at = max(ran_at, dates[-1])
            told = schedule.next_after_run(told, ran_at=ran_at + _INSTANT, zone=where)
            if told is not None and told.timestamp is not None:
                dates.append(datetime.fromtimestamp(told.timestamp, UTC))
    except (CodecError, CronError, OverflowError, ValueError):
        pass
    return [date for date in dates if date is not None][:count]


def _is_impossible(found: CronValues) -> bool:
    """Whether a field matches nothing, or no month has such a day."""
    month_ends = [_LONGEST_MONTHS[month - 1] for month in found.months]
    has_day = (
        found.is_last_day
        or bool(found.near_days)
        or any(day <= end for day in found.days[:1] for end in month_ends)
    )
    has_weekday = bool(found.weekdays or found.last_weekdays or found.nth_weekdays)
    has_clock = bool(found.minutes and found.hours and found.months)
    return not (has_clock and has_day and has_weekday) or found.years == ()


# The time of the day


def _time(minutes: tuple[int, ...], hours: tuple[int, ...]) -> str:
    minute, hour = _step(minutes, _MINUTES), _step(hours, _HOURS)
    is_single = len(minutes) == 1
    if hours == _HOURS:
        return _described(f"{minute or _texted(minutes)} *")
    if is_single and hour:
        return _described(f"{minutes[0]} {hour}")
    if len(minutes) * len(hours) <= _MOST_TIMES:
        return f"at {_all([f'{h:02}:{m:02}' for h in hours for m in minutes])}"
    if _is_range(hours):
        return _described(f"{minute or _texted(minutes)} {_texted(hours)}")
    each = f"at minute{'' if is_single else 's'} {_numbers(minutes)}"
    return f"{'every minute' if minutes == _MINUTES else each} of the hours {_numbers(hours)}"


def _described(clock: str) -> str:
    """Return what cron-descriptor says of a minute and an hour, in forms that it says right."""
    from cron_descriptor import (  # noqa: PLC0415 - only the dashboard's own pages need it
        ExpressionDescriptor,
        Options,
    )

    options = Options(locale_code="en_US", use_24hour_time_format=True)
    return str(ExpressionDescriptor(f"{clock} * * *", options).get_description())


def _step(values: tuple[int, ...], whole: tuple[int, ...]) -> str:
    """Return ``*`` or ``*/n`` where these are all values, or each nth in equal distances."""
    if values == whole:
        return "*"
    if len(values) < 2 or values[0] != whole[0]:  # noqa: PLR2004 - a distance needs two
        return ""
    step = values[1] - values[0]
    is_even = len(whole) % step == 0 and values == whole[::step]
    return f"*/{step}" if is_even else ""


def _is_range(values: tuple[int, ...]) -> bool:
    return values == tuple(range(values[0], values[-1] + 1))


def _texted(values: tuple[int, ...]) -> str:
    """Return values as the text of a field: one number, one range or a list of numbers."""
    if len(values) > 1 and _is_range(values):
        return f"{values[0]}-{values[-1]}"
    return ",".join(map(str, values))


# The day, the month and the year


def _day(found: CronValues) -> str:
    days, weekdays = _of_month(found), _of_week(found)
    if days and weekdays:
        return f", {days}, but only {weekdays.removeprefix('only ')}"
    return f", {days or weekdays}" if days or weekdays else ""


def _of_month(found: CronValues) -> str:
    if found.days == _DAYS:
        return ""
    parts = [f"on day {_numbers(found.days)} of the month"] if found.days else []
    parts += ["on the last day of the month"] if found.is_last_day else []
    parts += [f"on the weekday nearest to day {day} of the month" for day in found.near_days]
    return _all(parts)


def _of_week(found: CronValues) -> str:
    if found.weekdays == _WEEKDAYS:
        return ""
    parts = []
    if found.weekdays == (1, 2, 3, 4, 5):
        parts.append("from Monday to Friday")
    elif found.weekdays:
        parts.append(f"on {_all([_DAY_NAMES[day] for day in found.weekdays])}")
    parts += [f"on the last {_DAY_NAMES[day]} of the month" for day in found.last_weekdays]
    parts += [
        f"on the {_NTH[nth - 1]} {_DAY_NAMES[day]} of the month" for day, nth in found.nth_weekdays
    ]
    return f"only {_all(parts)}"


def _month(found: CronValues) -> str:
    if found.months == _MONTHS:
        return ""
    names = [_MONTH_NAMES[month - 1] for month in found.months]
    if len(names) > 2 and _is_range(found.months):  # noqa: PLR2004 - two are named as they are
        return f", from {names[0]} to {names[-1]}"
    return f", only in {_all(names)}"


def _year(found: CronValues) -> str:
    return "" if found.years is None else f", only in {_numbers(found.years)}"


# Lists


def _numbers(values: tuple[int, ...]) -> str:
    """Return numbers as a list in which three or more in a row are one range."""
    parts, rest = list[str](), list(values)
    while rest:
        end = next(
            (place for place, value in enumerate(rest) if value != rest[0] + place), len(rest)
        )
        if end > 2:  # noqa: PLR2004 - two are named as they are
            parts.append(f"{rest[0]} to {rest[end - 1]}")
        else:
            parts += map(str, rest[:end])
        rest = rest[end:]
    return _all(parts)


def _all(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1] if parts else "")))
