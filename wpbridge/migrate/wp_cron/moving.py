"""WP-Cron's events become actions, and back.

The option and the queue lie in one database: what is taken out of the one is put into the other
in the same transaction, which begins with the compare-and-swap of the option's bytes. So a crash
leaves an event in one of them, never in both and never in none. The journal is written before, for
:mod:`wpbridge.migrate.wp_cron.undo`; each event has an idempotency key, so one that a stale request
of WordPress puts back into the option is taken out again and makes no second action.
docs/explain/migrations-wp-cron.md.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from wpbridge.action import ActionId, ClaimId, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec import args as args_codec
from wpbridge.codec import schedule
from wpbridge.codec.wp_cron import CronOption, Event, Odd
from wpbridge.errors import CodecError, Contention, InputError, SiteError
from wpbridge.patterns import matches
from wpbridge.queue.enqueue import (
    GROUP_CHARACTERS,
    HOOK_CHARACTERS,
    Enqueue,
    check_text,
    request_of,
)
from wpbridge.queue.facade import Queue
from wpbridge.store.database.portions import portions
from wpbridge.store.database.session import Transaction
from wpbridge.store.moving.bulk import WINDOW_BYTES
from wpbridge.store.opened import Parts
from wpbridge.store.queueing.adding import Added
from wpbridge.store.records import Query, Record
from wpbridge.store.rows.options import CRON

T = TypeVar("T")
Likeness: TypeAlias = tuple[str, bytes, int]
"""Hook, args and interval."""
States: TypeAlias = Callable[[Sequence[ActionId]], Mapping[ActionId, tuple[str, ClaimId]]]
"""Looks at actions' statuses and claims, and locks them."""

KIND: Final = "wp-cron"
"""Of journals."""
GROUP: Final = "wp-cron"
BATCH: Final = 1000
"""Events a transaction."""
SAMPLE: Final = 10
"""Of these so many are looked at again."""
DEADLOCKS: Final = 5
"""How often a transaction that was given up for another's is begun again."""
TRIES: Final = 100
"""How often the option may be written by others before this one gives up."""
RUN_QUEUE: Final = "action_scheduler_run_queue"
"""What starts Action Scheduler's own runner: as an action it could not start itself."""
CORE: Final = frozenset(
    {
        "delete_expired_transients",
        "do_pings",
        "importer_scheduled_cleanup",
        "publish_future_post",
        "recovery_mode_clean_expired_keys",
        "update_network_counts",
        "upgrader_scheduled_cleanup",
        "wp_delete_temp_updater_backups",
        "wp_https_detection",
        "wp_maybe_auto_update",
        "wp_privacy_delete_old_export_files",
        "wp_scheduled_auto_draft_delete",
        "wp_scheduled_delete",
        "wp_site_health_scheduled_check",
        "wp_split_shared_term_batch",
        "wp_update_comment_type_batch",
        "wp_update_plugins",
        "wp_update_themes",
        "wp_update_user_counts",
        "wp_version_check",
    }
)
"""WordPress's own hooks, which expect to find themselves in WP-Cron."""


class Steps(Protocol):
    """The journal: what was done so far, and one step more."""

    file: Path
    """Where it is."""

    def steps(self) -> Iterable[Mapping[str, Any]]:
        """All steps, in order."""
        ...

    def add(self, step: Mapping[str, Any]) -> None:
        """Write one; it lies on the disk afterwards."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which events are to be moved."""

    hooks: tuple[str, ...] = ()
    """Patterns with ``*`` and ``?``; none: all."""
    with_core: bool = False
    """Also WordPress's own, where a pattern meets them."""

    def __post_init__(self) -> None:
        if RUN_QUEUE in self.hooks:
            raise InputError(
                f"--hooks {RUN_QUEUE}: it starts Action Scheduler's own runner and stays in WP-Cron"
            )

    def __call__(self, event: Event | Odd) -> bool:
        """Whether this one is; WordPress's own only by their exact names, or with the flag."""
        hook = event.name()
        if hook == RUN_QUEUE:
            return False
        if hook in CORE and not self.with_core:
            return hook in self.hooks
        return not self.hooks or any(matches(one, hook) for one in self.hooks)


