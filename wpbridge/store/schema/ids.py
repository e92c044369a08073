"""Check the ids that the database gives to new rows, and whether the tables can still give them.

An incomplete import makes tables lose AUTO_INCREMENT or their primary key. The database then gives
every new row the id 0, or repeats one. An id of 0 means "no claim" and "no group", so nothing may
be written to such tables. They are checked once when a store is opened. An id that is not valid
also ends the transaction that got it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import SchemaError
from wpbridge.store.schema.layout import TableNames

MEND: Final = "stop all that uses the queue, then run `wpbridge migrate schema fix`"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyColumn:
    """Describes the column that should tell a table's rows apart, as it is found."""

    is_key: bool
    """Whether it is the primary key, or begins it."""
    gives_ids: bool
    """Whether new rows get an id that no row had before."""


def lost(names: TableNames, found: Mapping[str, KeyColumn]) -> list[str]:
    """Say what each damaged table has lost.

    ``found`` gives the key column by table. Tables that it lacks are left out.
    """
    told = []
    for table, column in names.keys_of_tables.items():
        there = found.get(table)
        if there is None:
            continue
        if table in names.with_ids and not there.gives_ids:
            told.append(f"{table} gives new rows no ids ({column} is no AUTO_INCREMENT key)")
        elif not there.is_key:
            told.append(f"{table} has lost its primary key ({column})")
    return told


def complaint(told: Sequence[str]) -> str:
    """Join what :func:`lost` has found into one line; return "" for nothing."""
    if not told:
        return ""
    return f"{'; '.join(told)}, as after an incomplete import: nothing is written; {MEND}"


def given(told: object, table: str) -> int:
    """Return the id that the database gave to a new row of a table.

    Raises:
        SchemaError: it gave none; the caller's transaction must not be committed.
    """
    number = int(str(told or 0))
    if number < 1:
        raise SchemaError(
            f"a new row of {table} got the id {number} and was taken back: the table gives new rows"
            f" no ids; {MEND}"
        )
    return number
