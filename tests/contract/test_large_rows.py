"""Rows and lines of many megabytes: a few at a time are in memory, however many there are."""

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from factories import NOW
from hostile_lines import GOOD, HEAD
from rows import change, query
from stores import make_store
from transfers import add_row, exported, told
from wpbridge.action import ActionId
from wpbridge.errors import InputError
from wpbridge.migrate.transfer import files, importing, lines
from wpbridge.migrate.transfer.importing import Import
from wpbridge.migrate.transfer.wishes import Report, Wishes
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.bulk import reading
from wpbridge.store.bulk.bulk import Bulk
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.schema.text_columns import Column, Texts

LARGE = 1 << 20


def imported(store: RunnerStore, stream: Any) -> Report:
    return Import(store.parts, Wishes(now=NOW), lambda *_: None).run(files.read(stream))


def test_rows_are_read_in_windows_of_bounded_bytes(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WINDOW_BYTES", 250_000)
    for n in range(5):
        add_row(store, hook=f"h{n}", schedule="x" * 100_000)
    add_row(store, hook="larger", schedule="x" * 300_000)
    for n in range(3):
        add_row(store, hook=f"small{n}")
    windows = [
        [row.hook for row in window] for window in store.parts.whole_rows.read(Query(), size=8)
    ]
    assert windows == [
        ["h0", "h1"],
        ["h2", "h3"],
        ["h4"],
        ["larger"],
        ["small0", "small1"],
        ["small2"],
    ]


def test_logs_count_as_well(store: RunnerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WINDOW_BYTES", 100_000)
    for n in range(4):
        add_row(store, hook=f"h{n}")
    change(
        store,
        "INSERT INTO wp_actionscheduler_logs (action_id, message)"
        " SELECT action_id, :message FROM wp_actionscheduler_actions",
        message="x" * 60_000,
    )
    assert [len(window) for window in store.parts.whole_rows.read(Query())] == [1] * 4
    assert [len(window) for window in store.parts.whole_rows.read(Query(), logs=False)] == [4]


def test_ids_are_taken_in_windows_of_bounded_bytes(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WINDOW_BYTES", 250_000)
    for n in (1, 1, 1, 3, 0, 0):
        add_row(store, schedule="x" * 100_000 * n)
    rows = query(store, "SELECT action_id FROM wp_actionscheduler_actions ORDER BY action_id")
    ids = [ActionId(int(str(row[0]))) for row in rows]
    parts = list(store.parts.whole_rows.in_windows(ids))
    assert [len(part) for part in parts] == [2, 1, 1, 2]
    assert [one for part in parts for one in part] == ids


def test_large_rows_come_through_as_they_are(
    store: RunnerStore, open_queue: Callable[[str], RunnerStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WINDOW_BYTES", LARGE)
    monkeypatch.setattr(importing, "BATCH_BYTES", LARGE)
    for n in range(5):
        add_row(store, hook=f"h{n}", schedule="ä" * 300_000)
    before = exported(store)
    other = open_queue("sqlite://")
    report = imported(other, io.BytesIO(before))
    assert (report.added, report.is_good) == (5, True)
    assert told(exported(other)) == told(before)


class Lines(io.RawIOBase):
    """A file of many long lines, made as they are read."""

    def __init__(self, count: int) -> None:
        self._lines = self._made(count)

    @staticmethod
    def _made(count: int) -> Iterator[bytes]:
        yield HEAD % b"x"
        for n in range(1, count + 1):
            logs = [["x" * LARGE, None, None]]
            yield json.dumps({**GOOD, "id": n, "logs": logs}).encode() + b"\n"
        yield json.dumps({"wpbridge": "end", "actions": count}).encode()

    def readline(self, size: int | None = -1, /) -> bytes:
        del size
        return next(self._lines, b"")


def test_an_import_holds_bytes_and_not_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_BYTES", 4 * LARGE)
    most: list[int] = []
    add = Bulk.add

    def watched(self: Bulk, keyed: Sequence[Any], **more: Any) -> Any:
        most.append(len(keyed))
        return add(self, keyed, **more)

    monkeypatch.setattr(Bulk, "add", watched)
    store = make_store(DatabaseAddress.from_dsn("sqlite://"), "wp_")
    tracemalloc.start()
    try:
        report = imported(store, Lines(60))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        store.close()
    assert (report.added, report.is_good) == (60, True)
    # A line's text and its row are both held.
    assert most == [2] * 30
    assert peak < 40 * LARGE


def test_a_log_of_many_megabytes_is_cut_before_it_is_looked_at(store: RunnerStore) -> None:
    """Each of its characters was an object of its own, 200 times its size."""
    data = [["ä" * (2 * LARGE), None, None]]
    line = json.dumps({**GOOD, "id": 1, "logs": data}, ensure_ascii=False).encode()
    tracemalloc.start()
    try:
        imported(store, io.BytesIO(HEAD % b"x" + line))
        assert tracemalloc.get_traced_memory()[1] < 50 * LARGE
    finally:
        tracemalloc.stop()
    length = "SELECT LENGTH(CAST(message AS BINARY)) FROM wp_actionscheduler_logs"
    if store.parts.dialect.name != "mysql":
        length = "SELECT LENGTH(CAST(message AS BLOB)) FROM wp_actionscheduler_logs"
    assert query(store, length)[0][0] == 65_534


@pytest.mark.parametrize("session", ["utf8mb4", "utf8mb3", "latin1", "ascii"])
def test_texts_are_judged_by_their_different_characters(session: str) -> None:
    texts = Texts(session=session, columns={("t", "c"): Column(charset=session, octets=9)})
    connection: Any = None
    tracemalloc.start()
    try:
        why = texts.why_not(connection, ("t", "c"), "x" * (2 * LARGE) + "ab")
        assert "2,097,154 bytes" in why
        assert tracemalloc.get_traced_memory()[1] < 20 * LARGE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("part", [b"[],", b"0,", b'{"a":0},', b'"",'])
def test_a_line_of_too_many_values_is_set_aside_unread(part: bytes) -> None:
    text = b'{"id":1,"args":[' + part * (lines.MOST_VALUES + 1) + b"1]}"
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 1,000,000 values"):
            lines.value_of(text)
        assert tracemalloc.get_traced_memory()[1] < LARGE
    finally:
        tracemalloc.stop()


def test_a_line_without_an_end_is_set_aside_and_the_rest_read(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    with file.open("wb") as stream:
        stream.write(HEAD % b"x")
        stream.seek(3 * files.LONGEST_LINE, 1)
        stream.write(b"\n" + json.dumps({**GOOD, "id": 1}).encode() + b"\n")
    with files.source(str(file)) as source:
        read = list(files.read(source))
    assert [line.why for line in read] == ["", "it is longer than 32 MiB", ""]
    assert read[2].value["id"] == 1
