"""The store of a runner that does not look what is due: others name its actions to it.

A Celery worker is such a runner. Messages name the actions; :class:`Inbox` takes them from any
thread, and the runner's loop claims them, together with the endings of what ran before.

Some messages hold an action as a whole. It has no row while it runs, and an id below 0. Its ending
becomes a row: the insertion and the ending are one transaction, under the action's idempotency key.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from wpbridge.action import FREE, Action, ActionId, Claim, ClaimId, NewAction, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec.keys import THROUGH
from wpbridge.errors import InputError
from wpbridge.outcome import LogLine, Progress
from wpbridge.store.base import ClaimAndSettled, ClaimFilter, Ending, Portion, StartPlan
from wpbridge.store.database.connection import Connection
from wpbridge.store.opened import OpenStore
from wpbridge.store.queueing.adding import Added, Request
from wpbridge.store.queueing.pauses import is_paused
from wpbridge.store.records import Pause
from wpbridge.store.rows.writes import LostRaceError
from wpbridge.store.running.endings import CarriedEndings
from wpbridge.store.running.fences import Handed
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.log import tell

PAUSES_SECONDS: Final = 1.0
"""A pause counts after so long at the latest for what has no row."""
Fate: TypeAlias = Literal["written", "row", "not run"]
"""What became of an action without a row: its ending is written, or left out by the settings; it
became a pending row; or it was given back."""


class _Waiting(NamedTuple):
    handed: Handed
    refused: Callable[[], None]
    """Called when the action is not taken over."""


class Inbox:
    """What was named and is not claimed yet. Safe for several threads."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._whole: deque[Action] = deque()
        self._lock = threading.Lock()

    def put(self, handed: Handed, *, refused: Callable[[], None]) -> None:
        """Add an action; ``refused`` is called by the runner's loop if it is not taken over."""
        with self._lock:
            self._waiting.append(_Waiting(handed, refused))

    def take(self, most: int) -> list[_Waiting]:
        """Take the oldest ones out; of an action that is named twice, the second waits."""
        with self._lock:
            taken: dict[int, _Waiting] = {}
            left: deque[_Waiting] = deque()
            for one in self._waiting:
                is_next = len(taken) < most and one.handed.action_id not in taken
                if is_next:
                    taken[one.handed.action_id] = one
                else:
                    left.append(one)
            self._waiting = left
            return list(taken.values())

    def give_back(self, taken: Sequence[_Waiting]) -> None:
        """Put back what could not be claimed now."""
        with self._lock:
            self._waiting.extendleft(reversed(taken))

    def put_whole(self, action: Action) -> None:
        """Add an action that has no row. Its id is below 0, and its claim has the same id."""
        with self._lock:
            self._whole.append(action)

    def take_whole(self) -> list[Action]:
        """Take out all actions that have no row."""
        with self._lock:
            found = [*self._whole]
            self._whole.clear()
            return found

    def withdraw(self, handed: Handed) -> bool:
        """Take out one action that is not claimed yet; return whether it was here."""
        with self._lock:
            left = [one for one in self._waiting if one.handed != handed]
            was_here = len(left) < len(self._waiting)
            self._waiting = deque(left)
            return was_here

    def withdraw_whole(self, action: Action) -> bool:
        """Take out one action that has no row and has not started; return whether it was here."""
        with self._lock:
            left = [one for one in self._whole if one.id != action.id]
            was_here = len(left) < len(self._whole)
            self._whole = deque(left)
            return was_here

    def has(self, handed: Handed) -> bool:
        """Return whether an action waits here."""
        with self._lock:
            return any(one.handed == handed for one in self._waiting)

    def __bool__(self) -> bool:
        return bool(self._waiting)


