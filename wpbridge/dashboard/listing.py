"""A page of actions by filters, and how many there are of each status."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from wpbridge.action import ActionId, Status
from wpbridge.codec import schedule
from wpbridge.dashboard.ids import id_of
from wpbridge.dashboard.schedule_words import words_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError, TookTooLong
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import LogEntry, Order, Place, Query, Record

PAGE: Final = 50
COUNT_CAP: Final = 500_000
MOST_SCANNED: Final = 5_000
_SCANNED: Final = 500
"""So many are looked through at once."""
_COLUMNS: Final[Mapping[str, Order]] = {
    "newest": "id",
    "latest": "modified",
    "date": "date",
    "soonest": "date",
}
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One action in a list."""

    record: Record
    recurrence: str
    """In words; empty for one that does not repeat."""
    last_log: LogEntry | None
    is_past_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of a list."""

    rows: Sequence[Listed]
    order: str
    """``newest``, ``latest`` (attempt), ``date`` or ``soonest``."""
    following: str
    """Where the next page begins, for the address; empty on the last one."""


def order_for(query: Query) -> str:
    """Return the order that a list has unless another one is asked for.

    It is one that an index gives, so that a page of ten million actions takes no longer.
    """
    if query.statuses == (Status.PENDING,):
        return "soonest"
    if query.since is not None or query.until is not None:
        # By id, all that lies between the dates would be sorted for one page.
        return "date"
    if query.statuses or query.modified_since is not None or query.modified_until is not None:
        return "latest"
    return "date" if query.hooks else "newest"


def page_of(
    store: OpenStore,
    query: Query,
    now: datetime,
    *,
    order: str = "",
    after: str = "",
    alike: Callable[[Sequence[Record]], Sequence[Record]] | None = None,
) -> ListPage:
    """Return a page of the actions of a query.

    Args:
        store: the site's store.
        query: which actions; its order and its limit do not count.
        now: the present time.
        order: one of those of :class:`ListPage`; empty for :func:`order_for`.
        after: where the page before ended, as its :attr:`ListPage.following` says; empty for the
            first page.
        alike: returns those of some actions that are meant; None for all. So many as
            :data:`MOST_SCANNED` are looked through for one page, which may then have few rows, or
            none, and still be followed by others.

    Raises:
        InputError: ``after`` is no such place.
        TookTooLong: no index helps with these filters.
    """
    chosen = order or order_for(query)
    size = PAGE if alike is None else _SCANNED
    rows: list[Record] = []
    following, scanned = after, 0
    while True:
        found = _found(store, query, chosen, following, size + 1)
        part = found[:size]
        rows += part if alike is None else alike(part)
        scanned += size
        following = _place(part[-1], chosen) if len(found) > size else ""
        if not following or len(rows) >= PAGE or scanned >= MOST_SCANNED:
            break
    if len(rows) > PAGE:
        rows = rows[:PAGE]
        following = _place(rows[-1], chosen)
    return ListPage(rows=listed(store, rows, now), order=chosen, following=following)


def _found(store: OpenStore, query: Query, order: str, after: str, most: int) -> list[Record]:
    """Return the first actions after a place, in an order."""
    paged = replace(query, order=_COLUMNS[order], descending=order != "soonest", limit=most)
    if after and order == "newest":
        before = id_of(after)
        if before is None:
            raise InputError("after: the end of a page, as its link has it")
        paged = replace(paged, before_id=before)
    elif after:
        paged = replace(paged, beyond=Place.read(after))
    if query.hooks and not query.statuses and order != "newest":
        return _merged(store, paged)
    return store.reading.find(paged)


def _merged(store: OpenStore, query: Query) -> list[Record]:
    """Find the first rows of each status, for which an index has them in order, and merge them."""
    there = store.counting.statuses(cap=1)
    found = [
        record
        for status in dict.fromkeys((*map(str, Status), *there))
        for record in store.reading.find(replace(query, statuses=(str(status),)))
    ]
    found.sort(key=_ORDERS[query.order], reverse=query.descending)
    return found[: query.limit]


def _place(record: Record, order: str) -> str:
    """Return where a page ends, as the address of the next one says it."""
    match order:
        case "latest":
            return str(record.place_by_attempt)
        case "newest":
            return str(record.id)
        case _:
            return str(record.place)


def _by_date(at: datetime | None, *, is_dated: bool, action_id: int) -> tuple[bool, datetime, int]:
    """Return what sorts as the database does: NULL first, then zero dates."""
    return is_dated, at or _EARLIEST, action_id


_ORDERS: Final[Mapping[str, Callable[[Record], Any]]] = {
    "id": lambda one: one.id,
    "date": lambda one: _by_date(one.scheduled_at, is_dated=one.is_dated, action_id=one.id),
    "modified": lambda one: _by_date(
        one.last_attempt_at, is_dated=one.has_attempt_date, action_id=one.id
    ),
}


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
            recurrence=words_of(record.schedule, zones.get(record.id))
            if schedule.recurring(record.schedule)
            else "",
            last_log=last.get(record.id),
            is_past_due=record.status == Status.PENDING
            and record.scheduled_at is not None
            and record.scheduled_at < now,
        )
        for record in records
    ]
