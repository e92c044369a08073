"""Our own tables come forward: from those of 0.1, on first use, by several at once, or not at all."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import tables_of_0_1
from conftest import execute
from factories import NOW, insert, make_new
from heard import heard
from rows import change, query
from servers import MariaDB
from stores import make_store, open_store, way_of
from tables_of_0_1 import key_of_0_1
from wpbridge.action import Action
from wpbridge.errors import SchemaError, StoreError
from wpbridge.executors.handler_calls import context_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure import old_keys, own_steps, own_tables
from wpbridge.store.structure.creation import create_tables
from wpbridge.store.structure.own_steps import VERSION, Place, Step

ACTIONS = "wp_actionscheduler_actions"
SITE = "wp_wpbridge_site"
Open = Callable[[], RunnerStore]


@pytest.fixture
def queue_of_0_1(dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    """The tables of 0.1, and four actions: one was attempted, one is in progress, one is done."""
    it = open_queue(dsn)
    tables_of_0_1.lay(it)
    ids = insert(it, *[make_new("charge", args=(n,)) for n in range(4)])
    change(it, f"UPDATE {ACTIONS} SET attempts = 2 WHERE action_id = :i", i=ids[0])
    for status, number in (("in-progress", ids[1]), ("complete", ids[2])):
        change(it, f"UPDATE {ACTIONS} SET status = :s WHERE action_id = :i", s=status, i=number)
    return it


def register(store: RunnerStore) -> RunnerStore:
    store.register(host="here", boot="boot", pid=1, pid_started="1")
    return store


def claimed(store: RunnerStore) -> list[Action]:
    claim = store.claim_due(now=NOW, limit=100, only=ClaimFilter())
    return sorted(claim.actions, key=lambda action: action.id) if claim else []


def told(action: Action, site: str) -> str:
    """The key that a handler of a runner with this name for the site is told."""
    context = context_of(
        action,
        [],
        site=site,
        now=lambda: NOW,
        lines=[],
        steps=[],
        open_queue=None,
        limit=None,
        stopping=lambda: False,
    )
    return context.idempotency_key


def facts(store: RunnerStore) -> dict[str, str]:
    return {str(n): str(v) for n, v in query(store, f"SELECT name, value FROM {SITE}")}


def test_what_was_queued_under_0_1_keeps_its_key(queue_of_0_1: RunnerStore, again: Open) -> None:
    change(queue_of_0_1, f"UPDATE {ACTIONS} SET status = 'pending' WHERE status = 'in-progress'")
    store = register(again())
    old = claimed(store)
    assert len(old) == 3
    for site in ("/var/www/html", "mysql://bob@h/d"):
        assert [told(a, site) for a in old] == [key_of_0_1(site, a.id) for a in old]
    insert(store, make_new("charge", args=(9,)))
    [new] = claimed(store)
    assert told(new, "/var/www/html") == told(new, "mysql://bob@h/d")
    assert told(new, "/var/www/html") != key_of_0_1("/var/www/html", new.id)


def test_what_was_in_progress_keeps_its_key_when_it_is_put_back(
    queue_of_0_1: RunnerStore, again: Open
) -> None:
    store = register(again())
    change(queue_of_0_1, f"UPDATE {ACTIONS} SET status = 'pending' WHERE status = 'in-progress'")
    assert all(told(a, "s") == key_of_0_1("s", a.id) for a in claimed(store))


def test_an_old_key_is_the_works_and_not_the_ids(queue_of_0_1: RunnerStore, again: Open) -> None:
    """The id of a deleted action may be given out again, below the mark too."""
    store = register(again())
    [[number]] = query(store, f"SELECT MAX(action_id) FROM {ACTIONS}")
    change(store, f"UPDATE {ACTIONS} SET args = '[77]' WHERE action_id = :i", i=number)
    [first, other] = claimed(store)
    assert other.id == number
    assert told(first, "s") == key_of_0_1("s", first.id)
    assert told(other, "s") != key_of_0_1("s", other.id)


def test_a_new_site_never_had_old_keys(dsn: str, open_queue: Callable[[str], RunnerStore]) -> None:
    """Whoever makes the first of our tables gives the id: a queue that was filled before, too."""
    store = open_queue(dsn)
    store.parts.own.drop()
    insert(store, make_new("charge"))
    with Queue(store.parts, close_store=False) as queue:
        queue.enqueue(Enqueue(hook="keyed", key="k"))
    register(store)
    assert facts(store)["old_keys_until"] == "0"
    assert all(action.idempotency_key for action in claimed(store))


def init(store: RunnerStore) -> None:
    create_tables(way_of(store), everything=True)


def enqueue(store: RunnerStore) -> None:
    with Queue(store.parts, close_store=False) as queue:
        queue.enqueue(Enqueue(hook="keyed", key="k"))


@pytest.mark.parametrize("deed", [init, enqueue, register])
def test_tables_come_forward_on_first_use(
    queue_of_0_1: RunnerStore, again: Open, deed: Callable[[RunnerStore], None]
) -> None:
    assert queue_of_0_1.parts.own.version == 1
    store = again()
    assert store.parts.own.version == 1
    deed(store)
    later = again()
    assert later.parts.own.version == VERSION
    before = facts(later)
    deed(later)
    assert facts(later) == before


def test_what_came_forward_is_what_a_new_site_gets(
    queue_of_0_1: RunnerStore, again: Open, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = again()
    register(store)
    # A runner makes what runners need.
    store.parts.own.ensure()
    come = definitions(queue_of_0_1)
    queue_of_0_1.parts.own.drop()
    assert come == definitions(open_queue(dsn))


def definitions(store: RunnerStore) -> dict[str, tuple[list[str], list[list[str]]]]:
    dialect = store.parts.dialect
    return {
        table: store.session.run(
            lambda c, t=table: (  # type: ignore[misc]
                dialect.columns(c, t),
                sorted(dialect.indexes(c, t).values()),
            )
        )
        for table in store.names.own
    }


def test_looking_brings_nothing_forward(queue_of_0_1: RunnerStore, again: Open) -> None:
    info = again().parts.info
    assert info.writable
    [told] = [note for note in info.notes if "own tables" in note]
    assert "version 1" in told
    assert "wpbridge init" in told
    assert again().parts.own.version == 1
    init(queue_of_0_1)
    assert not [note for note in again().parts.info.notes if "own tables" in note]


def test_of_several_who_give_the_id_one_counts(queue_of_0_1: RunnerStore, again: Open) -> None:
    stores = [again() for _ in range(6)]
    barrier = threading.Barrier(len(stores))

    def go(store: RunnerStore) -> str:
        barrier.wait()
        register(store)
        found = store.parts.own.facts
        assert found is not None
        return found.site_id

    with ThreadPoolExecutor(len(stores)) as pool:
        assert {*pool.map(go, stores)} == {facts(queue_of_0_1)["site_id"]}


def test_of_several_who_begin_a_site_one_counts(dsn: str, again: Open) -> None:
    again_stores = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
    again_stores.parts.own.drop()
    again_stores.close()
    test_of_several_who_give_the_id_one_counts(again(), again)


def test_a_long_queue_gives_signs_while_it_is_noted(
    queue_of_0_1: RunnerStore, again: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor takes a worker that is silent for a minute for hung."""
    monkeypatch.setattr(old_keys, "_PORTION", 1)
    store = again()
    signs: list[float] = []
    store.session.pause = signs.append
    init(store)
    assert signs == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("is_old", [True, False])
