"""The store of a runner that does not look what is due: others name its actions to it.

A Celery worker is such a runner. Messages name the actions; :class:`Inbox` takes them from any
thread, and the runner's loop claims them, together with the endings of what ran before.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from wpbridge.action import ClaimId
from wpbridge.store.base import ClaimAndSettled, ClaimFilter, Ending, Portion, StartPlan
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.writes import LostRaceError
from wpbridge.store.running.claiming import CarriedEndings
from wpbridge.store.running.fences import Handed
from wpbridge.store.running.runner_store import RunnerStore


class _Waiting(NamedTuple):
    handed: Handed
    refused: Callable[[], None]
    """Called when the action is not taken over."""


class Inbox:
    """What was named and is not claimed yet. Safe for several threads."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
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

    def has(self, handed: Handed) -> bool:
        """Return whether an action waits here."""
        with self._lock:
            return any(one.handed == handed for one in self._waiting)

    def __bool__(self) -> bool:
        return bool(self._waiting)


class HandedStore(RunnerStore):
    """A runner's store whose claims are made of an inbox."""

    def __init__(self, store: OpenStore, inbox: Inbox) -> None:
        super().__init__(store)
        self._inbox = inbox

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
        """Claim what the inbox names; see :class:`wpbridge.store.base.Store` for the rest.

        Limits were counted by the relay, whose claim the actions were in.
        """
        del only, portion
        taken = self._inbox.take(limit)
        if not taken:
            return ClaimAndSettled(claim=None, settled=None)
        settling = self._endings.settling(endings, now=now, finished=finished)
        carried = None if settling.is_empty() else CarriedEndings(self._endings, settling)
        handed = [one.handed for one in taken]
        try:
            with self.session.meanwhile(meanwhile):
                try:
                    claim = self._claiming.claim_handed(
                        handed, now=now, start_plan=start_plan, carried=carried
                    )
                except LostRaceError:
                    # An ending was not ours any more. It is found out which, by itself.
                    carried = None
                    claim = self._claiming.claim_handed(
                        handed, now=now, start_plan=start_plan, carried=None
                    )
        except BaseException:
            self._inbox.give_back(taken)
            raise
        ids = frozenset(claim.ids) if claim else frozenset()
        for one in taken:
            if one.handed.action_id not in ids:
                one.refused()
        return ClaimAndSettled(claim=claim, settled=None if carried is None else carried.settled)
