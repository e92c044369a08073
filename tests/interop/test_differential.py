"""The same store, run by the plugin's own runner and by wpbridge in both books: row by row.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN); with WPBRIDGE_TEST_WP its runner is started as
``wp action-scheduler run``, else from PHP.
"""

import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import wordpress_site
from php_site import PhpSite
from rows import change, query
from servers import MariaDB
from wordpress import in_wordpress, worker_command
from wpbridge.action import UPKEEP_HOOKS

TABLES = ("actions", "claims", "groups", "logs")

POPULATE = r"""
$past = time() - 1000;
for ( $i = 0; $i < 30; $i++ ) {
    as_enqueue_async_action( 'd_good', array( $i, 'x' => 1.5 ), $i % 3 ? 'group ' . ( $i % 3 ) : '', false, 5 + $i % 4 );
}
as_schedule_single_action( $past, 'd_good', array( str_repeat( 'long', 100 ) ), 'g' );
as_schedule_single_action( time() + 5000, 'd_good', array( 'not due' ) );
as_schedule_recurring_action( $past, 600, 'd_recurring', array( 'a' => array( 'deep' => (object) array() ) ), 'g' );
as_schedule_recurring_action( $past, '90', 'd_recurring_fails', array(), 'g', false, 3 );
as_schedule_cron_action( $past, '0 3 * * MON', 'd_cron', array( 1 ) );
as_schedule_cron_action( $past, '* * * * *', 'd_cron', array( 2 ) );
as_schedule_cron_action( $past, '*/7 1,5-9 L * *', 'd_cron', array( 3 ) );
as_schedule_single_action( $past, 'd_throws' );
as_schedule_single_action( $past, 'd_error' );
as_schedule_single_action( $past, 'd_user_error' );
as_schedule_single_action( $past, 'd_nobody' );
as_schedule_single_action( $past, 'd_schedules_another', array( 'one' ) );
as_schedule_single_action( $past, 'd_unschedules_itself', array(), 'self' );
as_schedule_single_action( $past, 'd_unschedules_others' );
as_schedule_single_action( time() + 9000, 'd_victim', array(), 'v' );
as_schedule_single_action( $past, 'd_checks_itself' );
for ( $i = 0; $i < 6; $i++ ) {
    as_schedule_single_action( $past + $i, 'd_always_fails' );
}
as_schedule_recurring_action( $past + 10, 60, 'd_always_fails' );
as_schedule_single_action( $past, 'd_listener_throws' );
// As hands and other tools leave them; PHP reads them all the same.
$odd = array(
    'newline'   => "CONCAT(schedule, CHAR(10))",
    'rest'      => "CONCAT(schedule, '};s:1:')",
    'lowercase' => "REPLACE(schedule, 'ActionScheduler', 'actionscheduler')",
    'uppercase' => "REPLACE(schedule, 'CronExpression', 'CRONEXPRESSION')",
    'zeros'     => "REPLACE(schedule, 'O:', 'O:000')",
    'public'    => "REPLACE(REPLACE(schedule, CONCAT('s:22:', CHAR(34), CHAR(0), '*', CHAR(0)), CONCAT('s:19:', CHAR(34))), 'O:', 'O:0')",
);
foreach ( $odd as $kind => $sql ) {
    as_schedule_single_action( $past, 'd_odd', array( $kind, 'single' ) );
    as_schedule_recurring_action( $past, 600, 'd_odd', array( $kind, 'interval' ) );
    as_schedule_cron_action( $past, '7 3 * * *', 'd_odd', array( $kind, 'cron' ) );
    $GLOBALS['wpdb']->query( "UPDATE {$GLOBALS['wpdb']->prefix}actionscheduler_actions SET schedule = $sql WHERE hook = 'd_odd' AND args LIKE '[\"$kind\"%'" );
}
// Run early, as from the admin's screen: the schedules still say when they were meant.
$GLOBALS['wpdb']->query( "UPDATE {$GLOBALS['wpdb']->prefix}actionscheduler_actions SET scheduled_date_gmt = '2026-01-01 00:00:00' WHERE hook = 'd_cron' AND args IN ('[1]', '[3]')" );
"""

CALLBACKS = r"""<?php
add_action( 'd_good', '__return_null' );
add_action( 'd_odd', '__return_null' );
add_action( 'd_recurring', '__return_null' );
add_action( 'd_cron', '__return_null' );
add_action( 'd_recurring_fails', function () { throw new RuntimeException( "several\nlines: ü %s %1\$s" ); } );
add_action( 'd_always_fails', function () { throw new Exception( 'always' ); } );
add_action( 'd_throws', function () { throw new DomainException( '' ); } );
add_action( 'd_error', function () { undefined_function_of_the_test(); } );
add_action( 'd_user_error', function () { trigger_error( 'user error', E_USER_ERROR ); } );
add_action( 'd_schedules_another', function ( $x ) { as_schedule_single_action( 2000000000, 'd_later', array( $x ), 'new group' ); } );
add_action( 'd_unschedules_itself', function () { as_unschedule_all_actions( 'd_unschedules_itself', array(), 'self' ); } );
add_action( 'd_unschedules_others', function () { as_unschedule_all_actions( 'd_victim', array(), 'v' ); } );
add_action( 'd_checks_itself', function () {
    $found = as_get_scheduled_actions( array( 'hook' => 'd_checks_itself', 'status' => 'pending' ), 'ids' );
    if ( ! $found ) {
        as_schedule_single_action( 2000000000, 'd_checks_itself' );
    }
} );
add_action( 'd_listener_throws', '__return_null' );
add_action( 'action_scheduler_after_execute', function ( $id, $action ) {
    if ( $action && 'd_listener_throws' === $action->get_hook() ) {
        throw new Exception( 'from a listener' );
    }
}, 1, 2 );
"""


