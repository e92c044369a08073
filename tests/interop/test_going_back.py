"""After `uninstall` the real plugin goes on with the queue, on WP-Cron and by WP-CLI."""

import os
from pathlib import Path

import pytest

from both_sides import BothSides
from wpbridge.action import UPKEEP_HOOKS
from wpbridge.installing import written
from wpbridge.plugin.companion import FILE_NAME
from wpbridge.plugin.own_hooks import SIGN

TABLES = ("actions", "claims", "groups", "logs")
SIGNED = f"SELECT option_value FROM {{options}} WHERE option_name = '{SIGN}'"


@pytest.fixture(autouse=True)
def _nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has this machine start wpbridge is no part of a test."""
    monkeypatch.setattr(written, "UNITS", Path("/nowhere"))
    monkeypatch.setattr(written, "CRONTABS", ())


def dump(both: BothSides) -> list[object]:
    """The plugin's tables, with their definitions."""
    names = [f"{{{name}}}" for name in TABLES]
    return [
        (both.rows(f"SHOW CREATE TABLE {name}"), both.rows(f"SELECT * FROM {name}"))
        for name in names
    ]


def load_a_page(both: BothSides) -> None:
    both.ask("home_url")


def seed(both: BothSides) -> None:
    """Actions of every kind that the plugin itself writes."""
    both.php(
        ["as_enqueue_async_action", "t_noop", [1], "shop"],
        ["as_schedule_single_action", 1_000_000_000, "t_noop", [2], "shop"],
        ["as_schedule_recurring_action", 4_000_000_000, 3600, "t_noop", [3], "shop"],
        ["as_schedule_cron_action", 4_000_000_000, "0 3 * * *", "t_noop", [4], ""],
    )


def test_a_site_on_which_nothing_ran_is_left_as_it_was(both: BothSides) -> None:
    seed(both)
    load_a_page(both)
    before = dump(both)
    both.wpbridge("init")
    both.wpbridge("wp", "install-plugin", "--owns-site")
    load_a_page(both)
    assert both.rows(SIGNED) != []
    both.wpbridge("pause", "--all", "--reason", "not yet")
    both.wpbridge("keys", "add", "shop", "--allow", "read")
    both.wpbridge("uninstall", "--yes")
    assert dump(both) == before
    assert both.rows(SIGNED) == []
    assert not (both.folder / "wp-content" / "mu-plugins" / FILE_NAME).exists()
    assert both.rows("SHOW TABLES LIKE 'wp_wpbridge%'") == []


def test_the_plugin_goes_on_where_wpbridge_has_run(both: BothSides, tmp_path: Path) -> None:
    seed(both)
    (tmp_path / "acts.py").write_text("from wpbridge import hook\n@hook('py')\ndef py(*_): pass\n")
    (tmp_path / "wpbridge.toml").write_text("")
    both.wpbridge("init")
    both.wpbridge("wp", "install-plugin")
    both.wpbridge("enqueue", "py", "--args", "[1]", "--key", "k")
    load_a_page(both)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        both.wpbridge("claim-and-run", "--handlers", "acts")
    done = both.rows("SELECT status, claim_id FROM {actions} WHERE hook = 'py'")
    assert [status for status, _ in done] == ["complete"]
    # What waits for others, and what only wpbridge's own Python would run.
    both.wpbridge("enqueue", "t_noop", "--args", "[5]", "--in", "1h")
    [[last]] = both.rows("SELECT MAX(action_id) FROM {actions}")
    both.wpbridge("enqueue", "t_noop", "--args", "[6]", "--after", str(last))
    both.wpbridge("enqueue", "wpbridge_callback", "--group", "wpbridge", "--args", '{"job": "x"}')
    both.wpbridge("uninstall", "--yes")
    hooks = {hook for (hook,) in both.rows("SELECT DISTINCT hook FROM {actions}")}
    assert hooks - UPKEEP_HOOKS == {"t_noop", "py"}
    undated = "SELECT 1 FROM {actions} WHERE status = 'pending' AND scheduled_date_gmt IS NULL"
    assert both.rows(undated) == []
    assert both.rows("SELECT * FROM {claims}") == []
    # The plugin's own runner, as WP-Cron starts it.
    both.ask("do_action", "action_scheduler_run_queue", "WP Cron")
    due = "SELECT status FROM {actions} WHERE hook = 't_noop' AND args IN ('[1]', '[2]')"
    assert both.rows(due) == [("complete",), ("complete",)]
    logs = "SELECT message FROM {logs} WHERE message LIKE 'action complete via %%' ORDER BY log_id"
    assert ("action complete via WP Cron",) in both.rows(logs.replace("%%", "%"))


def test_wp_cli_runs_what_a_dead_runner_had_in_hand(both: BothSides) -> None:
    if not os.environ.get("WPBRIDGE_TEST_WP"):
        pytest.skip("WPBRIDGE_TEST_WP does not name a WP-CLI")
    seed(both)
    both.wpbridge("init")
    both.change("INSERT INTO {claims} (claim_id, date_created_gmt) VALUES (77, UTC_TIMESTAMP())")
    both.change("UPDATE {actions} SET claim_id = 77 WHERE hook = 't_noop' AND args = '[1]'")
    both.change(
        "INSERT INTO wp_wpbridge_runners (host, boot, pid, pid_started, version, started_gmt,"
        " beat_gmt, claims, once) VALUES ('gone', 'b', 1, '1', '1', '2020-01-01', '2020-01-01',"
        " '77', '')"
    )
    told = both.wpbridge("uninstall")
    assert "the claims of 1 dead runner, put back" in told
    [done] = both.wp(["run", "--force"])
    assert done.code == 0, done
    due = "SELECT status FROM {actions} WHERE hook = 't_noop' AND args IN ('[1]', '[2]')"
    assert both.rows(due) == [("complete",), ("complete",)]
