"""A page of actions by filters, and how many there are of each status."""

import time
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
MANY: Final = 5_000
"""So many rows of one hook or group are quicker found one by one than sorted."""
WINDOW: Final = 100_000
"""So many ids a search reads at once."""
SEARCH_SECONDS: Final = 0.7
"""A search begins no other window after this time."""
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
    looked_back_to: ActionId | None = None
    """Where a search has ended before it had a whole page, since its time was over; else None."""


def order_for(query: Query) -> str:
    """Return the order that a list has unless another one is asked for.

    It is one that an index gives, so that a page of ten million actions takes no longer.
    """
    if query.statuses == (Status.PENDING,):
        return "soonest"
    if query.search:
        return "newest"
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
    if query.search and chosen == "newest" and alike is None:
        return _searched(store, query, now, after)
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
        paged = replace(paged, before_id=_id(after))
    elif after:
        paged = replace(paged, beyond=Place.read(after))
    if query.hooks and not query.statuses and order != "newest":
        return _merged(store, paged)
    return store.reading.find(paged, walks=_are_many(store, paged))


def _are_many(store: OpenStore, query: Query) -> bool:
    """Tell whether so many actions of a hook or group match that sorting them takes long."""
    if query.hooks:
        some = Query(hooks=query.hooks, statuses=query.statuses)
    elif query.groups:
        some = Query(groups=query.groups)
    else:
        return False
    return store.counting.all(some, cap=MANY) >= MANY


def _searched(store: OpenStore, query: Query, now: datetime, after: str) -> ListPage:
    """Return what a text occurs in, the newest first, as far back as there is time to look.

    No index helps to find a text inside of others, so the newest rows are read window by window.
    """
    begin = time.monotonic()
    if after:
        before = _id(after)
    else:
        newest = store.reading.find(Query(order="id", descending=True, limit=1))
        before = ActionId(newest[0].id + 1 if newest else 0)
    rows: list[Record] = []
    while before > 1 and len(rows) <= PAGE and time.monotonic() - begin < SEARCH_SECONDS:
        floor = ActionId(max(0, before - WINDOW - 1))
        window = replace(
            query,
            order="id",
            descending=True,
            limit=PAGE + 1 - len(rows),
            before_id=before,
            after_id=floor,
        )
        rows += store.reading.find(window, walks=True)
        before = ActionId(floor + 1)
    page = rows[:PAGE]
    if len(rows) > PAGE:
        following, looked_back_to = str(page[-1].id), None
    else:
        following, looked_back_to = (str(before), before) if before > 1 else ("", None)
    return ListPage(
        rows=listed(store, page, now),
        order="newest",
        following=following,
        looked_back_to=looked_back_to,
    )


def _id(after: str) -> ActionId:
    found = id_of(after)
    if found is None:
        raise InputError("after: the end of a page, as its link has it")
    return found


def _merged(store: OpenStore, query: Query) -> list[Record]:
    """Find the first rows of each status, for which an index has them in order, and merge them."""
    there = store.counting.statuses(cap=1)
    parts = [
        replace(query, statuses=(status,)) for status in dict.fromkeys((*map(str, Status), *there))
    ]
    found = [
        record
        for part in parts
        for record in store.reading.find(part, walks=_are_many(store, part))
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

    Returns None where counting takes too long, as it does for what a text occurs in.
    """
    if query.search:
        return None
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
    last = store.log_ends.last(ids)
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
