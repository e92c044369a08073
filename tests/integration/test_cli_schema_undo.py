"""What ``migrate schema fix`` and ``migrate index`` note, and ``--undo``."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_helpers import Site, is_one_line, state_of
from factories import insert, make_new
from rows import change, query
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS, LOGS = "wp_actionscheduler_actions", "wp_actionscheduler_logs"
JOURNAL = "mended.journal"
FIX = ("migrate", "schema", "fix", "--journal", JOURNAL)


@pytest.fixture
def site(mysql_dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path) -> Site:
    it = Site(mysql_dsn, tmp_path, open_queue(mysql_dsn))
    insert(it.store, make_new("h"))
    return it


def steps(site: Site, journal: str = JOURNAL) -> list[dict[str, Any]]:
    lines = (site.folder / journal).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


def definition(site: Site, table: str) -> str:
    return str(query(site.store, f"SHOW CREATE TABLE {table}")[0][1])


def harmed(site: Site) -> dict[str, str]:
    """Definitions of tables with something that can be taken back and something that cannot."""
    for statement in (
        f"ALTER TABLE {ACTIONS} DROP INDEX group_id",
        f"ALTER TABLE {ACTIONS} ALTER claim_id DROP DEFAULT",
        f"ALTER TABLE {ACTIONS} ALTER priority SET DEFAULT 20",
        f"ALTER TABLE {ACTIONS} ALTER last_attempt_gmt SET DEFAULT NULL",
        f"ALTER TABLE {LOGS} ENGINE=MyISAM",
        f"ALTER TABLE {LOGS} DROP INDEX action_id",
    ):
        change(site.store, statement)
    return {table: definition(site, table) for table in (ACTIONS, LOGS)}


def test_definitions_are_noted_before_the_statements(site: Site) -> None:
    before = harmed(site)
    done = site(*FIX, "--yes")
    assert done.code == 0
    assert f"ran 6 statements, noted in {site.folder / JOURNAL}; layout 8" in done.out
    told = steps(site)
    assert {one["table"]: one["before"] for one in told if "before" in one} == before
    changed = set[str]()
    for step, following in itertools.pairwise(told):
        if "before" in step:
            changed.add(step["table"])
        if "begun" in step:
            assert step["table"] in changed
            assert following == {"done": step["begun"]}
    assert len([one for one in told if "done" in one]) == 6


def test_undo_takes_back_indexes_and_defaults_and_tells_what_it_cannot(site: Site) -> None:
    before = harmed(site)
    site(*FIX, "--yes")
    after = {table: definition(site, table) for table in before}
    dry = site(*FIX, "--undo", JOURNAL, "--dry-run")
    assert (dry.code, "would run 5 statements; 1 left" in dry.out) == (1, True)
    assert {table: definition(site, table) for table in before} == after
    done = site(*FIX, "--undo", JOURNAL)
    assert done.code == 1
    assert (
        done.lines[-1]
        == f"ran 5 statements; 1 left: {site.folder / JOURNAL} has the definitions from before"
    )
    assert done.err == f"left as it is: ALTER TABLE {LOGS} ENGINE=InnoDB\n"
    assert definition(site, ACTIONS) == before[ACTIONS]
    assert definition(site, LOGS).replace("InnoDB", "MyISAM") == before[LOGS]
    again = json.loads(site(*FIX, "--undo", JOURNAL, "--format", "json").out)
    assert (again["statements"], len(again["left"])) == ([], 1)
    assert "ran 5 statements" in site(*FIX).out
    assert "ran 5 statements" in site(*FIX, "--undo", JOURNAL).out


def test_undo_leaves_what_somebody_changed_since(site: Site) -> None:
    change(site.store, f"ALTER TABLE {ACTIONS} DROP INDEX group_id")
    change(site.store, f"ALTER TABLE {ACTIONS} ALTER priority SET DEFAULT 20")
    site(*FIX)
    change(site.store, f"ALTER TABLE {ACTIONS} DROP INDEX group_id")
    change(site.store, f"ALTER TABLE {ACTIONS} ALTER priority SET DEFAULT 30")
    assert site.ok(*FIX, "--undo", JOURNAL) == "ran 0 statements\n"
    assert "DEFAULT 30" in definition(site, ACTIONS)


def test_undo_drops_no_index_whose_adding_was_refused(site: Site) -> None:
    change(site.store, f"ALTER TABLE {ACTIONS} DROP INDEX group_id")
    change(site.store, f"ALTER TABLE {ACTIONS} ADD INDEX group_id (attempts)")
    refused = site(*FIX)
    assert is_one_line(refused, 1)
    assert "Duplicate key name" in refused.err
    assert site.ok(*FIX, "--undo", JOURNAL) == "ran 0 statements\n"
    assert query(site.store, f"SHOW INDEX FROM {ACTIONS} WHERE Key_name = 'group_id'")


def test_the_claim_index_is_noted_and_left_to_its_own_drop(site: Site) -> None:
    before = definition(site, ACTIONS)
    site.ok("migrate", "index", "--dry-run")
    assert not state_of(site.folder).exists()
    site.ok("migrate", "index", "--journal", "mine")
    table, begun, done = steps(site, "mine")
    assert table == {"table": ACTIONS, "before": before}
    assert (begun["begun"], "ADD INDEX wpbridge_claim" in begun["begun"]) == (done["done"], True)
    assert site.ok(*FIX, "--undo", "mine") == "ran 0 statements\n"
    site.ok("migrate", "index")
    assert not state_of(site.folder).exists()
    site.ok("migrate", "index", "--drop", "--journal", "mine")
    assert definition(site, ACTIONS) == before


def test_a_journal_that_cannot_be_written_stops_before_anything_is_done(site: Site) -> None:
    before = harmed(site)
    for words in (("migrate", "index"), (*FIX, "--yes")):
        done = site(*words, "--journal", "none/j")
        assert (done.code, done.out) == (2, "")
        assert done.err.endswith(
            f"wpbridge: journal {site.folder}/none/j: No such file or directory\n"
        )
    (site.folder / "notes").write_text("somebody's", "utf-8")
    assert is_one_line(site("migrate", "index", "--journal", "notes"), 2)
    assert {table: definition(site, table) for table in before} == before


@pytest.mark.parametrize("more", [("--undo", "none"), ("--undo", "mine", "--sql")])
def test_undo_refuses_what_is_no_journal(lite: Site, more: tuple[str, ...]) -> None:
    assert is_one_line(lite(*FIX, *more), 2)


def test_undo_refuses_the_journal_of_another_prefix(lite: Site) -> None:
    change(lite.store, f'DROP INDEX "{ACTIONS}__group_id"')
    lite.ok(*FIX)
    assert lite("init", "--with-tables", "--table-prefix", "x_").code == 0
    done = lite(*FIX, "--undo", JOURNAL, "--table-prefix", "x_")
    assert is_one_line(done, 2)
    assert "is of the site" in done.err


def test_sqlite_has_its_journal_and_its_undo(lite: Site) -> None:
    index = f"{ACTIONS}__group_id"
    change(lite.store, f'DROP INDEX "{index}"')
    assert "ran 1 statement, noted in" in lite.ok(*FIX)
    before = steps(lite)[0]["before"]
    assert before.startswith(f'CREATE TABLE "{ACTIONS}"')
    assert f"{ACTIONS}__args" in before
    assert index not in before
    assert lite.ok(*FIX, "--undo", JOURNAL).splitlines() == [
        f'ran DROP INDEX "{index}"',
        "ran 1 statement",
    ]
    assert lite("migrate", "schema", "verify").code == 1


def test_each_queue_has_a_journal_of_its_own_where_none_is_named(lite: Site) -> None:
    assert lite("init", "--with-tables", "--table-prefix", "wp_2_").code == 0
    for prefix in ("wp_", "wp_2_"):
        lite.ok("migrate", "index", "--table-prefix", prefix)
    assert sorted(file.name for file in state_of(lite.folder).glob("*.journal")) == [
        "wpbridge-schema-lite-wp.journal",
        "wpbridge-schema-lite-wp_2.journal",
    ]
