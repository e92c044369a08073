"""Clusters refuse GET_LOCK. What is done under a named lock elsewhere is done there without it."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factories import insert, make_new, whole
from legacy_store import LegacyStore
from refusing import GALERA, PXC, refusing
from rows import change, query
from servers import MariaDB
from wpbridge.errors import StoreError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.moving import PostStore
from wpbridge.migrate.post_store.undo import Undo
from wpbridge.store.posts.posts import Posts
from wpbridge.store.running.runner_store import RunnerStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(params=[PXC, GALERA])
def store(
    request: pytest.FixtureRequest,
    mariadb: MariaDB,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
) -> Iterator[RunnerStore]:
    database = mysql_dsn.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
    with refusing(mariadb.socket, {b"GET_LOCK(": request.param}) as port:
        yield open_queue(f"mysql://root@127.0.0.1:{port}/{database}")


def slugs(store: RunnerStore) -> list[object]:
    return [row[0] for row in query(store, "SELECT slug FROM wp_actionscheduler_groups")]


def test_groups_are_made_once(store: RunnerStore) -> None:
    insert(store, make_new(group="new"), make_new(group="new"), make_new(group=""))
    again = insert(store, make_new(group="new"), make_new(group="other"))
    assert sorted(map(str, slugs(store))) == ["", "new", "other"]
    [row] = query(
        store,
        "SELECT slug FROM wp_actionscheduler_actions JOIN wp_actionscheduler_groups"
        " USING (group_id) WHERE action_id = :id",
        id=again[1],
    )
    assert row[0] == "other"


def test_a_group_that_another_made_meanwhile_is_taken(store: RunnerStore) -> None:
    groups = store.parts.groups
    first = groups.ensure("mail")
    # As if the look before had been older than that.
    assert groups._made("mail") == first
    assert slugs(store) == ["mail"]


def test_two_writers_at_the_same_moment_make_one_row(
    store: RunnerStore, open_queue: Callable[[str], RunnerStore]
) -> None:
    other = open_queue(store.session.address.safe)
    start = threading.Barrier(2)

    def make(one: RunnerStore) -> list[int]:
        made = []
        for number in range(20):
            start.wait(timeout=300)
            made.append(one.parts.groups._made(f"group {number}"))
        return made

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(make, (store, other))
    assert first == second
    assert len(slugs(store)) == 20


def test_a_new_group_waits_for_no_writer_of_another(
    store: RunnerStore, open_queue: Callable[[str], RunnerStore]
) -> None:
    old = store.parts.groups.ensure("old")
    other = open_queue(store.session.address.safe)
    change(store, "SET SESSION innodb_lock_wait_timeout = 1")
    change(other, "START TRANSACTION")
    lock = "SELECT 1 FROM wp_actionscheduler_groups WHERE group_id = :id FOR UPDATE"
    query(other, lock, id=old)
    store.parts.groups.ensure("new")
    change(other, "ROLLBACK")
    assert sorted(map(str, slugs(store))) == ["new", "old"]


def test_an_import_makes_its_groups(store: RunnerStore) -> None:
    row = whole(id=1, schedule="", group="imported")
    [fate] = store.parts.bulk.add([("0" * 64, row)], unique=False, now=NOW)
    assert fate.is_new
    assert slugs(store) == ["imported"]


def test_posts_are_moved_and_put_back(store: RunnerStore, tmp_path: Path) -> None:
    legacy = LegacyStore(store)
    post = legacy.post("one", group="alpha")
    with Journal(tmp_path / "journal", kind="post-store", site="test") as journal:
        assert PostStore(store.parts).move(journal, io.StringIO()).moved
    assert legacy.count("posts") == 0
    with Journal(tmp_path / "journal", kind="post-store", site="test") as journal:
        Undo(store.parts, journal).run()
    assert legacy.count("posts", f"ID = {post}") == 1


def test_two_who_move_posts_wait_for_each_other(store: RunnerStore) -> None:
    LegacyStore(store)
    posts = Posts(store.parts)
    counts = "SELECT value FROM wp_wpbridge_site WHERE name = 'posts_moves'"
    with posts.alone.locked():
        posts.alone.transact(lambda _: None)
        posts.alone.transact(lambda _: None)
    # Each piece writes one common row: a cluster lets only one of two at a time come through.
    assert query(store, counts) == [("2",)]


def test_posts_without_transactions_are_refused(store: RunnerStore) -> None:
    LegacyStore(store, engine="MyISAM")
    alone = Posts(store.parts).alone
    with alone.locked(), pytest.raises(StoreError, match=r"GET_LOCK.*MyISAM"):
        alone.run(lambda _: None)
