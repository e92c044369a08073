"""The lines of an exported queue: an action to JSON and back, byte for byte. Pure.

docs/reference/json.md has the format. Args and schedules are written as what they mean where that
gives back the very bytes, and as base64 besides where it would not.
"""

import base64
import binascii
import functools
import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from wpbridge.clock import ZERO_DATE, from_text, to_text
from wpbridge.codec import schedule
from wpbridge.codec.args import columns
from wpbridge.errors import CodecError, InputError
from wpbridge.site.zone import Zone
from wpbridge.store.moving.bulk import DEFAULT_PRIORITY, ORIGIN, WholeRow

VERSION: Final = 1
ACTIONS: Final = "actions"
"""What the header says the file holds."""
END: Final = "end"

HEADER_FIELDS: Final = (
    "wpbridge",
    "version",
    "origin",
    "prefix",
    "schema",
    "zone",
    "logs",
    "made",
    "count",
)
LINE_FIELDS: Final = (
    "id",
    "hook",
    "status",
    "was",
    "group",
    "priority",
    "attempts",
    "scheduled",
    "scheduled_local",
    "last_attempt",
    "last_attempt_local",
    "args",
    "args_raw",
    "args_columns",
    "schedule",
    "schedule_raw",
    "tz",
    "after",
    "logs",
)
END_FIELDS: Final = ("wpbridge", "actions", "statuses")
SCHEDULE_FIELDS: Final = ("kind", "at", "first", "every", "cron")

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
BIGGEST: Final = (1 << 63) - 1
"""Of the numbers that a table holds."""
MOST_VALUES: Final = 1_000_000
"""Of a line. A short text may mean many of them, and each takes far more memory than its text."""
_HOOK, _STATUS, _SLUG = 191, 20, 255
_ON_FAILED: Final = ("hold", "run", "cancel")
# Made once: json.dumps makes one for each call that is not the plainest.
_plain = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_escaped = json.JSONEncoder(separators=(",", ":")).encode
_strict = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
# No set: what stands there may be of any kind, lists among them.
_KINDS: Final = ("async", "canceled", "cron", "interval", "single")


