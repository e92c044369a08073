"""Posts without transactions: the actions come first, under a key, and the posts go after them."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from legacy_store import LegacyStore
from rows import change, query
from sent import listen
from wpbridge.action import ActionId
from wpbridge.errors import Contention
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.moving import PostStore, Summary
from wpbridge.migrate.post_store.undo import Undo, Undone
from wpbridge.store.posts import exclusive as alone
from wpbridge.store.running.runner_store import RunnerStore


@pytest.fixture
def plain(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def legacy(plain: RunnerStore) -> LegacyStore:
    return LegacyStore(plain, engine="MyISAM")


class Between(Journal):
    """A journal that lets something happen between the actions' commit and the posts' deletion."""

    happens: Callable[[Mapping[str, ActionId]], None]

    def add(self, step: Mapping[str, object]) -> None:
        super().add(step)
        if "copied" in step:
            self.happens(step["copied"])  # type: ignore[arg-type]


def move(
    plain: RunnerStore, folder: Path, happens: Callable[[Mapping[str, ActionId]], None]
) -> Summary:
    with Between(folder / "journal", kind="post-store", site="test") as journal:
        journal.happens = happens
        return PostStore(plain.parts).move(journal, io.StringIO())


def test_actions_are_there_before_their_posts_are_gone(
    legacy: LegacyStore, plain: RunnerStore, tmp_path: Path
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
    legacy: LegacyStore, plain: RunnerStore, tmp_path: Path
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
    legacy: LegacyStore, plain: RunnerStore, tmp_path: Path
) -> None:
    post = legacy.post("one")

    def happens(_copied: object) -> None:
        legacy.run("UPDATE wp_posts SET post_status = 'publish' WHERE ID = :i", i=post)
        legacy.run("UPDATE wp_actionscheduler_actions SET attempts = 1")

    done = move(plain, tmp_path, happens)
    assert done.left == {"somebody changed it while it was moved, and its action 1001 has run": 1}
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (1, 1)


# Two at once


class Killed(Exception):
    """A process ends here."""


@pytest.fixture
def beside(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore], monkeypatch: pytest.MonkeyPatch
) -> RunnerStore:
    """Another process. A server needs a moment until it knows that a connection is gone."""
    monkeypatch.setattr(alone, "WAIT_SECONDS", 60)
    return open_queue(mysql_dsn)


def lose(plain: RunnerStore, beside: RunnerStore) -> None:
    """The connection, and with it what it had locked."""
    mine = query(plain, "SELECT CONNECTION_ID()")[0][0]
    change(beside, f"KILL {mine}")


def second(beside: RunnerStore, folder: Path) -> Summary:
    with Journal(folder / "second", kind="post-store", site="test") as journal:
        return PostStore(beside.parts).move(journal, io.StringIO())


def back(store: RunnerStore, folder: Path, name: str = "second") -> Undone:
    with Journal(folder / name, kind="post-store", site="test") as journal:
        return Undo(store.parts, journal).run()


@pytest.mark.parametrize("deed", [second, back])
def test_nobody_moves_posts_beside_another(
    legacy: LegacyStore,
    plain: RunnerStore,
    beside: RunnerStore,
    tmp_path: Path,
    deed: Callable[[RunnerStore, Path], object],
) -> None:
    legacy.post("one")
    refused = []

    def happens(_copied: object) -> None:
        with pytest.MonkeyPatch.context() as at_once:
            at_once.setattr(alone, "WAIT_SECONDS", 0)
            with pytest.raises(Contention, match="moved already") as error:
                deed(beside, tmp_path)
        refused.append(str(error.value))

    assert move(plain, tmp_path, happens).is_complete
    assert len(refused) == 1
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (0, 1)
    # And afterwards it may.
    deed(beside, tmp_path)


def test_of_two_moves_none_takes_the_others_actions_back(
    legacy: LegacyStore, plain: RunnerStore, beside: RunnerStore, tmp_path: Path
) -> None:
    """The first loses its connection, and the second ends what it began."""
    legacy.post("one")

    def happens(_copied: object) -> None:
        lose(plain, beside)
        assert second(beside, tmp_path).moved == {"resumed": 1}

    done = move(plain, tmp_path, happens)
    assert (done.moved, done.is_good) == ({"pending": 1}, True)
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (0, 1)
    assert legacy.count("wpbridge_keys") == 0
    assert back(plain, tmp_path, "journal").restored == 1
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (1, 0)


def test_nor_those_of_one_that_died_when_the_posts_were_gone(
    legacy: LegacyStore, plain: RunnerStore, beside: RunnerStore, tmp_path: Path
) -> None:
    legacy.post("one")

    def killed(*told: object) -> None:
        if str(told[0]).startswith("DELETE FROM wp_wpbridge_keys"):
            raise Killed

    def happens(_copied: object) -> None:
        lose(plain, beside)
        listen(beside.session, "before", killed)
        with pytest.raises(Killed):
            second(beside, tmp_path)
        beside.close()

    done = move(plain, tmp_path, happens)
    assert (done.moved, done.is_good) == ({"pending": 1}, True)
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (0, 1)
    assert legacy.count("wpbridge_keys") == 0


def test_a_post_that_was_put_back_meanwhile_is_not_deleted(
    legacy: LegacyStore, plain: RunnerStore, beside: RunnerStore, tmp_path: Path
) -> None:
    """The first loses its connection, and an undo comes before it has another."""
    legacy.post("one")

    def happens(_copied: object) -> None:
        lose(plain, beside)
        assert back(beside, tmp_path).restored == 1

    done = move(plain, tmp_path, happens)
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (1, 0)
    assert legacy.count("postmeta") == 1
    assert done.left == {"somebody changed it while it was moved": 1}


@pytest.mark.parametrize("table", ["posts", "wpbridge_keys"])
def test_a_lost_answer_to_a_deletion_loses_no_action(
    legacy: LegacyStore, plain: RunnerStore, beside: RunnerStore, tmp_path: Path, table: str
) -> None:
    """Done again, it finds the posts gone, and knows that it was the one who deleted them."""
    legacy.post("one")
    left = ["once"]

    def lost(*told: object) -> None:
        if left and str(told[0]).startswith(f"DELETE FROM wp_{table}"):
            left.clear()
            raise plain.session._engine.driver.error(2013, "Lost connection during query")

    listen(plain.session, "after", lost)
    done = move(plain, tmp_path, lambda _: None)
    assert left == []
    assert (done.moved, done.is_complete) == ({"pending": 1}, True)
    assert (legacy.count("posts"), legacy.count("actionscheduler_actions")) == (0, 1)
    assert legacy.count("wpbridge_keys") == 0
