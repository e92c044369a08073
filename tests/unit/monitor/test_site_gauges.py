"""The metrics of many sites: some for each, and one alone for a site that is bad."""

from datetime import UTC, datetime, timedelta

import pytest

from wpbridge.monitor import site_gauges
from wpbridge.monitor.followed_sites import Followed
from wpbridge.monitor.site_gauges import numbers_of
from wpbridge.monitor.site_look import SiteLook
from wpbridge.telling.exposition import text_of_sites

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def look(name: str, *, problem: str = "", ago: float = 1.0) -> SiteLook:
    return SiteLook(
        name=name,
        at=NOW - timedelta(seconds=ago),
        problem=problem,
        due=3,
        oldest_due=NOW - timedelta(seconds=90),
        failed_rows=2,
        last_runs={"php": NOW - timedelta(seconds=30)},
    )


def followed(*looks: SiteLook) -> Followed:
    return Followed(
        places={one.name: "list" for one in looks}, looks={one.name: (one,) for one in looks}
    )


def test_a_site_tells_its_numbers_under_its_name() -> None:
    text = text_of_sites(numbers_of(followed(look("a"), look("b")), NOW)).decode()
    told = [line for line in text.splitlines() if 'site="a"' in line]
    assert told == [
        'wpbridge_actions{site="a",status="failed"} 2.0',
        'wpbridge_due_actions{group="other",site="a"} 3.0',
        'wpbridge_oldest_due_age_seconds{group="other",site="a"} 90.0',
        'wpbridge_last_run_timestamp_seconds{runner="php",site="a"} 1.77232317e+09',
        'wpbridge_scrape_success{site="a"} 1.0',
    ]
    assert text.count("# TYPE wpbridge_due_actions gauge") == 1


@pytest.mark.parametrize("bad", [look("a", problem="away"), look("a", ago=301)])
def test_a_site_that_was_not_looked_at_says_only_that(bad: SiteLook) -> None:
    found = numbers_of(followed(bad), NOW)
    assert found["a"].values == {("wpbridge_scrape_success", ()): 0.0}


def test_so_many_sites_have_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_gauges, "MOST_SITES", 2)
    assert list(numbers_of(followed(look("a"), look("b"), look("c")), NOW)) == ["a", "b"]


def test_a_look_goes_through_json_as_it_is() -> None:
    assert SiteLook.from_json(look("a").to_json()) == look("a")