def value_of(text: bytes) -> dict[str, Any]:
    """The object that a line of a file holds; InputError with the reason where there is none."""
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise InputError(f"it has more than {MOST_VALUES:,} values")
    try:
        value = _reader.decode(text.decode())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError("it is no JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InputError("a name stands twice in one object")
    return found


def _no_number(name: str) -> None:
    raise InputError(f"{name} is no JSON")


_reader = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def dumped(line: dict[str, Any]) -> bytes:
    """A line as it stands in the file."""
    text = _plain(line)
    # Half a surrogate pair is no UTF-8, and a control character would steer a terminal.
    return (text if text.isprintable() else _escaped(line)).encode() + b"\n"


def key_of(origin: str, action_id: int) -> str:
    """The key under which an action of some other queue is added; those of one rise with the ids.

    So a table of keys grows at its end, which is less work for a server than keys in no order.
    """
    return f"{_digest(origin)}{action_id:016x}"


@functools.cache
def _digest(origin: str) -> str:
    return hashlib.sha256(
        f"wpbridge transfer {origin}".encode("utf-8", "surrogatepass")
    ).hexdigest()[:ORIGIN]


# From a row to a line


def line_of(row: WholeRow) -> dict[str, Any]:
    """A row as a line: pending instead of running or claimed, since nobody holds a copy."""
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
    uses_longer = row.extended_args not in (None, "", "0")
    text = (row.extended_args if uses_longer else row.args) or ""
    found: dict[str, Any] = {}
    try:
        value = json.loads(text)
        is_same = isinstance(value, list | dict) and _args_text(value) == text
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


def _args_text(value: object) -> str:
    """As PHP writes nearly all args."""
    return _strict(value).replace("/", "\\/")


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
    match told:
        case schedule.Async():
            return {"kind": "async"}
        case schedule.Single():
            return {"kind": "single", "at": told.timestamp}
        case schedule.Canceled():
            return {"kind": "canceled", "at": told.timestamp}
        case schedule.Interval():
            return {
                "kind": "interval",
                "at": told.timestamp,
                "first": told.first_timestamp,
                "every": told.recurrence,
            }
        case schedule.Cron():
            return {
                "kind": "cron",
                "at": told.timestamp,
                "first": told.first_timestamp,
                "cron": told.expression,
            }
        case _:
            return None


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


# From a line to a row


def row_of(line: dict[str, Any]) -> WholeRow:
    """The row that a line means; InputError with the reason for one that no table can hold."""
    args, extended = _read_args(line)
    return WholeRow(
        id=_number(line, "id", 1, BIGGEST),
        hook=_short(line, "hook", _HOOK) or _missing("hook"),
        status=_status(line),
        scheduled=_date(line.get("scheduled"), "scheduled"),
        scheduled_local=_date(line.get("scheduled_local"), "scheduled_local"),
        args=args,
        extended_args=extended,
        schedule=_read_schedule(line),
        group=_short(line, "group", _SLUG),
        priority=_number(line, "priority", 0, 255, DEFAULT_PRIORITY),
        attempts=_number(line, "attempts", 0, (1 << 31) - 1, 0),
        last_attempt=_date(line.get("last_attempt", ZERO_DATE), "last_attempt"),
        last_attempt_local=_date(line.get("last_attempt_local", ZERO_DATE), "last_attempt_local"),
        logs=_read_logs(line),
        zone=_read_zone(line),
        waits=_read_waits(line),
    )


def moved(row: WholeRow, by: timedelta) -> WholeRow:
    """A pending row at another date, by the row's own and by its schedule's, where it has one."""
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
    """With the local dates of another site's time zone."""
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


def _missing(name: str) -> str:
    raise InputError(f"{name} is missing or empty")


def _short(line: dict[str, Any], name: str, most: int) -> str:
    value = line.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise InputError(f"{name}: a text of {most} characters at most")
    return checked_utf8(value, name)


def checked_utf8(value: str, name: str) -> str:
    """The same text; InputError for half a surrogate pair in it."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} is not UTF-8") from None
    return value


def _status(line: dict[str, Any]) -> str:
    status = _short(line, "status", _STATUS) or _missing("status")
    return "pending" if status == "in-progress" else status


def _number(
    line: dict[str, Any], name: str, least: int, most: int, default: int | None = None
) -> int:
    value = line.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{name}: a whole number from {least} to {most}")
    return value


def _date(value: object, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and (value == ZERO_DATE or _DATE.fullmatch(value)):
        return value
    raise InputError(f"{name}: a date such as 2026-12-01 06:00:00, or null")


def _bytes_of(value: object, name: str) -> str:
    """The text that base64 means."""
    if not isinstance(value, str):
        raise InputError(f"{name} is no base64 of UTF-8")
    try:
        return base64.b64decode(value.encode(), validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise InputError(f"{name} is no base64 of UTF-8") from None


def _read_args(line: dict[str, Any]) -> tuple[str | None, str | None]:
    told = line.get("args_columns")
    if told is not None:
        if not isinstance(told, list) or len(told) != 2:  # noqa: PLR2004 - two columns
            raise InputError("args_columns: two texts")
        short, longer = (None if one is None else _bytes_of(one, "args_columns") for one in told)
        return short, longer
    if "args_raw" in line:
        text = _bytes_of(line["args_raw"], "args_raw")
    elif isinstance(line.get("args"), list | dict):
        try:
            text = _args_text(line["args"])
        except (ValueError, RecursionError):
            raise InputError("args cannot be written as JSON") from None
    else:
        raise InputError("args: a list or an object, or args_raw")
    try:
        return columns(text)
    except CodecError as error:
        raise InputError(str(error)) from None


def _read_schedule(line: dict[str, Any]) -> str | None:
    if "schedule_raw" in line:
        return _bytes_of(line["schedule_raw"], "schedule_raw")
    told = line.get("schedule")
    if told is None:
        return None
    made = _schedule_from(told)
    try:
        return schedule.encode(made).decode()
    except (CodecError, UnicodeError) as error:
        raise InputError(f"schedule: {error}") from None


def _schedule_from(told: object) -> schedule.Schedule:
    kind = told.get("kind") if isinstance(told, dict) else None
    if not isinstance(told, dict) or kind not in _KINDS:
        raise InputError(f"schedule: an object with a kind of {', '.join(_KINDS)}")
    at, first = (_seconds(told, name) for name in ("at", "first"))
    match kind:
        case "async":
            return schedule.Async()
        case "single":
            return schedule.Single(timestamp=at)
        case "canceled":
            return schedule.Canceled(timestamp=at)
        case "interval":
            every = told.get("every")
            if not isinstance(every, int | float | str) or isinstance(every, bool):
                raise InputError("schedule: every is missing")
            return schedule.Interval(timestamp=at, first_timestamp=first, recurrence=every)
        case _:
            expression = told.get("cron")
            if not isinstance(expression, str):
                raise InputError("schedule: cron is a text")
            return schedule.Cron(timestamp=at, first_timestamp=first, expression=expression)


def _seconds(told: dict[str, Any], name: str) -> int | None:
    value = told.get(name)
    if value is not None and (type(value) is not int or abs(value) > BIGGEST):
        raise InputError(f"schedule: {name} is in whole seconds since 1970")
    return value


def _list(line: dict[str, Any], name: str, length: int) -> list[list[Any]]:
    told = line.get(name)
    if told is None:
        return []
    if not isinstance(told, list) or not all(
        isinstance(one, list) and len(one) == length for one in told
    ):
        raise InputError(f"{name}: a list of lists of {length}")
    return told


def _read_logs(line: dict[str, Any]) -> tuple[tuple[str, str | None, str | None], ...]:
    return tuple(
        (_message(message), _date(gmt, "logs"), _date(local, "logs"))
        for message, gmt, local in _list(line, "logs", 3)
    )


def _message(value: object) -> str:
    if not isinstance(value, str):
        raise InputError("logs: each begins with a text")
    try:
        # Bytes that are no text were written as halves of surrogate pairs.
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InputError("logs: a text is not UTF-8") from None
    return value


def _read_zone(line: dict[str, Any]) -> tuple[str, str] | None:
    told = line.get("tz")
    if told is None:
        return None
    if not isinstance(told, list) or [type(one) for one in told] != [str, str]:
        raise InputError("tz: a cron expression and a zone")
    return checked_utf8(told[0], "tz"), checked_utf8(told[1], "tz")


def _read_waits(line: dict[str, Any]) -> tuple[tuple[int, str], ...]:
    found = []
    for after, on_failed in _list(line, "after", 2):
        if type(after) is not int or not 1 <= after <= BIGGEST or on_failed not in _ON_FAILED:
            raise InputError(f"after: an id, and one of {', '.join(_ON_FAILED)}")
        found.append((after, on_failed))
    return tuple(found)
