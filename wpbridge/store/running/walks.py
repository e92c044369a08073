"""Write the statements that look for candidates: walks of the plugin's own indexes.

A walk reads a window of at most ``size`` rows in an index's order. The database reads the window
and sends only its best rows, since a row that is sent costs more than many that are read.
"""

from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Statement, text
from wpbridge.store.running.action_rows import CandidateRow
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ACTIONS
from wpbridge.store.structure.tables import Tables

_DUE: Final = "status = 'pending' AND scheduled_date_gmt <= :now"
_FREE: Final = "claim_id = 0 AND status = 'pending'"
_BY_DATE: Final = "ORDER BY scheduled_date_gmt, action_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A statement that a claim may send."""

    name: str
    statement: Statement
    index: str | None
    """The index that it relies on; None where the server may choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A walk of an index. A walk by key reads a window of the rows of each key."""

    name: str
    index: str | None
    rows: str
    """The SELECT of those rows of a window that are due and free."""
    seen: str
    """The SELECT that gives a row for each entry of the index that a window has."""
    by_id: bool = False
    """Whether a window goes by id from ``first`` on, and has rows that are not due or not free."""


class Walks:
    """Writes the statements for one site's actions table."""

    def __init__(self, tables: Tables) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._made: dict[tuple[str, str, int, str], Statement] = {}
        self._table = names.actions
        self._by_key = dialect.by_key
        self._hint = hint = dialect.use_index
        self.reader = reader(
            CandidateRow, ACTIONS, lacking=layout.lacking, schedule="SUBSTR(schedule, 1, 100)"
        )
        self._due_index = layout.due_index
        self.any_due = text(
            f"SELECT 1 FROM {names.actions}{hint(layout.due_index)} WHERE {_DUE} LIMIT 1"
        )
        levels = f"FROM {names.actions}{hint(layout.priority_index)} WHERE {_FREE}"
        # They have no bound: MariaDB reads an unsigned column's MIN above -1 as one above 0.
        self.levels = text(
            f"SELECT (SELECT MIN(priority) {levels}), (SELECT MAX(priority) {levels})"
        )
        self.next_level = text(f"SELECT MIN(priority) {levels} AND priority > :above")
        self.first_free = text(
            f"SELECT MIN(action_id) FROM {names.actions} WHERE status = 'pending' AND claim_id = 0"
        )
        self.in_priority = self._walk(
            "in-priority",
            layout.priority_index,
            f"{_FREE} AND priority = :level AND scheduled_date_gmt <= :now {_BY_DATE}",
        )
        self.in_date = self._walk(
            "by-date", layout.date_index or layout.due_index, f"claim_id = 0 AND {_DUE} {_BY_DATE}"
        )
        # No ORDER BY: the index gives the order on every server, while MySQL would sort the whole
        # range if asked for an index on part of a column. The order is only a wish.
        self.in_hook = (
            self._walk("in-hook", layout.hook_index, f"hook = :key AND {_DUE} AND claim_id = 0")
            if layout.hook_index
            else self._walk_by_id("in-hook", layout.old_hook_index, "hook")
        )
        self.in_group = self._walk_by_id("in-group", layout.group_index, "group_id")
        self._has_levels = layout.priority_index is not None

    def plans(self) -> list[Plan]:
        """Return the statements that are used with this layout, for the server to explain.

        Their values are ``now``, ``size``, ``above``, ``level``, ``first`` and ``key``.
        """
        found = [Plan(name="any-due", statement=self.any_due, index=self._due_index)]
        if self._has_levels:
            index = self.in_priority.index
            found.append(Plan(name="next-priority", statement=self.next_level, index=index))
        walks = [self.in_priority if self._has_levels else self.in_date]
        walks += [walk for walk in (self.in_hook, self.in_group) if walk.index]
        for walk in walks:
            # The rows that a walk by id joins to its window are few, and found by primary key.
            select = text(walk.seen if walk.by_id else walk.rows)
            found.append(Plan(name=walk.name, statement=select, index=walk.index))
        return found

    def all(self, walk: Walk) -> Statement:
        """Return the statement for all rows of one window."""
        return self._text(walk.rows, "{}", 1)

    def each(self, walk: Walk, keys: int) -> Statement:
        """Return the statement for all rows of the windows, in order, after the key's place.

        The keys are named ``key_0``, ``key_1`` and so on.
        """
        if keys == 1:
            return self._text(f"SELECT 0 AS place, {walk.rows.removeprefix('SELECT ')}", "{}", 1)
        return self._text(walk.rows, "SELECT {place} AS place, part.* FROM ({}) AS part", keys)

    def best(self, walk: Walk, keys: int, wanted: str) -> Statement:
        """Return the statement for the ``most`` best rows of the windows in the claim's order.

        ``wanted`` is a condition that the rows meet; empty for none.
        """
        condition = f" WHERE {wanted}" if wanted else ""
        return self._text(
            walk.rows,
            "SELECT * FROM ({}) AS part",
            keys,
            f"SELECT {', '.join(CandidateRow._fields)} FROM (%s) AS windows{condition}"
            " ORDER BY priority, attempts, scheduled_date_gmt, action_id LIMIT :most",
        )

    def longest(self, walk: Walk, keys: int) -> Statement:
        """Return the statement for the number of entries in the longest of the windows."""
        return self._text(
            walk.seen,
            "SELECT COUNT(*) AS entries FROM ({}) AS part",
            keys,
            "SELECT MAX(entries) FROM (%s) AS windows",
        )

    def _text(self, select: str, part: str, keys: int, whole: str = "%s") -> Statement:
        known = (select, part, keys, whole)
        if known not in self._made:
            parts = [
                part.replace("{place}", str(n)).replace("{}", select.replace(":key", f":key_{n}"))
                for n in range(keys)
            ]
            self._made[known] = text(whole.replace("%s", " UNION ALL ".join(parts)))
        return self._made[known]

    def _walk(self, name: str, index: str | None, where: str) -> Walk:
        source = f"FROM {self._table}{self._hint(index)} WHERE {where} LIMIT :size"
        return Walk(
            name=name,
            index=index,
            rows=f"SELECT {self.reader.columns} {source}",
            seen=f"SELECT 1 AS entry {source}",
        )

    def _walk_by_id(self, name: str, index: str | None, column: str) -> Walk:
        """Return a walk of an index that does not know the status.

        Its windows end after ``size`` rows whether they are due or not: a group may have millions
        that have ended.
        """
        source = (
            f"FROM {self._table}{self._hint(index)} WHERE {column} = :key AND action_id >= :first"
            " ORDER BY action_id LIMIT :size"
        )
        return Walk(
            name=name,
            index=index,
            rows=f"SELECT {self.reader.columns} FROM (SELECT action_id AS near_id {source}) AS near"
            f" JOIN {self._table}{self._by_key} ON action_id = near_id"
            f" WHERE {_DUE} AND claim_id = 0",
            seen=f"SELECT action_id AS entry {source}",
            by_id=True,
        )
