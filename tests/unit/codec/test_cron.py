"""Each rule of the plugin's cron expressions, with the plugin's own answers (compat.md, 5.3)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from wpbridge.codec.cron import CronExpression, next_date, parse
from wpbridge.errors import CronError

IMPOSSIBLE = r"^Impossible CRON expression$"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def following(expression: str, after: str) -> str:
    """The next date, to the minute."""
    return f"{next_date(parse(expression), moment(after)):%Y-%m-%d %H:%M}"


def days_in(expression: str, month: str) -> list[int]:
    """The days of a month on which an expression of midnights matches."""
    expected = parse(expression)
    first = moment(f"{month}-01")
    days = []
    for number in range(31):
        day = first + timedelta(days=number)
        try:
            is_match = next_date(expected, day, allow_current=True) == day
        except CronError:
            is_match = False
        if day.month == first.month and is_match:
            days.append(day.day)
    return days


class TestParse:
    def test_an_expression_is_its_parts_and_their_text(self) -> None:
        expression = parse("  */5\t9-17 * *\nMON-FRI ")

        assert expression == CronExpression(("*/5", "9-17", "*", "*", "MON-FRI"))
        assert expression.expression == "*/5 9-17 * * MON-FRI"

    @pytest.mark.parametrize(
        ("macro", "expression"),
        [
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"),
            ("@monthly", "0 0 1 * *"),
            ("@weekly", "0 0 * * 0"),
            ("@daily", "0 0 * * *"),
            ("@hourly", "0 * * * *"),
        ],
    )
    def test_macros_are_expanded(self, macro: str, expression: str) -> None:
        assert parse(macro).expression == expression

    @pytest.mark.parametrize("text", ["@midnight", "@reboot", "@Daily", " @daily", ""])
    def test_other_macros_are_too_short(self, text: str) -> None:
        with pytest.raises(CronError, match=f"^{text} is not a valid CRON expression$"):
            parse(text)

    def test_four_fields_are_too_few_and_seven_too_many(self) -> None:
        with pytest.raises(CronError, match="is not a valid CRON expression"):
            parse("* * * *")
        with pytest.raises(CronError, match="6 is not a valid position"):
            parse("* * * * * * *")

    @pytest.mark.parametrize(
        ("expression", "part", "position"),
        [
            ("a * * * *", "a", 0),
            ("* ? * * *", "?", 1),
            ("* * # * *", "#", 2),
            ("* * * jan *", "jan", 3),
            ("* * * * mon", "mon", 4),
            ("* * * * ?", "?", 4),
            ("* * * * * A", "A", 5),
        ],
    )
    def test_a_field_without_any_legal_character_is_refused(
        self, expression: str, part: str, position: int
    ) -> None:
        with pytest.raises(CronError) as caught:
            parse(expression)

        assert str(caught.value) == f"Invalid CRON field value {part} as position {position}"

    def test_the_first_wrong_field_is_named(self) -> None:
        with pytest.raises(CronError, match="value a as position 0"):
            parse("a b c d e f g")

    @pytest.mark.parametrize("part", ["mon-fri", "MON", "x1", "1#9", "--"])
    def test_one_legal_character_is_enough(self, part: str) -> None:
        assert parse(f"* * * * {part}").parts[4] == part

    def test_only_ascii_white_space_divides(self) -> None:
        with pytest.raises(CronError, match="is not a valid CRON expression"):
            parse("*\N{NO-BREAK SPACE}* * * *")


class TestDates:
    def test_next_is_later_than_the_minute_asked_about(self) -> None:
        assert following("*/5 * * * *", "2026-03-01 10:05:00") == "2026-03-01 10:10"

    def test_a_match_in_the_minute_counts_when_it_is_allowed(self) -> None:
        found = next_date(parse("*/5 * * * *"), moment("2026-03-01 10:05:59"), allow_current=True)

        assert found == moment("2026-03-01 10:05:00")

    def test_the_answer_is_in_utc(self) -> None:
        berlin = timezone(timedelta(hours=2))

        found = next_date(parse("0 12 * * *"), datetime(2026, 7, 1, 13, tzinfo=berlin))

        assert found == moment("2026-07-01 12:00:00")
        assert found.tzinfo is UTC

    def test_a_date_without_a_zone_is_a_mistake_of_the_caller(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            next_date(parse("* * * * *"), datetime(2026, 7, 1))  # noqa: DTZ001 - the point of it

    def test_dates_before_1970_and_at_the_ends_of_the_calendar(self) -> None:
        assert following("0 0 1 1 *", "1901-12-14 00:00:00") == "1902-01-01 00:00"
        assert next_date(parse("0 0 0W 1 *"), moment("0001-01-01 00:00:00")).day == 31
        with pytest.raises(CronError, match="Impossible CRON expression"):
            following("* * * * *", "9999-12-31 23:59:00")

    def test_day_of_month_and_weekday_must_both_match(self) -> None:
        assert following("0 0 13 * 5", "2026-04-01 00:00:00") == "2026-11-13 00:00"

    def test_a_year_is_the_sixth_field(self) -> None:
        assert following("0 0 1 1 * 2028", "2026-05-05 00:00:00") == "2028-01-01 00:00"
        with pytest.raises(CronError, match=IMPOSSIBLE):
            following("0 0 1 1 * 2020", "2026-05-05 00:00:00")

    @pytest.mark.parametrize(
        "expression",
        ["61 * * * *", "* 24 * * *", "* * 32 * *", "0 0 31 4 *", "* * * 13 *", "0 22-2 * * *"],
    )
    def test_an_expression_that_never_matches(self, expression: str) -> None:
        with pytest.raises(CronError, match=IMPOSSIBLE):
            following(expression, "2026-05-05 00:00:00")

    def test_the_search_ends_after_a_thousand_rounds_though_there_is_a_date(self) -> None:
        # 29 February is a Monday in 2044.
        with pytest.raises(CronError, match=IMPOSSIBLE):
            following("0 0 29 2 1", "2017-01-01 00:00:00")
        assert following("0 0 29 2 1", "2043-01-01 00:00:00") == "2044-02-29 00:00"

    def test_the_thousandth_round_is_the_last(self) -> None:
        assert following("0 0 1 1 * 3025", "2026-01-01 00:00:00") == "3025-01-01 00:00"
        with pytest.raises(CronError, match=IMPOSSIBLE):
            following("0 0 1 1 * 3026", "2026-01-01 00:00:00")

    @pytest.mark.parametrize(
        ("expression", "after", "expected"),
        [
            ("0 0 1 2 *", "2026-01-30 12:00:00", "2027-02-01 00:00"),
            ("0 0 1 2 *", "2026-01-28 12:00:00", "2026-02-01 00:00"),
            ("0 0 1 4 *", "2026-03-31 12:00:00", "2027-04-01 00:00"),
            ("0 0 1 4 *", "2026-03-30 12:00:00", "2026-04-01 00:00"),
            ("0 0 1 1 *", "2026-12-31 12:00:00", "2027-01-01 00:00"),
        ],
    )
    def test_the_step_to_the_next_month_can_skip_one(
        self, expression: str, after: str, expected: str
    ) -> None:
        assert following(expression, after) == expected


class TestParts:
    @pytest.mark.parametrize(
        ("part", "minutes"),
        [
            ("7", [7]),
            ("07", [7]),
            ("7.0", [7]),
            ("1e1", [10]),
            ("5,50", [5, 50]),
            ("10-12", [10, 11, 12]),
            ("-2", [0, 1, 2]),
            ("*-2", [0, 1, 2]),
            ("5-10-15", [5, 6, 7, 8, 9, 10]),
            ("12-10", []),
            ("*/20", [0, 20, 40]),
            ("0/20", [0, 20, 40]),
            ("*/20.9", [0, 20, 40]),
            ("*/20x", [0, 20, 40]),
            ("00/20", [0, 20, 40]),
            ("5/20", [5, 25, 45]),
            ("5-30/20", [5, 25]),
            ("58/20", [58]),
            ("30-5/20", []),
            ("30-5/0", []),
            ("57/1.5", [57]),
            ("56/1.5", [56, 59]),
            ("54x/2", [56, 58]),
            ("50-54x/2", [50, 52, 54]),
            ("**", []),
            ("x1", []),
        ],
    )
    def test_what_a_part_matches(self, part: str, minutes: list[int]) -> None:
        # Given a bystander that matches once an hour, so that the search comes by everywhere
        expression = parse(f"{part},31 * * * *")

        hour = moment("2026-03-01 10:00:00")
        found = {
            minute
            for minute in range(60)
            if next_date(expression, hour.replace(minute=minute), allow_current=True).minute
            == minute
        }

        assert found == {*minutes, 31}

    @pytest.mark.parametrize(
        ("part", "months"),
        [("*/4", "4 8 12"), ("JAN,dec", "1 12"), ("Nov-12", "11 12"), ("5-1", "5"), ("0", "5")],
    )
    def test_months(self, part: str, months: str) -> None:
        expression = parse(f"0 0 1 {part},5 *")

        found, at = set(), moment("2025-12-01 00:00:00")
        while at.year < 2027:
            at = next_date(expression, at)
            found.add(at.month)

        assert found == {*map(int, months.split()), 5}

    @pytest.mark.parametrize(
        ("part", "days"),
        [
            ("?", list(range(1, 29))),
            ("L", [28]),
            ("*/10", [10, 20]),
            ("10W", [10]),
            ("14W", [15]),  # a Sunday
            ("13W", [12]),  # a Saturday
            ("28W", [26]),  # the last day, a Sunday
            ("30W", [2]),  # spills over to 2 March
            ("1W,L", [1, 28]),
            ("1-5W", [1]),  # an offset, for PHP
            ("10thW", [10]),
            ("W", []),
        ],
    )
    def test_days_of_february_2027(self, part: str, days: list[int]) -> None:
        assert days_in(f"0 0 {part} * *", "2027-02") == days

    def test_the_nearest_weekday_stays_in_the_month(self) -> None:
        assert days_in("0 0 1W * *", "2027-05") == [3]  # the first is a Saturday
        assert days_in("0 0 31W * *", "2027-01") == [29]  # the last is a Sunday
        assert days_in("0 0 0W * *", "2027-11") == [1]  # 31 October is a Sunday

    @pytest.mark.parametrize("part", ["32W", "xxW", "31W"])
    def test_a_nearest_weekday_that_php_cannot_find(self, part: str) -> None:
        with pytest.raises(CronError, match=f"^{part} "):
            following(f"0 0 {part} 2 *", "2029-02-01 00:00:00")  # 3 March is a Saturday

    def test_no_number_beside_a_weekend(self) -> None:
        # The day before January 2027 is a Thursday, the one before February a Sunday.
        assert days_in("0 0 LW * *", "2027-01") == [31]
        with pytest.raises(CronError, match="LW has no weekday"):
            following("0 0 LW 2 *", "2027-02-01 00:00:00")

    @pytest.mark.parametrize(
        ("part", "days"),
        [
            ("1", [1, 8, 15, 22]),
            ("MON", [1, 8, 15, 22]),
            ("7", [7, 14, 21, 28]),
            ("0", [7, 14, 21, 28]),
            ("sun,0", [7, 14, 21, 28]),
            ("6-7", [6, 7, 13, 14, 20, 21, 27, 28]),
            ("SAT-SUN", [6, 7, 13, 14, 20, 21, 27, 28]),
            ("7-1", [1, 7, 8, 14, 15, 21, 22, 28]),
            ("FRI-MON", []),
            ("*/7", [7, 14, 21, 28]),
            ("*/3", [3, 6, 7, 10, 13, 14, 17, 20, 21, 24, 27, 28]),
            ("FRIL", [26]),
            ("7L", [28]),
            ("L", []),
            ("1#1", [1]),
            ("MON#4", [22]),
            ("5#5", []),
            ("1#", [1]),
            ("1x#1", []),
        ],
    )
    def test_weekdays_of_february_2027(self, part: str, days: list[int]) -> None:
        # The first of February 2027 is a Monday.
        assert days_in(f"0 0 * * {part}", "2027-02") == days


class TestErrorsInTheSearch:
    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("*/0 * * * *", "*/0 divides by nothing"),
            ("*/x * * * *", "*/x divides by nothing"),
            ("0/ * * * *", "0/ divides by nothing"),
            ("*/1e400 * * * *", "*/1e400 divides by nothing"),
            ("5/x * * * *", "5/x counts with something that is not a number"),
            ("-5/2 * * * *", "-5/2 counts with something that is not a number"),
            ("* * * * 6#1", "Weekday must be a value between 1 and 5. 6 given"),
            ("* * * * 0#1", "Weekday must be a value between 1 and 5. 0 given"),
            ("* * * * 1#6", "There are never more than 5 of a given weekday in a month"),
        ],
    )
    def test_where_php_throws(self, expression: str, message: str) -> None:
        with pytest.raises(CronError) as caught:
            following(expression, "2026-05-05 10:05:00")

        assert str(caught.value) == message

    @pytest.mark.parametrize(
        "expression",
        ["5/0 * * * *", "5/-1 * * * *", "* 1-x/5 * * *", "* * * * 8L", "1/0.0001 * * * *"],
    )
    def test_where_php_would_not_come_back(self, expression: str) -> None:
        with pytest.raises(CronError, match="never ends"):
            following(expression, "2026-05-05 10:05:00")

    def test_a_part_is_not_tested_when_an_earlier_one_matches(self) -> None:
        at_ten = moment("2026-05-05 10:10:00")

        assert next_date(parse("10,*/x * * * *"), at_ten, allow_current=True) == at_ten
        with pytest.raises(CronError, match="divides"):
            following("10,*/x * * * *", "2026-05-05 10:10:00")

    def test_a_field_is_not_tested_before_the_fields_above_it_match(self) -> None:
        assert following("5/x 10 * * *", "2026-05-05 10:00:00") == "2026-05-05 10:05"
        with pytest.raises(CronError, match="Impossible"):
            following("*/x 25 * * *", "2026-05-05 10:00:00")
        with pytest.raises(CronError, match="Weekday must be"):
            following("* * 6 * 9#1", "2026-05-05 10:00:00")

    def test_numbers_too_large_for_any_calendar(self) -> None:
        with pytest.raises(CronError, match="Impossible"):
            following(f"1-x/{'9' * 4300} * * * *", "2026-05-05 10:00:00")


def test_a_step_of_zero_ends_where_the_first_value_matches() -> None:
    # The day's number is 7 on a Sunday alone, and no day has a greater one.
    expression = parse("0 6 * * 7/0")
    sunday = next_date(expression, datetime(2027, 2, 15, tzinfo=UTC))
    assert sunday == datetime(2027, 2, 21, 6, tzinfo=UTC)
    with pytest.raises(CronError, match="never ends"):
        next_date(parse("0 6 * * * 2020/0"), datetime(2027, 2, 15, tzinfo=UTC))


def test_a_nearest_weekday_is_read_up_to_a_nul() -> None:
    start = datetime(2033, 11, 17, tzinfo=UTC)
    cut, plain = parse("12 22 0\0W APR *"), parse("12 22 0W APR *")
    assert next_date(cut, start) == next_date(plain, start)
