"""Posts without transactions: the actions come first, under a key, and the posts go after them."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from legacy_store import LegacyStore
from wpbridge.action import ActionId
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.poststore import PostStore, Summary
from wpbridge.store.sqlstore import SqlStore


@pytest.fixture
def plain(mysql_dsn: str, open_queue: Callable[[str], SqlStore]) -> SqlStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def legacy(plain: SqlStore) -> LegacyStore:
    return LegacyStore(plain, engine="MyISAM")


class Between(Journal):
    """A journal that lets something happen between the actions' commit and the posts' deletion."""

    happens: Callable[[Mapping[str, ActionId]], None]

    def add(self, step: Mapping[str, object]) -> None:
        super().add(step)
        if "copied" in step:
            self.happens(step["copied"])  # type: ignore[arg-type]


def move(
    plain: SqlStore, folder: Path, happens: Callable[[Mapping[str, ActionId]], None]
) -> Summary:
    with Between(folder / "journal", kind="post-store", site="test") as journal:
        journal.happens = happens
        return PostStore(plain).move(journal, io.StringIO())


def test_actions_are_there_before_their_posts_are_gone(
    legacy: LegacyStore, plain: SqlStore, tmp_path: Path
) -> None:
    legacy.post("one", group="alpha")
    seen: list[tuple[int, int, int]] = []

    def happens(_copied: object) -> None:
        names = ("posts", "actionscheduler_actions", "wpbridge_keys")
        posts, actions, keys = (legacy.count(name) for name in names)
        seen.append((posts, actions, keys))

    assert move(plain, tmp_path, happens).is_complete
    assert seen == [(1, 1, 1)]
    assert (legacy.count("posts"), legacy.count("wpbridge_keys")) == (0, 0)


def test_the_action_of_a_post_that_is_changed_then_is_taken_back(
    legacy: LegacyStore, plain: SqlStore, tmp_path: Path
) -> None:
    post = legacy.post("one")

    def happens(_copied: object) -> None:
        legacy.run("UPDATE wp_posts SET post_status = 'publish' WHERE ID = :i", i=post)

    done = move(plain, tmp_path, happens)
    assert done.left == {"somebody changed it while it was moved": 1}
    assert legacy.count("posts") == 1
    for table in ("actionscheduler_actions", "actionscheduler_logs", "wpbridge_keys"):
        assert legacy.count(table) == 0
    assert move(plain, tmp_path, lambda _: None).moved == {"complete": 1}


def test_an_action_that_was_begun_then_is_not_taken_back(
    legacy: LegacyStore, plain: SqlStore, tmp_path: Path
) -> None:
    post = legacy.post("one")

    def happens(_copied: object) -> None:
        legacy.run("UPDATE wp_posts SET post_status = 'publish' WHERE ID = :i", i=post)
        legacy.run("UPDATE wp_actionscheduler_actions SET attempts = 1")

    done = move(plain, tmp_path, happens)
    assert done.left == {"somebody changed it while it was moved, and its action 1001 has run": 1}
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (1, 1)


# What a reviewer found; it fails


def test_of_two_moves_at_once_none_takes_the_others_actions_back(
    legacy: LegacyStore,
    plain: SqlStore,
    mysql_dsn: str,
    tmp_path: Path,
    open_queue: Callable[[str], SqlStore],
) -> None:
    """The second finds the key and deletes the post; to the first it is "changed"."""
    legacy.post("one")
    beside = open_queue(mysql_dsn)

    def happens(_copied: object) -> None:
        with Journal(tmp_path / "second", kind="post-store", site="test") as journal:
            PostStore(beside).move(journal, io.StringIO())

    move(plain, tmp_path, happens)
    assert legacy.count("posts") + legacy.count("actionscheduler_actions") == 1
