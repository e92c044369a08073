"""What holds for cron expressions in every zone, at changes of the clock above all."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from wpbridge.codec import cron, zoned

MINUTE = timedelta(minutes=1)
CHANGES = {
    "Europe/Rome": ("2024-03-31 01:00", "2024-10-27 01:00"),
    "America/New_York": ("2024-03-10 07:00", "2024-11-03 06:00"),
    "Australia/Sydney": ("2024-04-06 16:00", "2024-10-05 16:00"),
    "Australia/Lord_Howe": ("2024-04-06 15:00", "2024-10-05 15:30"),
    "America/Santiago": ("2024-04-07 03:00", "2024-09-08 04:00"),
    "Africa/Casablanca": ("2024-03-10 02:00", "2024-04-14 02:00"),
    "Pacific/Apia": ("2011-12-30 10:00", "2012-03-31 14:00"),
    "Asia/Kolkata": ("2024-01-01 00:00",),
}

places = st.sampled_from(
    [(ZoneInfo(name), text) for name, texts in CHANGES.items() for text in texts]
)


def near(text: str) -> st.SearchStrategy[datetime]:
    """A moment within a day and a half of a change, seconds and all."""
    change = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return st.integers(-36 * 3600, 36 * 3600).map(lambda seconds: change + timedelta(0, seconds))


starts = places.flatmap(lambda place: st.tuples(st.just(place[0]), near(place[1])))
anywhere = st.tuples(
    st.sampled_from([ZoneInfo(name) for name in CHANGES]),
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants naive ends
)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda ends: "{}-{}".format(*sorted(ends)))
    stepped = st.builds("{}/{}".format, span, st.integers(1, 7))
    return st.lists(st.one_of(number.map(str), span, stepped), min_size=1, max_size=3).map(",".join)


minutes = st.one_of(field(0, 59), st.sampled_from(["*", "*/15", "*/20", "0", "30"]))
fixed_hours = st.one_of(field(0, 23), st.sampled_from(["0", "1", "2", "3", "23", "0-23"]))
every_hour = st.one_of(st.just("*"), st.integers(1, 24).map("*/{}".format))
days = st.sampled_from(["* * *", "* * *", "? * 0", "* * 1-5", "1-15 * *", "30,31 * *"])


def expressions(hours: st.SearchStrategy[str]) -> st.SearchStrategy[cron.CronExpression]:
    return st.builds("{} {} {}".format, minutes, hours, days).map(cron.parse)


fixed = expressions(fixed_hours)
real_time = expressions(every_hour)
any_kind = st.one_of(fixed, real_time)


def wall_of(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=UTC, fold=0)


def is_match(expression: cron.CronExpression, wall: datetime) -> bool:
    return cron.next_date(expression, wall, allow_current=True) == wall


@given(any_kind, st.one_of(starts, anywhere))
def test_the_next_run_is_a_later_whole_minute(
    expression: cron.CronExpression, start: tuple[ZoneInfo, datetime]
) -> None:
    zone, after = start
    found = zoned.next_date(expression, after, zone)
    assert found > after
    assert (found.second, found.microsecond) == (0, 0)
    assert zoned.next_date(expression, found, zone) > found


@given(any_kind, st.one_of(starts, anywhere))
def test_a_run_is_its_own_minute_and_no_other_minute_is(
    expression: cron.CronExpression, start: tuple[ZoneInfo, datetime]
) -> None:
    zone, after = start
    found = zoned.next_date(expression, after, zone)
    assert zoned.next_date(expression, found, zone, allow_current=True) == found
    current = zoned.next_date(expression, after, zone, allow_current=True)
    assert current in {after.replace(second=0, microsecond=0), found}


@given(any_kind, st.one_of(starts, anywhere), st.booleans())
def test_in_utc_it_is_plain_cron(
    expression: cron.CronExpression, start: tuple[ZoneInfo, datetime], allow_current: bool
) -> None:
    after = start[1]
    plain = cron.next_date(expression, after, allow_current=allow_current)
    for zone in (UTC, ZoneInfo("UTC")):
        assert zoned.next_date(expression, after, zone, allow_current=allow_current) == plain


@given(any_kind, starts)
def test_the_wall_clock_matches_but_at_the_end_of_a_gap(
    expression: cron.CronExpression, start: tuple[ZoneInfo, datetime]
) -> None:
    zone, after = start
    found = zoned.next_date(expression, after, zone)
    before, wall = wall_of(found - MINUTE, zone), wall_of(found, zone)
    if is_match(expression, wall):
        return
    assert not expression.parts[1].startswith("*")
    assert wall - before > MINUTE
    assert cron.next_date(expression, before) < wall


@given(fixed, starts)
def test_a_fixed_hour_comes_once_a_date(
    expression: cron.CronExpression, start: tuple[ZoneInfo, datetime]
) -> None:
    zone, at = start
    walls = []
    for _ in range(50):
        at = zoned.next_date(expression, at, zone)
        walls.append(wall_of(at, zone))
    assert walls == sorted(set(walls))


@settings(deadline=None)
@given(any_kind, starts)
def test_the_chain_is_what_a_watcher_of_the_clock_would_run(
    expression: cron.CronExpression, start: tuple[ZoneInfo, datetime]
) -> None:
    zone, after = start
    end, chain, at = after + timedelta(hours=6), [], after
    while (at := zoned.next_date(expression, at, zone)) <= end:
        chain.append(at)
    assert chain == watched(expression, zone, after, end)


def watched(
    expression: cron.CronExpression, zone: ZoneInfo, after: datetime, end: datetime
) -> list[datetime]:
    """Minute by minute, with no idea of changes: what the wall clock shows, or newly reached."""
    at = after.replace(second=0, microsecond=0)
    reached = max(wall_of(at - timedelta(minutes=back), zone) for back in range(240))
    found = []
    while at + MINUTE <= end:
        at += MINUTE
        wall = wall_of(at, zone)
        if expression.parts[1].startswith("*"):
            is_run = is_match(expression, wall)
        else:
            is_run = wall > reached and cron.next_date(expression, reached) <= wall
        reached = max(reached, wall)
        found += [at] if is_run else []
    return found


@settings(deadline=None)
@given(
    st.sampled_from([name for name in CHANGES if name != "Pacific/Apia"]),
    st.integers(1980, 2150),
    st.integers(0, 23),
)
def test_a_daily_hour_runs_every_day_of_any_year(name: str, year: int, hour: int) -> None:
    zone, expression = ZoneInfo(name), cron.parse(f"0 {hour} * * *")
    at, dates = datetime(year - 1, 12, 29, tzinfo=UTC), list[date]()
    while (at := zoned.next_date(expression, at, zone)).year <= year:
        dates.append(at.astimezone(zone).date())
    assert {later - earlier for earlier, later in pairwise(dates)} == {timedelta(days=1)}
