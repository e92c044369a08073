"""What the charts of the dashboard show of the statistics: hours, days of a zone, weeks."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from factories import bucketed
from rows import change
from wpbridge import Queue
from wpbridge.dashboard.measures import measures_of
from wpbridge.dashboard.past import heat_of, past_of
from wpbridge.site.rules import Keep
from wpbridge.store.reading.summed_stats import ALL, HourSum, Part
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")


def count(
    at: datetime, outcome: str = "complete", *, hook: str = "mail", group: int = 0, times: int = 1
) -> Count:
    return Count(
        begin=at,
        hook=hook,
        group_id=group,
        outcome=outcome,
        actions=times,
        duration_seconds=times * 2.0,
        wait_seconds=times * 40.0,
        durations=tuple(times * n for n in bucketed(2.0, DURATION_BOUNDS)),
        waits=tuple(times * n for n in bucketed(40.0, WAIT_BOUNDS)),
    )


def add(store: RunnerStore, *counts: Count) -> None:
    store.parts.own.ensure(store.parts.names.stats)
    store.parts.stats.add(counts)


def test_before_anything_was_counted_nothing_is_known(store: RunnerStore) -> None:
    measures = measures_of(store.parts, NOW, period="90d", zone=BERLIN)
    assert not measures.past.is_counted
    assert {slot.endings for slot in measures.past.slots} == {None}
    assert {value for row in measures.heat for value in row} == {None}
    assert (measures.slowest, measures.failing, measures.sizes) == ((), (), ())


def test_hours_before_counting_began_are_gaps_and_later_ones_are_zeros(store: RunnerStore) -> None:
    add(
        store,
        count(NOW - timedelta(hours=3), times=5),
        count(NOW - timedelta(hours=3), "failed", times=2),
        count(NOW - timedelta(hours=3), "due", hook="", times=99),
        count(NOW - timedelta(minutes=10), "retried", hook="other"),
    )
    past = past_of(store.parts, NOW, "24h", BERLIN)
    assert len(past.slots) == 24
    assert past.slots[-1].begin == NOW.replace(minute=0)
    told = [slot.endings and sum(slot.endings.values()) for slot in past.slots]
    assert told == [None] * 20 + [7, 0, 0, 1]
    assert past.endings == {"complete": 5, "failed": 2, "retried": 1, "canceled": 0}
    assert past.since == NOW - timedelta(hours=3)
    assert (past.slots[20].took.duration_p50, past.slots[21].took.duration_p50) == (1.75, None)
    assert past.took.wait_p50 == 45.0
    of_mail = past_of(store.parts, NOW, "7d", BERLIN, Part(hook="mail"))
    assert len(of_mail.slots) == 168
    assert of_mail.endings["retried"] == 0
    assert of_mail.took.duration_p95 is not None
    assert past_of(store.parts, NOW, "24h", BERLIN, Part(hook="MAIL")).endings["complete"] == 0


@pytest.mark.parametrize("zone", [UTC, BERLIN, KOLKATA, ZoneInfo("Pacific/Apia")])
def test_days_are_those_of_the_zone(store: RunnerStore, zone: tzinfo) -> None:
    at = datetime(2026, 11, 20, 22, 59, tzinfo=UTC)
    add(
        store,
        count(at),
        count(at + timedelta(minutes=1), times=10),
        count(NOW - timedelta(days=60)),
    )
    past = past_of(store.parts, NOW, "30d", zone)
    assert len(past.slots) == 30
    assert past.slots[-1].day == NOW.astimezone(zone).date()
    told = {slot.day: slot.endings["complete"] for slot in past.slots if slot.endings}
    assert len(told) == 30
    assert sum(told.values()) == 11
    assert past.endings["complete"] == 11
    # An hour counts where it begins, also where the zone's day begins within it.
    for minute, times in ((0, 1), (1, 10)):
        begin = (at + timedelta(minutes=minute)).replace(minute=0)
        assert told[begin.astimezone(zone).date()] in (times, 11)
    assert past.since is None


def test_buckets_of_an_hour_are_read_again_when_more_has_ended(store: RunnerStore) -> None:
    add(store, count(NOW - timedelta(hours=5)))
    assert past_of(store.parts, NOW, "24h", UTC).took.duration_p99 == pytest.approx(2.485)
    hours = store.parts.summed.hours(NOW - timedelta(days=1), NOW)
    known = store.parts.summed.buckets(hours)
    add(store, count(NOW - timedelta(hours=5), times=3), count(NOW - timedelta(hours=2)))
    hours = store.parts.summed.hours(NOW - timedelta(days=1), NOW)
    read = store.parts.summed.buckets(hours)
    assert [sum(read[hour.begin].durations) for hour in hours] == [4, 1]
    assert [sum(one.durations) for one in known.values()] == [1]
    # What is known and did not change is not asked for: the rows may be damaged meanwhile.
    change(store, "UPDATE wp_wpbridge_stats SET durations = 'x'")
    assert store.parts.summed.buckets(hours, ALL) == read
    damaged = store.parts.summed.buckets(hours, Part(hook="mail"))
    assert [sum(one.durations) for one in damaged.values()] == [0, 0]


def test_groups_have_a_past_of_their_own(store: RunnerStore) -> None:
    shop = store.parts.groups.ensure("shop")
    add(store, count(NOW, group=shop, times=3), count(NOW, times=2))
    for slug, times in (("shop", 3), ("", 2), ("none", 0)):
        past = past_of(store.parts, NOW + timedelta(minutes=1), "24h", UTC, Part(group=slug))
        assert past.endings["complete"] == times, slug
    told = {
        one.name: one.actions
        for one in store.parts.summed.groups(NOW - timedelta(days=1), NOW + timedelta(hours=1))
    }
    assert told == {"shop": 3, "": 2}


def hour(at: str, actions: int) -> HourSum:
    return HourSum(datetime.fromisoformat(at), {"complete": actions}, 0.0, 0.0)


def test_the_hour_that_is_there_twice_counts_as_two() -> None:
    """In Berlin, 2026-10-25 has 02:00 twice: at 00:00Z and at 01:00Z."""
    hours = [hour("2026-10-25T00:00+00:00", 6), hour("2026-10-25T01:00+00:00", 2)]
    since, until = datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
    week = heat_of(hours, since, until, BERLIN)
    sunday = week[6]
    assert sunday[2] == 4.0
    assert sunday[1] == 0.0
    assert all(value == 0.0 for place, value in enumerate(sunday) if place != 2)
    assert all(value is None for row in week[:6] for value in row)


def test_the_hour_that_is_left_out_is_not_known() -> None:
    """In Berlin, 2026-03-29 has no 02:00: 01:00Z is 03:00."""
    since, until = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)
    week = heat_of([hour("2026-03-29T01:00+00:00", 9)], since, until, BERLIN)
    assert week[6][2] is None
    assert week[6][3] == 9.0
    assert sum(value is not None for value in week[6]) == 23


def test_half_hours_of_a_zone_go_by_where_the_hour_begins() -> None:
    since = datetime(2026, 11, 23, 0, tzinfo=UTC)
    week = heat_of([hour("2026-11-23T09:00+00:00", 7)], since, since + timedelta(days=7), KOLKATA)
    assert week[0][14] == 7.0
    assert sum(value or 0 for row in week for value in row) == 7.0


def test_an_hour_that_is_not_over_is_left_out_of_the_week() -> None:
    week = heat_of([], NOW - timedelta(hours=2), NOW, UTC)
    assert [place for row in week for place, value in enumerate(row) if value is not None] == [11]


def test_the_slowest_and_those_that_fail_most(store: RunnerStore) -> None:
    at = NOW - timedelta(hours=1)
    add(store, count(at, times=9), count(at, "failed"), count(at, "failed", hook="pay", times=4))
    measures = measures_of(store.parts, NOW, period="24h", zone=UTC)
    assert [(one.hook, one.failed, one.failure_share) for one in measures.failing] == [
        ("pay", 4, 1.0),
        ("mail", 1, 0.1),
    ]
    assert [one.duration_seconds for one in measures.slowest] == [2.0, 2.0]


def test_growth_of_a_week_says_what_comes(store: RunnerStore) -> None:
    store.parts.own.ensure(store.parts.names.stats)
    names = list(store.parts.gauges.sizes())
    table = names[0]
    assert all(
        one.week_bytes is None
        for one in measures_of(store.parts, NOW, period="24h", zone=UTC).tables
    )
    for hours in range(100):
        at = NOW - timedelta(hours=100 - hours)
        store.parts.sizes.note(at, {table: 10**9 + hours * 10**6})
    measures = measures_of(store.parts, NOW, period="24h", zone=UTC)
    grown = next(one for one in measures.tables if one.table == table)
    assert grown.week_bytes == pytest.approx(168e6, rel=0.01)
    assert grown.later_bytes == pytest.approx(grown.bytes + 720e6, rel=0.01)
    assert len(measures.sizes) == 100


def test_the_next_cleaning_is_counted_by_the_rules(queue: Queue, store: RunnerStore) -> None:
    old, older = "2026-10-20 00:00:00", "2026-08-01 00:00:00"
    for hook, status, at in (
        ("mail", "complete", old),
        ("pay", "complete", old),
        ("pay", "canceled", older),
        ("pay", "failed", older),
        ("pay", "complete", "2026-11-23 00:00:00"),
    ):
        action = queue.schedule_single(NOW, hook)
        change(
            store,
            "UPDATE wp_actionscheduler_actions SET status = :status, last_attempt_gmt = :at WHERE action_id = :id",
            status=status,
            at=at,
            id=action,
        )
    plain = measures_of(store.parts, NOW, period="24h", zone=UTC).cleaning
    assert plain.by == "plugin"
    assert plain.rows is not None
    assert {k: v for k, v in plain.rows.items() if k != "failed"} == {"complete": 2, "canceled": 1}
    rules = [
        Keep(hook="pay", keep=None),
        Keep(hook="ma*", status="complete", keep=timedelta(days=40)),
    ]
    ruled = measures_of(
        store.parts, NOW, period="24h", zone=UTC, retention=rules, cleans=True
    ).cleaning
    assert (ruled.by, ruled.is_capped) == ("wpbridge", False)
    assert ruled.rows is not None
    assert ruled.rows["complete"] == 0
    short = [Keep(status="complete", keep=timedelta(hours=1))]
    ruled = measures_of(
        store.parts, NOW, period="24h", zone=UTC, retention=short, cleans=True
    ).cleaning
    assert ruled.rows is not None
    assert ruled.rows["complete"] == 3


def test_long_times_are_summed_up_step_by_step(store: RunnerStore) -> None:
    """Minutes and hours of ninety days: each is counted once, wherever a step ends."""
    every = [NOW - timedelta(hours=7 * n, minutes=n % 60) for n in range(300)]
    add(store, *(count(at.replace(second=0)) for at in every))
    since = NOW - timedelta(days=90)
    hours = store.parts.summed.hours(since, NOW + timedelta(minutes=1))
    assert sum(one.actions for one in hours) == 300
    assert sorted({one.begin for one in hours}) == [one.begin for one in hours]
    [mail] = store.parts.summed.hooks(since, NOW + timedelta(minutes=1))
    assert (mail.actions, mail.duration_seconds) == (300, 600.0)
    buckets = store.parts.summed.buckets(hours)
    assert sum(sum(one.waits) for one in buckets.values()) == 300
