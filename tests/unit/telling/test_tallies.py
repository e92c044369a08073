"""What is counted is counted once for each reader, and makes so many series and no more."""

import json
import threading

import pytest

from wpbridge.telling.counting import Counter, Tally, What, numbers_of
from wpbridge.telling.exposition import numbers_in, text_of
from wpbridge.telling.metrics import METRICS, MOST_DURATIONS, MOST_PAIRS
from wpbridge.telling.numbers import Numbers, Totals

OUTCOMES = ("complete", "failed", "retried", "canceled")


def test_each_reader_gets_each_thing_once_while_others_count() -> None:
    counter, found = Counter(), {"a": 0, "b": 0}
    readers = {name: counter.reader(name) for name in found}
    over = threading.Event()

    def count() -> None:
        for _ in range(5_000):
            counter.add(What(1, "h", "", "complete"), 0.1, 0.1)
            counter.start("", "h")

    def read(name: str) -> None:
        last = False
        while not last:
            last = over.is_set()
            found[name] += sum(tally.actions for tally in readers[name]().values())

    writing = [threading.Thread(target=count) for _ in range(3)]
    reading = [threading.Thread(target=read, args=(name,)) for name in found]
    for one in (*writing, *reading):
        one.start()
    for one in writing:
        one.join()
    over.set()
    for one in reading:
        one.join()
    assert found == {"a": 30_000, "b": 30_000}


def test_what_a_reader_gives_back_it_gets_again() -> None:
    counter = Counter()
    take = counter.reader("a")
    counter.add(What(1, "h", "", "failed", reason="error"), 1, None)
    told = take()
    assert not take()
    counter.give_back("a", told)
    [(what, tally)] = take().items()
    assert (what.reason, tally.actions, tally.duration_seconds, sum(tally.waits)) == (
        "error",
        1,
        1,
        0,
    )


@pytest.mark.parametrize(
    ("what", "name", "labels"),
    [
        (What(1, "h", "g", "complete"), "actions_completed_total", ("g", "h", "wpbridge")),
        (
            What(1, "h", "g", "failed", "php", "crash"),
            "actions_failed_total",
            ("g", "h", "php", "crash"),
        ),
        (What(1, "h", "g", "retried"), "actions_retried_total", ("g", "h")),
        (What(1, "h", "g", "canceled"), "actions_canceled_total", ("g", "h")),
        (What(0, "", "", "empty"), "claims_total", ("empty",)),
        (What(1, "", "", "claim"), "claims_total", ("claimed",)),
        (What(1, "", "", "db_error", reason="1213"), "db_errors_total", ("1213",)),
        (What(1, "", "", "rescued", reason="retried"), "actions_rescued_total", ("retried",)),
        (What(1, "wpbridge_callback", "", "complete"), "callbacks_total", ("delivered",)),
        (
            What(1, "wpbridge_callback", "", "failed", reason="error"),
            "callbacks_total",
            ("given_up",),
        ),
    ],
)
def test_each_thing_becomes_its_counter(what: What, name: str, labels: tuple[str, ...]) -> None:
    counter = Counter()
    take = counter.reader("a")
    counter.add(what, 0.2)
    assert numbers_of(take()).values[f"wpbridge_{name}", labels] == 1


def a_second_of(hooks: int) -> Numbers:
    counter = Counter()
    take = counter.reader("a")
    for number in range(hooks):
        pair = f"hook{number}", f"group{number % 50}"
        counter.start(*reversed(pair))
        for outcome in OUTCOMES:
            reason = ("error", "crash", "timeout")[number % 3] if outcome == "failed" else ""
            counter.add(What(1, *pair, outcome, reason=reason), 0.1, 0.1)
    return numbers_of(take())


def test_ten_thousand_hooks_make_two_thousand_series_and_lose_no_count() -> None:
    totals = Totals()
    for part in a_second_of(10_000).packed():
        totals.add(Numbers.unpacked(json.loads(json.dumps(part))))
    text = text_of(totals.numbers, site="shop").decode()
    series = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(series) < 2_000
    values = totals.numbers.values
    for outcome in ("started", "completed", "failed", "retried", "canceled"):
        name = f"wpbridge_actions_{outcome}_total"
        assert sum(value for (one, _), value in values.items() if one == name) == 10_000
    counts = [sum(v[1:]) for (n, _), v in totals.numbers.histograms.items() if "duration" in n]
    assert sum(counts) == 40_000
    assert values["wpbridge_series_dropped_total", ()] >= 10_000 - MOST_PAIRS
    pairs = {labels for name, labels in values if name == "wpbridge_actions_retried_total"}
    assert 100 < len(pairs) <= MOST_PAIRS + 1
    assert len([n for n, _ in totals.numbers.histograms if "duration" in n]) <= MOST_DURATIONS + 4
    assert numbers_in(text).values == values


def test_no_part_over_the_link_is_a_long_line() -> None:
    assert max(len(json.dumps(part)) for part in a_second_of(3_000).packed()) < 100_000


@pytest.mark.parametrize(
    "part",
    [
        ["wpbridge_no_such_total", 1],
        ["wpbridge_claims_total", 1],
        ["wpbridge_claims_total", "a", "b", 1],
        ["wpbridge_queue_wait_seconds", [1, 2]],
    ],
)
def test_what_is_no_number_of_ours_is_passed_over(part: list[object]) -> None:
    found = Numbers.unpacked([part, ["wpbridge_claims_total", "empty", 2]])
    assert found.values == {("wpbridge_claims_total", ("empty",)): 2}
    assert not found.histograms


def test_names_and_labels_are_as_prometheus_wants_them() -> None:
    for name, metric in METRICS.items():
        assert name.startswith("wpbridge_")
        assert name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.bounds) == (metric.kind == "histogram")
        assert not {"host", "id", "message", "site", "le"} & set(metric.labels)
        assert list(metric.bounds) == sorted(metric.bounds)


@pytest.mark.parametrize(
    ("seconds", "place"), [(0, 0), (0.005, 0), (0.0051, 1), (300, 13), (301, 14), (1e9, 14)]
)
def test_a_duration_lies_in_the_first_bucket_that_holds_it(seconds: float, place: int) -> None:
    tally = Tally()
    tally.add(seconds, None)
    assert (tally.durations.index(1), sum(tally.durations)) == (place, 1)
