"""Other work is done while the server works on a statement."""

from collections.abc import Callable

import pytest

from daemons import until
from factories import NOW, insert, make_new
from proxy import Proxy
from rows import query
from servers import MariaDB
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database import client
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.running.runner_store import RunnerStore

OpenQueue = Callable[[str], RunnerStore]
ACTIONS = "wp_actionscheduler_actions"


@pytest.fixture(params=["pymysql", "mysqlclient"])
def any_driver_dsn(request: pytest.FixtureRequest, mysql_dsn: str, open_queue: OpenQueue) -> str:
    open_queue(mysql_dsn)
    if request.param == "mysqlclient" and (why := client.missing()):
        pytest.skip(f"mysqlclient: {why}")
    return mysql_dsn.replace("mysql:", f"mysql+{request.param}:")


class Work:
    """So many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.calls = 0

    def __call__(self) -> bool:
        self.calls += 1
        self.left -= 1
        return self.left >= 0


def slow(connection: Connection) -> object:
    return connection.execute(text("SELECT SLEEP(0.3), 7")).one()[1]


def test_the_work_is_done_until_there_is_none(any_driver_dsn: str, open_queue: OpenQueue) -> None:
    session, other, work = open_queue(any_driver_dsn).session, open_queue(any_driver_dsn), Work(5)

    def answer(sql: str) -> Callable[[Connection], object]:
        return lambda connection: connection.execute(text(sql)).one()[0]

    def work_and_free() -> bool:
        goes_on = work()
        if not goes_on:
            assert other.session.run(answer("SELECT RELEASE_LOCK('held')")) == 1
        return goes_on

    with session.meanwhile(work_and_free):
        for calls in (6, 7):
            # The server answers when the work is done. Each wait asks once more.
            assert other.session.run(answer("SELECT GET_LOCK('held', 60)")) == 1
            waits = "SELECT GET_LOCK('held', 60) + RELEASE_LOCK('held')"
            assert session.run(answer(waits)) == 2
            assert work.calls == calls
    assert session.run(slow) == 7
    assert work.calls == 7


def test_an_answer_ends_the_work(any_driver_dsn: str, open_queue: OpenQueue) -> None:
    session, work = open_queue(any_driver_dsn).session, Work(10**9)
    with session.meanwhile(work):
        assert session.run(slow) == 7
    assert work.left > 0


def test_what_the_work_raises_undoes_the_transaction(
    any_driver_dsn: str, open_queue: OpenQueue
) -> None:
    store = open_queue(any_driver_dsn)
    insert(store, make_new("h"))

    def fail() -> bool:
        raise ZeroDivisionError

    def change(connection: Connection) -> None:
        connection.execute(text(f"UPDATE {ACTIONS} SET hook = 'other'"))
        slow(connection)

    with store.session.meanwhile(fail), pytest.raises(ZeroDivisionError):
        store.session.transact(change)
    assert store.session.run(slow) == 7, "on a new connection"
    until(lambda: query(store, f"SELECT hook FROM {ACTIONS}") == [("h",)], "the old hook")


def test_in_an_outage_all_of_it_is_done_first(
    mariadb: MariaDB, any_driver_dsn: str, open_queue: OpenQueue
) -> None:
    with Proxy(mariadb.socket) as proxy:
        url = proxy.url(str(DatabaseAddress.from_dsn(any_driver_dsn).name))
        far = open_queue(url.replace("mysql:", f"{any_driver_dsn.partition(':')[0]}:"))
        far.session.patience_seconds = 60.0
        work, left = Work(7), []

        def pause(seconds: float) -> None:
            if seconds:
                left.append(work.left)
                proxy.accept()

        far.session.pause = pause
        proxy.refuse()
        proxy.cut()
        with far.session.meanwhile(work):
            assert far.session.run(slow) == 7
        assert left == [-1]


def test_a_claim_does_it(any_driver_dsn: str, open_queue: OpenQueue) -> None:
    store, other = open_queue(any_driver_dsn), open_queue(any_driver_dsn)
    insert(store, make_new("h"))
    store.register(host="here", boot="boot", pid=1, pid_started="1")
    other.session.run(lambda c: c.execute(text("START TRANSACTION")))
    query(other, "SELECT runner_id FROM wp_wpbridge_runners FOR UPDATE")

    def unlock() -> bool:
        other.session.run(lambda c: c.execute(text("ROLLBACK")))
        return False

    made = store.claim_and_settle(
        [],
        finished=[],
        now=NOW,
        limit=5,
        only=ClaimFilter(),
        start_plan=None,
        portion=len,
        meanwhile=unlock,
    )
    assert made.claim is not None
    assert len(made.claim.ids) == 1
