"""Charts: what is drawn lies within the chart, and its numbers are told."""

import math
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpbridge.web.pages import charts, scales

TEMPLATES = Path(charts.__file__).parent / "templates"
VALUES = st.lists(st.none() | st.floats() | st.integers(0, 10**18).map(float), max_size=40)


def numbers(path: str) -> list[float]:
    return [float(told) for told in re.findall(r"-?[0-9.]+(?:e[+-]?[0-9]+)?", path)]


def slots(count: int) -> scales.Slots:
    return scales.days([date(2026, 1, 1) + timedelta(days=n) for n in range(count)])


@given(VALUES)
def test_a_line_stays_within_its_chart_whatever_the_values(values: list[float | None]) -> None:
    small = charts.sparkline(values)
    assert all(0 <= number <= small.width for number in numbers(small.path + small.area))
    assert "nan" not in small.path
    assert "inf" not in small.path
    chart = charts.lines({"one": values, "two": values}, slots(len(values)), unit="seconds")
    assert all(0 <= number <= chart.width for line in chart.lines for number in numbers(line.path))
    assert len(chart.rows) == len(values)


@given(VALUES)
def test_bars_stand_on_each_other_within_the_chart(values: list[float | None]) -> None:
    chart = charts.bars({"one": values, "two": values}, slots(len(values)), unit="bytes")
    for line in chart.lines:
        for x, y, w, h in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-", line.path):
            assert chart.left <= float(x) <= float(x) + float(w) <= chart.right + 0.3
            assert chart.top - 0.2 <= float(y) <= float(y) + float(h) <= chart.bottom + 0.2


@given(st.floats(1e-6, 1e18), st.sampled_from(["count", "seconds", "bytes"]))
def test_an_axis_is_round_and_not_much_higher_than_its_highest_value(
    highest: float, unit: scales.Unit
) -> None:
    axis = scales.axis_of([highest, None, 0.0], unit)
    assert axis.top >= highest * (1 - 1e-6)
    assert axis.top <= max(1.0, highest * 3.3) or unit == "count"
    assert axis.ticks[0] == 0
    assert axis.ticks[-1] == axis.top
    assert 2 <= len(axis.ticks) <= scales.MOST_TICKS + 1
    words = [scales.told(tick, unit) for tick in axis.ticks]
    assert len(set(words)) == len(words), "each tick has a word of its own"


@pytest.mark.parametrize(
    ("values", "top", "ticks"),
    [
        ([], 1, 2),
        ([0, 0], 1, 2),
        ([None, math.nan, math.inf, -3], 1, 2),
        ([1], 1, 2),
        ([3], 3, 4),
        ([7], 8, 5),
        ([100], 100, 3),
        ([101], 150, 4),
        ([1e300], 1e300, 3),
    ],
)
def test_an_axis_of_counts(values: list[float | None], top: float, ticks: int) -> None:
    axis = scales.axis_of(values)
    assert axis.top == pytest.approx(top)
    assert len(axis.ticks) == ticks


@pytest.mark.parametrize(
    ("seconds", "top"),
    [(0.0123, 0.015), (7.0, 8.0), (95.0, 120.0), (3000.0, 3600.0), (80000.0, 86400.0)],
)
def test_an_axis_of_seconds_has_minutes_and_hours(seconds: float, top: float) -> None:
    assert scales.axis_of([seconds], "seconds").top == pytest.approx(top)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (None, "count", "-"),
        (math.inf, "count", "-"),
        (0, "count", "0"),
        (0.25, "count", "0.25"),
        (42, "count", "42"),
        (999, "count", "999"),
        (1200, "count", "1.2k"),
        (999_999, "count", "1M"),
        (12_345_678, "count", "12.3M"),
        (1e300, "count", "1e+288T"),
        (-5, "count", "-5"),
        (0, "seconds", "0 s"),
        (0.0004, "seconds", "0.4 ms"),
        (0.02, "seconds", "20 ms"),
        (1.5, "seconds", "1.5 s"),
        (180, "seconds", "3 min"),
        (7200, "seconds", "2 h"),
        (172_800, "seconds", "2 d"),
        (512, "bytes", "512 B"),
        (1536, "bytes", "1.5 KB"),
        (3 * 1024**4, "bytes", "3 TB"),
    ],
)
def test_numbers_are_told_in_few_characters(
    value: float | None, unit: scales.Unit, words: str
) -> None:
    assert scales.told(value, unit) == words


def test_one_value_is_a_point_in_the_middle_and_a_gap_parts_a_line() -> None:
    assert charts.sparkline([5], width=100, height=20).path == "M50 1L50 1"
    parted = charts.sparkline([1, None, 1, 1, math.nan], width=102, height=20)
    assert parted.path == "M1 1L1 1M51 1L76 1"
    assert charts.sparkline([]).path == ""
    assert charts.sparkline([None, None]).path == ""


def test_zeros_are_a_line_at_the_bottom() -> None:
    assert charts.sparkline([0, 0], width=100, height=20).path == "M1 19L99 19"