@dataclass(frozen=True, slots=True)
class Left:
    """What stays where it is, and why."""

    event: Event | Odd
    reason: str


@dataclass(kw_only=True)
class Plan:
    """What would be moved."""

    events: list[Event] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    others: int = 0
    """Events that are not meant."""

    def by_hook(self) -> Counter[str]:
        """How many of each hook."""
        return Counter(event.name() for event in self.events)


@dataclass(kw_only=True)
class Moved:
    """What was done."""

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


def plan(data: bytes, choice: Choice, group: str = GROUP) -> Plan:
    """What a move would take out of the option's bytes; CodecError when they are damaged."""
    check_text("--group", group, least=1, most=GROUP_CHARACTERS)
    found = Plan()
    for event in CronOption.decode(data).entries():
        if not choice(event):
            found.others += 1
            continue
        if isinstance(event, Odd):
            found.left.append(Left(event, event.reason))
            continue
        try:
            event.check(hook_characters=HOOK_CHARACTERS)
        except CodecError as error:
            found.left.append(Left(event, str(error)))
        else:
            found.events.append(event)
    return found


def read(queue: Queue) -> bytes:
    """The option's bytes; SiteError where there is no WordPress, or one without events."""
    options = queue.store.parts.options
    options.check()
    data = options.read(CRON)
    if data is None:
        raise SiteError("there is no cron option: WordPress has scheduled nothing on this site")
    return data


