"""Read failed actions piece by piece, so that somebody may remember a hundred thousand of them.

:meth:`FailureRows.buckets` says in one statement, which reads an index alone, how many failures
each ten minutes have, and what their ids and dates add up to. Whoever remembers those sums sees
which ten minutes have changed, and reads these alone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from wpbridge.clock import from_text
from wpbridge.codec import schedule
from wpbridge.store.database.connection import Statement, text
from wpbridge.store.database.texts import as_bytes, number
from wpbridge.store.queueing.edits import REQUEUED
from wpbridge.store.reading.failed import ASIDE
from wpbridge.store.structure.tables import Tables

IDS_A_STATEMENT: Final = 1_000
MESSAGE_CHARS: Final = 2_000
"""So much of a message is read: a fingerprint reads no more."""
SUCCESSES: Final = 500
"""Of each hook so many completed actions are looked at, the last by date first."""
LOG_ROWS: Final = 100_000
"""Over so many ids of the log, requeues are looked for at most."""
SPAN_CHARS: Final = len("2026-11-24 12:3")
_MODULUS: Final = 2_147_483_647


class Sums(NamedTuple):
    """What the failures of ten minutes add up to."""

    failures: int
    ids: int
    seconds: int


class Key(NamedTuple):
    """A failed action, and the text of its last attempt; empty for none."""

    id: int
    attempt: str


class FailureRow(NamedTuple):
    """What is remembered of a failed action's row."""

    id: int
    attempt: str
    hook: str
    group_id: int
    chain: bytes | None
    """The args of a recurring action, as the column has them; None for any other."""
    scheduled: str
    """When a recurring action was due; empty for any other."""


class Success(NamedTuple):
    """A completed action of a hook."""

    group_id: int
    args: bytes
    scheduled: str
    attempt: str


class Reason(NamedTuple):
    """The log row that says why an action failed."""

    action_id: int
    at: datetime | None
    message: str
    """Its first 2,000 characters."""


