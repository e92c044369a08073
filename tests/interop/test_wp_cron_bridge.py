"""The bridge in a real WordPress: moved events look scheduled, and new ones go to the queue.

Action Scheduler itself where WPBRIDGE_TEST_PLUGIN names it, else a stand-in over the same tables.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_helpers import Done, call
from conftest import ROOT
from php_site import PhpSite
from wordpress import in_wordpress
from wpbridge.errors import ConfigError, SiteError
from wpbridge.plugin import cron_bridge
from wpbridge.queue.facade import Queue

HOOKS = ("shop_daily", "shop_once")
SCHEDULE = """
wp_schedule_event( time() + 7200, 'hourly', 'shop_daily', array( 'a' ) );
wp_schedule_single_event( time() + 7200, 'shop_once', array( 5 ) );
wp_schedule_event( time() + 7200, 'daily', 'other' );
"""


class Bridged:
    def __init__(self, site: PhpSite) -> None:
        self.site = site

    def php(self, expression: str) -> Any:
        return json.loads(in_wordpress(self.site.folder, f"echo json_encode( {expression} );"))

    def pending(self, hook: str) -> int:
        store = self.site.open()
        found = Queue(store.parts, close_store=False).count(hooks=(hook,), statuses=("pending",))
        store.close()
        return found

    def in_option(self, hook: str) -> bool:
        code = f"(bool) array_filter( _get_cron_array(), function ( $h ) {{ return isset( $h['{hook}'] ); }} )"
        return bool(self.php(code))


@pytest.fixture
def bridged(wordpress: PhpSite, tmp_path: Path) -> Iterator[Bridged]:
    must_use = wordpress.folder / "wp-content" / "mu-plugins"
    if not wordpress.has_plugin:
        shutil.copy(ROOT / "tests" / "php" / "scheduler.php", must_use)
    clear = " ".join(f"wp_unschedule_hook( '{hook}' );" for hook in (*HOOKS, "other"))
    in_wordpress(wordpress.folder, clear + SCHEDULE)
    done = call(
        "migrate",
        "wp-cron",
        "--path",
        str(wordpress.folder),
        "--hooks",
        "shop_*",
        "--bridge",
        "--journal",
        "wpbridge-wp-cron.journal",
        "--settle",
        "0s",
        "--yes",
        cwd=tmp_path,
    )
    assert done.code == 0, done
    yield Bridged(wordpress)
    (must_use / cron_bridge.FILE_NAME).unlink(missing_ok=True)
    (must_use / "scheduler.php").unlink(missing_ok=True)
    in_wordpress(wordpress.folder, clear)


def test_a_moved_event_looks_scheduled(bridged: Bridged) -> None:
    told = bridged.php("wp_get_scheduled_event( 'shop_daily', array( 'a' ) )")
    assert (told["schedule"], told["interval"], told["args"]) == ("hourly", 3600, ["a"])
    assert bridged.php("wp_next_scheduled( 'shop_daily', array( 'a' ) )") == told["timestamp"]
    assert bridged.php("wp_get_schedule( 'shop_daily', array( 'a' ) )") == "hourly"
    assert bridged.php("wp_next_scheduled( 'shop_daily' )") is False
    assert bridged.php("is_int( wp_next_scheduled( 'shop_once', array( 5 ) ) )") is True
    assert not bridged.in_option("shop_daily")


def test_the_usual_question_schedules_nothing_anew(bridged: Bridged) -> None:
    in_wordpress(
        bridged.site.folder,
        "if ( ! wp_next_scheduled( 'shop_daily', array( 'a' ) ) ) wp_schedule_event( time(), 'hourly', 'shop_daily', array( 'a' ) );",
    )
    assert (bridged.pending("shop_daily"), bridged.in_option("shop_daily")) == (1, False)


def test_a_second_one_is_refused_as_wordpress_refuses_it(bridged: Bridged) -> None:
    code = "wp_schedule_single_event( time() + 7200, 'shop_once', array( 5 ) )"
    assert bridged.php(code) is False
    assert bridged.php("wp_schedule_event( time(), 'hourly', 'shop_daily', array( 'a' ) )") is False
    assert (bridged.pending("shop_once"), bridged.pending("shop_daily")) == (1, 1)


def test_a_new_one_of_a_moved_hook_goes_to_the_queue(bridged: Bridged) -> None:
    code = "wp_schedule_single_event( time() + 60, 'shop_once', array( 6 ) )"
    assert bridged.php(code) is True
    assert (bridged.pending("shop_once"), bridged.in_option("shop_once")) == (2, False)


def test_what_json_cannot_hold_goes_to_wp_cron(bridged: Bridged) -> None:
    code = "wp_schedule_single_event( time() + 60, 'shop_once', array( new ArrayObject() ) )"
    assert bridged.php(code) is True
    assert (bridged.pending("shop_once"), bridged.in_option("shop_once")) == (1, True)


def test_other_hooks_are_wp_crons(bridged: Bridged) -> None:
    assert bridged.in_option("other")
    assert bridged.php("wp_schedule_single_event( time() + 60, 'other', array( 1 ) )") is True
    assert bridged.pending("other") == 0


@pytest.mark.parametrize(
    "code",
    [
        "wp_clear_scheduled_hook( 'shop_daily', array( 'a' ) )",
        "wp_unschedule_hook( 'shop_daily' )",
        "(int) wp_unschedule_event( wp_next_scheduled( 'shop_daily', array( 'a' ) ), 'shop_daily', array( 'a' ) )",
    ],
)
def test_unscheduling_cancels_the_action(bridged: Bridged, code: str) -> None:
    assert bridged.php(code) == 1
    assert bridged.pending("shop_daily") == 0
    assert bridged.php("wp_next_scheduled( 'shop_daily', array( 'a' ) )") is False


Early = Callable[[str], dict[str, Any]]
MOMENTS = ("muplugins_loaded", "plugins_loaded", "init")
EARLY = """<?php
// Stands for code that asks and schedules before Action Scheduler is initialised.
function t_early( $when ) {
	$told = array();
	CODE
	$GLOBALS['t_early'][ $when ] = $told;
}
add_action( 'muplugins_loaded', function () { t_early( 'muplugins_loaded' ); } );
add_action( 'plugins_loaded', function () { t_early( 'plugins_loaded' ); }, -9 );
add_action( 'init', function () { t_early( 'init' ); }, 0 );
"""


@pytest.fixture
def early(bridged: Bridged) -> Iterator[Early]:
    """Run PHP at three moments before Action Scheduler is initialised; return what it told at each."""
    file = bridged.site.folder / "wp-content" / "mu-plugins" / "a-early.php"

    def run(code: str) -> dict[str, Any]:
        file.write_text(EARLY.replace("CODE", code))
        told = bridged.php("$GLOBALS['t_early']")
        file.unlink()
        assert isinstance(told, dict)
        return told

    yield run
    file.unlink(missing_ok=True)


def test_code_that_runs_early_finds_the_action_too(bridged: Bridged, early: Early) -> None:
    later = bridged.php("wp_get_scheduled_event( 'shop_daily', array( 'a' ) )")
    once = bridged.php("wp_get_scheduled_event( 'shop_once', array( 5 ) )")
    told = early(
        "$told[] = wp_get_scheduled_event( 'shop_daily', array( 'a' ) );"
        " $told[] = wp_get_scheduled_event( 'shop_once', array( 5 ) );"
        " $told[] = wp_next_scheduled( 'shop_daily', array( 'unknown' ) );"
    )
    assert told == {moment: [later, once, False] for moment in MOMENTS}


def test_what_is_scheduled_early_does_not_go_back_to_wp_cron(
    bridged: Bridged, early: Early
) -> None:
    told = early(
        "$told[] = wp_schedule_event( time(), 'hourly', 'shop_daily', array( 'a' ) );"
        " if ( ! wp_next_scheduled( 'shop_daily', array( 'n' ) ) ) {"
        " $told[] = wp_schedule_event( time(), 'hourly', 'shop_daily', array( 'n' ) ); }"
        " wp_schedule_single_event( time() + 60, 'other', array( 'early' ) );"
    )
    assert told == {"muplugins_loaded": [False, True], "plugins_loaded": [False], "init": [False]}
    assert (bridged.pending("shop_daily"), bridged.in_option("shop_daily")) == (2, False)
    assert bridged.php("wp_get_schedule( 'shop_daily', array( 'n' ) )") == "hourly"
    assert bridged.pending("other") == 0


def test_code_that_runs_early_finds_a_running_one_with_long_args(
    bridged: Bridged, early: Early
) -> None:
    args = f"array( '{'ä' * 200}' )"
    in_wordpress(
        bridged.site.folder,
        f"wp_schedule_event( time() + 90, 'daily', 'shop_daily', {args} );"
        " wp_clear_scheduled_hook( 'shop_daily', array( 'a' ) );"
        " global $wpdb; $wpdb->update( $wpdb->prefix . 'actionscheduler_actions',"
        " array( 'status' => 'in-progress' ), array( 'status' => 'pending', 'hook' => 'shop_daily' ) );",
    )
    assert bridged.pending("shop_daily") == 0
    later = bridged.php(f"wp_get_scheduled_event( 'shop_daily', {args} )")
    told = early(f"$told[] = wp_get_scheduled_event( 'shop_daily', {args} );")
    assert later["schedule"] == "daily"
    assert told == {moment: [later] for moment in MOMENTS}


def test_without_action_scheduler_early_events_go_to_wp_cron(
    bridged: Bridged, early: Early
) -> None:
    (bridged.site.folder / "wp-content" / "mu-plugins" / "scheduler.php").unlink(missing_ok=True)
    early(
        "add_filter( 'option_active_plugins', '__return_empty_array' );"
        " wp_schedule_event( time() + 90, 'hourly', 'shop_daily', array( 'n' ) );"
        " wp_schedule_single_event( time() + 90, 'shop_once', array( 'n' ) );"
    )
    assert (bridged.pending("shop_daily"), bridged.pending("shop_once")) == (1, 1)
    assert bridged.in_option("shop_daily")
    assert bridged.in_option("shop_once")


def test_an_early_question_is_asked_of_the_database_once(bridged: Bridged, early: Early) -> None:
    told = early(
        "global $wpdb; $before = $wpdb->num_queries;"
        " wp_next_scheduled( 'shop_daily', array( 'a' ) );"
        " wp_schedule_event( time(), 'hourly', 'shop_daily', array( 'a' ) );"
        " $told = $wpdb->num_queries - $before;"
    )
    assert told == {"muplugins_loaded": 1, "plugins_loaded": 0, "init": 0}


@pytest.mark.parametrize(
    "code",
    [
        "wp_clear_scheduled_hook( 'shop_daily', array( 'a' ) )",
        "wp_unschedule_hook( 'shop_daily' )",
        "wp_unschedule_event( wp_next_scheduled( 'shop_daily', array( 'a' ) ), 'shop_daily', array( 'a' ) )",
    ],
)
def test_unscheduling_early_cancels_the_action(bridged: Bridged, early: Early, code: str) -> None:
    told = early(
        f"if ( 'init' === $when ) {{ $told[] = (int) {code};"
        " $told[] = wp_next_scheduled( 'shop_daily', array( 'a' ) ); }"
    )
    assert told["init"] == [1, False]
    assert (bridged.pending("shop_daily"), bridged.in_option("shop_daily")) == (0, False)


def test_an_event_that_is_scheduled_anew_early_replaces_the_old_one(
    bridged: Bridged, early: Early
) -> None:
    told = early(
        "if ( 'plugins_loaded' === $when ) {"
        " $told[] = wp_clear_scheduled_hook( 'shop_daily', array( 'a' ) );"
        " $told[] = wp_schedule_event( time(), 'daily', 'shop_daily', array( 'a' ) ); }"
    )
    assert told["plugins_loaded"] == [1, True]
    assert bridged.php("wp_get_schedule( 'shop_daily', array( 'a' ) )") == "daily"
    assert (bridged.pending("shop_daily"), bridged.in_option("shop_daily")) == (1, False)


def test_what_was_scheduled_and_unscheduled_early_is_not_there(
    bridged: Bridged, early: Early
) -> None:
    early(
        "wp_schedule_single_event( time() + 60, 'shop_once', array( 'n' ) );"
        " wp_clear_scheduled_hook( 'shop_once', array( 'n' ) );"
    )
    assert (bridged.pending("shop_once"), bridged.in_option("shop_once")) == (1, False)


def test_early_with_a_table_that_cannot_be_read_wp_cron_works(
    bridged: Bridged, early: Early
) -> None:
    # The query of the early question fails, as it does on a site that has lost the tables.
    told = early(
        "add_filter( 'query', $break = function ( $sql ) {"
        " return str_replace( 'actionscheduler_actions', 'no_such_table', $sql ); } );"
        " $told[] = wp_next_scheduled( 'shop_daily', array( 'a' ) );"
        " $told[] = wp_schedule_event( time(), 'hourly', 'shop_daily', array( 'a' ) );"
        " remove_filter( 'query', $break );"
    )
    assert told["muplugins_loaded"] == [False, True]
    assert (bridged.pending("shop_daily"), bridged.in_option("shop_daily")) == (1, True)


def undo(bridged: Bridged, folder: Path, *more: str) -> Done:
    return call(
        "migrate",
        "wp-cron",
        "--path",
        str(bridged.site.folder),
        "--undo",
        "wpbridge-wp-cron.journal",
        "--settle",
        "0s",
        *(more or ("--yes",)),
        cwd=folder,
    )


def test_undo_puts_back_what_php_has_scheduled_since(bridged: Bridged, tmp_path: Path) -> None:
    args = "array( 'n' => 7, 'list' => array( 1.5, null, array() ), 'é' )"
    in_wordpress(
        bridged.site.folder,
        f"wp_schedule_single_event( time() + 90, 'shop_once', {args} );"
        " wp_schedule_event( time() + 90, 'twicedaily', 'shop_daily', array( 'b' ) );"
        " wp_schedule_single_event( time() + 95, 'shop_once', array( 'gone' ) );"
        " wp_clear_scheduled_hook( 'shop_once', array( 'gone' ) );",
    )
    assert (bridged.pending("shop_once"), bridged.pending("shop_daily")) == (2, 2)
    assert not bridged.in_option("shop_once")
    trial = undo(bridged, tmp_path, "--dry-run", "--format", "json")
    assert (json.loads(trial.out)["would_restore"], json.loads(trial.out)["scheduled"]) == (
        2,
        2,
    )
    done = undo(bridged, tmp_path)
    assert done.code == 0, done
    assert "2 that PHP has scheduled since" in done.out
    assert (bridged.pending("shop_once"), bridged.pending("shop_daily")) == (0, 0)
    assert bridged.php(f"is_int( wp_next_scheduled( 'shop_once', {args} ) )") is True
    told = bridged.php("wp_get_scheduled_event( 'shop_daily', array( 'b' ) )")
    assert (told["schedule"], told["interval"], told["args"]) == ("twicedaily", 43200, ["b"])
    assert bridged.php("wp_next_scheduled( 'shop_once', array( 'gone' ) )") is False
    # The same question as ever schedules nothing a second time, and the event can be run on.
    assert bridged.php(f"wp_schedule_single_event( time() + 90, 'shop_once', {args} )") is False
    moved_on = "wp_reschedule_event( wp_next_scheduled( 'shop_daily', array( 'b' ) ), 'twicedaily', 'shop_daily', array( 'b' ) )"
    assert bridged.php(moved_on) is True
    again = undo(bridged, tmp_path, "--yes", "--format", "json")
    assert (json.loads(again.out)["restored"], json.loads(again.out)["scheduled"]) == (0, 0)


def test_undo_takes_the_bridge_away(bridged: Bridged, tmp_path: Path) -> None:
    folder = bridged.site.folder
    done = undo(bridged, tmp_path)
    assert done.code == 0, done
    assert not (folder / "wp-content" / "mu-plugins" / cron_bridge.FILE_NAME).exists()
    assert bridged.in_option("shop_daily")
    assert bridged.php("is_int( wp_next_scheduled( 'shop_daily', array( 'a' ) ) )") is True


def test_sites_of_a_network_share_the_file(tmp_path: Path) -> None:
    cron_bridge.install(tmp_path, "wp_", "wp-cron", ["a'<?>\\", "b"], "j")
    cron_bridge.install(tmp_path, "wp_2_", "other", ["c"], "j")
    cron_bridge.install(tmp_path, "wp_", "wp-cron", ["d"], "k")
    assert cron_bridge.read(tmp_path) == {
        "wp_": {"group": "wp-cron", "hooks": {"a'<?>\\": ["j"], "b": ["j"], "d": ["k"]}},
        "wp_2_": {"group": "other", "hooks": {"c": ["j"]}},
    }
    with pytest.raises(ConfigError, match="wp-cron"):
        cron_bridge.install(tmp_path, "wp_", "elsewhere", ["e"], "j")
    assert cron_bridge.remove(tmp_path, "wp_", "j")
    assert cron_bridge.read(tmp_path)["wp_"]["hooks"] == {"d": ["k"]}
    assert cron_bridge.remove(tmp_path, "wp_", "k")
    assert cron_bridge.remove(tmp_path, "wp_2_", "j")
    assert list(tmp_path.iterdir()) == []
    assert not cron_bridge.remove(tmp_path, "wp_2_", "j")


def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / cron_bridge.FILE_NAME).write_text("<?php // somebody's")
    with pytest.raises(SiteError, match="not written by wpbridge"):
        cron_bridge.install(tmp_path, "wp_", "wp-cron", ["a"], "j")
