"""One connection to a database: it sends statements to a driver and returns rows.

The SQL of the store is written by hand, so it needs three things of a database library: named
values in statements, one kind of error for all drivers, and a connection that knows that it is
lost. This module has these three, for any DB-API driver. It replaces SQLAlchemy, whose import alone
took two thirds of the time of a short command.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.site.database import DatabaseAddress

Row: TypeAlias = tuple[Any, ...]

_NAME: Final = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)(?![:\w])")
"""A named value, such as ``:hook``. A colon inside a word, and two colons, are none."""
_LISTS: Final = (list, tuple, set, frozenset)
_NOTHING: Final = "(SELECT 1 FROM (SELECT 1) AS wpbridge_nothing WHERE 1 <> 1)"
"""Stands for an empty list: ``IN`` finds nothing in it, and ``NOT IN`` everything."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with named values, such as ``:hook``. A list of values is written ``IN :ids``."""

    text: str


def text(sql: str) -> Statement:
    """Return a statement with named values."""
    return Statement(sql)


class DBAPIError(Exception):
    """An error of a driver. Its text has no value of the statement."""

    def __init__(self, orig: BaseException, *, connection_invalidated: bool = False) -> None:
        super().__init__(f"{type(orig).__name__}: {orig}")
        self.orig = orig
        """The driver's own error."""
        self.connection_invalidated = connection_invalidated
        """Whether the connection was given up."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Driver:
    """What the drivers do differently."""

    error: type[Exception]
    """The base of the driver's errors."""
    mark: str
    """What stands for a value in a statement: ``?`` or ``%s``."""
    is_lost: Callable[[Exception], bool]
    """Whether nothing more can be done on the connection after an error."""


class Result:
    """All that a statement returned. Nothing is left to be fetched, so no lock stays behind it."""

    __slots__ = ("columns", "lastrowid", "rowcount", "rows")

    def __init__(self, rows: list[Row], columns: list[str], rowcount: int, lastrowid: Any) -> None:
        self.rows = rows
        self.columns = columns
        """The names of the columns. Empty for a statement that returns no rows."""
        self.rowcount = rowcount
        self.lastrowid = lastrowid

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def returns_rows(self) -> bool:
        """Whether the statement is one that returns rows, even if it found none."""
        return bool(self.columns)

    def fetchall(self) -> list[Row]:
        """Return all rows."""
        return self.rows

    def first(self) -> Row | None:
        """Return the first row, if there is one."""
        return self.rows[0] if self.rows else None

    def one(self) -> Row:
        """Return the only row."""
        [row] = self.rows
        return row

    def scalar(self) -> Any:
        """Return the first value of the first row; None if there is no row."""
        return self.rows[0][0] if self.rows else None

    def mappings(self) -> list[dict[str, Any]]:
        """Return each row as a dictionary by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Connection:
    """A connection to a database. It commits nothing itself: statements say BEGIN and COMMIT."""

    def __init__(self, raw: Any, driver: Driver) -> None:
        self.raw = raw
        """The driver's own connection."""
        self.driver = driver
        self.invalidated = False
        """Whether it was given up: it was lost, or an interrupt cut a statement off."""

    def do_meanwhile(self, work: Callable[[], bool] | None) -> None:
        """Have work done while an answer is awaited, where the driver waits for one."""
        if hasattr(self.raw, "meanwhile"):
            self.raw.meanwhile = work

    def execute(
        self,
        statement: Statement,
        values: Mapping[str, object] | Sequence[Mapping[str, object]] = {},
    ) -> Result:
        """Run a statement with its named values; with a sequence of them once for each."""
        if isinstance(values, Mapping):
            return self._run(*_filled(statement.text, self.driver.mark, values))
        known = _prepared(statement.text, self.driver.mark)
        rows = [tuple(map(one.__getitem__, known.names)) for one in values]
        return self._run(known.sql, rows, is_many=True)

    def exec_driver_sql(
        self, sql: str, values: Mapping[str, object] | Sequence[Any] = ()
    ) -> Result:
        """Run a statement that is written as the driver wants it, with the driver's own marks."""
        return self._run(sql, values)

    def invalidate(self) -> None:
        """Give the connection up. The next statement on it is an error."""
        if not self.invalidated:
            self.invalidated = True
            self.close()

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):
            self.raw.close()

    def _run(self, sql: str, values: Any, *, is_many: bool = False) -> Result:
        if self.invalidated:
            raise DBAPIError(
                ConnectionError("the connection was lost"), connection_invalidated=True
            )
        try:
            return self._send(sql, values, is_many=is_many)
        except self.driver.error as error:
            is_lost = self.driver.is_lost(error)
            if is_lost:
                self.invalidate()
            raise DBAPIError(error, connection_invalidated=is_lost) from error
        except Exception:
            raise
        except BaseException:
            # The rest of the answer may still be on its way, and would be read as the next one.
            self.invalidate()
            raise

    def _send(self, sql: str, values: Any, *, is_many: bool) -> Result:
        cursor = self.raw.cursor()
        try:
            (cursor.executemany if is_many else cursor.execute)(sql, values)
            told = cursor.description
            rows = list(cursor.fetchall()) if told else []
            columns = [column[0] for column in told] if told else []
            return Result(rows, columns, cursor.rowcount, cursor.lastrowid)
        finally:
            cursor.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Opens connections to one database."""

    address: DatabaseAddress
    driver: Driver
    open: Callable[[], Any]
    """Opens a connection of the driver."""

    def connect(self) -> Connection:
        """Open a connection. Raises DBAPIError for an error of the driver."""
        try:
            return Connection(self.open(), self.driver)
        except self.driver.error as error:
            raise DBAPIError(error, connection_invalidated=self.driver.is_lost(error)) from error


class _Prepared(NamedTuple):
    """A statement as a driver takes it: a mark stands between two parts for each name."""

    sql: str
    """All parts and marks."""
    parts: tuple[str, ...]
    names: tuple[str, ...]


@lru_cache(maxsize=1000)
def _prepared(sql: str, mark: str) -> _Prepared:
    """Split a statement at its names. Parts and marks follow each other."""
    if mark == "%s":
        sql = sql.replace("%", "%%")
    pieces = _NAME.split(sql)
    parts = [mark] * len(pieces)
    parts[::2] = pieces[::2]
    return _Prepared("".join(parts), tuple(parts), tuple(pieces[1::2]))


def _filled(sql: str, mark: str, values: Mapping[str, object]) -> tuple[str, Sequence[object]]:
    """Return a statement as the driver takes it, with its values in the order of their marks."""
    known = _prepared(sql, mark)
    found = [values[name] for name in known.names]
    if not any(isinstance(value, _LISTS) for value in found):
        return known.sql, tuple(found)
    parts, flat = list(known.parts), list[object]()
    for place, value in enumerate(found):
        if isinstance(value, _LISTS):
            parts[2 * place + 1] = f"({', '.join([mark] * len(value))})" if value else _NOTHING
            flat += value
        else:
            flat.append(value)
    return "".join(parts), tuple(flat)
