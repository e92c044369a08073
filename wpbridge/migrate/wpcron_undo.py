"""The way back of ``migrate wp-cron``: actions become WP-Cron's events again.

An action is canceled and its event put into the option in one transaction, so that it is in one of
them at any moment. docs/explain/migrations-wp-cron.md.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from wpbridge.action import ActionId, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec.wp_cron import CronOption, Event
from wpbridge.errors import Contention, SiteError
from wpbridge.migrate.wpcron import (
    BATCH,
    TRIES,
    Late,
    States,
    Steps,
    copy_key_of,
    journaled,
    key_of,
    likeness,
    likeness_of,
    repeating,
    transact,
)
from wpbridge.queue import Queue
from wpbridge.store.options import CRON
from wpbridge.store.parts import Parts
from wpbridge.store.records import Query, Record


@dataclass(kw_only=True)
class Undone:
    """What was put back."""

    restored: int = 0
    ended: int = 0
    """Run, canceled or gone since: nothing was pending any more."""
    busy: int = 0
    """A runner has them just now."""
    copies: int = 0
    """Actions made of a file's events: canceled, and nothing is put back."""
    present: int = 0
    """In the option again already: only the action was canceled."""
    canceled: list[ActionId] = field(default_factory=list)
    """The actions of one transaction."""

    @property
    def changed(self) -> int:
        """Actions that were canceled."""
        return self.restored + self.present + self.copies


def undo(
    queue: Queue,
    journal: Steps,
    *,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
    advance: Callable[[int], None] = lambda _count: None,
) -> Undone:
    """Put back what a journal says was moved, as far as its actions are pending still.

    An action is canceled and its event put back in one transaction; a recurring one comes back at
    its next date on WP-Cron's grid. Done again, it finds nothing pending and changes nothing.

    Raises:
        Contention: others write the option all the time.
        CodecError: the option is damaged; nothing is changed.
    """
    total = Undone()
    for group, from_file, events in journaled(journal):
        for at in range(0, len(events), BATCH):
            some = events[at : at + BATCH]
            for _ in range(TRIES):
                work = partial(
                    _put_back,
                    events=some, group=group, from_file=from_file, now=now(), dry_run=dry_run,
                )  # fmt: skip
                done = transact(queue, work, _was_undone)
                if done is not None:
                    break
            else:
                raise Contention("the cron option is written by others all the time")
            total.restored += done.restored
            total.copies += done.copies
            total.ended += done.ended
            total.busy += done.busy
            total.present += done.present
            advance(len(some))
    return total


def _put_back(
    parts: Parts, *, events: Sequence[Event], group: str, from_file: bool, now: float, dry_run: bool
) -> Undone:
    """One transaction's work; raises where the option was written meanwhile."""
    done = Undone()
    back: dict[ActionId, Event] = {}
    made: dict[ActionId, ActionId] = {}
    taken: set[ActionId] = set()
    name = copy_key_of if from_file else key_of
    firsts = parts.adding.keys_made([name(event) for event in events])
    for event in events:
        first = firsts.get(name(event))
        if first is None and from_file:
            # Canceled before, or its event was moved since, and is counted there.
            continue
        found = [r for r in _pending(parts, event, group, first) if r.id not in taken]
        if not found:
            done.ended += 1
        elif found[0].status == Status.IN_PROGRESS or found[0].claim_id:
            done.busy += 1
        else:
            taken.add(found[0].id)
            back[found[0].id] = event if found[0].id == first else _next(event, now)
            if first is not None:
                made[found[0].id] = first
    if dry_run:
        done.restored, done.copies = (0, len(back)) if from_file else (len(back), 0)
        return done
    at = from_timestamp(int(now))
    canceled = parts.edits.cancel(
        list(back), now=at, reason="moved back to WP-Cron", only_free=True
    )
    done.canceled = canceled
    done.busy += len(back) - len(canceled)
    parts.edits.forget_keys([made[i] for i in canceled if i in made])
    if from_file:
        done.copies = len(canceled)
        return done
    data = parts.options.read(CRON)
    if data is None:
        raise SiteError("there is no cron option: WordPress has scheduled nothing on this site")
    option = CronOption.decode(data)
    wanted = [back[i] for i in canceled]
    there = {(e.hook, e.key) for e in option.events() if e.recurrence() is not None}
    new = [e for e in wanted if e.recurrence() is None or (e.hook, e.key) not in there]
    done.restored = option.add(new)
    done.present = len(wanted) - done.restored
    if done.restored and not parts.options.swap(CRON, data, option.encode()):
        raise Late
    return done


def _was_undone(states: States, done: Undone) -> bool:
    found = states(done.canceled)
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
    return Event(date=event.date + missed * step, hook=event.hook, key=event.key, value=event.value)


def hooks_in(journal: Steps) -> set[str]:
    """The hooks whose events a journal says were moved."""
    return {event.name() for _, _, events in journaled(journal) for event in events}
