"""Write statements that make a table of MySQL equal to its description.

None of them is run on SQLite, whose columns and keys cannot be changed.
"""

import re
from collections.abc import Sequence

from wpbridge.store.schema.description import Column
from wpbridge.store.schema.found import FoundTable


def to_innodb(table: FoundTable) -> str:
    """Return the statement that gives a table transactions."""
    return f"ALTER TABLE {table.name} ENGINE=InnoDB"


def set_default(table: FoundTable, name: str, column: Column) -> str:
    """Return the statement that gives a column its default. It touches no row."""
    return f"ALTER TABLE {table.name} ALTER COLUMN {name} SET DEFAULT '{column.default}'"


def modify(table: FoundTable, name: str, column: Column) -> str:
    """Return the statement that defines a column as its layout does."""
    return f"ALTER TABLE {table.name} MODIFY COLUMN {name} {column.definition}"


def give_ids(table: FoundTable, name: str, column: Column, first: int) -> str:
    """Return the statement after which the server gives ids, with a primary key if needed.

    The ids begin with ``first``, unless that is 0.
    """
    key = "" if table.indexes.get("PRIMARY") == (name,) else f"ADD PRIMARY KEY ({name}), "
    begin = f", AUTO_INCREMENT={first}" if first else ""
    return f"ALTER TABLE {table.name} {key}MODIFY COLUMN {name} {column.definition}{begin}"


def renumber_zeros(table: FoundTable, name: str, least: int) -> str:
    """Return the statement that gives new ids to rows with the id 0.

    They are above all other ids and not below ``least``.
    """
    return (
        f"UPDATE {table.name}, (SELECT @wpbridge_id := GREATEST({least}, COALESCE(MAX({name}), 0)"
        f" + 1) - 1 FROM {table.name}) AS top SET {name} = (@wpbridge_id := @wpbridge_id + 1)"
        f" WHERE {name} = 0"
    )


def add_primary_key(table: FoundTable, columns: Sequence[str]) -> str:
    """Return the statement that adds a primary key, so that the server refuses copies of rows."""
    return f"ALTER TABLE {table.name} ADD PRIMARY KEY ({', '.join(columns)})"


def begin_ids(table: FoundTable, first: int) -> str:
    """Return the statement after which new ids are not below ``first``."""
    return f"ALTER TABLE {table.name} AUTO_INCREMENT={first}"


def is_plain(default: str | None) -> bool:
    """Return whether a default is None, or a plain number or date that is safe in a statement."""
    return default is None or re.fullmatch(r"[0-9 :.-]{1,30}", default) is not None


def default_back(table: FoundTable, name: str, before: str | None) -> str:
    """Return the statement that restores a column's default. Raises ValueError if not plain."""
    if not is_plain(before):
        raise ValueError(before)
    if before is None:
        back = "SET DEFAULT NULL" if table.columns[name].null else "DROP DEFAULT"
    else:
        back = f"SET DEFAULT '{before}'"
    return f"ALTER TABLE {table.name} ALTER COLUMN {name} {back}"


def collate(table: FoundTable, wanted: str) -> str:
    """Return the statement that gives all text columns one collation.

    It names each column, since CONVERT TO would turn a text into a mediumtext.
    """
    charset = f"CHARACTER SET {wanted.partition('_')[0]} COLLATE {wanted}"
    parts = [f"DEFAULT {charset}"]
    for name, column in table.columns.items():
        if column.collation is not None and column.collation != wanted:
            null = "NULL" if column.null else "NOT NULL"
            default = "" if column.default is None else f" DEFAULT '{column.default}'"
            parts.append(f"MODIFY COLUMN {name} {column.type} {charset} {null}{default}")
    return f"ALTER TABLE {table.name} {', '.join(parts)}"
