"""Formats log lines as text for people and as JSON for machines.

The name of a line is constant and dotted (``action.completed``), and its details are fields.
"""

import contextlib
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from wpbridge.telling.log import ACCESS, Fields, as_text, plain, shown_fields, traceback_of
from wpbridge.telling.visible import visible, visible_json

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
}
_RESERVED: Final = frozenset({"ts", "level", "logger", "event", "site", "message", "traceback"})
FOREIGN: Final = "log.message"
"""The name of a line that a handler or a library has written."""
FAILED: Final = "log.failed"
"""The name of the line that stands for one that could not be formatted."""


class TextLines(logging.Formatter):
    """Writes lines as ``2026-12-01T09:00:00.000Z INFO action.completed action_id=5 hook=mail``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, whatever characters it has, and below it the indented traceback."""
        name, message, values = _parts(record)
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        words = name if message is None else message
        head = visible(f"{at[:-4]}Z {record.levelname} {words}")
        trace = traceback_of(record)
        more = [f"  {visible(part)}" for part in trace.split("\n")] if trace else []
        return "\n".join([" ".join([head, *shown_fields(values)]), *more])


class JsonLines(logging.Formatter):
    """Writes each line as one JSON object: ts, level, logger, event, site, and the fields."""

    def __init__(self, site: str = "") -> None:
        super().__init__()
        self._site = site

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        name, message, values = _parts(record)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "ts": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": name,
            "site": values.pop("site", None) or self._site,
        }
        if message is not None:
            line["message"] = message
        line |= {str(name): plain(value) for name, value in values.items()}
        if trace := traceback_of(record):
            line["traceback"] = trace
        return visible_json(line, default=as_text)


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines to a stream. Instead of one that cannot be formatted, it writes why."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging calls it
        """Write which logger's line it was, or nothing if the stream itself is broken."""
        from wpbridge.outcome import class_name  # noqa: PLC0415 - every command loads this module

        name = class_name(sys.exception() or Exception())
        instead = logging.LogRecord("wpbridge", record.levelno, "", 0, FAILED, None, None)
        instead.__dict__["fields"] = Fields({"from": record.name, "error_type": name})
        with contextlib.suppress(Exception):
            self.stream.write(f"{self.format(instead)}\n")


def set_up(
    verbose: int,
    style: Literal["text", "json"] = "text",
    stream: TextIO | None = None,
    *,
    site: str = "",
) -> None:
    """Have log lines written to a stream from now on.

    Args:
        verbose: 0 for warnings, 1 for information as well, 2 for everything.
        style: how lines are formatted.
        stream: where they go; stderr if None.
        site: the label that lines of JSON have as their site, if they name no other.
    """
    handler = _Lines(stream or sys.stderr)
    handler.setFormatter(JsonLines(site) if style == "json" else TextLines())
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def set_up_access(
    style: Literal["text", "json"], stream: TextIO | None = None, *, site: str = ""
) -> None:
    """Have a line written for each request from now on, whatever else the log leaves out."""
    handler = _Lines(stream or sys.stderr)
    handler.setFormatter(JsonLines(site) if style == "json" else TextLines())
    logger = logging.getLogger(ACCESS)
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)


def fall_back() -> None:
    """Have warnings written to stderr as log lines, by commands that have set up no log."""
    handler = _Lines(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(TextLines())
    logging.lastResort = handler


def _parts(record: logging.LogRecord) -> tuple[str, str | None, dict[str, Any]]:
    """Return a record's name, its fields, and between them the message if it is a foreign line."""
    fields = record.__dict__.get("fields")
    if isinstance(fields, Fields):
        return record.getMessage(), None, dict(fields)
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    # A handler may name its fields as it likes. A name of ours gets an underscore.
    values = {f"{name}_" if name in _RESERVED else name: value for name, value in extra.items()}
    return FOREIGN, record.getMessage(), values
