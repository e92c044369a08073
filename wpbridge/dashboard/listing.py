"""A page of actions by filters, and how many there are of each status."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.dashboard.schedule_words import words_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import TookTooLong
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import LogEntry, Query, Record

PAGE: Final = 50
COUNT_CAP: Final = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One action in a list."""

    record: Record
    recurrence: str
    """In words; empty for one that does not repeat."""
    last_log: LogEntry | None
    is_past_due: bool


def counts_of(store: OpenStore, query: Query, now: datetime) -> Mapping[str, int] | None:
    """Count actions by status, up to :data:`COUNT_CAP`; ``past-due`` is one more.

    Returns None where counting takes too long.
    """
    every = replace(query, statuses=())
    try:
        found = dict(store.counting.statuses(every, cap=COUNT_CAP))
        due = replace(every, statuses=(Status.PENDING,), until=_earlier(query.until, now))
        found["past-due"] = store.counting.all(due, cap=COUNT_CAP)
    except TookTooLong:
        return None
    return found


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)


def listed(store: OpenStore, records: Sequence[Record], now: datetime) -> list[Listed]:
    """Return what a list shows of actions, beside their rows."""
    ids = [record.id for record in records]
    zones = store.reading.zones_of(ids) if ids else {}
    last: dict[ActionId, LogEntry] = {}
    for entry in store.reading.logs(ids) if ids else ():
        last[entry.action_id] = entry
    return [
        Listed(
            record=record,
            recurrence=_recurrence(record, zones.get(record.id)),
            last_log=last.get(record.id),
            is_past_due=record.status == Status.PENDING
            and record.scheduled_at is not None
            and record.scheduled_at < now,
        )
        for record in records
    ]


def _recurrence(record: Record, zone: str | None) -> str:
    return words_of(record.schedule, zone)
