"""Read failed actions: when and why each failed, and which failures still stand."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.clock import to_text
from wpbridge.codec import schedule
from wpbridge.store.database.connection import text
from wpbridge.store.queueing.edits import Edits
from wpbridge.store.reading.conditions import Conditions
from wpbridge.store.reading.reading import IDS_A_STATEMENT, Reading
from wpbridge.store.records import FailedRun, LogEntry, Query, Record
from wpbridge.store.structure.tables import Tables

ASIDE: Final = (
    "action created",
    "action started",
    "action output via wpbridge",
    "wpbridge: ",
    "action requeued",
    "This action appears to be consistently failing",
    "There was a failure scheduling the next",
)
"""How log rows start that never say why an action failed. Those of the plugin are translated."""


class Failed:
    """Questions about one site's failed actions."""

    def __init__(
        self, tables: Tables, conditions: Conditions, reading: Reading, edits: Edits
    ) -> None:
        self._session = tables.session
        self._names = tables.names
        self._conditions = conditions
        self._reading = reading
        self._edits = edits

    def newest(
        self, query: Query, *, since: datetime | None = None, open_only: bool = False
    ) -> tuple[list[FailedRun], bool]:
        """Return the newest failed actions of a query, each with the log row that says why.

        Return also whether there are older ones, which were not read.

        Args:
            query: which actions. Its limit says how many are read, standing or not.
            since: take only what failed at this moment or later. The log says when that was, or
                else the last attempt does.
            open_only: take only failures that still stand, see :meth:`standing`.
        """
        narrowed = replace(
            query,
            statuses=(Status.FAILED,),
            order="modified",
            descending=True,
            limit=query.limit + 1 if query.limit else 0,
        )
        records = self._reading.find(narrowed) if since is None else self._since(narrowed, since)
        is_cut = 0 < query.limit < len(records)
        records = records[: query.limit or None]
        reasons = self._reasons(records)
        found = [_run(record, reasons.get(record.id)) for record in records]
        if since is not None:
            found = [run for run in found if run.at is not None and run.at >= since]
        if open_only:
            kept = {run.id for run in found}
            standing = self.standing([record for record in records if record.id in kept])
            found = [run for run in found if run.id in standing]
        return found, is_cut

    def standing(self, records: Sequence[Record]) -> set[ActionId]:
        """Return the failed actions that still stand.

        A failure no longer stands when its action was requeued, whatever became of the new one,
        which is an action of its own. Nor does it when a later run of the same recurring chain has
        completed. A single action may look like another one and yet be another piece of work, so it
        stands until it is requeued or deleted.
        """
        ids = [record.id for record in records]
        requeued: set[ActionId] = set()
        for start in range(0, len(ids), IDS_A_STATEMENT):
            requeued |= set(self._edits.requeued(ids[start : start + IDS_A_STATEMENT]))
        rest = [record for record in records if record.id not in requeued]
        return {record.id for record in rest} - self._outlived(rest)

    def messages(self, records: Sequence[Record]) -> dict[ActionId, str]:
        """Return the messages that say why actions failed; without those that have none."""
        return {one: entry.message for one, entry in self._reasons(records).items()}

    def _since(self, query: Query, since: datetime) -> list[Record]:
        """Return failed actions with an attempt or a log row since then; some failed earlier.

        A run may take hours, and its failure is logged at its end. The last attempt is its start,
        which alone would leave such a run out.
        """
        where, values = self._conditions.where(query)
        if where is None:
            return []
        order = " ORDER BY a.last_attempt_gmt DESC, a.action_id DESC"
        limit = " LIMIT :limit OFFSET :offset" if query.limit or query.offset else ""
        statement = text(
            f"SELECT a.action_id FROM {self._names.actions} a{where} AND (a.last_attempt_gmt >= :at"
            f" OR EXISTS (SELECT 1 FROM {self._names.logs} l WHERE l.action_id = a.action_id"
            f" AND l.log_date_gmt >= :at)){order}{limit}"
        )
        more = {"limit": query.limit or 1 << 62, "offset": query.offset} if limit else {}
        given = {**values, **more, "at": to_text(since)}
        rows = self._session.run(lambda c: c.execute(statement, given).fetchall())
        ids = [ActionId(int(action)) for (action,) in rows]
        found = self._reading.existing(ids)
        return [found[one] for one in ids if one in found]

    def _reasons(self, records: Sequence[Record]) -> dict[ActionId, LogEntry]:
        return {
            entry.action_id: entry
            for entry in self._reading.logs([record.id for record in records])
            if not entry.message.startswith(ASIDE)
        }

    def _outlived(self, records: Iterable[Record]) -> set[ActionId]:
        """Return those of the records whose recurring chain has completed a run since."""
        chains: dict[tuple[str, int, bytes], list[Record]] = {}
        for record in records:
            if schedule.recurring(record.schedule) and record.last_attempt_at is not None:
                chains.setdefault((record.hook, record.group_id, record.args), []).append(record)
        found: set[ActionId] = set()
        for chain in chains.values():
            last = self._last_success(chain)
            if last is not None:
                found |= {one.id for one in chain if _attempt(one) < last}
        return found

    def _last_success(self, chain: Sequence[Record]) -> datetime | None:
        """Return when a chain's newest completed run began; None without one since its failures.

        Runs that were due before the oldest failure are not read: a chain may have thousands.
        """
        oldest = min(chain, key=_attempt)
        try:
            args = oldest.args.decode()
        except UnicodeDecodeError:
            return None
        query = Query(
            hooks=(oldest.hook,),
            groups=(oldest.group,),
            args=args,
            statuses=(Status.COMPLETE,),
            since=oldest.scheduled_at,
            modified_since=oldest.last_attempt_at,
            order="modified",
            descending=True,
            limit=1,
        )
        newest = self._reading.find(query)
        return newest[0].last_attempt_at if newest else None


def _run(record: Record, reason: LogEntry | None) -> FailedRun:
    return FailedRun(
        id=record.id,
        hook=record.hook,
        message=reason.message if reason else "",
        at=reason.at if reason else record.last_attempt_at,
    )


def _attempt(record: Record) -> datetime:
    assert record.last_attempt_at is not None
    return record.last_attempt_at
