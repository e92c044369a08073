"""One transaction of an undo: some actions are canceled, and their events go into the option."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import TypeAlias

from wpbridge.action import ActionId, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec.wp_cron import CronOption, Event
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError
from wpbridge.migrate.wp_cron.keys import (
    Likeness,
    copy_key_of,
    is_of,
    key_of,
    likeness,
    likeness_of,
    repeating,
)
from wpbridge.migrate.wp_cron.scheduled_since import (
    Bridged,
    Recurrences,
    event_of,
    of_php,
    scheduled,
)
from wpbridge.migrate.wp_cron.transaction import Late, States, read_option
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Query, Record
from wpbridge.store.rows.options import CRON

Slot: TypeAlias = tuple[int, bytes, bytes]


@dataclass(kw_only=True)
class Batch:
    """What one transaction did, or would do."""

    canceled: list[ActionId] = field(default_factory=list)
    placed: list[Event] = field(default_factory=list)
    """Events put into the option."""
    ended: int = 0
    """Events whose actions are not pending any more."""
    busy: list[ActionId] = field(default_factory=list)
    """Actions that a runner has."""
    left: list[tuple[ActionId, str, str]] = field(default_factory=list)
    """Actions that WP-Cron cannot hold: id, hook and reason."""
    last: ActionId | None = None
    """The last action that was looked at; None where there was none."""


class PuttingBack:
    """The work of such transactions. Each raises Late where the option was written meanwhile."""

    def __init__(
        self, recurrences: Recurrences, now: Callable[[], float], *, dry_run: bool = False
    ) -> None:
        """With ``dry_run`` nothing is changed."""
        self._recurrences = recurrences
        self._now = now
        self._dry_run = dry_run
        self._ours: set[Slot] = set()
        """Where this undo has put events."""
        self._met: set[ActionId] = set()
        """Actions that it has counted already."""

    def remember(self, batch: Batch) -> None:
        """Take in a batch whose transaction was made."""
        self._met |= {*batch.busy, *batch.canceled}
        self._ours |= {event.slot for event in batch.placed}

    def of_journal(
        self, parts: OpenStore, *, events: Sequence[Event], group: str, from_file: bool
    ) -> Batch:
        """Put back events that the journal tells of; of a file's only the actions go."""
        batch, back = self._cancel(parts, events, group, from_file=from_file)
        if not from_file:
            data = read_option(parts)
            self._swap(parts, batch, data, CronOption.decode(data), back)
        return batch

    def since_the_move(
        self, parts: OpenStore, *, bridged: Bridged, after: ActionId | None
    ) -> Batch:
        """Put back the next actions that PHP has scheduled through the bridge."""
        records = scheduled(parts, bridged, after)
        batch = Batch(last=records[-1].id if records else None)
        mine = [r for r in of_php(parts, bridged, records) if r.id not in self._met]
        data = read_option(parts) if mine else b""
        option = CronOption.decode(data)
        back: dict[ActionId, Event] = {}
        now = int(self._now())
        for record in mine:
            if _is_busy(record):
                batch.busy.append(record.id)
                continue
            try:
                back[record.id] = event_of(record, self._recurrences, option.events(), now)
            except CodecError as error:
                batch.left.append((record.id, record.hook, str(error)))
        self._take_out(parts, batch, back)
        self._swap(parts, batch, data, option, back)
        return batch

    def _cancel(
        self, parts: OpenStore, events: Sequence[Event], group: str, *, from_file: bool
    ) -> tuple[Batch, dict[ActionId, Event]]:
        """Cancel the actions that stand for events; returns what each becomes, too."""
        batch = Batch()
        back: dict[ActionId, Event] = {}
        keyed: dict[ActionId, ActionId] = {}
        name = copy_key_of if from_file else key_of
        firsts = parts.keys.made([name(event) for event in events])
        for event in events:
            first = firsts.get(name(event))
            if first is None and from_file:
                # Canceled before, or its event was moved since, and is counted there.
                continue
            found = [r for r in _pending(parts, event, group, first) if r.id not in back]
            if not found:
                batch.ended += 1
            elif _is_busy(found[0]):
                batch.busy.append(found[0].id)
            else:
                back[found[0].id] = event if found[0].id == first else _next(event, self._now())
                if first is not None:
                    keyed[found[0].id] = first
        self._take_out(parts, batch, back)
        if not self._dry_run:
            parts.edits.forget_keys([keyed[i] for i in batch.canceled if i in keyed])
        return batch, back

    def _take_out(self, parts: OpenStore, batch: Batch, back: Mapping[ActionId, Event]) -> None:
        """Cancel actions that become events; those that a runner has taken meanwhile are busy."""
        if self._dry_run:
            batch.canceled = list(back)
            return
        now = from_timestamp(int(self._now()))
        batch.canceled = parts.edits.cancel(
            list(back), now=now, reason="moved back to WP-Cron", only_free=True
        )
        batch.busy += sorted(back.keys() - set(batch.canceled))

    def _swap(
        self,
        parts: OpenStore,
        batch: Batch,
        data: bytes,
        option: CronOption,
        back: Mapping[ActionId, Event],
    ) -> None:
        """Put the events of canceled actions into the option."""
        batch.placed = _place(option, [back[i] for i in batch.canceled], self._ours)
        is_changed = batch.placed and not self._dry_run
        if is_changed and not parts.options.swap(CRON, data, option.encode()):
            raise Late


