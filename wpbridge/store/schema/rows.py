"""Rows by name: which columns a statement reads, and the record that each of its rows becomes.

A record is a NamedTuple whose fields are called as the columns are. To read one of its fields takes
no longer than to read a place of a row, which attributes of SQLAlchemy's rows do.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from wpbridge.store.schema.description import Table

R = TypeVar("R", bound=NamedTuple)


@dataclass(frozen=True, slots=True)
class Reader(Generic[R]):
    """The columns of a SELECT, and what makes a record of each of its rows."""

    columns: str
    make: Callable[[Iterable[Any]], R]

    def read(self, rows: Iterable[Iterable[Any]]) -> list[R]:
        """Make records of all rows, in their order."""
        return list(map(self.make, rows))


def reader(
    record: type[R],
    table: Table,
    *,
    lacking: Collection[str] = (),
    of: str = "",
    **expressions: str,
) -> Reader[R]:
    """Read records of a table's rows.

    Args:
        record: names the columns, in their order.
        table: describes them.
        lacking: columns that this site's table lacks. Their default is read instead.
        of: what the statement calls the table, where it reads more than one.
        expressions: what is read for a field that is no column, or other than the column is.

    Raises:
        KeyError: a field is neither.
    """

    def told(name: str) -> str:
        if name in expressions:
            return f"{expressions[name]} AS {name}"
        column = table.columns[name]
        if name in lacking:
            return f"{column.default or 'NULL'} AS {name}"
        return f"{of}.{name}" if of else name

    return Reader(", ".join(map(told, record._fields)), record._make)
