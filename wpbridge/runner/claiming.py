"""The claims of one run: how many actions, of which groups, and which of them start at once."""

import functools
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from wpbridge.events import (
    ActionCanceled,
    ActionCompleted,
    ActionFailed,
    ActionLost,
    ActionRetried,
    ActionSnoozed,
    ActionStarted,
    BatchSettled,
    ClaimMade,
)
from wpbridge.executors.base import StartMark
from wpbridge.executors.openings import NO_HOOKS
from wpbridge.runner.bookkeeper import Batch, Bookkeeper
from wpbridge.runner.catch_up import CatchUp
from wpbridge.runner.claim_plan import claim_filter, start_plan
from wpbridge.runner.claim_size import SOON, ClaimSize
from wpbridge.runner.shared import Run
from wpbridge.runner.shares import Shares
from wpbridge.runner.writing_endings import OF_THE_STORE
from wpbridge.site.rules import FIRST_CLAIM
from wpbridge.store.base import ClaimAndSettled, Claimed, ClaimFilter
from wpbridge.telling.counting import EMPTY, What

_TOLD_MEANWHILE: Final = (
    ActionStarted,
    ActionCompleted,
    ActionFailed,
    ActionRetried,
    ActionSnoozed,
    ActionCanceled,
    ActionLost,
    BatchSettled,
)
"""The events that are told while actions are started and their endings taken in."""
SWITCH_SECONDS: Final = 0.0001
"""How long a handler's thread computes before the loop gets its turn. Python's own 5 ms would let
the server stand idle after each statement."""


