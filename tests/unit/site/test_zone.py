import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wpbridge.site.zone import Zone

SUMMER = datetime(2026, 7, 1, 12, 0, 0, 123456, UTC)
WINTER = datetime(2026, 12, 1, 12, tzinfo=UTC)


def test_a_named_zone_follows_the_rule_of_each_instant() -> None:
    zone = Zone.from_options("Europe/Berlin", "0")
    assert zone.attempt_local(SUMMER) == datetime(2026, 7, 1, 14)  # noqa: DTZ001 - naive, as stored
    assert zone.scheduled_local(WINTER, is_async=False) == datetime(2026, 12, 1, 13)  # noqa: DTZ001
    assert zone.log_local(WINTER) == datetime(2026, 12, 1, 13)  # noqa: DTZ001
    assert str(zone) == "Europe/Berlin"


def test_a_bare_offset_counts_for_attempts_only() -> None:
    zone = Zone.from_options("", "5.5")
    assert zone.attempt_local(WINTER) == datetime(2026, 12, 1, 17, 30)  # noqa: DTZ001
    assert zone.scheduled_local(WINTER, is_async=False) == datetime(2026, 12, 1, 12)  # noqa: DTZ001
    assert zone.log_local(WINTER) == datetime(2026, 12, 1, 12)  # noqa: DTZ001
    assert str(zone) == "UTC+05:30"


@pytest.mark.parametrize("name", ["Europe/Berlin", ""])
def test_async_rows_keep_utc(name: str) -> None:
    zone = Zone.from_options(name, "2")
    assert zone.scheduled_local(SUMMER, is_async=True) == datetime(2026, 7, 1, 12)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("name", "gmt_offset", "minutes"),
    [
        (None, None, 0),
        ("", "", 0),
        ("  ", "nonsense", 0),
        ("", "nan", 0),
        ("", "1e400", 0),
        ("", "99", 99 * 60),
        ("", "5.1", 305),
        ("", "5,5", 300),
        ("", "-0.5", -30),
        ("", "-3.5", -210),
        ("", "5.75", 345),
        ("", "+2", 120),
        ("", " 12.75 ", 765),
        ("UTC", "5", 0),
        ("utc", "5", 0),
        ("+00:00", "5", 0),
        ("+05:45", "1", 345),
        ("-0330", "1", -210),
        ("+2", "1", 120),
        # PHP's DateTimeZone takes distances of up to 100 hours.
        ("+99:00", "1", 99 * 60),
        ("-100:00", "1", -1),
        ("GMT+2", "0", 120),
        ("GMT-03:30", "0", -210),
        ("+5:3", "0", 303),
        ("( +2 )", "1", 60),
        ("(+2)", "1", 120),
        ("UTC+5.5", "5.5", 330),
        ("UTC+2", "2", 120),
        ("gmt+2", "1", 60),
        ("Etc/GMT-3", "0", 180),
        ("etc/gmt-3", "0", 180),
        ("CEST", "0", 120),
        ("est", "0", -300),
        ("Z", "5", 0),
        ("0", "2", 120),
        ("America/New_York", "3", -300),
        ("america/new_york", "3", -300),
        ("Mars/Olympus", "3", 180),
        ("../../etc/passwd", "3", 180),
        ("Europe", "3", 180),
        ("Bad\0Name", "3", 180),
    ],
)
def test_every_form_of_the_two_options(
    name: str | None, gmt_offset: str | None, minutes: int
) -> None:
    local = Zone.from_options(name, gmt_offset).attempt_local(WINTER)
    assert local - WINTER.replace(tzinfo=None) == timedelta(minutes=minutes)


@pytest.mark.parametrize(("name", "hours"), [("CET", 1), ("WET", 0), ("MST", -7)])
def test_an_abbreviation_has_no_summer_time_as_in_php(name: str, hours: int) -> None:
    zone = Zone.from_options(name, "")
    assert zone.log_local(SUMMER) == datetime(2026, 7, 1, 12 + hours)  # noqa: DTZ001
    assert zone.log_local(WINTER) == datetime(2026, 12, 1, 12 + hours)  # noqa: DTZ001


def test_a_zone_named_by_its_offset_counts_as_named() -> None:
    zone = Zone.from_options("+02:00", "")
    assert zone.log_local(WINTER) == datetime(2026, 12, 1, 14)  # noqa: DTZ001
    assert zone.scheduled_local(WINTER, is_async=False) == datetime(2026, 12, 1, 14)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("name", "offset", "hours"),
    [
        ("Europe/Rome", "5", 2),
        ("", "5.5", 5.5),
        (None, "-3.25", -3.25),
        ("CET", None, 1),
        ("", "", 0),
        ("Mars/Olympus", None, 0),
        ("+99:00", None, 0),
    ],
)
def test_the_site_s_time_as_a_zone(name: str | None, offset: str | None, hours: float) -> None:
    zone = Zone.from_options(name, offset).as_tzinfo
    assert datetime(2026, 7, 1, tzinfo=UTC).astimezone(zone).utcoffset() == timedelta(hours=hours)


def test_the_plugin_wrote_the_same_dates(golden_dir: Path) -> None:
    compared = 0
    for folder in sorted(golden_dir.glob("scenario-*")):
        options = (folder / "options.sql").read_text("utf-8")
        zone = Zone.from_options(*(_option(options, n) for n in ("timezone_string", "gmt_offset")))
        for row in json.loads((folder / "after.json").read_text("utf-8"))["actions"]:
            utc, local = row["scheduled_date_gmt"], row["scheduled_date_local"]
            is_async = "NullSchedule" in row["schedule"]
            if re.fullmatch(r"[1-9][\d: -]+", utc) and re.fullmatch(r"[1-9][\d: -]+", local):
                moment = datetime.fromisoformat(utc).replace(tzinfo=UTC)
                if not (is_async or f"i:{moment.timestamp():.0f};" in row["schedule"]):
                    # The scenario's maker moved it into the past, with dates of no zone.
                    continue
                told = zone.scheduled_local(moment, is_async=is_async)
                assert str(told) == local, (folder.name, row["action_id"])
                compared += 1
    assert compared > 0


def _option(sql: str, name: str) -> str | None:
    match = re.search(rf"\(\d+,'{name}','([^']*)'", sql)
    return match[1] if match else None
