"""Read which claims have live actions, and which actions run in some claims.

Both stop after so many rows, by the index over status and claim: a claim has at most what one
runner has reserved, but a queue may have any number of claims that nobody frees. On sites of an old
layout, which lack this index, rows are read one by one.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from wpbridge.action import ActionId, ClaimId
from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Statement, text
from wpbridge.store.database.texts import date
from wpbridge.store.reading.found import whole
from wpbridge.store.records import ClaimRecord
from wpbridge.store.structure.tables import Tables

SCANNED: Final = 10_000
"""At most so many rows of each status are read to find claims."""
_STATUSES: Final = ("pending", "in-progress")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningAction:
    """An action that runs just now."""

    id: ActionId
    hook: str
    claim_id: ClaimId
    started_at: datetime | None
    """When its log says that it was started last; None where it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestClaims:
    """The oldest claims that have live actions."""

    claims: tuple[ClaimRecord, ...]
    """The oldest first."""
    is_whole: bool
    """Whether there are no more than these."""


class LiveClaims:
    """Questions about one site's live claims."""

    def __init__(self, tables: Tables) -> None:
        names = tables.names
        self._session = tables.session
        by_claim = f"{names.actions}{tables.dialect.use_index(tables.layout.claimed_index)}"
        self._of_status = text(
            "SELECT claim_id, COUNT(*), MAX(last_attempt_gmt) FROM (SELECT claim_id,"
            f" last_attempt_gmt FROM {by_claim} WHERE status = :status AND claim_id > 0"
            f" ORDER BY claim_id LIMIT {SCANNED}) AS first GROUP BY claim_id ORDER BY claim_id"
        )
        self._made = text(
            f"SELECT claim_id, date_created_gmt FROM {names.claims} WHERE claim_id IN :ids"
        )
        self._running = text(
            f"SELECT action_id, hook, claim_id FROM {by_claim}"
            " WHERE status = 'in-progress' AND claim_id IN :claims LIMIT :most"
        )
        self._started = text(
            f"SELECT action_id, MAX(log_date_gmt) FROM {names.logs} WHERE action_id IN :ids"
            " AND message LIKE 'action started via %' GROUP BY action_id"
        )

    def oldest(self, most: int) -> OldestClaims:
        """Return the claims with the lowest ids that have pending or running actions.

        All numbers of these are whole. A claim that has more live actions than are read is left
        out.
        """
        counts: dict[int, dict[str, tuple[int, datetime | None]]] = {}
        end = None
        for status in _STATUSES:
            rows = [
                (whole(claim), whole(count), date(last))
                for claim, count, last in self._rows(self._of_status, status=status)
            ]
            if sum(count for _, count, _ in rows) >= SCANNED:
                # The last one may have more.
                last_one = rows.pop()[0]
                end = last_one if end is None else min(end, last_one)
            for claim, count, last in rows:
                counts.setdefault(claim, {})[status] = count, last
        ids = sorted(claim for claim in counts if end is None or claim < end)
        made = self._created(ids[:most])
        return OldestClaims(
            claims=tuple(_record(claim, counts[claim], made) for claim in ids[:most]),
            is_whole=end is None and len(ids) <= most,
        )

    def _created(self, ids: Collection[int]) -> dict[int, datetime | None]:
        if not ids:
            return {}
        rows = self._rows(self._made, ids=list(ids))
        return {whole(claim): date(created) for claim, created in rows}

    def running(self, claims: Collection[ClaimId], most: int) -> list[RunningAction]:
        """Return actions that run in these claims, by id; any of them if there are more."""
        if not claims:
            return []
        rows = self._rows(self._running, claims=sorted(claims), most=most)
        started = self._starts([whole(action) for action, _, _ in rows])
        return [
            RunningAction(
                id=ActionId(whole(action)),
                hook=str(hook),
                claim_id=ClaimId(whole(claim)),
                started_at=started.get(whole(action)),
            )
            for action, hook, claim in sorted(rows, key=lambda row: whole(row[0]))
        ]

    def _starts(self, ids: Collection[int]) -> dict[int, datetime | None]:
        if not ids:
            return {}
        rows = self._rows(self._started, ids=list(ids))
        return {whole(action): date(at) for action, at in rows}

    def _rows(self, statement: Statement, **values: object) -> Sequence[Sequence[Any]]:
        return self._session.run(lambda c: c.execute(statement, values).fetchall())


def _record(
    claim: int,
    counts: dict[str, tuple[int, datetime | None]],
    made: dict[int, datetime | None],
) -> ClaimRecord:
    (pending, first), (running, second) = (counts.get(name, (0, None)) for name in _STATUSES)
    signs = [sign for sign in (first, second) if sign is not None]
    return ClaimRecord(
        id=ClaimId(claim),
        has_row=claim in made,
        created_at=made.get(claim),
        pending=pending,
        running=running,
        last_attempt_at=max(signs, default=None),
    )
