"""Imports and copies that are killed at any moment, and called again: each action exactly once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import warm
from factories import NOW, insert, make_new
from rows import query
from wpbridge.migrate.transfer import files
from wpbridge.migrate.transfer.exporting import lines_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

SIZES = [2_000, pytest.param(10_000, marks=pytest.mark.long)]
"""Actions: a larger queue has more moments to be killed at."""
KILLS = 3


@pytest.fixture(params=SIZES)
def source(
    request: pytest.FixtureRequest, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> RunnerStore:
    """A queue of actions that are all different, one of a hundred awaited, with groups and logs."""
    store = open_queue(f"sqlite:///{tmp_path / 'source.db'}")
    size = int(request.param)
    ids = insert(store, *[make_new("h", args=(n,), group=f"g{n % 7}") for n in range(size)])
    queue = Queue(store.parts)
    for place in range(0, size, 100):
        queue.enqueue(Enqueue(hook="h", args=["waits", place], after=[ids[place]]))
    return store


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def start(*words: str) -> subprocess.Popen[bytes]:
    quiet = ("--quiet",) if words[0] == "export" else ("--quiet", "--yes")
    return warm.Popen([sys.executable, "-m", "wpbridge", "migrate", *words, *quiet])


def count(store: RunnerStore) -> int:
    return int(str(query(store, "SELECT COUNT(*) FROM wp_actionscheduler_actions")[0][0]))


def kill_in_the_middle(source: RunnerStore, target: RunnerStore, *words: str) -> None:
    """Kill it once so many more rows are there, or when it was faster: any moment will do."""
    before = count(target)
    wanted = before + random.randint(0, max(0, count(source) - before) // 2)  # noqa: S311 - a moment
    process = start(*words)
    while process.poll() is None:
        if count(target) >= wanted:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)  # The processor is the process's.
    assert process.wait() in (0, -signal.SIGKILL)


def check(source: RunnerStore, target: RunnerStore) -> None:
    told = [
        [
            tuple(row)
            for row in query(
                store,
                "SELECT a.hook, a.args, g.slug, a.status, a.scheduled_date_gmt, COUNT(l.log_id)"
                " FROM wp_actionscheduler_actions a"
                " LEFT JOIN wp_actionscheduler_groups g ON g.group_id = a.group_id"
                " LEFT JOIN wp_actionscheduler_logs l ON l.action_id = a.action_id"
                " GROUP BY a.action_id, a.hook, a.args, g.slug, a.status, a.scheduled_date_gmt"
                " ORDER BY a.action_id",
            )
        ]
        for store in (source, target)
    ]
    assert told[1] == told[0]
    waits = [
        sorted(
            tuple(row)
            for row in query(
                store,
                "SELECT a.args, b.args, w.on_failed FROM wp_wpbridge_waits w"
                " JOIN wp_actionscheduler_actions a ON a.action_id = w.action_id"
                " JOIN wp_actionscheduler_actions b ON b.action_id = w.after_id",
            )
        )
        for store in (source, target)
    ]
    assert waits[1] == waits[0]
    assert len(waits[0]) * 101 == count(source)
    for table in ("actions", "logs"):
        assert (
            len(
                {
                    str(query(store, f"SELECT COUNT(*) FROM wp_actionscheduler_{table}")[0][0])
                    for store in (source, target)
                }
            )
            == 1
        )
    slugs = query(target, "SELECT slug FROM wp_actionscheduler_groups ORDER BY slug")
    assert [str(row[0]) for row in slugs] == ["", *(f"g{n}" for n in range(7))]


def exported(source: RunnerStore, folder: Path) -> Path:
    file = folder / "queue.jsonl"
    with file.open("wb") as stream:
        files.write(lines_of(source.parts, Query(), now=NOW), stream)
    return file


def test_an_import_that_is_killed_goes_on_where_it_was(
    source: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    target = open_queue(dsn)
    file = exported(source, tmp_path)
    words = ("import", "--dsn", dsn, "--input", str(file))
    for _ in range(KILLS):
        kill_in_the_middle(source, target, *words)
    assert start(*words).wait() == 0
    check(source, target)
    assert start(*words).wait() == 0
    check(source, target)


def test_all_of_an_import_that_was_killed_is_taken_back(
    source: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    """Also what was committed and not answered for; and the undo is killed, too."""
    target = open_queue(dsn)
    file = exported(source, tmp_path)
    words = ("import", "--dsn", dsn, "--input", str(file), "--journal", "j")
    for _ in range(KILLS):
        kill_in_the_middle(source, target, *words)
    if random.random() < 0.5:  # noqa: S311 - or stopped in the middle for good
        assert start(*words).wait() == 0
    undo = ("import", "--dsn", dsn, "--undo", "j")
    there = count(target)
    process = start(*undo)
    while process.poll() is None:
        if count(target) < there:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)  # The processor is the process's.
    assert process.wait() in (0, -signal.SIGKILL)
    assert start(*undo).wait() == 0
    for table in (
        "actionscheduler_actions",
        "actionscheduler_logs",
        "wpbridge_keys",
        "wpbridge_waits",
    ):
        assert query(target, f"SELECT COUNT(*) FROM wp_{table}")[0][0] == 0
    assert start(*words).wait() == 0
    check(source, target)


def test_a_copy_that_is_killed_goes_on_where_it_was(
    source: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    target = open_queue(dsn)
    words = ("copy", "--dsn", f"sqlite:///{source.session.address.path}", "--to-dsn", dsn)
    for _ in range(KILLS):
        kill_in_the_middle(source, target, *words)
    assert start(*words).wait() == 0
    check(source, target)


def test_two_imports_at_once_add_each_action_once(
    source: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    target = open_queue(dsn)
    file = exported(source, tmp_path)
    words = ("import", "--dsn", dsn, "--input", str(file))
    both = [start(*words), start(*words, "--journal", "another")]
    assert [process.wait() for process in both] == [0, 0]
    rows = query(target, "SELECT args, COUNT(*) FROM wp_actionscheduler_actions GROUP BY args")
    assert {int(str(row[1])) for row in rows} == {1}
    assert len(rows) == count(source)


def test_an_export_that_is_killed_leaves_the_file_that_was_there(
    source: RunnerStore, tmp_path: Path
) -> None:
    file = tmp_path / "out" / "queue.jsonl.gz"
    file.parent.mkdir()
    file.write_bytes(b"the last one")
    dsn = f"sqlite:///{source.session.address.path}"
    process = start("export", "--dsn", dsn, "--output", str(file))
    while process.poll() is None and len(list(file.parent.iterdir())) == 1:
        time.sleep(0.002)
    # It may have ended by itself, and then its number is another process's.
    process.kill()
    if process.wait() == -signal.SIGKILL:
        assert file.read_bytes() == b"the last one"
    assert start("export", "--dsn", dsn, "--output", str(file)).wait() == 0
    with files.source(str(file)) as stream:
        lines = list(files.read(stream))
    assert lines[-1].value["actions"] == count(source) == len(lines) - 2
