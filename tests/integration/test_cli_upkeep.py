"""What a single run does for a site that is ours, and what it leaves alone on others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import Site
from factories import insert, make_new
from rows import change, column, log_of
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
RUN = ("claim-and-run", "--handlers", "acts")


@pytest.fixture
def site(dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> Site:
    (tmp_path / "acts.py").write_text(
        "from wpbridge import hook\n\n@hook('a')\ndef a():\n    pass\n", encoding="utf-8"
    )
    return Site(dsn, tmp_path, open_queue(dsn))


def stale(site: Site, count: int = 1) -> list[int]:
    """Actions that a dead runner of PHP's has claimed."""
    now = SystemClock().now()
    ids = insert(site.store, *(make_new("a", now=now) for _ in range(count)), now=now)
    change(
        site.store,
        f"UPDATE {ACTIONS} SET claim_id = 900, last_attempt_gmt = '2026-01-01 00:00:00'",
    )
    return [int(i) for i in ids]


def test_what_it_frees_it_runs(site: Site) -> None:
    ids = stale(site, 600)
    out = site.ok(*RUN, "--owns-site", "--batch-size", "1000")
    assert out.startswith("claimed 600, complete 600, failed 0 in ")
    assert log_of(site.store, ids[-1])[:2] == ["action created", "action reset"]


@pytest.mark.parametrize("word", ["0", "false"])
def test_it_can_be_switched_off(site: Site, word: str) -> None:
    [action_id] = stale(site)
    done = site(*RUN, "--owns-site", env={"WPBRIDGE_UPKEEP": word})
    assert (done.code, column(site.store, "claim_id", action_id)) == (0, 900)


def test_on_a_site_that_is_not_ours_it_is_the_plugins(site: Site) -> None:
    [action_id] = stale(site)
    assert site.ok(*RUN).startswith("claimed 0")
    assert column(site.store, "claim_id", action_id) == 900


def test_who_runs_one_action_by_hand_cares_for_no_other(site: Site) -> None:
    [action_id] = stale(site)
    now = SystemClock().now()
    [wanted] = insert(site.store, make_new("a", now=now), now=now)
    site.ok("run", str(wanted), "--handlers", "acts", "--owns-site")
    assert column(site.store, "status", wanted) == "complete"
    assert column(site.store, "claim_id", action_id) == 900


def test_a_dry_run_changes_nothing(site: Site) -> None:
    [action_id] = stale(site)
    site.ok(*RUN, "--owns-site", "--dry-run")
    assert column(site.store, "claim_id", action_id) == 900


def test_the_rules_of_the_file_count(site: Site) -> None:
    now = SystemClock().now()
    ids = insert(site.store, *(make_new(hook, now=now) for hook in ("mine", "other")), now=now)
    change(
        site.store,
        f"UPDATE {ACTIONS} SET status = 'complete', last_attempt_gmt = '2026-01-01 00:00:00'",
    )
    (site.folder / "wpbridge.toml").write_text(
        '[site]\nowns_site = true\n\n[[retention]]\nhook = "mi*"\nkeep = "forever"\n', "utf-8"
    )
    site.ok(*RUN)
    assert sorted(site.store.counts().items()) == [("complete", 1)]
    assert column(site.store, "hook", ids[0]) == "mine"
