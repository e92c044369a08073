"""What a description of a table is made of: columns, indexes, a primary key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

OLDEST_SCHEMA: Final = 5
NEWEST_SCHEMA: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. Its type is MySQL's, without the width that integers are shown in."""

    type: str
    null: bool = False
    default: str | None = None
    auto: bool = False
    """Whether the database gives new rows their value."""
    since: int = OLDEST_SCHEMA
    """The plugin's layout that brought the column, as far as wpbridge must know it."""
    is_optional: bool = False
    """Whether wpbridge does without it."""

    @property
    def definition(self) -> str:
        """The column as it stands in a statement on MySQL. The table sets the character set."""
        parts = [self.type, "NULL" if self.null else "NOT NULL"]
        if self.auto:
            parts.append("AUTO_INCREMENT")
        elif self.default is not None:
            parts.append(f"DEFAULT '{self.default}'")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index, and the plugin's layouts that ask for it."""

    columns: tuple[str, ...]
    lengths: Mapping[str, int] = field(default_factory=dict)
    """How many characters are indexed, for columns that are indexed in part."""
    since: int = OLDEST_SCHEMA
    until: int = NEWEST_SCHEMA
    called: str = ""
    """Its name, where that is not made of its columns."""

    @property
    def name(self) -> str:
        """The index's name on MySQL."""
        return self.called or "_".join(self.columns)

    @property
    def definition(self) -> str:
        """The columns as they stand in a statement on MySQL."""
        return ", ".join(
            f"{column}({self.lengths[column]})" if column in self.lengths else column
            for column in self.columns
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the plugin's or of ours."""

    name: str
    """What :class:`wpbridge.store.schema.layout.TableNames` calls it."""
    key: tuple[str, ...]
    """The columns of the primary key."""
    columns: Mapping[str, Column]
    """In the order in which they are made."""
    indexes: tuple[Index, ...] = ()
    """Beside the primary key."""
    is_ours: bool = False

    @property
    def name_end(self) -> str:
        """The table's name after the site's prefix."""
        return f"{'wpbridge' if self.is_ours else 'actionscheduler'}_{self.name}"

    def insert_into(self, name: str) -> str:
        """Write the INSERT of a whole row into the table of this name, with values by name."""
        columns, values = ", ".join(self.columns), ", ".join(f":{one}" for one in self.columns)
        return f"INSERT INTO {name} ({columns}) VALUES ({values})"

    @property
    def gives_ids(self) -> bool:
        """Whether the database numbers new rows."""
        return any(column.auto for column in self.columns.values())

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns without which wpbridge cannot work."""
        return tuple(name for name, column in self.columns.items() if not column.is_optional)

    def columns_of(self, layout: int) -> dict[str, Column]:
        """The columns that a layout of the plugin has."""
        return {name: column for name, column in self.columns.items() if column.since <= layout}

    def indexes_of(self, layout: int) -> list[Index]:
        """The indexes that a layout of the plugin asks for."""
        return [index for index in self.indexes if index.since <= layout <= index.until]
