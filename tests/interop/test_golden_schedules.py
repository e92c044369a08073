"""Rows the plugin itself wrote: the bytes of schedules, their meaning and what comes next."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wpbridge.clock import from_timestamp
from wpbridge.codec import php, schedule
from wpbridge.codec.schedule import (
    Async,
    Canceled,
    Cron,
    ForeignSchedule,
    Interval,
    Schedule,
)
from wpbridge.errors import WpbridgeError

GOLDEN = Path(
    os.environ.get("WPBRIDGE_GOLDEN_DIR") or Path(__file__).parents[2] / "fixtures" / "golden"
)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    lines = (GOLDEN / "schedules.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def test_every_schedule_is_written_read_and_continued_as_the_plugin_does(
    rows: list[dict[str, Any]],
) -> None:
    assert rows
    wrong = [
        f"row {number} {row['input']}: {problem}"
        for number, row in enumerate(rows, 1)
        for problem in problems_of(row)
    ]
    assert not wrong, f"{len(wrong)} mismatches:\n" + "\n".join(wrong[:20])


def problems_of(row: dict[str, Any]) -> Iterator[str]:
    if "serialized_base64" not in row:
        yield from made_of_a_refused_one(row)
        return
    blob = base64.b64decode(row["serialized_base64"])
    made = from_input(row["input"])
    if schedule.encode(made) != blob:
        yield f"written as {schedule.encode(made)!r}"
    if php.encode(php.decode(blob)) != blob:
        yield "PHP text changed"
    decoded = schedule.decode(blob)
    if decoded != made:
        yield f"read as {decoded}, not {made}"
    if schedule.class_of(blob[:80]) != row["meaning"]["class"]:
        yield f"class {schedule.class_of(blob[:80])}"
    if (meaning := meaning_of(decoded)) != row["meaning"]:
        yield f"means {meaning}"
    yield from wrong_next_dates(row, decoded)
    if "repeat_after_7777_base64" in row:
        expected = base64.b64decode(row["repeat_after_7777_base64"])
        if (stored := blob_of_next(decoded, row["input"]["timestamp"] + 7777)) != expected:
            yield f"successor {stored!r}"


def wrong_next_dates(row: dict[str, Any], decoded: Schedule) -> Iterator[str]:
    for case in row.get("next", ()):
        # Where the plugin raised there is no date but the error's text, which is not compared.
        wanted = case.get("next", "error")
        if (following := next_timestamp(decoded, case["run_at"])) != wanted:
            yield f"run at {case['run_at']}: next {following}, not {wanted}"


def made_of_a_refused_one(row: dict[str, Any]) -> Iterator[str]:
    """The plugin's answer is an error, so ours has to be one."""
    assert "error" in row
    try:
        made = schedule.encode(from_input(row["input"]))
    except WpbridgeError:
        return
    yield f"not refused but written as {made!r}"


def from_input(row: dict[str, Any]) -> Schedule:
    if row["kind"] == "async":
        return Async()
    at = from_timestamp(row["timestamp"])
    match row["kind"]:
        case "simple":
            return schedule.single(at)
        case "canceled":
            return Canceled(timestamp=row["timestamp"])
        case "cron":
            return schedule.cron_schedule(at, row["expression"])
        case "interval":
            return Interval(
                timestamp=row["timestamp"],
                first_timestamp=row.get("first_timestamp", row["timestamp"]),
                recurrence=row["interval"],
            )
    raise AssertionError(f"unknown kind {row['kind']}")


def meaning_of(decoded: Schedule) -> dict[str, Any]:
    assert not isinstance(decoded, ForeignSchedule)
    meaning: dict[str, Any] = {
        "class": decoded.php_class,
        "recurring": decoded.is_recurring,
        "timestamp": decoded.timestamp,
    }
    if isinstance(decoded, Interval):
        meaning["recurrence"] = decoded.recurrence
    if isinstance(decoded, Cron):
        meaning["recurrence"] = decoded.expression
    if isinstance(decoded, Interval | Cron):
        meaning["first_timestamp"] = decoded.first_timestamp
    return meaning


def next_timestamp(decoded: Schedule, run_at: int) -> int | str | None:
    try:
        following = schedule.next_after_run(decoded, ran_at=from_timestamp(run_at))
    except WpbridgeError:
        return "error"
    return None if following is None else following.timestamp


def blob_of_next(decoded: Schedule, run_at: int) -> bytes | None:
    following = schedule.next_after_run(decoded, ran_at=from_timestamp(run_at))
    return None if following is None else schedule.encode(following)