class Claiming:
    """Asks the store for claims."""

    def __init__(  # noqa: PLR0917 - the parts of a run
        self,
        run: Run,
        only: ClaimFilter,
        shares: Shares,
        claim_size: ClaimSize,
        catch_up: CatchUp,
        bookkeeper: Bookkeeper,
    ) -> None:
        self._run = run
        self._bookkeeper = bookkeeper
        self._written: list[Batch] = []
        """Endings that are written with a claim and not told of yet."""
        self._only = only
        self._shares = shares
        self._has_shares = not shares.is_empty()
        self._is_held = bool(only.limits) or self._has_shares
        self._claim_size = claim_size
        self._catch_up = catch_up

    def is_done(self) -> bool:
        """Return whether the run has claimed as much as it was told to."""
        limits, totals = self._run.limits, self._run.totals
        by_claims = bool(limits.batches) and totals.batches >= limits.batches
        return by_claims or (0 < limits.max_actions <= totals.claimed - totals.released)

    def claim(self) -> Claimed | None:
        """Claim what is due; None when nothing is. Endings that wait are written with the claim."""
        size = self._size()
        if self._must_flush():
            self._bookkeeper.flush()
            self._catch_up.look_when_due()
        batch = self._bookkeeper.take()
        claim = self._claim_by_turns(size, batch)
        self.tell_written()
        self._bookkeeper.write(batch)
        # Nothing is due: but what has just ended may have been waited for.
        if claim is None and self._catch_up.has_ended and self._catch_up.look():
            claim = self._claim_by_turns(size, batch)
        return self._counted(claim)

    def has_room(self) -> bool:
        """Return whether more would start soon, as long as actions go on as they do."""
        is_short = self._claim_size.is_short(len(self._run.in_hand.calls))
        return self._run.executor.has_room(ahead=not self._is_held and is_short)

    def wants_next(self, claim: Claimed) -> bool:
        """Return whether the next claim is to be made while this one is started.

        It is when the present claim is full, and its actions are so quick that they would have to
        wait for the next. It is not while some of them have to be marked first. It is not where
        somebody hears what would be told meanwhile: a subscriber or a log may take long, and the
        rows would be locked until it returns.
        """
        in_hand, waiting = self._run.in_hand, len(claim.ids) + len(self._run.in_hand.calls)
        return (
            self._run.store.is_remote
            and len(claim.ids) >= FIRST_CLAIM
            and self._claim_size.is_short(waiting)
            and not (claim.suspects or in_hand.to_mark)
            and len(claim.started) in (0, len(claim.ids))
            and not (self._run.is_stopping or self._run.is_quiet)
            and not (self._is_held or self._bookkeeper.is_urgent())
            and not any(map(self._run.bus.is_heard, _TOLD_MEANWHILE))
            and not self.is_done()
            and self._within() > timedelta(0)
            and (not claim.started or self._size_beside(claim) >= FIRST_CLAIM)
        )

    def claim_next(self, claim: Claimed, meanwhile: Callable[[], bool]) -> Claimed | None:
        """Make the next claim, and do something else while the database works on it.

        Args:
            claim: the present one, which is being started.
            meanwhile: does a little, and returns whether there was something to do. It must not use
                the store. Perhaps it is not called at all.
        """
        sys.setswitchinterval(SWITCH_SECONDS)
        self._catch_up.look_when_due()
        batch, size = self._bookkeeper.take(), self._size_beside(claim)
        call = self._call_of(self._only, size, batch, meanwhile, taken=len(claim.started))
        following = self._ended(call, self._only, size, batch, self._run.clock.monotonic())
        if following is None:
            self.tell_written()
        self._bookkeeper.write(batch)
        return self._counted(following)

    def tell_written(self) -> None:
        """Count the endings that were written with the last claim, and send their events."""
        while self._written:
            self._bookkeeper.was_written(self._written.pop(0))

    def _must_flush(self) -> bool:
        """Return whether somebody looks at what has ended, so that it must be written first."""
        return bool(self._catch_up.is_due() or self._only.limits or self._bookkeeper.is_urgent())

    def _counted(self, claim: Claimed | None) -> Claimed | None:
        if claim is not None:
            self._run.totals.batches += 1
            self._run.totals.claimed += len(claim.ids)
        return claim

    def start_mark(self, hook: str, group: str) -> StartMark | None:
        """When the start mark of the hook is written; None when this runner does not run it now."""
        accepts = claim_filter(self._only, self._run.executor.openings()).accepts
        is_ours = accepts is None or accepts(hook, group)
        return self._run.executor.start_mark(hook, group) if is_ours else None

    def _size(self) -> int:
        limits, totals = self._run.limits, self._run.totals
        size = self._claim_size.most()
        if limits.max_actions:
            size = min(size, limits.max_actions - (totals.claimed - totals.released))
        return size

    def _size_beside(self, claim: Claimed) -> int:
        """Return the size of a claim that is made while another one is started.

        Where actions are marked in their claim, it takes no more than can start with it: what is
        left would wait behind the claim after it.
        """
        if not claim.started:
            return self._size()
        room = sum(one.room for one in self._run.executor.openings() if one.at_once != NO_HOOKS)
        return min(self._size(), room - len(claim.started))

    def _within(self) -> timedelta:
        """Return in what time the claimed actions have to start: a run may have little left."""
        run = self._run
        if run.limits.max_time is None:
            return SOON
        left = run.limits.max_time.total_seconds() - (run.clock.monotonic() - run.started)
        return min(SOON, timedelta(seconds=max(0.0, left)))

    def _claim_by_turns(self, size: int, batch: Batch) -> Claimed | None:
        for left_out in self._shares.turns(self._run.clock.monotonic()):
            claim = self._claim_without(left_out, size, batch)
            if self._has_shares:
                claim = claim and _made(claim)
                groups = [action.group for action in claim.make().actions] if claim else []
                self._shares.taken(groups, left_out, size)
            if claim is not None:
                return claim
        return None

    def _claim_without(self, left_out: frozenset[str], size: int, batch: Batch) -> Claimed | None:
        """Make one claim without some groups, whose turn it is not."""
        only = self._only.without((), left_out)
        work = self._call_of(only, size, batch)
        return self._ended(work, only, size, batch, self._run.clock.monotonic())

    def _call_of(
        self,
        only: ClaimFilter,
        size: int,
        batch: Batch,
        meanwhile: Callable[[], bool] | None = None,
        *,
        taken: int = 0,
    ) -> Callable[[], ClaimAndSettled]:
        """Return what claims, and settles the batch with it unless that is done."""
        now, openings = self._run.clock.now(), self._run.executor.openings()
        return functools.partial(
            self._run.store.claim_and_settle,
            [] if batch.is_written else batch.endings,
            finished=[] if batch.is_written else batch.finished,
            now=now,
            limit=size,
            only=claim_filter(only, openings),
            start_plan=start_plan(openings, at=now, taken=taken),
            portion=functools.partial(self._claim_size.portion, within=self._within()),
            meanwhile=meanwhile,
        )

    def _ended(
        self,
        call: Callable[[], ClaimAndSettled],
        only: ClaimFilter,
        size: int,
        batch: Batch,
        before: float,
    ) -> Claimed | None:
        """Take in what came of a claim and of the endings in its transaction."""
        try:
            made = call()
        except OF_THE_STORE:
            raise
        except Exception:
            if batch.is_written or not batch.ended:
                raise
            # The database refuses one of the endings. Written by themselves, it is found out which.
            self._bookkeeper.write(batch)
            made = self._call_of(only, size, batch)()
        if made.settled is not None:
            batch.is_written, batch.settled = True, made.settled
            batch.written_at = self._run.clock.now()
            batch.took = timedelta(seconds=self._run.clock.monotonic() - before)
            self._written.append(batch)
        if made.claim is not None:
            event = ClaimMade(
                at=self._run.clock.now(),
                site=self._run.bus.site,
                claim_id=made.claim.id,
                actions=len(made.claim.ids),
                took=timedelta(seconds=self._run.clock.monotonic() - before),
            )
            self._run.bus.tell(event)
        else:
            self._run.counter.add(What(0, "", "", EMPTY))
        return made.claim


def _made(claim: Claimed) -> Claimed:
    """Return the claim with its actions made."""
    made = claim.make()
    return claim._replace(make=lambda: made)
