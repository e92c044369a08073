"""Ids that the database gives to new rows: whether the tables still can, and what came back.

Tables lose AUTO_INCREMENT or their primary key in an incomplete import. The database then gives
every new row the id 0, or repeats one. An id of 0 means "no claim" and "no group", so nothing may
be written to such tables: they are looked at once when a store is opened, and an id that cannot be
one ends the transaction that got it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wpbridge.errors import SchemaError
from wpbridge.store.schema.layout import TableNames

MEND: Final = "stop all that uses the queue, then run `wpbridge migrate schema fix`"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyColumn:
    """The column of a table that tells its rows apart, as it is found."""

    is_key: bool
    """It is the primary key, or begins it."""
    gives_ids: bool
    """New rows get an id that no row had before."""


def lost(names: TableNames, found: Mapping[str, KeyColumn]) -> list[str]:
    """What each table has lost, for those that are not whole.

    ``found``: by table; tables that are not there are left out.
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
    """One line on what :func:`lost` has found; empty for nothing."""
    if not told:
        return ""
    return f"{'; '.join(told)}, as after an incomplete import: nothing is written; {MEND}"


def given(told: object, table: str) -> int:
    """The id that the database says it gave to a new row of a table.

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
