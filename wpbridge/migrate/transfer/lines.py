"""The lines of an exported queue: their fields, how they are read and written, and their keys.

docs/reference/json.md has the format. Args and schedules are written as what they mean where that
gives back the very bytes, and as base64 besides where it would not.
"""

import functools
import hashlib
import json
from typing import Any, Final

from wpbridge.errors import InputError
from wpbridge.store.bulk.keys import ORIGIN

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

BIGGEST: Final = (1 << 63) - 1
"""Of the numbers that a table holds."""
MOST_VALUES: Final = 1_000_000
"""Of a line. A short text may mean many of them, and each takes far more memory than its text."""
# Made once: json.dumps makes one for each call that is not the plainest.
_plain = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_escaped = json.JSONEncoder(separators=(",", ":")).encode
_strict = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def value_of(text: bytes) -> dict[str, Any]:
    """Return the object that a line of a file holds. InputError says why there is none."""
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
    """Return a line as it stands in the file."""
    text = _plain(line)
    # Half a surrogate pair is no UTF-8, and a control character would steer a terminal.
    return (text if text.isprintable() else _escaped(line)).encode() + b"\n"


def key_of(origin: str, action_id: int) -> str:
    """Return the key under which an action of some other queue is added. Keys rise with the ids.

    So a table of keys grows at its end, which is less work for a server than keys in no order.
    """
    return f"{_digest(origin)}{action_id:016x}"


@functools.cache
def _digest(origin: str) -> str:
    return hashlib.sha256(
        f"wpbridge transfer {origin}".encode("utf-8", "surrogatepass")
    ).hexdigest()[:ORIGIN]


def args_text(value: object) -> str:
    """Write args as JSON, as PHP writes nearly all of them."""
    return _strict(value).replace("/", "\\/")


def checked_utf8(value: str, name: str) -> str:
    """Return the same text. InputError for half a surrogate pair in it."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} is not UTF-8") from None
    return value
