"""Which span led to an action that PHP has stored: kept by the companion, and linked by our runner.

Needs what tests/companion_site.py needs.
"""

from collections.abc import Iterator

import pytest

from both_sides import BothSides
from companion_site import Site, emptied_site, made_wordpress
from rows import change, query
from sinks import Collector, collecting
from stores import way_of
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Ownership
from wpbridge.store.structure.creation import create_tables

__all__ = ["emptied_site", "made_wordpress"]

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WITH = f"$_SERVER['HTTP_TRACEPARENT'] = '{CLIENT}';"
STORE = "$told = as_enqueue_async_action( 'h' );"
TRACES = "SELECT action_id, traceparent FROM wp_wpbridge_traces ORDER BY action_id"


@pytest.fixture(name="traced")
def with_traces(site: Site) -> Site:
    site.install(Ownership(traces=True))
    create_tables(way_of(site.store), everything=True)
    return site


def kept(site: Site) -> list[tuple[object, ...]]:
    return [tuple(row) for row in query(site.store, TRACES)]


def test_the_header_of_the_request_is_kept(traced: Site) -> None:
    action_id = traced.php(STORE, WITH)
    assert kept(traced) == [(action_id, CLIENT)]
    traced.php(STORE)
    assert kept(traced) == [(action_id, CLIENT)]


@pytest.mark.parametrize(
    "header",
    [
        *("", "x", CLIENT.upper(), f"{CLIENT} ", f"{CLIENT}\\n", f"ff{CLIENT[2:]}", CLIENT[:-1]),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "' ); DROP TABLE wp_wpbridge_traces; --",
    ],
)
def test_what_is_no_traceparent_is_left_out(traced: Site, header: str) -> None:
    told = header.replace("'", "\\'")
    assert traced.php(STORE, f"$_SERVER['HTTP_TRACEPARENT'] = \"{told}\";")
    assert kept(traced) == []


def test_other_plugins_may_name_another_span(traced: Site) -> None:
    other = CLIENT.replace("b7", "c8")
    code = f"add_filter( 'wpbridge_traceparent', function () {{ return '{other}'; }} ); {STORE}"
    action_id = traced.php(code)
    assert kept(traced) == [(action_id, other)]
    traced.php(f"add_filter( 'wpbridge_traceparent', '__return_empty_array' ); {STORE}", WITH)
    assert kept(traced) == [(action_id, other)]


def test_nothing_is_kept_where_nobody_has_switched_it_on(site: Site) -> None:
    site.install(Ownership())
    create_tables(way_of(site.store), everything=True)
    assert site.php(STORE, WITH)
    assert kept(site) == []


def test_a_missing_table_is_no_error_and_changes_nothing_that_others_see(traced: Site) -> None:
    look = "global $wpdb; $told = array( $id, $wpdb->insert_id, $wpdb->last_error );"
    log = "add_action( 'action_scheduler_stored_action', function () { global $wpdb; $wpdb->query( 'SET @x = 1' ); }, PHP_INT_MAX );"
    code = f"$id = as_enqueue_async_action( 'h' ); {look}"
    there = traced.php(code, WITH)
    change(traced.store, "DROP TABLE wp_wpbridge_traces")
    missing = traced.php(code, WITH)
    assert missing[0] > there[0]
    assert missing[2] == there[2] == ""
    assert traced.php(f"{log} {code}", WITH)[0] > missing[0]


def test_what_is_rolled_back_leaves_no_row(traced: Site) -> None:
    traced.php(
        f"global $wpdb; $wpdb->query( 'START TRANSACTION' ); {STORE} $wpdb->query( 'ROLLBACK' );",
        WITH,
    )
    assert kept(traced) == []


def test_a_successor_of_the_plugin_has_the_traceparent_of_its_chain(traced: Site) -> None:
    first = traced.php(
        "$told = as_schedule_recurring_action( time() - 5, 3600, 'every', array( 'a' ) );", WITH
    )
    run = (
        "add_action( 'every', function () { as_enqueue_async_action( 'other' ); } );"
        " ActionScheduler::runner()->run(); $told = 1;"
    )
    traced.php(run)
    successors = [
        int(str(row[0]))
        for row in query(
            traced.store,
            "SELECT action_id FROM wp_actionscheduler_actions WHERE hook = 'every'"
            " AND status = 'pending'",
        )
    ]
    assert len(successors) == 1
    assert kept(traced) == [(first, CLIENT), (successors[0], CLIENT)]


STORING = """<?php
add_action( 't_store', function () { t_record( 'header', $_SERVER['HTTP_TRACEPARENT'] ); as_enqueue_async_action( 't_noop' ); } );
add_action( 't_look', function () { t_record( 'header', isset( $_SERVER['HTTP_TRACEPARENT'] ) ); } );
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.mark.parametrize("books", ["bridge", "native"])
def test_a_php_worker_of_ours_links_attempts_and_what_their_callbacks_add(
    both: BothSides, collector: Collector, books: str
) -> None:
    site = both.site
    plugins = site.folder / "wp-content" / "mu-plugins"
    companion.install(plugins, "wp_", Ownership(traces=True))
    (plugins / "storing.php").write_text(STORING)
    queue = both.queue()
    try:
        queue.enqueue_async("t_store")
        queue.schedule_recurring(None, 3600, "t_look")
        totals = site.run(hooks="t_store,t_noop,t_look", php_books=books, telemetry_traces=True)
        assert totals.complete == 3
        [made] = collector.spans("enqueue t_store")
        [ran] = collector.spans("run t_store")
        [added] = collector.spans("run t_noop")
        assert (ran.links, added.links) == ([made.traceparent], [ran.traceparent])
        assert ran.attributes["wpbridge.outcome"] == "complete"
        [[header], *_] = site.records("header")
        assert str(header)[:52] == ran.traceparent[:52]
        # The next one of the chain has the span of its chain, whoever has added it.
        [chain] = collector.spans("enqueue t_look")
        rows = both.rows(
            "SELECT a.status, t.traceparent FROM wp_wpbridge_traces t"
            " JOIN {actions} a ON a.action_id = t.action_id WHERE a.hook = 't_look'"
        )
        told = {status: str(found)[:52] for status, found in rows}
        assert told == dict.fromkeys(("complete", "pending"), chain.traceparent[:52])
    finally:
        (plugins / "storing.php").unlink()
        companion.remove(plugins, "wp_")


def test_an_action_whose_worker_was_killed_has_a_span_that_failed(
    both: BothSides, collector: Collector
) -> None:
    """Also where the plugin's own runner should have written the ending."""
    both.site.enqueue("t_signal", 9)
    totals = both.site.run(hooks="t_signal", php_books="native", telemetry_traces=True)
    assert totals.failed == 1
    [ran] = collector.spans("run t_signal")
    assert (ran.attributes["wpbridge.outcome"], ran.is_error) == ("failed", True)
    assert ran.attributes["error.type"] == "WorkerLost"
