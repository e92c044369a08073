"""Lines of an exported queue with anything at any key, between good ones."""

import json
from collections.abc import Sequence
from typing import Any

from wpbridge.migrate.transfer.lines import LINE_FIELDS, SCHEDULE_FIELDS

DEEP = b"[" * 100_000 + b"]" * 100_000
HEAD = b'{"wpbridge":"actions","version":1,"origin":"%s"}\n'
GOOD = {
    "id": 0,
    "hook": "good",
    "status": "pending",
    "scheduled": None,
    "args": [1],
    "schedule": {"kind": "async"},
}
SCHEDULES = tuple(("schedule", name) for name in SCHEDULE_FIELDS)
PLACES: tuple[tuple[str, ...], ...] = (*((name,) for name in LINE_FIELDS), *SCHEDULES)

VALUES = [
    b"null",
    b"true",
    b"false",
    b"0",
    b"-1",
    b"1.5",
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"9" * 30,
    b"-" + b"9" * 30,
    b"9" * 5000,
    b'""',
    b'"x"',
    b'"\\u0000"',
    b'"\\ud800"',
    b'"\\udcff"',
    b'"\xff"',
    b'"' + "\U0001f600".encode() + b'"',
    b'"' + b"x" * 70_000 + b'"',
    b"[]",
    b"[[]]",
    b"[[1,2,3]]",
    b'[["a",null,null]]',
    b'[["\\ud800",null,null]]',
    b"[[[],null,null]]",
    b'[["a",[],{}]]',
    b'[[1,"hold"]]',
    b'[[true,"hold"]]',
    b"[[1,[]]]",
    b"[[" + b"9" * 40 + b',"run"]]',
    b'["a","b"]',
    b'["x","Europe/Rome"]',
    b"[null,null]",
    b"[[],{}]",
    b"{}",
    b'{"kind":[]}',
    b'{"kind":{}}',
    b'{"kind":"cron"}',
    b'{"a":1,"a":2}',
    b'{"kind":"interval","at":1,"first":1,"every":1e400}',
    b'{"kind":"single","at":1e5}',
    b'{"kind":"interval","at":1,"every":[]}',
    b'{"kind":"cron","at":1,"cron":"\\ud800"}',
    b'{"kind":"cron","at":1,"cron":[]}',
    b'{"kind":"single","at":' + b"9" * 30 + b"}",
    b'{"kind":"interval","at":1,"every":"\\ud800"}',
    b'{"kind":"interval","at":1,"every":true}',
    b'"0001-01-01 00:00:00"',
    b'"9999-12-31 23:59:59"',
    b'"2026-02-31 25:00:00"',
    b'"////"',
    DEEP,
    b"[" * 900 + b"]" * 900,
    b'{"a":' * 900 + b"1" + b"}" * 900,
]
RAW = [
    b"\xff\xfe",
    b"\x00",
    b"{",
    b"[]",
    b"1",
    b'"text"',
    b"null",
    b"}{",
    DEEP,
    b'{"a":' * 100_000,
    b'{"id":1}' * 2,
    "\ufeff{}".encode(),
    b"{}\x00",
    "\u2028".encode(),
    b"'",
    b"{'id':1}",
    b'{"wpbridge":[]}',
    b'{"wpbridge":"actions"}',
    b"\xed\xa0\x80",
    b"[" + b"[]," * 600_000 + b"1]",
]


def line_with(place: Sequence[str], value: bytes, action_id: int) -> bytes:
    """A good line but for the value at one place."""
    interval = {"kind": "interval", "at": 1, "first": 1, "every": 60}
    line: dict[str, Any] = {**GOOD, "id": action_id, "schedule": interval}
    at = line
    for name in place[:-1]:
        at = at[name]
    at[place[-1]] = "HERE"
    return json.dumps(line).encode().replace(b'"HERE"', value, 1)


def file_of(origin: bytes, bad: Sequence[bytes]) -> bytes:
    """A whole file with a line of the group ``kept`` in front of each of the bad ones.

    The bad ones have even ids, as :func:`line_with` gets them, or none.
    """
    lines = []
    for number, one in enumerate(bad):
        lines += [json.dumps({**GOOD, "id": 2 * number + 1, "group": "kept"}).encode(), one]
    end = json.dumps({"wpbridge": "end", "actions": len(lines)}).encode()
    return HEAD % origin + b"\n".join([*lines, end])
