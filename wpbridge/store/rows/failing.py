"""Apply the plugin's rule of consistent failure: a chain that only fails gets no successor.

The plugin settles one action after the other. After each recurring action that failed, it asks for
the fifth oldest failed row of the hook and for the fifth oldest row of any status. It ends the
chain when both are the same row (`recurring_action_is_consistently_failing`, 3.5 to 4.0). wpbridge
settles many actions at once. So it reads the oldest rows of the hook before anything of the batch
is written, and changes them in memory from ending to ending. Each verdict then sees the rows as
they are at its place in the batch.

The plugin's queries sort by date alone, so the database decides which of several rows with one date
is the fifth. Where that matters, the plugin's own queries are run.
"""

import bisect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from wpbridge.action import NewAction, Status
from wpbridge.clock import to_text
from wpbridge.store.base import Ending
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.structure.tables import Tables

FAILURES_THAT_STOP: Final = 5


class Row(NamedTuple):
    """A row of the hook. Rows sort by their dates."""

    date: str
    """The date as text; empty for NULL, which sorts first."""
    id: int
    """The action's id; 0 for a successor of this batch, which has none yet."""
    has_failed: bool


class History:
    """Holds the oldest rows of one hook, as they are after each ending of a batch."""

    def __init__(self, hook: str, rows: Iterable[Row]) -> None:
        self._hook = hook
        self._order = sorted(rows)
        self._by_id = {row.id: row for row in self._order}

    def note(self, ending: Ending, successor: NewAction | None = None) -> None:
        """Apply an ending, or with ``successor`` the row that it adds.

        Rows are found by their ids, since the database takes hooks for equal that differ in case.
        """
        old = self._by_id.get(ending.action.id)
        if successor is not None:
            if old is not None or ending.action.hook == self._hook:
                bisect.insort(
                    self._order, Row(to_text(successor.scheduled_at), 0, has_failed=False)
                )
            return
        if old is None:
            # The row belongs to another hook, or has too many older ones to matter.
            return
        date = old.date if ending.retry_at is None else to_text(ending.retry_at)
        new = Row("" if ending.is_undated else date, old.id, ending.status is Status.FAILED)
        del self._order[bisect.bisect_left(self._order, old)]
        bisect.insort(self._order, new)
        self._by_id[old.id] = new

    def is_consistently_failing(self) -> bool | None:
        """Return whether the five oldest rows have failed; None if only the database can tell."""
        if len(self._order) < FAILURES_THAT_STOP:
            return False
        fifth = self._order[FAILURES_THAT_STOP - 1].date
        after = bisect.bisect_right(self._order, fifth, key=lambda row: row.date)
        if sum(row.has_failed for row in self._order[:after]) < FAILURES_THAT_STOP:
            return False
        before = bisect.bisect_left(self._order, fifth, key=lambda row: row.date)
        return True if after - before == 1 else None


class Failing:
    """Reads the rows of hooks for this rule."""

    def __init__(self, tables: Tables) -> None:
        names = tables.names
        known = sorted(status.value for status in Status)
        conditions = [f"status = '{status}'" for status in known]
        conditions += [f"status < '{known[0]}'", f"status > '{known[-1]}'"]
        conditions += [f"status > '{a}' AND status < '{b}'" for a, b in itertools.pairwise(known)]
        parts = [
            "SELECT * FROM (SELECT action_id, status, scheduled_date_gmt"
            f" FROM {names.actions} WHERE hook = :hook AND {condition}"
            f" ORDER BY scheduled_date_gmt LIMIT :most) AS part{number}"
            for number, condition in enumerate(conditions)
        ]
        self._oldest = text(" UNION ALL ".join(parts))
        # The queries are the plugin's word for word, so that the database breaks ties in the same
        # way.
        query = f"SELECT a.action_id FROM {names.actions} a WHERE 1=1 AND a.hook=:hook"
        order = f" ORDER BY a.scheduled_date_gmt ASC LIMIT {FAILURES_THAT_STOP - 1}, 1"
        self._fifth_failed = text(f"{query} AND a.status IN ('failed'){order}")
        self._fifth = text(f"{query}{order}")

    def judge(self, connection: Connection, endings: Sequence[Ending]) -> "Judge":
        """Read the rows of each hook whose chains may end in this batch, before it is written."""
        hooks = {e.action.hook for e in endings if e.successor and e.stop_line}
        # Each ending may move one row away. One row more shows whether the fifth date occurs twice.
        most = FAILURES_THAT_STOP + 1 + len(endings)
        found: dict[str, History] = {}
        for hook in sorted(hooks):
            rows = connection.execute(self._oldest, {"hook": hook, "most": most})
            found[hook] = History(
                hook,
                [Row(str(date or ""), int(i), status == Status.FAILED) for i, status, date in rows],
            )
        return Judge(found, lambda hook: self.ask(connection, hook))

    def ask(self, connection: Connection, hook: str) -> bool:
        """Return the verdict of the plugin's own queries on the present rows."""
        fifth_failed = connection.execute(self._fifth_failed, {"hook": hook}).scalar()
        if fifth_failed is None:
            return False
        return bool(fifth_failed == connection.execute(self._fifth, {"hook": hook}).scalar())


class Judge:
    """Gives the verdicts of one batch, ending by ending in their order."""

    def __init__(self, histories: Mapping[str, History], ask: Callable[[str], bool]) -> None:
        self._histories = histories
        self._ask = ask

    def stops(self, ending: Ending, write: Callable[[], None]) -> bool:
        """Apply the next ending, and return whether its chain stops there.

        ``write`` is called when the tables must be asked. It must write all endings up to this one.
        """
        for history in self._histories.values():
            history.note(ending)
        if ending.successor is None:
            return False
        hook = ending.action.hook
        if ending.stop_line is not None:
            verdict = self._histories[hook].is_consistently_failing()
            if verdict is None:
                write()
                verdict = self._ask(hook)
            if verdict:
                return True
        for history in self._histories.values():
            history.note(ending, ending.successor)
        return False
