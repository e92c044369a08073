"""Tables as a database tells of them, to compare with the description."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

NO_TRANSACTIONS: Final = frozenset({"myisam", "aria", "memory"})
"""Engines, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumn:
    """A column as the database tells of it."""

    type: str
    null: bool
    default: str | None
    auto: bool
    collation: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """A table as the database tells of it."""

    name: str
    columns: Mapping[str, FoundColumn]
    indexes: Mapping[str, tuple[str, ...]]
    unique: frozenset[str]
    """The names of the unique indexes."""
    engine: str = ""
    """Empty on SQLite."""
    collation: str = ""
    rows: int = 0
    """An estimate."""
    size_bytes: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the table has no transactions."""
        return self.engine.lower() in NO_TRANSACTIONS

    @property
    def changes_online(self) -> bool:
        """Whether others can write while an index is added, on a server that is new enough."""
        return bool(self.engine) and not self.is_plain

    def has_index(self, columns: Sequence[str]) -> bool:
        """Whether an index begins with these columns."""
        wanted = tuple(columns)
        return any(found[: len(wanted)] == wanted for found in self.indexes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """How large a table is. The rows are an estimate on large tables."""

    engine: str
    rows: int | None
    data_bytes: int


def columns_by_index(rows: Iterable[Sequence[object]]) -> dict[str, tuple[str, ...]]:
    """Gather rows that begin with an index and one of its columns, in the index's order."""
    found: dict[str, tuple[str, ...]] = {}
    for index, column, *_ in rows:
        found[str(index)] = (*found.get(str(index), ()), str(column))
    return found


def plain_type(told: str) -> str:
    """Write ``bigint(20) unsigned`` as ``bigint unsigned``: newer servers show no width."""
    return re.sub(r"\b(tinyint|smallint|mediumint|int|bigint)\(\d+\)", r"\1", told.lower())


def plain_default(told: object) -> str | None:
    """Take the quotes from a default: MariaDB quotes what it tells, and tells NULL as a word."""
    if told is None or str(told) == "NULL":
        return None
    return str(told).removeprefix("'").removesuffix("'")