def test_a_server_that_forgets_the_id_brings_no_old_keys_back(
    queue_of_0_1: RunnerStore, again: Open, is_old: bool
) -> None:
    """A row is forgotten in a crash of the server sooner than a table is."""
    if not is_old:
        queue_of_0_1.parts.own.drop()
        change(queue_of_0_1, f"DELETE FROM {ACTIONS}")
    store = register(again())
    [new] = insert(store, make_new("charge", args=("new",)))
    change(store, f"DELETE FROM {SITE}")
    register(store)
    assert facts(store)["version"] == str(VERSION)
    found = claimed(store)
    assert [a.id for a in found if a.idempotency_key] == [new]
    assert len(found) == (3 if is_old else 1)
    assert again().parts.own.facts == store.parts.own.facts


def test_a_crash_before_the_table_leaves_a_queue_of_0_1(
    queue_of_0_1: RunnerStore, again: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runners may go on, and what they add has old keys, too."""

    def crash(_place: Place) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(old_keys, "note_queued", crash)
        with pytest.raises(ZeroDivisionError):
            register(again())
    assert again().parts.own.version == 1
    insert(queue_of_0_1, make_new("charge", args=("added by 0.1",)))
    found = claimed(register(again()))
    assert [told(a, "s") for a in found] == [key_of_0_1("s", a.id) for a in found]
    assert len(found) == 3


def test_a_crash_between_the_table_and_the_id_loses_no_old_key(
    queue_of_0_1: RunnerStore, again: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(own_steps, "begin", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            register(again())
    [new] = insert(queue_of_0_1, make_new("charge", args=("new",)))
    store = register(again())
    assert [a.id for a in claimed(store) if a.idempotency_key] == [new]


# Later releases


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Be a release with one more step, which adds a column."""

    def be(*, breaks: bool = False) -> None:
        def widen(place: Place) -> None:
            columns = place.session.run(lambda c: place.dialect.columns(c, place.names.suspects))
            if "note" not in columns:
                change_of(place, f"ALTER TABLE {place.names.suspects} ADD COLUMN note varchar(9)")

        steps = (*own_steps.STEPS, Step(version=VERSION + 1, take=widen, breaks=breaks))
        monkeypatch.setattr(own_steps, "STEPS", steps)
        monkeypatch.setattr(own_tables, "VERSION", VERSION + 1)

    return be


def change_of(place: Place, statement: str) -> None:
    place.session.run(lambda c: c.exec_driver_sql(statement))


@pytest.mark.parametrize("start", ["0.1", "now"])
def test_the_next_release_goes_on_from_any_version(
    queue_of_0_1: RunnerStore, again: Open, next_release: Callable[..., None], start: str
) -> None:
    if start == "now":
        init(queue_of_0_1)
    next_release()
    store = register(again())
    assert store.parts.own.version == VERSION + 1
    assert "note" in store.session.run(
        lambda c: store.parts.dialect.columns(c, store.names.suspects)
    )
    assert (facts(store)["version"], facts(store)["needs"]) == (str(VERSION + 1), "1")


def test_tables_that_a_newer_release_only_added_to_are_used(
    queue_of_0_1: RunnerStore,
    again: Open,
    next_release: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context():
        next_release()
        init(queue_of_0_1)
    monkeypatch.undo()
    store = again()
    assert store.parts.info.problems == ()
    register(store)
    assert claimed(store)
    assert facts(store)["version"] == str(VERSION + 1)


def test_tables_that_a_newer_release_broke_with_are_only_read(
    queue_of_0_1: RunnerStore,
    again: Open,
    next_release: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    next_release(breaks=True)
    init(queue_of_0_1)
    monkeypatch.undo()
    store = again()
    info = store.parts.info
    assert not info.writable
    assert f"version {VERSION + 1}" in info.problems[0]
    for deed in (register, enqueue, init):
        with pytest.raises(SchemaError, match="upgrade wpbridge"):
            deed(store)
    assert store.counts()
    assert facts(store)["version"] == str(VERSION + 1)


def test_a_table_that_makes_no_sense_is_told(store: RunnerStore, again: Open) -> None:
    change(store, f"UPDATE {SITE} SET value = 'two' WHERE name = 'version'")
    with pytest.raises(SchemaError, match="wp_wpbridge_site"):
        again()


# An account that cannot change tables


@pytest.fixture
def poor(
    mysql_dsn: str, mariadb: MariaDB, open_queue: Callable[[str], RunnerStore]
) -> Iterator[Open]:
    """Open a queue of 0.1 as an account that may read and write rows, and nothing else."""
    rich = open_queue(mysql_dsn)
    tables_of_0_1.lay(rich)
    name = str(rich.session.address.name)
    user = f"u{name}"[:30]
    execute(mariadb, f"CREATE USER {user}@localhost IDENTIFIED BY 'p'")
    execute(mariadb, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {user}@localhost")
    opened: list[RunnerStore] = []

    def open_it() -> RunnerStore:
        dsn = mysql_dsn.replace("root@", f"{user}:p@")
        it = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
        opened.append(it)
        return it

    yield open_it
    for it in opened:
        it.close()
    execute(mariadb, f"DROP USER {user}@localhost")


@pytest.fixture
def lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """What this process has logged since the test began."""
    monkeypatch.setattr(own_tables, "_told", set())
    caplog.set_level(logging.WARNING, "wpbridge")
    return lambda: heard(caplog)


def test_an_account_that_cannot_make_the_table_goes_on_with_old_keys(
    poor: Open, lines: Callable[[], list[str]]
) -> None:
    for _ in range(2):
        store = register(poor())
        insert(store, make_new("charge"))
        with Queue(store.parts, close_store=False) as queue:
            queue.enqueue(Enqueue(hook="keyed", key="k"))
        [action] = claimed(store)[:1]
        assert told(action, "s") == key_of_0_1("s", action.id)
    [line] = lines()
    assert "stay at version 1" in line
    assert "CREATE command denied" in line
    assert "wpbridge init" in line


def test_init_with_such_an_account_is_an_error(poor: Open, lines: Callable[[], list[str]]) -> None:
    with pytest.raises(StoreError, match="account that may create and alter tables"):
        create_tables(way_of(poor()), everything=False)
    assert lines() == []


def test_a_runner_notices_that_init_was_run_with_another_account(
    poor: Open, mysql_dsn: str, lines: Callable[[], list[str]]
) -> None:
    store = register(poor())
    insert(store, make_new("charge"))
    [first] = claimed(store)
    insert(store, make_new("charge", args=(1,)))
    rich = open_store(DatabaseAddress.from_dsn(mysql_dsn), "wp_")
    create_tables(way_of(rich), everything=False)
    rich.close()
    insert(store, make_new("charge", args=(2,)))
    [queued, new] = claimed(store)
    assert told(first, "s") == key_of_0_1("s", first.id)
    assert told(queued, "s") == key_of_0_1("s", queued.id)
    assert told(new, "s") != key_of_0_1("s", new.id)
    enqueue(store)
    assert len(lines()) == 1


def test_a_site_without_any_of_our_tables_says_what_to_do(
    poor: Open,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
    lines: Callable[[], list[str]],
) -> None:
    open_queue(mysql_dsn).parts.own.drop()
    with pytest.raises(StoreError, match="must be made once: run `wpbridge init`"):
        register(poor())
    [line] = lines()
    assert "own_tables.making" in line, "what it tries to make is named before"