def was_made(states: States, batch: Batch) -> bool:
    """Tell from the actions' states whether the transaction of a batch was made."""
    found = states(batch.canceled)
    return bool(found) and all(status == Status.CANCELED for status, _ in found.values())


def _is_busy(record: Record) -> bool:
    return record.status == Status.IN_PROGRESS or bool(record.claim_id)


def _place(option: CronOption, events: Sequence[Event], ours: Collection[Slot]) -> list[Event]:
    """Put events in. Returns those that were not there, and that PHP has not scheduled anew."""
    there = {event.slot: event for event in option.events()}
    hooks = {event.hook for event in events}
    anew = {
        _kind(event)
        for slot, event in there.items()
        if event.hook in hooks and slot not in ours and event.recurrence() is not None
    }
    placed: list[Event] = []
    for event in events:
        kind = _kind(event)
        if kind in anew:
            continue
        # Of the same hook and args at the same second, but in another interval.
        # So is what stands where no event can be put.
        while not option.has_room(event) or (
            event.slot in there and _kind(there[event.slot]) != kind
        ):
            event = replace(event, date=event.date + 1)  # noqa: PLW2901 - the same one, elsewhere
        if event.slot not in there:
            there[event.slot] = event
            placed.append(event)
    option.add(placed)
    return placed


def _kind(event: Event) -> Likeness | None:
    """Return what makes two events at one date the same. None for what no action could hold."""
    try:
        return event.name(), event.args().encode(), event.interval()
    except CodecError:
        return None


def _pending(parts: OpenStore, event: Event, group: str, first: ActionId | None) -> list[Record]:
    """Return the actions that stand for an event now: its own, or its successors."""
    own = () if first is None else parts.reading.find(Query(ids=(first,), limit=0))
    # The database's comparison is wider than ours.
    if found := [r for r in own if r.is_live and is_of(r, event)]:
        return found
    like = likeness(event)
    if like is None:
        return []
    wanted = replace(
        repeating((event.name(),), group),
        args=event.args(),
        after_id=None if first is None else ActionId(first - 1),
    )
    return [r for r in parts.reading.find(wanted) if likeness_of(r) == like]


def _next(event: Event, now: float) -> Event:
    """Return a recurring event at its next date, as WP-Cron counts it: the grid is kept."""
    step = event.interval()
    missed = max(0, -int((event.date - now) // step)) if step else 0
    return replace(event, date=event.date + missed * step)
