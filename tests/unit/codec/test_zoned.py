"""Cron on the wall clock of a zone, at changes of the clock that really were."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from wpbridge.codec import cron, schedule, zoned
from wpbridge.errors import CronError

ROME = "Europe/Rome"
NEW_YORK = "America/New_York"
SYDNEY = "Australia/Sydney"
LORD_HOWE = "Australia/Lord_Howe"
SANTIAGO = "America/Santiago"
CASABLANCA = "Africa/Casablanca"
APIA = "Pacific/Apia"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(expression: str, zone: str, start: str, end: str) -> list[datetime]:
    """The chain of runs after the start, up to the end (both UTC)."""
    parsed, at, last = cron.parse(expression), moment(start), moment(end)
    found = []
    while (at := zoned.next_date(parsed, at, ZoneInfo(zone))) <= last:
        found.append(at)
    return found


def shown(found: list[datetime], zone: str) -> list[str]:
    """Wall times with their offsets."""
    return [f"{at.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for at in found]


# Each zone jumps over or repeats the hour (or half hour, or day) in the middle of the window.
WINDOWS = {
    "Rome spring": (ROME, "2024-03-30 12:00", "2024-04-01 10:00"),
    "Rome autumn": (ROME, "2024-10-26 12:00", "2024-10-28 10:00"),
    "New York spring": (NEW_YORK, "2024-03-09 12:00", "2024-03-11 12:00"),
    "New York autumn": (NEW_YORK, "2024-11-02 12:00", "2024-11-04 12:00"),
    "Sydney spring": (SYDNEY, "2024-10-05 00:00", "2024-10-07 00:00"),
    "Sydney autumn": (SYDNEY, "2024-04-06 00:00", "2024-04-08 00:00"),
    "Lord Howe spring": (LORD_HOWE, "2024-10-05 00:00", "2024-10-07 00:00"),
    "Lord Howe autumn": (LORD_HOWE, "2024-04-06 00:00", "2024-04-08 00:00"),
    "Santiago spring": (SANTIAGO, "2024-09-07 12:00", "2024-09-09 12:00"),
    "Santiago autumn": (SANTIAGO, "2024-04-06 12:00", "2024-04-08 12:00"),
    "Casablanca back": (CASABLANCA, "2024-03-09 12:00", "2024-03-11 10:00"),
    "Casablanca ahead": (CASABLANCA, "2024-04-13 12:00", "2024-04-15 10:00"),
    "Apia skips a day": (APIA, "2011-12-29 12:00", "2011-12-31 12:00"),
}


@pytest.mark.parametrize(
    ("window", "expression", "expected"),
    [
        ("Rome spring", "30 2 * * *", ["31 03:00 +0200", "01 02:30 +0200"]),
        ("Rome spring", "0 3 * * *", ["31 03:00 +0200", "01 03:00 +0200"]),
        ("Rome spring", "0,30 2,3 31 3 *", ["31 03:00 +0200", "31 03:30 +0200"]),
        ("Rome spring", "* 2 31 3 *", ["31 03:00 +0200"]),
        ("Rome spring", "30 2 1 4 *", ["01 02:30 +0200"]),
        ("Rome autumn", "30 2 * * *", ["27 02:30 +0200", "28 02:30 +0100"]),
        ("Rome autumn", "0 3 * * *", ["27 03:00 +0100", "28 03:00 +0100"]),
        ("Rome autumn", "0,30 2 27 10 *", ["27 02:00 +0200", "27 02:30 +0200"]),
        ("New York spring", "30 2 * * *", ["10 03:00 -0400", "11 02:30 -0400"]),
        ("New York autumn", "30 1 * * *", ["03 01:30 -0400", "04 01:30 -0500"]),
        ("Sydney spring", "30 2 * * *", ["06 03:00 +1100", "07 02:30 +1100"]),
        ("Sydney autumn", "30 2 * * *", ["07 02:30 +1100", "08 02:30 +1000"]),
        ("Lord Howe spring", "15 2 * * *", ["06 02:30 +1100", "07 02:15 +1100"]),
        ("Lord Howe autumn", "45 1 * * *", ["07 01:45 +1100", "08 01:45 +1030"]),
        ("Santiago spring", "0 0 * * *", ["08 01:00 -0300", "09 00:00 -0300"]),
        ("Santiago autumn", "0 0 * * *", ["07 00:00 -0400", "08 00:00 -0400"]),
        ("Santiago autumn", "30 23 * * *", ["06 23:30 -0300", "07 23:30 -0400"]),
        ("Casablanca back", "30 2 * * *", ["10 02:30 +0100", "11 02:30 +0000"]),
        ("Casablanca ahead", "30 2 * * *", ["14 03:00 +0100", "15 02:30 +0100"]),
        ("Apia skips a day", "0 9 * * *", ["29 09:00 -1000", "31 00:00 +1400", "31 09:00 +1400"]),
        ("Apia skips a day", "0 9 29,31 * *", ["29 09:00 -1000", "31 09:00 +1400"]),
    ],
)
def test_a_fixed_hour_runs_when_the_clock_first_reaches_it(
    window: str, expression: str, expected: list[str]
) -> None:
    zone = WINDOWS[window][0]
    assert shown(runs(expression, *WINDOWS[window]), zone) == expected


@pytest.mark.parametrize(
    ("window", "expression", "expected"),
    [
        ("Rome spring", "30 * 31 3 *", [1, 3]),
        ("Rome autumn", "30 * 27 10 *", [1, 2, 2, 3]),
        ("New York spring", "30 * 10 3 *", [1, 3]),
        ("New York autumn", "30 * 3 11 *", [1, 1, 2, 3]),
        ("Sydney spring", "30 * 6 10 *", [1, 3]),
        ("Sydney autumn", "30 * 7 4 *", [1, 2, 2, 3]),
        ("Lord Howe spring", "15 * 6 10 *", [1, 3]),
        ("Lord Howe spring", "45 * 6 10 *", [1, 2, 3]),
        ("Lord Howe autumn", "45 * 7 4 *", [1, 1, 2, 3]),
        ("Lord Howe autumn", "15 * 7 4 *", [1, 2, 3]),
        ("Rome autumn", "30 */2 27 10 *", [2, 2]),
        ("Rome spring", "30 */2 31 3 *", []),
    ],
)
def test_every_hour_follows_real_time(window: str, expression: str, expected: list[int]) -> None:
    zone = ZoneInfo(WINDOWS[window][0])
    hours = [at.astimezone(zone).hour for at in runs(expression, *WINDOWS[window])]
    assert [hour for hour in hours if 1 <= hour <= 3] == expected


@pytest.mark.parametrize("window", WINDOWS)
def test_every_quarter_of_an_hour_stays_a_quarter_of_an_hour(window: str) -> None:
    _, start, end = WINDOWS[window]
    found = runs("*/15 * * * *", *WINDOWS[window])
    assert len(found) == (moment(end) - moment(start)) // timedelta(minutes=15)
    assert found[-1] == moment(end)


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        (ROME, "31 3", 92),
        (ROME, "27 10", 100),
        (LORD_HOWE, "6 10", 94),
        (LORD_HOWE, "7 4", 98),
        (SANTIAGO, "8 9", 92),
        (SANTIAGO, "6 4", 100),
        (ROME, "1 7", 96),
    ],
)
def test_a_day_of_a_change_has_fewer_or_more_quarters(zone: str, day: str, count: int) -> None:
    found = runs(f"*/15 * {day} *", zone, "2024-01-01 00:00", "2024-12-31 00:00")
    assert len(found) == count
    assert len(set(found)) == count


@pytest.mark.parametrize("zone", [ROME, NEW_YORK, SYDNEY, LORD_HOWE, SANTIAGO, CASABLANCA])
def test_nine_every_morning_stays_nine_for_a_year(zone: str) -> None:
    found = runs("0 9 * * *", zone, "2024-12-31 00:00", "2026-01-02 00:00")
    local = [at.astimezone(ZoneInfo(zone)) for at in found]
    mornings = [at for at in local if at.year == 2025]
    assert len(mornings) == 365
    assert len({at.date() for at in mornings}) == 365
    assert {(at.hour, at.minute) for at in mornings} == {(9, 0)}
    assert len({at.utcoffset() for at in mornings}) == 2


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "expression",
    [
        "30 2 * * *",
        "*/15 * * * *",
        "*/20 2 * * *",
        "0 0-23 * * *",
        "45 1,2 * * *",
        "10 */2 * * *",
        "0 0 * * *",
    ],
)
def test_the_chain_is_what_a_watcher_of_the_clock_would_run(window: str, expression: str) -> None:
    assert runs(expression, *WINDOWS[window]) == watched(expression, *WINDOWS[window])


def watched(expression: str, name: str, start: str, end: str) -> list[datetime]:
    """Minute by minute, with no idea of changes: what the wall clock shows, or newly reached."""
    parsed, zone = cron.parse(expression), ZoneInfo(name)
    at = moment(start) - timedelta(days=2)
    reached = at.astimezone(zone).replace(tzinfo=UTC)
    found = []
    while at < moment(end):
        at += timedelta(minutes=1)
        wall = at.astimezone(zone).replace(tzinfo=UTC, fold=0)
        if parsed.parts[1].startswith("*"):
            is_run = cron.next_date(parsed, wall, allow_current=True) == wall
        else:
            is_run = wall > reached and cron.next_date(parsed, reached) <= wall
        reached = max(reached, wall)
        if is_run and at > moment(start):
            found.append(at)
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # The end of a gap is the run of what lies in the gap, once.
        ("30 2 * * *", "2024-03-31 00:59:59", "2024-03-31 01:00"),
        ("30 2 * * *", "2024-03-31 01:00:00", "2024-04-01 00:30"),
        ("30 2 * * *", "2024-03-31 01:00:59", "2024-04-01 00:30"),
        # From either pass of 02:30 to the next day.
        ("30 2 * * *", "2024-10-27 00:29:00", "2024-10-27 00:30"),
        ("30 2 * * *", "2024-10-27 00:30:00", "2024-10-28 01:30"),
        ("30 2 * * *", "2024-10-27 01:15:00", "2024-10-28 01:30"),
        ("30 2 * * *", "2024-10-27 01:30:00", "2024-10-28 01:30"),
        # Through the second pass.
        ("*/15 * * * *", "2024-10-27 00:45:00", "2024-10-27 01:00"),
        ("*/15 * * * *", "2024-10-27 01:00:00", "2024-10-27 01:15"),
        ("*/15 * * * *", "2024-10-27 01:45:00", "2024-10-27 02:00"),
        ("30 * * * *", "2024-10-27 00:30:00", "2024-10-27 01:30"),
        ("30 * * * *", "2024-10-27 01:30:00", "2024-10-27 02:30"),
        # The last match of an expression may come twice.
        ("30 */2 27 10 * 2024", "2024-10-26 22:30:00", "2024-10-27 00:30"),
        ("30 */24 27 10 *", "2024-10-26 22:00:00", "2024-10-26 22:30"),
    ],
)
def test_single_steps_in_rome(expression: str, after: str, expected: str) -> None:
    found = zoned.next_date(cron.parse(expression), moment(after), ZoneInfo(ROME))
    assert found == moment(expected)


@pytest.mark.parametrize(
    ("expression", "at", "is_run"),
    [
        ("30 2 * * *", "2024-03-31 01:00", True),
        ("30 3 * * *", "2024-03-31 01:00", False),
        ("0 3 * * *", "2024-03-31 01:00", True),
        ("30 * * * *", "2024-03-31 01:00", False),
        ("0 * * * *", "2024-03-31 01:00", True),
        ("30 2 * * *", "2024-10-27 00:30", True),
        ("30 2 * * *", "2024-10-27 01:30", False),
        ("30 * * * *", "2024-10-27 00:30", True),
        ("30 * * * *", "2024-10-27 01:30", True),
        ("0 9 * * *", "2024-07-01 07:00", True),
        ("0 9 * * *", "2024-07-01 08:00", False),
    ],
)
def test_the_minute_itself_counts_when_it_is_allowed_and_a_run(
    expression: str, at: str, is_run: bool
) -> None:
    parsed, rome = cron.parse(expression), ZoneInfo(ROME)
    asked = moment(at) + timedelta(seconds=59)
    found = zoned.next_date(parsed, asked, rome, allow_current=True)
    later = zoned.next_date(parsed, asked, rome)
    assert later > moment(at)
    assert found == (moment(at) if is_run else later)


def test_the_last_match_of_all_may_come_a_second_time() -> None:
    # On this day Santiago's clock went from 24:00 back to 23:00.
    parsed, santiago = cron.parse("30 * 6 4 * 2024"), ZoneInfo(SANTIAGO)
    first, second = moment("2024-04-07 02:30"), moment("2024-04-07 03:30")
    assert zoned.next_date(parsed, first, santiago) == second
    with pytest.raises(CronError):
        zoned.next_date(parsed, second, santiago)
    with pytest.raises(CronError):
        zoned.next_date(cron.parse("30 23 6 4 * 2024"), first, santiago)


def test_what_only_ever_falls_into_gaps_is_impossible_for_every_hour() -> None:
    # Santiago leaves out midnight of the Sunday after September's first Saturday.
    after = moment("2024-01-01 00:00")
    with pytest.raises(CronError, match="leaves out"):
        zoned.next_date(cron.parse("30 */24 2-8 9 0"), after, ZoneInfo(SANTIAGO))
    fixed = zoned.next_date(cron.parse("30 0 2-8 9 0"), after, ZoneInfo(SANTIAGO))
    assert fixed == moment("2024-09-08 04:00")


def test_the_date_given_may_be_of_any_zone_and_the_answer_is_utc() -> None:
    tokyo = datetime(2024, 7, 1, 15, 59, 59, 999_999, tzinfo=ZoneInfo("Asia/Tokyo"))
    found = zoned.next_date(cron.parse("0 9 * * *"), tokyo, ZoneInfo(ROME))
    assert found == moment("2024-07-01 07:00")
    assert found.tzinfo is UTC
    fixed = zoned.next_date(cron.parse("0 9 * * *"), tokyo, timezone(timedelta(hours=2)))
    assert fixed == found


def test_offsets_with_seconds_do_no_harm() -> None:
    monrovia = ZoneInfo("Africa/Monrovia")
    at = datetime(1960, 5, 1, tzinfo=UTC)
    for expression in ("*/15 * * * *", "30 2 * * *"):
        following = zoned.next_date(cron.parse(expression), at, monrovia)
        assert at < following < at + timedelta(days=1)
        assert following.second == 0


def test_errors_are_those_of_cron() -> None:
    rome, after = ZoneInfo(ROME), moment("2024-01-01 00:00")
    for expression in ("0 3 30 2 *", "0 * 30 2 *", "0 0 * * * 2020"):
        with pytest.raises(CronError):
            zoned.next_date(cron.parse(expression), after, rome)
    with pytest.raises(ValueError, match="without a time zone"):
        zoned.next_date(cron.parse("@daily"), after.replace(tzinfo=None), rome)


@pytest.mark.parametrize(
    ("edge", "hours"),
    [(datetime(1, 1, 1, tzinfo=UTC), -1), (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), 1)],
)
@pytest.mark.parametrize("expression", ["0 0 * * *", "* * * * *"])
@pytest.mark.parametrize("allow_current", [True, False])
def test_the_ends_of_the_calendar_are_cron_errors(
    edge: datetime, hours: int, expression: str, allow_current: bool
) -> None:
    zone = timezone(timedelta(hours=hours))
    with pytest.raises(CronError):
        zoned.next_date(cron.parse(expression), edge, zone, allow_current=allow_current)


@pytest.mark.parametrize("name", ["UTC", ROME, "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_a_zone_is_known_by_its_exact_name(name: str) -> None:
    assert zoned.zone_named(name).key == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("europe/rome", ROME),
        ("EUROPE/ROME", ROME),
        ("Europe/Roma", ROME),
        ("Rome", ROME),
        (" Europe/Rome", ROME),
        ("New York", NEW_YORK),
        ("utc", "UTC"),
        ("Asia/Calcuta", "Asia/Calcutta"),
    ],
)
def test_a_name_slightly_wrong_is_refused_with_the_right_one(name: str, hint: str) -> None:
    with pytest.raises(CronError) as caught:
        zoned.zone_named(name)
    assert str(caught.value) == f"there is no time zone {name!r}; did you mean {hint}?"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/localtime",
        "/usr/share/zoneinfo/Europe/Rome",
        "Europe",
        "Europe/",
        "Europe/../Europe/Rome",
        "posix/Europe/Rome",
        "localtime",
        "tzdata.zi",
        "Mars/Olympus",
        "CEST",
        "+02:00",
        "Bad\0Name",
        "two\nlines",
        "\N{SNOWMAN}\ud800",
        "x" * 100_000,
    ],
)
def test_any_other_name_is_refused_in_one_short_line(name: str) -> None:
    with pytest.raises(CronError) as caught:
        zoned.zone_named(name)
    text = str(caught.value)
    assert text.startswith("there is no time zone '")
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 250


def scheduled(expression: str, start: str, zone: str | None) -> schedule.Cron:
    named = None if zone is None else ZoneInfo(zone)
    return schedule.cron_schedule(moment(start), expression, zone=named)


def dated(text: str) -> int:
    return int(moment(text).timestamp())


def test_a_schedule_starts_at_a_match_of_its_zone() -> None:
    made = scheduled("0  9 * * *", "2024-07-01 06:30:59", ROME)
    assert made == schedule.Cron(
        timestamp=dated("2024-07-01 07:00"),
        first_timestamp=dated("2024-07-01 06:30"),
        expression="0 9 * * *",
    )
    assert scheduled("0 9 * * *", "2024-07-01 07:00:59", ROME).timestamp == made.timestamp
    assert scheduled("30 2 * * *", "2024-03-31 01:00", ROME).timestamp == dated("2024-03-31 01:00")
    utc = scheduled("0 9 * * *", "2024-07-01 06:30", None)
    assert utc.timestamp == dated("2024-07-01 09:00")
    assert utc == scheduled("0 9 * * *", "2024-07-01 06:30", "UTC")


@pytest.mark.parametrize(
    ("expression", "due", "ran_at", "following"),
    [
        # Late: the next match after the run.
        ("0 9 * * *", "2024-03-30 08:00", "2024-03-30 08:00:01", "2024-03-31 07:00"),
        ("0 9 * * *", "2024-03-30 08:00", "2024-04-02 06:59", "2024-04-02 07:00"),
        ("30 2 * * *", "2024-03-30 01:30", "2024-03-30 01:31", "2024-03-31 01:00"),
        ("30 2 * * *", "2024-03-31 01:00", "2024-03-31 01:00:01", "2024-04-01 00:30"),
        ("30 2 * * *", "2024-10-27 00:30", "2024-10-27 00:31", "2024-10-28 01:30"),
        ("30 * * * *", "2024-10-27 00:30", "2024-10-27 00:31", "2024-10-27 01:30"),
        # Early: the same date again, the end of a gap included.
        ("0 9 * * *", "2024-07-01 07:00", "2024-06-28 12:00", "2024-07-01 07:00"),
        ("0 9 * * *", "2024-07-01 07:00", "2024-07-01 07:00", "2024-07-01 07:00"),
        ("30 2 * * *", "2024-03-31 01:00", "2024-03-30 12:00", "2024-03-31 01:00"),
        ("30 * * * *", "2024-10-27 01:30", "2024-10-27 01:00", "2024-10-27 01:30"),
        # Early with a date that is no match: moved to one.
        ("0 9 * * *", "2024-07-01 09:00", "2024-06-28 12:00", "2024-07-02 07:00"),
    ],
)
def test_the_successor_comes_at_a_match_of_its_zone(
    expression: str, due: str, ran_at: str, following: str
) -> None:
    told = schedule.Cron(timestamp=dated(due), first_timestamp=0, expression=expression)
    successor = schedule.next_after_run(told, ran_at=moment(ran_at), zone=ZoneInfo(ROME))
    assert successor is not None
    assert successor.timestamp == dated(following)


def test_a_zone_changes_nothing_for_an_interval() -> None:
    hourly = schedule.interval(moment("2024-03-31 00:30"), 3600)
    ran_at = moment("2024-03-31 00:31")
    plain = schedule.next_after_run(hourly, ran_at=ran_at)
    assert schedule.next_after_run(hourly, ran_at=ran_at, zone=ZoneInfo(ROME)) == plain


def test_a_chain_in_a_zone_that_cannot_go_on_says_why() -> None:
    told = schedule.Cron(timestamp=0, first_timestamp=0, expression="0 3 30 2 *")
    with pytest.raises(CronError):
        schedule.next_after_run(told, ran_at=moment("2024-01-01"), zone=ZoneInfo(ROME))
