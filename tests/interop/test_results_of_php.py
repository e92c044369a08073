"""What a PHP callback keeps as its result, run by the plugin's own runner, and read from both sides.

Needs what tests/companion_site.py needs.
"""

from typing import Any

import pytest

from companion_site import Site, emptied_site, made_wordpress
from rows import log_of
from stores import way_of
from wpbridge import Queue
from wpbridge.plugin.companion import Ownership
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest
from wpbridge.store.structure.creation import create_tables

__all__ = ["emptied_site", "made_wordpress"]

RUN = "add_action( 'h', function () { global $said; %s } ); ActionScheduler::runner()->run(); $told = $GLOBALS['said'];"


@pytest.fixture(name="ours")
def with_our_tables(site: Site) -> Site:
    site.install(Ownership())
    create_tables(way_of(site.store), everything=False)
    return site


def run(site: Site, code: str) -> tuple[int, Any]:
    """The action whose callback did this, and what the callback left in $said."""
    [action_id] = site.add("h")
    return action_id, site.php(RUN % code)


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        (
            "$said = wpbridge_set_result( array( 'mails' => 3, 'ü' => null ) );",
            '{"mails":3,"\\u00fc":null}',
        ),
        ("$said = wpbridge_set_result( 0 );", "0"),
        ("$said = wpbridge_set_result( false );", "false"),
        ("wpbridge_set_result( 1 ); $said = wpbridge_set_result( 2 );", "2"),
        ("$said = wpbridge_set_result( str_repeat( 'x', 65534 ) );", '"' + "x" * 65534 + '"'),
    ],
)
def test_a_callback_keeps_a_result(ours: Site, code: str, kept: str) -> None:
    action_id, said = run(ours, code)
    assert said is True
    stored = Queue(ours.store.parts, close_store=False).result(action_id)
    assert stored is not None
    assert stored.result == kept
    assert ours.php(f"$told = json_encode( wpbridge_result( {action_id} ) );") == kept


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("$said = wpbridge_set_result( NAN );", "it is no JSON"),
        ('$said = wpbridge_set_result( "\\xff" );', "it is no JSON"),
        ("$said = wpbridge_set_result( str_repeat( 'x', 65535 ) );", "as JSON it has 65537 bytes"),
        ("$said = wpbridge_set_result( null );", ""),
    ],
)
def test_what_cannot_be_kept_fails_nothing(ours: Site, code: str, why: str) -> None:
    action_id, said = run(ours, code)
    assert said is False
    queue = Queue(ours.store.parts, close_store=False)
    assert queue.get(action_id).status == "complete"
    assert queue.result(action_id) is None
    logged = [message for message in log_of(ours.store, action_id) if "is not kept" in message]
    assert bool(logged) == bool(why)
    assert all(why in message for message in logged), logged


def test_progress_is_kept_beside_the_result(ours: Site) -> None:
    action_id, said = run(
        ours,
        "wpbridge_progress( 7, str_repeat( 'ä', 300 ) ); $said = wpbridge_progress( 0.5, 'half' );"
        " wpbridge_set_result( 'ok' ); wpbridge_progress( 'x' );",
    )
    assert said is True
    stored = Queue(ours.store.parts, close_store=False).result(action_id)
    assert stored is not None
    assert (stored.progress, stored.progress_text, stored.result) == (0.5, "half", '"ok"')


def test_outside_of_an_action_and_without_the_table_nothing_is_kept(ours: Site) -> None:
    assert ours.php("$told = array( wpbridge_set_result( 1 ), wpbridge_progress( 1 ) );") == [
        False,
        False,
    ]
    ours.store.parts.own.drop()
    action_id, said = run(ours, "$said = wpbridge_set_result( 1 );")
    assert said is False
    assert ours.php(f"$told = array( wpbridge_result( {action_id} ), wpbridge_job( 'x' ) );") == [
        None,
        None,
    ]


def test_php_sees_a_job_by_its_id(ours: Site) -> None:
    jobs = JobQueue(ours.store.parts, close_store=False)
    asked = JobRequest(new=Enqueue(hook="h"), key_name="shop")
    [done] = jobs.submit([jobs.prepared(asked)])
    assert done.job is not None
    ours.php(RUN % "wpbridge_progress( 0.25, 'a' ); wpbridge_set_result( array( 1 ) );")
    assert ours.php(f"$told = wpbridge_job( '{done.job.uuid}' );") == {
        "job": done.job.uuid,
        "action_id": done.job.action_id,
        "hook": "h",
        "status": "complete",
        "progress": {"fraction": 0.25, "text": "a"},
        "result": [1],
    }
    job = jobs.job(done.job.uuid)
    assert job is not None
    assert job.status == "complete"
    assert job.started_at is not None
