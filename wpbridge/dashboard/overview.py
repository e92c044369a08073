"""How the whole queue stands at one moment: what the first page and ``wpbridge top`` show."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from wpbridge.action import Status
from wpbridge.dataclass import dataclass
from wpbridge.monitor.history import summed
from wpbridge.monitor.percentiles import percentile
from wpbridge.monitor.readings import of_runners
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.counting import CAP
from wpbridge.store.reading.day_of_hooks import HooksOfDay, SlowHook
from wpbridge.store.reading.summed_stats import NameSum
from wpbridge.store.records import Pause, Query
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.seen_runners import CELERY
from wpbridge.telling.counting import ENDINGS
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

MINUTES: Final = 60
"""The sparklines show so many minutes."""
FEW: Final = 10_000
"""So many pending actions are counted each time; more are known from the last slow look."""
SLOW: Final = timedelta(seconds=20)
"""What is slow is asked again after this time."""
SILENT: Final = timedelta(minutes=5)
"""With something due, somebody should have run something within this time."""
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRow:
    """What ended of one hook within 24 hours."""

    name: str
    complete: int
    failed: int
    duration_p95: float | None = None
    """In seconds; None where it was not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The overview of one queue. Counts stop at :attr:`cap`, which then means so many or more."""

    at: datetime
    """Aware UTC."""
    cap: int
    counts: Mapping[str, int]
    """Actions by status."""
    due: int
    past_due: int
    """Those that have been due for a minute or more."""
    oldest_due_seconds: float
    running: int
    running_longest_seconds: float
    places: int
    """Actions that all live runners of wpbridge together can run at once."""
    failed_day: int
    """Actions that failed within 24 hours and still stand as failed, whoever ran them."""
    complete_minutes: Sequence[int]
    """How many actions completed in each of the last :data:`MINUTES`, by wpbridge's statistics."""
    failed_minutes: Sequence[int]
    per_second: float
    """What ended in the last five whole minutes."""
    wait_p50: float | None
    """For how long actions were due before they started, in seconds; of the last hour."""
    wait_p95: float | None
    duration_p95: float | None
    failing: Sequence[HookRow]
    """The hooks with the most failures of 24 hours."""
    slowest: Sequence[HookRow]
    """The hooks with the longest mean durations of 24 hours, by their 95th percentile."""
    paused: Sequence[tuple[str, str, datetime | None, str]]
    """The pauses in force: kind, name, end and reason."""
    held_hooks: Sequence[str]
    """Hooks that are held, since WordPress has no callback for them."""
    recurring_stopped: int
    """Recurring actions that failed and have no next run."""
    last_run: Mapping[str, datetime]
    """When a runner of this kind last gave a sign: ``wpbridge`` or ``php``."""
    handed: int = 0
    """Actions that relays have handed to Celery and that no worker has started yet."""
    celery_workers: int = 0
    """How many of Celery's workers are alive."""

    @property
    def silent_since(self) -> datetime | None:
        """Return since when nobody has run anything although something waits; None if all is well.

        It is the oldest due date where nobody ever ran anything.
        """
        if not self.past_due or self.oldest_due_seconds < SILENT.total_seconds():
            return None
        if self.celery_workers and self.handed >= self.past_due:
            # All of it waits for workers that are there, and busy.
            return None
        newest = max(self.last_run.values(), default=None)
        if newest is None:
            return self.at - timedelta(seconds=self.oldest_due_seconds)
        return newest if self.at - newest >= SILENT else None

    @property
    def is_first_use(self) -> bool:
        """Tell whether wpbridge has never run anything here."""
        return "wpbridge" not in self.last_run and not sum(self.complete_minutes)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no action at all."""
        return not sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """What changes slowly, or costs more to ask than the rest of an overview."""

    at: datetime
    counts: Mapping[str, int]
    lately: Sequence[Count]
    """What ended in the last hour."""
    hooks: HooksOfDay
    failed_day: int
    recurring_stopped: int
    last_run: Mapping[str, datetime]
    places: int
    handed: int
    celery_workers: int


class OverviewReader:
    """Reads overviews again and again, on any thread, and asks for what is slow less often."""

    def __init__(self) -> None:
        self._slow: Slow | None = None
        self._turn = threading.Lock()

    def read(self, store: OpenStore, now: datetime) -> Overview:
        """Return the overview of now; what is :class:`Slow` may be :data:`SLOW` old.

        Raises:
            StoreError: the tables cannot be asked.
        """
        with self._turn:
            if self._slow is None or not timedelta(0) <= now - self._slow.at < SLOW:
                self._slow = slow_of(store, now)
            slow = self._slow
        return overview_of(store, now, slow)


def slow_of(store: OpenStore, now: datetime) -> Slow:
    """Ask the tables for what is slow."""
    begin = (now - _HOUR).replace(second=0, microsecond=0)
    of_ours = of_runners(store, now)
    query = Query(statuses=(Status.FAILED,), modified_since=now - _DAY)
    return Slow(
        at=now,
        counts=store.counting.statuses(cap=CAP),
        lately=[one for one in store.stats.between(begin, now) if one.outcome in ENDINGS],
        hooks=store.day_of_hooks.read(now),
        failed_day=store.counting.all(query, cap=CAP),
        recurring_stopped=len(store.stopped_chains.find(now)),
        last_run=of_ours.last_run,
        places=of_ours.places,
        handed=of_ours.handed,
        celery_workers=of_ours.kinds.get(CELERY, 0),
    )


def overview_of(store: OpenStore, now: datetime, slow: Slow | None = None) -> Overview:
    """Ask the tables for the overview; for all of it where nothing ``slow`` is given.

    Raises:
        StoreError: they cannot be asked.
    """
    slow = slow or slow_of(store, now)
    held = store.held.hooks()
    due = store.gauges.due(now, held)
    oldest, started = store.due.oldest(now, hooks=held), store.gauges.longest_start()
    pending = store.counting.all(Query(statuses=(Status.PENDING,)), cap=FEW)
    if pending >= FEW:
        pending = max(pending, slow.counts.get(Status.PENDING, 0))
    begin, lately = (now - _HOUR).replace(second=0, microsecond=0), slow.lately
    return Overview(
        at=now,
        cap=CAP,
        counts={**slow.counts, str(Status.PENDING): pending},
        due=due.due,
        past_due=due.past_due,
        oldest_due_seconds=_seconds(oldest.at if oldest else None, now),
        running=sum(store.gauges.running().values()),
        running_longest_seconds=_seconds(started, now),
        places=slow.places,
        failed_day=slow.failed_day,
        complete_minutes=_minutes(lately, begin, "complete"),
        failed_minutes=_minutes(lately, begin, "failed"),
        per_second=_per_second(lately, slow.at),
        wait_p50=percentile(0.5, WAIT_BOUNDS, summed(one.waits for one in lately)),
        wait_p95=percentile(0.95, WAIT_BOUNDS, summed(one.waits for one in lately)),
        duration_p95=percentile(0.95, DURATION_BOUNDS, summed(one.durations for one in lately)),
        failing=[_row(one) for one in slow.hooks.failing],
        slowest=_slowest(slow.hooks.slowest),
        paused=_pauses(store.pauses.in_force(now)),
        held_hooks=sorted(held),
        recurring_stopped=slow.recurring_stopped,
        last_run=slow.last_run,
        handed=slow.handed,
        celery_workers=slow.celery_workers,
    )


def _seconds(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _minutes(counts: Sequence[Count], begin: datetime, outcome: str) -> list[int]:
    found = [0] * (MINUTES + 1)
    for one in counts:
        place = int((one.begin - begin).total_seconds() // 60)
        if one.outcome == outcome and 0 <= place <= MINUTES:
            found[place] += one.actions
    return found


def _per_second(counts: Sequence[Count], now: datetime) -> float:
    end = now.replace(second=0, microsecond=0)
    begin = end - timedelta(minutes=5)
    return sum(one.actions for one in counts if begin <= one.begin < end) / 300


def _pauses(pauses: Sequence[Pause]) -> list[tuple[str, str, datetime | None, str]]:
    return [(one.kind, one.name, one.until, one.reason) for one in pauses]


def _row(one: NameSum) -> HookRow:
    return HookRow(name=one.name, complete=one.endings["complete"], failed=one.endings["failed"])


def _slowest(hooks: Sequence[SlowHook]) -> list[HookRow]:
    rows = [
        replace(_row(ended), duration_p95=percentile(0.95, DURATION_BOUNDS, durations))
        for ended, durations in hooks
    ]
    return sorted(rows, key=lambda row: (-(row.duration_p95 or 0.0), row.name))
