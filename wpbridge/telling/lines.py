"""Turns events into log lines. No event contains args or secrets, so no line does."""

import logging
import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from wpbridge.events import (
    ActionCanceled,
    ActionCompleted,
    ActionFailed,
    ActionLost,
    ActionRescued,
    ActionRetried,
    ActionSnoozed,
    ActionStarted,
    BatchSettled,
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
from wpbridge.telling.formats import (
    FAILED,
    FOREIGN,
    JsonLines,
    TextLines,
    fall_back,
    set_up,
    set_up_access,
)
from wpbridge.telling.log import Fields

__all__ = [
    "FAILED",
    "FOREIGN",
    "LEVELS",
    "JsonLines",
    "TextLines",
    "fall_back",
    "fields_of",
    "name_of",
    "set_up",
    "set_up_access",
    "write",
]

_log = logging.getLogger("wpbridge")

LEVELS: Final[dict[type[Event], int]] = {
    RunnerStarted: logging.INFO,
    RunnerStopped: logging.INFO,
    RunnerPresumedDead: logging.WARNING,
    StoreLost: logging.WARNING,
    StoreBack: logging.WARNING,
    ClaimMade: logging.DEBUG,
    BatchSettled: logging.DEBUG,
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


def name_of(kind: type[Event]) -> str:
    """Return the name of a kind of event: ``action.completed`` for ``ActionCompleted``."""
    first, *rest = re.findall(r"[A-Z][a-z]+", kind.__name__)
    return f"{first}.{'_'.join(rest)}".lower()


def fields_of(event: Event) -> dict[str, Any]:
    """Return the fields of an event as plain values.

    A span is given in milliseconds under a name with ``_ms``, a date as ISO 8601 in UTC.
    """
    values: dict[str, Any] = {}
    for field in fields(event):
        if not field.metadata.get("is_logged", True):
            continue
        value = getattr(event, field.name)
        if isinstance(value, timedelta):
            values[f"{field.name}_ms"] = round(value.total_seconds() * 1000, 1)
        elif isinstance(value, datetime):
            values[field.name] = value.astimezone(UTC).isoformat(timespec="milliseconds")
        else:
            values[field.name] = value
    return values


def is_heard(kind: type[Event]) -> bool:
    """Return whether the log takes events of a kind just now."""
    return _log.isEnabledFor(LEVELS[kind])


def write(event: Event) -> None:
    """Log an event. This is the subscriber for all kinds."""
    if is_heard(type(event)):
        values = fields_of(event)
        values.pop("at")
        _log.log(LEVELS[type(event)], name_of(type(event)), extra=Fields(values).as_extra())
