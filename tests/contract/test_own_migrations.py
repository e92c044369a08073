"""Our own tables come forward from every earlier version, whole, whenever they are interrupted."""

from collections.abc import Callable
from typing import Final, TypeAlias

import pytest

import tables_of_0_1
from clocks import FakeClock
from conftest import execute
from factories import NOW, insert, make_new
from heard import heard
from rows import change, query
from sent import listen
from servers import MariaDB
from stores import open_store, way_of
from tables_of_0_1 import fill, lay_version
from wpbridge.errors import StoreError
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.ownership import runners
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.schema.found import FoundTable
from wpbridge.store.structure import own_tables
from wpbridge.store.structure.creation import create_tables
from wpbridge.store.structure.own_steps import STEPS, VERSION

ACTIONS: Final = "wp_actionscheduler_actions"
VERSIONS: Final = range(1, VERSION)
"""All versions of the tables that are older than this release's."""
CHANGES: Final = ("CREATE", "ALTER", "INSERT", "UPDATE", "COMMIT")
Shapes: TypeAlias = dict[str, object]
Open: TypeAlias = Callable[[], RunnerStore]
Deed: TypeAlias = Callable[[RunnerStore], None]


def init(store: RunnerStore) -> None:
    """What `wpbridge init` does."""
    create_tables(way_of(store), everything=True)


def start(store: RunnerStore) -> None:
    """What a runner does at its start."""
    store.register(host="here", boot="boot", pid=1, pid_started="1")


def shapes(store: RunnerStore) -> Shapes:
    """Each of our tables with every column, default, index and collation that it has."""
    return {table: shape(look(store, table)) for table in store.names.own}


def look(store: RunnerStore, table: str) -> FoundTable | None:
    key = store.names.keys_of_tables[table]
    return store.session.run(lambda connection: store.parts.dialect.look(connection, table, key))


def shape(table: FoundTable | None) -> object:
    if table is None:
        return None
    return (
        list(table.columns.items()),
        sorted(table.indexes.items()),
        table.unique,
        table.engine,
        table.collation,
    )


@pytest.fixture
def fresh(dsn: str, open_queue: Callable[[str], RunnerStore]) -> tuple[RunnerStore, Shapes]:
    """A site that this release has made, and what its tables look like."""
    store = open_queue(dsn)
    return store, shapes(store)


def test_every_step_has_its_statement_in_the_record() -> None:
    """So the versions in between, which the tests lay down, are the ones that there were."""
    assert set(tables_of_0_1.ADDED) == {step.version for step in STEPS[1:]}
    assert [step.version for step in STEPS] == list(range(2, VERSION + 1))


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_of_every_version_become_those_of_a_new_site(
    fresh: tuple[RunnerStore, Shapes], again: Open, version: int
) -> None:
    store, wanted = fresh
    lay_version(store, version)
    later = again()
    assert later.parts.own.version == version
    init(later)
    assert shapes(store) == wanted
    assert again().parts.own.version == VERSION


def test_a_site_that_used_one_feature_of_0_1_becomes_a_whole_one(
    fresh: tuple[RunnerStore, Shapes], again: Open
) -> None:
    """0.1 made each table when it was first needed, so most sites had some of them."""
    store, wanted = fresh
    lay_version(store, 1)
    for table in set(store.names.first) - {store.names.runners}:
        change(store, f"DROP TABLE {table}")
    init(again())
    assert shapes(store) == wanted


@pytest.mark.parametrize("deed", [init, start])
def test_rows_are_kept_and_still_mean_the_same(
    fresh: tuple[RunnerStore, Shapes], again: Open, deed: Deed
) -> None:
    store, _ = fresh
    tables_of_0_1.lay(store)
    ids: dict[str, int] = dict(
        zip("abcd", insert(store, *[make_new(hook) for hook in "abcd"]), strict=True)
    )
    # An action that waits has no date.
    change(store, f"UPDATE {ACTIONS} SET scheduled_date_gmt = NULL WHERE hook = 'c'")
    rows = fill(store, ids)
    later = again()
    deed(later)
    for table, row in rows.items():
        found = query(later, f"SELECT {', '.join(row)} FROM wp_wpbridge_{table}")
        assert tuple(map(str, row.values())) in [tuple(map(str, one)) for one in found], table
    [record] = [runner for runner in runners(later.parts.tables) if runner.host == "host-of-0.1"]
    assert list(map(int, record.claims)) == [77]
    assert set(map(int, record.once)) == {78}
    with Queue(later.parts, close_store=False) as queue:
        assert queue.enqueue(Enqueue(hook="a", key="order-1")) == ids["a"]
        [pause] = queue.pauses()
        assert (pause.name, pause.reason) == ("b", "audit")
    assert ran_of(again(), "abcd") == ["a", "d", "c"], "b is paused, and c waits for a"


