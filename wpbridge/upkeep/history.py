"""Keep the history of a queue: what this runner counts, what PHP ends, and how much is due.

See docs/explain/measuring.md. What this runner counts it adds by itself. The rest is a duty, which
one runner of the site has at a time.
"""

import contextlib
from collections import Counter as Multiset
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from wpbridge.clock import Clock
from wpbridge.errors import Contention, StoreError, StoreUnavailable
from wpbridge.runner.upkeep_turns import UpkeepReport
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.counting import CAP
from wpbridge.store.rows.stats import Count
from wpbridge.store.upkeep.php_endings import DUTY, PhpEnding
from wpbridge.telling.counting import (
    CLAIM,
    DB_ERROR,
    ENDINGS,
    RESCUED,
    Counter,
    Tallies,
    Tally,
    What,
    minute_of,
)
from wpbridge.telling.log import tell
from wpbridge.telling.metrics import MOST_PAIRS, OTHER

EVERY_SECONDS: Final = 10.0
"""How often a runner adds what it has counted: a crash loses no more."""
SAMPLE_SECONDS: Final = 15
"""How often somebody looks at the log and at what is due."""
DUE: Final = "due"
"""The outcome of the rows that say how many actions were due."""
_KEPT: Final = frozenset({*ENDINGS, CLAIM, DB_ERROR, RESCUED})


class History:
    """See :class:`wpbridge.runner.upkeep_turns.Caretaker`."""

    def __init__(
        self, store: OpenStore, clock: Clock, counter: Counter, *, holder: str, has_duty: bool
    ) -> None:
        """Take what it needs.

        Args:
            store: the runner's.
            clock: by which samples are dated.
            counter: the runner's.
            holder: a name that no other runner has.
            has_duty: this runner may also count for the others; one of a few named actions is
                soon gone.
        """
        self._store = store
        self._clock = clock
        self._counter = counter
        self._take = counter.reader("history")
        self._holder = holder
        self._may_have_duty = has_duty
        self._write_at = clock.monotonic() + EVERY_SECONDS
        self._has_told = False

    def step(self) -> UpkeepReport:
        """Add what was counted, and do the duty, if it is time."""
        if self._clock.monotonic() >= self._write_at:
            self._write_at = self._clock.monotonic() + EVERY_SECONDS
            self._write()
        has_more = False
        if self._may_have_duty:
            with self._forgiving():
                has_more = self._do_duty()
        return UpkeepReport(has_more=has_more)

    def leave(self) -> None:
        """Add the last of what was counted."""
        self._write()

    def _write(self) -> None:
        """Add what was counted. What cannot be written just now is kept for the next time."""
        kept = bounded(self._take())
        if not kept:
            return
        with self._forgiving():
            try:
                self._store.stats.add(self._counts(kept))
            except (Contention, StoreUnavailable):
                self._counter.give_back("history", kept)
                raise

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Let the runner go on when the history cannot be kept: that stops no action.

        A database that is away stops it anyway.
        """
        try:
            yield
        except StoreUnavailable:
            raise
        except Contention:
            # Others hold the rows: next time they will be there.
            pass
        except StoreError as error:
            if not self._has_told:
                self._has_told = True
                tell("history.not_kept", reason=str(error))

    def _counts(self, tallies: Tallies) -> Iterator[Count]:
        groups = {what.group for what in tallies}
        ids = {slug: next(iter(self._store.groups.ids([slug])), 0) for slug in groups if slug}
        for what, tally in tallies.items():
            yield _count(what, tally, ids.get(what.group, 0))

    def _do_duty(self) -> bool:
        """Count what PHP has ended, and note how much is due. Return whether there is more."""
        duties, store = self._store.duties, self._store
        if not (store.stats.is_kept() and duties.take(DUTY, self._holder)):
            return False
        sample = self._sample()
        looked = store.php_endings.count(lambda endings: [sample, *self._of_php(endings)])
        self._counter.add_all(_tallies(looked.endings), reader="metrics")
        wait = 0 if looked.has_more else SAMPLE_SECONDS
        duties.give_back(DUTY, self._holder, after_seconds=wait)
        return looked.has_more

    def _of_php(self, endings: Sequence[PhpEnding]) -> Iterator[Count]:
        ids = {one.group: one.group_id for one in endings}
        for what, tally in bounded(_tallies(endings)).items():
            yield _count(what, tally, ids.get(what.group, 0))

    def _sample(self) -> Count:
        now, store = self._clock.now(), self._store
        hooks = store.held.hooks()
        held = store.due.held(now, hooks)
        oldest = store.due.oldest(now, hooks=hooks)
        return Count(
            begin=now.replace(second=0, microsecond=0),
            hook="",
            group_id=0,
            outcome=DUE,
            actions=store.due.count(now, cap=CAP, held=held),
            duration_seconds=1.0,
            wait_seconds=(now - oldest.at).total_seconds() if oldest else 0.0,
        )


def bounded(tallies: Tallies) -> Tallies:
    """Return what the history keeps of these, with so many pairs of hook and group and no more.

    The pairs that ended most often are told apart. The rest is one pair: a site with ten thousand
    hooks would have ten thousand rows a minute.
    """
    kept = {what: tally for what, tally in tallies.items() if what.outcome in _KEPT}
    often: Multiset[tuple[str, str]] = Multiset()
    for what, tally in kept.items():
        often[what.hook, what.group] += tally.actions
    if len(often) <= MOST_PAIRS:
        return kept
    first = {pair for pair, _ in often.most_common(MOST_PAIRS)}
    found: Tallies = {}
    for what, tally in kept.items():
        is_told = (what.hook, what.group) in first or what.outcome not in ENDINGS
        place = what if is_told else what._replace(hook=OTHER, group="")
        found.setdefault(place, Tally()).join(tally)
    return found


def _count(what: What, tally: Tally, group_id: int) -> Count:
    begin = datetime.fromtimestamp(what.minute * 60, UTC)
    hook = what.hook or what.reason
    return Count(
        begin=begin,
        hook=hook,
        group_id=group_id,
        outcome=what.outcome,
        actions=tally.actions,
        duration_seconds=tally.duration_seconds,
        wait_seconds=tally.wait_seconds,
        durations=tuple(tally.durations),
        waits=tuple(tally.waits),
    )


def _tallies(endings: Sequence[PhpEnding]) -> Tallies:
    found: Tallies = {}
    for one in endings:
        minute = minute_of(one.ended_at)
        what = What(minute, one.hook, one.group, one.outcome, "php", one.reason)
        found.setdefault(what, Tally()).add(one.took_seconds, one.waited_seconds)
    return found
