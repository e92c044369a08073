"""What holds for every cron expression, sensible or not."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from wpbridge.codec import cron
from wpbridge.codec.cron_values import values_of
from wpbridge.errors import CronError

FIRST = datetime(1900, 1, 1, tzinfo=UTC)
LAST = datetime(2200, 1, 1, tzinfo=UTC)
ROUNDS = 1000

moments = st.integers(0, int((LAST - FIRST).total_seconds())).map(
    lambda seconds: FIRST + timedelta(seconds=seconds)
)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """A field that some value between low and high matches."""
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda ends: "{}-{}".format(*sorted(ends)))
    part = st.one_of(
        st.just("*"),
        number.map(str),
        span,
        st.builds("{}/{}".format, st.one_of(span, number), st.integers(1, high)),
        st.integers(1, max(1, high // 2)).map("*/{}".format),
    )
    return st.lists(part, min_size=1, max_size=3).map(",".join)


# No day after the 28th and no day of both kinds, so that there is always a date soon enough.
days = st.one_of(
    st.tuples(field(1, 28), field(1, 12), st.just("*")),
    st.tuples(st.sampled_from(["*", "?"]), field(1, 12), field(0, 6)),
)
sensible = st.builds(
    lambda minute, hour, day: cron.parse(" ".join((minute, hour, *day))),
    field(0, 59),
    field(0, 23),
    days,
)
odd_part = st.text("0123456789*,/-?LW#.xeSUNMOJA+\0\N{LATIN SMALL LETTER LONG S}", min_size=1)
odd = st.lists(odd_part, min_size=5, max_size=6).map(" ".join)


@given(sensible, moments)
def test_the_next_date_is_a_later_whole_minute_and_a_match(
    expression: cron.CronExpression, after: datetime
) -> None:
    found = cron.next_date(expression, after)

    assert found > after
    assert (found.second, found.microsecond) == (0, 0)
    assert cron.next_date(expression, found, allow_current=True) == found


@given(sensible, moments)
def test_the_next_of_the_next_is_later_still(
    expression: cron.CronExpression, after: datetime
) -> None:
    first = cron.next_date(expression, after)

    assert cron.next_date(expression, first) > first


@given(sensible, moments)
def test_the_minute_itself_or_the_next_date(
    expression: cron.CronExpression, after: datetime
) -> None:
    minute = after.replace(second=0)

    assert cron.next_date(expression, after, allow_current=True) in {
        minute,
        cron.next_date(expression, after),
    }


@given(sensible, moments)
def test_the_seconds_of_the_reference_do_not_count(
    expression: cron.CronExpression, after: datetime
) -> None:
    minute = after.replace(second=0)

    assert cron.next_date(expression, after) == cron.next_date(expression, minute)


@given(st.one_of(st.text(), odd))
def test_parse_refuses_in_one_way_only(text: str) -> None:
    try:
        expression = cron.parse(text)
    except CronError:
        return
    assert cron.parse(expression.expression) == expression


@given(odd, st.one_of(moments, st.datetimes(timezones=st.just(UTC))))
def test_any_accepted_expression_has_a_date_or_a_cron_error(text: str, after: datetime) -> None:
    try:
        found = cron.next_date(cron.parse(text), after)
    except CronError:
        return
    assert found > after


@given(odd, moments)
def test_no_search_takes_more_rounds_than_the_plugins(text: str, after: datetime) -> None:
    search = None
    try:
        plan = cron._plan(cron.parse(text).parts)
        search = cron._Search(plan, after)
        search.run(skip_start=True)
    except CronError:
        pass
    # The last jump may lead across a month's days or an hour's minutes at once.
    assert search is None or search._rounds < ROUNDS + 60


@given(sensible, moments)
def test_a_date_is_found_where_all_its_fields_are_among_the_values(
    expression: cron.CronExpression, after: datetime
) -> None:
    values = values_of(expression)

    for at in (after.replace(second=0), cron.next_date(expression, after)):
        is_among = (
            at.minute in values.minutes
            and at.hour in values.hours
            and at.day in values.days
            and at.month in values.months
            and at.isoweekday() % 7 in values.weekdays
        )
        assert is_among == (cron.next_date(expression, at, allow_current=True) == at)


@given(odd)
def test_values_of_any_expression_or_a_cron_error(text: str) -> None:
    try:
        values_of(cron.parse(text))
    except CronError:
        return
