"""The failures of a site by what they have in common: what failed, when, why, and what helps."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from operator import attrgetter
from typing import Final

from wpbridge.dashboard.failure_entries import Entry
from wpbridge.dashboard.failure_index import Remembered
from wpbridge.dashboard.retry_hints import RetryHint, hint_of
from wpbridge.dataclass import dataclass
from wpbridge.queue.failure_groups import is_meant
from wpbridge.store.opened import OpenStore

GROUPS: Final = 25
"""So many groups are shown, those with the most failures."""
IDS: Final = 20
NAMES: Final = 5
"""So many hooks, and so many groups of actions, are named for each group of failures."""
CHOICES: Final = 50
"""So many hooks and groups of actions are offered to choose from."""
SAMPLE_CHARS: Final = 300
_BARS: Final = 48
_HOOK: Final = attrgetter("hook")
_GROUP: Final = attrgetter("group_id")
_AT: Final = attrgetter("at")
_NEWEST: Final = attrgetter("attempt", "id")
_STEPS: Final = (300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureWish:
    """Which failures somebody wants to see. What is not given does not narrow them."""

    hook: str = ""
    group: str | None = None
    """A group's slug; empty for actions without one, None for any."""
    since: datetime | None = None
    until: datetime | None = None
    fingerprint: str = ""
    """Its text, or its mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """How many failed in each step of a span of time."""

    begin: datetime
    step: timedelta
    counts: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeFailures:
    """Failures that are alike, and still stand."""

    fingerprint: str
    """What their messages have in common."""
    count: int
    hooks: Sequence[tuple[str, int]]
    """The hooks with the most of them, each with how many."""
    more_hooks: int
    groups: Sequence[tuple[str, int]]
    more_groups: int
    first: datetime | None
    last: datetime | None
    sample: str
    """The newest one's message, cut."""
    ids: Sequence[int]
    """The newest ones."""
    when: Bars
    hint: RetryHint


@dataclass(frozen=True, slots=True, kw_only=True)
class FailuresSeen:
    """What the page of failures shows."""

    groups: Sequence[LikeFailures]
    more_groups: int
    """How many groups of failures are not among :attr:`groups`."""
    count: int
    """The failures that are meant and still stand."""
    requeued: int
    """Those that are meant and were requeued, so they stand no more."""
    outlived: int
    """Those that are meant, whose recurring chain has completed a later run."""
    hooks: Sequence[str]
    """The hooks of remembered failures, to choose from."""
    slugs: Sequence[str]
    """Their groups."""
    is_cut: bool
    """Whether only the newest failures are known, as many as are remembered."""
    known: int
    """How many failures are remembered."""
    read_at: datetime | None
    """When they were read last; None while the first reading goes on."""
    read: int
    of: int
    """How far a reading is, and how many it has to read."""
    error: str


def failures_of(
    store: OpenStore, remembered: Remembered, now: datetime, wish: FailureWish
) -> FailuresSeen:
    """Group the remembered failures that are meant and still stand.

    The database is asked only for the names of groups and for one message of each group shown.
    """
    slugs = {group: store.groups.slug(group) for group in set(map(_GROUP, remembered.entries))}
    meant = _meant(remembered.entries, slugs, wish)
    by_kind: dict[str, list[Entry]] = {}
    requeued = outlived = 0
    for entry in meant:
        if entry.is_requeued:
            requeued += 1
        elif entry.is_outlived:
            outlived += 1
        elif alike := by_kind.get(entry.kind):
            alike.append(entry)
        else:
            by_kind[entry.kind] = [entry]
    shown = sorted(by_kind.items(), key=lambda one: (-len(one[1]), one[0]))
    oldest = min(
        (min(_dates(alike), default=None) for _, alike in shown), key=_or_last, default=None
    )
    bars = _span(wish, now, oldest)
    newest = {kind: _newest(alike) for kind, alike in shown[:GROUPS]}
    samples = _samples(store, newest)
    return FailuresSeen(
        groups=[
            _like(alike, newest[kind], samples.get(kind, ""), slugs, bars)
            for kind, alike in shown[:GROUPS]
        ],
        more_groups=max(0, len(shown) - GROUPS),
        count=sum(len(alike) for _, alike in shown),
        requeued=requeued,
        outlived=outlived,
        hooks=_most(set(map(_HOOK, remembered.entries))),
        slugs=_most(set(slugs.values())),
        is_cut=remembered.is_cut,
        known=len(remembered.entries),
        read_at=remembered.at,
        read=remembered.read,
        of=remembered.of,
        error=remembered.error,
    )


