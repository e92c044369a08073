"""What the server and the tables' definitions tell; nothing here reads a row of the queue.

Where SQLite has no such thing, the answer is empty.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from wpbridge.clock import from_text
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.mysql import MySQL
from wpbridge.store.database.sqlite import SQLite
from wpbridge.store.running.candidates import Finder, Plan
from wpbridge.store.running.runner_store import SqlStore
from wpbridge.store.schema.ids import lost

_NEXT_ID: Final = re.compile(r"\bAUTO_INCREMENT=(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """A table as the server's catalogue tells of it; on large tables the rows are an estimate."""

    engine: str
    rows: int | None
    data_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a statement's plan."""

    name: str
    """The statement's."""
    index: str | None
    """The one it uses."""
    wanted: str | None
    """The one it should use; None where any will do."""
    rows: int
    reads_all: bool
    sorts: bool


class Server:
    """Questions about one site's server and tables."""

    def __init__(self, store: SqlStore) -> None:
        """Connects when it is first asked."""
        self._store = store
        self._names = store.names

    @property
    def is_mysql(self) -> bool:
        """MariaDB or MySQL, and not SQLite."""
        return self._store.session.run(lambda c: str(c.dialect.name)) != "sqlite"

    @property
    def dialect(self) -> Dialect:
        """What differs between the two."""
        return MySQL() if self.is_mysql else SQLite()

    def variables(self, *names: str, of: str = "SESSION") -> dict[str, str]:
        """Server variables by name, in lower case; unknown ones are left out."""
        if not self.is_mysql:
            return {}
        marks = {f"n{place}": name for place, name in enumerate(names)}
        listed = ", ".join(f":{mark}" for mark in marks)
        rows = self._rows(f"SHOW {of} VARIABLES WHERE Variable_name IN ({listed})", **marks)
        return {str(name).lower(): str(value) for name, value in rows}

    def now(self) -> datetime | None:
        """The server's clock, to the second; None on SQLite, which has none of its own."""
        if not self.is_mysql:
            return None
        return from_text(str(self._rows("SELECT UTC_TIMESTAMP()")[0][0]))

    def journal_mode(self) -> str:
        """SQLite's, such as ``wal``; empty on MySQL."""
        return "" if self.is_mysql else str(self._rows("PRAGMA journal_mode")[0][0])

    def sizes(self) -> dict[str, TableSize]:
        """The plugin's tables and ours by name; on SQLite nothing."""
        if not self.is_mysql:
            return {}
        rows = self._rows(
            "SELECT TABLE_NAME, ENGINE, TABLE_ROWS, COALESCE(DATA_LENGTH, 0)"
            " + COALESCE(INDEX_LENGTH, 0) FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE()"
        )
        wanted = {name.lower() for name in (*self._plugin, *self._names.own)}
        return {
            str(name): TableSize(
                engine=str(engine), rows=None if count is None else int(count), data_bytes=int(size)
            )
            for name, engine, count, size in rows
            if str(name).lower() in wanted
        }

    def file_bytes(self) -> int:
        """The size of SQLite's file; 0 on MySQL."""
        if self.is_mysql:
            return 0
        [[pages]], [[size]] = self._rows("PRAGMA page_count"), self._rows("PRAGMA page_size")
        return int(pages) * int(size)

    def indexes(self) -> dict[str, frozenset[tuple[str, ...]]]:
        """The columns of every index of the plugin's tables, by the tables' names."""
        dialect = self.dialect

        def look(connection: Connection) -> dict[str, frozenset[tuple[str, ...]]]:
            return {
                table: frozenset(
                    tuple(columns) for columns in dialect.indexes(connection, table).values()
                )
                for table in self._plugin
            }

        return self._store.session.run(look)

    def lost_keys(self) -> list[str]:
        """Which tables lost ids or primary keys, see :func:`wpbridge.store.schema.ids.lost`."""
        names, dialect = self._names, self.dialect
        wanted = names.keys_of_tables
        found = self._store.session.run(lambda c: dialect.key_columns(c, wanted))
        return lost(names, found)

    def next_id(self) -> int | None:
        """The id that the next action gets; None where nothing tells it.

        Read off the table's definition: the catalogue of MySQL 8 may be a day old.
        """
        if not self.is_mysql:
            return None
        told = str(self._rows(f"SHOW CREATE TABLE {self._names.actions}")[0][1])
        match = _NEXT_ID.search(told)
        return int(match[1]) if match else 1

    def options(self, *names: str) -> dict[str, str]:
        """WordPress's options that there are; nothing where there is no options table."""
        if not self.has_table(self._names.options):
            return {}
        marks = {f"n{place}": name for place, name in enumerate(names)}
        listed = ", ".join(f":{mark}" for mark in marks)
        rows = self._rows(
            f"SELECT option_name, option_value FROM {self._names.options}"
            f" WHERE option_name IN ({listed})",
            **marks,
        )
        return {str(name): str(value or "") for name, value in rows}

    def has_table(self, name: str) -> bool:
        """Whether there is one."""
        dialect = self.dialect
        return bool(self._store.session.run(lambda c: dialect.columns(c, name)))

    def plans(self, values: Mapping[str, object]) -> list[Step]:
        """The plans of every statement that a claim may send; nothing on SQLite."""
        if not self.is_mysql:
            return []
        parts = self._store.parts
        finder = Finder(
            self._names, self._store.layout, self.dialect, lambda _: True, parts.groups.slug_on
        )
        return [
            _step(plan, row) for plan in finder.plans() for row in self._explained(plan, values)
        ]

    def _explained(self, plan: Plan, values: Mapping[str, object]) -> list[Mapping[str, Any]]:
        used = {name: value for name, value in values.items() if f":{name}" in plan.statement.text}
        statement = text(f"EXPLAIN {plan.statement.text}")
        return self._store.session.run(
            lambda c: [dict(row) for row in c.execute(statement, used).mappings()]
        )

    @property
    def _plugin(self) -> tuple[str, ...]:
        names = self._names
        return (names.actions, names.claims, names.groups, names.logs)

    def _rows(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._store.session.run(lambda c: c.execute(text(statement), values).fetchall())


def _step(plan: Plan, row: Mapping[str, Any]) -> Step:
    told = {name.lower(): value for name, value in row.items()}
    extra = str(told.get("extra") or "")
    return Step(
        name=plan.name,
        index=None if told.get("key") is None else str(told["key"]),
        wanted=plan.index,
        rows=int(told.get("rows") or 0),
        reads_all=told.get("type") == "ALL",
        sorts="filesort" in extra or "temporary" in extra,
    )
