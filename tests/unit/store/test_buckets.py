"""The pure part of limits: buckets, bursts, and which rule counts."""

from datetime import timedelta

import pytest

from wpbridge.site.rules import Limit, Rate
from wpbridge.store.running.limits import Key, Wanted, burst_of, limits_of, tokens_after

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("count", "per", "burst"),
    [
        (30, MINUTE, 2),
        (600, MINUTE, 21),
        (1, timedelta(days=1), 1),
        (5, timedelta(seconds=1), 5),
        (1, timedelta(seconds=1), 2),
        (3, timedelta(seconds=10), 1),
    ],
)
def test_one_and_two_seconds_worth_may_start_at_once(
    count: int, per: timedelta, burst: int
) -> None:
    assert int(burst_of(Rate(count=count, per=per))) == burst


def test_a_bucket_fills_evenly_up_to_the_burst() -> None:
    rate = Rate(count=600, per=MINUTE)
    assert tokens_after(rate, 0.0, 0.5) == pytest.approx(5.0)
    assert tokens_after(rate, 4.0, 1.0) == pytest.approx(14.0)
    assert tokens_after(rate, 4.0, 3600.0) == pytest.approx(21.0)


def test_a_clock_that_went_back_adds_nothing() -> None:
    assert tokens_after(Rate(count=600, per=MINUTE), 3.0, -3600.0) == pytest.approx(3.0)


@pytest.mark.parametrize("rate", [Rate(count=30, per=MINUTE), Rate(count=7, per=timedelta(days=1))])
def test_no_more_than_the_rate_and_one_burst_start_in_any_span(rate: Rate) -> None:
    step = rate.per.total_seconds() / rate.count / 7
    tokens, starts = burst_of(rate), []
    for moment in range(700):
        tokens = tokens_after(rate, tokens, step if moment else 0.0)
        while tokens >= 1:
            tokens -= 1
            starts.append(moment * step)
    most = max(
        sum(1 for at in starts if first <= at < first + rate.per.total_seconds())
        for first in starts
    )
    assert rate.count <= most <= rate.count + burst_of(rate)


def test_the_first_rule_that_fits_counts_for_hook_and_for_group() -> None:
    one, two = Limit(hook="mail_*", max_concurrency=1), Limit(hook="*", max_concurrency=9)
    none, any_group = Limit(group="", max_concurrency=2), Limit(group="*", max_concurrency=3)
    rules = (one, two, none, any_group)
    assert limits_of(rules, Wanted("mail_all", "")) == {
        Key("hook", "mail_all"): one,
        Key("group", ""): none,
    }
    assert limits_of(rules, Wanted("Mail_all", "g")) == {
        Key("hook", "Mail_all"): two,
        Key("group", "g"): any_group,
    }
    assert limits_of((one,), Wanted("other", "g")) == {}
