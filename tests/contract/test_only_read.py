"""Tables that are only read: nothing by hand, by a program or by upkeep changes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import Site, is_one_line
from factories import insert, make_new
from rows import change, query
from wpbridge.store.running.runner_store import RunnerStore

COMMANDS = [
    ("enqueue", "h"),
    ("cancel", "1"),
    ("cancel", "--hook", "h", "--yes"),
    ("delete", "2", "--yes"),
    ("reschedule", "1", "--at", "now"),
    ("requeue", "2"),
    ("release-claims", "7"),
    ("release-claims", "--empty"),
    ("clean", "--status", "failed", "--yes"),
    ("dedupe", "--yes"),
]


@pytest.fixture
def site(mysql_dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> Site:
    """Pending actions, a failed one, two chains of one kind, and claims that nobody holds."""
    store = open_queue(mysql_dsn)
    twins = [make_new("twin", interval=60) for _ in range(2)]
    insert(store, make_new("h"), make_new("h"), make_new("h"), *twins)
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'failed', last_attempt_gmt = '2020-01-01'"
        " WHERE action_id = 2",
    )
    change(store, "INSERT INTO wp_actionscheduler_claims (claim_id) VALUES (7), (8)")
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET claim_id = 7, last_attempt_gmt = '2020-01-01'"
        " WHERE action_id = 3",
    )
    return Site(mysql_dsn, tmp_path, store)


def everything(store: RunnerStore) -> list[object]:
    tables = ("actions", "claims", "groups", "logs")
    return [query(store, f"SELECT * FROM wp_actionscheduler_{name}") for name in tables]


@pytest.mark.parametrize("engine", ["MyISAM", "Aria"])
def test_tables_without_transactions_are_only_read(site: Site, engine: str) -> None:
    change(site.store, f"ALTER TABLE wp_actionscheduler_actions ENGINE={engine}")
    before = everything(site.store)
    for command in COMMANDS:
        done = site(*command)
        assert is_one_line(done, 78), (command, done)
        assert "has no transactions" in done.err
    assert everything(site.store) == before
    assert len(site.ok("list", "--format", "ids").split()) == 5
    assert site("cancel", "1", "--dry-run").code == 0


MORE = [
    ("generate", "h", "now"),
    ("run", "1"),
    ("claim-and-run",),
    ("pause", "--hook", "h"),
    ("migrate", "import", "--input", "moved.jsonl", "--yes"),
    ("migrate", "archive", "--older-than", "1d", "--output", "old.jsonl.gz", "--yes"),
    ("enqueue", "--jsonl", "many.jsonl"),
]


@pytest.mark.parametrize("table", ["actions", "logs"])
def test_no_other_command_changes_them_either(site: Site, table: str, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text("from wpbridge import hook\n@hook('h')\ndef h(): ...\n")
    head = '{"wpbridge":"actions","version":1,"origin":"x"}'
    line = '{"id":1,"hook":"h","status":"pending","args":[],"scheduled":null}'
    (tmp_path / "moved.jsonl").write_text(f"{head}\n{line}\n")
    (tmp_path / "many.jsonl").write_text('{"hook":"h"}\n')
    change(site.store, f"ALTER TABLE wp_actionscheduler_{table} ENGINE=MyISAM")
    before = everything(site.store)
    for command in MORE:
        takes_handlers = command[0] in ("run", "claim-and-run")
        done = site(*command, *(["--handlers", "hooks"] if takes_handlers else []))
        assert is_one_line(done, 78), (command, done)
        assert everything(site.store) == before, command


def test_a_schema_that_is_newer_is_only_read(site: Site) -> None:
    change(site.store, "CREATE TABLE wp_options (option_name varchar(191), option_value text)")
    change(
        site.store,
        "INSERT INTO wp_options VALUES ('schema-ActionScheduler_StoreSchema', '99.1')",
    )
    before = everything(site.store)
    for command in COMMANDS:
        done = site(*command)
        assert is_one_line(done, 78), (command, done)
        assert "upgrade wpbridge" in done.err
    assert everything(site.store) == before
