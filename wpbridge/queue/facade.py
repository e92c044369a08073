"""One site's queue, from Python: what the plugin's ``as_*`` functions offer, and more.

    from wpbridge import Queue

    with Queue.open(path="/var/www/html") as queue:
        queue.schedule_single("+10m", "send_mail", {"order": 17}, group="mail", unique=True)

Matching and uniqueness are the plugin's; docs/reference/python-api.md puts each method beside its
PHP function. What is given wrong is an :class:`InputError`, raised before anything is written.
Methods may be called from any thread; they take turns on one database connection.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar

from wpbridge.action import ActionId, NewAction, Status
from wpbridge.clock import Clock, SystemClock, from_timestamp
from wpbridge.codec import schedule
from wpbridge.errors import (
    ActionNotFound,
    CodecError,
    InputError,
    StoreError,
)
from wpbridge.queue import wake
from wpbridge.queue.enqueue import (
    GROUP_CHARACTERS,
    HOOK_CHARACTERS,
    NOTHING,
    Args,
    Enqueue,
    Interval,
    Moment,
    check_text,
    encoded,
    moment_of,
    new_action,
    zoned_cron,
)
from wpbridge.site.config import Settings, load, working_folder
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site
from wpbridge.store.opened import Parts
from wpbridge.store.queueing.adding import Added, Request, UniqueBy
from wpbridge.store.records import Change, FailedRun, LogEntry, Pause, Query, Record, Tally, Wait
from wpbridge.store.running.runner_store import SqlStore

T = TypeVar("T")

BULK: Final = 1000
"""Actions a transaction in :meth:`Queue.enqueue_many`."""


class Queue:
    """Actions of one site. Keep it open: a connection is made at first use and kept."""

    def __init__(
        self,
        store: SqlStore,
        *,
        unique_by: UniqueBy = "auto",
        clock: Clock | None = None,
        close_store: bool = True,
    ) -> None:
        """Over a store that is open already; :meth:`open` makes one."""
        self._store = store
        self._unique_by: UniqueBy = unique_by
        self._clock = clock or SystemClock()
        self._closes = close_store
        self._lock = threading.RLock()
        self._wake_name = ""

    @classmethod
    def open(  # noqa: D417 - the rest are settings
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        dsn: str | None = None,
        env: Mapping[str, str] = os.environ,
        cwd: Path | None = None,
        **settings: object,
    ) -> Self:
        """The queue of a WordPress folder or a database; docs/reference/settings.md.

        Args:
            path: WordPress's folder; its ``wp-config.php`` is read, no PHP is run.
            dsn: ``mysql://…`` or ``sqlite:///queue.db`` instead.
            env: also asked for ``WPBRIDGE_…``.
            cwd: where relative paths begin.

        Raises:
            ConfigError, SiteError: nothing tells where the tables are.
        """
        flags = {"path": None if path is None else os.fspath(path), "dsn": dsn, **settings}
        return cls.of(load(flags, env, cwd or working_folder()), env)

    @classmethod
    def of(cls, settings: Settings, env: Mapping[str, str] = os.environ) -> Self:
        """The queue that settings mean."""
        return cls(open_site(resolve(settings, env)), unique_by=settings.unique_by)

    def close(self) -> None:
        """Give the connection back."""
        if self._closes:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Enqueueing

    def enqueue(self, new: Enqueue, *, connection: Any = None) -> ActionId | None:
        """Add one action.

        Returns its id; that of the earlier action when ``key`` was used before; None when it is
        unique and its like is pending or running (the plugin returns 0).

        Args:
            new: what and when. Without a date, interval or cron it is async: due at once. With
                ``after`` it waits until those actions have ended.
            connection: the caller's own open transaction: true when they commit, not before.

        Raises:
            InputError: something is wrong with it; nothing is written.
            StoreError: the database refused, or does not answer.
        """
        return self._add([new], connection)[0].id

    def enqueue_async(
        self, hook: str, args: Args = NOTHING, *, connection: Any = None, **more: Any
    ) -> ActionId | None:
        """As soon as possible, once; as ``as_enqueue_async_action``."""
        return self.enqueue(Enqueue(hook=hook, args=args, **more), connection=connection)

    def schedule_single(
        self, at: Moment, hook: str, args: Args = NOTHING, *, connection: Any = None, **more: Any
    ) -> ActionId | None:
        """Once, at a date; as ``as_schedule_single_action``."""
        new = Enqueue(hook=hook, args=args, at=self._now() if at is None else at, **more)
        return self.enqueue(new, connection=connection)

    def schedule_recurring(
        self,
        at: Moment,
        interval: int | timedelta | str,
        hook: str,
        args: Args = NOTHING,
        *,
        connection: Any = None,
        **more: Any,
    ) -> ActionId | None:
        """Again and again, some seconds after each run; as ``as_schedule_recurring_action``.

        An interval of 0 makes a single action, as the plugin does.
        """
        new = Enqueue(hook=hook, args=args, at=at, interval=interval, **more)
        return self.enqueue(new, connection=connection)

    def schedule_cron(
        self,
        at: Moment,
        expression: str,
        hook: str,
        args: Args = NOTHING,
        *,
        connection: Any = None,
        **more: Any,
    ) -> ActionId | None:
        """By a cron expression, from a date on; as ``as_schedule_cron_action``.

        ``tz`` reads the expression in a named time zone instead of UTC.
        """
        new = Enqueue(hook=hook, args=args, at=at, cron=expression, **more)
        return self.enqueue(new, connection=connection)

    def enqueue_many(
        self, new: Iterable[Enqueue], *, connection: Any = None
    ) -> list[ActionId | None]:
        """Add many, :data:`BULK` a transaction; each checked before its transaction begins.

        A crash leaves the first transactions whole and nothing of the rest. In the caller's
        transaction it is one.
        """
        found: list[ActionId | None] = []
        for part in _parts(new, BULK):
            found += [added.id for added in self._add(part, connection)]
        return found

    def check(self, new: Enqueue) -> NewAction:
        """The row that would be written; InputError where it cannot be. Changes nothing."""
        request = request_of(new, self._now())
        with self._turn() as parts:
            self._known(request.after)
            parts.adding.check(request)
        return request.action

    def refusal(self, new: Enqueue) -> ActionId | None:
        """The action for which this unique or keyed one would be refused just now, if any."""
        request = request_of(new, self._now())
        with self._turn() as parts:
            self._known(request.after)
            parts.own.look_again()
            made = parts.adding.key_made(request.key) if request.key else None
            if made is not None or not request.unique:
                return made
            return parts.adding.same_as(request.action, self._unique_by)

    def _add(self, new: Sequence[Enqueue], connection: Any) -> list[Added]:
        now = self._now()
        requests = [request_of(one, now) for one in new]
        after = [i for request in requests for i in request.after]
        with self._turn() as parts:
            if connection is None:
                self._known(after)
                added = parts.adding.add(requests, by=self._unique_by, now=now)
                if any(one.action.scheduled_at <= now for one in requests):
                    self.wake()
                return added
            with self._store.inside(connection) as inner:
                self._known(after, inner)
                return inner.adding.add(requests, by=self._unique_by, now=now)

    # Matching, as the plugin

    def next_scheduled(
        self, hook: str, args: Args | None = None, group: str = ""
    ) -> datetime | Literal[True] | None:
        """When it runs next; as ``as_next_scheduled_action``.

        True when it runs now or is async, None when there is none (the plugin says false). The
        date is the schedule's own, as there.
        """
        found = self._read(lambda parts: parts.reading.next_of(self.matching(hook, args, group)))
        if found is None:
            return None
        if found.status == Status.IN_PROGRESS:
            return True
        try:
            told = schedule.decode(found.schedule)
        except CodecError:
            return found.scheduled_at or True
        if isinstance(told, schedule.Async):
            return True
        if told.timestamp is not None:
            with contextlib.suppress(OverflowError, ValueError, OSError):
                return from_timestamp(told.timestamp)
        return found.scheduled_at or True

    def has_scheduled(self, hook: str, args: Args | None = None, group: str = "") -> bool:
        """Whether one is pending or running; as ``as_has_scheduled_action``."""
        query = self.matching(hook, args, group)
        live = replace(query, statuses=_LIVE, order="none", limit=1)
        return bool(self._read(lambda parts: parts.reading.find(live)))

    def unschedule(
        self, hook: str, args: Args | None = NOTHING, group: str = ""
    ) -> ActionId | None:
        """Cancel the next pending one; as ``as_unschedule_action``: None when there is none.

        By default, as there, only one with empty args; ``args=None`` means any.
        """
        query = replace(self.matching(hook, args, group), statuses=(Status.PENDING,), limit=1)
        with self._turn() as parts:
            parts.own.look_again()
            while found := parts.reading.find(query):
                if parts.edits.cancel([found[0].id], now=self._now()):
                    return found[0].id
        return None

    def unschedule_all(self, hook: str = "", args: Args | None = NOTHING, group: str = "") -> int:
        """Cancel all pending ones; as ``as_unschedule_all_actions``, and returns how many.

        As there, empty args mean any args when only a hook or only a group is given, and only
        empty args when both are.
        """
        if not hook and not group:
            raise InputError("unschedule_all: name a hook, a group, or both")
        if not args and not (hook and group):
            args = None
        query = self.matching(hook, args, group, may_be_any=True)
        return len(self.cancel(query).ids)

    def matching(
        self, hook: str, args: Args | None, group: str = "", *, may_be_any: bool = False
    ) -> Query:
        """Actions as the plugin's functions match them: no group means any."""
        if not hook and not may_be_any:
            raise InputError("hook: it is empty")
        return Query(
            hooks=(hook,) if hook else (),
            groups=(group,) if group else (),
            args=None if args is None else encoded(args),
            limit=0,
        )

    # Reading

    def get(self, action_id: int) -> Record:
        """One action; ActionNotFound when there is none."""
        found = self._read(lambda parts: parts.reading.get(action_id))
        if found is None:
            raise ActionNotFound(f"there is no action {action_id}")
        return found

    def find(self, query: Query | None = None, **criteria: Any) -> list[Record]:
        """The actions meant (:class:`Query`), 20 of them by default."""
        return self._read(lambda parts: parts.reading.find(_query(query, criteria)))

    def count(self, query: Query | None = None, **criteria: Any) -> int:
        """How many actions are meant."""
        return self._read(lambda parts: parts.reading.count(_query(query, criteria)))

    def logs(self, action_id: int) -> list[LogEntry]:
        """An action's log; ActionNotFound when there is neither action nor log."""
        found = self._read(lambda parts: parts.reading.logs([action_id]))
        if not found:
            self.get(action_id)
        return found

    def failures(
        self,
        query: Query | None = None,
        *,
        failed_since: Moment = None,
        open_only: bool = False,
        **criteria: Any,
    ) -> list[FailedRun]:
        """The newest failed actions among those meant, each with the message that says why.

        Args:
            query: what is meant.
            failed_since: only what failed then or later, whenever it was scheduled.
            open_only: only failures that still stand: the action was not requeued, and no later
                run of the same recurring chain has completed.
            criteria: fields of ``query``.
        """
        meant = _query(query, criteria)
        since = None if failed_since is None else self._moment(failed_since)
        with self._turn() as parts:
            return parts.failed.newest(meant, since=since, open_only=open_only)[0]

    def zones_of(self, ids: Sequence[int]) -> dict[ActionId, str]:
        """The time zones of those actions whose cron is not read in UTC."""
        with self._turn() as parts:
            parts.own.look_again()
            return parts.reading.zones_of(ids)

    def waits_of(self, ids: Sequence[int]) -> list[Wait]:
        """What actions wait for."""
        with self._turn() as parts:
            parts.own.look_again()
            return parts.reading.waits_of(ids)

    def stats(
        self,
        by: Literal["status", "hook", "group", "hour"] = "status",
        *,
        hours: int = 24,
        query: Query | None = None,
    ) -> list[Tally]:
        """Counts by hook, group, hour (UTC; of the last ``hours``) or status alone.

        ``query``: only of the actions that it means, whatever its limit.
        """
        now, only = self._now(), query or Query()
        match by:
            case "hook":
                return self._read(lambda parts: parts.reading.by_hook(now, only))
            case "group":
                return self._read(lambda parts: parts.reading.by_group(now, only))
            case "hour":
                since = now - timedelta(hours=hours)
                return self._read(lambda parts: parts.reading.by_hour(since, now, only))
            case "status":
                counts = self._read(lambda parts: parts.reading.statuses(only))
                return [Tally(name=name, statuses={name: n}) for name, n in counts.items()]
        raise InputError(f"by: status, hook, group or hour, not {by!r}")

    # Changing

    def cancel(self, which: "Which", *, reason: str = "", dry_run: bool = False) -> Change:
        """Cancel pending actions; others are left and told of."""
        return self._change(
            which,
            _unless_pending,
            lambda parts, page: parts.edits.cancel(
                [r.id for r in page], now=self._now(), reason=reason
            ),
            pending_only=True,
            dry_run=dry_run,
        )

    def delete(self, which: "Which", *, dry_run: bool = False) -> Change:
        """Delete actions and their logs; not what a runner holds."""
        return self._change(
            which,
            _unless_idle,
            lambda parts, page: parts.edits.delete([r.id for r in page]),
            dry_run=dry_run,
        )

    def requeue(
        self, which: "Which", *, at: Moment = None, again: bool = False, dry_run: bool = False
    ) -> Change:
        """A new action for each failed, canceled or complete one; the old row stays as history.

        A recurring action is made recurring again when its chain has ended (nothing of its hook,
        args and group is pending or running), else it runs once more by itself. What was requeued
        before is skipped, unless ``again``. Who waited for the old action waits for the new one.

        Args:
            which: ids, or a query; without statuses in it, failed ones.
            at: when; None for now.
            again: also those that were requeued before.
            dry_run: only say which.
        """
        if isinstance(which, Query) and not which.statuses:
            which = replace(which, statuses=(Status.FAILED,))
        made: dict[ActionId, ActionId] = {}
        before: dict[ActionId, ActionId] = {}
        revived: set[tuple[str, ...]] = set()
        due = self._moment(at)

        def refuse(record: Record) -> str | None:
            if record.is_live:
                return f"it is {record.status}"
            if record.id in before and not again:
                return f"it was requeued before, as action {before[record.id]}"
            return "its args are not UTF-8" if not _is_utf8(record.args) else None

        def look(parts: Parts, page: Sequence[Record]) -> None:
            before.update(parts.edits.requeued([r.id for r in page]))

        def requeue(parts: Parts, page: Sequence[Record]) -> list[ActionId]:
            copies: dict[ActionId, NewAction] = {}
            # The newest first: where many of one chain failed, the last of them revives it.
            for record in sorted(page, key=lambda r: r.id, reverse=True):
                is_ended = self._is_ended_chain(parts, record, revived)
                copies[record.id] = self._copy(
                    record, due, is_async=at is None, is_recurring=is_ended
                )
            done = parts.edits.requeue(copies, now=self._now())
            made.update(done)
            return list(done)

        change = self._change(which, refuse, requeue, dry_run=dry_run, look=look)
        self._wake_after(change, due, dry_run=dry_run)
        return replace(change, made=made)

    def reschedule(
        self,
        which: "Which",
        *,
        at: Moment = None,
        interval: Interval = None,
        cron: str | None = None,
        tz: str | None = None,
        dry_run: bool = False,
    ) -> Change:
        """Move free pending actions to another date, or give them another recurrence.

        With ``at`` alone a recurring action keeps its recurrence. An async one becomes a single.
        One that waits for others goes on waiting, and runs at its new date or when they end.
        """
        if at is None and interval is None and cron is None:
            raise InputError("reschedule: give a date, an interval or a cron expression")
        now = self._now()
        # Looked at before anything is written: a bad expression changes nothing.
        wanted = new_action(Enqueue(hook="any", at=at, interval=interval, cron=cron, tz=tz), now)
        keeps = interval is None and cron is None

        def refuse(record: Record) -> str | None:
            if record.status == Status.PENDING and record.claim_id:
                return "a runner has claimed it"
            return _unless_pending(record)

        def move(parts: Parts, page: Sequence[Record]) -> list[ActionId]:
            moves = {r.id: self._moved(r, wanted, keeps=keeps) for r in page}
            waiting = {wait.action_id for wait in parts.reading.waits_of(list(moves))}
            for record in page:
                if record.id in waiting and not record.is_dated:
                    moves[record.id] = replace(moves[record.id], is_waiting=True)
            return parts.edits.move(moves, now=now)

        change = self._change(which, refuse, move, pending_only=True, dry_run=dry_run)
        self._wake_after(change, wanted.scheduled_at, dry_run=dry_run)
        return change

    # Pausing

    def pause(
        self,
        *,
        hooks: Sequence[str] = (),
        groups: Sequence[str] = (),
        everything: bool = False,
        until: Moment = None,
        reason: str = "",
        dry_run: bool = False,
    ) -> list[Pause]:
        """Keep every runner from claiming, from its next claim on; what runs goes on.

        ``until`` None: until resumed. A scope that is paused already is given the new end.
        """
        found = _scopes(hooks, groups, everything=everything)
        end = None if until is None else self._moment(until)
        if end is not None and end <= self._now():
            raise InputError("pause: its end is past")
        pauses = [replace(pause, until=end, reason=reason) for pause in found]
        if not dry_run:
            with self._turn() as parts:
                parts.pauses.add(pauses, now=self._now())
        return pauses

    def resume(
        self,
        *,
        hooks: Sequence[str] = (),
        groups: Sequence[str] = (),
        everything: bool = False,
        dry_run: bool = False,
    ) -> list[Pause]:
        """Lift pauses; returns those that there were. ``everything`` lifts all of any kind."""
        scopes = _scopes(hooks, groups, everything=everything)
        wanted = {(scope.kind, scope.name) for scope in scopes}
        with self._turn() as parts:
            parts.own.look_again()
            stored = parts.pauses.stored()
            found = [p for p in stored if everything or (p.kind, p.name) in wanted]
            if found and not dry_run:
                parts.pauses.remove(found)
                self.wake()
        return found

    def pauses(self) -> list[Pause]:
        """Those in force."""
        with self._turn() as parts:
            parts.own.look_again()
            return parts.pauses.in_force(self._now())

    # How

    def wake(self) -> int:
        """Let idle daemons of this host and user look at once; returns how many were told.

        Done after each commit of the queue's own that leaves something due. After a transaction of
        the caller's it is theirs to do; without it the action starts at the daemon's next look.
        Never raises, and waits for nobody.
        """
        with contextlib.suppress(StoreError):
            self._wake_name = self._wake_name or wake_name(self._store)
            return wake.poke(self._wake_name, wake.folders())
        return 0

    def _wake_after(self, change: Change, due: datetime, *, dry_run: bool) -> None:
        if change.ids and not dry_run and due <= self._now():
            self.wake()

    @property
    def store(self) -> SqlStore:
        """The store below; one thread at a time."""
        return self._store

    def _now(self) -> datetime:
        return self._clock.now()

    def _read(self, work: Callable[[Parts], T]) -> T:
        with self._turn() as parts:
            return work(parts)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Parts]:
        """This thread's turn on the connection."""
        with self._lock:
            yield self._store.parts

    def _moment(self, told: Moment) -> datetime:
        return moment_of(told, self._now())

    def _known(self, ids: Sequence[int], inner: Parts | None = None) -> dict[ActionId, Record]:
        """Rows of ids; ActionNotFound names those that are not there.

        ``inner``: in the caller's transaction, which has its own, and may not see the newest.
        """
        found = {} if inner is None else inner.reading.existing(ids)
        if rest := [i for i in ids if i not in found]:
            found |= self._read(lambda parts: parts.reading.existing(rest))
        missing = [str(i) for i in dict.fromkeys(ids) if i not in found]
        if missing:
            some = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")  # noqa: PLR2004
            raise ActionNotFound(f"there is no action {some}")
        return found

    def _change(
        self,
        which: "Which",
        refuse: Callable[[Record], str | None],
        work: Callable[[Parts, Sequence[Record]], list[ActionId]],
        *,
        pending_only: bool = False,
        dry_run: bool = False,
        look: Callable[[Parts, Sequence[Record]], None] | None = None,
    ) -> Change:
        """Page by page: what is refused is told of, the rest is done, or listed in a dry run."""
        done: list[ActionId] = []
        skipped: dict[ActionId, str] = {}
        for page in self._pages(which, pending_only=pending_only):
            with self._turn() as parts:
                parts.own.look_again()
                if look is not None:
                    look(parts, page)
                reasons = {r.id: reason for r in page if (reason := refuse(r)) is not None}
                wanted = [r for r in page if r.id not in reasons]
                changed = [r.id for r in wanted] if dry_run else work(parts, wanted)
            done += changed
            late = {r.id for r in wanted} - set(changed)
            skipped |= reasons | dict.fromkeys(sorted(late), "it changed meanwhile")
        return Change(ids=tuple(done), skipped=skipped)

    def _pages(self, which: "Which", *, pending_only: bool) -> Iterator[list[Record]]:
        if isinstance(which, Query):
            query = which
            if not query.is_narrowed:
                raise InputError("an empty query means every action: name what to change")
            if pending_only and not query.statuses:
                query = replace(query, statuses=(Status.PENDING,))
            # Locked a page at a time: others enqueue meanwhile.
            pages = self._read(lambda parts: parts.reading.pages(query))
            while page := self._read(lambda _: next(pages, None)):
                yield page
            return
        ids = list(dict.fromkeys(which))
        found = self._known(ids)
        for start in range(0, len(ids), BULK):
            yield [found[ActionId(i)] for i in ids[start : start + BULK]]

    @staticmethod
    def _is_ended_chain(parts: Parts, record: Record, revived: set[tuple[str, ...]]) -> bool:
        """Whether a recurring action has nothing live of its kind; added to those revived now."""
        told = _schedule_of(record)
        if not isinstance(told, schedule.Interval | schedule.Cron) or not told.is_recurring:
            return False
        args = record.args.decode("utf-8", "replace")
        chain = (record.hook.casefold(), args.casefold(), record.group.casefold())
        live = Query(
            hooks=(record.hook,),
            groups=(record.group,),
            args=args,
            statuses=_LIVE,
            limit=1,
            order="none",
        )
        if chain in revived or parts.reading.find(live):
            return False
        revived.add(chain)
        return True

    def _copy(
        self, record: Record, due: datetime, *, is_async: bool, is_recurring: bool
    ) -> NewAction:
        """The same work once more."""
        new: schedule.Schedule = schedule.Async() if is_async else schedule.single(due)
        zone: str | None = None
        told = _schedule_of(record)
        if is_recurring and isinstance(told, schedule.Interval | schedule.Cron):
            new = replace(told, timestamp=int(due.timestamp()))
            zone = self.zones_of([record.id]).get(record.id)
        return NewAction(
            hook=record.hook,
            args=record.args.decode("utf-8", "replace"),
            schedule=schedule.encode(new),
            scheduled_at=due,
            is_async=isinstance(new, schedule.Async),
            group=record.group,
            group_id=record.group_id,
            priority=record.priority,
            zoned=zoned_cron(new, zone),
        )

    def _moved(self, record: Record, wanted: NewAction, *, keeps: bool) -> NewAction:
        """The row's new date and schedule; ``keeps``: its recurrence, if it has one."""
        told = _schedule_of(record)
        made = wanted
        if keeps and isinstance(told, schedule.Interval | schedule.Cron) and told.is_recurring:
            kept = replace(told, timestamp=int(wanted.scheduled_at.timestamp()))
            zone = self.zones_of([record.id]).get(record.id)
            made = replace(made, schedule=schedule.encode(kept), zoned=zoned_cron(kept, zone))
        args = record.args.decode("utf-8", "replace")
        return replace(made, hook=record.hook, args=args, group_id=record.group_id)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


