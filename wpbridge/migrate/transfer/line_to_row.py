"""The line of a file to the row that it means. InputError says what no table can hold. Pure."""

import base64
import binascii
import re
from typing import Any, Final

from wpbridge.action import ON_FAILED
from wpbridge.clock import ZERO_DATE
from wpbridge.codec import schedule
from wpbridge.codec.args import columns
from wpbridge.errors import CodecError, InputError
from wpbridge.migrate.transfer.lines import BIGGEST, args_text, checked_utf8
from wpbridge.queue.enqueue import GROUP_CHARACTERS, HOOK_CHARACTERS
from wpbridge.store.bulk.rows import DEFAULT_PRIORITY, WholeRow

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_STATUS: Final = 20
"""Characters."""
# No set: what stands there may be of any kind, lists among them.
_KINDS: Final = ("async", "canceled", "cron", "interval", "single")


def row_of(line: dict[str, Any]) -> WholeRow:
    """Return the row that a line means. InputError says why no table can hold it."""
    args, extended = _read_args(line)
    return WholeRow(
        id=_number(line, "id", 1, BIGGEST),
        hook=_short(line, "hook", HOOK_CHARACTERS) or _missing("hook"),
        status=_status(line),
        scheduled=_date(line.get("scheduled"), "scheduled"),
        scheduled_local=_date(line.get("scheduled_local"), "scheduled_local"),
        args=args,
        extended_args=extended,
        schedule=_read_schedule(line),
        group=_short(line, "group", GROUP_CHARACTERS),
        priority=_number(line, "priority", 0, 255, DEFAULT_PRIORITY),
        attempts=_number(line, "attempts", 0, (1 << 31) - 1, 0),
        last_attempt=_date(line.get("last_attempt", ZERO_DATE), "last_attempt"),
        last_attempt_local=_date(line.get("last_attempt_local", ZERO_DATE), "last_attempt_local"),
        logs=_read_logs(line),
        zone=_read_zone(line),
        waits=_read_waits(line),
    )


def _missing(name: str) -> str:
    raise InputError(f"{name} is missing or empty")


def _short(line: dict[str, Any], name: str, most: int) -> str:
    value = line.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise InputError(f"{name}: a text of {most} characters at most")
    return checked_utf8(value, name)


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
    """Return the text that base64 means."""
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
            text = args_text(line["args"])
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
        if type(after) is not int or not 1 <= after <= BIGGEST or on_failed not in ON_FAILED:
            raise InputError(f"after: an id, and one of {', '.join(ON_FAILED)}")
        found.append((after, on_failed))
    return tuple(found)
