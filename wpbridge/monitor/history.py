"""What ended lately, from ``wpbridge_stats``: rates, failures and percentiles of a time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.monitor.percentiles import percentile
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.stats import Count
from wpbridge.telling.counting import CLAIM, DB_ERROR, ENDINGS, RESCUED
from wpbridge.telling.metrics import DURATION_BOUNDS

DUE: Final = "due"
"""The outcome of samples of how many actions are due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What ended of one hook within a time."""

    complete: int = 0
    failed: int = 0
    retried: int = 0
    canceled: int = 0
    duration_seconds: float = 0.0
    """Of all of them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The last minutes of a queue."""

    since: datetime
    until: datetime
    hooks: Mapping[str, Ended]
    """What ended, by hook."""
    arrivals_per_second: float | None
    """None where no two samples of what is due are known."""
    service_seconds: float | None
    """How long an attempt runs, on average; None where none ended."""
    claims: int
    claim_p99_seconds: float | None
    db_errors: int
    rescued: int


def history_of(store: OpenStore, since: datetime, until: datetime) -> History:
    """Return what the statistics tell of a time.

    Args:
        store: the site's store.
        since: an aware moment. The whole minute counts that it lies in.
        until: an aware moment.
    """
    begin = since.replace(second=0, microsecond=0)
    return history_in(store.stats.between(begin, until), begin, until)


def history_in(counts: Sequence[Count], since: datetime, until: datetime) -> History:
    """Return what these rows of the statistics tell of a time."""
    ended = [count for count in counts if count.outcome in ENDINGS]
    timed = sum(sum(count.durations) for count in ended)
    claims = [count for count in counts if count.outcome == CLAIM]
    return History(
        since=since,
        until=until,
        hooks=_by_hook(ended),
        arrivals_per_second=_arrivals(counts),
        service_seconds=sum(c.duration_seconds for c in ended) / timed if timed else None,
        claims=_actions(claims),
        claim_p99_seconds=percentile(0.99, DURATION_BOUNDS, summed(c.durations for c in claims)),
        db_errors=_actions(c for c in counts if c.outcome == DB_ERROR),
        rescued=_actions(c for c in counts if c.outcome == RESCUED),
    )


def summed(buckets: Iterable[Sequence[int]]) -> list[int]:
    """Return the sums of the buckets of many rows, which have the same bounds."""
    return [sum(column) for column in zip(*buckets, strict=True)] or [0]


def _actions(counts: Iterable[Count]) -> int:
    return sum(count.actions for count in counts)


def _by_hook(ended: Iterable[Count]) -> dict[str, Ended]:
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for count in ended:
        found[count.hook][count.outcome] += count.actions
        found[count.hook]["seconds"] += count.duration_seconds
    return {
        hook: Ended(
            complete=int(told["complete"]),
            failed=int(told["failed"]),
            retried=int(told["retried"]),
            canceled=int(told["canceled"]),
            duration_seconds=told["seconds"],
        )
        for hook, told in found.items()
    }


def _arrivals(counts: Iterable[Count]) -> float | None:
    """Return how many actions became due per second, between the first and the last sample.

    What was due at the end, and was not at the beginning, has come meanwhile; so has what ended.
    """
    samples: dict[datetime, list[Count]] = defaultdict(list)
    ended: dict[datetime, int] = defaultdict(int)
    for count in counts:
        if count.outcome == DUE:
            samples[count.begin].append(count)
        elif count.outcome in ENDINGS:
            ended[count.begin] += count.actions
    if len(samples) <= 1:
        return None
    first, last = min(samples), max(samples)
    became = _mean(samples[last]) - _mean(samples[first])
    became += sum(actions for at, actions in ended.items() if first <= at < last)
    return max(0.0, became / (last - first).total_seconds())


def _mean(samples: Iterable[Count]) -> float:
    """Return how many actions were due; such a row counts its samples where others have seconds."""
    told = list(samples)
    taken = sum(count.duration_seconds for count in told)
    return _actions(told) / taken if taken else 0.0
