"""Definitions changed one statement after the other, noted in a journal, and put back.

The journal has each table's definition before the first statement that changes it, each statement
before it is run, and that it was done. One that is begun and not done may be there or not: the
server, and not the journal, knows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wpbridge.errors import InputError
from wpbridge.migrate.deviations import Fix
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.schema import statement_of
from wpbridge.store.ddl import ONLINE, Definitions, Progress

KIND: Final = "schema"
_FIX: Final = "fix"
_SHORT: Final = ("actions", "claims", "groups", "logs")


class Changes:
    """Runs statements, each noted before and afterwards."""

    def __init__(
        self,
        definitions: Definitions,
        journal: Journal | None,
        *,
        lock_wait_seconds: float,
    ) -> None:
        """``journal``: None notes nothing."""
        self._definitions = definitions
        self._journal = journal
        self._lock_wait_seconds = lock_wait_seconds
        self._seen: set[str] = set()

    def mend(self, fix: Fix, told: Progress = lambda _percent: None) -> None:
        """Run a fix; see :meth:`run`."""
        is_mysql = self._definitions.server.is_mysql
        back = fix.back
        if back is not None and fix.online and is_mysql:
            back += ONLINE
        more = {"by": _FIX, "back": back, "made": dict(fix.made)}
        self.run(fix.table, statement_of(fix, is_mysql=is_mysql), told, more)

    def run(
        self,
        table: str,
        statement: str,
        told: Progress = lambda _percent: None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Run a statement; what was done before it stays done when it fails.

        Raises:
            Contention: the table was not to be had.
            StoreError: the server refuses it, or went away; or somebody stopped it.
        """
        if table not in self._seen:
            self._seen.add(table)
            self._note({"table": table, "before": self._definitions.written(table)})
        self._note({"begun": statement, "table": table, **(more or {})})
        self._definitions.run(statement, lock_wait_seconds=self._lock_wait_seconds, told=told)
        self._note({"done": statement})

    def _note(self, step: Mapping[str, Any]) -> None:
        if self._journal is not None:
            self._journal.add(step)


# Putting back


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """One statement of a fix, and what takes it back."""

    table: str
    statement: str
    back: str | None
    """None where that would lose something, or lock the table."""
    made: Mapping[str, str]

    def is_there(self, definitions: Definitions) -> bool:
        """Whether the table still is as the statement made it."""
        names = definitions.names
        short = next((s for s in _SHORT if getattr(names, s) == self.table), None)
        table = definitions.table(short) if short else None
        if table is None:
            return False
        if "index" in self.made:
            return self.made["index"] in table.indexes
        column = table.columns.get(self.made.get("column", ""))
        return column is not None and column.default == self.made.get("default")


def done_by_fix(journal: Journal) -> list[Undo]:
    """What fixes have done and nobody has taken back, the last one first."""
    begun: dict[str, Undo] = {}
    done: list[Undo] = []
    try:
        for step in journal.steps():
            if step.get("by") == _FIX:
                begun[str(step["begun"])] = Undo(
                    table=str(step["table"]), statement=str(step["begun"]), back=step["back"],
                    made=step["made"],
                )  # fmt: skip
            elif step.get("done") in begun:
                done.append(begun.pop(str(step["done"])))
            elif "undone" in step:
                done = [one for one in done if one.statement != step["undone"]]
    except (LookupError, TypeError, ValueError):
        raise InputError(f"journal {journal.file}: a step is damaged") from None
    return done[::-1]


def undo(
    definitions: Definitions, journal: Journal, *, lock_wait_seconds: float, dry_run: bool = False
) -> Iterator[tuple[Undo, bool]]:
    """Take back what can be; each with whether it was, as they come.

    What somebody has changed since, or taken back himself, is left out. Raises as
    :meth:`Changes.run` does.
    """
    for one in done_by_fix(journal):
        if one.back is None:
            yield one, False
        elif one.is_there(definitions):
            if not dry_run:
                definitions.run(one.back, lock_wait_seconds=lock_wait_seconds)
                journal.add({"undone": one.statement})
            yield one, True
