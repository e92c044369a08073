"""Define the parts of a table's description: columns, indexes, a primary key."""

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from wpbridge.dataclass import dataclass

OLDEST_SCHEMA: Final = 5
NEWEST_SCHEMA: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Describes a column. Its type is MySQL's, without the display width of integers."""

    type: str
    null: bool = False
    default: str | None = None
    auto: bool = False
    """Whether the database gives new rows their value."""
    since: int = OLDEST_SCHEMA
    """The first of the plugin's layouts with the column, as far as wpbridge must know."""
    is_optional: bool = False
    """Whether wpbridge can work without it."""

    @property
    def definition(self) -> str:
        """Return the column's definition for MySQL. The table sets the character set."""
        parts = [self.type, "NULL" if self.null else "NOT NULL"]
        if self.auto:
            parts.append("AUTO_INCREMENT")
        elif self.default is not None:
            parts.append(f"DEFAULT '{self.default}'")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Describes an index, and which of the plugin's layouts ask for it."""

    columns: tuple[str, ...]
    lengths: Mapping[str, int] = field(default_factory=dict)
    """How many characters are indexed, for columns that are indexed in part."""
    since: int = OLDEST_SCHEMA
    until: int = NEWEST_SCHEMA
    called: str = ""
    """Its name, when that is not made of its columns."""

    @property
    def name(self) -> str:
        """Return the index's name on MySQL."""
        return self.called or "_".join(self.columns)

    @property
    def definition(self) -> str:
        """Return the columns as a statement for MySQL lists them."""
        return ", ".join(
            f"{column}({self.lengths[column]})" if column in self.lengths else column
            for column in self.columns
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Describes one of the plugin's tables or of our own."""

    name: str
    """Its name in :class:`wpbridge.store.schema.layout.TableNames`."""
    key: tuple[str, ...]
    """The columns of the primary key."""
    columns: Mapping[str, Column]
    """The columns, in the order in which they are made."""
    indexes: tuple[Index, ...] = ()
    """The indexes beside the primary key."""
    is_ours: bool = False

    @property
    def name_end(self) -> str:
        """Return the table's name after the site's prefix."""
        return f"{'wpbridge' if self.is_ours else 'actionscheduler'}_{self.name}"

    @property
    def given(self) -> tuple[str, ...]:
        """Return the columns of which a new row is given a value: those that are not numbered."""
        return tuple(name for name, column in self.columns.items() if not column.auto)

    def insert_start(self, name: str, verb: str = "INSERT") -> str:
        """Return the start of an INSERT of rows into the table of this name, up to the values."""
        return f"{verb} INTO {name} ({', '.join(self.given)}) VALUES "

    def insert_into(self, name: str, verb: str = "INSERT", **values: str) -> str:
        """Return the INSERT of one row into the table of this name.

        Args:
            name: of the table, with the site's prefix.
            verb: another one passes over a row that is there.
            values: expressions by column. Other columns take the parameter of their name.
        """
        told = ", ".join(values.get(column, f":{column}") for column in self.given)
        return f"{self.insert_start(name, verb)}({told})"

    @property
    def gives_ids(self) -> bool:
        """Whether the database numbers new rows."""
        return any(column.auto for column in self.columns.values())

    @property
    def needed(self) -> tuple[str, ...]:
        """Return the columns without which wpbridge cannot work."""
        return tuple(name for name, column in self.columns.items() if not column.is_optional)

    def columns_of(self, layout: int) -> dict[str, Column]:
        """Return the columns that a layout of the plugin has."""
        return {name: column for name, column in self.columns.items() if column.since <= layout}

    def indexes_of(self, layout: int) -> list[Index]:
        """Return the indexes that a layout of the plugin asks for."""
        return [index for index in self.indexes if index.since <= layout <= index.until]
