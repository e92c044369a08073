"""``enqueue --jsonl`` with lines of any length, and with any value at any key."""

import io
import itertools
import json
import tracemalloc
from typing import Any

import pytest

from cli_helpers import Site, is_one_line
from hostile_lines import RAW, VALUES
from wpbridge.cli import enqueue_lines
from wpbridge.errors import InputError, WpbridgeError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue

GOOD = b'{"hook":"good"}\n'
LARGE = 1 << 20
KEYS = (
    "hook",
    "args",
    "at",
    "in",
    "interval",
    "cron",
    "tz",
    "group",
    "priority",
    "unique",
    "key",
    "after",
    "after_failed",
    "unknown",
)
MORE = [b"1" * 400, b"-" + b"1" * 400, b"1e308", b"[true]", b"[1e999]", b"2", b'"5m"', b'"run"']


def with_value(key: str, value: bytes) -> bytes:
    """A line that is good but for this value."""
    line: dict[str, Any] = {"hook": "h", **({"cron": "0 3 * * *"} if key == "tz" else {})}
    line |= {"after": [1]} if key == "after_failed" else {}
    return json.dumps({**line, key: "HERE"}).encode().replace(b'"HERE"', value, 1)


def why_not(queue: Queue, lines: io.BytesIO) -> str:
    """Why none of the lines is added; empty where all would be."""
    try:
        enqueue_lines.check(queue, lines)
    except WpbridgeError as error:
        return str(error)
    return ""


def test_any_value_at_any_key_is_added_or_named_with_its_line(lite: Site) -> None:
    """Nested values, and numbers that no float holds, were a traceback."""
    cases = [with_value(*case) for case in itertools.product(KEYS, [*VALUES, *MORE])] + RAW
    refused = taken = 0
    with Queue(lite.store.parts, close_store=False) as queue:
        queue.enqueue(Enqueue(hook="first"))
        for bad in cases:
            data = io.BytesIO(GOOD + b"\n" + bad + b"\n" + GOOD)
            if why := why_not(queue, data):
                refused += 1
                assert why.startswith("line 3: "), bad
                assert why.endswith("; nothing was written")
                assert len(why) < 300
                continue
            taken += 1
            data.seek(0)
            for part in enqueue_lines.batches(data, 3):
                queue.enqueue_many(part)
    assert refused > len(cases) // 2
    assert taken > len(KEYS)


def test_a_line_without_an_end_is_named_and_nothing_is_written(lite: Site) -> None:
    """It was read whole, however long it was."""
    file = lite.folder / "long.jsonl"
    with file.open("wb") as stream:
        stream.write(GOOD)
        stream.seek(100 * LARGE, 1)
        stream.write(b"\n" + GOOD)
    tracemalloc.start()
    try:
        done = lite("enqueue", "--jsonl", "long.jsonl")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert is_one_line(done, 2)
    assert done.err == "wpbridge: line 2: it is longer than 32 MiB; nothing was written\n"
    assert peak < 100 * LARGE
    assert lite.store.counts() == {}


def test_a_batch_has_bytes_and_not_lines(lite: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 lines were one, and 100,000 were kept, however long each was."""
    sizes: list[int] = []

    def counted(_self: Queue, part: list[Enqueue], **_more: Any) -> list[int]:
        sizes.append(len(part))
        return list(range(len(part)))

    monkeypatch.setattr(Queue, "enqueue_many", counted)
    long = b'{"hook":"h"' + b" " * LARGE + b"}\n"
    (lite.folder / "many.jsonl").write_bytes((long * 10 + GOOD * 1500) * 2)
    lite.ok("enqueue", "--jsonl", "many.jsonl")
    assert sum(sizes) == 3020
    assert sizes[0] == 7
    assert max(sizes) == 1000


def test_a_file_that_changes_while_it_is_read_tells_what_was_added(
    lite: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that nothing was written."""
    monkeypatch.setattr(enqueue_lines, "WINDOW_BYTES", len(GOOD))
    file = lite.folder / "some.jsonl"
    file.write_bytes(GOOD * 1500)
    add = Queue.enqueue_many

    def and_spoil(self: Queue, part: list[Enqueue], **more: Any) -> Any:
        with file.open("r+b") as stream:
            stream.seek(1490 * len(GOOD))
            stream.write(b"{" * 5)
        if lite.store.counts().get("pending", 0) < 2:
            return add(self, part, **more)
        return [1]

    monkeypatch.setattr(Queue, "enqueue_many", and_spoil)
    done = lite("enqueue", "--jsonl", "some.jsonl")
    assert is_one_line(done, 2)
    assert done.err.startswith("wpbridge: line 1491: it is no JSON object; ")
    assert done.err.endswith(" actions had been added\n")
    assert "nothing was written" not in done.err


def test_each_of_several_files_put_together_may_begin_with_a_mark(lite: Site) -> None:
    told = b"\xef\xbb\xbf" + GOOD + b"\xef\xbb\xbf" + GOOD
    assert lite.ok("enqueue", "--jsonl", "-", input=told) == "added 2 actions\n"


def test_a_key_that_stands_twice_is_refused(lite: Site) -> None:
    """The last one won in silence."""
    with (
        Queue(lite.store.parts, close_store=False) as queue,
        pytest.raises(InputError, match="a name stands twice"),
    ):
        enqueue_lines.check(queue, io.BytesIO(b'{"hook":"a","hook":"b"}'))
