"""Write the statements that create tables and indexes on each kind of database."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from wpbridge.store.schema.description import Column, Index, Table
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.schema.tables import FRESH_LAYOUT, OWN, PLUGIN

ONLINE: Final = ", ALGORITHM=INPLACE, LOCK=NONE"
_NO_ZERO_IDS: Final = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
_MYSQL_END: Final = {
    # The server chooses the engine of the plugin's tables, as it does for the plugin.
    False: "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci",
    # The names in our tables are compared byte for byte.
    True: "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
}


class Ddl(ABC):
    """Writes the statements of one kind of database from the description."""

    can_alter: bool
    """Whether it can change the columns and the keys of an existing table."""
    online: str
    """The end of a statement that lets others write meanwhile; empty where there is none."""
    before_script: tuple[str, ...]
    """What another client must run before a script of these statements."""

    def plugin(self, names: TableNames, layout: int = FRESH_LAYOUT) -> list[str]:
        """Return the statements that create the plugin's tables as a fresh install has them."""
        made = []
        for table in PLUGIN:
            name = names.of(table)
            made.append(self._table(name, table, layout))
            made += self._indexes(name, table.indexes_of(layout))
        return made

    def own(self, names: TableNames) -> dict[str, str]:
        """Return, for each of our own tables, the statement that creates it if it is missing."""
        return {names.of(t): self._table(names.of(t), t, FRESH_LAYOUT) for t in OWN}

    def own_indexes(self, names: TableNames) -> dict[str, list[str]]:
        """Return the statements that add indexes to our tables of earlier releases, by table."""
        return {names.of(t): self._indexes(names.of(t), t.indexes) for t in OWN}

    def add_column(self, names: TableNames, table: Table, column: str) -> str:
        """Return the statement that adds a column to a table that lacks it."""
        return f"ALTER TABLE {names.of(table)} ADD COLUMN {self._column(table, column)}"

    @abstractmethod
    def index_name(self, table: str, index: Index) -> str:
        """Return the name of an index of a table."""

    @abstractmethod
    def add_index(self, table: str, index: Index) -> str:
        """Return the statement that adds an index to a table that lacks it."""

    @abstractmethod
    def drop_index(self, table: str, index: Index) -> str:
        """Return the statement that drops an index."""

    def drop_tables(self, tables: Sequence[str]) -> list[str]:
        """Return the statements that drop those of the tables that are there."""
        return [f"DROP TABLE IF EXISTS {table}" for table in tables]

    @abstractmethod
    def before_change(self, lock_wait_seconds: float) -> tuple[str, ...]:
        """Return what to run before a statement that changes a table.

        It is empty where such a statement is an ordinary transaction. ``lock_wait_seconds`` says
        how long the statement may wait for the table.
        """

    @abstractmethod
    def _table(self, name: str, table: Table, layout: int) -> str: ...

    @abstractmethod
    def _indexes(self, name: str, indexes: Sequence[Index]) -> list[str]:
        """Return the statements for indexes that the table's own statement does not make."""

    @abstractmethod
    def _column(self, table: Table, name: str) -> str: ...


