"""Actions added in the caller's own transaction: true when they commit, and not before."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pymysql
import pytest
from pymysql.cursors import DictCursor, SSCursor
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from clocks import FakeClock
from rows import change, column, log_of, query
from stores import AnyStore
from wpbridge.errors import Contention, InputError, StoreError, StoreUnavailable
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.database import client
from wpbridge.store.running.runner_store import RunnerStore


class Caller:
    """Somebody with a transaction of their own, in one of the ways there are."""

    def __init__(self, given: Any, run: Callable[[str], Any], end: Callable[[str], None]) -> None:
        self.given = given
        self.run = run
        self.commit: Callable[[], None] = lambda: end("commit")
        self.rollback: Callable[[], None] = lambda: end("rollback")


def dict_rows(cursor: sqlite3.Cursor, row: Sequence[object]) -> dict[str, object]:
    return {name[0]: value for name, value in zip(cursor.description, row, strict=True)}


def mysql_connection(dsn: str, **more: Any) -> Any:
    """As a client of a strict server makes it."""
    place, _, socket = dsn.partition("?unix_socket=")
    database = place.rpartition("/")[2]
    return pymysql.connect(
        unix_socket=socket,
        user="root",
        database=database,
        charset="utf8mb4",
        ssl_disabled=True,
        **more,
    )


def sqlite_connection(dsn: str, **more: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = sqlite3.connect(dsn.removeprefix("sqlite:///"), **more)
    return connection


def engine_of(dsn: str) -> Engine:
    return create_engine(dsn.replace("mysql://", "mysql+pymysql://"), poolclass=NullPool)


@contextlib.contextmanager
def by_driver(connection: Any) -> Iterator[Caller]:
    def run(statement: str) -> Any:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall()

    try:
        yield Caller(connection, run, lambda how: getattr(connection, how)())
    finally:
        # Which ends the transaction: what it holds would keep the database from being dropped.
        with contextlib.suppress(pymysql.Error):
            connection.close()


@contextlib.contextmanager
def by_sqlalchemy(given: Any) -> Iterator[Caller]:
    def run(statement: str) -> Any:
        found = given.execute(text(statement))
        return found.fetchall() if found.returns_rows else None

    try:
        yield Caller(given, run, lambda how: getattr(given, how)())
    finally:
        given.close()


def mysqlclient_connection(dsn: str) -> Any:
    """As Django makes it."""
    from MySQLdb import connect  # noqa: PLC0415 - it need not be installed

    place, _, socket = dsn.partition("?unix_socket=")
    database = place.rpartition("/")[2]
    return connect(unix_socket=socket, user="root", database=database, charset="utf8mb4")


@contextlib.contextmanager
def caller_of(kind: str, dsn: str) -> Iterator[Caller]:
    """``kind``: plain, dicts, connection, session or mysqlclient."""
    is_mysql = dsn.startswith("mysql")
    with contextlib.ExitStack() as stack:
        if kind == "mysqlclient":
            if not is_mysql or client.missing():
                pytest.skip(f"mysqlclient: {client.missing() or 'it does not open SQLite'}")
            yield stack.enter_context(by_driver(mysqlclient_connection(dsn)))
            return
        if kind in ("plain", "dicts"):
            if is_mysql:
                more = {"cursorclass": DictCursor} if kind == "dicts" else {}
                connection = mysql_connection(dsn, **more)
            else:
                connection = sqlite_connection(dsn)
                connection.row_factory = dict_rows if kind == "dicts" else None
            yield stack.enter_context(by_driver(connection))
            return
        engine = engine_of(dsn)
        stack.callback(engine.dispose)
        given = engine.connect() if kind == "connection" else Session(engine)
        yield stack.enter_context(by_sqlalchemy(given))


@pytest.fixture(params=["plain", "dicts", "connection", "session", "mysqlclient"])
def caller(request: pytest.FixtureRequest, dsn: str, store: RunnerStore) -> Iterator[Caller]:
    """Of every kind, with the plugin's tables there."""
    with caller_of(str(request.param), dsn) as it:
        yield it


@pytest.fixture
def plain(dsn: str, store: RunnerStore) -> Iterator[Caller]:
    """A connection of the driver's own."""
    with caller_of("plain", dsn) as it:
        yield it