class Mover:
    """Moves the events of one site."""

    def __init__(
        self,
        queue: Queue,
        journal: Steps,
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
        """All there is to move now; False when there was nothing."""
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
        """Actions for the events of a file; the option is left alone."""
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
        """Those of a file for which no action stands, wherever it came from; of a chain one."""
        parts = self._queue.store.parts
        there = self._repeating(parts, events)
        known = standing(parts, events)[0].keys() | _copied(parts, events, there)[0]
        new = {
            copy_key_of(event): event
            for event in events
            if event not in known and likeness(event) not in there
        }
        return list(new.values())

    def _add_copies(self, parts: Parts, events: Sequence[Event]) -> list[Added]:
        _, void = _copied(parts, events, self._repeating(parts, events))
        parts.edits.forget_keys(void)
        return self._add(parts, events, copy_key_of)

    def _prepare(self) -> None:
        """Tables and the group, outside of the transaction that needs them."""
        parts = self._queue.store.parts
        parts.own.ensure(self._queue.store.names.keys)
        parts.groups.ensure(self._group)

    def _look(self) -> list[Event]:
        found = plan(read(self._queue), self._choice, self._group)
        self.done.left = found.left
        return found.events

    def _batch(self, events: Sequence[Event]) -> bool:
        """One transaction; False when the option was written meanwhile, and nothing was done."""
        self._write("plan", events)

        def swap_and_add(parts: Parts) -> list[Added | None] | None:
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

    def _replace(self, parts: Parts, events: Sequence[Event]) -> list[Added | None]:
        """Actions for events that are taken out; None where one repeats in the group already."""
        there = self._repeating(parts, events)
        moved, void = standing(parts, events)
        copied, void_copies = _copied(parts, events, there)
        parts.edits.forget_keys([*void, *void_copies])
        for event in copied - moved.keys():
            # Else the undo of the file would cancel what is the event's only place from now on.
            parts.adding.pass_on(copy_key_of(event), key_of(event))
        new = [event for event in events if likeness(event) not in there]
        added = iter(self._add(parts, new, key_of))
        return [None if likeness(event) in there else next(added) for event in events]

    def _repeating(self, parts: Parts, events: Sequence[Event]) -> set[Likeness]:
        """What repeats in the group from before, of such events; not what this look has made."""
        hooks = {event.name() for event in events if event.interval()}
        if not hooks:
            return set()
        found = parts.reading.find(repeating(tuple(hooks), self._group))
        likes = {likeness_of(record) for record in found if record.id not in self._fresh}
        return {like for like in likes if like is not None}

    def _add(
        self, parts: Parts, events: Sequence[Event], name: Callable[[Event], str]
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
            if record is None or (record.hook, record.args) != (
                event.name(),
                event.args().encode(),
            ):
                self.done.faults.append(f"action {action_id} is not as its event {event.name()}")
            elif record.status == Status.PENDING and record.scheduled_at != from_timestamp(
                event.date
            ):
                self.done.faults.append(f"action {action_id} has not its event's date")
        self._sample.clear()

    def _write(self, step: str, events: Sequence[Event], *, from_file: bool = False) -> None:
        told = {"step": step, "group": self._group, "events": [_told(event) for event in events]}
        self._journal.add({**told, "from_file": True} if from_file else told)

    @contextmanager
    def _lock(self) -> Iterator[Callable[[], None]]:
        """WP-Cron's own lock: no pass of it begins while events are taken away."""
        options = self._queue.store.parts.options
        mine: str | None = options.take_cron_lock(None, self._now())

        def hold() -> None:
            nonlocal mine
            mine = options.take_cron_lock(mine, self._now())

        try:
            yield hold
        finally:
            options.free_cron_lock(mine or "")


def in_batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events in their order, as many at a time as a transaction takes."""
    return portions(events, most=BATCH, room=WINDOW_BYTES, size_of=lambda one: len(one.value))


class Late(Exception):
    """The option is not what it was: what was done in this transaction may not stay."""


def transact(
    queue: Queue, work: Callable[[Parts], T | None], was_made: Callable[[States, T], bool]
) -> T | None:
    """One transaction over queue and options; None, and nothing done, when it came too late.

    Args:
        queue: the site's.
        work: does it, and returns None when it comes too late.
        was_made: whether a transaction whose COMMIT was never answered was made after all, by the
            states of actions, for which that transaction's end is waited for.
    """
    tried: list[T] = []

    def attempt(connection: Transaction) -> T:
        with queue.store.inside(connection) as parts:
            if tried and queue.store.session.in_doubt:
                states = partial(parts.writes.states, connection)
                if was_made(states, tried[0]):
                    return tried[0]
            done = work(parts)
        if done is None:
            raise Late
        tried[:] = [done]
        return done

    for left in reversed(range(DEADLOCKS)):
        try:
            return queue.store.session.transact(attempt)
        except Late:
            return None
        except Contention:
            if not left:
                raise
    return None


def journaled(journal: Steps) -> list[tuple[str, bool, list[Event]]]:
    """What was to be moved: by group, and whether it came from a file; each event once.

    InputError where a step is damaged.
    """
    found: dict[tuple[str, bool], dict[str, Event]] = {}
    for number, step in enumerate(journal.steps(), 2):
        try:
            if step["step"] != "plan":
                continue
            place = str(step["group"]), bool(step.get("from_file"))
            events = [_event(told) for told in step["events"]]
        except (KeyError, TypeError, ValueError, CodecError):
            raise InputError(f"journal {journal.file}: line {number} is damaged") from None
        name = copy_key_of if place[1] else key_of
        found.setdefault(place, {}).update({name(event): event for event in events})
    return [(group, is_file, list(some.values())) for (group, is_file), some in found.items()]


def _told(event: Event | Odd) -> dict[str, Any]:
    """Each byte as a character: whatever it holds comes back."""
    texts = {name: getattr(event, name).decode("latin-1") for name in ("hook", "key", "value")}
    place = event.place if isinstance(event, Event) else None
    return {"date": event.date, **texts} | ({"place": list(place)} if place else {})


def _event(told: Mapping[str, Any]) -> Event:
    hook, key, value = (str(told[name]).encode("latin-1") for name in ("hook", "key", "value"))
    hook_at, key_at = told.get("place") or (None, None)
    place = None if hook_at is None or key_at is None else (int(hook_at), int(key_at))
    event = Event(date=int(told["date"]), hook=hook, key=key, value=value, place=place)
    event.check(hook_characters=HOOK_CHARACTERS)
    return event


def left_as_row(left: Left) -> dict[str, Any]:
    """Return what stays, for the side file: nothing of it is lost."""
    told = _told(left.event)
    told.pop("place", None)
    return {**told, "reason": left.reason}


def key_of(event: Event) -> str:
    """What names an event for ever; the tables of keys are each site's own."""
    interval = b"%d" % event.interval()
    parts = (b"%d" % event.date, event.hook, event.key, event.args().encode(), interval)
    return "wp-cron:" + hashlib.sha256(b"\0".join(parts)).hexdigest()


def copy_key_of(event: Event) -> str:
    """What names an event of a file, whose action is nothing but a copy.

    A recurring one has other dates whenever somebody looks.
    """
    interval = event.interval()
    date = b"%d" % (0 if interval else event.date)
    parts = (date, event.hook, event.key, event.args().encode(), b"%d" % interval)
    return "wp-cron-file:" + hashlib.sha256(b"\0".join(parts)).hexdigest()


def standing(
    parts: Parts, events: Sequence[Event], name: Callable[[Event], str] = key_of
) -> tuple[dict[Event, Record], list[ActionId]]:
    """The actions that stand for events: they wait, run, or have run.

    One that was canceled stands for nothing any more, nor does one that is gone, since the plugin
    deletes canceled ones at once; the ids of such, whose keys are to be forgotten, come second.
    """
    made = parts.adding.keys_made([name(event) for event in events])
    ids = tuple(made.values())
    rows = {r.id: r for r in parts.reading.find(Query(ids=ids, limit=0))} if ids else {}
    found: dict[Event, Record] = {}
    for event in events:
        record = rows.get(made.get(name(event), ActionId(0)))
        if record and record.status != Status.CANCELED and _is_of(record, event):
            found[event] = record
    stand = {record.id for record in found.values()}
    return found, [action_id for action_id in ids if action_id not in stand]


def _copied(
    parts: Parts, events: Sequence[Event], there: Collection[Likeness]
) -> tuple[set[Event], list[ActionId]]:
    """The same of copies; of a chain while it goes on only, since their key tells no date."""
    found, void = standing(parts, events, copy_key_of)
    over = {
        event: record
        for event, record in found.items()
        if event.interval() and not record.is_live and likeness(event) not in there
    }
    return found.keys() - over.keys(), [*void, *(record.id for record in over.values())]


def _was_added(states: States, added: Sequence[Added | None]) -> bool:
    """By its first new action; where none is new there is nothing to tell of."""
    new = [one.id for one in added if one is not None and one.is_new and one.id is not None]
    return bool(states(new[:1]))


def _is_of(record: Record, event: Event) -> bool:
    return (record.hook, record.args) == (event.name(), event.args().encode())


def likeness(event: Event) -> Likeness | None:
    """What the runs of a recurring event have in common; None for a single one."""
    interval = event.interval()
    return (event.name(), event.args().encode(), interval) if interval else None


def likeness_of(record: Record) -> Likeness | None:
    """The same of an action; compared as bytes, where the database's comparison is wider."""
    try:
        told = schedule.decode(record.schedule)
    except CodecError:
        return None
    if not isinstance(told, schedule.Interval) or not told.is_recurring:
        return None
    return record.hook, record.args, told.seconds


def repeating(hooks: tuple[str, ...], group: str) -> Query:
    """Pending and running actions, of which only some repeat: see :func:`likeness_of`."""
    live = (Status.PENDING, Status.IN_PROGRESS)
    return Query(hooks=hooks, groups=(group,), statuses=live, limit=0)
