"""What the tables show at one moment: the gauges that metrics, alerts and the dashboard share."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from wpbridge.dataclass import dataclass
from wpbridge.runner.identity import identity
from wpbridge.runner.liveness import is_dead
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.counting import CAP
from wpbridge.store.reading.due_pairs import Pair
from wpbridge.store.reading.handed_actions import handed_in
from wpbridge.store.records import Pause
from wpbridge.store.running.seen_runners import CELERY, RELAY, seen_runners

if TYPE_CHECKING:
    from wpbridge.monitor.handed_hooks import IsHanded


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
    """Actions that all runners of wpbridge together can run at once, but for Celery's workers."""

    runners: Mapping[str, int] = field(default_factory=dict)
    """Runners of wpbridge that are alive, by their kind: see
    :attr:`wpbridge.store.running.seen_runners.About.kind`."""
    handed: int = 0
    """Actions that relays have handed to Celery and that no worker has started yet."""

    due_pairs: Sequence[Pair] | None = None
    """The oldest due actions by hook and group, the held ones too; None where nobody looked."""

    @property
    def oldest_due(self) -> float:
        """Return for how many seconds the oldest due action has been due; 0 where none is."""
        return max(self.oldest_due_seconds.values(), default=0.0)


def read(store: OpenStore, now: datetime, is_handed: "IsHanded | None" = None) -> Readings:
    """Ask the tables once. ``is_handed`` says which actions the routes hand to Celery.

    Where nothing else is due, Celery's workers are a sign that somebody runs what is due.

    Raises:
        StoreError: they cannot be asked.
    """
    begin = time.perf_counter()
    gauges, held = store.gauges, store.held.hooks()
    due, pairs = gauges.due(now, held), store.due_pairs.due(now)
    groups = _groups(pair for pair in pairs if pair.hook not in held)
    started = gauges.longest_start()
    sizes = gauges.sizes()
    of_ours = of_runners(
        store,
        now,
        with_celery=is_handed is not None
        and all(is_handed(pair.hook, pair.group) for pair in pairs if pair.hook not in held),
    )
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
        last_run=of_ours.last_run,
        recurring_stopped=len(store.stopped_chains.find(now)),
        places=of_ours.places,
        runners=of_ours.kinds,
        handed=of_ours.handed,
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


class OfRunners(NamedTuple):
    """What the rows of runners tell, and what of the log belongs to it."""

    last_run: Mapping[str, datetime]
    """When each kind of runner last gave a sign: ``wpbridge`` or ``php``."""
    places: int
    """Those of the runners that live and look for what is due."""
    kinds: Mapping[str, int]
    """How many live, by their kind."""
    handed: int
    """What relays have handed over and no worker has started."""


def of_runners(store: OpenStore, now: datetime, *, with_celery: bool = False) -> OfRunners:
    """Return what is known of the runners.

    A runner without a place of the queue, as the gateway has one for callbacks, is no sign that
    anybody runs what is due. While there is one, what was counted may be its work. The same holds
    for a relay and for Celery's workers. With ``with_celery`` all that is due goes to Celery: its
    workers are a sign then, while there is a relay.
    """
    found, me = seen_runners(store.tables), identity()
    alive = [one for one in found if not is_dead(one.runner, me)]
    kinds = Counter(one.about.kind for one in alive)
    # One of an earlier release does not say how many places it has.
    serving = [one for one in found if one.places != 0 and one.runs_what_is_due]
    counts = len(serving) == len(found)
    if with_celery and kinds[RELAY]:
        serving += [one for one in found if one.about.kind == CELERY]
    signs = dict(store.gauges.signs())
    beats = [now - timedelta(seconds=one.runner.beat_age_seconds) for one in serving]
    counted = store.gauges.last_counted() if counts else None
    of_ours = [at for at in (*beats, counted, signs.get("wpbridge")) if at is not None]
    if of_ours:
        signs["wpbridge"] = max(of_ours)
    claims = [claim for one in found if one.about.kind == RELAY for claim in one.runner.claims]
    return OfRunners(
        last_run=signs,
        places=sum(
            1 if one.places is None else one.places for one in alive if one.runs_what_is_due
        ),
        kinds=kinds,
        handed=handed_in(store.tables, claims).actions,
    )


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