class HandedStore(RunnerStore):
    """A runner's store whose claims are made of an inbox."""

    def __init__(
        self,
        store: OpenStore,
        inbox: Inbox,
        *,
        keeps_completed: bool = True,
        accepts: Callable[[str, str], bool] = lambda _hook, _group: True,
        told: Callable[[ActionId, Fate], None] = lambda _id, _fate: None,
    ) -> None:
        """Make the store of one runner.

        Args:
            store: the site's.
            inbox: what is named to the runner.
            keeps_completed: whether actions that had no row get one when they complete.
            accepts: whether this runner can run a hook, in a group, at all.
            told: called by the runner's loop with what became of an action without a row.
        """
        super().__init__(store, has_broker=True)
        self._inbox = inbox
        self._keeps_completed = keeps_completed
        self._accepts = accepts
        self._told = told
        self._pauses: tuple[Sequence[Pause], float] = ((), 0.0)

    def claim_and_settle(
        self,
        endings: Sequence[Ending],
        *,
        finished: Collection[ClaimId],
        now: datetime,
        limit: int,
        only: ClaimFilter,
        start_plan: StartPlan | None,
        portion: Portion,
        meanwhile: Callable[[], bool] | None = None,
    ) -> ClaimAndSettled:
        """Claim what the inbox names; see :class:`wpbridge.store.protocol.Store` for the rest.

        Limits were counted by the relay, whose claim the actions were in.
        """
        del only, portion
        taken = self._inbox.take(limit)
        if not taken:
            return ClaimAndSettled(claim=None, settled=None)
        try:
            return self._claim(taken, endings, finished, now, start_plan, meanwhile)
        except BaseException:
            self._inbox.give_back(taken)
            raise

    def _claim(  # noqa: PLR0917 - the parts of one claim
        self,
        taken: Sequence[_Waiting],
        endings: Sequence[Ending],
        finished: Collection[ClaimId],
        now: datetime,
        start_plan: StartPlan | None,
        meanwhile: Callable[[], bool] | None,
    ) -> ClaimAndSettled:
        rows = [ending for ending in endings if ending.action.has_row]
        settled = self._write_new([e for e in endings if not e.action.has_row], now)
        settling = self._endings.settling(rows, now=now, finished=_of_rows(finished))
        carried = None if settling.is_empty() else CarriedEndings(self._endings, settling)
        handed = [one.handed for one in taken]
        with self.session.meanwhile(meanwhile):
            try:
                claim = self._claiming.claim_handed(
                    handed, now=now, start_plan=start_plan, carried=carried, runs=self._accepts
                )
            except LostRaceError:
                # An ending was not ours any more. It is found out which, by itself.
                claim = self._claiming.claim_handed(
                    handed, now=now, start_plan=start_plan, carried=None, runs=self._accepts
                )
        ids = frozenset(claim.ids) if claim else frozenset()
        for one in taken:
            if one.handed.action_id not in ids:
                one.refused()
        if carried is None:
            return ClaimAndSettled(claim=claim, settled=settled if endings else None)
        of_rows = carried.settled
        return ClaimAndSettled(claim=claim, settled=None if of_rows is None else settled | of_rows)

    # Actions without a row

    def take_whole(self, *, now: datetime, runs: Callable[[Action], bool]) -> list[Claim]:
        """Return the actions without a row that start now, each as a claim of its own.

        What is paused becomes a pending row, and so does what ``runs`` says no to: its hook has no
        handler here, or must not run twice.
        """
        found = self._inbox.take_whole()
        if not found:
            return []
        try:
            pauses = self._paused(now)
            rows = [one for one in found if is_paused(pauses, one.hook, one.group) or not runs(one)]
            made = make_rows(self.parts, rows, now)
        except BaseException:
            for one in found:
                self._told(one.id, "not run")
            raise
        for one in rows:
            self._told(one.id, "row" if one.id in made else "not run")
        kept = {one.id for one in rows}
        return [Claim(id=one.claim_id, actions=(one,)) for one in found if one.id not in kept]

    def _paused(self, now: datetime) -> Sequence[Pause]:
        pauses, until = self._pauses
        if time.monotonic() >= until:
            pauses = self.parts.pauses.in_force(now)
            self._pauses = pauses, time.monotonic() + PAUSES_SECONDS
        return pauses

    def _write_new(self, endings: Sequence[Ending], now: datetime) -> frozenset[ActionId]:
        """Make rows of actions that had none, with their endings. What is there already stays."""
        kept = [e for e in endings if self._keeps_completed or e.status is not Status.COMPLETE]

        def end(connection: Connection, added: Sequence[Added]) -> None:
            new = [
                _with_row(ending, one.id)
                for ending, one in zip(kept, added, strict=True)
                if one.is_new and one.id is not None
            ]
            self.parts.writes.end(connection, new, now)
            results = [(e.action.id, e.result) for e in new if e.result is not None]
            if results and self.parts.results.is_kept():
                self.parts.results.write(connection, results, now)

        if kept:
            requests = [_request(ending.action) for ending in kept]
            try:
                self.parts.adding.add(requests, by="group", now=now, beside=end)
            except InputError as error:
                if len(kept) > 1:
                    raise
                # The tables cannot hold even its hook: whoever enqueued it has not checked that.
                tell("celery.refused", reason=str(error))
        for ending in endings:
            self._told(ending.action.id, "written")
        return frozenset(ending.action.id for ending in endings)

    def settle(
        self, endings: Sequence[Ending], *, now: datetime, finished: Collection[ClaimId] = ()
    ) -> frozenset[ActionId]:
        """See :class:`wpbridge.store.protocol.Store`."""
        done = self._write_new([e for e in endings if not e.action.has_row], now)
        rows = [ending for ending in endings if ending.action.has_row]
        return done | super().settle(rows, now=now, finished=_of_rows(finished))

    def release(self, actions: Sequence[Action], *, finished: Collection[ClaimId] = ()) -> int:
        """See :class:`wpbridge.store.protocol.Store`. What has no row goes back to the broker."""
        without = [action for action in actions if not action.has_row]
        for action in without:
            self._told(action.id, "not run")
        rows = [action for action in actions if action.has_row]
        return len(without) + super().release(rows, finished=_of_rows(finished))

    def still_claimed(self, actions: Sequence[Action]) -> frozenset[ActionId]:
        """See :class:`wpbridge.store.protocol.Store`."""
        without = frozenset(action.id for action in actions if not action.has_row)
        return without | super().still_claimed([one for one in actions if one.has_row])

    def heartbeat(self, in_hand: Sequence[ActionId], *, now: datetime) -> bool:
        """See :class:`wpbridge.store.protocol.Store`."""
        return super().heartbeat([one for one in in_hand if one > 0], now=now)

    def log(self, lines: Iterable[tuple[ActionId, LogLine]]) -> None:
        """See :class:`wpbridge.store.protocol.Store`."""
        super().log([line for line in lines if line[0] > 0])

    def advance(self, steps: Mapping[ActionId, Progress]) -> None:
        """See :class:`wpbridge.store.protocol.Store`."""
        super().advance({one: step for one, step in steps.items() if one > 0})