def ran_of(store: RunnerStore, hooks: str) -> list[str]:
    """Which hooks one run has called, in order."""
    ran: list[str] = []

    def handler(name: str) -> Callable[[], None]:
        return lambda: ran.append(name)

    handlers = {name: describe(name, handler(name)) for name in hooks}
    clock = FakeClock()
    executor = ThreadExecutor(handlers, concurrency=1, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset(handlers))
    Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()
    return ran


class Killed(BaseException):
    """The process is gone."""


def die_before_change(store: RunnerStore, number: int) -> None:
    """Lose the process before its n-th statement that changes something."""
    changes = 0

    def before(statement: str, _values: object) -> None:
        nonlocal changes
        if statement.lstrip().upper().startswith(CHANGES):
            changes += 1
            if changes == number:
                # As with a killed process, no ROLLBACK reaches the server.
                store.session.cut()
                raise Killed

    listen(store.session, "before", before)


@pytest.mark.parametrize(
    "version", [1, *(pytest.param(version, marks=pytest.mark.long) for version in (0, 4))]
)
def test_a_process_killed_at_any_statement_leaves_what_the_next_one_completes(
    fresh: tuple[RunnerStore, Shapes], again: Open, version: int
) -> None:
    store, wanted = fresh
    of_runs = {name: wanted[name] for name in (*store.names.first, store.names.site)}
    insert(store, *[make_new("charge", args=(n,)) for n in range(2)])
    deaths = 0
    while True:
        lay_version(store, version)
        dying = again()
        die_before_change(dying, deaths + 1)
        try:
            start(dying)
        except Killed:
            deaths += 1
        else:
            break
        finally:
            dying.close()
        later = again()
        start(later)
        found = shapes(later)
        assert {name: found[name] for name in of_runs} == of_runs, f"killed at {deaths}"
        assert later.parts.own.version == VERSION
        if version == 1:
            # Whatever was queued under 0.1 has kept its key, once.
            assert query(store, "SELECT COUNT(*) FROM wp_wpbridge_keys") == [(2,)]
        later.close()
    # At least each step was interrupted before its change, and before its number.
    assert deaths > 2 * (VERSION - max(version, 1))


@pytest.fixture
def fresh_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """The log of a process that has said nothing yet."""
    monkeypatch.setattr(own_tables, "_told", set())
    return caplog


@pytest.mark.parametrize("version", VERSIONS)
def test_an_account_without_the_right_says_so_in_one_line_and_works_on(
    mysql_dsn: str,
    mariadb: MariaDB,
    open_queue: Callable[[str], RunnerStore],
    fresh_log: pytest.LogCaptureFixture,
    version: int,
) -> None:
    store = open_queue(mysql_dsn)
    lay_version(store, version)
    user = f"v{version}{store.session.address.name}"[:30]
    execute(mariadb, f"CREATE USER {user}@localhost IDENTIFIED BY 'p'")
    execute(
        mariadb,
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {store.session.address.name}.* TO {user}@localhost",
    )
    poor = open_store(
        DatabaseAddress.from_dsn(mysql_dsn.replace("root@", f"{user}:p@")), prefix="wp_"
    )
    try:
        start(poor)
        [queued] = insert(poor, make_new("charge"))
        claim = poor.claim_due(now=NOW, limit=100, only=ClaimFilter())
        assert claim is not None
        assert [action.id for action in claim.actions] == [queued]
        [line] = heard(fresh_log)
        assert f"stay at version {version} of {VERSION}" in line
        assert "run `wpbridge init` with an account that may create and alter tables" in line
        with pytest.raises(StoreError, match="command denied") as refused:
            init(poor)
        assert "\n" not in str(refused.value)
    finally:
        poor.close()
        execute(mariadb, f"DROP USER {user}@localhost")
