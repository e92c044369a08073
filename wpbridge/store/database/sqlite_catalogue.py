"""Read what an SQLite file says about itself and its tables. No row of a table is read."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.schema.found import (
    FoundColumn,
    FoundTable,
    TableSize,
    columns_by_index,
    plain_default,
)
from wpbridge.store.schema.ids import KeyColumn

_QUOTED: Final = re.compile(r"""--[^\n]*|/\*.*?\*/|'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]""", re.DOTALL)
_AUTOINCREMENT: Final = re.compile(r"\bPRIMARY\s+KEY\b[^,]*\bAUTOINCREMENT\b", re.IGNORECASE)
_USED: Final = re.compile(r"USING (?:COVERING )?INDEX (\S+)")


class SQLiteCatalogue:
    """See :class:`wpbridge.store.database.dialect.Catalogue`."""

    def tables(self, connection: Connection) -> frozenset[str]:
        """See :class:`Catalogue`."""
        rows = _rows(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")
        return frozenset(str(name) for (name,) in rows)

    def columns(self, connection: Connection, table: str) -> list[str]:
        """See :class:`Catalogue`."""
        rows = _rows(connection, "SELECT name FROM pragma_table_info(:t)", t=table)
        return [str(name) for (name,) in rows]

    def indexes(self, connection: Connection, table: str) -> dict[str, tuple[str, ...]]:
        """See :class:`Catalogue`."""
        return columns_by_index(self._keys(connection, table))

    def key_columns(
        self, connection: Connection, columns: Mapping[str, str]
    ) -> dict[str, KeyColumn]:
        """See :class:`Catalogue`. The definitions of the tables are read.

        Without the word AUTOINCREMENT, SQLite gives the ids of deleted rows to new rows.
        """
        asked = text(
            "SELECT m.name, m.sql, i.name, i.type, i.pk FROM sqlite_master AS m"
            " JOIN pragma_table_info(m.name) AS i WHERE m.type = 'table' AND m.name IN :names"
        )
        found = connection.execute(asked, {"names": list(columns)})
        return {
            str(table): KeyColumn(
                is_key=int(place) == 1,
                gives_ids=(
                    int(place) == 1
                    and str(kind).upper() == "INTEGER"
                    and bool(_AUTOINCREMENT.search(_QUOTED.sub("", str(written))))
                ),
            )
            for table, written, column, kind, place in found
            if column == columns[table]
        }

    def is_transactional(self, connection: Connection, table: str) -> bool:
        """See :class:`Catalogue`. Every table of SQLite has transactions."""
        del connection, table
        return True

    def without_transactions(self, connection: Connection, tables: Collection[str]) -> list[str]:
        """See :class:`Catalogue`. Every table of SQLite has transactions."""
        del connection, tables
        return []

    def look(self, connection: Connection, table: str, key: str) -> FoundTable | None:
        """See :class:`Catalogue`."""
        columns = _rows(
            connection,
            'SELECT name, type, "notnull", dflt_value FROM pragma_table_info(:t)',
            t=table,
        )
        if not columns:
            return None
        giving = self.key_columns(connection, {table: key}).get(table)
        keys = self._keys(connection, table)
        return FoundTable(
            name=table,
            columns={
                str(column): FoundColumn(
                    type=str(kind).lower(),
                    null=not needed,
                    default=plain_default(default),
                    auto=giving is not None and giving.gives_ids and column == key,
                    collation=None,
                )
                for column, kind, needed, default in columns
            },
            indexes=columns_by_index(keys),
            unique=frozenset(str(index) for index, _, is_unique in keys if is_unique),
        )

    def written(self, connection: Connection, table: str) -> str:
        """See :class:`Catalogue`."""
        rows = _rows(
            connection,
            "SELECT sql FROM sqlite_master WHERE tbl_name = :t AND sql IS NOT NULL"
            " ORDER BY type DESC, name",
            t=table,
        )
        return ";\n".join(str(statement) for (statement,) in rows)

    def next_id(self, connection: Connection, table: str) -> int | None:
        """See :class:`Catalogue`. SQLite does not say."""
        del connection, table
        return None

    def sizes(self, connection: Connection, tables: Sequence[str]) -> dict[str, TableSize]:
        """See :class:`Catalogue`. SQLite does not say."""
        del connection, tables
        return {}

    def file_bytes(self, connection: Connection) -> int:
        """See :class:`Catalogue`."""
        asked = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(connection.exec_driver_sql(asked).scalar() or 0)

    def journal_mode(self, connection: Connection) -> str:
        """See :class:`Catalogue`."""
        return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())

    def variables(self, connection: Connection, names: Sequence[str], scope: str) -> dict[str, str]:
        """See :class:`Catalogue`. SQLite has no variables."""
        del connection, names, scope
        return {}

    def clock(self, connection: Connection) -> datetime | None:
        """See :class:`Catalogue`. SQLite has no clock of its own."""
        del connection
        return None

    def identity(self, connection: Connection) -> str:
        """See :class:`Catalogue`."""
        file = connection.exec_driver_sql("SELECT file FROM pragma_database_list").scalar()
        return f"sqlite:{file or ''}"

    def can_index_online(self, connection: Connection) -> bool:
        """See :class:`Catalogue`. Others wait for it only as they wait for each writer."""
        del connection
        return True

    def plan(
        self, connection: Connection, select: str, values: Mapping[str, object]
    ) -> list[Mapping[str, Any]]:
        """See :class:`Catalogue`. It is empty, since on SQLite each statement names its index."""
        del connection, select, values
        return []

    def index_used(self, connection: Connection, select: str) -> tuple[str | None, bool]:
        """See :class:`Catalogue`."""
        rows = _rows(connection, f"EXPLAIN QUERY PLAN {select}")
        told = " ".join(str(detail) for *_, detail in rows)
        used = _USED.search(told)
        return used[1] if used else None, "TEMP B-TREE" in told

    def _keys(self, connection: Connection, table: str) -> Sequence[Sequence[Any]]:
        return _rows(
            connection,
            'SELECT l.name, i.name, l."unique" FROM pragma_index_list(:t) AS l'
            " JOIN pragma_index_info(l.name) AS i ORDER BY l.name, i.seqno",
            t=table,
        )


def _rows(connection: Connection, statement: str, **values: object) -> Sequence[Sequence[Any]]:
    return connection.execute(text(statement), values).fetchall()
