"""What ended within a time, slot by slot, as charts show it: from wpbridge's statistics."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal, TypeAlias, get_args

from wpbridge.dataclass import dataclass
from wpbridge.monitor.ended import hour_of
from wpbridge.monitor.percentiles import percentile
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.summed_stats import ALL, Buckets, HourSum, Part
from wpbridge.telling.counting import ENDINGS
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

Period: TypeAlias = Literal["24h", "7d", "30d", "90d"]
PERIODS: Final[tuple[Period, ...]] = get_args(Period)
_HOURS: Final = {"24h": 24, "7d": 7 * 24}
"""The periods that are shown by hour. The others are shown by day."""
_DAYS: Final = {"30d": 30, "90d": 90}
_HOUR: Final = timedelta(hours=1)
WEEK_DAYS: Final = 7
DAY_HOURS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """How long attempts took and waited, in seconds; None where nothing is known."""

    duration_p50: float | None = None
    duration_p95: float | None = None
    duration_p99: float | None = None
    wait_p50: float | None = None
    wait_p95: float | None = None
    wait_p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """An hour, or a day of the zone."""

    begin: datetime
    """Aware UTC."""
    day: date | None
    """The day that it is; None for an hour."""
    endings: Mapping[str, int] | None
    """By outcome; None before wpbridge began to count."""
    took: Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What ended within a period."""

    period: Period
    slots: tuple[Slot, ...]
    endings: Mapping[str, int]
    """Of all slots together, by outcome."""
    took: Percentiles
    buckets: Buckets
    """Of all slots together."""
    since: datetime | None
    """When counting began, if that was within the period; None for before, or for never."""
    is_counted: bool
    """Whether anything was ever counted."""


def past_of(
    store: OpenStore,
    now: datetime,
    period: Period,
    zone: tzinfo,
    part: Part = ALL,
    *,
    read: Sequence[HourSum] | None = None,
) -> Past:
    """Return what ended within a period up to now, of all hooks or of one hook or group.

    ``read`` are the hours of a longer time, where these were read already.
    """
    places = _places(now, period, zone)
    if read is None:
        hours: Sequence[HourSum] = store.summed.hours(places[0][0], now, part)
    else:
        hours = [hour for hour in read if hour.begin >= hour_of(places[0][0])]
    by_place = _by_place(hours, places, zone)
    hours = [hour for told in by_place.values() for hour in told]
    buckets = store.summed.buckets(hours, part)
    first = store.stats.first()
    slots: list[Slot] = []
    for (begin, day), end in zip(places, [*(at for at, _ in places[1:]), now], strict=True):
        told = by_place.get(day or begin, [])
        is_known = first is not None and end > hour_of(first)
        slots.append(
            Slot(
                begin=begin,
                day=day,
                endings=_endings(told) if is_known else None,
                took=percentiles(buckets.get(hour.begin, Buckets()) for hour in told),
            )
        )
    within = first is not None and first >= places[0][0]
    return Past(
        period=period,
        slots=tuple(slots),
        endings=_endings(hours),
        took=percentiles(buckets.values()),
        buckets=_joined(buckets.values()),
        since=first if within else None,
        is_counted=first is not None,
    )


def begin_of(now: datetime, period: Period, zone: tzinfo) -> datetime:
    """Return when a period begins that ends now."""
    return _places(now, period, zone)[0][0]


def _places(now: datetime, period: Period, zone: tzinfo) -> list[tuple[datetime, date | None]]:
    """Return the beginnings of the slots, with their days where they are days."""
    if period in _HOURS:
        last = hour_of(now.astimezone(UTC))
        return [(last - n * _HOUR, None) for n in range(_HOURS[period] - 1, -1, -1)]
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=n) for n in range(_DAYS[period] - 1, -1, -1)]
    return [(datetime.combine(day, time(), zone).astimezone(UTC), day) for day in days]


def _by_place(
    hours: Iterable[HourSum], places: Sequence[tuple[datetime, date | None]], zone: tzinfo
) -> dict[date | datetime, list[HourSum]]:
    """Sort hours by the slots in which they begin, without those that begin in none."""
    is_by_day = places[0][1] is not None
    wanted = {day or begin for begin, day in places}
    found: dict[date | datetime, list[HourSum]] = {}
    for hour in hours:
        place = hour.begin.astimezone(zone).date() if is_by_day else hour.begin
        if place in wanted:
            found.setdefault(place, []).append(hour)
    return found


def _endings(hours: Iterable[HourSum]) -> dict[str, int]:
    found: dict[str, int] = dict.fromkeys(ENDINGS, 0)
    for hour in hours:
        for outcome, actions in hour.endings.items():
            found[outcome] += actions
    return found


def percentiles(buckets: Iterable[Buckets]) -> Percentiles:
    """Return the percentiles of what lies in buckets."""
    whole = _joined(buckets)
    took = [percentile(share, DURATION_BOUNDS, whole.durations) for share in (0.5, 0.95, 0.99)]
    waited = [percentile(share, WAIT_BOUNDS, whole.waits) for share in (0.5, 0.95, 0.99)]
    return Percentiles(
        duration_p50=took[0],
        duration_p95=took[1],
        duration_p99=took[2],
        wait_p50=waited[0],
        wait_p95=waited[1],
        wait_p99=waited[2],
    )


def _joined(buckets: Iterable[Buckets]) -> Buckets:
    whole = Buckets()
    for one in buckets:
        whole = whole.joined(one)
    return whole


def heat_of(
    hours: Iterable[HourSum], since: datetime, now: datetime, zone: tzinfo
) -> tuple[tuple[float | None, ...], ...]:
    """Return how many actions ended per hour, on average, by weekday and hour of the zone.

    The first row is Monday. None stands for an hour of the week that is not over once since then.
    Each hour that was there counts once: where the clock goes back one is there twice a day, and
    where it goes forward one is left out.
    """
    ended = [[0] * DAY_HOURS for _ in range(WEEK_DAYS)]
    times = [[0] * DAY_HOURS for _ in range(WEEK_DAYS)]
    begin = hour_of(since.astimezone(UTC))
    if begin < since:
        begin += _HOUR
    by_begin = {hour.begin: hour.actions for hour in hours}
    while begin + _HOUR <= now:
        local = begin.astimezone(zone)
        times[local.weekday()][local.hour] += 1
        ended[local.weekday()][local.hour] += by_begin.get(begin, 0)
        begin += _HOUR
    return tuple(
        tuple(count / seen if seen else None for count, seen in zip(*row, strict=True))
        for row in zip(ended, times, strict=True)
    )
