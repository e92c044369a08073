"""Ask what the rows of a queue show; each question is bounded, whatever the size of the tables.

Counts stop one above :data:`CAP`, scans stop after so many rows, and every statement names the
index that it walks.
"""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from wpbridge.action import ActionId, ClaimId
from wpbridge.clock import ZERO_DATE, from_text, to_text
from wpbridge.store.database.connection import text
from wpbridge.store.database.texts import date, listed, number
from wpbridge.store.reading.pending import Columns, PendingRow, Reading, read
from wpbridge.store.records import Record
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.inventory import Inventory
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ACTIONS
from wpbridge.store.structure.server import Server
from wpbridge.store.structure.tables import Tables
from wpbridge.store.upkeep.retention import Retention

CAP: Final = 10_000
"""Counts go no further; what is more is shown as "over 10,000"."""
SCANNED: Final = 20_000
"""At most so many rows are read one by one."""
LOG_WINDOWS: Final = 5
"""At so many places of the logs table rows without an action are looked for."""
SIGHT: Final = timedelta(hours=1)
"""Whoever ran something within this time counts as a runner that has been seen."""
CONTEXTS: Final = ("WP Cron", "Async Request", "Action Scheduler CLI", "WP CLI")
"""The names of PHP's runners in the log, which are not translated, unlike the words around them."""
_DEEDS: Final = ("started", "complete", "failed", "retry")
"""What the log says of a run by wpbridge."""
_LIVE: Final = "('pending', 'in-progress')"
_ENDED: Final = "('complete', 'failed', 'canceled')"


_Level: TypeAlias = tuple[str, dict[str, object]]
"""A table with conditions, and the values of these."""


