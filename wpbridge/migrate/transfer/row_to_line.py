"""Turns a row into the line of a file that gives it back byte for byte."""

import base64
import json
from typing import Any

from wpbridge.codec import schedule
from wpbridge.codec.args import chosen, columns
from wpbridge.errors import CodecError
from wpbridge.migrate.transfer.lines import args_text
from wpbridge.store.bulk.rows import WholeRow


def line_of(row: WholeRow) -> dict[str, Any]:
    """Return a row as a line.

    It is pending instead of running or claimed: nobody has a copy in hand.
    """
    line: dict[str, Any] = {"id": row.id, "hook": row.hook, "status": row.status}
    if row.status == "in-progress":
        line |= {"status": "pending", "was": row.status}
    elif row.status == "pending" and row.is_claimed:
        line["was"] = "claimed"
    line |= {
        "group": row.group,
        "priority": row.priority,
        "attempts": row.attempts,
        "scheduled": row.scheduled,
        "scheduled_local": row.scheduled_local,
        "last_attempt": row.last_attempt,
        "last_attempt_local": row.last_attempt_local,
        **_args_of(row),
        **_schedule_of(row.schedule),
    }
    if row.zone:
        line["tz"] = list(row.zone)
    if row.waits:
        line["after"] = [list(wait) for wait in row.waits]
    if row.logs:
        line["logs"] = [list(log) for log in row.logs]
    return line


def _args_of(row: WholeRow) -> dict[str, Any]:
    text = chosen(row.args or "", row.extended_args)
    found: dict[str, Any] = {}
    try:
        value = json.loads(text)
        is_same = isinstance(value, list | dict) and args_text(value) == text
    except (ValueError, RecursionError):
        is_same = False
    if is_same:
        found["args"] = value
    else:
        found["args_raw"] = _base64(text)
    try:
        is_usual = columns(text) == (row.args, row.extended_args)
    except (CodecError, UnicodeEncodeError):
        is_usual = False
    if not is_usual:
        found["args_columns"] = [
            None if one is None else _base64(one) for one in (row.args, row.extended_args)
        ]
    return found


def _schedule_of(text: str | None) -> dict[str, Any]:
    if text is None:
        return {"schedule": None}
    blob = text.encode("utf-8", "surrogateescape")
    try:
        told = schedule.decode(blob)
        meant = _meaning(told)
        is_same = meant is not None and schedule.encode(told) == blob
        json.dumps(meant, allow_nan=False, ensure_ascii=False).encode()
    except (CodecError, ValueError):
        return {"schedule": None, "schedule_raw": _base64(text)}
    return {"schedule": meant} if is_same else {"schedule": meant, "schedule_raw": _base64(text)}


def _meaning(told: schedule.Schedule) -> dict[str, Any] | None:
    """Return what a schedule means; None for one that only another plugin understands."""
    match told:
        case schedule.ForeignSchedule():
            return None
        case schedule.Async():
            return {"kind": told.kind}
        case schedule.Single() | schedule.Canceled():
            return {"kind": told.kind, "at": told.timestamp}
    more = {"kind": told.kind, "at": told.timestamp, "first": told.first_timestamp}
    if isinstance(told, schedule.Cron):
        return {**more, "cron": told.expression}
    return {**more, "every": told.recurrence}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
