"""Events to log lines: the only place that words them. Text for people, JSON for machines.

Names are constant and dotted (``action.completed``), details are fields. Args and secrets are in
no event, so they are in no line.
"""

import json
import logging
import re
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TextIO

from wpbridge import jsontext
from wpbridge.events import (
    ActionCanceled,
    ActionCompleted,
    ActionFailed,
    ActionLost,
    ActionRescued,
    ActionRetried,
    ActionSnoozed,
    ActionStarted,
    ClaimMade,
    Event,
    HookPaused,
    RunnerPresumedDead,
    RunnerStarted,
    RunnerStopped,
    StoreBack,
    StoreLost,
    UpkeepDone,
    UpkeepLeft,
    UpkeepResumed,
)

_log = logging.getLogger("wpbridge")

LEVELS: Final[dict[type[Event], int]] = {
    RunnerStarted: logging.INFO,
    RunnerStopped: logging.INFO,
    RunnerPresumedDead: logging.WARNING,
    StoreLost: logging.WARNING,
    StoreBack: logging.WARNING,
    ClaimMade: logging.DEBUG,
    HookPaused: logging.WARNING,
    ActionStarted: logging.DEBUG,
    ActionCompleted: logging.INFO,
    ActionFailed: logging.INFO,
    ActionRetried: logging.INFO,
    ActionSnoozed: logging.INFO,
    ActionCanceled: logging.INFO,
    ActionLost: logging.INFO,
    ActionRescued: logging.WARNING,
    UpkeepDone: logging.INFO,
    UpkeepLeft: logging.WARNING,
    UpkeepResumed: logging.INFO,
}
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
}


def name_of(kind: type[Event]) -> str:
    """``ActionCompleted`` as ``action.completed``."""
    first, *rest = re.findall(r"[A-Z][a-z]+", kind.__name__)
    return f"{first}.{'_'.join(rest)}".lower()


def fields_of(event: Event) -> dict[str, Any]:
    """Plain values: spans as seconds, dates as ISO 8601 in UTC."""
    told: dict[str, Any] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, timedelta):
            told[f"{field.name}_ms"] = round(value.total_seconds() * 1000, 1)
        elif isinstance(value, datetime):
            told[field.name] = value.astimezone(UTC).isoformat(timespec="milliseconds")
        else:
            told[field.name] = value
    return told


def write(event: Event) -> None:
    """The subscriber that logs every event."""
    level = LEVELS[type(event)]
    if _log.isEnabledFor(level):
        told = fields_of(event)
        told.pop("at")
        _log.log(level, name_of(type(event)), extra={"fields": told})


class TextLines(logging.Formatter):
    """``2026-12-01T09:00:00.000Z INFO action.completed action_id=5 hook=mail``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever stands in it; a traceback follows."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        parts = [f"{at[:-4]}Z", record.levelname, _one_line(record.getMessage())]
        parts += [f"{name}={_shown(value)}" for name, value in _fields(record).items()]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One object a line: ts, level, event, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {
            "ts": at, "level": record.levelname.lower(), "logger": record.name,
            "event": record.getMessage(), **_fields(record),
        }  # fmt: skip
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return jsontext.dumps(told, default=str, ensure_ascii=False)


def set_up(
    verbose: int, style: Literal["text", "json"] = "text", stream: TextIO | None = None
) -> None:
    """Log to stderr: warnings, with 1 information, with 2 everything."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Of an event, or what a log call gave as ``extra``."""
    told = record.__dict__.get("fields")
    if isinstance(told, dict):
        return {name: value for name, value in told.items() if value not in ("", None)}
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r'[\s"=]', text) else _one_line(text)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