class Rows:
    """Asks the questions about one site's rows."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._retention = Retention(tables, Groups(tables))
        self._names = tables.names
        self._server = Server(tables)

    # Dates and statuses

    def undated(self) -> list[ActionId]:
        """Return pending rows with a NULL date, up to the cap: they wait, or are forgotten."""
        return self._ids(
            f"SELECT action_id FROM {self._pending_by_date} AND scheduled_date_gmt IS NULL"
        )

    def zero_dated(self) -> list[ActionId]:
        """Return pending rows with a zero date, up to the cap."""
        return self._ids(
            f"SELECT action_id FROM {self._pending_by_date} AND scheduled_date_gmt = :zero",
            zero=ZERO_DATE,
        )

    def ahead_of(self, record: Record, now: datetime) -> int:
        """Count the due, free rows that a claim takes before this one, up to the cap."""
        levels, own = self._levels(), record.priority
        lower = [one for one in levels if number(one[1].get("level", own)) < own]
        before = self._due_in(lower, now)
        if before > CAP:
            return before
        same = [one for one in levels if number(one[1].get("level", own)) == own]
        values: dict[str, object] = {
            "id": record.id,
            "attempts": record.attempts,
            "priority": own,
            "date": ZERO_DATE if record.scheduled_at is None else to_text(record.scheduled_at),
        }
        earlier = self._earlier(record)
        given = {name: value for name, value in values.items() if f":{name}" in earlier}
        return min(before + self._due_in(same, now, f" AND {earlier}", given), CAP + 1)

    def _earlier(self, record: Record) -> str:
        """Return the condition that a row comes before this one in a claim."""
        earlier = "(scheduled_date_gmt < :date OR (scheduled_date_gmt = :date AND action_id < :id))"
        if record.attempts:
            earlier = f"(attempts < :attempts OR (attempts = :attempts AND {earlier}))"
        else:
            # This case is apart, so that it narrows the range of the index.
            earlier = f"(attempts = 0 AND scheduled_date_gmt <= :date AND {earlier})"
        layout = self._tables.layout
        if layout.has_priority and layout.priority_index is None:
            return f"(priority < :priority OR (priority = :priority AND {earlier}))"
        return earlier

    def _levels(self) -> list[_Level]:
        """Return where the free pending rows lie: one place for each priority, lowest first.

        There the index gives dates in order, however many rows are claimed or not yet due. Without
        such an index, all of them are one place.
        """
        layout = self._tables.layout
        table = f"{self._names.actions}{self._hint(layout.priority_index or layout.due_index)}"
        free = f"{table} WHERE claim_id = 0 AND status = 'pending'"
        if layout.priority_index is None:
            return [(free, {})]
        found: list[_Level] = []
        lowest = f"SELECT MIN(priority) FROM {free}"
        # The first has no bound, see :class:`wpbridge.store.running.candidates.Finder`.
        level = self._value(lowest)
        while level is not None:
            found.append((f"{free} AND priority = :level", {"level": level}))
            level = self._value(f"{lowest} AND priority > :above", above=level)
        return found

    def _due_in(
        self,
        levels: Sequence[_Level],
        now: datetime,
        more: str = "",
        values: Mapping[str, object] | None = None,
    ) -> int:
        count = 0
        for free, level in levels:
            if count <= CAP:
                given = {"now": to_text(now), **level, **(values or {})}
                count += self._count(
                    f"SELECT 1 FROM {free} AND scheduled_date_gmt <= :now{more}", given
                )
        return min(count, CAP + 1)

    def ended_before(self, status: str, until: datetime) -> int:
        """Count ended rows whose last attempt has a date and is that old, up to the cap."""
        return self._count(
            f"SELECT 1 FROM {self._names.actions}{self._hint(self._tables.layout.attempt_index)}"
            " WHERE status = :status AND last_attempt_gmt > :zero AND last_attempt_gmt <= :until",
            {"status": status, "zero": ZERO_DATE, "until": to_text(until)},
        )

    def kept_keys(self, after: int = 0, size: int = CAP + 1) -> list[ActionId]:
        """Return ended rows, by id, whose unique key still blocks others."""
        if not self._tables.layout.has_unique_key:
            return []
        return self._ids(
            f"SELECT action_id FROM {self._names.actions} WHERE unique_key IS NOT NULL"
            f" AND status IN {_ENDED} AND action_id > :after ORDER BY action_id",
            size=size,
            after=after,
        )

    # Claims

    def live_claims(self) -> int:
        """Count the claims with pending or running actions, as PHP's runners do, up to the cap."""
        table = f"{self._names.actions}{self._hint(self._tables.layout.claimed_index)}"
        found = self._value(
            "SELECT COUNT(DISTINCT claim_id) FROM (SELECT claim_id FROM"
            f" {table} WHERE status IN {_LIVE} AND claim_id > 0 LIMIT {CAP + 1}) AS held"
        )
        return int(found or 0)

    def stale_claims(self, before: datetime) -> dict[ClaimId, int]:
        """Count, up to the cap, the pending rows of each claim without a sign of life since."""
        rows = self._rows(
            "SELECT claim_id, COUNT(*) FROM (SELECT claim_id FROM"
            f" {self._names.actions}{self._hint(self._tables.layout.claimed_index)}"
            " WHERE status = 'pending' AND claim_id > 0"
            " AND (last_attempt_gmt <= :before OR last_attempt_gmt IS NULL)"
            f" LIMIT {CAP + 1}) AS held GROUP BY claim_id",
            before=to_text(before),
        )
        found = {ClaimId(int(claim)): int(count) for claim, count in rows}
        fresh = self._among(list(found), " AND last_attempt_gmt > :before", before=to_text(before))
        return {claim: count for claim, count in found.items() if claim not in fresh}

    def stale_running(self, before: datetime) -> list[tuple[ActionId, ClaimId]]:
        """Return, up to the cap, running rows without a sign of life since then, with claims."""
        rows = self._rows(
            "SELECT action_id, claim_id FROM"
            f" {self._names.actions}{self._hint(self._tables.layout.attempt_index)}"
            " WHERE status = 'in-progress' AND last_attempt_gmt <= :before"
            f" LIMIT {CAP + 1}",
            before=to_text(before),
        )
        return [(ActionId(int(action)), ClaimId(int(claim or 0))) for action, claim in rows]

    def _among(self, claims: Sequence[int], more: str = "", **values: object) -> set[int]:
        """Return the claims that have pending or running actions; the index by claim finds them."""
        found: set[int] = set()
        for start in range(0, len(claims), 500):
            part = self._rows(
                f"SELECT DISTINCT claim_id FROM {self._names.actions} WHERE claim_id IN"
                f" {listed(claims[start : start + 500])} AND status IN {_LIVE}{more}",
                **values,
            )
            found |= {int(claim) for (claim,) in part}
        return found

    # Logs

    def contexts(self, since: datetime, *, most: int = SCANNED) -> dict[str, datetime]:
        """Return the runners that the newest log rows name, and when each was named last."""
        cases = " ".join(
            # What is done by hand says "via wpbridge" too, but is no sign of a runner.
            [f"WHEN message LIKE 'action {deed} via wpbridge%' THEN 'wpbridge'" for deed in _DEEDS]
            + ["WHEN message LIKE '%via wpbridge%' THEN NULL"]
            + [f"WHEN message LIKE '%{name}%' THEN '{name}'" for name in CONTEXTS]
        )
        rows = self._rows(
            f"SELECT CASE {cases} END AS context, MAX(log_date_gmt) FROM (SELECT message,"
            f" log_date_gmt FROM {self._names.logs} WHERE log_date_gmt >= :since"
            " ORDER BY log_date_gmt DESC LIMIT :most) AS newest GROUP BY context",
            since=to_text(since),
            most=most,
        )
        seen = {str(name): from_text(str(date)) for name, date in rows if name is not None}
        return {name: date for name, date in seen.items() if date is not None}

    def last_attempt(self) -> datetime | None:
        """Return the date of the newest last attempt by any runner."""
        return date(self._value(f"SELECT MAX(last_attempt_gmt) FROM {self._names.actions}"))

    def orphan_logs(self) -> tuple[int, bool]:
        """Count log rows without an action, and say whether all rows were read or only samples."""
        [[first, last]] = self._rows(f"SELECT MIN(log_id), MAX(log_id) FROM {self._names.logs}")
        if first is None:
            return 0, True
        first, last = int(first), int(last)
        is_whole = last - first < SCANNED * LOG_WINDOWS
        step = SCANNED if is_whole else (last - first) // LOG_WINDOWS
        found = 0
        for start in range(first - 1, last, step):
            found += len(self._retention.orphan_logs(start, SCANNED)[0])
        return found, is_whole

    # Hooks, groups, chains

    def due_hooks(self, now: datetime) -> list[str] | None:
        """Return the hooks of due actions; None when there are too many names to step over."""
        layout = self._tables.layout
        inventory = Inventory(self._tables)
        names = self._tables.session.run(inventory.names)
        if names is None:
            return None
        found = [
            str(hook)
            for name in names
            for (hook,) in self._rows(
                f"SELECT hook FROM {self._names.actions}{self._hint(layout.hook_index)}"
                " WHERE hook = :name AND status = 'pending' AND scheduled_date_gmt <= :now LIMIT 1",
                name=name,
                now=to_text(now),
            )
        ]
        return sorted(found)

    def twin_groups(self) -> list[str]:
        """Return the slugs that several group rows have."""
        rows = self._rows(
            f"SELECT slug FROM (SELECT slug FROM {self._names.groups} ORDER BY group_id DESC"
            f" LIMIT {SCANNED}) AS newest GROUP BY slug HAVING COUNT(*) > 1 LIMIT 100"
        )
        return [str(slug) for (slug,) in rows]

    def held_waits(self) -> list[tuple[ActionId, ActionId]]:
        """Return blocked actions, each with the failed or canceled one that it waits for."""
        if not self._tables.own.has(self._names.waits):
            return []
        rows = self._rows(
            "SELECT w.action_id, w.after_id FROM (SELECT action_id, after_id FROM"
            f" {self._names.waits} WHERE on_failed = 'hold' LIMIT {SCANNED}) AS w"
            f" JOIN {self._names.actions} a ON a.action_id = w.after_id"
            f" WHERE a.status IN ('failed', 'canceled') LIMIT {CAP + 1}"
        )
        return [(ActionId(int(one)), ActionId(int(other))) for one, other in rows]

    # Reading row by row

    def pending(self) -> Reading:
        """Read the first pending actions by date, and return what was found in them."""
        columns = reader(Columns, ACTIONS, lacking=self._tables.layout.lacking)
        rows = self._rows(
            f"SELECT {columns.columns} FROM {self._pending_by_date}"
            f" ORDER BY scheduled_date_gmt LIMIT {SCANNED + 1}"
        )
        found = map(PendingRow.of, columns.read(rows[:SCANNED]))
        return read(found, is_whole=len(rows) <= SCANNED)

    def below(self, action_id: int) -> int:
        """Count the actions with a lower id, up to the cap."""
        return self._count(
            f"SELECT 1 FROM {self._names.actions} WHERE action_id < :id", {"id": action_id}
        )

    def actions(self) -> int:
        """Count all actions, up to a million and one."""
        return self._count(f"SELECT 1 FROM {self._names.actions}", {}, cap=1_000_000)

    def legacy_posts(self) -> dict[str, int]:
        """Count the actions that are still posts, by post status, up to the cap."""
        table = f"{self._names.prefix}posts"
        if not self._server.has_table(table):
            return {}
        rows = self._rows(
            f"SELECT post_status FROM {table} WHERE post_type = 'scheduled-action' LIMIT {CAP + 1}"
        )
        return dict(Counter(str(status) for (status,) in rows))

    # How

    @functools.cached_property
    def _pending_by_date(self) -> str:
        hint = self._hint(self._tables.layout.due_index)
        return f"{self._names.actions}{hint} WHERE status = 'pending'"

    def _hint(self, index: str | None) -> str:
        return self._server.dialect.use_index(index)

    def _count(self, statement: str, values: Mapping[str, object], *, cap: int = CAP) -> int:
        counted = f"SELECT COUNT(*) FROM ({statement} LIMIT {cap + 1}) AS counted"
        return int(self._value(counted, **values) or 0)

    def _ids(self, statement: str, *, size: int = CAP + 1, **values: object) -> list[ActionId]:
        rows = self._rows(f"{statement} LIMIT {size}", **values)
        return [ActionId(int(action)) for (action,) in rows]

    def _value(self, statement: str, **values: object) -> Any:
        [[found]] = self._rows(statement, **values)
        return found

    def _rows(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._tables.session.run(lambda c: c.execute(text(statement), values).fetchall())
