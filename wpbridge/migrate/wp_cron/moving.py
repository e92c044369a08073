"""Moves WP-Cron's events into the queue, where they are actions.

The option and the queue lie in one database: what is taken out of the one is put into the other
in the same transaction, which begins with the compare-and-swap of the option's bytes. So a crash
leaves an event in one of them, never in both and never in none. The journal is written before, for
:mod:`wpbridge.migrate.wp_cron.undo`; each event has an idempotency key, so one that a stale request
of WordPress puts back into the option is taken out again and makes no second action.
docs/explain/migrations-wp-cron.md.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec import args as args_codec
from wpbridge.codec.wp_cron import CronOption, Event
from wpbridge.dataclass import dataclass
from wpbridge.errors import Contention
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.wp_cron.journal_steps import step_of
from wpbridge.migrate.wp_cron.keys import (
    Likeness,
    copied,
    copy_key_of,
    is_of,
    key_of,
    likeness,
    likeness_of,
    repeating,
    standing,
)
from wpbridge.migrate.wp_cron.plan import GROUP, Choice, Left, plan
from wpbridge.migrate.wp_cron.transaction import TRIES, States, in_batches, read_option, transact
from wpbridge.queue.enqueue import Enqueue, request_of
from wpbridge.queue.facade import Queue
from wpbridge.store.opened import OpenStore
from wpbridge.store.queueing.adding import Added
from wpbridge.store.rows.options import CRON

KIND: Final = "wp-cron"
"""Of journals."""
SAMPLE: Final = 10
"""Of these so many are looked at again."""


@dataclass(kw_only=True)
class Moved:
    """What a move has done."""

    moved: int = 0
    returned: int = 0
    """Put back into the option by a request of WordPress that had read it before."""
    merged: int = 0
    """Recurring ones whose like stands in the group already."""
    known: int = 0
    """Of a file: their actions stand already."""
    left: list[Left] = field(default_factory=list)
    hooks: set[str] = field(default_factory=set)
    checked: int = 0
    """Actions that were compared with their events afterwards."""
    faults: list[str] = field(default_factory=list)
    """Those that were not as they should be."""


def read(queue: Queue) -> bytes:
    """Read the option's bytes; SiteError where there is no WordPress, or one without events."""
    parts = queue.store
    parts.options.check()
    return read_option(parts)