Which: TypeAlias = Query | Iterable[int]
"""Actions by a query, or by their ids, all of which must exist."""
_LIVE: Final = (Status.PENDING, Status.IN_PROGRESS)


def wake_name(store: SqlStore) -> str:
    """What this queue's daemons listen under; connects to ask which database it is."""
    told = store.session.run(lambda c: (c.engine.dialect.name, c.engine.url.database or ""))
    database = os.path.realpath(told[1]) if told[0] == "sqlite" else told[1]
    return wake.name_of(database, store.names.prefix)


def _query(query: Query | None, criteria: Mapping[str, Any]) -> Query:
    try:
        return replace(query or Query(), **criteria)
    except TypeError as error:
        raise InputError(f"no such criterion: {error}") from error


def request_of(new: Enqueue, now: datetime) -> Request:
    """What the store is asked to add."""
    return Request(
        action=new_action(new, now),
        unique=new.unique,
        key=new.key,
        after=tuple(ActionId(i) for i in new.after),
        on_failed=new.after_failed,
    )


def _schedule_of(record: Record) -> schedule.Schedule:
    """What the row says; async where it cannot be read."""
    try:
        return schedule.decode(record.schedule)
    except CodecError:
        return schedule.Async()


def _parts(items: Iterable[Enqueue], size: int) -> Iterator[list[Enqueue]]:
    part: list[Enqueue] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _scopes(hooks: Sequence[str], groups: Sequence[str], *, everything: bool) -> list[Pause]:
    if isinstance(hooks, str) or isinstance(groups, str):
        raise InputError("hooks and groups: lists of names, not one name")
    for kind, names, most in (
        ("hook", hooks, HOOK_CHARACTERS),
        ("group", groups, GROUP_CHARACTERS),
    ):
        for name in names:
            check_text(kind, name)
            if len(name) > most or (kind == "hook" and not name):
                raise InputError(f"{kind}: {'1 to ' if kind == 'hook' else ''}{most} characters")
    found = [
        *([Pause(kind="all", name="")] if everything else []),
        *(Pause(kind="hook", name=hook) for hook in hooks),
        *(Pause(kind="group", name=group) for group in groups),
    ]
    if not found:
        raise InputError("name a hook, a group, or everything")
    return found


def _unless_pending(record: Record) -> str | None:
    return None if record.status == Status.PENDING else f"it is {record.status}"


def _unless_idle(record: Record) -> str | None:
    if record.status == Status.IN_PROGRESS:
        return "it is in-progress"
    if record.status == Status.PENDING and record.claim_id:
        return "a runner has claimed it"
    return None


@contextlib.contextmanager
def opened(settings: Settings, env: Mapping[str, str] = os.environ) -> Iterator[Queue]:
    """The queue of settings, closed afterwards."""
    queue = Queue.of(settings, env)
    try:
        yield queue
    finally:
        queue.close()
