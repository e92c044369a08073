"""Does the plugin's cleaner's work on a site that is ours: docs/explain/upkeep.md.

Two duties, each done by one runner of the site at a time, in pieces of one short transaction: what
dead runners of PHP's hold is freed or failed, and what ended long ago is deleted. While one of the
plugin's own runners is seen at work both are left to it, but for the rows of empty claims, which
the plugin never removes.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, Status
from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.errors import Contention
from wpbridge.events import UpkeepDone, UpkeepLeft, UpkeepResumed
from wpbridge.patterns import is_pattern
from wpbridge.runner.upkeep_turns import UpkeepReport
from wpbridge.site.rules import Keep
from wpbridge.store.opened import OpenStore
from wpbridge.store.queueing.adding import SINCE_4_HOOK
from wpbridge.store.records import Query
from wpbridge.store.upkeep.cleaning import AWAY
from wpbridge.store.upkeep.duties import Duty
from wpbridge.store.upkeep.retention import Expiry
from wpbridge.telling.bus import Bus
from wpbridge.telling.log import tell
from wpbridge.upkeep import cleanup

EVERY_SECONDS: Final[dict[Duty, int]] = {"claims": 55, "retention": 3600}
"""A little under a minute, so that a run by cron each minute finds it due."""
TURN_SECONDS: Final = 30.0
"""Then a duty is given back, done or not: the other may be due, and PHP may be seen."""
STALE_BATCH: Final = 500
MOST_DELETED, LEAST_DELETED = 250, 20
"""Ended actions a transaction; the plugin's own numbers, of 4.0 and before."""
QUICK_SECONDS, SLOW_SECONDS = 0.05, 0.2
"""What a piece may take: batches grow below the one, and shrink above the other."""


@dataclass(slots=True)
class _Done:
    reset: int = 0
    failed: int = 0
    deleted: int = 0
    claims: int = 0

    def __bool__(self) -> bool:
        return bool(self.reset or self.failed or self.deleted or self.claims)


