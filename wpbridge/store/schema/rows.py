"""Read rows by name: which columns a statement reads, and the record made of each row.

A record is a NamedTuple whose fields have the columns' names. Reading a field is as fast as reading
a place of a row.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from wpbridge.dataclass import dataclass
from wpbridge.store.schema.description import Table

R = TypeVar("R", bound=NamedTuple)


@dataclass(frozen=True, slots=True)
class Reader(Generic[R]):
    """Holds the columns of a SELECT, and makes a record of each of its rows."""

    columns: str
    make: Callable[[Iterable[Any]], R]

    def read(self, rows: Iterable[Iterable[Any]]) -> list[R]:
        """Return the records of all rows, in their order."""
        return list(map(self.make, rows))


def reader(
    record: type[R],
    table: Table,
    *,
    lacking: Collection[str] = (),
    of: str = "",
    **expressions: str,
) -> Reader[R]:
    """Return a reader of a table's rows.

    Args:
        record: the NamedTuple whose fields name the columns, in their order.
        table: the description of the table.
        lacking: columns that this site's table lacks. Their default is read instead.
        of: the table's alias, when the statement reads more than one table.
        expressions: what to read for a field that is no column, or in place of its column.

    Raises:
        KeyError: a field is neither a column nor an expression.
    """

    def told(name: str) -> str:
        if name in expressions:
            return f"{expressions[name]} AS {name}"
        column = table.columns[name]
        if name in lacking:
            return f"{column.default or 'NULL'} AS {name}"
        return f"{of}.{name}" if of else name

    return Reader(", ".join(map(told, record._fields)), record._make)