def _meant(entries: Sequence[Entry], slugs: dict[int, str], wish: FailureWish) -> Sequence[Entry]:
    found = entries
    if wish.hook:
        found = [entry for entry in found if entry.hook == wish.hook]
    if wish.group is not None:
        ids = {group for group, slug in slugs.items() if slug == wish.group}
        found = [entry for entry in found if entry.group_id in ids]
    if wish.since is not None:
        since = wish.since.timestamp()
        found = [entry for entry in found if entry.at is not None and entry.at >= since]
    if wish.until is not None:
        until = wish.until.timestamp()
        found = [entry for entry in found if entry.at is not None and entry.at <= until]
    if wish.fingerprint:
        kinds = {entry.kind for entry in found}
        kinds = {kind for kind in kinds if is_meant(kind, wish.fingerprint)}
        found = [entry for entry in found if entry.kind in kinds]
    return found


def _like(
    alike: Sequence[Entry],
    ids: Sequence[int],
    sample: str,
    slugs: dict[int, str],
    bars: Bars,
) -> LikeFailures:
    dates = _dates(alike)
    hooks: Counter[str] = Counter(map(_HOOK, alike))
    groups = Counter[str]()
    for group, count in Counter(map(_GROUP, alike)).items():
        groups[slugs[group]] += count
    return LikeFailures(
        fingerprint=alike[0].kind,
        count=len(alike),
        hooks=_common(hooks),
        more_hooks=max(0, len(hooks) - NAMES),
        groups=_common(groups),
        more_groups=max(0, len(groups) - NAMES),
        first=datetime.fromtimestamp(min(dates), UTC) if dates else None,
        last=datetime.fromtimestamp(max(dates), UTC) if dates else None,
        sample=sample[:SAMPLE_CHARS],
        ids=ids,
        when=_counted(bars, dates),
        hint=hint_of(sample),
    )


def _newest(alike: Sequence[Entry]) -> list[int]:
    newest = nlargest(IDS, alike, key=_NEWEST)
    return [entry.id for entry in newest]


def _samples(store: OpenStore, newest: dict[str, list[int]]) -> dict[str, str]:
    """Return the message of each group's newest failure."""
    kinds = {ids[0]: kind for kind, ids in newest.items()}
    reasons = store.failure_rows.reasons(list(kinds))
    return {kinds[reason.action_id]: reason.message for reason in reasons}


def _common(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:NAMES]


def _most(names: set[str]) -> list[str]:
    """Return the first names that a list of choices can show as they are."""
    return sorted(name for name in names if name.isprintable())[:CHOICES]


def _span(wish: FailureWish, now: datetime, oldest: int | None) -> Bars:
    """Return empty bars from the wish's beginning, or the oldest failure's, to its end or now."""
    end = wish.until or now
    begin = wish.since
    if begin is None:
        begin = end if oldest is None else datetime.fromtimestamp(oldest, UTC)
        begin = min(begin, end - timedelta(hours=1))
    seconds = max(1.0, (end - begin).total_seconds())
    step = next((one for one in _STEPS if seconds / one < _BARS), int(seconds / _BARS) + 1)
    first = int(begin.timestamp()) // step * step
    bars = (int(end.timestamp()) - first) // step + 1
    return Bars(
        begin=datetime.fromtimestamp(first, UTC),
        step=timedelta(seconds=step),
        counts=[0] * max(1, bars),
    )


def _counted(empty: Bars, dates: Sequence[int]) -> Bars:
    first, step = int(empty.begin.timestamp()), int(empty.step.total_seconds())
    places = Counter((at - first) // step for at in dates)
    counts = [places[place] for place in range(len(empty.counts))]
    return Bars(begin=empty.begin, step=empty.step, counts=counts)


def _dates(alike: Sequence[Entry]) -> list[int]:
    return [at for at in map(_AT, alike) if at is not None]


def _or_last(at: int | None) -> float:
    return float("inf") if at is None else at
