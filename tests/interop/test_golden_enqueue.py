"""Rows the plugin itself wrote, made again through the queue's own door."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from wpbridge.clock import from_timestamp
from wpbridge.codec import args, php
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue, encoded, new_action

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def golden(folder: Path, name: str) -> list[dict[str, Any]]:
    lines = (folder / name).read_text().splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def test_args_are_stored_as_the_plugin_stores_them(golden_dir: Path) -> None:
    rows = golden(golden_dir, "args.jsonl")
    assert rows
    wrong = [
        f"row {number}: {problem}" for number, row in enumerate(rows, 1) for problem in args_of(row)
    ]
    assert not wrong, f"{len(wrong)} mismatches:\n" + "\n".join(wrong[:20])


def args_of(row: dict[str, Any]) -> Iterator[str]:
    value: Any = args.from_php(php.decode(base64.b64decode(row["php_serialized_base64"])))
    try:
        text = encoded(value)
    except InputError as error:
        # WordPress would store question marks for bytes that are no text; nothing is stored here.
        is_stored = not row.get("too_long") and "column_args" in row
        if is_stored and "not UTF-8" not in str(error):
            yield f"refused: {error}"
        return
    if row.get("too_long") or "column_args" not in row:
        yield "not refused"
    elif args.columns(text) != (row["column_args"], row["column_extended_args"]):
        yield f"columns {args.columns(text)!r}"


def test_schedules_are_stored_as_the_plugin_stores_them(golden_dir: Path) -> None:
    rows = [row for row in golden(golden_dir, "schedules.jsonl") if is_first(row["input"])]
    assert {row["input"]["kind"] for row in rows} >= {"async", "simple", "interval", "cron"}
    wrong = [
        f"row {number} {row['input']}: {problem}"
        for number, row in enumerate(rows, 1)
        for problem in schedule_of(row)
    ]
    assert not wrong, f"{len(wrong)} mismatches:\n" + "\n".join(wrong[:20])


def is_first(told: dict[str, Any]) -> bool:
    """Whether it is how a chain begins: that is what can be enqueued."""
    return told["kind"] != "canceled" and "first_timestamp" not in told


def schedule_of(row: dict[str, Any]) -> Iterator[str]:
    told = row["input"]
    at = None if told["kind"] == "async" else from_timestamp(told["timestamp"])
    new = Enqueue(
        hook="h",
        at=at,
        interval=told.get("interval"),
        cron=told["expression"] if told["kind"] == "cron" else None,
    )
    try:
        made = new_action(new, NOW)
    except InputError as error:
        if "serialized_base64" in row:
            yield f"refused: {error}"
        return
    if "serialized_base64" not in row:
        yield f"not refused but written as {made.schedule!r}"
        return
    if made.schedule != base64.b64decode(row["serialized_base64"]):
        yield f"written as {made.schedule!r}"
    due = row["meaning"].get("timestamp")
    if told["kind"] != "async" and int(made.scheduled_at.timestamp()) != due:
        yield f"due {made.scheduled_at}, not {due}"


@pytest.mark.parametrize("kind", ["list", "tuple"])
def test_an_object_stays_one(kind: str) -> None:
    value: Any = [args.JsonObject(), {}, {"0": "a"}]
    assert encoded(value if kind == "list" else tuple(value)) == '[{},[],["a"]]'