class FailureRows:
    """Reads the failed actions of one site. Every statement is bounded."""

    def __init__(self, tables: Tables) -> None:
        self._session = tables.session
        layout, dialect, names = tables.layout, tables.dialect, tables.names
        self._logs = names.logs
        failed = f"{names.actions}{dialect.use_index(layout.attempt_index)} WHERE status = 'failed'"
        begun = f"SUBSTR(last_attempt_gmt, 1, {SPAN_CHARS})"
        seconds = "SUBSTR(last_attempt_gmt, 16, 1) * 60 + SUBSTR(last_attempt_gmt, 18, 2)"
        self._buckets = text(
            f"SELECT {begun}, COUNT(*), SUM(action_id % {_MODULUS}), SUM({seconds})"
            f" FROM (SELECT action_id, last_attempt_gmt FROM {failed}"
            f" ORDER BY last_attempt_gmt DESC LIMIT :most) AS newest GROUP BY {begun}"
        )
        keys = f"SELECT action_id, last_attempt_gmt FROM {failed}"
        self._of_second = text(
            f"{keys} AND last_attempt_gmt = :at AND action_id < :below"
            " ORDER BY action_id DESC LIMIT :size"
        )
        self._undated = text(
            f"{keys} AND last_attempt_gmt IS NULL AND action_id < :below"
            " ORDER BY action_id DESC LIMIT :size"
        )
        self._before = text(
            f"{keys} AND last_attempt_gmt < :at AND last_attempt_gmt >= :low"
            " ORDER BY last_attempt_gmt DESC, action_id DESC LIMIT :size"
        )
        self._rows = text(
            "SELECT action_id, last_attempt_gmt, hook, group_id, args, CASE WHEN schedule LIKE"
            f" '%{schedule.Interval.php_class}%' OR schedule LIKE '%{schedule.Cron.php_class}%'"
            f" THEN schedule END, scheduled_date_gmt FROM {names.actions}"
            " WHERE status = 'failed' AND action_id IN :ids"
        )
        aside = " AND ".join(f"message NOT LIKE '{start}%'" for start in ASIDE)
        self._reasons = text(
            "SELECT l.action_id, l.log_date_gmt,"
            f" SUBSTR(l.message, 1, {MESSAGE_CHARS}) FROM {names.logs} l JOIN"
            f" (SELECT MAX(log_id) AS log_id FROM {names.logs} WHERE action_id IN :ids"
            f" AND {aside} GROUP BY action_id) AS newest ON newest.log_id = l.log_id"
        )
        requeued = f"message LIKE '{REQUEUED}%'"
        self._requeued = text(
            f"SELECT DISTINCT action_id FROM {names.logs} WHERE action_id IN :ids AND {requeued}"
        )
        self._newly_requeued = text(
            f"SELECT DISTINCT action_id FROM {names.logs} WHERE log_id > :after AND {requeued}"
        )
        self._newest_log = text(f"SELECT MAX(log_id) FROM {names.logs}")
        self._successes = text(
            "SELECT group_id, args, scheduled_date_gmt, last_attempt_gmt"
            f" FROM {names.actions}{dialect.use_index(layout.hook_index)} WHERE hook = :hook"
            f" AND status = 'complete' ORDER BY scheduled_date_gmt DESC LIMIT {SUCCESSES}"
        )

    def buckets(self, most: int) -> dict[str, Sums]:
        """Return the sums of the newest failures by the beginning of their ten minutes.

        The key is such as ``2026-11-24 12:3``; empty for rows without a last attempt, which count
        as the oldest. The oldest bucket may be cut where there are more than ``most``.
        """
        rows = self._session.run(lambda c: c.execute(self._buckets, {"most": most}).fetchall())
        return {
            str(begun or ""): Sums(number(count), int(float(ids or 0)), int(float(seconds or 0)))
            for begun, count, ids, seconds in rows
        }

    def keys(self, after: Key, low: str, size: int) -> list[Key]:
        """Return the failures after this one, the newest first, down to the date ``low``.

        Fewer than ``size`` are the last ones. The index by status and last attempt gives them in
        order, also where many have the same second.
        """
        if not after.attempt:
            return self._keys(self._undated, {"below": after.id, "size": size})
        found = self._keys(self._of_second, {"at": after.attempt, "below": after.id, "size": size})
        if len(found) < size:
            rest = {"at": after.attempt, "low": low, "size": size - len(found)}
            found += self._keys(self._before, rest)
        return found

    def _keys(self, statement: Statement, values: Mapping[str, object]) -> list[Key]:
        rows = self._session.run(lambda c: c.execute(statement, values).fetchall())
        return [Key(number(action), str(at or "")) for action, at in rows]

    def rows(self, ids: Sequence[int]) -> list[FailureRow]:
        """Return the rows of these actions that are failed now; the primary key finds them."""
        found = []
        for part in _parts(ids):
            for action, at, hook, group_id, args, blob, due in self._fetched(self._rows, part):
                repeats = blob is not None and schedule.recurring(as_bytes(blob)) is not None
                row = FailureRow(
                    id=number(action),
                    attempt=str(at or ""),
                    hook=str(hook),
                    group_id=number(group_id),
                    chain=as_bytes(args) if repeats else None,
                    scheduled=str(due or "") if repeats else "",
                )
                found.append(row)
        return found

    def reasons(self, ids: Sequence[int]) -> list[Reason]:
        """Return the newest log row of each action that says why; the index by action finds it."""
        return [
            Reason(number(action), from_text(None if at is None else str(at)), str(message))
            for part in _parts(ids)
            for action, at, message in self._fetched(self._reasons, part)
        ]

    def requeued(self, ids: Sequence[int]) -> set[int]:
        """Return those of the actions that were requeued; the index by action finds them."""
        return {
            number(action)
            for part in _parts(ids)
            for (action,) in self._fetched(self._requeued, part)
        }

    def newest_log(self) -> int:
        """Return the highest id of the log."""
        return number(self._session.run(lambda c: c.execute(self._newest_log).scalar()) or 0)

    def newly_requeued(self, after: int) -> set[int]:
        """Return the actions whose requeue the log tells after this id; it is read by its ids."""
        given = {"after": after}
        rows = self._session.run(lambda c: c.execute(self._newly_requeued, given).fetchall())
        return {number(action) for (action,) in rows}

    def successes(self, hook: str) -> list[Success]:
        """Return the last 500 actions of a hook that completed, by date; its index gives them."""
        given = {"hook": hook}
        rows = self._session.run(lambda c: c.execute(self._successes, given).fetchall())
        return [
            Success(number(group), as_bytes(args), str(due or ""), str(at or ""))
            for group, args, due, at in rows
        ]

    def _fetched(self, statement: Statement, ids: Sequence[int]) -> Sequence[Sequence[object]]:
        return self._session.run(lambda c: c.execute(statement, {"ids": ids}).fetchall())


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + IDS_A_STATEMENT] for start in range(0, len(ids), IDS_A_STATEMENT)]
