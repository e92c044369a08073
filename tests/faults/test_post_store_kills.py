"""kill -9 at any moment of a post store's move, again and again: nothing twice, nothing lost.

Once with transactions, and once where the posts have none (MyISAM). The moments are statements: a
child counts what it sends and kills itself before one of them.
"""

import io
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import warm
from conftest import SEEDS
from legacy_store import LegacyStore
from rows import die_before
from stores import open_store
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.moving import PostStore
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

POSTS = 40


def run_until(dsn: str, folder: str, statement: str) -> None:
    """The child: move, and be killed before that statement."""
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    die_before(store, int(statement))
    with Journal(Path(folder) / "journal", kind="post-store", site="kills") as journal:
        PostStore(store.parts, batch_size=7).move(journal, io.StringIO())


def killed(dsn: str, folder: Path, statement: int) -> bool:
    command = [sys.executable, __file__, dsn, str(folder), str(statement)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = warm.run(command, check=False, timeout=300, capture_output=True, text=True, env=env)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def check(legacy: LegacyStore, made: dict[str, str]) -> None:
    """Each action is a post or a row, and has its log rows there."""
    posts = legacy.query("SELECT post_title FROM wp_posts WHERE post_type = 'scheduled-action'")
    rows = legacy.query("SELECT hook FROM wp_actionscheduler_actions WHERE hook LIKE 'hook%'")
    here, there = {str(r[0]) for r in posts}, [str(r[0]) for r in rows]
    assert len(there) == len(set(there))
    assert here | set(there) == set(made)


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_twice_and_nothing_is_lost(
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
    tmp_path: Path,
    engine: str,
    seed: int,
) -> None:
    store = open_queue(mysql_dsn)
    legacy = LegacyStore(store, engine=engine)
    made = legacy.fill(seed, POSTS)
    logs = legacy.count("comments")
    choose = random.Random(seed)  # noqa: S311 - reproducible
    kills = 0
    for _ in range(12):
        # The first thirty or so look at the tables and do no harm yet.
        was_killed = killed(mysql_dsn, tmp_path, choose.randrange(25, 110))
        kills += was_killed
        check(legacy, made)
    assert kills
    with Journal(tmp_path / "journal", kind="post-store", site="kills") as journal:
        done = PostStore(store.parts, batch_size=7).move(journal, io.StringIO())
    assert done.is_complete, done
    assert legacy.count("actionscheduler_actions", "hook LIKE 'hook%'") == POSTS
    for table in ("posts", "postmeta", "comments", "term_relationships"):
        assert legacy.count(table) == 0
    extra = sum(status in ("trash", "in-progress") for status in made.values())
    assert legacy.count("actionscheduler_logs", "message LIKE 'row %'") == logs
    moved = "message LIKE 'Migrated action with ID %'"
    assert legacy.count("actionscheduler_logs", moved) == POSTS
    own = "message NOT LIKE 'row %' AND message NOT LIKE 'Migrated %'"
    assert legacy.count("actionscheduler_logs", own) == extra
    assert legacy.count("wpbridge_keys") == 0
    steps = (tmp_path / "journal").read_text("utf-8").splitlines()
    assert "end" in json.loads(steps[-1])


if __name__ == "__main__":
    run_until(*sys.argv[1:])
