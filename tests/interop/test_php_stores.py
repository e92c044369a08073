"""Which stores a worker may serve, and the plugin's own upkeep: with the real plugin."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from php_site import PhpSite
from rows import change, query
from wordpress import in_wordpress

CUSTOM = """<?php
add_filter( 'action_scheduler_store_class', function () {
    require_once __DIR__ . '/t-store.inc';
    return 'T_Custom_Store';
}, 101 );
"""
UPKEEP = "action_scheduler_run_recurring_actions_schedule_hook"


@pytest.fixture
def with_plugin(wordpress: PhpSite) -> PhpSite:
    """The site, when the real plugin is active in it."""
    if not wordpress.has_plugin:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    return wordpress


@pytest.fixture
def custom_store(with_plugin: PhpSite) -> Iterator[PhpSite]:
    """The site with a store class of somebody's own."""
    folder = with_plugin.folder / "wp-content" / "mu-plugins"
    (folder / "t-store.inc").write_text(
        "<?php class T_Custom_Store extends ActionScheduler_DBStore {}"
    )
    (folder / "t-store.php").write_text(CUSTOM)
    yield with_plugin
    for name in ("t-store.inc", "t-store.php"):
        (folder / name).unlink()


def command(site: PhpSite, *words: str) -> subprocess.CompletedProcess[str]:
    given = ["--php", f"--path={site.folder}", f"--wp={' '.join(site.wp)}"]
    return subprocess.run(
        [sys.executable, "-m", "wpbridge", words[0], *given, *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=site.folder,
    )


def test_a_custom_store_is_refused(custom_store: PhpSite) -> None:
    action_id = custom_store.enqueue("t_noop")
    runner, store = custom_store.runner()
    totals = runner.run()
    store.close()
    assert (totals.held, totals.complete) == (1, 0)
    assert "the store T_Custom_Store" in (runner.trouble() or "")
    assert custom_store.state(action_id) == ("pending", 0, 0)
    told = command(custom_store, "check")
    assert told.returncode == 78
    assert "the store T_Custom_Store" in told.stderr


def test_the_hybrid_store_is_served_and_noted(with_plugin: PhpSite) -> None:
    option = "action_scheduler_migration_status"
    in_wordpress(with_plugin.folder, f"delete_option( '{option}' );")
    try:
        told = command(with_plugin, "check", "--format=json")
        with_plugin.enqueue("t_noop")
        totals = with_plugin.run()
    finally:
        in_wordpress(with_plugin.folder, f"update_option( '{option}', 'complete' );")
    facts = json.loads(told.stdout)
    assert told.returncode == 0
    assert facts["php"]["store"] == "ActionScheduler_HybridStore"
    assert any("hybrid store" in note for note in facts["notes"])
    assert totals.complete == 1


def test_upkeep_is_left_alone_unless_the_site_is_ours(with_plugin: PhpSite) -> None:
    with_plugin.needs_release((3, 9, 3), "the daily action")
    with_plugin.enqueue(UPKEEP)
    assert with_plugin.run().claimed == 0
    totals = with_plugin.run(owns_site=True)
    assert (totals.complete, totals.held) == (1, 0)
    store = with_plugin.open()
    logs = query(
        store,
        "SELECT l.message FROM wp_actionscheduler_logs l JOIN wp_actionscheduler_actions a"
        " USING (action_id) WHERE a.hook = :hook AND a.status = 'complete' ORDER BY l.log_id",
        hook=UPKEEP,
    )
    change(store, "DELETE FROM wp_actionscheduler_actions WHERE hook = :hook", hook=UPKEEP)
    store.close()
    assert [str(row[0]) for row in logs] == [
        "action created",
        "action started via wpbridge",
        "action complete via wpbridge",
    ]


def test_native_books_need_the_plugin(wordpress: PhpSite) -> None:
    if wordpress.has_plugin:
        pytest.skip("the plugin is active here")
    action_id = wordpress.enqueue("t_noop")
    runner, store = wordpress.runner(php_books="native")
    assert runner.run().held == 1
    store.close()
    assert "Action Scheduler is not active" in (runner.trouble() or "")
    assert wordpress.state(action_id) == ("pending", 0, 0)
