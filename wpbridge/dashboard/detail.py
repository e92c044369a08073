"""Everything that is known of one action: its row, its log, its result, and what it comes from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.codec import schedule
from wpbridge.dashboard.ids import id_of
from wpbridge.dashboard.schedule_words import next_dates, words_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import ActionNotFound, CodecError, InputError
from wpbridge.queue.jobs import JobQueue
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import LogEntry, Query, Record, StoredResult, Wait

MOST_LINES: Final = 500
"""So many log rows are shown: the first ones and the newest ones."""
_FIRST_LINES: Final = 20
_NEIGHBOURS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row of an action's log."""

    entry: LogEntry
    kind: str
    """``created``, ``started``, ``complete``, ``failed``, ``retry``, ``output`` or ``other``."""
    after_seconds: float | None
    """Since the row before; None for the first one, and where a date is missing."""
    is_wait: bool
    """Whether that time was a wait for a start, and not a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where an action comes from, and what comes after it."""

    requeued_as: ActionId | None
    requeued_from: ActionId | None
    chain: Sequence[Record]
    """Neighbours of its recurring chain, the newest first, without itself."""
    waits_for: Sequence[Wait]
    waited_for_by: Sequence[ActionId]
    job: str
    """The id of the job that it is; empty for none."""
    job_key: str
    """The API key that added it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One action."""

    record: Record
    zone: str | None
    """The time zone of its cron; None for UTC."""
    kind: str
    """The kind of its schedule."""
    words: str
    """Its schedule in words."""
    dates: Sequence[datetime]
    """When it and its successors run."""
    steps: Sequence[Step]
    skipped_lines: int
    """Log rows in the middle that are not shown."""
    stored: StoredResult | None
    lineage: Lineage


def detail_of(queue: JobQueue, action_id: int, now: datetime) -> Detail:
    """Read everything that is known of one action, by primary keys and indexes alone.

    Raises:
        ActionNotFound: there is no such action.
    """
    return queue.ask(lambda store: _detail(store, action_id, now))


def _detail(store: OpenStore, action_id: int, now: datetime) -> Detail:
    record = store.reading.get(action_id)
    if record is None:
        raise ActionNotFound(f"there is no action {action_id}: it may have been deleted")
    zone = store.reading.zones_of([record.id]).get(record.id)
    log = store.log_ends.of(record.id, first=_FIRST_LINES, newest=MOST_LINES - _FIRST_LINES)
    return Detail(
        record=record,
        zone=zone,
        kind=_kind(record.schedule),
        words=words_of(record.schedule, zone),
        dates=next_dates(record, zone, now),
        steps=_steps(log.entries),
        skipped_lines=log.skipped,
        stored=store.results.of([record.id]).get(record.id),
        lineage=_lineage(store, record, log.entries),
    )


def _kind(blob: bytes) -> str:
    try:
        return schedule.decode(blob).kind
    except CodecError:
        return "unreadable"


def _steps(entries: Sequence[LogEntry]) -> list[Step]:
    found: list[Step] = []
    before: LogEntry | None = None
    for entry in entries:
        kind = _kind_of_line(entry.message)
        seconds = None
        if before is not None and before.at is not None and entry.at is not None:
            seconds = max(0.0, (entry.at - before.at).total_seconds())
        found.append(Step(entry=entry, kind=kind, after_seconds=seconds, is_wait=kind == "started"))
        before = entry
    return found


_KINDS: Final = (
    ("action created", "created"),
    ("action started", "started"),
    ("action complete", "complete"),
    ("action failed", "failed"),
    ("action canceled", "canceled"),
    ("action retry", "retry"),
    ("action reset", "retry"),
    ("action output", "output"),
)
"""How log rows begin, in English as wpbridge and an untranslated plugin write them."""


def _kind_of_line(message: str) -> str:
    return next((kind for start, kind in _KINDS if message.startswith(start)), "other")


def _lineage(store: OpenStore, record: Record, entries: Sequence[LogEntry]) -> Lineage:
    requeued = store.edits.requeued([record.id]).get(record.id)
    job = store.jobs.of_action(record.id)
    return Lineage(
        requeued_as=requeued,
        requeued_from=_came_from(entries),
        chain=_chain(store, record),
        waits_for=store.reading.waits_of([record.id]),
        waited_for_by=store.reading.waiting_for(record.id),
        job=job.uuid if job else "",
        job_key=job.key_name if job else "",
    )


def _came_from(entries: Sequence[LogEntry]) -> ActionId | None:
    start = "action requeued via wpbridge from action "
    for entry in entries:
        number = id_of(entry.message.removeprefix(start))
        if number is not None and entry.message.startswith(start):
            return number
    return None


def _chain(store: OpenStore, record: Record) -> list[Record]:
    """Return the newest actions of the same hook, args and group, if the action recurs."""
    if not schedule.recurring(record.schedule):
        return []
    try:
        args = record.args.decode()
    except UnicodeDecodeError:
        return []
    found: list[Record] = []
    for status in Status:
        query = Query(
            hooks=(record.hook,),
            groups=(record.group,),
            args=args,
            statuses=(str(status),),
            order="date",
            descending=True,
            limit=_NEIGHBOURS + 1,
        )
        try:
            found += store.reading.find(query)
        except InputError:
            return []
    found = [one for one in found if one.id != record.id]
    return sorted(found, key=lambda one: one.id, reverse=True)[: 2 * _NEIGHBOURS]
