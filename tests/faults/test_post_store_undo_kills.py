"""kill -9 at any moment of a post store's move or of its way back: afterwards all is as it was.

Once with transactions, and once where the posts have none (MyISAM). The moments are statements: a
child counts what it sends and kills itself before one of them.
"""

import io
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import warm
from conftest import SEEDS
from legacy_store import LegacyStore, snapshot
from rows import die_before
from stores import open_store
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.moving import PostStore
from wpbridge.migrate.post_store.undo import Undo
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

POSTS = 40
KILLS = 6


def run_until(dsn: str, folder: str, deed: str, statement: str) -> None:
    """The child: move or undo, and be killed before that statement."""
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    it = PostStore(store.parts, batch_size=7)
    with Journal(Path(folder) / "journal", kind="post-store", site="kills") as journal:
        way = Undo(store.parts, journal) if deed == "undo" else None
        die_before(store, int(statement))
        if way is None:
            it.move(journal, io.StringIO())
        else:
            way.run()


class Site:
    """A post store, and what children do to it."""

    def __init__(self, dsn: str, folder: Path, store: RunnerStore, engine: str) -> None:
        self.dsn = dsn
        self.folder = folder
        self.store = store
        self.legacy = LegacyStore(store, engine=engine)

    def is_killed(self, deed: str, statement: int) -> bool:
        command = [sys.executable, __file__, self.dsn, str(self.folder), deed, str(statement)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = warm.run(command, check=False, timeout=300, capture_output=True, text=True, env=env)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode != 0

    def undo(self) -> tuple[int, int, bool]:
        """What was put back, what stood there, and whether all is well."""
        with Journal(self.folder / "journal", kind="post-store", site="kills") as journal:
            done = Undo(self.store.parts, journal).run()
        assert (done.stayed, done.taken, done.gone, done.damaged) == (0, 0, 0, 0)
        return done.restored, done.present, done.is_good

    def hooks(self, table: str, kind: str = "") -> list[str]:
        """Of posts of a type, or of actions."""
        name = "post_title" if kind else "hook"
        where = f"post_type = '{kind}'" if kind else "hook LIKE 'hook%'"
        rows = self.legacy.query(f"SELECT {name} FROM wp_{table} WHERE {where}")
        return [str(row[0]) for row in rows]

    def has_nothing_of_an_action(self) -> bool:
        self.store.parts.own.look()
        tables = ["actionscheduler_actions", "actionscheduler_logs"]
        tables += ["wpbridge_keys"] * self.store.parts.own.has(self.store.names.keys)
        return not any(self.legacy.count(table) for table in tables)


@pytest.fixture(params=["InnoDB", "MyISAM"])
def site(
    request: pytest.FixtureRequest,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
    tmp_path: Path,
) -> Site:
    return Site(mysql_dsn, tmp_path, open_queue(mysql_dsn), str(request.param))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_killed_move_did_is_undone(site: Site, seed: int) -> None:
    site.legacy.fill(seed, POSTS)
    before = snapshot(site.store)
    choose = random.Random(seed)  # noqa: S311 - reproducible
    kills = sum(site.is_killed("move", choose.randrange(5, 90)) for _ in range(KILLS))
    assert kills
    moved = site.legacy.count("actionscheduler_actions")
    assert moved
    restored, _, is_good = site.undo()
    assert (restored, is_good) == (moved, True)
    assert snapshot(site.store) == before
    assert site.has_nothing_of_an_action()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_way_back_goes_on(site: Site, seed: int) -> None:
    made = site.legacy.fill(seed, POSTS)
    before = snapshot(site.store)
    assert not site.is_killed("move", 1_000_000)
    choose = random.Random(seed)  # noqa: S311 - reproducible
    kills = 0
    for _ in range(KILLS):
        kills += site.is_killed("undo", choose.randrange(5, 90))
        posts = site.hooks("posts", "scheduled-action")
        hidden = site.hooks("posts", "wpbridge-undo")
        actions = site.hooks("actionscheduler_actions")
        assert not set(posts) & set(actions)
        assert sorted({*posts, *hidden, *actions}) == sorted(made)
        # One batch at most is under way.
        assert len(hidden) <= 7
    assert kills
    restored, present, is_good = site.undo()
    assert (restored + present, is_good) == (POSTS, True)
    assert snapshot(site.store) == before
    assert site.has_nothing_of_an_action()


if __name__ == "__main__":
    run_until(*sys.argv[1:])
