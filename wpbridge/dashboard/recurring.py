"""Every recurring chain: its schedule in words, its next dates, how it went lately, what is wrong.

A chain is one hook, one group and the same args. It is shown while it has a live action that
repeats, and for a month after its last one has ended.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final, Literal, NamedTuple, TypeAlias

from wpbridge.action import ActionId, Status
from wpbridge.codec import schedule
from wpbridge.dashboard.schedule_words import next_dates, words_of
from wpbridge.dataclass import dataclass
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.chain_rows import ChainRow, EndedRow, Run
from wpbridge.store.reading.stopped_chains import Chain as Stopped
from wpbridge.store.records import Pause, Record

State: TypeAlias = Literal["waiting", "running", "stopped", "ended"]
STATES: Final[tuple[State, ...]] = ("waiting", "running", "stopped", "ended")
CHAINS: Final = 100
"""A page has so many chains, and those of its last hook."""
HOOKS: Final = 200
"""So many hooks are looked at for a page."""
ENDINGS: Final = 20
OF_HOOK: Final = 50
"""So many chains of one hook are shown."""
LATELY: Final = timedelta(days=31)
"""For so long a chain is shown that has no live action any more."""
_FEW: Final = 5
_LATE: Final = 2
"""From so many runs on it is said how late they began."""


class Ending(NamedTuple):
    """One run of a chain that has ended."""

    id: int
    status: str
    due: datetime | None
    began: datetime | None
    ended: datetime | None

    @property
    def took_seconds(self) -> float | None:
        """Return how long it ran; None where its log does not say. The log has whole seconds."""
        if self.began is None or self.ended is None or self.status == Status.CANCELED:
            return None
        return (self.ended - self.began).total_seconds()

    @property
    def late_seconds(self) -> float | None:
        """Return how long after its date it began."""
        if self.began is None or self.due is None or self.status == Status.CANCELED:
            return None
        return max(0.0, (self.began - self.due).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A recurring chain."""

    record: Record
    """Its next action, else the one that runs, else the last one that ended."""
    state: State
    words: str
    """Its schedule."""
    zone: str | None
    """The zone that its cron expression is read in; None for UTC, and for an interval."""
    interval: int | None
    """In seconds; None for a cron expression."""
    expression: str
    """The cron expression; empty for an interval."""
    dates: Sequence[datetime]
    """The next five."""
    twins: Sequence[int]
    """All its pending actions where there are several; it runs that many times too often."""
    endings: Sequence[Ending]
    """The last ones, the oldest first."""
    pause: Pause | None
    """The pause that holds it."""

    @property
    def last(self) -> Ending | None:
        """Return the last run that has ended."""
        return self.endings[-1] if self.endings else None

    @property
    def late_seconds(self) -> float | None:
        """Return how late its runs begin, in the middle; None where too few are known."""
        found = [end.late_seconds for end in self.endings if end.late_seconds is not None]
        return median(found) if len(found) >= _LATE else None

    @property
    def took_seconds(self) -> float | None:
        """Return how long its runs take, in the middle."""
        found = [end.took_seconds for end in self.endings if end.took_seconds is not None]
        return median(found) if found else None

    @property
    def slips_seconds(self) -> float | None:
        """Return by how much an interval's dates slip from one run to the next, in the middle.

        The plugin counts an interval from the end of a run, so that each run moves all later ones.
        None for a cron expression, and where too few runs are known.
        """
        dates = [end.due for end in self.endings if end.due is not None]
        if self.interval is None or self.interval <= 0 or len(dates) <= _LATE:
            return None
        steps = [(b - a).total_seconds() - self.interval for a, b in pairwise(dates)]
        return max(0.0, median(steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringSeen:
    """What a page of recurring chains shows."""

    chains: Sequence[Chain]
    following: str
    """The hook after which the next page begins; empty on the last page."""
    crowded: Sequence[str]
    """Hooks with so many pending actions that not all of their chains may be here."""
    more: Sequence[str]
    """Hooks with more chains than are shown."""
    stopped: int
    """How many chains of the whole site have stopped: they failed and have no next run."""


class _Site(NamedTuple):
    """What is asked once for all hooks."""

    now: datetime
    stopped: set[Stopped]
    pauses: Sequence[Pause]
    state: str


class _Key(NamedTuple):
    """What tells the chains of one hook apart."""

    group_id: int
    args: bytes


def recurring_of(
    store: OpenStore, now: datetime, *, hook: str = "", after: str = "", state: str = ""
) -> RecurringSeen:
    """Return the chains of one hook, or those of the hooks after another one.

    Args:
        store: is asked some statements for each hook, all of them bounded.
        now: aware UTC.
        hook: the only hook that is meant; empty for all.
        after: where the last page ended.
        state: ``stopped`` shows only chains that have stopped, all of them at once.
    """
    stopped = set(store.stopped_chains.find(now))
    is_whole = bool(hook) or state == "stopped"
    if state == "stopped":
        names = sorted({name for name, _, _ in stopped if not hook or name == hook})
    else:
        names = [hook] if hook else store.chain_rows.hooks(after, HOOKS)
    site = _Site(now, stopped, store.pauses.in_force(now), state)
    chains, crowded, more, looked = list[Chain](), list[str](), list[str](), 0
    for name in names:
        found = [
            chain for chain in _of_hook(store, name, site) if not state or chain.state == state
        ]
        chains += found[:OF_HOOK]
        more += [name] if len(found) > OF_HOOK else []
        crowded += [name] if found and store.chain_rows.is_crowded(name) else []
        looked += 1
        if len(chains) >= CHAINS and not is_whole:
            break
    is_last = is_whole or (looked == len(names) < HOOKS)
    return RecurringSeen(
        chains=chains,
        following="" if is_last else names[looked - 1],
        crowded=crowded,
        more=more,
        stopped=len(stopped),
    )


def _of_hook(store: OpenStore, hook: str, site: "_Site") -> list[Chain]:
    """Return the chains of a hook, those that run next first."""
    live: dict[_Key, list[ChainRow]] = {}
    for row in store.chain_rows.live(hook):
        live.setdefault(_Key(row.group_id, row.args), []).append(row)
    over: dict[_Key, list[EndedRow]] = {}
    for one in _endings_of(store, hook, len(live), site):
        over.setdefault(_Key(one.group_id, one.args), []).append(one)
    without = [key for key in over if key not in live and _ended_lately(over[key], site.now)]
    wanted = {"waiting": list(live), "running": list(live), "stopped": without, "ended": without}
    keys = wanted.get(site.state, [*live, *without])[: OF_HOOK + 1]
    shown = {key: _shown(live.get(key, []), over.get(key, [])) for key in keys}
    records = store.reading.existing(list(shown.values()))
    zones = store.reading.zones_of(list(records))
    runs = store.chain_rows.runs([row.id for key in keys for row in over.get(key, [])[:ENDINGS]])
    found = []
    for key in keys:
        record = records.get(ActionId(shown[key]))
        if record is None:
            continue
        endings = [_ending(row, runs) for row in reversed(over.get(key, [])[:ENDINGS])]
        found.append(_chain(record, live.get(key, []), endings, zones.get(record.id), site))
    return sorted(found, key=lambda chain: (not chain.dates, chain.dates[:1], chain.record.id))


def _endings_of(store: OpenStore, hook: str, live: int, site: "_Site") -> list[EndedRow]:
    """Return the endings of a hook. Most hooks have no chain, which a few endings show."""
    if not live and not any(name == hook for name, _, _ in site.stopped):
        few = store.chain_rows.ended(hook, _FEW)
        if not any(row.repeats for row in few):
            return []
    return store.chain_rows.ended(hook, ENDINGS * max(2, live))


def _ended_lately(rows: Sequence[EndedRow], now: datetime) -> bool:
    """Tell whether a chain without a live action has repeated, and was due in the last month."""
    newest = rows[0]
    return newest.repeats and newest.scheduled_at is not None and now - newest.scheduled_at < LATELY


def _shown(live: Sequence[ChainRow], over: Sequence[EndedRow]) -> int:
    """Return the action that stands for a chain: the next one, the running one, or the last one."""
    pending = [row.id for row in live if row.status == Status.PENDING]
    return [*pending, *(row.id for row in live), *(row.id for row in over)][0]


def _ending(row: EndedRow, runs: dict[int, Run]) -> Ending:
    run = runs.get(row.id, Run(None, None))
    return Ending(row.id, row.status, row.scheduled_at, run.began, run.ended)


def _pause(record: Record, pauses: Iterable[Pause]) -> Pause | None:
    """Return the pause that holds an action; its own hook's before its group's."""
    held = {"hook": record.hook, "group": record.group, "all": ""}
    order = ("hook", "group", "all")
    found = [pause for pause in pauses if pause.name == held.get(pause.kind)]
    return min(found, key=lambda pause: order.index(pause.kind), default=None)


def _chain(
    record: Record,
    live: Sequence[ChainRow],
    endings: Sequence[Ending],
    zone: str | None,
    site: _Site,
) -> Chain:
    told = schedule.recurring(record.schedule)
    pending = [row.id for row in live if row.status == Status.PENDING]
    state: State = "waiting" if pending else "running"
    if not live:
        is_stopped = (record.hook, record.group_id, record.args) in site.stopped
        state = "stopped" if is_stopped else "ended"
    return Chain(
        record=record,
        state=state,
        words=words_of(record.schedule, zone),
        zone=zone,
        interval=told.seconds if isinstance(told, schedule.Interval) else None,
        expression=told.expression if isinstance(told, schedule.Cron) else "",
        dates=next_dates(record, zone, site.now),
        twins=pending if len(pending) > 1 else (),
        endings=endings,
        pause=_pause(record, site.pauses),
    )
