"""Count actions by status, hook, group and hour.

A queue may hold millions of actions, and a server counts some three millions of them in a second.
So whoever looks at a queue gives a cap. A number is then counted up to the cap only, and one that
has reached it means: so many, or more. Without a cap each number is exact, and each row is read.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from wpbridge.action import Status
from wpbridge.clock import to_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.reading.conditions import EVERY, Conditions
from wpbridge.store.reading.due import DUE, Due
from wpbridge.store.reading.found import joined, tallies, whole
from wpbridge.store.records import Query, Tally
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.held_hooks import HeldHooks
from wpbridge.store.rows.inventory import Inventory
from wpbridge.store.structure.tables import Tables

CAP: Final = 100_000
"""How far a number is counted for people who look at a queue."""
ROWS: Final = 250_000
"""About how many rows are counted of each status, over all hooks together."""
LEAST_CAP: Final = 200
"""How far the actions of a hook are counted, however many hooks there are."""
_PARTS: Final = 250
"""How many numbers one statement counts. SQLite takes 500 parts, and MariaDB no end of them."""


def cap_of_each(hooks: int, cap: int) -> int:
    """Return how far the actions of one hook are counted: less where there are many hooks.

    The number is round, since people read it: 1, 2 or 5 with noughts.
    """
    wanted = max(LEAST_CAP, min(cap, ROWS // max(1, hooks)))
    if wanted >= cap:
        return cap
    unit = int("1".ljust(len(str(wanted)), "0"))
    return max(step * unit for step in (1, 2, 5) if step * unit <= wanted)


class Counting:
    """Questions about how many actions of one site there are."""

    def __init__(self, tables: Tables, groups: Groups, conditions: Conditions, due: Due) -> None:
        self._session = tables.session
        self._dialect = tables.dialect
        self._layout = tables.layout
        self._table = tables.names.actions
        self._conditions = conditions
        self._inventory = Inventory(tables)
        self._groups = groups
        self._due = due
        self._held = HeldHooks(tables)

    def all(self, query: Query, *, cap: int | None = None) -> int:
        """Count the actions of a query, whatever its limit."""
        where, values = self._conditions.where(query)
        if where is None:
            return 0
        rows = f"{self._table} a{where}"
        if cap is not None:
            rows, values = f"(SELECT 1 FROM {rows} LIMIT :cap) AS counted", values | {"cap": cap}
        [[found]] = self._rows(f"SELECT COUNT(*) FROM {rows}", values)
        return whole(found)

    def statuses(self, only: Query = EVERY, *, cap: int | None = None) -> dict[str, int]:
        """Count the actions of each status that there is."""
        where, values = self._conditions.where(only)
        if where is None:
            return {}
        table = f"{self._table} a"
        names = self._status_names() if cap is not None else None
        if names is None:
            rows = self._rows(
                f"SELECT status, COUNT(*) FROM {table}{where} GROUP BY status", values
            )
            return {str(status): whole(count) for status, count in rows}
        hint = "" if where else self._dialect.use_index(self._layout.due_index)
        joint = f"{where} AND" if where else " WHERE"
        counts = self._rows(
            " UNION ALL ".join(
                f"SELECT {place}, COUNT(*) FROM (SELECT 1 FROM {table}{hint}{joint}"
                f" a.status = :status_{place} LIMIT :cap) AS part_{place}"
                for place in range(len(names))
            ),
            {**values, **_named("status", names), "cap": cap},
        )
        return {names[whole(place)]: whole(count) for place, count in counts if whole(count)}

    def by_hook(self, now: datetime, only: Query = EVERY, *, cap: int | None = None) -> list[Tally]:
        """Count each hook's actions; the database's collation decides what is one hook.

        It goes hook by hook through the index that starts with the hook: a grouping would sort, or
        read every row. With a cap, each number of a hook is counted up to :func:`cap_of_each`.
        """
        names = None
        if self._layout.hook_index and not only.is_narrowed:
            names = self._session.run(self._inventory.names)
        if names is None:
            return self._tally("hook", now, only)
        each = None if cap is None else cap_of_each(len(names), cap)
        statuses = None if each is None else self._status_names()
        found: list[Tally] = []
        size = _PARTS // max(5, 1 + len(statuses or ()))
        for start in range(0, len(names), size):
            part = names[start : start + size]
            if each is None or statuses is None:
                found += self._of_hooks(part, now)
            else:
                tallied = self._of_hooks_up_to(part, statuses, now, each)
                found += [replace(tally, cap=each) for tally in tallied]
        return sorted(found, key=lambda t: (-t.total, t.name))

    def waiting_by_hook(self, now: datetime, *, cap: int) -> list[Tally] | None:
        """Count each hook's pending and due actions up to a cap, by :func:`cap_of_each`.

        No other status is counted, so its cost does not grow with what has ended. None where there
        are too many hooks to step over, or no index by hook.
        """
        names = None
        if self._layout.hook_index:
            names = self._session.run(self._inventory.names)
        if names is None:
            return None
        each = cap_of_each(len(names), cap)
        found: list[Tally] = []
        for start in range(0, len(names), _PARTS // 5):
            part = names[start : start + _PARTS // 5]
            tallied = self._of_hooks_up_to(part, (Status.PENDING,), now, each)
            found += [replace(tally, cap=each) for tally in tallied]
        return found

    def _of_hooks(self, names: Sequence[str], now: datetime) -> list[Tally]:
        due = self._due.tallied(now, self._held.hooks())
        parts = [
            f"SELECT {place} AS place, status, COUNT(*), {due.columns} FROM {self._by_hook}"
            f" WHERE hook = :hook_{place} GROUP BY status"
            for place in range(len(names))
        ]
        rows = self._rows(" UNION ALL ".join(parts), {**_named("hook", names), **due.values})
        return tallies((names[whole(place)], *counts) for place, *counts in rows)

    def _of_hooks_up_to(
        self, names: Sequence[str], statuses: Sequence[str], now: datetime, cap: int
    ) -> list[Tally]:
        """Count as :meth:`_of_hooks` does, but each number up to the cap alone."""
        held = self._held.hooks()
        due = self._due.tallied(now, held)
        # The hook is read only where it is compared: it makes the rows in between large.
        columns = "status, scheduled_date_gmt" + (", hook" if held else "")
        parts: list[str] = []
        for place in range(len(names)):
            rows = f"{self._by_hook} WHERE hook = :hook_{place}"
            parts += [
                f"SELECT {place} AS place, :status_{number}, COUNT(*), 0, NULL, 0 FROM"
                f" (SELECT 1 FROM {rows} AND status = :status_{number} LIMIT :cap)"
                f" AS part_{place}_{number}"
                for number in range(len(statuses))
            ]
            parts.append(
                f"SELECT {place} AS place, 'pending', 0, {due.columns} FROM (SELECT {columns}"
                f" FROM {rows} AND {DUE} ORDER BY scheduled_date_gmt LIMIT :cap) AS due_{place}"
            )
        values = {**_named("hook", names), **_named("status", statuses), **due.values, "cap": cap}
        rows_found = self._rows(" UNION ALL ".join(parts), values)
        return tallies(
            (names[whole(place)], status, count, due_now, oldest, apart)
            for place, status, count, due_now, oldest, apart in rows_found
            if whole(count) or whole(due_now) or whole(apart)
        )

    @property
    def _by_hook(self) -> str:
        return f"{self._table}{self._dialect.use_index(self._layout.hook_index)}"

    def _status_names(self) -> list[str] | None:
        """Return each status that there may be, by steps over an index; None without the index."""
        index = self._layout.due_index
        if index is None:
            return None
        following = text(self._dialect.next_value(self._table, "status", index))

        def step(connection: Connection) -> list[str] | None:
            # No step leads to the empty text, with which the index begins.
            found: dict[str, None] = {"": None}
            last = ""
            while (row := connection.execute(following, {"last": last}).first()) is not None:
                last = str(row[0])
                if last in found:
                    return None
                found[last] = None
            return list(found)

        return self._session.run(step)

    def by_group(self, now: datetime, only: Query = EVERY) -> list[Tally]:
        """Count each group's actions; those without a group have an empty name."""
        groups: dict[str, Tally] = {}
        for tally in self._tally("group_id", now, only):
            slug = self._groups.slug(int(tally.name or 0))
            named = replace(tally, name=slug)
            groups[slug] = joined(groups[slug], named) if slug in groups else named
        return sorted(groups.values(), key=lambda t: (-t.total, t.name))

    def _tally(self, column: str, now: datetime, only: Query) -> list[Tally]:
        where, values = self._conditions.where(only)
        if where is None:
            return []
        due = self._due.tallied(now, self._held.hooks())
        values |= due.values
        statement = (
            f"SELECT {column}, status, COUNT(*), {due.columns} FROM {self._table} a{where}"
            f" GROUP BY {column}, status"
        )
        found = tallies(self._rows(statement, values))
        return sorted(found, key=lambda t: (-t.total, t.name))

    def by_hour(self, since: datetime, until: datetime, only: Query = EVERY) -> list[Tally]:
        """Count, for each hour (UTC), what ended by its last attempt and what is pending for it.

        The hour of ``since`` is counted from its beginning.
        """
        begin = since.replace(minute=0, second=0, microsecond=0)
        counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for column, condition in (
            ("last_attempt_gmt", "status IN ('complete', 'failed', 'canceled')"),
            ("scheduled_date_gmt", "status = 'pending'"),
        ):
            for hour, status, count in self._hours(column, condition, begin, until, only):
                counts[str(hour)][str(status)] = whole(count)
        hours: list[Tally] = []
        while begin <= until:
            told = counts.get(to_text(begin)[:13], {})
            hours.append(Tally(name=f"{to_text(begin)[:13].replace(' ', 'T')}:00Z", statuses=told))
            begin += timedelta(hours=1)
        return hours

    def _hours(
        self, column: str, condition: str, begin: datetime, end: datetime, only: Query
    ) -> Sequence[Sequence[object]]:
        """Return rows of hour, status and count."""
        where, values = self._conditions.where(only)
        if where is None:
            return ()
        hour = f"SUBSTR({column}, 1, 13)"
        statement = (
            f"SELECT {hour}, status, COUNT(*) FROM {self._table} a"
            f"{where or ' WHERE 1 = 1'} AND {condition}"
            f" AND {column} >= :begin AND {column} <= :end GROUP BY {hour}, status"
        )
        return self._rows(statement, values | {"begin": to_text(begin), "end": to_text(end)})

    def _rows(self, statement: str, values: Mapping[str, object]) -> Sequence[Sequence[object]]:
        return self._session.run(lambda c: c.execute(text(statement), values).fetchall())


def _named(name: str, values: Sequence[str]) -> dict[str, object]:
    """Give each of the values a name in a statement: ``hook_0``, ``hook_1``."""
    return {f"{name}_{place}": value for place, value in enumerate(values)}