def contents(store: AnyStore) -> dict[str, int]:
    """How many rows there are, but for groups: those are never taken back."""
    return {
        table: len(query(store, f"SELECT 1 FROM wp_{table}"))
        for table in (
            "actionscheduler_actions",
            "actionscheduler_logs",
            "wpbridge_keys",
            "wpbridge_waits",
            "wpbridge_zones",
        )
    }


def add_some(queue: Queue, given: Any) -> list[int | None]:
    """Two chained ones, a zoned one, and many."""
    first = queue.enqueue_async("h", [1], group="g", unique=True, key="k", connection=given)
    assert first is not None
    second = queue.schedule_single("+1h", "h2", after=[first], connection=given)
    third = queue.schedule_cron(None, "@daily", "h3", tz="Europe/Rome", connection=given)
    many = queue.enqueue_many([Enqueue(hook="m") for _ in range(3)], connection=given)
    return [first, second, third, *many]


def test_what_is_committed_is_there(queue: Queue, caller: Caller) -> None:
    ids = add_some(queue, caller.given)
    caller.commit()
    assert [record.id for record in queue.find(order="id")] == ids
    assert contents(queue.store) == {
        "actionscheduler_actions": 6,
        "actionscheduler_logs": 6,
        "wpbridge_keys": 1,
        "wpbridge_waits": 1,
        "wpbridge_zones": 1,
    }
    first = ids[0] or 0
    assert log_of(queue.store, first) == ["action created"]
    assert str(column(queue.store, "last_attempt_gmt", first)) == "0000-00-00 00:00:00"
    assert queue.get(first).group == "g"
    assert queue.enqueue_async("h", key="k") == first
    assert [wait.after_id for wait in queue.waits_of([ids[1] or 0])] == [first]
    assert queue.zones_of([ids[2] or 0]) == {ids[2]: "Europe/Rome"}


def test_what_is_rolled_back_is_not(queue: Queue, caller: Caller) -> None:
    there = queue.enqueue_async("there")
    before = contents(queue.store)
    add_some(queue, caller.given)
    caller.rollback()
    assert contents(queue.store) == before
    assert [record.id for record in queue.find()] == [there]
    assert len(add_some(queue, caller.given)) == 6, "neither key nor uniqueness is left behind"


def test_nothing_is_committed_behind_the_caller_s_back(queue: Queue, caller: Caller) -> None:
    caller.run(
        "INSERT INTO wp_actionscheduler_claims (claim_id, date_created_gmt)"
        " VALUES (77, '2026-11-24 12:00:00')"
    )
    for new in (Enqueue(hook="h", group="new"), Enqueue(hook="h", key="k", unique=True)):
        queue.enqueue(new, connection=caller.given)
    queue.enqueue_many([Enqueue(hook="m")] * 1001, connection=caller.given)
    with pytest.raises(InputError):
        queue.enqueue_async("", connection=caller.given)
    assert queue.count() == 0
    assert query(queue.store, "SELECT * FROM wp_actionscheduler_claims") == []
    caller.rollback()
    assert query(queue.store, "SELECT * FROM wp_actionscheduler_claims") == []
    assert queue.count() == 0


def test_making_our_tables_commits_nothing(queue: Queue, caller: Caller) -> None:
    queue.store.own.drop()
    caller.run(
        "INSERT INTO wp_actionscheduler_claims (claim_id, date_created_gmt)"
        " VALUES (77, '2026-11-24 12:00:00')"
    )
    add_some(queue, caller.given)
    assert queue.count() == 0
    caller.rollback()
    assert query(queue.store, "SELECT * FROM wp_actionscheduler_claims") == []
    first = add_some(queue, caller.given)[0]
    caller.commit()
    assert queue.refusal(Enqueue(hook="h", key="k")) == first


def test_the_caller_goes_on_as_before(queue: Queue, caller: Caller) -> None:
    shape = type(caller.run("SELECT 1 AS one")[0])
    queue.enqueue_async("h", connection=caller.given)
    (row,) = caller.run("SELECT hook FROM wp_actionscheduler_actions")
    assert type(row) is shape
    caller.commit()


