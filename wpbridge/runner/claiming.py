"""The claims of one run: how many actions, of which groups, and which of them start at once."""

from datetime import timedelta

from wpbridge.action import Claim
from wpbridge.events import ClaimMade
from wpbridge.executors.base import StartMark
from wpbridge.runner.catch_up import CatchUp
from wpbridge.runner.claim_plan import claim_filter, start_plan
from wpbridge.runner.claim_size import ClaimSize
from wpbridge.runner.shared import Run
from wpbridge.runner.shares import Shares
from wpbridge.store.base import ClaimFilter


class Claiming:
    """Asks the store for claims."""

    def __init__(
        self, run: Run, only: ClaimFilter, shares: Shares, claim_size: ClaimSize, catch_up: CatchUp
    ) -> None:
        self._run = run
        self._only = only
        self._shares = shares
        self._claim_size = claim_size
        self._catch_up = catch_up

    def is_done(self) -> bool:
        """Return whether the run has claimed as much as it was told to."""
        limits, totals = self._run.limits, self._run.totals
        by_claims = bool(limits.batches) and totals.batches >= limits.batches
        return by_claims or (0 < limits.max_actions <= totals.claimed)

    def claim(self) -> Claim | None:
        """Claim what is due; None when nothing is."""
        size = self._size()
        self._catch_up.look_when_due()
        claim = self._claim_by_turns(size)
        # Nothing is due: but what has just ended may have been waited for.
        if claim is None and self._catch_up.has_ended and self._catch_up.look():
            claim = self._claim_by_turns(size)
        if claim is not None:
            self._run.totals.batches += 1
            self._run.totals.claimed += len(claim.actions)
        return claim

    def start_mark(self, hook: str, group: str) -> StartMark | None:
        """When the start mark of the hook is written; None when this runner does not run it now."""
        accepts = claim_filter(self._only, self._run.executor.openings()).accepts
        is_ours = accepts is None or accepts(hook, group)
        return self._run.executor.start_mark(hook, group) if is_ours else None

    def _size(self) -> int:
        limits = self._run.limits
        size = limits.batch_size
        if limits.poll is not None:
            size = self._claim_size.size(size)
        if limits.max_actions:
            size = min(size, limits.max_actions - self._run.totals.claimed)
        return size

    def _claim_by_turns(self, size: int) -> Claim | None:
        for left_out in self._shares.turns(self._run.clock.monotonic()):
            claim = self._claim_without(left_out, size)
            groups = [action.group for action in claim.actions] if claim else []
            self._shares.taken(groups, left_out, size)
            if claim is not None:
                return claim
        return None

    def _claim_without(self, left_out: frozenset[str], size: int) -> Claim | None:
        """Make one claim without some groups, whose turn it is not."""
        before, now = self._run.clock.monotonic(), self._run.clock.now()
        openings = self._run.executor.openings()
        claim = self._run.store.claim_due(
            now=now,
            limit=size,
            only=claim_filter(self._only.without((), left_out), openings),
            start_plan=start_plan(openings, at=now),
        )
        if claim is not None:
            made = ClaimMade(
                at=self._run.clock.now(),
                site=self._run.bus.site,
                claim_id=claim.id,
                actions=len(claim.actions),
                took=timedelta(seconds=self._run.clock.monotonic() - before),
            )
            self._run.bus.tell(made)
        return claim
