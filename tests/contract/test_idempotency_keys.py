"""The keys of a queue's actions: one for each piece of work, whatever happens to ids and tables."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from factories import NOW, insert, make_new
from rows import change, query
from stores import make_store
from wpbridge.action import Action, NewAction, Status
from wpbridge.migrate.transfer.copying import copy_queue
from wpbridge.migrate.transfer.wishes import Wishes
from wpbridge.queue.facade import Queue
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter, Ending
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
Open = Callable[[str, str], RunnerStore]


def claimed(store: RunnerStore) -> list[Action]:
    claim = store.claim_due(now=NOW, limit=100, only=ClaimFilter())
    return sorted(claim.actions, key=lambda action: action.id) if claim else []


def end(store: RunnerStore, action: Action, *, retry: bool = False) -> None:
    status = Status.PENDING if retry else Status.FAILED
    ending = Ending(action=action, status=status, at=NOW, marked=False, retry_at=NOW)
    assert store.settle([ending], now=NOW, finished=[action.claim_id])


def ran(store: RunnerStore, new: NewAction) -> tuple[int, str]:
    """The id and the key of an action that is added, claimed and ended now."""
    [number] = insert(store, new)
    [action] = claimed(store)
    assert action.id == number
    assert action.idempotency_key
    end(store, action)
    return number, action.idempotency_key


@pytest.fixture
def open_at() -> Iterator[Open]:
    """Open a registered store at a DSN and a prefix."""
    opened: list[RunnerStore] = []

    def open_it(dsn: str, prefix: str = "wp_") -> RunnerStore:
        it = make_store(DatabaseAddress.from_dsn(dsn), prefix)
        opened.append(it)
        it.register(host="here", boot="boot", pid=len(opened), pid_started="1")
        return it

    yield open_it
    for it in opened:
        it.close()


@pytest.fixture
def clone(dsn: str, store: RunnerStore, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Copy the whole database as it is; returns the copy's DSN."""
    made: list[str] = []

    def copy() -> str:
        if store.session.address.driver == "sqlite":
            target = tmp_path / "copy.db"
            shutil.copy(str(store.session.address.path), target)
            return f"sqlite:///{target}"
        old = str(store.session.address.name)
        made.append(f"{old}_copy")
        change(store, f"CREATE DATABASE {made[-1]}")
        for [table] in query(store, "SHOW TABLES"):
            change(store, f"CREATE TABLE {made[-1]}.{table} LIKE {table}")
            change(store, f"INSERT INTO {made[-1]}.{table} SELECT * FROM {table}")
        return dsn.replace(old, made[-1])

    yield copy
    for name in made:
        change(store, f"DROP DATABASE {name}")


def give_out_again(store: RunnerStore, number: int) -> None:
    """Set the counter of ids back, as a restore from a backup does, or a server's restart."""
    if store.session.address.driver == "sqlite":
        change(
            store, "UPDATE sqlite_sequence SET seq = :n WHERE name = :t", n=number - 1, t=ACTIONS
        )
    else:
        change(store, f"ALTER TABLE {ACTIONS} AUTO_INCREMENT = {number}")


def test_a_key_is_the_same_for_every_attempt(store: RunnerStore) -> None:
    insert(store, make_new("charge", args=("a",)))
    [first] = claimed(store)
    end(store, first, retry=True)
    [second] = claimed(store)
    assert second.attempts == first.attempts + 1
    assert second.idempotency_key == first.idempotency_key != ""


def test_a_requeued_action_is_other_work(store: RunnerStore) -> None:
    number, key = ran(store, make_new("charge", args=("a",)))
    with Queue(store.parts, close_store=False) as queue:
        queue.requeue([number])
    claim = store.claim_due(now=NOW + timedelta(days=9999), limit=9, only=ClaimFilter())
    assert claim is not None
    [action] = claim.actions
    [[again]] = query(store, f"SELECT MAX(action_id) FROM {ACTIONS}")
    assert again != number
    assert (action.id, action.hook, action.args) == (again, "charge", b'["a"]')
    assert action.idempotency_key != key


@pytest.mark.parametrize("length", [3, 500])
def test_args_of_any_length_tell_actions_apart(store: RunnerStore, length: int) -> None:
    """Longer ones lie in a column of their own."""
    number, key = ran(store, make_new("charge", args=("a" * length,)))
    change(store, f"DELETE FROM {ACTIONS}")
    give_out_again(store, number)
    assert ran(store, make_new("charge", args=("a" * (length - 1) + "b",))) != (number, key)
    change(store, f"DELETE FROM {ACTIONS}")
    give_out_again(store, number)
    assert ran(store, make_new("charge", args=("a" * length,))) == (number, key)


