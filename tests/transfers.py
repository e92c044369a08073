"""A queue of everything that can be exported, and its file."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

from conftest import ROOT
from factories import NOW
from rows import change
from wpbridge.codec import schedule
from wpbridge.migrate.transfer import files
from wpbridge.migrate.transfer.exporting import lines_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

STATUSES = ("pending", "complete", "failed", "canceled")
ZERO = "0000-00-00 00:00:00"
ASYNC = schedule.encode(schedule.Async()).decode()
BLOBS = [
    ASYNC,
    'O:30:"ActionScheduler_SimpleSchedule":1:{s:41:"\0ActionScheduler_SimpleSchedule\0timestamp";i:15;}',
    'O:8:"Whatever":1:{s:1:"a";i:1;}',
    "broken{",
    "",
    None,
    "schädlich \U0001f600",
]
ARGS = [
    "[]",
    '{"a":"\\u00e4\\/b"}',
    '{"a":"ä/b"}',
    "[1.0,1e3,-0.0]",
    '[{"deep":[{}]}]',
    "{}",
    "[ 1 ]",
    '{"a":1,"a":2}',
    "{broken",
    "",
    '"text"',
    "[12345678901234567890]",
    '["\\ud800"]',
    "[NaN]",
    'a:1:{i:0;s:1:"x";}',
    "null",
    '{"nul":"\\u0000"}',
]


def add_row(store: RunnerStore, **values: Any) -> None:
    row = {
        "hook": "h",
        "status": "pending",
        "scheduled_date_gmt": "2026-11-24 11:00:00",
        "scheduled_date_local": "2026-11-24 12:00:00",
        "args": "[]",
        "schedule": ASYNC,
        "group_id": 0,
        "attempts": 0,
        "last_attempt_gmt": ZERO,
        "last_attempt_local": ZERO,
        "claim_id": 0,
        "priority": 10,
        "extended_args": None,
    } | values
    names = [name for name in row if name not in ("priority", "extended_args")]
    names += ["priority"] if store.parts.layout.has_priority else []
    names += ["extended_args"] if store.parts.layout.has_extended_args else []
    change(
        store,
        f"INSERT INTO wp_actionscheduler_actions ({', '.join(names)})"
        f" VALUES ({', '.join(f':{name}' for name in names)})",
        **{name: row[name] for name in names},
    )


def fill(store: RunnerStore) -> int:
    """Every status, schedule and form of args; returns how many."""
    queue = Queue(store.parts)
    first = queue.enqueue(Enqueue(hook="zoned", cron="0 3 * * *", tz="Europe/Rome", group="mail"))
    assert first is not None
    queue.enqueue(Enqueue(hook="waits", after=[first], group="Ünï"))
    queue.enqueue(Enqueue(hook="hourly", interval=3600, at=NOW, priority=3))
    queue.enqueue(Enqueue(hook="long", args=["x" * 7000 + "/ä"]))
    queue.cancel([queue.enqueue(Enqueue(hook="canceled")) or 0], reason="because")
    for place, status in enumerate(STATUSES):
        add_row(
            store,
            hook=f"s{place}",
            status=status,
            attempts=place + 1,
            priority=place,
            last_attempt_gmt="2026-11-24 10:00:00",
            last_attempt_local="2026-11-24 11:30:00",
        )
    for blob in BLOBS:
        add_row(store, hook="blob", schedule=blob)
    for args in ARGS:
        add_row(store, hook="args", args=args)
    add_row(store, hook="odd", args=None)
    add_row(store, hook="odd", args="md5 of another", extended_args='{"long":1}')
    add_row(store, hook="odd", args="[1]", extended_args="0")
    add_row(store, hook="odd", scheduled_date_gmt=ZERO, scheduled_date_local=ZERO)
    add_row(store, hook="odd", scheduled_date_gmt=None, scheduled_date_local=None)
    for told in golden():
        add_row(store, hook="golden", schedule=told)
    return store.parts.counting.all(Query())


def golden() -> Iterator[str]:
    """Blobs that real versions of the plugin wrote."""
    file = ROOT / "fixtures" / "golden" / "schedules.jsonl"
    for line in file.read_text("utf-8").splitlines():
        yield base64.b64decode(json.loads(line)["serialized_base64"]).decode()


def exported(store: RunnerStore, which: Query | None = None, **more: Any) -> bytes:
    stream = io.BytesIO()
    files.write(lines_of(store.parts, which or Query(), now=NOW, **more), stream)
    return stream.getvalue()


def told(data: bytes) -> list[dict[str, Any]]:
    """The actions of a file; ids, which are made anew, as their places."""
    lines = [json.loads(line) for line in data.splitlines()][1:-1]
    places = {line["id"]: place for place, line in enumerate(lines)}
    for line in lines:
        line["id"] = places[line["id"]]
        line["after"] = [[places[i], how] for i, how in line.get("after", [])]
    return lines