def test_a_chart_of_nothing_says_that_it_is_empty() -> None:
    assert charts.lines({"x": [None, None]}, slots(2)).is_empty
    assert charts.bars({"x": [0, 0]}, slots(2)).is_empty
    assert charts.bars({}, slots(0)).is_empty
    assert not charts.bars({"x": [0, 1]}, slots(2)).is_empty
    assert charts.heat({"Mon": [None] * 3}, ["0", "1", "2"]).is_empty


@pytest.mark.parametrize(("count", "places"), [(100, 100), (101, 0)])
def test_many_slots_are_not_pointed_at_and_stand_in_the_table(count: int, places: int) -> None:
    chart = charts.lines({"x": [1] * count}, slots(count))
    assert (len(chart.places), len(chart.rows)) == (places, count)


def test_statuses_have_their_own_colors() -> None:
    chart = charts.bars({"a": [1], "b": [1], "c": [1]}, slots(1), kinds={"b": "bad"})
    assert [line.drawn for line in chart.lines] == ["bar", "bar-bad", "bar-3"]
    assert [line.key for line in chart.lines] == ["key-1", "key-bad", "key-3"]
    marks = charts.endings(["complete", "failed", "no such status"]).marks
    assert [mark.drawn for mark in marks] == ["bar-good", "bar-bad", "bar"]
    assert marks[0].height < marks[1].height, "not by color alone"


def test_heat_has_a_color_for_nothing_known_and_for_zero() -> None:
    chart = charts.heat({"Mon": [None, 0, 1, 50, 100]}, list("abcde"))
    assert [cell.drawn for cell in chart.cells] == [
        "grid",
        "heat-0",
        "heat-1",
        "heat-7",
        "heat-9",
    ]
    assert chart.rows[0].values == ("-", "0", "1", "50", "100")


@pytest.mark.parametrize("count", [1, 8, 24, 25, 48, 168, 720, 2160])
def test_hours_have_few_words_and_each_its_name(count: int) -> None:
    begin = datetime(2026, 3, 28, tzinfo=UTC)
    found = scales.hours(
        [begin + timedelta(hours=n) for n in range(count)], ZoneInfo("Asia/Kolkata")
    )
    assert len(found.names) == count
    assert found.names[0] == "2026-03-28 05:30"
    assert len(found.marks) <= scales.MOST_MARKS
    assert all(0 <= place < count for place in found.marks)
    assert len(scales.days([date(2026, 1, 1)] * count).marks) <= scales.MOST_MARKS


def test_the_hour_that_a_zone_has_twice_is_two_slots() -> None:
    begin = datetime(2026, 10, 25, 0, tzinfo=UTC)
    found = scales.hours([begin + timedelta(hours=n) for n in range(3)], ZoneInfo("Europe/Berlin"))
    assert found.names == ("2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 03:00")


def rendered(call: str, **values: object) -> ET.Element:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    env = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    env.globals["_"] = str
    names = "sparkline, endings, chart, heat"
    page = env.from_string(f'{{% from "charts.html" import {names} %}}<div>{{{{ {call} }}}}</div>')
    text = page.render(values)
    assert not re.search(r"<[^>]*\s(style|on\w+)=|<script", text), "the policy refuses them"
    return ET.fromstring(text)  # noqa: S314 - our own


HOSTILE = '</title><script>alert(1)</script>"'


@pytest.mark.parametrize("make", [charts.lines, charts.bars])
def test_a_chart_has_a_title_and_its_numbers_in_a_table(make: type) -> None:
    made = make({HOSTILE: [1, None, 3], "b": [2, 2, 2]}, slots(3))
    page = rendered("chart(it, 'c1', title)", it=made, title=HOSTILE)
    [svg] = page.iter("svg")
    assert svg.get("role") == "img"
    ids = {one.get("id"): "".join(one.itertext()) for one in svg if one.get("id")}
    assert svg.get("aria-labelledby", "").split() == list(ids)
    assert ids["c1-title"] == HOSTILE
    cells = ["".join(cell.itertext()) for cell in page.iter("td")]
    assert cells == ["1", "2", "-", "2", "3", "2"]
    assert ["".join(head.itertext()) for head in page.iter("th")][1:3] == [HOSTILE, "b"]
    assert [row.get("scope") for row in page.iter("th")] == ["col"] * 3 + ["row"] * 3


def test_an_empty_chart_is_a_sentence() -> None:
    page = rendered("chart(it, 'c1', 'x')", it=charts.lines({"a": [None]}, slots(1)))
    assert not list(page.iter("svg"))
    assert "Nothing was counted" in "".join(page.itertext())


def test_a_heat_map_and_small_marks_can_be_read() -> None:
    made = charts.heat({"Mon": [None, 3]}, ["00", "01"])
    page = rendered("heat(it, 'h', 'x')", it=made)
    assert [one.text for one in page.iter("title")] == ["x", "Mon 00: -", "Mon 01: 3"]
    assert [cell.text for cell in page.iter("td")] == ["-", "3"]
    line = next(rendered("sparkline(it, 'x')", it=charts.sparkline([1, None])).iter("svg"))
    assert line.get("aria-label") == "x: 1, -"
    marks = next(rendered("endings(it, 'x')", it=charts.endings(["failed"])).iter("svg"))
    assert marks.get("aria-label") == "x: failed"
    assert not list(rendered("endings(it, 'x')", it=charts.endings([])).iter("svg"))