@pytest.mark.parametrize("other", [make_new("charge", args=("b",)), make_new("mail", args=("a",))])
def test_an_id_that_is_given_out_twice_does_not_give_its_key_away(
    store: RunnerStore, other: NewAction
) -> None:
    number, key = ran(store, make_new("charge", args=("a",)))
    change(store, f"DELETE FROM {ACTIONS}")
    give_out_again(store, number)
    assert ran(store, other)[0] == number
    change(store, f"DELETE FROM {ACTIONS}")
    give_out_again(store, number)
    again, new_key = ran(store, other)
    assert again == number
    assert new_key != key


def test_sqlite_may_use_an_id_again_by_itself(tmp_path: Path, open_at: Open) -> None:
    """Without AUTOINCREMENT, as after some imports, the highest id is used again at once."""
    store = open_at(f"sqlite:///{tmp_path / 'q.db'}", "wp_")
    made = query(
        store,
        "SELECT sql FROM sqlite_master WHERE tbl_name = :t AND sql IS NOT NULL ORDER BY type DESC",
        t=ACTIONS,
    )
    change(store, f"DROP TABLE {ACTIONS}")
    # Under a store that is open: such tables are refused at the next opening.
    for [statement] in made:
        change(store, str(statement).replace(" AUTOINCREMENT", ""))
    number, key = ran(store, make_new("charge", args=("a",)))
    change(store, f"DELETE FROM {ACTIONS} WHERE action_id = :n", n=number)
    again, other = ran(store, make_new("charge", args=("b",)))
    assert again == number
    assert other != key


def test_a_restored_backup_gives_no_old_key_to_other_work(
    store: RunnerStore, clone: Callable[[], str], open_at: Open
) -> None:
    backup = clone()
    lost = ran(store, make_new("charge", args=("a",)))
    restored = open_at(backup, "wp_")
    found = ran(restored, make_new("charge", args=("b",)))
    assert found[0] == lost[0]
    assert found[1] != lost[1]


def test_a_clone_runs_the_very_same_action_under_the_same_key(
    store: RunnerStore, clone: Callable[[], str], open_at: Open
) -> None:
    insert(store, make_new("charge", args=("a",)))
    copy = open_at(clone(), "wp_")
    assert [a.idempotency_key for a in claimed(store)] == [a.idempotency_key for a in claimed(copy)]
    assert ran(store, make_new("charge", args=("b",))) != ran(copy, make_new("charge", args=("c",)))


def test_a_clone_with_an_id_of_its_own_is_another_site(
    store: RunnerStore, clone: Callable[[], str], open_at: Open
) -> None:
    insert(store, make_new("charge", args=("a",)))
    dsn = clone()
    copy = open_at(dsn, "wp_")
    change(copy, "UPDATE wp_wpbridge_site SET value = 'its own' WHERE name = 'site_id'")
    copy = open_at(dsn, "wp_")
    assert claimed(store)[0].idempotency_key != claimed(copy)[0].idempotency_key


def test_two_prefixes_and_two_blogs_of_one_database_share_no_key(dsn: str, open_at: Open) -> None:
    stores = [open_at(dsn, prefix) for prefix in ("wp_", "wp_2_", "wp_3_", "other_")]
    found = [ran(store, make_new("charge", args=("a",))) for store in stores]
    assert len({number for number, _ in found}) == 1
    assert len({key for _, key in found}) == len(stores)


def test_tables_cloned_to_another_prefix_are_another_blog(dsn: str, open_at: Open) -> None:
    one, other = open_at(dsn, "wp_"), open_at(dsn, "wp_2_")
    change(other, "DELETE FROM wp_2_wpbridge_site")
    change(other, "INSERT INTO wp_2_wpbridge_site SELECT * FROM wp_wpbridge_site")
    other = open_at(dsn, "wp_2_")
    assert other.parts.own.facts == one.parts.own.facts
    new = make_new("charge", args=("a",))
    assert ran(one, new)[1] != ran(other, new)[1]


def test_two_databases_share_no_key(tmp_path: Path, store: RunnerStore, open_at: Open) -> None:
    other = open_at(f"sqlite:///{tmp_path / 'other.db'}", "wp_")
    new = make_new("charge", args=("a",))
    assert ran(store, new)[1] != ran(other, new)[1]


def test_a_copied_queue_takes_no_id_of_a_site_with_it(
    tmp_path: Path, store: RunnerStore, open_at: Open
) -> None:
    insert(store, make_new("charge", args=("a",)))
    target = open_at(f"sqlite:///{tmp_path / 'other.db'}", "wp_")
    before = target.parts.own.facts
    done = copy_queue(store.parts, Query(), target.parts, Wishes(now=NOW), lambda *_: None)
    assert done.added == 1
    target.parts.own.look()
    assert target.parts.own.facts == before
    [here], [there] = claimed(store), claimed(target)
    assert (here.hook, here.args) == (there.hook, there.args)
    assert here.idempotency_key != there.idempotency_key
