"""What a session does about deadlocks and lost servers."""

import math
from collections.abc import Callable

import pytest

from wpbridge.errors import Contention, RunnerGone, StoreError, StoreUnavailable
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.connection import Connection, DBAPIError, text
from wpbridge.store.database.session import Session
from wpbridge.store.database.sqlite import SQLite, open_engine


def failing(times: int, code: int) -> Callable[[Connection], str]:
    """Work that fails so many times with a server's error number."""
    left = [times]

    def work(connection: Connection) -> str:
        connection.execute(text("CREATE TABLE IF NOT EXISTS t (n integer)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
        if left[0]:
            left[0] -= 1
            raise DBAPIError(Exception(code, "no"))
        return f"{connection.execute(text('SELECT COUNT(*) FROM t')).scalar()} row"

    return work


@pytest.fixture
def session() -> Session:
    engine = open_engine(DatabaseAddress(driver="sqlite", path=":memory:"))
    it = Session(engine, SQLite())
    it.pause = lambda _seconds: None
    return it


def test_a_deadlock_is_tried_again_and_nothing_of_the_first_try_stays(session: Session) -> None:
    assert session.transact(failing(3, 1213)) == "1 row"
    session.close()


def test_endless_locks_end_as_contention(session: Session) -> None:
    with pytest.raises(Contention):
        session.transact(failing(1000, 1205))
    session.close()


def test_without_patience_a_lost_server_is_an_error_at_once(session: Session) -> None:
    with pytest.raises(StoreUnavailable):
        session.transact(failing(1, 2013))
    session.close()


def test_with_patience_it_is_told_once_and_waited_for(session: Session) -> None:
    told: list[str] = []
    session.patience_seconds, session.was_lost = 60.0, told.append
    assert session.run(failing(3, 2006)).endswith("row")
    assert len(told) == 1
    session.close()


def test_a_login_that_worked_before_is_waited_for_a_little(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    session.patience_seconds, session.was_lost = math.inf, told.append
    with pytest.raises(StoreUnavailable):
        session.run(failing(1, 1045))
    assert not told, "one that never worked is wrong"
    session.run(failing(0, 0))
    assert session.run(failing(3, 1045)).endswith("row")
    assert len(told) == 1
    monkeypatch.setattr("wpbridge.store.database.session.DENIED_SECONDS", 0.0)
    with pytest.raises(StoreUnavailable):
        session.run(failing(1, 1045))
    session.close()


@pytest.mark.parametrize("error", [RunnerGone(), DBAPIError(Exception(1064, "no"))])
def test_an_outage_ends_also_when_the_work_then_fails(session: Session, error: Exception) -> None:
    told: list[object] = []
    session.patience_seconds = 60.0
    session.was_lost = session.came_back = told.append
    lost = failing(2, 2006)

    def work(connection: Connection) -> str:
        lost(connection)
        raise error

    with pytest.raises(StoreError):
        session.transact(work)
    assert len(told) == 2
    session.close()


def test_a_connection_that_broke_is_no_outage_when_the_next_one_is_well(session: Session) -> None:
    told: list[str] = []
    session.was_lost = told.append
    session.run(failing(0, 0))
    assert session.run(failing(1, 2006)).endswith("row")
    assert not told
    session.close()


@pytest.mark.parametrize("way", ["run", "transact"])
def test_after_an_interrupt_there_is_a_connection_to_clear_up_with(
    session: Session, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_given: object, **_more: object) -> None:
        raise KeyboardInterrupt

    def work(connection: Connection) -> None:
        with monkeypatch.context() as within:
            within.setattr(connection, "_send", interrupted)
            connection.execute(text("SELECT 1"))

    with pytest.raises(KeyboardInterrupt):
        getattr(session, way)(work)
    assert session.transact(lambda c: c.execute(text("SELECT 2")).scalar()) == 2
    session.close()
