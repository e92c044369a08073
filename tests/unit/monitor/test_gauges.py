"""The metrics of the tables: each one is set, nothing unknown is, and there are only so many."""

from datetime import UTC, datetime
from typing import Any

from wpbridge.monitor.advice import Advice
from wpbridge.monitor.gauges import MOST_GROUPS, gauge_numbers
from wpbridge.monitor.history import History
from wpbridge.monitor.readings import Readings
from wpbridge.store.records import Pause
from wpbridge.telling.counting import Tally, What, numbers_of
from wpbridge.telling.exposition import text_of
from wpbridge.telling.metrics import METRICS
from wpbridge.telling.numbers import Numbers, Totals

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OF_TABLES = {name for name, metric in METRICS.items() if metric.source == "tables"}


def reading(**changes: Any) -> Readings:
    values: dict[str, Any] = {
        "at": NOW,
        "took_seconds": 0.1,
        "cap": 100_000,
        "counts": {"pending": 9, "complete": 100_000},
        "due": 7,
        "past_due": 3,
        "due_by_group": {"": 2, "mail": 5},
        "oldest_due_seconds": {"": 30.0, "mail": 90.5},
        "claims": 2,
        "running": {"h": 1},
        "running_longest_seconds": 12.0,
        "table_rows": {"wp_actionscheduler_actions": 1000},
        "table_bytes": {"wp_actionscheduler_actions": 65536},
        "pauses": [Pause(kind="hook", name="h")],
        "last_run": {"wpbridge": NOW, "php": NOW},
        "recurring_stopped": 1,
        "places": 4,
        "runners": {"relay": 1, "celery": 3, "": 1},
        "handed": 12,
    }
    return Readings(**{**values, **changes})


def history(**changes: Any) -> History:
    values: dict[str, Any] = {
        "since": NOW,
        "until": NOW,
        "hooks": {},
        "arrivals_per_second": 2.0,
        "service_seconds": 1.5,
        "claims": 0,
        "claim_p99_seconds": None,
        "db_errors": 0,
        "rescued": 0,
    }
    return History(**{**values, **changes})


ADVICE = Advice(
    workers_now=4,
    workers_advised=5,
    reason="",
    obstacle=None,
    arrivals_per_second=2.0,
    service_seconds=1.5,
    due=7,
    target_wait_seconds=60.0,
)


def names(numbers: Numbers) -> set[str]:
    return {name for name, _ in numbers.values}


def series(numbers: Numbers) -> list[str]:
    lines = text_of(numbers, site="s").decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_every_metric_of_the_tables_is_set_and_no_other() -> None:
    told = gauge_numbers(reading(), ADVICE, history())
    assert names(told) == OF_TABLES
    assert not told.histograms
    for name, labels in told.values:
        assert len(labels) == len(METRICS[name].labels), name


def test_the_values_are_those_of_the_reading() -> None:
    values = gauge_numbers(reading(), ADVICE, history()).values
    expected: dict[tuple[str, tuple[str, ...]], float] = {
        ("wpbridge_scrape_success", ()): 1,
        ("wpbridge_actions", ("pending",)): 9,
        ("wpbridge_actions", ("failed",)): 0,
        ("wpbridge_due_actions", ("mail",)): 5,
        ("wpbridge_oldest_due_age_seconds", ("mail",)): 90.5,
        ("wpbridge_past_due_actions", ()): 3,
        ("wpbridge_paused", ("hook",)): 1,
        ("wpbridge_paused", ("all",)): 0,
        ("wpbridge_last_run_timestamp_seconds", ("php",)): NOW.timestamp(),
        ("wpbridge_arrivals_per_second", ()): 2,
        ("wpbridge_offered_load", ()): 3,
        ("wpbridge_workers_advised", ()): 5,
        ("wpbridge_runners", ("relay",)): 1,
        ("wpbridge_runners", ("celery",)): 3,
        ("wpbridge_runners", ("work",)): 0,
        ("wpbridge_handed_actions", ("other",)): 12,
    }
    assert {key: values[key] for key in expected} == expected


def test_without_a_reading_there_is_one_number_which_says_so() -> None:
    told = gauge_numbers(None, ADVICE, history())
    assert told.values == {("wpbridge_scrape_success", ()): 0}


def test_what_is_not_known_is_left_out() -> None:
    told = gauge_numbers(reading(last_run={}), None, history(arrivals_per_second=None))
    assert OF_TABLES - names(told) == {
        "wpbridge_last_run_timestamp_seconds",
        "wpbridge_arrivals_per_second",
        "wpbridge_offered_load",
        "wpbridge_workers_advised",
    }
    assert ("wpbridge_offered_load", ()) not in gauge_numbers(
        reading(), None, history(service_seconds=None)
    ).values


def test_what_was_handed_over_is_told_where_there_is_a_broker_or_a_relay() -> None:
    values = gauge_numbers(reading(runners={}, handed=0), None, None, broker="redis").values
    assert values["wpbridge_handed_actions", ("redis",)] == 0
    none = gauge_numbers(reading(runners={"work": 1}, handed=0), None, None)
    assert "wpbridge_handed_actions" not in names(none)


def test_where_nothing_is_due_that_is_a_number_too() -> None:
    values = gauge_numbers(reading(due_by_group={}, oldest_due_seconds={}), None, None).values
    assert values["wpbridge_due_actions", ("",)] == 0
    assert values["wpbridge_oldest_due_age_seconds", ("",)] == 0


def test_groups_beyond_the_largest_are_others() -> None:
    due = {f"g{number}": number for number in range(1, 10_001)}
    ages = {slug: float(10_000 - count) for slug, count in due.items()}
    values = gauge_numbers(reading(due_by_group=due, oldest_due_seconds=ages), None, None).values
    told = {labels[0]: v for (name, labels), v in values.items() if name == "wpbridge_due_actions"}
    assert len(told) == MOST_GROUPS + 1
    assert told["g10000"] == 10_000
    assert sum(told.values()) == sum(due.values())
    assert values["wpbridge_oldest_due_age_seconds", ("other",)] == 9_999


def test_ten_thousand_hooks_have_at_most_two_thousand_series() -> None:
    totals = Totals()
    reasons = ("error", "timeout", "crash", "unreadable", "unwritten")
    for number in range(10_000):
        hook, group = f"hook_{number}", f"group_{number % 300}"
        whats = [What(0, hook, group, outcome) for outcome in ("started", "retried", "canceled")]
        for runner in ("wpbridge", "php"):
            whats.append(What(0, hook, group, "complete", runner))
            whats += [What(0, hook, group, "failed", runner, reason) for reason in reasons]
        tallies = {what: Tally() for what in whats}
        for tally in tallies.values():
            tally.add(0.2, 3.0)
        totals.add(numbers_of(tallies))
    due = {f"group_{number}": number for number in range(10_000)}
    counts = {f"status {number}": 1 for number in range(1_000)}
    gauges = gauge_numbers(reading(due_by_group=due, counts=counts), ADVICE, history())
    gauges.join(totals.numbers)
    assert len(series(gauges)) <= 2_000
    # Nothing is lost: what has no series of its own is counted as other.
    completed = [
        v for (n, _), v in gauges.values.items() if n == "wpbridge_actions_completed_total"
    ]
    failed = [v for (n, _), v in gauges.values.items() if n == "wpbridge_actions_failed_total"]
    assert (sum(completed), sum(failed)) == (20_000, 100_000)
