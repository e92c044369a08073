"""What the statistics tell of a time: rates, means and percentiles, and None where nothing is."""

import math
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import bucketed
from wpbridge.monitor.history import Ended, history_in
from wpbridge.monitor.percentiles import percentile
from wpbridge.store.rows.stats import Count
from wpbridge.telling.metrics import DURATION_BOUNDS

BEGIN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
UNTIL = BEGIN + timedelta(minutes=5)


def ended(minute: int, outcome: str = "complete", *, hook: str = "h", times: int = 1) -> Count:
    one = bucketed(2.0, DURATION_BOUNDS)
    return Count(
        begin=BEGIN + timedelta(minutes=minute),
        hook=hook,
        group_id=0,
        outcome=outcome,
        actions=times,
        duration_seconds=2.0 * times,
        durations=tuple(times * n for n in one),
    )


def sample(minute: int, due: int, *, samples: int = 1) -> Count:
    return Count(
        begin=BEGIN + timedelta(minutes=minute),
        hook="",
        group_id=0,
        outcome="due",
        actions=due,
        duration_seconds=samples,
    )


def counted(outcome: str, times: int, hook: str = "", took: float | None = None) -> Count:
    return Count(
        begin=BEGIN,
        hook=hook,
        group_id=0,
        outcome=outcome,
        actions=times,
        durations=(0,) * 15
        if took is None
        else tuple(times * n for n in bucketed(took, DURATION_BOUNDS)),
    )


def arrivals(*counts: Count) -> float | None:
    return history_in(counts, BEGIN, UNTIL).arrivals_per_second


def test_of_nothing_nothing_is_known() -> None:
    told = history_in([], BEGIN, UNTIL)
    assert (told.hooks, told.claims, told.db_errors, told.rescued) == ({}, 0, 0, 0)
    assert told.arrivals_per_second is told.service_seconds is told.claim_p99_seconds is None


def test_endings_are_summed_by_hook() -> None:
    rows = [
        ended(0),
        ended(1, times=3),
        ended(1, "failed"),
        ended(2, "retried"),
        ended(2, "canceled", hook="i"),
        sample(0, 5),
        counted("claim", 9, took=0.2),
    ]
    told = history_in(rows, BEGIN, UNTIL)
    assert told.hooks == {
        "h": Ended(complete=4, failed=1, retried=1, duration_seconds=12.0),
        "i": Ended(canceled=1, duration_seconds=2.0),
    }
    assert told.service_seconds == 2.0


def test_attempts_whose_duration_is_not_known_do_not_make_the_others_shorter() -> None:
    assert history_in([ended(0), counted("failed", 9)], BEGIN, UNTIL).service_seconds == 2.0
    assert history_in([counted("failed", 9)], BEGIN, UNTIL).service_seconds is None


def test_samples_and_troubles_are_no_endings() -> None:
    rows = [
        counted("claim", 99, took=0.002),
        counted("claim", 1, took=0.9),
        counted("db_error", 2, "1213"),
        counted("db_error", 1, "2006"),
        counted("rescued", 4),
    ]
    told = history_in(rows, BEGIN, UNTIL)
    assert (told.claims, told.db_errors, told.rescued, told.hooks) == (100, 3, 4, {})
    assert told.claim_p99_seconds == 0.005


def test_arrivals_are_what_ended_and_what_is_due_more() -> None:
    # 100 are due at first and 160 at last, and 60 ended between: 120 came in two minutes.
    assert arrivals(sample(0, 100), ended(0, times=40), ended(1, times=20), sample(2, 160)) == 1.0
    # What ended after the last sample was still due in it.
    assert arrivals(sample(0, 10), sample(1, 70), ended(1, times=40)) == 1.0
    assert arrivals(sample(0, 100), ended(0, "retried", times=60), sample(1, 40)) == 0.0


def test_arrivals_take_the_mean_of_several_samples_and_are_never_below_nothing() -> None:
    assert arrivals(sample(0, 200, samples=2), sample(1, 160)) == 1.0
    # Somebody has deleted what was due.
    assert arrivals(sample(0, 5000), sample(1, 0)) == 0.0


@pytest.mark.parametrize("rows", [(), (sample(0, 10),), (sample(1, 10), sample(1, 20))])
def test_without_two_samples_no_arrivals_are_known(rows: tuple[Count, ...]) -> None:
    assert arrivals(ended(0), *rows) is None


@pytest.mark.parametrize(
    ("share", "counts", "value"),
    [
        (0.5, (0, 0, 0), None),
        (0.5, (4, 0, 0), 0.5),
        (0.0, (0, 4, 0), 1.0),
        (0.5, (0, 4, 0), 2.0),
        (1.0, (0, 4, 0), 3.0),
        (0.5, (2, 2, 0), 1.0),
        (0.75, (2, 2, 0), 2.0),
        (0.5, (2, 0, 2), 1.0),
        (0.51, (2, 0, 2), 3.0),
        (0.99, (0, 0, 7), 3.0),
    ],
)
def test_a_percentile_is_read_within_its_bucket(
    share: float, counts: tuple[int, ...], value: float | None
) -> None:
    assert percentile(share, (1.0, 3.0), counts) == value


@given(st.lists(st.floats(0, 400), min_size=1), st.floats(0, 1))
def test_a_percentile_lies_in_the_bucket_of_the_value_itself(
    values: list[float], share: float
) -> None:
    counts = [0] * (len(DURATION_BOUNDS) + 1)
    for value in values:
        counts[bisect_left(DURATION_BOUNDS, value)] += 1
    found = percentile(share, DURATION_BOUNDS, counts)
    exact = sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
    place = bisect_left(DURATION_BOUNDS, exact)
    assert found is not None
    lower = DURATION_BOUNDS[place - 1] if place else 0.0
    upper = DURATION_BOUNDS[min(place, len(DURATION_BOUNDS) - 1)]
    assert lower - 1e-9 <= found <= upper + 1e-9 or found == DURATION_BOUNDS[-1]
