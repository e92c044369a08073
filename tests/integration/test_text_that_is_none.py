"""SQLite takes any bytes for text: a row with such stops nobody's work and no migration."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_helpers import Site, sqlite_site, state_of
from factories import insert, make_new
from rows import change, query

HANDLERS = """
from wpbridge import hook

@hook("good")
def good(*args):
    pass

@hook("bad")
def bad(*args):
    raise AssertionError("it cannot be read")
"""
BAD = "CAST(x'5b22ff225d' AS TEXT)"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with sqlite_site(tmp_path) as it:
        (tmp_path / "hooks_of_bytes.py").write_text(HANDLERS, "utf-8")
        insert(it.store, make_new("good"), make_new("bad"), make_new("good"))
        change(it.store, f"UPDATE wp_actionscheduler_actions SET args = {BAD} WHERE hook = 'bad'")
        change(it.store, f"UPDATE wp_actionscheduler_logs SET message = {BAD} WHERE action_id = 1")
        yield it


def test_a_run_goes_past_it(site: Site) -> None:
    done = site.process("claim-and-run", "--handlers", "hooks_of_bytes")
    assert done.code == 0, done
    rows = query(site.store, "SELECT hook, status FROM wp_actionscheduler_actions ORDER BY 1, 2")
    assert [tuple(row) for row in rows] == [
        ("bad", "failed"),
        ("good", "complete"),
        ("good", "complete"),
    ]


def test_it_is_listed_and_shown(site: Site) -> None:
    told = [json.loads(line) for line in site.ok("list", "--format", "jsonl").splitlines()]
    assert [one["hook"] for one in told] == ["good", "bad", "good"]
    assert "good" in site.ok("logs", "1") + site.ok("get", "1")


def test_it_is_not_requeued_as_something_else(site: Site) -> None:
    change(site.store, "UPDATE wp_actionscheduler_actions SET status = 'failed'")
    done = site("requeue", "--status", "failed", "--yes")
    assert done.err == "action 2 left as it is: its args are not UTF-8\n"
    assert (
        json.loads(site.ok("list", "--status", "pending", "--format", "json"))[0]["hook"] == "good"
    )


def test_it_is_exported_and_set_aside_by_who_cannot_hold_it(site: Site) -> None:
    site.ok("migrate", "export", "--output", "q")
    site.ok("init", "--with-tables", "--table-prefix", "to_")
    done = site("migrate", "import", "--input", "q", "--table-prefix", "to_")
    side = state_of(site.folder) / "q.rejected.jsonl"
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith(f"imported 2 actions, 1 rejected, see {side}, verified")
    [[log]] = query(site.store, "SELECT message FROM to_actionscheduler_logs WHERE log_id = 1")
    assert log == r'["\udcff"]', "a log row keeps the bytes in writing"
    kept = json.loads(side.read_text("utf-8"))
    assert kept["why"] == "args_columns is no base64 of UTF-8"
    line = json.loads(kept["text"])
    assert base64.b64decode(line["args_raw"]) == b'["\xff"]'


@pytest.mark.timeout(60)
def test_a_hook_that_is_no_text_is_counted(site: Site) -> None:
    """Names were stepped through, and the step after such a hook led to it again, for ever."""
    table = "wp_actionscheduler_actions"
    change(site.store, f"UPDATE {table} SET hook = 'A' WHERE hook = 'good'")
    change(site.store, f"UPDATE {table} SET hook = CAST(x'ff626164' AS TEXT) WHERE hook = 'bad'")
    told = json.loads(site.ok("stats", "--by", "hook", "--format", "json"))
    assert sorted(one["pending"] for one in told) == [1, 2]