class MySQLDdl(Ddl):
    """Writes for MySQL and MariaDB. A table's indexes are made with it."""

    can_alter = True
    online = ONLINE
    before_script = (_NO_ZERO_IDS,)

    def index_name(self, table: str, index: Index) -> str:
        """See :class:`Ddl`. It is the plugin's name, which need be unique only in its table."""
        del table
        return index.name

    def add_index(self, table: str, index: Index) -> str:
        """See :class:`Ddl`."""
        return f"ALTER TABLE {table} ADD INDEX {index.name} ({index.definition})"

    def drop_index(self, table: str, index: Index) -> str:
        """See :class:`Ddl`."""
        return f"ALTER TABLE {table} DROP INDEX {index.name}"

    def drop_tables(self, tables: Sequence[str]) -> list[str]:
        """See :class:`Ddl`. One statement: an account that may not drop one of them drops none."""
        return [f"DROP TABLE IF EXISTS {', '.join(tables)}"]

    def before_change(self, lock_wait_seconds: float) -> tuple[str, ...]:
        """See :class:`Ddl`."""
        return (
            f"SET SESSION lock_wait_timeout = {max(1, round(lock_wait_seconds))}",
            # With this mode, rows with the id 0 keep it when the column gets AUTO_INCREMENT.
            "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',NO_AUTO_VALUE_ON_ZERO')",
        )

    def _table(self, name: str, table: Table, layout: int) -> str:
        parts = [self._column(table, column) for column in table.columns_of(layout)]
        parts.append(f"PRIMARY KEY ({', '.join(table.key)})")
        parts += [f"KEY {one.name} ({one.definition})" for one in table.indexes_of(layout)]
        end = _MYSQL_END[table.is_ours]
        return f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(parts)}) {end}"

    def _indexes(self, name: str, indexes: Sequence[Index]) -> list[str]:
        del name, indexes
        return []

    def _column(self, table: Table, name: str) -> str:
        return f"{name} {table.columns[name].definition}"


class SQLiteDdl(Ddl):
    """Writes for SQLite. The plugin's tables are as sqlite-database-integration 2 makes them."""

    can_alter = False
    online = ""
    before_script = ()

    def __init__(self, *, is_strict: bool) -> None:
        """``is_strict`` says whether the library knows STRICT tables, as SQLite does from 3.37."""
        self._end = "STRICT" if is_strict else ""

    def index_name(self, table: str, index: Index) -> str:
        """See :class:`Ddl`. WordPress's own layer gives this name, unique in the whole database."""
        return f"{table}__{index.name}"

    def add_index(self, table: str, index: Index) -> str:
        """See :class:`Ddl`."""
        return self._create_index("CREATE INDEX", table, index)

    def drop_index(self, table: str, index: Index) -> str:
        """See :class:`Ddl`."""
        return f'DROP INDEX "{self.index_name(table, index)}"'

    def _create_index(self, verb: str, table: str, index: Index) -> str:
        name = self.index_name(table, index)
        return f'{verb} "{name}" ON "{table}" ({", ".join(index.columns)})'

    def before_change(self, lock_wait_seconds: float) -> tuple[str, ...]:
        """See :class:`Ddl`. A change of a definition is a transaction like any other."""
        del lock_wait_seconds
        return ()

    def _table(self, name: str, table: Table, layout: int) -> str:
        parts = [self._column(table, column) for column in table.columns_of(layout)]
        if len(table.key) > 1:
            parts.append(f"PRIMARY KEY ({', '.join(table.key)})")
        end = "" if table.is_ours else f" {self._end}"
        return f'CREATE TABLE IF NOT EXISTS "{name}" ({", ".join(parts)}){end}'

    def _indexes(self, name: str, indexes: Sequence[Index]) -> list[str]:
        return [self._create_index("CREATE INDEX IF NOT EXISTS", name, one) for one in indexes]

    def _column(self, table: Table, name: str) -> str:
        column = table.columns[name]
        parts = [f'"{name}"', _sqlite_type(column, is_ours=table.is_ours)]
        if not column.null:
            parts.append("NOT NULL")
        if table.key == (name,):
            parts.append("PRIMARY KEY")
        if column.auto:
            parts.append("AUTOINCREMENT")
        elif column.default is not None:
            parts.append(f"DEFAULT '{column.default}'")
        return " ".join(parts)


def _sqlite_type(column: Column, *, is_ours: bool) -> str:
    """Return a column's type. The plugin's texts ignore case, as with MySQL's collations."""
    if "int" in column.type.partition(" ")[0]:
        return "INTEGER"
    if column.type == "double":
        return "REAL"
    return "TEXT" if is_ours else "TEXT COLLATE NOCASE"
