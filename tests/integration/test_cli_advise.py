"""``advise``, and the line of it in ``status``: what the tables of a site lead to."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from cli_helpers import Site, is_one_line
from factories import insert, make_new
from remembered import remember
from rows import change
from wpbridge.clock import SystemClock

FIELDS = [
    "workers_now",
    "workers_advised",
    "reason",
    "obstacle",
    "arrivals_per_second",
    "service_seconds",
    "due",
    "target_wait_seconds",
]


@pytest.fixture
def now() -> datetime:
    return SystemClock().now()


def due(site: Site, now: datetime, count: int, hook: str = "mail", group: str = "") -> None:
    for _ in range(count):
        insert(site.store, make_new(hook, now=now, due_in=-30.0, group=group), now=now)


def runner(site: Site, places: int) -> None:
    site.store.register(host="elsewhere", boot="b", pid=1, pid_started="1", places=places)


def advised(site: Site, *more: str) -> Mapping[str, Any]:
    told = json.loads(site.ok("advise", "--format", "json", *more))
    assert list(told) == FIELDS
    found: Mapping[str, Any] = told
    return found


def of_status(site: Site) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(site.ok("status", "--format", "json"))["advice"]
    assert list(found) == FIELDS
    return found


def test_of_a_queue_that_nobody_ever_ran_nothing_is_known(site: Site) -> None:
    told = advised(site)
    assert (told["workers_now"], told["workers_advised"], told["obstacle"]) == (0, 0, None)
    assert told["arrivals_per_second"] is told["service_seconds"] is None
    assert "not known yet" in told["reason"]


def test_a_number_follows_from_the_tables_alone(site: Site, now: datetime) -> None:
    runner(site, 4)
    due(site, now, 21)
    remember(site.store, now, a_minute=60, seconds=2.0, due=21)
    told = advised(site)
    assert told["arrivals_per_second"] == pytest.approx(1.0)
    assert told["service_seconds"] == pytest.approx(2.0)
    assert (told["due"], told["target_wait_seconds"]) == (21, 60.0)
    # (1 * 2 + 21 * 2 / 60) / 0.7, rounded up.
    assert (told["workers_now"], told["workers_advised"], told["obstacle"]) == (4, 4, None)
    # A shorter wait needs more places.
    assert advised(site, "--target-wait", "10s")["workers_advised"] == 9
    (site.folder / "wpbridge.toml").write_text('[advise]\ntarget_wait = "10s"\n')
    assert of_status(site)["workers_advised"] == advised(site)["workers_advised"] == 9
    lines = site.ok("advise").splitlines()
    assert lines[:2] == ["workers now      4", "workers advised  9"]
    assert lines[-1].startswith("reason           Actions arrive at a rate of 1 per second.")
    assert "workers               4 now, 9 advised" in site.ok("status").splitlines()


def test_without_a_runner_that_is_said(site: Site, now: datetime) -> None:
    due(site, now, 3)
    for told in (advised(site), of_status(site)):
        assert (told["obstacle"], told["workers_now"]) == ("no runner", 0)
        assert told["workers_advised"] == 1
    assert "0 now, no runner" in site.ok("status")


def test_a_dead_runner_has_no_places(site: Site, now: datetime) -> None:
    runner(site, 4)
    due(site, now, 1)
    change(site.store, "UPDATE wp_wpbridge_runners SET beat_gmt = '2020-01-01 00:00:00'")
    assert advised(site)["workers_now"] == of_status(site)["workers_now"] == 0


@pytest.mark.parametrize("how", [("--hook", "mail"), ("--group", "eu"), ("--all",)])
def test_paused_work_is_named(site: Site, now: datetime, how: tuple[str, ...]) -> None:
    runner(site, 4)
    due(site, now, 9, group="eu")
    due(site, now, 1, "sync")
    remember(site.store, now, a_minute=6, seconds=1.0, due=10)
    site.ok("pause", *how)
    for told in (advised(site), of_status(site)):
        assert told["obstacle"] == "paused", told
        assert told["workers_advised"] <= 4
    assert "4 now, paused" in site.ok("status")


def test_limited_work_is_named(site: Site, now: datetime) -> None:
    runner(site, 4)
    due(site, now, 9)
    remember(site.store, now, a_minute=6, seconds=1.0, due=9)
    change(
        site.store,
        "UPDATE wp_actionscheduler_actions SET status = 'in-progress', claim_id = 5,"
        " last_attempt_gmt = scheduled_date_gmt WHERE action_id = 1",
    )
    limits = '[[limits]]\nhook = "m*"\nmax_concurrency = 1\n'
    (site.folder / "wpbridge.toml").write_text(limits)
    for told in (advised(site), of_status(site)):
        assert told["obstacle"] == "limited", told
        assert "hook mail" in told["reason"]


def test_slow_claims_are_the_database(site: Site, now: datetime) -> None:
    runner(site, 4)
    due(site, now, 9)
    remember(site.store, now, a_minute=6, seconds=0.01, due=9, claim=0.9)
    for told in (advised(site), of_status(site)):
        assert told["obstacle"].startswith("the database is the limit: claims p99 "), told


def test_held_hooks_are_not_due(site: Site, now: datetime) -> None:
    runner(site, 4)
    due(site, now, 9)
    site.store.parts.held.tell({"mail"})
    for told in (advised(site), of_status(site)):
        assert (told["due"], told["obstacle"]) == (0, None)


def test_idle_places_are_named_with_a_hook_that_waits(site: Site, now: datetime) -> None:
    runner(site, 4)
    due(site, now, 9, "nobodys")
    remember(site.store, now, a_minute=1, seconds=0.1, due=9)
    for told in (advised(site), of_status(site)):
        assert told["obstacle"] == "places are idle", told
        assert "such as nobodys" in told["reason"]


def test_a_wait_that_is_none_is_refused(lite: Site) -> None:
    for wrong in ("0", "soon"):
        done = lite("advise", "--target-wait", wrong)
        assert is_one_line(done, 78)
        assert "target-wait expects a time of a second or more" in done.err


def test_a_name_that_steers_terminals_is_shown_in_codes(lite: Site, now: datetime) -> None:
    runner(lite, 4)
    due(lite, now, 3, "\x1b[31m\u202email")
    for told in (lite.ok("advise"), lite.ok("advise", "--format", "json"), lite.ok("status")):
        assert "\x1b" not in told
        assert "\u202e" not in told
    assert advised(lite)["obstacle"] == "places are idle"
    assert "\x1b[31m" in advised(lite)["reason"]


def test_a_name_that_is_no_text_is_no_trouble(site: Site, now: datetime) -> None:
    """PHP writes any bytes where the database takes them."""
    runner(site, 4)
    due(site, now, 3, "mail")
    column = "CAST(X'6DE961' AS TEXT)" if "sqlite" in site.dsn else "'m\u00e9a'"
    change(site.store, f"UPDATE wp_actionscheduler_actions SET hook = {column}")
    assert advised(site)["due"] == 3
    assert "workers now      4" in site.ok("advise")
