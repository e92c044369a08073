"""The way back of ``migrate wp-cron``: actions become WP-Cron's events again.

An action is canceled and its event put into the option in one transaction, so that it is in one of
them at any moment. Done again, it finds nothing pending and changes nothing.
docs/explain/migrations-wp-cron.md.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeAlias

from wpbridge.action import ActionId, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec.wp_cron import CronOption, Event
from wpbridge.errors import CodecError, Contention, SiteError
from wpbridge.migrate.wp_cron.moving import (
    SAMPLE,
    TRIES,
    Late,
    Likeness,
    States,
    Steps,
    copy_key_of,
    in_batches,
    journaled,
    key_of,
    likeness,
    likeness_of,
    read,
    repeating,
    transact,
)
from wpbridge.migrate.wp_cron.scheduled_since import (
    DONE,
    Bridged,
    Recurrences,
    event_of,
    of_php,
    scheduled,
)
from wpbridge.queue.facade import Queue
from wpbridge.store.opened import Parts
from wpbridge.store.records import Query, Record
from wpbridge.store.rows.options import CRON

Slot: TypeAlias = tuple[int, bytes, bytes]
SHOWN: Final = 5
"""Events that a look gives as samples."""


@dataclass(kw_only=True)
class Undone:
    """What was put back, or would be."""

    restored: int = 0
    ended: int = 0
    """Run, canceled or gone since: nothing was pending any more."""
    busy: int = 0
    """A runner has them just now."""
    present: int = 0
    """In the option again already: only the action was canceled."""
    copies: int = 0
    """Actions made of a file's events: canceled, and nothing is put back."""
    scheduled: int = 0
    """Put back, or there already: PHP has scheduled them through the bridge since the move."""
    left: list[tuple[ActionId, str, str]] = field(default_factory=list)
    """Such actions that WP-Cron cannot hold: id, hook and reason. They stay in the queue."""
    samples: list[Event] = field(default_factory=list)
    """Some of those that would be put back."""
    checked: int = 0
    """Actions and events that were looked at again afterwards."""
    faults: list[str] = field(default_factory=list)
    """What was not as it should be."""

    @property
    def changed(self) -> int:
        """Actions that were canceled."""
        return self.restored + self.present + self.copies + self.scheduled


@dataclass(kw_only=True)
class _Batch:
    """One transaction's work."""

    canceled: list[ActionId] = field(default_factory=list)
    placed: list[Event] = field(default_factory=list)
    """Events put into the option."""
    ended: int = 0
    busy: list[ActionId] = field(default_factory=list)
    left: list[tuple[ActionId, str, str]] = field(default_factory=list)
    last: ActionId | None = None
    """The last action that was looked at; None where there was none."""


