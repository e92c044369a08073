"""Actions as rows: the fields that every command prints, docs/reference/json.md."""

import json
from datetime import datetime
from typing import Any, Final

from wpbridge.clock import from_timestamp
from wpbridge.codec import args, schedule
from wpbridge.codec.jsontext import is_finite
from wpbridge.errors import CodecError
from wpbridge.store.records import LogEntry, Record, StoredResult

ACTION_FIELDS: Final = (
    "id",
    "hook",
    "status",
    "args",
    "group",
    "priority",
    "attempts",
    "scheduled",
    "last_attempt",
    "claim_id",
    "kind",
    "recurrence",
    "tz",
    "first",
)
LIST_FIELDS: Final = (
    "id",
    "hook",
    "status",
    "scheduled",
    "group",
    "recurrence",
    "attempts",
    "args",
)
LOG_FIELDS: Final = ("id", "action_id", "date", "message")


def action_row(record: Record, zone: str | None = None) -> dict[str, Any]:
    """Return one action as a row; args and schedule as far as they can be read."""
    kind, recurrence, first = _schedule(record.schedule)
    return {
        "id": record.id,
        "hook": record.hook,
        "status": record.status,
        "args": _args(record.args),
        "group": record.group,
        "priority": record.priority,
        "attempts": record.attempts,
        "scheduled": record.scheduled_at,
        "last_attempt": record.last_attempt_at,
        "claim_id": record.claim_id,
        "kind": kind,
        "recurrence": recurrence,
        "tz": zone,
        "first": first,
    }


RESULT_FIELDS: Final = ("progress", "progress_text", "result")


def result_row(stored: StoredResult | None) -> dict[str, Any]:
    """Return what an action's handler returned, and how far it said it was; None for nothing."""
    if stored is None:
        return dict.fromkeys(RESULT_FIELDS)
    return {
        "progress": stored.progress,
        "progress_text": stored.progress_text or None,
        "result": None if stored.result is None else json.loads(stored.result),
    }


def log_row(entry: LogEntry) -> dict[str, Any]:
    """Return one row of an action's log."""
    return {
        "id": entry.id,
        "action_id": entry.action_id,
        "date": entry.at,
        "message": entry.message,
    }


def _args(text: bytes) -> Any:
    """Return the args; their text where it cannot be read, or JSON cannot tell them."""
    try:
        mapping = args.decode(text).mapping
    except CodecError:
        mapping = None
    is_told = mapping is not None and is_finite(mapping)
    return mapping if is_told else text.decode("utf-8", "replace")


def _schedule(blob: bytes) -> tuple[str, str | None, datetime | None]:
    """Return a schedule's kind, recurrence and first date."""
    try:
        told = schedule.decode(blob)
    except CodecError:
        return "unreadable", None, None
    kind = told.kind
    if isinstance(told, schedule.ForeignSchedule):
        return f"{kind}: {told.php_class}", None, None
    if isinstance(told, schedule.Interval):
        return kind, f"{told.seconds} s", _date(told.first_timestamp)
    if isinstance(told, schedule.Cron):
        return kind, told.expression, _date(told.first_timestamp)
    return kind, None, None


def _date(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return from_timestamp(seconds)
    except (ValueError, OverflowError, OSError):
        return None
