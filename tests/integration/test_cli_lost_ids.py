"""Every command that writes refuses tables that give new rows no ids, and says what mends them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import Site, tables
from factories import insert, make_new
from rows import change
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = """from wpbridge import hook

@hook("h")
def h(): print("ran")
"""
LOST = {
    "claims": "ALTER TABLE wp_actionscheduler_claims MODIFY claim_id bigint unsigned NOT NULL,"
    " DROP PRIMARY KEY",
    "actions": "ALTER TABLE wp_actionscheduler_actions MODIFY action_id bigint unsigned NOT NULL,"
    " DROP PRIMARY KEY",
    "groups": "ALTER TABLE wp_actionscheduler_groups MODIFY group_id bigint unsigned NOT NULL",
}
WRITING = [
    ["claim-and-run", "--handlers", "handlers"],
    ["work", "--handlers", "handlers"],
    ["run", "1", "--handlers", "handlers"],
    ["enqueue", "h", "--group", "new"],
    ["enqueue", "-"],
    ["generate", "h", "now", "--count", "5"],
    ["cancel", "1", "--yes"],
    ["delete", "1", "--yes"],
    ["requeue", "1", "--yes"],
    ["reschedule", "1", "--in", "1h", "--yes"],
    ["pause", "--hook", "other"],
    ["resume", "--all"],
    ["clean", "--yes"],
    ["dedupe", "--yes"],
    ["release-claims", "99"],
    ["migrate", "import", "--input", "queue.jsonl"],
    ["migrate", "archive", "--output", ".", "--yes"],
]


@pytest.fixture
def site(mysql_dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path) -> Site:
    it = Site(mysql_dsn, tmp_path, open_queue(mysql_dsn))
    (tmp_path / "handlers.py").write_text(HANDLERS)
    insert(it.store, make_new(group="g"), *[make_new("twice", interval=60)] * 2)
    (old,) = insert(it.store, make_new("old"))
    change(
        it.store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete',"
        " last_attempt_gmt = '2020-01-01 00:00:00' WHERE action_id = :i",
        i=old,
    )
    change(it.store, "INSERT INTO wp_actionscheduler_claims (claim_id) VALUES (99)")
    assert it("pause", "--hook", "twice").code == 0
    (tmp_path / "queue.jsonl").write_text(it("migrate", "export", "--output", "-").out)
    return it


@pytest.mark.parametrize("short", LOST)
def test_commands_that_write_refuse_and_the_fix_mends(site: Site, short: str) -> None:
    change(site.store, LOST[short])
    before = tables(site.store)
    wrong = []
    # All of them against one table; against the others those that begin with another's rows.
    for words in [["check"], *(WRITING if short == "claims" else WRITING[:4:3])]:
        given = '{"hook": "h", "group": "another"}\n' if words[-1] == "-" else None
        done = (site.process if words[0] == "work" else site)(*words, input=given)
        line = done.err.splitlines()[-1] if done.err else ""
        is_named = f"wp_actionscheduler_{short}" in line and "wpbridge migrate schema fix" in line
        if done.code != 78 or not is_named or "Traceback" in done.err:
            wrong.append((words, done))
    assert not wrong, "\n".join(map(str, wrong))
    assert tables(site.store) == before
    assert site("list").code == site("status").code == 0
    assert site("migrate", "schema", "fix", "--yes").code == 0
    assert site("check").code == 0
    done = site("claim-and-run", "--handlers", "handlers")
    assert done.code == 0, done
    assert "complete" in site.ok("list", "--hook", "h", "--field", "status")