def test_own_earlier_actions_are_seen(queue: Queue, caller: Caller) -> None:
    given = caller.given
    first = queue.enqueue_async("h", group="g", unique=True, key="a", connection=given)
    assert queue.enqueue_async("h", group="g", unique=True, connection=given) is None
    assert queue.enqueue_async("x", key="a", connection=given) == first
    assert queue.enqueue_async("y", after=[first or 0], connection=given) is not None
    caller.commit()
    assert queue.count() == 2


# Strictness, snapshots and locks


def test_a_strict_session_is_strict_again_afterwards(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    queue = Queue(open_queue(mysql_dsn).parts, clock=FakeClock())
    for kind in ("plain", "dicts", "connection", "session"):
        with caller_of(kind, mysql_dsn) as caller:
            caller.run(
                "SET SESSION sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY,NO_BACKSLASH_ESCAPES'"
            )
            before = caller.run("SELECT @@SESSION.sql_mode AS modes")
            assert "STRICT_ALL_TABLES" in str(before)
            assert queue.enqueue_async("h", ["\\'"], connection=caller.given) is not None
            assert caller.run("SELECT @@SESSION.sql_mode AS modes") == before, kind
            with pytest.raises(InputError):
                queue.enqueue_async("", connection=caller.given)
            assert caller.run("SELECT @@SESSION.sql_mode AS modes") == before, kind
            caller.commit()
    assert {record.args for record in queue.find()} == {b'["\\\\\'"]'}
    assert queue.count() == 4


def test_an_old_snapshot_hides_nothing_from_uniqueness(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    queue = Queue(open_queue(mysql_dsn).parts, clock=FakeClock())
    with caller_of("plain", mysql_dsn) as caller:
        caller.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        caller.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        unique = queue.enqueue_async("h", group="new", unique=True) or 0
        keyed = queue.enqueue_async("k", key="k") or 0
        assert caller.run("SELECT * FROM wp_actionscheduler_actions") == ()
        given = caller.given
        assert queue.enqueue_async("h", group="new", unique=True, connection=given) is None
        assert queue.enqueue_async("x", key="k", connection=given) == keyed
        assert queue.enqueue_async("y", after=[unique], connection=given) is not None
        caller.commit()
    assert queue.count() == 3
    slugs = query(queue.store, "SELECT slug FROM wp_actionscheduler_groups ORDER BY slug")
    assert [row[0] for row in slugs] == ["", "new"]


def test_two_open_transactions_make_one_group(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    queue = Queue(open_queue(mysql_dsn).parts, clock=FakeClock())
    with caller_of("plain", mysql_dsn) as one, caller_of("plain", mysql_dsn) as two:
        queue.enqueue_async("h", group="new", connection=one.given)
        queue.enqueue_async("h", group="new", connection=two.given)
        one.commit()
        two.commit()
    assert len(query(queue.store, "SELECT * FROM wp_actionscheduler_groups")) == 1
    assert len({record.group_id for record in queue.find()}) == 1


def test_two_sqlite_callers_take_turns(
    tmp_path: Any, open_queue: Callable[[str], RunnerStore]
) -> None:
    dsn = f"sqlite:///{tmp_path / 'q.db'}"
    queue = Queue(open_queue(dsn).parts, clock=FakeClock())
    one, two = sqlite_connection(dsn), sqlite_connection(dsn, timeout=0)
    assert queue.enqueue_async("h", group="new", unique=True, connection=one) is not None
    with pytest.raises(Contention, match="begin it again"):
        queue.enqueue_async("h", group="new", unique=True, connection=two)
    two.rollback()
    one.commit()
    assert queue.enqueue_async("h", group="new", unique=True, connection=two) is None
    two.commit()
    assert queue.count() == 1
    one.close()
    two.close()


def test_locks_that_are_not_to_be_had(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    queue = Queue(open_queue(mysql_dsn).parts, clock=FakeClock())
    queue.enqueue_async("there", group="g")
    with caller_of("plain", mysql_dsn) as one, caller_of("plain", mysql_dsn) as two:
        queue.enqueue_async("h", group="g", unique=True, connection=one.given)
        two.run("SET SESSION innodb_lock_wait_timeout = 0")
        before = two.run("SELECT @@SESSION.sql_mode")
        with pytest.raises(Contention, match="begin it again"):
            queue.enqueue_async("h", group="g", unique=True, connection=two.given)
        assert two.run("SELECT @@SESSION.sql_mode") == before
        two.rollback()
        one.commit()
        assert queue.enqueue_async("h", group="g", unique=True, connection=two.given) is None
    assert queue.count() == 2


# Not what it takes


class Nothing:
    """Has no cursor."""


class Odd:
    """Has a cursor, and is no connection that we know."""

    def cursor(self) -> None:
        raise AssertionError


def test_what_is_no_connection_is_refused(queue: Queue, dsn: str, tmp_path: Any) -> None:
    other = sqlite3.connect(":memory:")
    engine = create_engine("sqlite://")
    connection = engine.connect()
    wrong: list[Any] = [Nothing(), Odd(), "mysql://", 5, engine, object]
    if dsn.startswith("mysql"):
        wrong += [other, connection, Session(engine)]
    before = contents(queue.store)
    for given in wrong:
        with pytest.raises(InputError, match=r"connection"):
            queue.enqueue_async("h", group="new", connection=given)
    assert contents(queue.store) == before
    assert query(queue.store, "SELECT * FROM wp_actionscheduler_groups") == []
    connection.close()
    engine.dispose()
    other.close()


def test_a_mysql_connection_is_of_no_use_to_sqlite(
    mysql_dsn: str, tmp_path: Any, open_queue: Callable[[str], RunnerStore]
) -> None:
    queue = Queue(open_queue(f"sqlite:///{tmp_path / 'q.db'}").parts, clock=FakeClock())
    for kind in ("plain", "connection", "session"):
        with caller_of(kind, mysql_dsn) as caller:
            with pytest.raises(
                InputError, match="the connection is to mysql, the queue is on sqlite"
            ):
                queue.enqueue_async("h", connection=caller.given)
            caller.rollback()


def test_a_connection_that_is_closed_says_so(queue: Queue, dsn: str) -> None:
    is_mysql = dsn.startswith("mysql")
    connection = mysql_connection(dsn) if is_mysql else sqlite_connection(dsn)
    connection.close()
    error = StoreUnavailable if is_mysql else StoreError
    with pytest.raises(error, match=r"not answer|closed"):
        queue.enqueue_async("h", connection=connection)
    assert queue.count() == 0
    assert queue.enqueue_async("h") == 1, "our own is as good as before"


def test_a_connection_that_breaks_midway_tells_its_own_error(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(mysql_dsn)
    queue = Queue(store.parts, clock=FakeClock())
    for kind in ("plain", "connection", "session"):
        with caller_of(kind, mysql_dsn) as caller:
            (row,) = caller.run("SELECT CONNECTION_ID()")
            add, killed = store.parts.own.ensure, row[0]

            def ensure(*tables: str, add: Any = add, killed: Any = killed) -> None:
                change(store, f"KILL {killed}")
                add(*tables)

            store.parts.own.ensure = ensure  # type: ignore[method-assign]
            with pytest.raises(StoreUnavailable):
                queue.enqueue_async("h", key="k", connection=caller.given)
            store.parts.own.ensure = add  # type: ignore[method-assign]
    assert queue.count() == 0


def test_other_kinds_of_the_same(queue: Queue, dsn: str) -> None:
    """A scoped session, a pool's connection, unbuffered cursors, an autocommit that is off."""
    engine = engine_of(dsn)
    scoped = scoped_session(sessionmaker(engine))
    queue.enqueue_async("scoped", connection=scoped)
    scoped.commit()
    scoped.remove()
    with contextlib.closing(engine.raw_connection()) as pooled:
        queue.enqueue_async("pooled", connection=pooled)
        pooled.commit()
    if dsn.startswith("mysql"):
        with contextlib.closing(mysql_connection(dsn, cursorclass=SSCursor)) as unbuffered:
            queue.enqueue_async("last", unique=True, key="k", connection=unbuffered)
            unbuffered.commit()
    else:
        with contextlib.closing(sqlite_connection(dsn, isolation_level=None)) as explicit:
            explicit.execute("BEGIN")
            queue.enqueue_async("last", unique=True, key="k", connection=explicit)
            assert queue.count() == 2
            explicit.execute("COMMIT")
    assert [record.hook for record in queue.find(order="id")] == ["scoped", "pooled", "last"]
    engine.dispose()
