"""``migrate post-store`` from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import Site
from legacy_store import LegacyStore
from wpbridge.clock import SystemClock
from wpbridge.store.posts import exclusive as alone
from wpbridge.store.running.runner_store import RunnerStore

JOURNAL = "moved.journal"
MOVE = ("migrate", "post-store", "--journal", JOURNAL)
UNDO = ("migrate", "post-store", "--undo", JOURNAL)


@pytest.fixture
def legacy(site: Site) -> LegacyStore:
    return LegacyStore(site.store)


def test_a_dry_run_shows_and_changes_nothing(site: Site, legacy: LegacyStore) -> None:
    legacy.post("send_mail", args="[17]", attempts=1)
    legacy.post("broken", args="{")
    done = site(*MOVE, "--dry-run")
    assert done.code == 1
    assert done.lines == [
        "e.g. post 1: send_mail [17], 2026-03-01T10:00:00Z, pending to pending, 1 log row",
        "would move 1 action (1 pending); 1 left",
    ]
    assert "would be left: 1: its args cannot be read" in done.err
    assert legacy.count("posts") == 2
    assert not (site.folder / JOURNAL).exists()


def test_it_moves_and_says_what_to_flush(site: Site, legacy: LegacyStore) -> None:
    legacy.post("one", status="publish")
    legacy.post("two")
    done = site(*MOVE)
    assert done.code == 0
    words = "moved 2 actions (1 pending, 1 complete); the migration is marked complete"
    assert done.lines == [words]
    assert "wp cache flush" in done.err
    steps = [json.loads(line) for line in (site.folder / JOURNAL).read_text("utf-8").splitlines()]
    assert [step["moved"] for step in steps if "moved" in step] == [{"2": 1001}, {"1": 1002}]
    assert "end" in steps[-1]


def test_what_is_left_is_in_the_side_file_until_it_is_mended(
    site: Site, legacy: LegacyStore
) -> None:
    legacy.post("broken", args="{")
    side = site.folder / f"{JOURNAL}.left"
    for _ in range(2):
        done = site(*MOVE, "--format", "json")
        assert (done.code, json.loads(done.out)["complete"]) == (1, False)
        assert [json.loads(line)["hook"] for line in side.read_text("utf-8").splitlines()] == [
            "broken"
        ]
    legacy.run("UPDATE wp_posts SET post_content = '[1]'")
    assert site(*MOVE).code == 0
    assert not side.exists()


def test_runners_of_phps_are_refused_unless_forced(site: Site, legacy: LegacyStore) -> None:
    legacy.post("held", claim="0123", modified=SystemClock().now())
    legacy.post("free")
    done = site(*MOVE)
    assert done.code == 75
    assert done.err.count("\n") == 1
    assert "--force" in done.err
    assert legacy.count("posts") == 2
    done = site(*MOVE, "--force")
    assert (done.code, legacy.count("posts")) == (1, 1)


def test_many_posts_are_moved_only_when_told(site: Site, legacy: LegacyStore) -> None:
    legacy.fill(1, 101)
    assert site(*MOVE).code == 2
    assert legacy.count("posts") == 101
    assert site(*MOVE, "--yes", "--in-progress", "failed").code == 0
    assert legacy.count("posts") == 0


def test_a_journal_of_another_site_is_refused(site: Site, legacy: LegacyStore) -> None:
    (site.folder / JOURNAL).write_text(
        '{"journal": 1, "kind": "post-store", "site": "other", "asked": {}}\n', "utf-8"
    )
    legacy.post("one")
    done = site(*MOVE)
    assert (done.code, legacy.count("posts")) == (2, 1)


def test_where_there_is_no_wordpress_it_says_so(site: Site) -> None:
    done = site(*MOVE)
    assert done.code == 78
    assert "wp_posts" in done.err


def test_while_another_moves_them_it_is_refused(
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alone, "WAIT_SECONDS", 0)
    site = Site(mysql_dsn, tmp_path, open_queue(mysql_dsn))
    legacy = LegacyStore(site.store)
    legacy.post("one")
    with alone.Alone(site.store.parts).locked():
        done = site(*MOVE)
        assert (done.code, done.err.count("\n")) == (75, 1), done
        assert "wait for its end" in done.err
        assert legacy.count("posts") == 1
    assert site(*MOVE).code == 0
    assert site(*UNDO, "--yes").code == 0
    with alone.Alone(site.store.parts).locked():
        again = site(*MOVE, "--journal", "second.journal")
    assert (again.code, legacy.count("posts")) == (75, 1)