class SiteCaretaker:
    """See :class:`wpbridge.runner.upkeep_turns.Caretaker`.

    It works on the runner's own store and thread.
    """

    def __init__(
        self,
        store: OpenStore,
        clock: Clock,
        bus: Bus,
        *,
        holder: str,
        rules: Sequence[Keep] = (),
        runs_php: bool = False,
    ) -> None:
        """Take what it needs.

        Args:
            store: the runner's.
            clock: of the rows' dates; whose turn it is the database's tells.
            bus: where it tells what was done.
            holder: a name that no other runner has.
            rules: of retention, before the plugin's own.
            runs_php: the plugin's own upkeep actions are run here, in PHP.
        """
        self._store = store
        self._clock = clock
        self._bus = bus
        self._holder = holder
        self._rules = tuple(rules)
        self._runs_php = runs_php
        self._duty: Duty | None = None
        self._pieces: Iterator[int] = iter(())
        self._since = 0.0
        """When this turn began."""
        self._done = _Done()
        self._batch = MOST_DELETED

    @property
    def _parts(self) -> OpenStore:
        """Looked for each time: the store puts them together anew when a runner registers."""
        return self._store

    def step(self) -> UpkeepReport:
        """Do one piece, then let the loop go on. Nothing is done when no duty is due and free.

        A crash loses at most that piece; another runner takes the duty over a minute later.
        """
        try:
            return self._step()
        except Contention:
            # Others hold the rows: they will be there next time.
            self._stop()
            return UpkeepReport()

    def leave(self) -> None:
        """Give back what was not finished, so that the next runner can take it at once."""
        duty = self._duty
        self._stop()
        if duty is not None:
            # Held locks are no reason to end badly: the duty is free again in a minute.
            with contextlib.suppress(Contention):
                self._parts.duties.give_back(duty, self._holder, after_seconds=0)

    def _step(self) -> UpkeepReport:
        duties = self._parts.duties
        if self._duty is not None and not duties.keep(self._duty, self._holder):
            self._stop()
            return UpkeepReport()
        # Duties with nothing to do are over at once: a short run must come to the last one, too.
        while duty := self._duty or self._begin():
            is_over = self._clock.monotonic() - self._since > TURN_SECONDS
            freed = None if is_over else next(self._pieces, None)
            if freed is not None:
                return UpkeepReport(freed=freed, has_more=True)
            wait = 0 if is_over else EVERY_SECONDS[duty]
            duties.give_back(duty, self._holder, after_seconds=wait)
            self._stop()
        return UpkeepReport()

    def _begin(self) -> Duty | None:
        """Take a duty that is due and that nobody does."""
        for duty in EVERY_SECONDS:
            if self._parts.duties.take(duty, self._holder):
                self._duty, self._pieces = duty, self._work(duty)
                self._since = self._clock.monotonic()
                return duty
        return None

    def _stop(self) -> None:
        done, self._done = self._done, _Done()
        self._duty, self._pieces = None, iter(())
        if done:
            self._bus.tell(
                UpkeepDone(
                    at=self._clock.now(),
                    site=self._bus.site,
                    reset=done.reset,
                    failed=done.failed,
                    deleted=done.deleted,
                    claims=done.claims,
                )
            )

    def _work(self, duty: Duty) -> Iterator[int]:
        """Do one duty piece by piece. Each piece yields how many actions it freed."""
        is_left = self._is_left()
        if duty == "claims":
            if not is_left:
                yield from self._claims()
            yield from self._empty_claims()
        elif not is_left:
            yield from self._retention()

    def _is_left(self) -> bool:
        """Tell whether one of the plugin's own runners does it.

        An event tells when that changes.
        """
        parts, now = self._parts, self._clock.now()
        seen = parts.cleaning.cleaner_seen(now - AWAY)
        if bool(seen) != bool(parts.duties.left_to("claims")):
            parts.duties.leave_to("claims", seen)
            site = self._bus.site
            self._bus.tell(
                UpkeepLeft(at=now, site=site, runner=seen)
                if seen
                else UpkeepResumed(at=now, site=site)
            )
        return bool(seen)

    def _claims(self) -> Iterator[int]:
        cleaning = self._parts.cleaning
        while True:
            now = self._clock.now()
            before = now - timedelta(seconds=PLUGIN_TIMEOUT_SECONDS)
            freed = len(cleaning.reset(STALE_BATCH, before=before, now=now))
            is_4 = self._parts.adding.is_since_4()
            failed = len(cleaning.fail(STALE_BATCH, before=before, now=now, is_since_4=is_4))
            self._done.reset += freed
            self._done.failed += failed
            if freed or failed:
                yield freed
            if max(freed, failed) < STALE_BATCH:
                return

    def _empty_claims(self) -> Iterator[int]:
        """Delete rows of the claims table that nobody needs. The plugin's cleaner leaves them."""
        while found := self._parts.cleaning.empty_claims(STALE_BATCH):
            dropped = self._parts.cleaning.drop_empty(found)
            self._done.claims += dropped
            if dropped < STALE_BATCH:
                return
            yield 0

    def _retention(self) -> Iterator[int]:
        for expiry in self._expiries():
            while True:
                before = self._clock.monotonic()
                count = cleanup.delete_expired(
                    self._parts, expiry, batch_size=self._batch, batches=1
                )
                if not count:
                    break
                self._done.deleted += count
                self._fit(self._clock.monotonic() - before)
                yield 0

    def _fit(self, seconds: float) -> None:
        """Choose the size of the next batch by how long the last one took."""
        if seconds > SLOW_SECONDS:
            self._batch = max(LEAST_DELETED, self._batch // 2)
        elif seconds < QUICK_SECONDS:
            self._batch = min(MOST_DELETED, self._batch * 2)

    def _expiries(self) -> list[Expiry]:
        """Return what is old by the rules, then by the plugin's: from 4.0 on failed actions too."""
        hooks: Sequence[str] = [rule.hook for rule in self._rules if rule.hook]
        if any(map(is_pattern, hooks)):
            known = self._parts.reading.hook_names()
            if known is None:
                # A rule may keep for ever what the plugin's own would delete.
                tell("upkeep.too_many_hooks")
                return []
            hooks = known
        statuses: tuple[Status, ...] = cleanup.PLUGIN_STATUSES
        if self._parts.adding.is_since_4():
            statuses = (*statuses, Status.FAILED)
        if self._is_php_deleting():
            statuses = ()
        return cleanup.expiries(self._rules, now=self._clock.now(), hooks=hooks, statuses=statuses)

    def _is_php_deleting(self) -> bool:
        """Tell whether the plugin's own daily action (since 4.0) deletes, in our PHP workers."""
        if not self._runs_php:
            return False
        live = (Status.PENDING, Status.IN_PROGRESS)
        query = Query(hooks=(SINCE_4_HOOK,), statuses=live, limit=1)
        return bool(self._parts.reading.find(query))
