"""Posts that were moved and put back are what the plugin's own class wrote, and it runs them.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN).
"""

import json
from collections.abc import Iterator

import pytest

from both_sides import BothSides
from legacy_store import snapshot

MARK = "action_scheduler_migration_status"
DEMARCATION = "action_scheduler_hybrid_store_demarkation"


@pytest.fixture
def hybrid(both: BothSides) -> Iterator[BothSides]:
    """A site whose migration was never completed: its plugin looks at posts, too."""
    which = f"WHERE option_name IN ('{MARK}', '{DEMARCATION}')"
    had = both.rows(f"SELECT option_name, option_value FROM {{options}} {which}")
    insert = "INSERT INTO {options} (option_name, option_value) VALUES (:n, :v)"
    both.change(f"DELETE FROM {{options}} {which}")
    both.change(insert, n=DEMARCATION, v="1000")
    yield both
    both.change(f"DELETE FROM {{options}} {which}")
    for name, value in had:
        both.change(insert, n=name, v=value)
    both.change("DELETE FROM wp_posts WHERE post_type = 'scheduled-action'")


def test_the_plugin_finds_and_runs_what_was_put_back(hybrid: BothSides) -> None:
    made = hybrid.ask("q_post_store")
    hybrid.change("UPDATE wp_posts SET post_title = 't_noop' WHERE ID = :i", i=made["p_single"])
    before = snapshot(hybrid.store)
    journal = hybrid.folder.with_name(f"{hybrid.folder.name}.undo.journal")
    moved = json.loads(
        hybrid.wpbridge("migrate", "post-store", f"--journal={journal}", "--format=json", "--yes")
    )
    assert (moved["complete"], snapshot(hybrid.store) == before) == (True, False)
    told = hybrid.wpbridge("migrate", "post-store", f"--undo={journal}", "--format=json", "--yes")
    done = json.loads(told)
    assert (done["restored"], done["reopened"], done["problems"]) == (len(made), True, [])
    assert snapshot(hybrid.store) == before
    # Its hybrid store answers for the post by the post's own id.
    found = hybrid.ask("q_action", made["p_single"])
    assert (found["hook"], found["status"], found["group"]) == ("t_noop", "pending", "old group")
    assert hybrid.ask("q_run") > 0
    ran = hybrid.rows("SELECT status FROM {actions} WHERE hook = 't_noop'")
    assert ran == [("complete",)]
    assert not hybrid.rows("SELECT 1 FROM wp_posts WHERE ID = :i", i=made["p_single"])
