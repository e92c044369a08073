"""A server takes no statement over its max_allowed_packet, and cuts the connection of who sends it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli_helpers import Site
from conftest import execute
from factories import NOW, insert, make_new, whole
from rows import query
from servers import MariaDB
from wpbridge.errors import StoreError, Unfit
from wpbridge.outcome import LogLine
from wpbridge.store.bulk.rows import WholeRow
from wpbridge.store.database.connection import text
from wpbridge.store.running.runner_store import RunnerStore

LARGE = 64 << 10
"""As small as a server of this century may be set; the statement's own words count too."""


@pytest.fixture
def small(mariadb: MariaDB) -> Iterator[None]:
    execute(mariadb, f"SET GLOBAL max_allowed_packet = {LARGE}")
    yield
    execute(mariadb, f"SET GLOBAL max_allowed_packet = {16 << 20}")


@pytest.fixture
def store(small: None, mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    del small
    return open_queue(mysql_dsn)


QUOTES = '"' * 3000


def test_many_actions_are_sent_in_portions(store: RunnerStore) -> None:
    # Each is escaped twice over: once in JSON, once in SQL.
    ids = insert(store, *[make_new(args=(QUOTES, n)) for n in range(40)])
    assert len(set(ids)) == 40
    assert [
        int(str(row[0]))
        for row in query(store, "SELECT COUNT(*) FROM wp_actionscheduler_logs GROUP BY action_id")
    ] == [1] * 40


def test_many_small_ones_too(store: RunnerStore) -> None:
    assert len(insert(store, *[make_new() for _ in range(1200)])) == 1200


@pytest.mark.parametrize(
    "message", ["x" * 70_000, "'" * 70_000, "\u20ac" * 30_000, "\U0001f600" * 20_000]
)
def test_a_long_message_is_cut_and_kept(store: RunnerStore, message: str) -> None:
    [one] = insert(store, make_new())
    store.log([(one, LogLine(message=message, at=NOW))] * 3)
    told = query(store, "SELECT message FROM wp_actionscheduler_logs WHERE action_id = :id", id=one)
    kept = {str(row[0]) for row in told} - {"action created"}
    assert len(told) == 4
    assert len(kept) == 1
    assert message.startswith(kept.pop())


def test_actions_end_whatever_they_say(store: RunnerStore, tmp_path: Path, mysql_dsn: str) -> None:
    (tmp_path / "hooks.py").write_text(
        "from wpbridge import hook, Context\n"
        "@hook('fails')\ndef fails(*_): raise ValueError('\\'' * 2_000_000)\n"
        "@hook('says')\ndef says(*_, context: Context):\n"
        "    print('x' * 2_000_000)\n"
        "    for _ in range(5): context.log('\u20ac' * 100_000)\n"
    )
    hooks = [
        make_new(hook, args=(n,), interval=60) for n in range(15) for hook in ("fails", "says")
    ]
    insert(store, *hooks)
    done = Site(mysql_dsn, tmp_path, store)("claim-and-run", "--handlers", "hooks", "--quiet")
    assert done.code == 0, done
    ended = "SELECT hook, status, COUNT(*) FROM wp_actionscheduler_actions GROUP BY hook, status"
    found = {(hook, status): count for hook, status, count in query(store, ended)}
    assert found["fails", "failed"] == found["says", "complete"] == 15
    assert found["says", "pending"] == 15


def test_a_statement_that_is_too_long_is_not_sent(store: RunnerStore) -> None:
    for told in ("x" * LARGE, "'" * (LARGE // 2), "\u20ac" * (LARGE // 3)):
        with pytest.raises(Unfit, match="max_allowed_packet"):
            store.session.run(lambda c, t=told: c.execute(text("SELECT :t"), {"t": t}))  # type: ignore[misc]
    # The connection is still the same one, and answers.
    assert query(store, "SELECT 1") == [(1,)]


def test_the_longest_statement_is_sent(store: RunnerStore) -> None:
    told = "x" * (LARGE - len("SELECT ''") - 2)
    assert query(store, f"SELECT '{told}'") == [(told,)]
    with pytest.raises(StoreError, match="max_allowed_packet"):
        query(store, f"SELECT '{told}y'")


def test_an_import_sets_aside_what_no_statement_can_hold(store: RunnerStore) -> None:
    def row(number: int, schedule: str) -> tuple[str, WholeRow]:
        return f"{number:064d}", whole(id=number, schedule=schedule, group="")

    rows = [row(n, "x" * LARGE if n == 700 else "'" * (n % 200)) for n in range(1500)]
    fates = store.parts.bulk.add(rows, unique=False, now=NOW)
    assert [n for n, fate in enumerate(fates) if not fate.is_new] == [700]
    assert "max_allowed_packet" in fates[700].why


def test_lines_of_json_are_added_in_portions(
    store: RunnerStore, tmp_path: Path, mysql_dsn: str
) -> None:
    lines = tmp_path / "many.jsonl"
    lines.write_text(
        "".join(json.dumps({"hook": "h", "args": ["x" * 2000, n]}) + "\n" for n in range(100))
    )
    done = Site(mysql_dsn, tmp_path, store)("enqueue", "--jsonl", str(lines))
    assert (done.code, done.out) == (0, "added 100 actions\n"), done


def test_a_line_that_no_statement_can_hold_is_named(
    mariadb: MariaDB, store: RunnerStore, tmp_path: Path, mysql_dsn: str
) -> None:
    execute(mariadb, "SET GLOBAL max_allowed_packet = 16384")
    lines = tmp_path / "one.jsonl"
    large = json.dumps({"hook": "h", "args": ['"' * 3900]})
    lines.write_text(json.dumps({"hook": "h"}) + "\n" + large)
    done = Site(mysql_dsn, tmp_path, store)("enqueue", "--jsonl", str(lines))
    assert done.code == 2, done
    assert "line 2: the action has" in done.err
    assert "max_allowed_packet" in done.err
    assert query(store, "SELECT COUNT(*) FROM wp_actionscheduler_actions") == [(0,)]
