"""The page of metrics: what ended when, how the tables grow, and what the next cleaning deletes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final

from wpbridge.action import Status
from wpbridge.dashboard.past import Past, Period, begin_of, heat_of, past_of
from wpbridge.dataclass import dataclass
from wpbridge.monitor.ended import hour_of
from wpbridge.monitor.growth import WEEK, growth_of
from wpbridge.patterns import is_pattern
from wpbridge.site.rules import Keep
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.summed_stats import NameSum
from wpbridge.store.rows.sizes import Size
from wpbridge.upkeep.cleanup import PLUGIN_STATUSES, expiries

HEAT_TIME: Final = timedelta(days=28)
"""The heat map shows whole weeks."""
AHEAD: Final = timedelta(days=30)
"""So far ahead the sizes of the tables are told."""
CAP: Final = 100_000
"""Rows that are to be deleted are counted up to this number, of each status and rule."""
MOST: Final = 10
"""So many hooks are shown as the slowest, and as those that fail most."""
_TIMES: Final = {
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFigures:
    """What ended of one hook within the period."""

    hook: str
    actions: int
    failed: int
    failure_share: float | None
    """Of those that completed or failed."""
    duration_seconds: float | None
    """On average, as the wait."""
    wait_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableForecast:
    """How large a table is, and how large it will be by the growth of the last week."""

    table: str
    rows: int | None
    """As the server estimates them; None where it does not."""
    bytes: int
    week_bytes: float | None
    """The growth in a week; None where not enough is known."""
    later_bytes: float | None
    """The size after :data:`AHEAD`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """What the next cleaning deletes."""

    by: str
    """``wpbridge`` or ``plugin``: who cleans this site."""
    rows: Mapping[str, int] | None
    """By status; None where rules name patterns and there are too many hooks to look through."""
    is_capped: bool
    """Whether a number was counted up to :data:`CAP` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Everything that the page of metrics shows."""

    past: Past
    heat: tuple[tuple[float | None, ...], ...]
    slowest: tuple[HookFigures, ...]
    failing: tuple[HookFigures, ...]
    tables: tuple[TableForecast, ...]
    sizes: tuple[Size, ...]
    """Of the last week, hour by hour."""
    cleaning: Cleaning


def measures_of(
    store: OpenStore,
    now: datetime,
    *,
    period: Period,
    zone: tzinfo,
    retention: Sequence[Keep] = (),
    cleans: bool = False,
) -> Measures:
    """Return what the page of metrics shows.

    Args:
        store: the site's.
        now: aware.
        period: of the history.
        zone: in which days begin.
        retention: the rules of the settings.
        cleans: wpbridge cleans here, and not the plugin alone.
    """
    hooks = [figures(one) for one in store.summed.hooks(now - _TIMES[period], now)]
    slow = [one for one in hooks if one.duration_seconds]
    failing = [one for one in hooks if one.failed]
    sizes = store.sizes.since(now - WEEK)
    week = hour_of(now - HEAT_TIME)
    hours = store.summed.hours(min(week, begin_of(now, period, zone)), now)
    first = store.stats.first()
    return Measures(
        past=past_of(store, now, period, zone, read=hours),
        heat=heat_of(hours, now if first is None else max(first, week), now, zone),
        slowest=tuple(sorted(slow, key=lambda one: -(one.duration_seconds or 0))[:MOST]),
        failing=tuple(sorted(failing, key=lambda one: (-one.failed, one.hook))[:MOST]),
        tables=_forecast(store, sizes),
        sizes=tuple(sizes),
        cleaning=_cleaning(store, now, retention if cleans else (), cleans=cleans),
    )


def figures(told: NameSum) -> HookFigures:
    """Return the figures of a hook or a group from its sums."""
    failed, complete = told.endings["failed"], told.endings["complete"]
    return HookFigures(
        hook=told.name,
        actions=told.actions,
        failed=failed,
        failure_share=failed / (failed + complete) if failed + complete else None,
        duration_seconds=told.duration_seconds / told.actions if told.actions else None,
        wait_seconds=told.wait_seconds / told.actions if told.actions else None,
    )


def _forecast(store: OpenStore, sizes: Iterable[Size]) -> tuple[TableForecast, ...]:
    growth = growth_of(sizes)
    found = [
        TableForecast(
            table=name,
            rows=told.rows,
            bytes=told.size,
            week_bytes=growth.get(name),
            later_bytes=_later(told.size, growth.get(name)),
        )
        for name, told in store.gauges.sizes().items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.bytes, one.table)))


def _later(size: int, growth: float | None) -> float | None:
    return None if growth is None else max(0.0, size + growth * (AHEAD / WEEK))


def _cleaning(store: OpenStore, now: datetime, rules: Sequence[Keep], *, cleans: bool) -> Cleaning:
    by = "wpbridge" if cleans else "plugin"
    hooks: Sequence[str] | None = [rule.hook for rule in rules if rule.hook]
    if any(map(is_pattern, hooks or ())):
        hooks = store.reading.hook_names()
    if hooks is None:
        return Cleaning(by=by, rows=None, is_capped=False)
    statuses: tuple[Status, ...] = PLUGIN_STATUSES
    if store.adding.is_since_4():
        statuses = (*statuses, Status.FAILED)
    rows: dict[str, int] = {}
    is_capped = False
    for expiry in expiries(rules, now=now, hooks=hooks, statuses=statuses):
        count = store.retention.count_up_to(expiry, CAP)
        is_capped = is_capped or count == CAP
        rows[expiry.status.value] = rows.get(expiry.status.value, 0) + count
    return Cleaning(by=by, rows=rows, is_capped=is_capped)
