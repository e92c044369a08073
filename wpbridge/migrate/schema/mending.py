"""Runs statements that change tables one after the other, notes them in a journal, and undoes them.

The journal has each table's definition before the first statement that changes it, each statement
before it is run, and that it was done. One that is begun and not done may be there or not: the
server, and not the journal, knows. A fix is noted with facts, and an undo makes its statements of
these: no text of a journal is ever run.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.schema.comparing import statement_of
from wpbridge.migrate.schema.deviations import Fix
from wpbridge.store.schema import alterations
from wpbridge.store.schema.description import Index
from wpbridge.store.schema.tables import BY_NAME, PLUGIN
from wpbridge.store.structure.definitions import Definitions, Progress

KIND: Final = "schema"
_FIX: Final = "fix"


class Changes:
    """Runs statements, and notes each before and afterwards."""

    def __init__(
        self,
        definitions: Definitions,
        journal: Journal | None,
        *,
        lock_wait_seconds: float,
    ) -> None:
        """With ``journal`` None nothing is noted."""
        self._definitions = definitions
        self._journal = journal
        self._lock_wait_seconds = lock_wait_seconds
        self._seen: set[str] = set()

    def mend(self, fix: Fix, told: Progress = lambda _percent: None) -> None:
        """Run a fix as :meth:`run` does."""
        more = {"by": _FIX, "made": None if fix.made is None else dict(fix.made)}
        self.run(fix.table, statement_of(fix), told, more)

    def run(
        self,
        table: str,
        statement: str,
        told: Progress = lambda _percent: None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Run a statement. What was done before it stays done when it fails.

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
    """One statement that a fix has run, and the facts that take it back."""

    statement: str
    """As the journal tells it, for people; it is never run."""
    short: str = ""
    """Of its table, where it can be undone."""
    index: Index | None = None
    """The one that was added."""
    column: str | None = None
    """The one that got a default."""
    before: str | None = None
    """The default that this column had."""

    def back(self, definitions: Definitions) -> str | None:
        """Make the statement that takes it back.

        None where somebody has changed since what the fix made. Only for one that can be undone.
        """
        table = definitions.table(self.short)
        if table is None:
            return None
        ddl = definitions.ddl
        if self.index is not None:
            if ddl.index_name(table.name, self.index) not in table.indexes:
                return None
            back = ddl.drop_index(table.name, self.index)
        else:
            name = str(self.column)
            found = table.columns.get(name)
            if found is None or found.default != BY_NAME[self.short].columns[name].default:
                return None
            back = alterations.default_back(table, name, self.before)
        return back + (ddl.online if table.changes_online else "")

    @property
    def can_be_undone(self) -> bool:
        """Tell whether undoing it loses nothing and locks no table."""
        return self.index is not None or self.column is not None


def done_by_fix(definitions: Definitions, journal: Journal) -> list[Undo]:
    """Return what fixes have done and nobody has taken back, the last one first.

    InputError where a step tells of what no fix does.
    """
    begun: dict[str, Undo] = {}
    done: list[Undo] = []

    def take_in(step: Mapping[str, Any]) -> None:
        if step.get("by") == _FIX:
            begun[str(step["begun"])] = _undo(definitions, step)
        elif str(step.get("done")) in begun:
            done.append(begun.pop(str(step["done"])))
        elif "undone" in step:
            done[:] = [one for one in done if one.statement != step["undone"]]

    for _ in journal.meanings(take_in, wrong="tells of what no fix does; nothing was taken back"):
        pass
    return done[::-1]


def _undo(definitions: Definitions, step: Mapping[str, Any]) -> Undo:
    """Read a step of a journal.

    It raises one of the errors of a damaged step for what no fix does.
    """
    statement, made = str(step["begun"]), step["made"]
    # Journals of version 0.1 do not tell the default from before as a fact.
    if not made or not ("index" in made or "before" in made):
        return Undo(statement=statement)
    table = step["table"]
    described = {definitions.names.of(one): one for one in PLUGIN}[table]
    short = described.name
    if "index" in made:
        names = {definitions.ddl.index_name(table, one): one for one in described.indexes}
        return Undo(statement=statement, short=short, index=names[made["index"]])
    column, before = made["column"], made["before"]
    if described.columns[column].default != made["default"] or made["default"] is None:
        raise ValueError
    if not (before is None or isinstance(before, str)) or not alterations.is_plain(before):
        raise ValueError
    return Undo(statement=statement, short=short, column=column, before=before)


def undo(
    definitions: Definitions, journal: Journal, *, lock_wait_seconds: float, dry_run: bool = False
) -> Iterator[tuple[Undo, str | None]]:
    """Take back what can be taken back. Yields each fix with the statement that was run, or None.

    What somebody has changed since, or taken back himself, is left out. Raises as
    :meth:`Changes.run` does.
    """
    for one in done_by_fix(definitions, journal):
        if not one.can_be_undone:
            yield one, None
        elif back := one.back(definitions):
            if not dry_run:
                definitions.run(back, lock_wait_seconds=lock_wait_seconds)
                journal.add({"undone": one.statement})
            yield one, back