class Undo:
    """Puts back what one journal says was moved, as far as its actions are pending still."""

    def __init__(
        self,
        queue: Queue,
        journal: Steps,
        *,
        bridged: Bridged | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Reads the journal; InputError where it is damaged.

        Args:
            queue: the site's.
            journal: of the move.
            bridged: hooks that leave the bridge with this undo: what PHP has scheduled of them
                since the move is put back, too.
            now: Unix time.
        """
        self._queue = queue
        self._journal = journal
        self._now = now
        self._plans = journaled(journal)
        self._bridged = bridged
        self._recurrences = Recurrences(event for _, _, events in self._plans for event in events)
        self._met: set[ActionId] = set()
        """Actions that this look, or this undo, has counted already."""
        self._ours: set[Slot] = set()
        self._canceled: list[ActionId] = []
        self._placed: list[Event] = []

    @property
    def total(self) -> int:
        """Events that the journal tells of."""
        return sum(len(events) for _, _, events in self._plans)

    def look(self) -> Undone:
        """What would be put back; changes nothing."""
        return self._go(lambda _count: None, dry_run=True)

    def run(self, advance: Callable[[int], None] = lambda _count: None) -> Undone:
        """Put back all that can be, batch by batch, and look at some of it again.

        Raises:
            Contention: others write the option all the time.
            CodecError: the option is damaged; nothing more is changed.
        """
        if self._bridged is not None:
            self._journal.add(self._bridged.step())
        done = self._go(advance, dry_run=False)
        self._verify(done)
        return done

    def finish(
        self,
        done: Undone,
        settle_seconds: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Put back what PHP has scheduled until the bridge was away; to be called then.

        Args:
            done: what was done so far, to be added to.
            settle_seconds: look for so long at what requests add that had loaded the bridge.
            sleep: waits.
        """
        if self._bridged is None:
            return
        until = self._now() + settle_seconds
        done.left.clear()
        self._since(done, dry_run=False)
        while not done.busy and self._now() < until:
            sleep(min(1.0, settle_seconds))
            done.left.clear()
            self._since(done, dry_run=False)
        self._verify(done)
        if not done.busy:
            self._journal.add(DONE)

    def _go(self, advance: Callable[[int], None], *, dry_run: bool) -> Undone:
        done = Undone()
        self._ours.clear()
        self._met.clear()
        for group, from_file, events in self._plans:
            for some in in_batches(events):
                batch = self._batch(some, group, from_file=from_file, dry_run=dry_run)
                self._count(done, batch, from_file=from_file)
                advance(len(some))
        self._since(done, dry_run=dry_run)
        return done

    def _since(self, done: Undone, *, dry_run: bool) -> None:
        """What PHP has scheduled through the bridge, batch by batch."""
        after: ActionId | None = None
        while self._bridged is not None:
            work = partial(self._put_since, bridged=self._bridged, after=after, dry_run=dry_run)
            batch = self._transact(work)
            after = batch.last
            if after is None:
                return
            self._met |= {*batch.busy, *batch.canceled}
            done.busy += len(batch.busy)
            done.scheduled += len(batch.canceled)
            done.left += batch.left
            self._note(done, batch)

    def _put_since(
        self, parts: Parts, *, bridged: Bridged, after: ActionId | None, dry_run: bool
    ) -> _Batch:
        """One transaction's work; raises Late where the option was written meanwhile."""
        records = scheduled(parts, bridged, after)
        batch = _Batch(last=records[-1].id if records else None)
        mine = [r for r in of_php(parts, bridged, records) if r.id not in self._met]
        data = self._read_option(parts) if mine else b""
        option = CronOption.decode(data)
        back: dict[ActionId, Event] = {}
        for record in mine:
            if record.status == Status.IN_PROGRESS or record.claim_id:
                batch.busy.append(record.id)
                continue
            try:
                back[record.id] = event_of(
                    record, self._recurrences, option.events(), int(self._now())
                )
            except CodecError as error:
                batch.left.append((record.id, record.hook, str(error)))
        self._take_out(parts, batch, back, dry_run=dry_run)
        self._swap(parts, batch, data, option, back, dry_run=dry_run)
        return batch

    def _batch(
        self, events: Sequence[Event], group: str, *, from_file: bool, dry_run: bool
    ) -> _Batch:
        """One transaction for events of the journal."""
        return self._transact(
            partial(
                self._put_back, events=events, group=group, from_file=from_file, dry_run=dry_run
            )
        )

    def _transact(self, work: Callable[[Parts], _Batch]) -> _Batch:
        """One transaction, begun again where the option was written meanwhile."""
        for _ in range(TRIES):
            batch = transact(self._queue, work, _was_undone)
            if batch is not None:
                return batch
        raise Contention("the cron option is written by others all the time")

    def _count(self, done: Undone, batch: _Batch, *, from_file: bool) -> None:
        done.ended += batch.ended
        done.busy += len(batch.busy)
        self._met |= {*batch.busy, *batch.canceled}
        if from_file:
            done.copies += len(batch.canceled)
        else:
            done.restored += len(batch.placed)
            done.present += len(batch.canceled) - len(batch.placed)
        self._note(done, batch)

    def _note(self, done: Undone, batch: _Batch) -> None:
        """Remember what is ours by now, and some of it to be looked at again."""
        done.samples += batch.placed[: max(0, SHOWN - len(done.samples))]
        self._ours |= {event.slot for event in batch.placed}
        self._canceled += batch.canceled[:: max(1, len(batch.canceled) // SAMPLE)]
        self._placed += batch.placed[:: max(1, len(batch.placed) // SAMPLE)]

    def _put_back(
        self, parts: Parts, *, events: Sequence[Event], group: str, from_file: bool, dry_run: bool
    ) -> _Batch:
        """One transaction's work; raises Late where the option was written meanwhile."""
        batch, back = self._cancel(parts, events, group, from_file=from_file, dry_run=dry_run)
        if from_file:
            return batch
        data = self._read_option(parts)
        self._swap(parts, batch, data, CronOption.decode(data), back, dry_run=dry_run)
        return batch

    @staticmethod
    def _read_option(parts: Parts) -> bytes:
        data = parts.options.read(CRON)
        if data is None:
            raise SiteError("there is no cron option: WordPress has scheduled nothing on this site")
        return data

    def _swap(
        self,
        parts: Parts,
        batch: _Batch,
        data: bytes,
        option: CronOption,
        back: Mapping[ActionId, Event],
        *,
        dry_run: bool,
    ) -> None:
        """Put the events of canceled actions into the option; Late where it was written."""
        batch.placed = _place(option, [back[i] for i in batch.canceled], self._ours)
        is_changed = batch.placed and not dry_run
        if is_changed and not parts.options.swap(CRON, data, option.encode()):
            raise Late

    def _take_out(
        self, parts: Parts, batch: _Batch, back: Mapping[ActionId, Event], *, dry_run: bool
    ) -> None:
        """Cancel actions that become events; those that a runner has taken meanwhile are busy."""
        if dry_run:
            batch.canceled = list(back)
            return
        now = from_timestamp(int(self._now()))
        batch.canceled = parts.edits.cancel(
            list(back), now=now, reason="moved back to WP-Cron", only_free=True
        )
        batch.busy += sorted(back.keys() - set(batch.canceled))

    def _cancel(
        self, parts: Parts, events: Sequence[Event], group: str, *, from_file: bool, dry_run: bool
    ) -> tuple[_Batch, dict[ActionId, Event]]:
        """The actions that stand for events, and what each becomes."""
        batch = _Batch()
        back: dict[ActionId, Event] = {}
        keyed: dict[ActionId, ActionId] = {}
        name = copy_key_of if from_file else key_of
        firsts = parts.adding.keys_made([name(event) for event in events])
        for event in events:
            first = firsts.get(name(event))
            if first is None and from_file:
                # Canceled before, or its event was moved since, and is counted there.
                continue
            found = [r for r in _pending(parts, event, group, first) if r.id not in back]
            if not found:
                batch.ended += 1
            elif found[0].status == Status.IN_PROGRESS or found[0].claim_id:
                batch.busy.append(found[0].id)
            else:
                back[found[0].id] = event if found[0].id == first else _next(event, self._now())
                if first is not None:
                    keyed[found[0].id] = first
        self._take_out(parts, batch, back, dry_run=dry_run)
        if not dry_run:
            parts.edits.forget_keys([keyed[i] for i in batch.canceled if i in keyed])
        return batch, back

    def _verify(self, done: Undone) -> None:
        """Some of what every batch has canceled and put back; what is due already may be gone."""
        ids = tuple(self._canceled)
        rows = self._queue.find(ids=ids, limit=0) if ids else []
        canceled = {record.id for record in rows if record.status == Status.CANCELED}
        done.faults += [f"action {i} is not canceled" for i in ids if i not in canceled]
        waiting = [event for event in self._placed if event.date > self._now()]
        option = CronOption.decode(read(self._queue)) if waiting else CronOption({})
        there = {event.slot: event.value for event in option.events()}
        done.faults += [
            f"the event {event.name()} at {event.date} is not in WP-Cron"
            for event in waiting
            if there.get(event.slot) != event.value
        ]
        done.checked = len(ids) + len(waiting)


def _place(option: CronOption, events: Sequence[Event], ours: Collection[Slot]) -> list[Event]:
    """Put events in; returns those that were not there, and of which PHP scheduled none anew."""
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
    """What makes two events at one date the same; None for what no action could hold."""
    try:
        return event.name(), event.args().encode(), event.interval()
    except CodecError:
        return None


def _was_undone(states: States, batch: _Batch) -> bool:
    found = states(batch.canceled)
    return bool(found) and all(status == Status.CANCELED for status, _ in found.values())


def _pending(parts: Parts, event: Event, group: str, first: ActionId | None) -> list[Record]:
    """The actions that stand for an event now: its own, or what has become of a recurring one."""
    own = () if first is None else parts.reading.find(Query(ids=(first,), limit=0))
    # The database's comparison is wider than ours.
    text = event.args().encode()
    if found := [r for r in own if r.is_live and (r.hook, r.args) == (event.name(), text)]:
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
    """A recurring event at its next date, as WP-Cron counts: the grid is kept."""
    step = event.interval()
    missed = max(0, -int((event.date - now) // step)) if step else 0
    return replace(event, date=event.date + missed * step)
