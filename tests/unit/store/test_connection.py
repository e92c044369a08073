"""Statements go to a driver with their values, and rows or one kind of error come back."""

import sqlite3
from collections.abc import Iterator

import pytest

from wpbridge.store.database.connection import Connection, DBAPIError, Driver, text
from wpbridge.store.database.sqlite import DRIVER


@pytest.fixture
def connection() -> Iterator[Connection]:
    it = Connection(sqlite3.connect(":memory:", isolation_level=None), DRIVER)
    it.execute(text("CREATE TABLE t (n INTEGER, name TEXT)"))
    it.execute(
        text("INSERT INTO t VALUES (:n, :name)"), [{"n": n, "name": f"n{n}"} for n in (1, 2, 3)]
    )
    yield it
    it.close()


class Cursor:
    """Keeps what a driver would have sent."""

    description, rowcount, lastrowid = None, 0, 0

    def __init__(self) -> None:
        self.sent: tuple[object, ...] = ()

    def cursor(self) -> "Cursor":
        return self

    def execute(self, *sent: object) -> None:
        self.sent = sent

    def close(self) -> None:
        """A driver's cursor has it."""


@pytest.mark.parametrize(
    ("statement", "values", "sent"),
    [
        ("SELECT :a, :b, :a", {"b": 2, "a": 1}, ("SELECT %s, %s, %s", (1, 2, 1))),
        ("a LIKE '50%' AND b = :b", {"b": "%s"}, ("a LIKE '50%%' AND b = %s", ("%s",))),
        ("n IN :ids AND x = :x", {"ids": [7, 8], "x": 9}, ("n IN (%s, %s) AND x = %s", (7, 8, 9))),
        ("'12:30' = a::b AND c = :c", {"c": 1}, ("'12:30' = a::b AND c = %s", (1,))),
        ("SELECT 1", {"unused": [1]}, ("SELECT 1", ())),
        ("n = :n", {"n": b"a\x00"}, ("n = %s", (b"a\x00",))),
    ],
)
def test_a_driver_gets_its_marks_and_the_values_in_their_order(
    statement: str, values: dict[str, object], sent: tuple[str, tuple[object, ...]]
) -> None:
    cursor = Cursor()
    driver = Driver(error=sqlite3.Error, mark="%s", is_lost=lambda _error: False)
    Connection(cursor, driver).execute(text(statement), values)
    assert cursor.sent == sent


def test_a_value_that_is_missing_is_an_error_and_nothing_is_sent(connection: Connection) -> None:
    with pytest.raises(KeyError):
        connection.execute(text("DELETE FROM t WHERE n = :n"), {"m": 1})
    assert connection.execute(text("SELECT COUNT(*) FROM t")).scalar() == 3


def test_in_an_empty_list_there_is_nothing(connection: Connection) -> None:
    inside, outside = (
        text("SELECT n FROM t WHERE n IN :ns"),
        text("SELECT n FROM t WHERE n NOT IN :ns"),
    )
    assert connection.execute(inside, {"ns": []}).fetchall() == []
    assert connection.execute(outside, {"ns": ()}).fetchall() == [(1,), (2,), (3,)]


def test_rows_come_in_the_form_that_is_asked_for(connection: Connection) -> None:
    found = connection.execute(text("SELECT n, name FROM t WHERE n < :n ORDER BY n"), {"n": 3})
    assert [*found] == found.fetchall() == [(1, "n1"), (2, "n2")]
    assert (found.first(), found.scalar(), found.columns) == ((1, "n1"), 1, ["n", "name"])
    assert found.mappings() == [{"n": 1, "name": "n1"}, {"n": 2, "name": "n2"}]
    none = connection.execute(text("SELECT n FROM t WHERE n > 9"))
    assert (none.first(), none.scalar(), none.returns_rows) == (None, None, True)
    changed = connection.execute(text("UPDATE t SET name = 'x' WHERE n > 1"))
    assert (changed.rowcount, changed.returns_rows) == (2, False)


def test_an_error_of_the_driver_has_one_kind_and_leaves_the_connection(
    connection: Connection,
) -> None:
    with pytest.raises(DBAPIError) as raised:
        connection.execute(text("SELECT secret FROM t WHERE n = :n"), {"n": "s3cret"})
    assert isinstance(raised.value.orig, sqlite3.OperationalError)
    assert "s3cret" not in str(raised.value)
    assert not raised.value.connection_invalidated
    assert not connection.invalidated
    assert connection.execute(text("SELECT 1")).scalar() == 1


def test_on_a_lost_connection_every_statement_is_an_error(connection: Connection) -> None:
    connection.raw.close()
    for _ in range(2):
        with pytest.raises(DBAPIError) as raised:
            connection.execute(text("SELECT 1"))
        assert raised.value.connection_invalidated
        assert connection.invalidated
