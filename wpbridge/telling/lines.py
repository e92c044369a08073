"""Log lines, as text for people and as JSON for machines; a runner's events become lines here.

Names are constant and dotted (``action.completed``), details are fields. Args and secrets are in
no event, so they are in no line.
"""

import contextlib
import logging
import re
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TextIO

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
    PhpNoCallback,
    RunnerPresumedDead,
    RunnerStarted,
    RunnerStopped,
    StoreBack,
    StoreLost,
    UpkeepDone,
    UpkeepLeft,
    UpkeepResumed,
)
from wpbridge.outcome import class_name
from wpbridge.telling.log import Fields, as_text, plain, shown_fields, traceback_of
from wpbridge.telling.visible import visible, visible_json

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
    PhpNoCallback: logging.WARNING,
}
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
}
_RESERVED: Final = frozenset({"ts", "level", "logger", "event", "site", "message", "traceback"})
FOREIGN: Final = "log.message"
"""The event of a line that somebody else worded: a handler, or a library."""
FAILED: Final = "log.failed"
"""The event of a line that could not be written as it was meant."""


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
        _log.log(level, name_of(type(event)), extra=Fields(told).as_extra())


class TextLines(logging.Formatter):
    """``2026-12-01T09:00:00.000Z INFO action.completed action_id=5 hook=mail``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever stands in it; the lines of a traceback follow, set in."""
        name, message, told = _parts(record)
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        words = name if message is None else message
        head = visible(f"{at[:-4]}Z {record.levelname} {words}")
        trace = traceback_of(record)
        more = [f"  {visible(part)}" for part in trace.split("\n")] if trace else []
        return "\n".join([" ".join([head, *shown_fields(told)]), *more])


class JsonLines(logging.Formatter):
    """One object a line: ts, level, logger, event and site, and the fields."""

    def __init__(self, site: str = "") -> None:
        super().__init__()
        self._site = site

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        name, message, told = _parts(record)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "ts": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": name,
            "site": told.pop("site", None) or self._site,
        }
        if message is not None:
            line["message"] = message
        line |= {str(name): plain(value) for name, value in told.items()}
        if trace := traceback_of(record):
            line["traceback"] = trace
        return visible_json(line, default=as_text)


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines; one that cannot be made is told by its failure, and hurts nobody."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging calls it
        """Write which logger's line it was; nothing where the stream itself is broken."""
        name = class_name(sys.exception() or Exception())
        told = Fields({"from": record.name, "error_type": name})
        made = logging.makeLogRecord(
            {
                "name": "wpbridge",
                "levelno": record.levelno,
                "levelname": record.levelname,
                "msg": FAILED,
                "fields": told,
            }
        )
        with contextlib.suppress(Exception):
            self.stream.write(f"{self.format(made)}\n")


def set_up(
    verbose: int,
    style: Literal["text", "json"] = "text",
    stream: TextIO | None = None,
    *,
    site: str = "",
) -> None:
    """Log to stderr: warnings, with 1 information, with 2 everything.

    ``site`` is what every line of JSON tells of where it comes from.
    """
    handler = _Lines(stream or sys.stderr)
    handler.setFormatter(JsonLines(site) if style == "json" else TextLines())
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def fall_back() -> None:
    """Have commands that keep no log write their warnings as log lines to stderr."""
    handler = _Lines(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(TextLines())
    logging.lastResort = handler


def _parts(record: logging.LogRecord) -> tuple[str, str | None, dict[str, Any]]:
    """The event, the words where somebody else has chosen them, and the fields."""
    fields = record.__dict__.get("fields")
    if isinstance(fields, Fields):
        return record.getMessage(), None, dict(fields)
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    # What a handler gives may be called as it likes: it takes no place of ours.
    told = {f"{name}_" if name in _RESERVED else name: value for name, value in extra.items()}
    return FOREIGN, record.getMessage(), told
