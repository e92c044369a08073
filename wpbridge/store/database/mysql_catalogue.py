"""Read what MariaDB and MySQL say about themselves and their tables. No row of a table is read."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from wpbridge.clock import from_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.dialect import parse_version
from wpbridge.store.schema.found import (
    NO_TRANSACTIONS,
    FoundColumn,
    FoundTable,
    TableSize,
    columns_by_index,
    plain_default,
    plain_type,
)
from wpbridge.store.schema.ids import KeyColumn

_NEXT_ID: Final = re.compile(r"\bAUTO_INCREMENT=(\d+)")
_OF_TABLE: Final = "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :t"
_SIZES: Final = (
    "SELECT TABLE_NAME, ENGINE, TABLE_ROWS, COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0),"
    " TABLE_COLLATION FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
)


class MySQLCatalogue:
    """See :class:`wpbridge.store.database.dialect.Catalogue`. Most is from information_schema."""

    def tables(self, connection: Connection) -> frozenset[str]:
        """See :class:`Catalogue`."""
        rows = _rows(
            connection,
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()",
        )
        return frozenset(str(name) for (name,) in rows)

    def columns(self, connection: Connection, table: str) -> list[str]:
        """See :class:`Catalogue`."""
        rows = _rows(
            connection,
            f"SELECT COLUMN_NAME FROM information_schema.COLUMNS {_OF_TABLE}"
            " ORDER BY ORDINAL_POSITION",
            t=table,
        )
        return [str(name) for (name,) in rows]

    def indexes(self, connection: Connection, table: str) -> dict[str, tuple[str, ...]]:
        """See :class:`Catalogue`."""
        return columns_by_index(self._keys(connection, table))

    def key_columns(
        self, connection: Connection, columns: Mapping[str, str]
    ) -> dict[str, KeyColumn]:
        """See :class:`Catalogue`. The query names each column, so that no other table is opened."""
        ask = (
            "SELECT :t{0}, EXTRA, COLUMN_KEY FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :t{0} AND COLUMN_NAME = :c{0}"
        )
        asked = " UNION ALL ".join(ask.format(place) for place in range(len(columns)))
        values = {f"t{place}": table for place, table in enumerate(columns)}
        values |= {f"c{place}": column for place, column in enumerate(columns.values())}
        return {
            str(table): KeyColumn(
                is_key=str(key) == "PRI",
                gives_ids="auto_increment" in str(extra).lower() and str(key) == "PRI",
            )
            for table, extra, key in _rows(connection, asked, **values)
        }

    def is_transactional(self, connection: Connection, table: str) -> bool:
        """See :class:`Catalogue`. MyISAM, Aria and MEMORY have no transactions."""
        return not self.without_transactions(connection, [table])

    def without_transactions(self, connection: Connection, tables: Collection[str]) -> list[str]:
        """See :class:`Catalogue`."""
        asked = text(
            "SELECT TABLE_NAME FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN :tables"
            " AND LOWER(ENGINE) IN :plain ORDER BY TABLE_NAME"
        )
        values = {"tables": list(tables), "plain": sorted(NO_TRANSACTIONS)}
        return [str(name) for (name,) in connection.execute(asked, values)]

    def look(self, connection: Connection, table: str, key: str) -> FoundTable | None:
        """See :class:`Catalogue`."""
        del key
        told = _rows(connection, f"{_SIZES} AND TABLE_NAME = :t", t=table)
        if not told:
            return None
        [(_, engine, rows, size, collation)] = told
        columns = _rows(
            connection,
            "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLLATION_NAME"
            f" FROM information_schema.COLUMNS {_OF_TABLE} ORDER BY ORDINAL_POSITION",
            t=table,
        )
        keys = self._keys(connection, table)
        return FoundTable(
            name=table,
            columns={
                str(column): FoundColumn(
                    type=plain_type(str(kind)),
                    null=str(null) == "YES",
                    default=plain_default(default),
                    auto="auto_increment" in str(extra).lower(),
                    collation=None if of_column is None else str(of_column),
                )
                for column, kind, null, default, extra, of_column in columns
            },
            indexes=columns_by_index(keys),
            unique=frozenset(str(index) for index, _, repeats in keys if not int(repeats)),
            engine=str(engine),
            collation=str(collation),
            rows=int(rows or 0),
            size_bytes=int(size),
        )

    def written(self, connection: Connection, table: str) -> str:
        """See :class:`Catalogue`."""
        return str(_rows(connection, f"SHOW CREATE TABLE {table}")[0][1])

    def next_id(self, connection: Connection, table: str) -> int | None:
        """See :class:`Catalogue`. It reads the definition: MySQL 8's catalogue may be a day old."""
        match = _NEXT_ID.search(self.written(connection, table))
        return int(match[1]) if match else 1

    def sizes(self, connection: Connection, tables: Sequence[str]) -> dict[str, TableSize]:
        """See :class:`Catalogue`. The query names each table, so that no other one is opened."""
        asked = " UNION ALL ".join(
            f"{_SIZES} AND TABLE_NAME = :t{place}" for place in range(len(tables))
        )
        values = {f"t{place}": table for place, table in enumerate(tables)}
        return {
            str(name): TableSize(
                engine=str(engine), rows=None if count is None else int(count), data_bytes=int(size)
            )
            for name, engine, count, size, _ in _rows(connection, asked, **values)
        }

    def file_bytes(self, connection: Connection) -> int:
        """See :class:`Catalogue`."""
        del connection
        return 0

    def journal_mode(self, connection: Connection) -> str:
        """See :class:`Catalogue`."""
        del connection
        return ""

    def variables(self, connection: Connection, names: Sequence[str], scope: str) -> dict[str, str]:
        """See :class:`Catalogue`."""
        marks = {f"n{place}": name for place, name in enumerate(names)}
        listed = ", ".join(f":{mark}" for mark in marks)
        asked = f"SHOW {scope} VARIABLES WHERE Variable_name IN ({listed})"
        return {str(n).lower(): str(value) for n, value in _rows(connection, asked, **marks)}

    def clock(self, connection: Connection) -> datetime | None:
        """See :class:`Catalogue`."""
        return from_text(str(connection.exec_driver_sql("SELECT UTC_TIMESTAMP()").scalar()))

    def identity(self, connection: Connection) -> str:
        """See :class:`Catalogue`."""
        [(host, port, name)] = _rows(connection, "SELECT @@hostname, @@port, DATABASE()")
        return f"mysql:{host}:{port}:{name}"

    def can_index_online(self, connection: Connection) -> bool:
        """See :class:`Catalogue`. MySQL 5.6 and MariaDB 10.0 are the first that can."""
        told = str(connection.exec_driver_sql("SELECT VERSION()").scalar())
        kind, version = parse_version(told)
        return version >= ((10, 0, 0) if kind == "MariaDB" else (5, 6, 0))

    def plan(
        self, connection: Connection, select: str, values: Mapping[str, object]
    ) -> list[Mapping[str, Any]]:
        """See :class:`Catalogue`."""
        rows = connection.execute(text(f"EXPLAIN {select}"), values).mappings()
        return [{name.lower(): value for name, value in row.items()} for row in rows]

    def index_used(self, connection: Connection, select: str) -> tuple[str | None, bool]:
        """See :class:`Catalogue`."""
        first = self.plan(connection, select, {})[0]
        key = first.get("key")
        return None if key is None else str(key), "filesort" in str(first.get("extra") or "")

    def _keys(self, connection: Connection, table: str) -> Sequence[Sequence[Any]]:
        return _rows(
            connection,
            "SELECT INDEX_NAME, COLUMN_NAME, NON_UNIQUE FROM information_schema.STATISTICS"
            f" {_OF_TABLE} ORDER BY INDEX_NAME, SEQ_IN_INDEX",
            t=table,
        )


def _rows(connection: Connection, statement: str, **values: object) -> Sequence[Sequence[Any]]:
    return connection.execute(text(statement), values).fetchall()
