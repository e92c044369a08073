"""What ended within a time, by hour, hook or group: how often, how fast, and how long it waited."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from wpbridge.clock import to_text
from wpbridge.dataclass import dataclass
from wpbridge.monitor.percentiles import percentile
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.stats import HOURS_KEPT, Count
from wpbridge.telling.counting import ENDINGS, Tally
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

By: TypeAlias = Literal["hour", "hook", "group"]
_HOUR: Final = timedelta(hours=1)
_STEP: Final = timedelta(days=1)
"""So much of the time is read at once. It is whole hours: see :meth:`.Stats.between`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRow:
    """What ended within one hour, or of one hook or group. A percentile of nothing is None."""

    name: str
    """The hook or the group's slug; of an hour its beginning in UTC, as ``2026-12-01T09:00Z``."""
    complete: int
    failed: int
    retried: int
    canceled: int
    per_second: float
    """All of them, over the time in which something was counted."""
    duration_p50: float | None
    """In seconds, as all percentiles."""
    duration_p95: float | None
    duration_p99: float | None
    wait_p50: float | None
    wait_p95: float | None
    wait_p99: float | None


class _Sum:
    """The sums of one row."""

    def __init__(self) -> None:
        self.endings: dict[str, int] = dict.fromkeys(ENDINGS, 0)
        self.tally = Tally()

    def add(self, count: Count) -> None:
        self.endings[count.outcome] += count.actions
        durations, waits = self.tally.durations, self.tally.waits
        self.tally.durations = [a + b for a, b in zip(durations, count.durations, strict=True)]
        self.tally.waits = [a + b for a, b in zip(waits, count.waits, strict=True)]

    def row(self, name: str, seconds: float) -> EndedRow:
        def took(share: float) -> float | None:
            return percentile(share, DURATION_BOUNDS, self.tally.durations)

        def waited(share: float) -> float | None:
            return percentile(share, WAIT_BOUNDS, self.tally.waits)

        return EndedRow(
            name=name,
            **self.endings,
            per_second=sum(self.endings.values()) / seconds if seconds > 0 else 0.0,
            duration_p50=took(0.5),
            duration_p95=took(0.95),
            duration_p99=took(0.99),
            wait_p50=waited(0.5),
            wait_p95=waited(0.95),
            wait_p99=waited(0.99),
        )


def ended_by(
    store: OpenStore,
    by: By,
    since: datetime,
    until: datetime,
    *,
    hooks: Collection[str] = (),
    groups: Collection[str] = (),
) -> list[EndedRow]:
    """Return what ended, from wpbridge's statistics.

    Args:
        store: the site's store.
        by: by hour, from the first one in which anything was counted to the last, without a gap;
            or by hook or group, those with the most endings first.
        since: an aware moment. The whole hour counts that it lies in.
        until: an aware moment, which is not long after now.
        hooks: only these hooks, by their exact names; none for all.
        groups: only the groups with these slugs; none for all.
    """
    sums: dict[str, _Sum] = {}
    first: datetime | None = None
    for count in _counts(store, hour_of(since), until):
        first = first or count.begin
        group = store.groups.slug(count.group_id)
        is_meant = (not hooks or count.hook in hooks) and (not groups or group in groups)
        if count.outcome in ENDINGS and is_meant:
            name = {"hook": count.hook, "group": group, "hour": _name(count.begin)}[by]
            sums.setdefault(name, _Sum()).add(count)
    if first is None:
        return []
    if by == "hour":
        return list(_hours(sums, first, until))
    seconds = (until - first).total_seconds()
    rows = [found.row(name, seconds) for name, found in sums.items()]
    return sorted(rows, key=lambda row: (-_total(row), row.name))


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of a moment's hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def _counts(store: OpenStore, since: datetime, until: datetime) -> Iterator[Count]:
    begin = max(since, hour_of(until - HOURS_KEPT - _STEP))
    while begin < until:
        end = min(begin + _STEP, until)
        yield from store.stats.between(begin, end)
        begin = end


def _hours(sums: dict[str, _Sum], first: datetime, until: datetime) -> Iterator[EndedRow]:
    hour = hour_of(first)
    while hour < until:
        name = _name(hour)
        counted = min(hour + _HOUR, until) - max(hour, first)
        yield sums.get(name, _Sum()).row(name, counted.total_seconds())
        hour += _HOUR


def _name(moment: datetime) -> str:
    return f"{to_text(moment)[:13].replace(' ', 'T')}:00Z"


def _total(row: EndedRow) -> int:
    return row.complete + row.failed + row.retried + row.canceled
