"""Changes a row for another site: its dates, and the local dates of that site's time zone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from wpbridge.clock import from_text, to_text
from wpbridge.codec import schedule
from wpbridge.errors import CodecError, InputError
from wpbridge.site.zone import Zone
from wpbridge.store.bulk.rows import WholeRow


def moved(row: WholeRow, by: timedelta) -> WholeRow:
    """Return a pending row at another date. Its schedule is moved, too."""
    if row.status != "pending":
        return row
    found: dict[str, Any] = {}
    for name in ("scheduled", "scheduled_local"):
        at = from_text(getattr(row, name))
        if at is not None:
            try:
                found[name] = to_text(at + by)
            except OverflowError:
                raise InputError("--shift leads out of the calendar") from None
    return replace(row, schedule=_moved_schedule(row.schedule, by), **found)


def in_zone(row: WholeRow, zone: Zone) -> WholeRow:
    """Return the row with the local dates of another site's time zone."""
    found: dict[str, Any] = {}
    due, tried = from_text(row.scheduled), from_text(row.last_attempt)
    if due is not None:
        is_async = row.schedule == schedule.encode(schedule.Async()).decode()
        found["scheduled_local"] = to_text(zone.scheduled_local(due, is_async))
    if tried is not None:
        found["last_attempt_local"] = to_text(zone.attempt_local(tried))
    logs = tuple(
        (message, gmt, local if at is None else to_text(zone.log_local(at)))
        for message, gmt, local in row.logs
        for at in [from_text(gmt)]
    )
    return replace(row, logs=logs, **found)


def _moved_schedule(text: str | None, by: timedelta) -> str | None:
    if text is None:
        return None
    try:
        told = schedule.decode(text.encode())
        if isinstance(told, schedule.Async | schedule.ForeignSchedule) or told.timestamp is None:
            return text
        at = told.timestamp + int(by.total_seconds())
        return schedule.encode(replace(told, timestamp=at)).decode()
    except CodecError:
        return text
