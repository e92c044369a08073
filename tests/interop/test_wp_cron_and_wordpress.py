"""Events that WordPress itself scheduled: moved, run in PHP, and put back for PHP to find.

Needs php, Debian's WordPress and MariaDB; left out, with the reason, without one of them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_helpers import Done, call
from php_site import PhpSite
from wordpress import in_wordpress
from wpbridge.codec.wp_cron import CronOption
from wpbridge.store.rows.options import CRON

ARGS = r"""array( 1, 'two', "\u{e9}/\"", array( 'a' => 1, 'b' => array( true, null ) ) )"""
SCHEDULE = rf"""
wp_schedule_single_event( time() - 60, 't_args', {ARGS} );
wp_schedule_event( time() + 7200, 'hourly', 't_noop' );
wp_schedule_event( time() + 7200, 'daily', 't_odd', array( new ArrayObject() ) );
"""
CLEAR = """
foreach ( array( 't_args', 't_noop', 't_odd' ) as $hook ) { wp_unschedule_hook( $hook ); }
"""


@pytest.fixture
def site(wordpress: PhpSite) -> Iterator[PhpSite]:
    in_wordpress(wordpress.folder, CLEAR + SCHEDULE)
    yield wordpress
    in_wordpress(wordpress.folder, CLEAR)


def migrate(site: PhpSite, folder: Path, *more: str) -> Done:
    return call(
        "migrate",
        "wp-cron",
        "--path",
        str(site.folder),
        "--settle",
        "0s",
        "--yes",
        *more,
        cwd=folder,
    )


def scheduled(site: PhpSite, hook: str, args: str = "array()") -> Any:
    told = in_wordpress(site.folder, f"echo json_encode( wp_next_scheduled( '{hook}', {args} ) );")
    return json.loads(told)


def test_what_wordpress_wrote_is_read_and_written_again_byte_for_byte(site: PhpSite) -> None:
    store = site.open()
    data = store.parts.options.read(CRON)
    store.close()
    assert data is not None
    told = in_wordpress(site.folder, "echo serialize( get_option( 'cron' ) );")
    assert data == told.encode()
    assert CronOption.decode(data).encode() == data
    hooks = {event.name() for event in CronOption.decode(data).events()}
    assert {"t_args", "t_noop", "t_odd"} <= hooks


def test_events_are_moved_run_in_php_and_put_back(site: PhpSite, tmp_path: Path) -> None:
    before = scheduled(site, "t_noop")
    done = migrate(site, tmp_path, "--format", "json", "--journal", "moved.journal")
    assert done.code == 1, done
    told = json.loads(done.out)
    assert (told["moved"], told["left"]) == (2, 1)
    assert "cache flush" in done.err
    [left] = (tmp_path / "moved.journal.left").read_text().splitlines()
    assert json.loads(left)["hook"] == "t_odd"
    assert scheduled(site, "t_noop") is False
    assert scheduled(site, "t_args", ARGS) is False
    assert scheduled(site, "wp_version_check") or scheduled(site, "wp_update_plugins")

    assert site.run().complete == 1
    assert site.records("args") == [[[1, "two", 'é/"', {"a": 1, "b": [True, None]}]]]

    undone = migrate(site, tmp_path, "--undo", "moved.journal", "--format", "json")
    assert json.loads(undone.out) == {
        "restored": 1,
        "scheduled": 0,
        "present": 0,
        "copies": 0,
        "ended": 1,
        "busy": 0,
        "left": [],
        "checked": 2,
        "faults": [],
    }
    assert scheduled(site, "t_noop") == before
    assert scheduled(site, "t_args", ARGS) is False
