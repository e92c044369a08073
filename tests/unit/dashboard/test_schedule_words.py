"""Words for schedules are true of the dates that the plugin's own rules find."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import NamedTuple

import pytest

from wpbridge.action import ActionId, ClaimId, Status
from wpbridge.codec import cron, schedule
from wpbridge.dashboard.schedule_words import cron_words, interval_words, next_dates, words_of
from wpbridge.errors import CronError
from wpbridge.store.records import Record

EVERY = range(60)
ALL_HOURS = range(24)
START = datetime(2026, 1, 30, 22, 17, tzinfo=UTC)


class Case(NamedTuple):
    expression: str
    words: str
    minutes: Iterable[int] = (0,)
    hours: Iterable[int] = (0,)
    is_day: Callable[[date], bool] = lambda _: True


def on(*days: int) -> Callable[[date], bool]:
    return lambda day: day.day in days


def weekday(*days: int) -> Callable[[date], bool]:
    """From 0 for Monday."""
    return lambda day: day.weekday() in days


def in_months(
    *months: int, days: Callable[[date], bool] = lambda _: True
) -> Callable[[date], bool]:
    return lambda day: day.month in months and days(day)


def is_last(day: date) -> bool:
    return (day + timedelta(days=1)).month != day.month


def near(number: int, day: date) -> bool:
    """Whether a day is the weekday that is nearest to a number, within the month."""
    aimed = day.replace(day=number)
    moves = (0, -1, 1, -2, 2)
    moved = (aimed + timedelta(days=move) for move in moves)
    return day == next(one for one in moved if one.weekday() < 5 and one.month == day.month)


CASES = (
    Case("* * * * *", "every minute", EVERY, ALL_HOURS),
    Case("*/2 * * * *", "every 2 minutes", range(0, 60, 2), ALL_HOURS),
    Case("*/15 * * * *", "every 15 minutes", (0, 15, 30, 45), ALL_HOURS),
    Case("0/15 * * * *", "every 15 minutes", (0, 15, 30, 45), ALL_HOURS),
    Case("0,15,30,45 * * * *", "every 15 minutes", (0, 15, 30, 45), ALL_HOURS),
    Case("*/30 * * * *", "every 30 minutes", (0, 30), ALL_HOURS),
    Case("5/15 * * * *", "at 5, 20, 35, and 50 minutes past the hour", (5, 20, 35, 50), ALL_HOURS),
    Case("*/25 * * * *", "at 0, 25, and 50 minutes past the hour", (0, 25, 50), ALL_HOURS),
    Case("0 * * * *", "every hour", (0,), ALL_HOURS),
    Case("@hourly", "every hour", (0,), ALL_HOURS),
    Case("30 * * * *", "at 30 minutes past the hour", (30,), ALL_HOURS),
    Case("5,20 * * * *", "at 5 and 20 minutes past the hour", (5, 20), ALL_HOURS),
    Case("10-20 * * * *", "minutes 10 through 20 past the hour", range(10, 21), ALL_HOURS),
    Case("58-2 * * * *", "never: no date matches the cron expression 58-2 * * * *", (), ()),
    Case("0 9 * * *", "at 09:00, in UTC", (0,), (9,)),
    Case("59 23 * * *", "at 23:59, in UTC", (59,), (23,)),
    Case("@daily", "at 00:00, in UTC"),
    Case("0 0 1-31 1-12 0-6", "at 00:00, in UTC"),
    Case("0 9,17 * * *", "at 09:00 and 17:00, in UTC", (0,), (9, 17)),
    Case("0 */5 * * *", "at 00:00, 05:00, 10:00, 15:00 and 20:00, in UTC", (0,), range(0, 24, 5)),
    Case("0 */6 * * *", "every 6 hours, in UTC", (0,), (0, 6, 12, 18)),
    Case(
        "30 */2 * * *", "at 30 minutes past the hour, every 2 hours, in UTC", (30,), range(0, 24, 2)
    ),
    Case("*/30 9-10 * * *", "at 09:00, 09:30, 10:00 and 10:30, in UTC", (0, 30), (9, 10)),
    Case(
        "*/15 9-17 * * *",
        "every 15 minutes, between 09:00 and 17:59, in UTC",
        (0, 15, 30, 45),
        range(9, 18),
    ),
    Case(
        "5 9-17 * * *",
        "at 5 minutes past the hour, between 09:00 and 17:59, in UTC",
        (5,),
        range(9, 18),
    ),
    Case("* 3 * * *", "every minute, between 03:00 and 03:59, in UTC", EVERY, (3,)),
    Case("0-10 9 * * *", "every minute between 09:00 and 09:10, in UTC", range(11), (9,)),
    Case("* 3,5 * * *", "every minute of the hours 3 and 5, in UTC", EVERY, (3, 5)),
    Case(
        "*/20 8,12,20 * * *",
        "at minutes 0, 20 and 40 of the hours 8, 12 and 20, in UTC",
        (0, 20, 40),
        (8, 12, 20),
    ),
    Case(
        "*/15 */2 * * *",
        "at minutes 0, 15, 30 and 45 of the hours 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 22, in UTC",
        (0, 15, 30, 45),
        range(0, 24, 2),
    ),
    Case(
        "7 1-9,20 * * *",
        "at minute 7 of the hours 1 to 9 and 20, in UTC",
        (7,),
        (*range(1, 10), 20),
    ),
    # Days that others count from the first of a month on
    Case(
        "0 0 */5 * *",
        "at 00:00, on day 5, 10, 15, 20, 25 and 30 of the month, in UTC",
        is_day=on(5, 10, 15, 20, 25, 30),
    ),
    Case(
        "0 0 */10 * *", "at 00:00, on day 10, 20 and 30 of the month, in UTC", is_day=on(10, 20, 30)
    ),
    Case(
        "0 0 1/10 * *",
        "at 00:00, on day 1, 11, 21 and 31 of the month, in UTC",
        is_day=on(1, 11, 21, 31),
    ),
    Case("0 0 */32 * *", "never: no date matches the cron expression 0 0 */32 * *", (), ()),
    Case("15 14 1 * *", "at 14:15, on day 1 of the month, in UTC", (15,), (14,), on(1)),
    Case("0 0 1,15 * *", "at 00:00, on day 1 and 15 of the month, in UTC", is_day=on(1, 15)),
    Case("0 0 1-7 * *", "at 00:00, on day 1 to 7 of the month, in UTC", is_day=on(*range(1, 8))),
    Case("0 0 L * *", "at 00:00, on the last day of the month, in UTC", is_day=is_last),
    Case(
        "0 0 15,L * *",
        "at 00:00, on day 15 of the month and on the last day of the month, in UTC",
        is_day=lambda day: day.day == 15 or is_last(day),
    ),
    Case(
        "0 0 15W * *",
        "at 00:00, on the weekday nearest to day 15 of the month, in UTC",
        is_day=partial(near, 15),
    ),
    Case(
        "0 0 1W * *",
        "at 00:00, on the weekday nearest to day 1 of the month, in UTC",
        is_day=partial(near, 1),
    ),
    Case("0 0 ? * *", "at 00:00, in UTC"),
    # Weekdays
    Case("0 0 * * 1", "at 00:00, only on Monday, in UTC", is_day=weekday(0)),
    Case("0 0 * * 0", "at 00:00, only on Sunday, in UTC", is_day=weekday(6)),
    Case("0 0 * * 7", "at 00:00, only on Sunday, in UTC", is_day=weekday(6)),
    Case("@weekly", "at 00:00, only on Sunday, in UTC", is_day=weekday(6)),
    Case(
        "0 0 * * MON-FRI",
        "at 00:00, only from Monday to Friday, in UTC",
        is_day=weekday(0, 1, 2, 3, 4),
    ),
    Case("0 0 * * sun,sat", "at 00:00, only on Sunday and Saturday, in UTC", is_day=weekday(5, 6)),
    Case(
        "0 0 * * 5-7",
        "at 00:00, only on Sunday, Friday and Saturday, in UTC",
        is_day=weekday(4, 5, 6),
    ),
    Case(
        "0 0 * * */2",
        "at 00:00, only on Sunday, Tuesday, Thursday and Saturday, in UTC",
        is_day=weekday(6, 1, 3, 5),
    ),
    Case(
        "0 0 * * */3",
        "at 00:00, only on Sunday, Wednesday and Saturday, in UTC",
        is_day=weekday(6, 2, 5),
    ),
    Case(
        "0 0 * * 5L",
        "at 00:00, only on the last Friday of the month, in UTC",
        is_day=lambda day: day.weekday() == 4 and (day + timedelta(days=7)).month != day.month,
    ),
    Case(
        "0 0 * * FRIL",
        "at 00:00, only on the last Friday of the month, in UTC",
        is_day=lambda day: day.weekday() == 4 and (day + timedelta(days=7)).month != day.month,
    ),
    Case(
        "0 0 * * 2#1",
        "at 00:00, only on the first Tuesday of the month, in UTC",
        is_day=lambda day: day.weekday() == 1 and day.day < 8,
    ),
    Case(
        "0 0 * * 4#5",
        "at 00:00, only on the fifth Thursday of the month, in UTC",
        is_day=lambda day: day.weekday() == 3 and day.day > 28,
    ),
    # Both must match, where other crons ask for either
    Case(
        "0 9 1-7 * 1",
        "at 09:00, on day 1 to 7 of the month, but only on Monday, in UTC",
        (0,),
        (9,),
        lambda day: day.day < 8 and day.weekday() == 0,
    ),
    Case(
        "0 0 13 * 5",
        "at 00:00, on day 13 of the month, but only on Friday, in UTC",
        is_day=lambda day: day.day == 13 and day.weekday() == 4,
    ),
    Case(
        "0 0 L * 1-5",
        "at 00:00, on the last day of the month, but only from Monday to Friday, in UTC",
        is_day=lambda day: is_last(day) and day.weekday() < 5,
    ),
    # Months and years
    Case(
        "0 0 1 */3 *",
        "at 00:00, on day 1 of the month, only in March, June, September and December, in UTC",
        is_day=in_months(3, 6, 9, 12, days=on(1)),
    ),
    Case(
        "0 0 1 1/3 *",
        "at 00:00, on day 1 of the month, only in January, April, July and October, in UTC",
        is_day=in_months(1, 4, 7, 10, days=on(1)),
    ),
    Case("0 0 * JAN-MAR *", "at 00:00, from January to March, in UTC", is_day=in_months(1, 2, 3)),
    Case("0 0 * 6,7 *", "at 00:00, only in June and July, in UTC", is_day=in_months(6, 7)),
    Case("@monthly", "at 00:00, on day 1 of the month, in UTC", is_day=on(1)),
    Case(
        "@yearly",
        "at 00:00, on day 1 of the month, only in January, in UTC",
        is_day=in_months(1, days=on(1)),
    ),
    Case(
        "0 0 29 2 *",
        "at 00:00, on day 29 of the month, only in February, in UTC",
        is_day=in_months(2, days=on(29)),
    ),
    Case("0 0 30 2 *", "never: no date matches the cron expression 0 0 30 2 *", (), ()),
    Case("0 0 31 4,6 *", "never: no date matches the cron expression 0 0 31 4,6 *", (), ()),
    Case(
        "0 0 1 1 * 2027-2029",
        "at 00:00, on day 1 of the month, only in January, only in 2027 to 2029, in UTC",
        is_day=lambda day: day.year in {2027, 2028, 2029} and (day.month, day.day) == (1, 1),
    ),
    Case("61 * * * *", "never: no date matches the cron expression 61 * * * *", (), ()),
    # What no words can say truly
    Case("*/0 * * * *", "by the cron expression */0 * * * *, in UTC", (), ()),
    Case("0 0 * * 1#6", "by the cron expression 0 0 * * 1#6, in UTC", (), ()),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.expression)
def test_words_are_true_of_the_dates(case: Case) -> None:
    assert cron_words(case.expression) == case.words

    assert list(_dates(case.expression)) == list(islice(_meant(case), 5))


def _dates(expression: str) -> Iterable[datetime]:
    at = START
    for _ in range(5):
        try:
            at = cron.next_date(cron.parse(expression), at)
        except CronError:
            return
        yield at


def _meant(case: Case) -> Iterable[datetime]:
    for number in range(366 * 21):
        day = START.date() + timedelta(days=number)
        if case.is_day(day):
            for hour in case.hours:
                for minute in case.minutes:
                    at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                    if at > START:
                        yield at


def test_a_zone_is_named() -> None:
    assert cron_words("0 9 * * *", "Europe/Rome") == "at 09:00, in Europe/Rome"
    assert cron_words("*/5 * * * *", "Asia/Kathmandu") == "every 5 minutes, in Asia/Kathmandu"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "every second"),
        (60, "every minute"),
        (900, "every 15 minutes"),
        (3600, "every hour"),
        (5400, "every 1 hour and 30 minutes"),
        (86_400, "every day"),
        (604_800, "every week"),
        (90_061, "every 1 day, 1 hour, 1 minute and 1 second"),
        (0, "once: its interval has 0 seconds"),
        (-5, "again at once after each run: its interval has -5 seconds"),
    ],
)
def test_intervals(seconds: int, words: str) -> None:
    assert interval_words(seconds) == words


def test_every_kind_of_schedule_has_words() -> None:
    at = schedule.single(START)
    assert words_of(schedule.encode(at)) == "once"
    assert words_of(schedule.encode(schedule.Async())) == "once, as soon as possible"
    assert words_of(schedule.encode(schedule.interval(START, 900))) == "every 15 minutes"
    assert words_of(schedule.encode(schedule.cron_schedule(START, "0 9 * * 1"))) == (
        "at 09:00, only on Monday, in UTC"
    )
    canceled = schedule.Canceled(timestamp=5)
    assert words_of(schedule.encode(canceled)).startswith("never: ")


def test_words_of_anything_are_one_line_that_can_be_shown() -> None:
    assert words_of(b"") == "cannot be read"
    assert words_of(b'O:3:"Foo":0:{}') == "as the PHP class Foo decides"
    assert cron_words("0\n0 * * *\u202e") == (
        r"never: no date matches the cron expression 0\n0 * * *\u202e"
    )
    assert cron_words("*/5 <b> * * *") == "by the cron expression */5 <b> * * *, in UTC"
    long = cron_words("1," * 50_000 + "1 * * * *")
    assert len(long) < 150
    assert long.startswith("by the cron expression 1,1,")


def record(found: schedule.Schedule, at: datetime | None, status: str = Status.PENDING) -> Record:
    return Record(
        id=ActionId(1),
        hook="h",
        status=status,
        args=b"[]",
        schedule=schedule.encode(found),
        group="",
        group_id=0,
        priority=10,
        attempts=0,
        scheduled_at=at,
        is_dated=True,
        last_attempt_at=None,
        claim_id=ClaimId(0),
    )


def test_the_next_dates_begin_with_the_date_of_the_row() -> None:
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    hourly = record(schedule.interval(at, 3600), at)

    dates = next_dates(hourly, None, START)

    assert dates == [at + timedelta(hours=number) for number in range(5)]


def test_dates_after_one_that_has_passed_count_from_now() -> None:
    due, now = datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

    every = next_dates(record(schedule.interval(due, 3600), due), None, now, 3)
    cron_dates = next_dates(record(schedule.cron_schedule(due, "0 * * * *"), due), None, now, 3)

    assert every == [due, now + timedelta(hours=1), now + timedelta(hours=2)]
    assert cron_dates == [due, now + timedelta(minutes=30), now + timedelta(minutes=90)]


def test_dates_of_a_zone_follow_its_clock() -> None:
    at = datetime(2026, 3, 28, 8, tzinfo=UTC)
    told = replace(schedule.cron_schedule(at, "0 8 * * *"), expression="0 9 * * *")

    dates = next_dates(record(told, at), "Europe/Rome", START, 3)

    assert [f"{date:%d %H:%M}" for date in dates] == ["28 08:00", "29 07:00", "30 07:00"]


def test_what_ended_or_runs_once_has_no_date_to_come() -> None:
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    hourly = schedule.interval(at, 3600)

    assert next_dates(record(hourly, at, Status.FAILED), None, START) == []
    assert next_dates(record(schedule.single(at), at), None, START) == [at]
    assert next_dates(record(schedule.Async(), None), None, START) == []
    assert next_dates(record(hourly, at, Status.IN_PROGRESS), None, at, 1) == [
        at + timedelta(hours=1)
    ]


def test_a_chain_whose_next_date_nobody_can_say_has_the_date_of_its_row() -> None:
    at = datetime(2026, 3, 1, 9, tzinfo=UTC)
    daily = schedule.cron_schedule(at, "0 9 * * *")

    assert next_dates(record(replace(daily, expression="61 * * * *"), at), None, START) == [at]
    assert next_dates(record(daily, at), "Nowhere/Never", START) == [at]
    huge = replace(daily, expression="1/.01," * 5000 + "1 * * * *")
    assert next_dates(record(huge, at), None, START) == [at]
    assert next_dates(replace(record(daily, at), schedule=b"broken"), None, START) == [at]
