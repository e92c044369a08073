"""What the server and the tables' definitions tell; nothing here reads a row of the queue.

Where SQLite has no such thing, the answer is empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import text

from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.mysql import MySQL
from wpbridge.store.database.sqlite import SQLite
from wpbridge.store.running.candidates import Finder, Plan
from wpbridge.store.running.runner_store import SqlStore
from wpbridge.store.schema.found import TableSize
from wpbridge.store.schema.ids import lost


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
    def is_file(self) -> bool:
        """Whether the database is a file of SQLite, and not a server."""
        return self.dialect.is_file

    @property
    def dialect(self) -> Dialect:
        """What is special about the database."""
        name = self._store.session.run(lambda c: str(c.dialect.name))
        return SQLite() if name == "sqlite" else MySQL()

    def variables(self, *names: str, scope: str = "SESSION") -> dict[str, str]:
        """Tell server variables by name, in lower case. Unknown ones are left out."""
        return self._store.session.run(partial(self.dialect.variables, names=names, scope=scope))

    def now(self) -> datetime | None:
        """Tell the server's time, to the second; None on SQLite, which has no clock of its own."""
        return self._store.session.run(self.dialect.clock)

    def journal_mode(self) -> str:
        """Return SQLite's journal mode, such as ``wal``; empty on MySQL."""
        return self._store.session.run(self.dialect.journal_mode)

    def sizes(self) -> dict[str, TableSize]:
        """Tell the sizes of the plugin's tables and ours, by name; nothing on SQLite."""
        wanted = {name.lower() for name in self._names.queue}
        found = self._store.session.run(self.dialect.sizes)
        return {name: size for name, size in found.items() if name.lower() in wanted}

    def file_bytes(self) -> int:
        """Return the size of SQLite's file; 0 on MySQL."""
        return self._store.session.run(self.dialect.file_bytes)

    def indexes(self) -> dict[str, frozenset[tuple[str, ...]]]:
        """Tell the columns of every index of the plugin's tables, by the tables' names."""
        dialect = self.dialect
        return self._store.session.run(
            lambda c: {
                table: frozenset(dialect.indexes(c, table).values()) for table in self._names.plugin
            }
        )

    def lost_keys(self) -> list[str]:
        """Which tables lost ids or primary keys, see :func:`wpbridge.store.schema.ids.lost`."""
        names, dialect = self._names, self.dialect
        wanted = names.keys_of_tables
        found = self._store.session.run(lambda c: dialect.key_columns(c, wanted))
        return lost(names, found)

    def next_id(self) -> int | None:
        """Return the id that the next action gets; None where nothing tells it."""
        return self._store.session.run(partial(self.dialect.next_id, table=self._names.actions))

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
        """Tell the plans of every statement that a claim may send; nothing on SQLite."""
        parts = self._store.parts
        finder = Finder(
            self._names, self._store.layout, self.dialect, lambda _: True, parts.groups.slug_on
        )
        return [
            _step(plan, row) for plan in finder.plans() for row in self._explained(plan, values)
        ]

    def _explained(self, plan: Plan, values: Mapping[str, object]) -> list[Mapping[str, Any]]:
        told = plan.statement.text
        used = {name: value for name, value in values.items() if f":{name}" in told}
        return self._store.session.run(partial(self.dialect.plan, select=told, values=used))

    def _rows(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._store.session.run(lambda c: c.execute(text(statement), values).fetchall())


def _step(plan: Plan, told: Mapping[str, Any]) -> Step:
    extra = str(told.get("extra") or "")
    return Step(
        name=plan.name,
        index=None if told.get("key") is None else str(told["key"]),
        wanted=plan.index,
        rows=int(told.get("rows") or 0),
        reads_all=told.get("type") == "ALL",
        sorts="filesort" in extra or "temporary" in extra,
    )
