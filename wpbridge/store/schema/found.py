"""Hold tables as a database describes them, to compare them with our description."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wpbridge.dataclass import dataclass

NO_TRANSACTIONS: Final = frozenset({"myisam", "aria", "memory"})
"""The engines without transactions, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumn:
    """Holds a column as the database describes it."""

    type: str
    null: bool
    default: str | None
    auto: bool
    collation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """Holds a table as the database describes it."""

    name: str
    columns: Mapping[str, FoundColumn]
    indexes: Mapping[str, tuple[str, ...]]
    unique: frozenset[str]
    """The names of the unique indexes."""
    engine: str = ""
    """Empty on SQLite."""
    collation: str = ""
    rows: int = 0
    """An estimate of the number of rows."""
    size_bytes: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the table has no transactions."""
        return self.engine.lower() in NO_TRANSACTIONS

    @property
    def changes_online(self) -> bool:
        """Whether others can write while an index is added, if the server is new enough."""
        return bool(self.engine) and not self.is_plain

    def has_index(self, columns: Sequence[str]) -> bool:
        """Return whether an index begins with these columns."""
        wanted = tuple(columns)
        return any(found[: len(wanted)] == wanted for found in self.indexes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """Says how large a table is. On large tables the number of rows is an estimate."""

    engine: str
    rows: int | None
    data_bytes: int


def columns_by_index(rows: Iterable[Sequence[object]]) -> dict[str, tuple[str, ...]]:
    """Return each index's columns in order, from rows that begin with an index and a column."""
    found: dict[str, tuple[str, ...]] = {}
    for index, column, *_ in rows:
        found[str(index)] = (*found.get(str(index), ()), str(column))
    return found


def plain_type(told: str) -> str:
    """Return ``bigint(20) unsigned`` as ``bigint unsigned``, since newer servers show no width."""
    return re.sub(r"\b(tinyint|smallint|mediumint|int|bigint)\(\d+\)", r"\1", told.lower())


def plain_default(told: object) -> str | None:
    """Return a default without quotes. MariaDB quotes defaults and writes NULL as a word."""
    if told is None or str(told) == "NULL":
        return None
    return str(told).removeprefix("'").removesuffix("'")
