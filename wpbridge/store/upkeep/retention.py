"""Delete what ended long ago, in small batches beside running claims.

The rule is the plugin's: complete and canceled rows go 31 days after their last attempt, failed
ones after 93 (since 4.0; never before). A row without a date of its last attempt counts as old, as
there. Each batch is one short transaction over rows named by primary key. A claim locks other rows,
so it never waits for it.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import listed
from wpbridge.store.rows.groups import Groups
from wpbridge.store.structure.tables import Tables

MONTH: Final = timedelta(seconds=2_678_400)
"""The plugin's month of 31 days."""
KEEP: Final = {Status.COMPLETE: MONTH, Status.CANCELED: MONTH, Status.FAILED: 3 * MONTH}
_OLD: Final = "status = :status AND last_attempt_gmt <= :before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """A rule for which ended rows go: one status, and hooks or groups if any are named."""

    status: Status
    before: datetime
    """Rows go whose last attempt was at this moment or before."""
    hooks: tuple[str, ...] = ()
    except_hooks: tuple[str, ...] = ()
    """Hooks that have a rule of their own."""
    groups: tuple[str, ...] = ()


class Retention:
    """Finds and deletes the old rows of one site."""

    def __init__(self, tables: Tables, groups: Groups) -> None:
        names = tables.names
        self._session = tables.session
        self._names = names
        self._layout = tables.layout
        self._dialect = tables.dialect
        self._groups = groups
        self._own = tables.own
        # By the primary key: on the index of action ids MySQL might choose to sort.
        self._orphans = text(
            f"SELECT l.log_id FROM {names.logs} l LEFT JOIN {names.actions} a"
            " ON a.action_id = l.action_id WHERE l.log_id > :after AND l.log_id <= :until"
            " AND a.action_id IS NULL ORDER BY l.log_id"
        )
        self._last_log = text(f"SELECT MAX(log_id) FROM {names.logs}")

    def count(self, expiry: Expiry) -> int:
        """Count the rows that would go."""
        where, values = self._where(expiry)
        statement = text(f"SELECT COUNT(*) FROM {self._names.actions}{where}")
        return int(self._session.run(lambda c: c.execute(statement, values).scalar()) or 0)

    def count_up_to(self, expiry: Expiry, cap: int) -> int:
        """Count the rows that would go, among so many of the status that ended first.

        The index by status and last attempt gives these, and nothing else is read.
        """
        narrowed, values = self._narrowed(expiry)
        more = f" WHERE {' AND '.join(narrowed)}" if narrowed else ""
        columns = "hook, group_id" if narrowed else "1"
        statement = text(
            f"SELECT COUNT(*) FROM (SELECT {columns} FROM"
            f" {self._names.actions}{self._dialect.use_index(self._layout.attempt_index)}"
            f" WHERE {_OLD} ORDER BY last_attempt_gmt LIMIT :cap) AS oldest{more}"
        )
        given = {**values, **_old(expiry), "cap": cap}
        return int(self._session.run(lambda c: c.execute(statement, given).scalar()) or 0)

    def oldest(self, expiry: Expiry, size: int) -> list[ActionId]:
        """Return a batch of the ids that go, taken from those that ended first."""
        where, values = self._where(expiry)
        statement = text(
            f"SELECT action_id FROM {self._names.actions}{self._hint(expiry)}{where} LIMIT :size"
        )
        rows = self._session.run(
            lambda c: c.execute(statement, {**values, "size": size}).fetchall()
        )
        return sorted(ActionId(int(action)) for (action,) in rows)

    def delete(self, ids: Sequence[ActionId], expiry: Expiry) -> int:
        """Delete the actions with their logs, as far as they still fit the rule; return how many.

        It is one transaction, so a crash in the middle leaves all as it was. A log without its
        action would stay for ever.
        """
        if not ids:
            return 0
        mark, by_key = self._dialect.mark, self._dialect.by_key
        table = self._names.actions
        which = f"WHERE action_id IN {listed(ids)}"
        guard = f"{which} AND status = {mark} AND last_attempt_gmt <= {mark}"
        values = (expiry.status.value, to_text(expiry.before))

        def delete(connection: Connection) -> int:
            done = connection.exec_driver_sql(f"DELETE FROM {table} {guard}", values).rowcount
            gone = list(ids)
            if done != len(ids):
                left = connection.exec_driver_sql(f"SELECT action_id FROM {table}{by_key} {which}")
                kept = {int(action) for (action,) in left}
                gone = [i for i in ids if i not in kept]
            self._forget(connection, gone)
            return int(done)

        return self._session.transact(delete)

    # Moving elsewhere

    def next(self, expiries: Sequence[Expiry], after: int, size: int) -> list[ActionId]:
        """Return ids above ``after`` of rows that are old by any rule, in ascending order."""
        if not expiries:
            return []
        where, values = self._any(expiries)
        statement = text(
            f"SELECT action_id FROM {self._names.actions}{self._dialect.by_key}{where}"
            " AND action_id > :after ORDER BY action_id LIMIT :size"
        )
        given = {**values, "after": after, "size": size}
        rows = self._session.run(lambda c: c.execute(statement, given).fetchall())
        return [ActionId(int(action)) for (action,) in rows]

    def lock(
        self, connection: Connection, ids: Sequence[ActionId], expiries: Sequence[Expiry]
    ) -> list[ActionId]:
        """Lock and return the ids of those rows that are still old by one of the rules."""
        where, values = self._any(expiries)
        statement = text(
            f"SELECT action_id FROM {self._names.actions}{self._dialect.by_key}{where}"
            f" AND action_id IN :ids ORDER BY action_id{self._dialect.row_lock}"
            # All batches share one text, since compiled statements are cached.
        )
        given = {**values, "ids": list(ids)}
        return [ActionId(int(action)) for (action,) in connection.execute(statement, given)]

    def remove(self, connection: Connection, ids: Sequence[ActionId]) -> None:
        """Delete rows that are locked, with their logs."""
        if ids:
            connection.exec_driver_sql(
                f"DELETE FROM {self._names.actions} WHERE action_id IN {listed(ids)}"
            )
            self._forget(connection, ids)

    def _any(self, expiries: Sequence[Expiry]) -> tuple[str, dict[str, object]]:
        """Return the conditions of several rules as one, each with its own names for its values."""
        parts: list[str] = []
        values: dict[str, object] = {}
        for number, expiry in enumerate(expiries):
            where, given = self._where(expiry)
            parts.append(re.sub(r":(\w+)", rf":e{number}_\1", where.removeprefix(" WHERE ")))
            values |= {f"e{number}_{name}": value for name, value in given.items()}
        return f" WHERE (({') OR ('.join(parts)}))", values

    def _forget(self, connection: Connection, ids: Sequence[ActionId]) -> None:
        """Delete the logs of actions that are gone, and their rows in our own tables."""
        names = self._names
        ours = (names.keys, names.waits, names.zones, names.results, names.traces)
        for table in (names.logs, *ours):
            if ids and (table == names.logs or self._own.deleting(table)):
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE action_id IN {listed(ids)}")

    def forget_keys(self, before: datetime) -> int:
        """Delete idempotency keys older than ``before`` whose actions are gone; return how many.

        A younger one may belong to a transaction that is not committed yet.
        """
        names = self._names
        if not self._own.has(names.keys):
            return 0
        statement = text(
            f"DELETE FROM {names.keys} WHERE created_gmt <= :before AND NOT EXISTS"
            f" (SELECT 1 FROM {names.actions} a WHERE a.action_id = {names.keys}.action_id)"
        )
        values = {"before": to_text(before)}
        return self._session.transact(lambda c: int(c.execute(statement, values).rowcount))

    def orphan_logs(self, after: int, window: int) -> tuple[list[int], int]:
        """Return log rows without an action in the next ``window`` ids, and where those end.

        An end of 0 says that there are no more log rows.
        """
        last = int(self._session.run(lambda c: c.execute(self._last_log).scalar()) or 0)
        if after >= last:
            return [], 0
        until = min(after + window, last)
        values = {"after": after, "until": until}
        rows = self._session.run(lambda c: c.execute(self._orphans, values).fetchall())
        return [int(log) for (log,) in rows], until

    def delete_logs(self, ids: Sequence[int]) -> int:
        """Delete log rows by their own ids; return how many."""
        if not ids:
            return 0
        statement = f"DELETE FROM {self._names.logs} WHERE log_id IN {listed(ids)}"
        return self._session.transact(lambda c: int(c.exec_driver_sql(statement).rowcount))

    def _holds(self, hook: str) -> bool:
        place = (self._names.actions, "hook")
        return self._session.run(lambda c: self._layout.texts.holds(c, place, hook))

    def _hint(self, expiry: Expiry) -> str:
        """Return the index by status and last attempt, which gives the oldest first at any size."""
        return "" if expiry.hooks else self._dialect.use_index(self._layout.attempt_index)

    def _where(self, expiry: Expiry) -> tuple[str, dict[str, object]]:
        narrowed, values = self._narrowed(expiry)
        return f" WHERE {' AND '.join((_OLD, *narrowed))}", {**_old(expiry), **values}

    def _narrowed(self, expiry: Expiry) -> tuple[list[str], dict[str, object]]:
        """Return the conditions of a rule for hooks and groups."""
        self._layout.texts.check((*expiry.hooks, *expiry.except_hooks, *expiry.groups))
        parts: list[str] = []
        values: dict[str, object] = {}
        for name, hooks, word in (
            ("hook", expiry.hooks, "IN"),
            ("not", expiry.except_hooks, "NOT IN"),
        ):
            # No row has a text that the column cannot hold.
            possible = [hook for hook in hooks if self._holds(hook)]
            if hooks and not possible and word == "IN":
                parts.append("1 = 0")
            elif possible:
                marks = {f"{name}_{n}": hook for n, hook in enumerate(possible)}
                parts.append(f"hook {word} ({', '.join(f':{mark}' for mark in marks)})")
                values |= marks
        if expiry.groups:
            parts.append(f"group_id IN {listed(self._groups.ids(expiry.groups) or [-1])}")
        return parts, values


def _old(expiry: Expiry) -> dict[str, object]:
    """Return the values of the condition that a row is old."""
    # SQLite compares texts, and there too a zero date is below every other one.
    assert to_text(expiry.before) > ZERO_DATE
    return {"status": expiry.status.value, "before": to_text(expiry.before)}