class Mover:
    """Moves the events of one site."""

    def __init__(
        self,
        queue: Queue,
        journal: Journal,
        *,
        choice: Choice,
        group: str = GROUP,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._journal = journal
        self._choice = choice
        self._group = group
        self._now = now
        self.done = Moved()
        self.advance: Callable[[int], None] = lambda _count: None
        """Told after each batch."""
        self.settling: Callable[[], None] = lambda: None
        """Told when all is moved, before it is watched."""
        self._sample: dict[ActionId, Event] = {}
        self._fresh: set[ActionId] = set()

    def move(
        self, settle_seconds: float = 0.0, sleep: Callable[[float], None] = time.sleep
    ) -> Moved:
        """Move all that is meant, batch by batch.

        A crash leaves whole batches moved and the rest as it was; done again, it goes on.

        Args:
            settle_seconds: look for so long whether a request of WordPress that had read the
                option before puts events back, and take them out again.
            sleep: waits.

        Raises:
            Contention: WP-Cron runs, or others write the option all the time.
            CodecError: the option is damaged; nothing more is changed.
        """
        read(self._queue)
        self._prepare()
        with self._lock() as hold:
            if self._move(hold):
                self.settling()
                until = self._now() + settle_seconds
                while self._now() < until:
                    sleep(min(1.0, settle_seconds))
                    self._move(hold)
        self._verify()
        # Some may be due already.
        self._queue.wake()
        return self.done

    def _move(self, hold: Callable[[], None]) -> bool:
        """Move all that is there now. Returns False when there was nothing."""
        found = False
        self._fresh.clear()
        misses = 0
        hold()
        while events := self._look():
            # One look for all of them, and a new one where others have written the option.
            for some in in_batches(events):
                hold()
                if not self._batch(some):
                    misses += 1
                    break
                misses = 0
            found = True
            if misses > TRIES:
                raise Contention("the cron option is written by others all the time")
        return found

    def copy(self, data: bytes) -> Moved:
        """Make actions for the events of a file. The option is left alone."""
        found = plan(data, self._choice, self._group)
        self.done.left = found.left
        self._prepare()
        for events in in_batches(found.events):
            new = self._unknown(events)
            self._write("plan", new, from_file=True)
            added = transact(self._queue, partial(self._add_copies, events=new), _was_added)
            self._count(new, added or ())
            self.done.known += len(events) - len(new)
            self.advance(len(events) - len(new))
        self._verify()
        return self.done

    def _unknown(self, events: Sequence[Event]) -> list[Event]:
        """Return the events of a file that have no action, and of a recurring kind only one."""
        parts = self._queue.store
        there = self._repeating(parts, events)
        known = standing(parts, events)[0].keys() | copied(parts, events, there)[0]
        new = {
            copy_key_of(event): event
            for event in events
            if event not in known and likeness(event) not in there
        }
        return list(new.values())

    def _add_copies(self, parts: OpenStore, events: Sequence[Event]) -> list[Added]:
        _, void = copied(parts, events, self._repeating(parts, events))
        parts.edits.forget_keys(void)
        return self._add(parts, events, copy_key_of)

    def _prepare(self) -> None:
        """Make tables and the group, outside of the transaction that needs them."""
        parts = self._queue.store
        parts.own.ensure(self._queue.store.names.keys)
        parts.groups.ensure(self._group)

    def _look(self) -> list[Event]:
        found = plan(read(self._queue), self._choice, self._group)
        self.done.left = found.left
        return found.events

    def _batch(self, events: Sequence[Event]) -> bool:
        """Make one transaction.

        Returns False, with nothing done, when the option was written meanwhile.
        """
        self._write("plan", events)

        def swap_and_add(parts: OpenStore) -> list[Added | None] | None:
            data = parts.options.read(CRON) or b""
            option = CronOption.decode(data)
            if option.remove(events) != len(events):
                return None
            # Before all else, so that whoever writes the option now waits for us.
            if not parts.options.swap(CRON, data, option.encode()):
                return None
            return self._replace(parts, events)

        added = transact(self._queue, swap_and_add, _was_added)
        if added is None:
            return False
        self._count(events, added)
        return True

    def _replace(self, parts: OpenStore, events: Sequence[Event]) -> list[Added | None]:
        """Make actions for events that are taken out.

        None where one repeats in the group already.
        """
        there = self._repeating(parts, events)
        moved, void = standing(parts, events)
        copies, void_copies = copied(parts, events, there)
        parts.edits.forget_keys([*void, *void_copies])
        for event in copies - moved.keys():
            # Else the undo of the file would cancel what is the event's only place from now on.
            parts.keys.pass_on(copy_key_of(event), key_of(event))
        new = [event for event in events if likeness(event) not in there]
        added = iter(self._add(parts, new, key_of))
        return [None if likeness(event) in there else next(added) for event in events]

    def _repeating(self, parts: OpenStore, events: Sequence[Event]) -> set[Likeness]:
        """Return what of such events repeats in the group, but for what this look has made."""
        hooks = {event.name() for event in events if event.interval()}
        if not hooks:
            return set()
        found = parts.reading.find(repeating(tuple(hooks), self._group))
        likes = {likeness_of(record) for record in found if record.id not in self._fresh}
        return {like for like in likes if like is not None}

    def _add(
        self, parts: OpenStore, events: Sequence[Event], name: Callable[[Event], str]
    ) -> list[Added]:
        now = from_timestamp(int(self._now()))
        requests = [request_of(self._enqueue(event, name(event)), now) for event in events]
        return parts.adding.add(requests, by="args", now=now)

    def _enqueue(self, event: Event, key: str) -> Enqueue:
        return Enqueue(
            hook=event.hook.decode(),
            args=args_codec.decode(event.args().encode()).mapping,
            at=event.date,
            interval=event.interval() or None,
            group=self._group,
            key=key,
        )

    def _count(self, events: Sequence[Event], added: Sequence[Added | None]) -> None:
        new = {
            one.id: event
            for one, event in zip(added, events, strict=True)
            if one is not None and one.is_new and one.id is not None
        }
        merged = sum(one is None for one in added)
        self.done.moved += len(new)
        self.done.merged += merged
        self.done.returned += len(events) - len(new) - merged
        self.done.hooks |= {event.name() for event in events}
        self._journal.add({"step": "moved", "ids": list(new)})
        self._fresh |= {action_id for action_id, event in new.items() if event.interval()}
        for action_id in list(new)[:: max(1, len(new) // SAMPLE)]:
            self._sample[action_id] = new[action_id]
        self.advance(len(events))

    def _verify(self) -> None:
        """Compare some of the new actions, of every batch, with what they were made of."""
        found = {r.id: r for r in self._queue.find(ids=tuple(self._sample), limit=0)}
        for action_id, event in self._sample.items():
            record = found.get(action_id)
            self.done.checked += 1
            if record is None or not is_of(record, event):
                self.done.faults.append(f"action {action_id} is not as its event {event.name()}")
            elif record.status == Status.PENDING and record.scheduled_at != from_timestamp(
                event.date
            ):
                self.done.faults.append(f"action {action_id} has not its event's date")
        self._sample.clear()

    def _write(self, step: str, events: Sequence[Event], *, from_file: bool = False) -> None:
        told = {"step": step, "group": self._group, "events": [step_of(event) for event in events]}
        self._journal.add({**told, "from_file": True} if from_file else told)

    @contextmanager
    def _lock(self) -> Iterator[Callable[[], None]]:
        """Hold WP-Cron's own lock, so that no pass of it begins while events are taken away."""
        options = self._queue.store.options
        mine: str | None = options.take_cron_lock(None, self._now())

        def hold() -> None:
            nonlocal mine
            mine = options.take_cron_lock(mine, self._now())

        try:
            yield hold
        finally:
            options.free_cron_lock(mine or "")


def _was_added(states: States, added: Sequence[Added | None]) -> bool:
    """Tell by its first new action whether a transaction was made."""
    new = [one.id for one in added if one is not None and one.is_new and one.id is not None]
    return bool(states(new[:1]))
