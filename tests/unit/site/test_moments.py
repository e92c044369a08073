"""Dates and durations as people write them."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from wpbridge.errors import InputError
from wpbridge.site.moments import iso, parse_duration, parse_moment, seconds_of

NOW = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)
ROME = ZoneInfo("Europe/Rome")


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (90, 90),
        (0, 0),
        (1.5, 1.5),
        (timedelta(minutes=2), 120),
        ("90", 90),
        (" 90 ", 90),
        ("0.25", 0.25),
        ("55s", 55),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m 5s", 5405),
        ("1.5h", 5400),
        ("7d", 604_800),
        ("2W", 1_209_600),
    ],
)
def test_a_duration(told: object, seconds: float) -> None:
    assert seconds_of(told) == seconds
    assert parse_duration(told) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "told",
    [
        "",
        " ",
        "x",
        "5x",
        "h",
        "1h30",
        "1h-30m",
        "-5",
        "+5",
        "1..5h",
        "1,5h",
        "12345678901234",
        "99999999999w",
        "1e3",
        "0x10",
        "٣",
        "٣h",
        True,
        None,
        b"5",
        [5],
        "10 m",
        "nan",
        "inf",
    ],
)
def test_what_is_no_duration(told: object) -> None:
    assert seconds_of(told) is None
    with pytest.raises(InputError, match=r"^every: .* is no time such as 90"):
        parse_duration(told, "every")


@pytest.mark.parametrize("told", [float("nan"), float("inf"), "999999999w", 1e300])
def test_a_duration_that_no_span_holds(told: object) -> None:
    with pytest.raises(InputError):
        parse_duration(told)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("now", NOW),
        (" NOW ", NOW),
        ("+2h", NOW + timedelta(hours=2)),
        ("+90", NOW + timedelta(seconds=90)),
        ("-7d", NOW - timedelta(days=7)),
        ("+0", NOW),
        ("@0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("@1796000000", datetime(2026, 11, 30, 0, 53, 20, tzinfo=UTC)),
        ("1796000000", datetime(2026, 11, 30, 0, 53, 20, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T09:00", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        ("2026-12-01 09:00:30", datetime(2026, 12, 1, 9, 0, 30, tzinfo=UTC)),
        ("2026-12-01T09:00:00Z", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        ("2026-12-01T09:00+05:30", datetime(2026, 12, 1, 3, 30, tzinfo=UTC)),
        ("9999-12-31T23:59:59", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_moment(told: str, expected: datetime) -> None:
    found = parse_moment(told, NOW)
    assert found == expected
    assert found.tzinfo is UTC


def test_a_moment_without_a_zone_is_of_the_zone_given() -> None:
    assert parse_moment("2026-07-01T09:00", NOW, ROME) == datetime(2026, 7, 1, 7, tzinfo=UTC)
    assert parse_moment("2026-12-01T09:00", NOW, ROME) == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert parse_moment("2026-12-01T09:00Z", NOW, ROME) == datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "tomorrow",
        "2026",
        "20261201",
        "2026-W49-2",
        "2026-12-32",
        "2026-13-01",
        "+",
        "-",
        "+x",
        "+-5m",
        "@",
        "@x",
        "@-1",
        "@12345678901234",
        "12345678",
        "999999999999",
        "1969-12-31",
        "0000-00-00 00:00:00",
        "2026-12-01T09:00 Rome",
        "+999999999w",
        "-3000w",
        "9999-12-31T23:59:59.5",
        "0001-01-01T00:00+05:00",
        "١٢٣٤٥٦٧٨٩٠",
        "٢٠٢٦-12-01",
        "+٣h",
    ],
)
def test_what_is_no_moment(told: str) -> None:
    with pytest.raises(InputError, match=r"^--since: .* is no date such as"):
        parse_moment(told, NOW, name="--since")


def test_iso_is_to_the_second_and_in_utc() -> None:
    assert iso(datetime(2026, 12, 1, 9, 0, 0, 999_999, tzinfo=ROME)) == "2026-12-01T08:00:00Z"
    assert iso(None) is None


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        (UTC, "2026-12-01T08:00:00Z"),
        (ZoneInfo("UTC"), "2026-12-01T08:00:00Z"),
        (ROME, "2026-12-01T09:00:00+01:00"),
        (timezone(timedelta(hours=-3, minutes=-30)), "2026-12-01T04:30:00-03:30"),
    ],
)
def test_iso_in_another_zone_names_its_distance(zone: tzinfo, told: str) -> None:
    assert iso(datetime(2026, 12, 1, 8, 0, 0, 5, tzinfo=UTC), zone) == told
