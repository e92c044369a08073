"""A post store that the plugin's own class wrote, moved by wpbridge, read back by the plugin.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN).
"""

import json

from both_sides import BothSides


def test_the_plugin_reads_what_was_moved(both: BothSides) -> None:
    made = both.ask("q_post_store")
    done = json.loads(both.wpbridge(*_move(both), "--format", "json"))
    assert (done["complete"], done["left"], done["problems"]) == (True, {}, [])
    assert done["moved"] == {"pending": 4, "canceled": 1}
    ids = {
        str(hook): int(i)
        for i, hook in both.rows(
            "SELECT action_id, hook FROM {actions} WHERE hook LIKE 'p|_%' ESCAPE '|'"
        )
    }
    assert ids.keys() == made.keys()
    told = dict(zip(ids, both.php(*(("q_action", i) for i in ids.values())), strict=True))
    for hook, action in told.items():
        assert (action["hook"], action["group"]) == (hook, "old group")
        assert action["args"] == {"id": 7, "to": ["x"]}
    recurring = {hook for hook, action in told.items() if action["recurrence"] is not None}
    assert recurring == {"p_interval", "p_cron"}
    posts = "SELECT COUNT(*) FROM wp_posts WHERE post_type = 'scheduled-action'"
    assert both.rows(posts) == [(0,)]
    messages = both.rows(
        "SELECT message FROM {logs} WHERE action_id = :i ORDER BY log_id", i=ids["p_single"]
    )
    moved = (
        f"Migrated action with ID {made['p_single']} in ActionScheduler_wpPostStore to ID"
        f" {ids['p_single']} in ActionScheduler_DBStoreMigrator"
    )
    assert [row[0] for row in messages][-2:] == ["action created", moved]


def _move(both: BothSides) -> list[str]:
    """Beside the WordPress folder, whose files the web server hands out."""
    journal = both.folder.with_name(f"{both.folder.name}.post-store.journal")
    journal.unlink(missing_ok=True)
    return ["migrate", "post-store", f"--journal={journal}"]
