"""Tables that give new rows no ids of their own: refused when opened, and when it happens later.

Inserts of many rows: the true ids, whatever the server's step is by then.
"""

from collections.abc import Callable, Iterator

import pymysql
import pytest
from pymysql.constants import ER

from factories import NOW, insert, make_new
from rows import change, column, log_of, query
from servers import MariaDB
from stores import again
from wpbridge import Queue
from wpbridge.errors import SchemaError, WpbridgeError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.mysql import MySQL
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

IDS = {"actions": "action_id", "claims": "claim_id", "groups": "group_id", "logs": "log_id"}


def lose_ids(store: RunnerStore, short: str) -> None:
    """As an import does that knows columns and rows only."""
    table = f"wp_actionscheduler_{short}"
    if store.parts.dialect.name == "mysql":
        change(store, f"ALTER TABLE {table} MODIFY {IDS[short]} bigint unsigned NOT NULL")
        return
    change(store, f"CREATE TABLE moved AS SELECT * FROM {table}")
    change(store, f"DROP TABLE {table}")
    change(store, f"ALTER TABLE moved RENAME TO {table}")


@pytest.mark.parametrize("short", IDS)
def test_a_table_without_ids_is_refused_when_it_is_opened(
    store: RunnerStore, dsn: str, short: str
) -> None:
    (action_id,) = insert(store, make_new(group="g"))
    lose_ids(store, short)
    info = again(store).parts.info
    assert not info.writable
    [problem] = info.problems
    assert f"wp_actionscheduler_{short}" in problem
    assert "wpbridge migrate schema fix" in problem
    with pytest.raises(SchemaError, match=f"wp_actionscheduler_{short}"):
        store.register(host="h", boot="b", pid=1, pid_started="1")
    with Queue.open(dsn=dsn) as queue:
        assert queue.get(action_id).hook == "h"
        with pytest.raises(SchemaError, match=f"wp_actionscheduler_{short}"):
            queue.enqueue_async("h", group="another")
        with pytest.raises(SchemaError, match=f"wp_actionscheduler_{short}"):
            queue.cancel([action_id])
    assert query(store, "SELECT slug FROM wp_actionscheduler_groups WHERE slug = 'another'") == []
    assert column(store, "status", action_id) == "pending"


@pytest.mark.parametrize("short", ["actions", "claims", "groups"])
def test_an_id_that_does_not_come_back_stops_at_once(store: RunnerStore, short: str) -> None:
    """The table was altered under a store that is open."""
    (action_id,) = insert(store, make_new())
    lose_ids(store, short)

    def write() -> None:
        if short == "claims":
            store.claim_due(now=NOW, limit=5, only=ClaimFilter())
        else:
            insert(store, make_new(group="new"))

    with pytest.raises(SchemaError, match=rf"wp_actionscheduler_{short}.*migrate schema fix"):
        write()
    assert column(store, "claim_id", action_id) == 0
    assert len(query(store, "SELECT 1 FROM wp_actionscheduler_actions")) == 1
    assert query(store, "SELECT 1 FROM wp_actionscheduler_claims") == []
    named = "SELECT 1 FROM wp_actionscheduler_groups WHERE slug = 'new'"
    assert query(store, named) == [] or short == "actions"


def test_many_rows_without_ids_leave_none(store: RunnerStore) -> None:
    lose_ids(store, "actions")
    with pytest.raises(WpbridgeError, match="wpbridge migrate schema fix"):
        insert(store, make_new(), make_new())
    assert query(store, "SELECT 1 FROM wp_actionscheduler_actions") == []


def test_sqlite_ids_that_are_given_away_again_are_none(
    tmp_path: object, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(f"sqlite:///{tmp_path}/queue.db")
    change(store, "DROP TABLE wp_actionscheduler_claims")
    change(
        store,
        'CREATE TABLE "wp_actionscheduler_claims" ("claim_id" INTEGER PRIMARY KEY,'
        " \"date_created_gmt\" TEXT DEFAULT 'AUTOINCREMENT')",
    )
    assert "wp_actionscheduler_claims" in again(store).parts.info.problems[0]


@pytest.fixture(params=["returned", "asked for"])
def stepping(
    request: pytest.FixtureRequest,
    mariadb: MariaDB,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
) -> Iterator[RunnerStore]:
    """A store whose server changes its step after it was opened, as a cluster's member may."""
    store = open_queue(mysql_dsn)
    if request.param == "asked for":
        assert isinstance(store.parts.dialect, MySQL)
        store.parts.dialect._returns_ids = False
    insert(store, make_new("before"), make_new("before"))
    root = pymysql.connect(unix_socket=str(mariadb.socket), user="root")
    with root.cursor() as cursor:
        cursor.execute("SET GLOBAL auto_increment_increment = 3")
        cursor.execute(
            "SELECT id FROM information_schema.processlist WHERE db = %s",
            (mysql_dsn.partition("localhost/")[2].partition("?")[0],),
        )
        for (one,) in cursor.fetchall():
            try:
                cursor.execute(f"KILL {one}")
            except pymysql.err.OperationalError as error:
                # One that was closed a moment ago may still have been listed.
                if error.args[0] != ER.NO_SUCH_THREAD:
                    raise
        yield store
        cursor.execute("SET GLOBAL auto_increment_increment = 1")
    root.close()


def test_ids_are_the_true_ones_on_a_step_that_changed(stepping: RunnerStore) -> None:
    new = [make_new(f"h{number}") for number in range(4)]
    ids = insert(stepping, *new)
    assert [column(stepping, "hook", one) for one in ids] == [action.hook for action in new]
    assert [log_of(stepping, one) for one in ids] == [["action created"]] * 4
    orphans = query(
        stepping,
        "SELECT 1 FROM wp_actionscheduler_logs WHERE action_id NOT IN"
        " (SELECT action_id FROM wp_actionscheduler_actions)",
    )
    assert orphans == []


def test_whole_rows_get_their_logs_on_a_step_that_changed(stepping: RunnerStore) -> None:
    bulk = stepping.parts.bulk
    rows = [row for window in stepping.parts.whole_rows.read(Query()) for row in window]
    keyed = [(f"{number:064x}", row) for number, row in enumerate(rows)]
    fates = bulk.add(keyed, unique=False, now=NOW)
    assert [column(stepping, "hook", fate.id or 0) for fate in fates] == [row.hook for row in rows]
    assert [log_of(stepping, fate.id or 0) for fate in fates] == [["action created"]] * len(rows)


def test_many_that_are_enqueued_are_told_by_their_true_ids(
    stepping: RunnerStore, mysql_dsn: str
) -> None:
    with Queue.open(dsn=mysql_dsn) as queue:
        new = [Enqueue(hook="k", args=[n], key=f"k{n}" if n else "") for n in range(-2, 3)]
        ids = queue.enqueue_many(new)
        args = [queue.get(one or 0).args for one in ids]
        assert args == [str(one.args).encode() for one in new]


def test_every_table_of_ours_is_looked_at(store: RunnerStore) -> None:
    names = store.names
    assert set(names.own_keys) == set(names.own)
    found = store.session.run(lambda c: store.parts.dialect.key_columns(c, names.keys_of_tables))
    assert set(found) == {*names.own, *(getattr(names, short) for short in IDS)}
    assert {table for table, there in found.items() if there.gives_ids} >= names.with_ids
    assert all(there.is_key for there in found.values())
