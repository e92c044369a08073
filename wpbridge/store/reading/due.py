"""Read what is due, in the one meaning that ``status``, ``stats``, ``hooks`` and the doctor share.

An action is due when it is pending and its date has come, whether a runner has claimed it or not.
The plugin counts its past-due actions alike. Due actions of held hooks (see
:mod:`wpbridge.store.rows.held_hooks`) are counted apart, as ``held``. An action with a zero date is
due, but has no date to show. See docs/glossary.md.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from wpbridge.action import ActionId
from wpbridge.clock import ZERO_DATE, from_text, to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import text
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.inventory import Inventory
from wpbridge.store.schema.charsets import to_bytes
from wpbridge.store.structure.tables import Tables

DUE: Final = "status = 'pending' AND scheduled_date_gmt <= :now"
SCANNED: Final = 20_000
"""At most so many due rows of a hook are searched for one that is not to be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueAction:
    """The action that has been due for the longest."""

    id: ActionId
    hook: str
    group_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Tallied:
    """The SQL of a count's columns due, oldest due and held, and the values that it needs."""

    columns: str
    values: dict[str, object]


class Due:
    """Questions about what is due on one site."""

    def __init__(self, tables: Tables, groups: Groups) -> None:
        names, layout, dialect = tables.names, tables.layout, tables.dialect
        self._session = tables.session
        self._table = names.actions
        self._layout = layout
        self._dialect = dialect
        self._groups = groups
        self._exact = dialect.as_bytes("hook")
        self._by_date = f"{names.actions}{dialect.use_index(layout.due_index)}"
        self._by_hook = f"{names.actions}{dialect.use_index(layout.hook_index)}"
        self._inventory = Inventory(tables)

    def count(self, now: datetime, *, cap: int | None, held: int = 0) -> int:
        """Count the due actions, up to ``cap``, without the ``held`` ones among them.

        The index by status and date answers it alone. Without a cap it is read to its end.
        """
        rows = f"{self._by_date} WHERE {DUE}"
        values: dict[str, object] = {"now": to_text(now)}
        if cap is not None:
            rows, values = (
                f"(SELECT 1 FROM {rows} LIMIT :most) AS due",
                {**values, "most": cap + held},
            )
        [[found]] = self._rows(f"SELECT COUNT(*) FROM {rows}", **values)
        return max(0, int(found) - held)

    def held(self, now: datetime, hooks: Collection[str], *, cap: int | None = None) -> int:
        """Count the due actions of these hooks, which are compared exactly; up to ``cap`` of each.

        Without a cap all of them are counted.
        """
        rows = f"{self._by_hook} WHERE hook = :hook AND {DUE} AND {self._exact} = :exact"
        values: dict[str, object] = {"now": to_text(now)}
        if cap is not None:
            rows, values = f"(SELECT 1 FROM {rows} LIMIT :cap) AS held", {**values, "cap": cap}
        return sum(
            int(count)
            for hook in hooks
            for (count,) in self._rows(
                f"SELECT COUNT(*) FROM {rows}", hook=hook, exact=to_bytes(hook), **values
            )
        )

    def oldest(
        self, now: datetime, *, hooks: Collection[str] = (), groups: Collection[str] = ()
    ) -> DueAction | None:
        """Return the dated action that has been due for the longest; None where there is none.

        Args:
            now: an aware moment.
            hooks: the hooks to leave out, compared exactly.
            groups: the slugs of the groups to leave out, compared exactly.
        """
        ids = frozenset(i for i in self._groups.ids(groups) if self._groups.slug(i) in groups)
        found = self._first(self._by_date, now)
        if found is None or not (found.hook in hooks or found.group_id in ids):
            return found
        names = self._session.run(self._inventory.names) if self._layout.hook_index else None
        if names is None:
            return self._first_but(self._by_date, now, hooks, ids)
        each = [self._first_but(self._by_hook, now, hooks, ids, hook=name) for name in names]
        return min((one for one in each if one), key=lambda one: (one.at, one.id), default=None)

    def oldest_of(self, now: datetime, hook: str) -> DueAction | None:
        """Return the dated action of one hook that has been due for the longest."""
        rows = self._rows(
            f"SELECT action_id, hook, group_id, scheduled_date_gmt FROM {self._by_hook}"
            f" WHERE hook = :hook AND {DUE} AND scheduled_date_gmt > :zero"
            f" AND {self._exact} = :exact ORDER BY scheduled_date_gmt LIMIT 1",
            now=to_text(now),
            hook=hook,
            zero=ZERO_DATE,
            exact=to_bytes(hook),
        )
        return _due_action(rows)

    def _first(self, table: str, now: datetime) -> DueAction | None:
        rows = self._rows(
            f"SELECT action_id, hook, group_id, scheduled_date_gmt FROM {table} WHERE {DUE}"
            " AND scheduled_date_gmt > :zero ORDER BY scheduled_date_gmt LIMIT 1",
            now=to_text(now),
            zero=ZERO_DATE,
        )
        return _due_action(rows)

    def _first_but(
        self,
        table: str,
        now: datetime,
        hooks: Collection[str],
        groups: Collection[int],
        *,
        hook: str | None = None,
    ) -> DueAction | None:
        """Return the first row (of ``hook`` if given) that is of none of these hooks and groups."""
        named = {} if hook is None else {"hook": hook}
        only = "" if hook is None else "hook = :hook AND "
        aside, values = [], dict[str, object]()
        if hooks:
            aside.append(f"{self._exact} NOT IN :hooks")
            values["hooks"] = [to_bytes(one) for one in sorted(hooks)]
        if groups:
            aside.append("group_id NOT IN :groups")
            values["groups"] = sorted(groups)
        rows = self._rows(
            "SELECT action_id, hook, group_id, scheduled_date_gmt FROM (SELECT action_id, hook,"
            f" group_id, scheduled_date_gmt FROM {table} WHERE {only}{DUE}"
            f" AND scheduled_date_gmt > :zero ORDER BY scheduled_date_gmt LIMIT {SCANNED})"
            f" AS firsts WHERE {' AND '.join(aside)} ORDER BY scheduled_date_gmt LIMIT 1",
            now=to_text(now),
            zero=ZERO_DATE,
            **named,
            **values,
        )
        return _due_action(rows)

    def tallied(self, now: datetime, held: Collection[str]) -> Tallied:
        """Return the SQL that counts what is due and held in many rows, and the oldest date."""
        values: dict[str, object] = {"now": to_text(now), "zero": ZERO_DATE}
        mine, apart = DUE, "0"
        if held:
            values["held"] = [to_bytes(hook) for hook in sorted(held)]
            mine = f"{DUE} AND {self._exact} NOT IN :held"
            apart = f"SUM(CASE WHEN {DUE} AND {self._exact} IN :held THEN 1 ELSE 0 END)"
        return Tallied(
            f"SUM(CASE WHEN {mine} THEN 1 ELSE 0 END),"
            f" MIN(CASE WHEN {mine} AND scheduled_date_gmt > :zero THEN scheduled_date_gmt END),"
            f" {apart}",
            values,
        )

    def _rows(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._session.run(lambda c: c.execute(text(statement), values).fetchall())


def _due_action(rows: Sequence[Sequence[Any]]) -> DueAction | None:
    for action_id, hook, group_id, date in rows:
        at = from_text(str(date))
        if at is not None:
            return DueAction(
                id=ActionId(int(action_id)), hook=str(hook), group_id=int(group_id or 0), at=at
            )
    return None
