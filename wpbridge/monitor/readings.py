"""What the tables show at one moment: the gauges that metrics, alerts and the dashboard share."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from wpbridge.dataclass import dataclass
from wpbridge.runner.identity import identity
from wpbridge.runner.liveness import is_dead
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.counting import CAP
from wpbridge.store.reading.due_pairs import Pair
from wpbridge.store.records import Pause
from wpbridge.store.running.ownership import runners
from wpbridge.store.running.places import places


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """One reading. Counts stop at :attr:`cap`, which then means so many or more."""

    at: datetime
    """Aware UTC."""
    took_seconds: float
    cap: int
    counts: Mapping[str, int]
    """Actions by status."""
    due: int
    """Due actions, without the held ones."""
    past_due: int
    """Those of them that have been due for a minute or more."""
    due_by_group: Mapping[str, int]
    """By group's slug, among the 20,000 oldest; empty for actions without a group."""
    oldest_due_seconds: Mapping[str, float]
    """By group's slug: for how long its oldest due action has been due."""
    claims: int
    """Claims that hold actions."""
    running: Mapping[str, int]
    """Actions that are marked as running, by hook."""
    running_longest_seconds: float
    table_rows: Mapping[str, int]
    """By the table's name, as the server estimates them."""
    table_bytes: Mapping[str, int]
    pauses: Sequence[Pause]
    """Those in force."""
    last_run: Mapping[str, datetime]
    """When a runner of this kind last gave a sign: ``wpbridge`` or ``php``."""
    recurring_stopped: int
    """Recurring actions that failed and have no next run."""
    places: int
    """Actions that all runners of wpbridge together can run at once."""

    due_pairs: Sequence[Pair] | None = None
    """The oldest due actions by hook and group, the held ones too; None where nobody looked."""

    @property
    def oldest_due(self) -> float:
        """Return for how many seconds the oldest due action has been due; 0 where none is."""
        return max(self.oldest_due_seconds.values(), default=0.0)


def read(store: OpenStore, now: datetime) -> Readings:
    """Ask the tables once.

    Raises:
        StoreError: they cannot be asked.
    """
    begin = time.perf_counter()
    gauges, held = store.gauges, store.held.hooks()
    due, pairs = gauges.due(now, held), store.due_pairs.due(now)
    groups = _groups(pair for pair in pairs if pair.hook not in held)
    started = gauges.longest_start()
    sizes = gauges.sizes()
    last_run, place_count = of_runners(store, now)
    return Readings(
        at=now,
        cap=CAP,
        counts=store.counting.statuses(cap=CAP),
        due=due.due,
        past_due=due.past_due,
        due_by_group={slug: count for slug, (count, _) in groups.items()},
        oldest_due_seconds={
            slug: _seconds(oldest, now) for slug, (_, oldest) in groups.items() if oldest
        },
        due_pairs=pairs,
        claims=gauges.claims(),
        running=gauges.running(),
        running_longest_seconds=_seconds(started, now) if started else 0.0,
        table_rows={name: size.rows for name, size in sizes.items() if size.rows is not None},
        table_bytes={name: size.size for name, size in sizes.items()},
        pauses=store.pauses.in_force(now),
        last_run=last_run,
        recurring_stopped=len(store.stopped_chains.find(now)),
        places=place_count,
        took_seconds=time.perf_counter() - begin,
    )


def _groups(pairs: Iterable[Pair]) -> dict[str, tuple[int, datetime | None]]:
    """Return by group's slug how many actions are due, and the earliest date of these."""
    found: dict[str, tuple[int, datetime | None]] = {}
    for pair in pairs:
        count, oldest = found.get(pair.group, (0, None))
        dates = [at for at in (oldest, pair.oldest) if at is not None]
        found[pair.group] = count + pair.actions, min(dates, default=None)
    return found


def of_runners(store: OpenStore, now: datetime) -> tuple[Mapping[str, datetime], int]:
    """Return when each kind of runner last gave a sign, and the places of those that live.

    A runner without a place of the queue, as the gateway has one for callbacks, is no sign that
    anybody runs what is due. While there is one, what was counted may be its work.
    """
    found, told, me = list(runners(store.tables)), places(store.tables), identity()
    serving = [runner for runner in found if told.get(runner.id)]
    signs = dict(store.gauges.signs())
    beats = [now - timedelta(seconds=runner.beat_age_seconds) for runner in serving]
    counted = store.gauges.last_counted() if len(serving) == len(found) else None
    of_ours = [at for at in (*beats, counted, signs.get("wpbridge")) if at is not None]
    if of_ours:
        signs["wpbridge"] = max(of_ours)
    return signs, sum(told[runner.id] for runner in serving if not is_dead(runner, me))


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
