"""The way back of ``migrate wp-cron``: actions become WP-Cron's events again.

An action is canceled and its event put into the option in one transaction, so that it is in one of
them at any moment. Done again, it finds nothing pending and changes nothing.
docs/explain/migrations-wp-cron.md.
"""

import time
from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Final

from wpbridge.action import ActionId, Status
from wpbridge.codec.wp_cron import CronOption, Event
from wpbridge.dataclass import dataclass
from wpbridge.errors import Contention
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.wp_cron.journal_steps import journaled
from wpbridge.migrate.wp_cron.moving import SAMPLE, read
from wpbridge.migrate.wp_cron.putting_back import Batch, PuttingBack, was_made
from wpbridge.migrate.wp_cron.scheduled_since import DONE, Bridged, Recurrences
from wpbridge.migrate.wp_cron.transaction import TRIES, in_batches, transact
from wpbridge.queue.facade import Queue
from wpbridge.store.opened import OpenStore

SHOWN: Final = 5
"""Events that a look gives as samples."""


@dataclass(kw_only=True)
class Undone:
    """What an undo has put back, or would put back."""

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
        """How many actions were canceled."""
        return self.restored + self.present + self.copies + self.scheduled


class Undo:
    """Puts back what one journal says was moved, as far as its actions are pending still."""

    def __init__(
        self,
        queue: Queue,
        journal: Journal,
        *,
        bridged: Bridged | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Read the journal. InputError where it is damaged.

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
        self._work = PuttingBack(self._recurrences, now)
        self._canceled: list[ActionId] = []
        self._placed: list[Event] = []

    @property
    def total(self) -> int:
        """How many events the journal tells of."""
        return sum(len(events) for _, _, events in self._plans)

    def look(self) -> Undone:
        """Tell what would be put back. It changes nothing."""
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
        """Put back what PHP has scheduled until the bridge was away. Call it when that is so.

        Args:
            done: what was done so far, to be added to.
            settle_seconds: look for so long at what requests add that had loaded the bridge.
            sleep: waits.
        """
        if self._bridged is None:
            return
        until = self._now() + settle_seconds
        done.left.clear()
        self._since(done)
        while not done.busy and self._now() < until:
            sleep(min(1.0, settle_seconds))
            done.left.clear()
            self._since(done)
        self._verify(done)
        if not done.busy:
            self._journal.add(DONE)

    def _go(self, advance: Callable[[int], None], *, dry_run: bool) -> Undone:
        done = Undone()
        self._work = PuttingBack(self._recurrences, self._now, dry_run=dry_run)
        for group, from_file, events in self._plans:
            for some in in_batches(events):
                work = partial(self._work.of_journal, events=some, group=group, from_file=from_file)
                batch = self._transact(work)
                done.ended += batch.ended
                if from_file:
                    done.copies += len(batch.canceled)
                else:
                    done.restored += len(batch.placed)
                    done.present += len(batch.canceled) - len(batch.placed)
                self._note(done, batch)
                advance(len(some))
        self._since(done)
        return done

    def _since(self, done: Undone) -> None:
        """Put back what PHP has scheduled through the bridge, batch by batch."""
        after: ActionId | None = None
        while self._bridged is not None:
            work = partial(self._work.since_the_move, bridged=self._bridged, after=after)
            batch = self._transact(work)
            after = batch.last
            if after is None:
                return
            done.scheduled += len(batch.canceled)
            done.left += batch.left
            self._note(done, batch)

    def _transact(self, work: Callable[[OpenStore], Batch]) -> Batch:
        """Make one transaction, begun again where the option was written meanwhile."""
        for _ in range(TRIES):
            batch = transact(self._queue, work, was_made)
            if batch is not None:
                return batch
        raise Contention("the cron option is written by others all the time")

    def _note(self, done: Undone, batch: Batch) -> None:
        """Remember what was done, and some of it to be looked at again."""
        self._work.remember(batch)
        done.busy += len(batch.busy)
        done.samples += batch.placed[: max(0, SHOWN - len(done.samples))]
        self._canceled += batch.canceled[:: max(1, len(batch.canceled) // SAMPLE)]
        self._placed += batch.placed[:: max(1, len(batch.placed) // SAMPLE)]

    def _verify(self, done: Undone) -> None:
        """Look again at some of what each batch has canceled and put back.

        Due events may be gone.
        """
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