def _of_rows(claims: Collection[ClaimId]) -> list[ClaimId]:
    return [claim for claim in claims if claim > 0]


def make_rows(
    store: OpenStore, actions: Sequence[Action], now: datetime
) -> Mapping[ActionId, Added]:
    """Make pending rows of actions that only messages held, under their idempotency keys.

    Returns what :meth:`Adding.add` returns, by the action's id below 0. Actions that the tables
    cannot hold are left out: whoever enqueued one has not checked that, and it must not keep others
    from being written.
    """
    if not actions:
        return {}
    try:
        added = store.adding.add([_request(one) for one in actions], by="group", now=now)
    except InputError as error:
        if len(actions) > 1:
            parts = [make_rows(store, [one], now) for one in actions]
            return {key: value for part in parts for key, value in part.items()}
        tell("celery.refused", reason=str(error))
        return {}
    return {action.id: one for action, one in zip(actions, added, strict=True)}


def _request(action: Action) -> Request:
    return Request(
        action=NewAction(
            hook=action.hook,
            args=action.args.decode(),
            schedule=action.schedule,
            scheduled_at=action.scheduled_at or from_timestamp(0),
            is_async=True,
            group=action.group,
            priority=action.priority,
            traceparent=action.traceparent,
        ),
        key=f"{THROUGH}{action.idempotency_key}",
    )


def _with_row(ending: Ending, action_id: ActionId) -> Ending:
    """Return the ending of the row that has just been inserted: free, and not started."""
    action = replace(ending.action, id=action_id, claim_id=FREE)
    return ending._replace(action=action)
