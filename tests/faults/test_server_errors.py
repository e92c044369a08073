"""Errors that a real server gives, told apart: waited for on a new connection, or tried again."""

from collections.abc import Callable

import pytest

from conftest import execute
from factories import NOW, make_new
from rows import change, query
from servers import MariaDB
from wpbridge.errors import StoreError, StoreUnavailable
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.session import Session
from wpbridge.store.running.runner_store import RunnerStore

TRIGGER = """
CREATE TRIGGER {database}.refuse BEFORE INSERT ON {database}.wp_actionscheduler_claims FOR EACH ROW
IF (SELECT COUNT(*) FROM {database}.refusals) > 0 THEN
    SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = '{words}';
END IF
"""


@pytest.fixture
def refuse(
    mariadb: MariaDB, mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> Callable[..., RunnerStore]:
    """A store with an action, whose claims the server refuses with an error of the test's."""
    database = str(DatabaseAddress.from_dsn(mysql_dsn).name)

    def refusing(code: int, words: str = "no") -> RunnerStore:
        store = open_queue(mysql_dsn)
        store.register(host="here", boot="boot", pid=1, pid_started="1")
        store.insert([make_new("h")], now=NOW)
        change(store, "CREATE TABLE refusals (n int)")
        change(store, "INSERT INTO refusals VALUES (1)")
        execute(mariadb, TRIGGER.format(database=database, code=code, words=words))
        return store

    return refusing


class Watched:
    """What a session tells; the server comes to its senses after some pauses."""

    def __init__(self, session: Session, cure: Callable[[], None], pauses: int) -> None:
        self.lost: list[str] = []
        self.back: list[float] = []
        self._left = pauses
        self._cure = cure
        session.was_lost, session.came_back = self.lost.append, self.back.append
        session.pause = self._pause
        session.patience_seconds = 60.0

    def _pause(self, seconds: float) -> None:
        self._left -= bool(seconds)
        if not self._left:
            self._cure()


def claim(store: RunnerStore, mariadb: MariaDB, pauses: int) -> Watched:
    database = store.session.address.name
    seen = Watched(store.session, lambda: execute(mariadb, f"TRUNCATE {database}.refusals"), pauses)
    found = store.claim_due(now=NOW, limit=5, only=ClaimFilter())
    assert found is not None
    assert len(found.actions) == 1
    assert len(query(store, "SELECT 1 FROM wp_actionscheduler_claims")) == 1
    return seen


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "no room left"),
        (1021, "no room left"),
        (1026, "no room left"),
        (1114, "no room left"),
        (1290, "read-only"),
        (1792, "read-only"),
        (1836, "read-only"),
        (1040, "does not answer"),
        (1203, "does not answer"),
        (1226, "does not answer"),
        (1047, "does not answer"),
        (1053, "does not answer"),
        (1044, "refuses us"),
        (1045, "refuses us"),
        (1049, "refuses us"),
    ],
)
def test_waited_for_on_a_new_connection(
    code: int, words: str, mariadb: MariaDB, refuse: Callable[..., RunnerStore]
) -> None:
    """A connection that goes on may be to a server that is not the primary any more."""
    store = refuse(code)
    before = query(store, "SELECT CONNECTION_ID()")
    seen = claim(store, mariadb, pauses=3)
    assert len(seen.lost) == len(seen.back) == 1, "once, not for each try"
    assert words in seen.lost[0]
    assert query(store, "SELECT CONNECTION_ID()") != before


@pytest.mark.parametrize("code", [1030, 1180])
def test_full_disks_among_errors_of_many_causes(
    code: int, mariadb: MariaDB, refuse: Callable[..., RunnerStore]
) -> None:
    store = refuse(code, 'Got error 28 "No space left on device" from storage engine InnoDB')
    assert "no room left" in claim(store, mariadb, pauses=1).lost[0]


@pytest.mark.parametrize("code", [1205, 1213, 1020, 1412, 3101])
def test_tried_again_without_a_word(
    code: int, mariadb: MariaDB, refuse: Callable[..., RunnerStore]
) -> None:
    store = refuse(code)
    before = query(store, "SELECT CONNECTION_ID()")
    assert not claim(store, mariadb, pauses=5).lost
    assert query(store, "SELECT CONNECTION_ID()") == before


def test_locks_that_are_not_to_be_had_for_long_are_told_of_and_waited_for(
    mariadb: MariaDB, refuse: Callable[..., RunnerStore]
) -> None:
    seen = claim(refuse(1205), mariadb, pauses=30)
    assert len(seen.lost) == len(seen.back) == 1
    assert "locks were not to be had" in seen.lost[0]


@pytest.mark.parametrize("code", [1030, 1142, 1146, 1054, 1064])
def test_all_else_is_an_error_at_once(
    code: int, mariadb: MariaDB, refuse: Callable[..., RunnerStore]
) -> None:
    store = refuse(code)
    with pytest.raises(StoreError) as raised:
        claim(store, mariadb, pauses=1)
    assert not isinstance(raised.value, StoreUnavailable)
    assert store.counts() == {"pending": 1}
