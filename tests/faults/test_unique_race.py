"""Processes that race to add the same unique action: one of them is it, however they write."""

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

import warm
from rows import query
from wpbridge.store.running.runner_store import RunnerStore

ROUNDS = 12
"""Each with hooks, groups and keys that nobody has seen before."""

WORKER = """
import json, random, sqlite3, sys
import pymysql
from wpbridge.site.database import DatabaseAddress
from wpbridge.queue.enqueue import Enqueue
from wpbridge.errors import Contention
from wpbridge.queue.facade import Queue
from wpbridge.store.connect import open_store

dsn, way, unique_by = sys.argv[1:]
store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
queue = Queue(store, unique_by=unique_by)
queue.count()
place, _, socket = dsn.partition("?unix_socket=")
if way == "borrowed" and dsn.startswith("mysql"):
    connection = pymysql.connect(
        unix_socket=socket, user="root", database=place.rpartition("/")[2], charset="utf8mb4"
    )
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
elif way == "borrowed":
    connection = sqlite3.connect(dsn.removeprefix("sqlite:///"), timeout=30)


def borrowed(new):
    try:
        if dsn.startswith("mysql"):
            with connection.cursor() as cursor:
                # Its view of the tables is older than all that the others do meanwhile.
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        made = queue.enqueue(new, connection=connection)
        connection.commit()
        return made
    except Contention:
        connection.rollback()
        raise


def add(new):
    while True:
        try:
            return borrowed(new) if way == "borrowed" else queue.enqueue(new)
        except Contention:
            pass


print("ready", flush=True)
for line in sys.stdin:
    news = [Enqueue(**values) for values in json.loads(line)]
    random.shuffle(news)
    print(json.dumps([i for i in map(add, news) if i is not None]), flush=True)
store.close()
"""


class Worker:
    """One process, told in lines what to add."""

    def __init__(self, script: Path, *args: str) -> None:
        self._process = warm.Popen(
            [sys.executable, str(script), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return str(self._process.stdout.readline()).strip()

    def end(self) -> int:
        """Its exit code; no more is told."""
        self._process.communicate(timeout=300)
        return int(self._process.returncode)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def round_of(n: int) -> list[dict[str, object]]:
    """What all of them add at once."""
    unique: list[dict[str, object]] = [
        {"hook": hook, "args": args, "group": group, "unique": True}
        for hook in (f"hook{n}", f"other{n}")
        for group in ("", f"group{n}")
        for args in ([1], [2])
    ]
    return [*unique, {"hook": "keyed", "key": f"key{n}", "group": f"group{n}"}]


@pytest.mark.parametrize("unique_by", ["group", "args"])
def test_of_many_only_one_is_added(
    dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore], unique_by: str
) -> None:
    store = open_queue(dsn)
    ways = ["own", "borrowed", "own", "borrowed"]
    script = tmp_path / "racing.py"
    script.write_text(WORKER, encoding="utf-8")
    made: list[int] = []
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(script, dsn, way, unique_by)) for way in ways]
        assert [worker.answer() for worker in workers] == ["ready"] * len(ways)
        for n in range(ROUNDS):
            line = json.dumps(round_of(n))
            for worker in workers:
                worker.tell(line)
            for worker in workers:
                made += json.loads(worker.answer())
        assert [worker.end() for worker in workers] == [0] * len(ways)
    same = "hook, group_id" + (", args" if unique_by == "args" else "")
    found = query(
        store,
        f"SELECT {same}, COUNT(*) FROM wp_actionscheduler_actions WHERE hook <> 'keyed'"
        f" GROUP BY {same}",
    )
    assert len(found) == ROUNDS * (8 if unique_by == "args" else 4)
    assert {row[-1] for row in found} == {1}
    counts = Counter(made)
    keyed = {
        int(str(r[0]))
        for r in query(
            store, "SELECT action_id FROM wp_actionscheduler_actions WHERE hook = 'keyed'"
        )
    }
    assert len(keyed) == ROUNDS
    assert {counts[i] for i in keyed} == {len(ways)}, "each was told the same id"
    assert {count for i, count in counts.items() if i not in keyed} == {1}
    assert len(counts) == len(found) + ROUNDS, "who was told an id added it"
    slugs = query(store, "SELECT slug, COUNT(*) FROM wp_actionscheduler_groups GROUP BY slug")
    assert {str(row[0]) for row in slugs} == {"", *(f"group{n}" for n in range(ROUNDS))}
    assert {row[1] for row in slugs} == {1}
    logs = query(store, "SELECT action_id, message FROM wp_actionscheduler_logs")
    assert sorted(int(str(row[0])) for row in logs) == sorted(counts)
