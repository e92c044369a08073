"""A page of actions by filters, and how many there are of each status."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec import schedule
from wpbridge.dashboard.ids import id_of
from wpbridge.dashboard.schedule_words import words_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError, TookTooLong
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import LogEntry, Order, Query, Record

PAGE: Final = 50
COUNT_CAP: Final = 500_000
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
class Spot:
    """The place in a list after which its next page begins: the last row's date and id."""

    id: ActionId
    date: datetime | None

    @classmethod
    def read(cls, told: str) -> "Spot | None":
        """Return the place that an address names; None for none.

        Raises:
            InputError: it is no such place.
        """
        if not told:
            return None
        first, _, rest = told.partition("_")
        number, seconds = id_of(first), id_of(rest)
        try:
            date = from_timestamp(int(seconds)) if seconds else None
        except (ValueError, OverflowError, OSError):
            number = None
        if number is None or bool(rest) != bool(seconds):
            raise InputError("after: the end of a page, as its link has it")
        return cls(id=number, date=date)

    @property
    def told(self) -> str:
        """Return the place as an address has it."""
        return str(self.id) if self.date is None else f"{self.id}_{int(self.date.timestamp())}"


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
    if query.statuses:
        return "latest"
    return "date" if query.hooks else "newest"


def page_of(
    store: OpenStore, query: Query, now: datetime, *, order: str = "", after: Spot | None = None
) -> ListPage:
    """Return a page of the actions of a query.

    Args:
        store: the site's store.
        query: which actions; its order and its limit do not count.
        now: the present time.
        order: one of those of :class:`ListPage`; empty for :func:`order_for`.
        after: where the page before ended; None for the first page.
    """
    chosen = order or order_for(query)
    paged = replace(
        query,
        order=_COLUMNS[chosen],
        descending=chosen != "soonest",
        limit=PAGE + 1,
    )
    del after
    found = (
        _merged(store, paged) if query.hooks and not query.statuses else store.reading.find(paged)
    )
    page = found[:PAGE]
    following = Spot(id=page[-1].id, date=_date(page[-1], chosen)).told if len(found) > PAGE else ""
    return ListPage(rows=listed(store, page, now), order=chosen, following=following)


def _merged(store: OpenStore, query: Query) -> list[Record]:
    """Find the first rows of each status, for which an index has them in order, and merge them."""
    found = [
        record
        for status in Status
        for record in store.reading.find(replace(query, statuses=(str(status),)))
    ]
    found.sort(key=lambda one: (_sortable(one, query.order), one.id), reverse=query.descending)
    return found[: query.limit]


def _date(record: Record, order: str) -> datetime | None:
    """Return the date by which a list has its order; None where it goes by id alone."""
    match order:
        case "latest":
            return record.last_attempt_at
        case "date" | "soonest":
            return record.scheduled_at
        case _:
            return None


def _sortable(record: Record, order: Order) -> datetime:
    date = record.last_attempt_at if order == "modified" else record.scheduled_at
    return date or _EARLIEST


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