@pytest.fixture(scope="module")
def site(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhpSite]:
    """A WordPress with the real plugin, its queue filled through the plugin's own functions."""
    folder = tmp_path_factory.mktemp("differential")
    callbacks = folder / "callbacks.php"
    callbacks.write_text(CALLBACKS, "utf-8")
    for site in wordpress_site(mariadb, folder / "site", callbacks):
        if not site.has_plugin:
            pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
        in_wordpress(site.folder, POPULATE)
        store = site.open()
        for table in TABLES:
            name = f"wp_actionscheduler_{table}"
            change(store, f"CREATE TABLE snap_{table} LIKE {name}")
            change(store, f"INSERT INTO snap_{table} SELECT * FROM {name}")
        store.close()
        yield site


def restore(site: PhpSite) -> None:
    store = site.open()
    for table in TABLES:
        change(store, f"DELETE FROM wp_actionscheduler_{table}")
        change(store, f"INSERT INTO wp_actionscheduler_{table} SELECT * FROM snap_{table}")
    store.close()


def run_plugin(site: PhpSite) -> None:
    """The plugin's own runner, until nothing is due."""
    command = worker_command()
    if Path(command[-1]).name.startswith("php"):
        in_wordpress(site.folder, "ActionScheduler_QueueRunner::instance()->run( 'WP CLI' );")
        return
    words = [*command, f"--path={site.folder}", "action-scheduler", "run", "--batch-size=100"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("books", ["bridge", "native"])
def test_the_tables_are_those_of_the_plugins_runner(site: PhpSite, books: str) -> None:
    site.needs_release((3, 6, 0), "a runner that outlives an Error of PHP")
    restore(site)
    run_plugin(site)
    expected = picture(site)
    restore(site)
    site.run(php_books=books, batch_size=100, missing_callback="fail", php_workers=1)
    found = picture(site)
    assert found.keys() == expected.keys()
    problems = [
        f"{key}\n  plugin  {want}\n  wpbridge {got}"
        for key, wants in expected.items()
        for want, got in zip(wants, found[key], strict=True)
        if want != got
    ]
    assert not problems, "\n".join(problems)


def picture(site: PhpSite) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """All rows but the plugin's upkeep, by hook and args, with moments made comparable."""
    store = site.open()
    columns = [str(r[0]) for r in query(store, "SHOW COLUMNS FROM wp_actionscheduler_actions")]
    actions = query(
        store, f"SELECT {', '.join(columns)} FROM wp_actionscheduler_actions ORDER BY action_id"
    )
    groups = query(store, "SELECT group_id, slug FROM wp_actionscheduler_groups")
    slugs = {row[0]: row[1] for row in groups}
    logs = defaultdict(list)
    for action_id, message in query(
        store, "SELECT action_id, message FROM wp_actionscheduler_logs ORDER BY log_id"
    ):
        if not str(message).startswith("wpbridge: "):
            logs[action_id].append(re.sub(r"via (WP CLI|wpbridge)", "via X", str(message)))
    now = next(r[0] for r in query(store, "SELECT UTC_TIMESTAMP()"))
    store.close()
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for values in actions:
        row = dict(zip(columns, values, strict=True))
        is_purged = row["status"] == "canceled" and str(row["last_attempt_gmt"]).startswith("0000")
        if row["hook"] in UPKEEP_HOOKS or is_purged:
            continue  # The plugin's cleaner removes rows canceled before any attempt at its next run.
        row["log"] = logs[row.pop("action_id")]
        row["group"] = slugs.get(row.pop("group_id"))
        # Before 3.9.3 the plugin took the claim from what has ended.
        keeps = site.release >= (3, 9, 3) or row["status"] in {"pending", "in-progress"}
        row["claim_id"] = bool(row["claim_id"]) and keeps
        # Timestamps inside a schedule move with the run; the columns beside them are compared.
        row["schedule"] = re.sub(r"(?<=timestamp\";i:)\d+", "T", str(row["schedule"]))
        for name in columns:
            if "date" in name or name.startswith("last_attempt"):
                row[name] = about(str(row[name]), str(now))
        found[str(row["hook"]), str(row["args"])].append(row)
    return found


def about(text: str, now: str) -> str:
    """A moment by its distance from now, in steps of five minutes; far ones exactly."""
    if text.startswith("0000"):
        return "zero"
    distance = (datetime.fromisoformat(text) - datetime.fromisoformat(now)).total_seconds()
    return text if abs(distance) > 7 * 86400 else f"{round(distance / 300) * 300:+d} s"
