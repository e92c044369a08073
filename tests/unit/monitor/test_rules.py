"""What the rules say of facts, and what people give them as thresholds."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from factories import NOW
from well import ADVICE, HISTORY, READINGS
from wpbridge.action import CALLBACK_HOOK
from wpbridge.errors import ConfigError
from wpbridge.monitor.facts import Facts
from wpbridge.monitor.growth import growth_of
from wpbridge.monitor.history import Ended
from wpbridge.monitor.rule_texts import shown, summary, title
from wpbridge.monitor.rules import MOST_INSTANCES, RULES, Firing, evaluate
from wpbridge.monitor.thresholds import thresholds_of
from wpbridge.store.rows.sizes import Size


def reading(**values: Any) -> Facts:
    return Facts(at=NOW, readings=replace(READINGS, **values))


def ended(window: str, **hooks: Ended) -> Facts:
    return Facts(at=NOW, readings=READINGS, **{window: replace(HISTORY, hooks=hooks)})  # type: ignore[arg-type]


def history(window: str, **values: Any) -> Facts:
    return Facts(at=NOW, readings=READINGS, **{window: replace(HISTORY, **values)})  # type: ignore[arg-type]


def advised(**values: Any) -> Facts:
    return Facts(at=NOW, readings=READINGS, advice=replace(ADVICE, **values))


def ago(seconds: float) -> dict[str, Any]:
    return {"php": NOW - timedelta(seconds=seconds)}


NONE = Facts(at=NOW, readings=None)
CASES: Mapping[str, tuple[Mapping[str, Facts], list[Facts]]] = {
    "NoRunner": (
        {"": reading(due=1, last_run=ago(301))},
        [
            reading(due=1, last_run=ago(299)),
            reading(due=0, last_run=ago(9999)),
            reading(due=1, last_run={**ago(9999), "wpbridge": NOW}),
        ],
    ),
    "Backlog": (
        {"": reading(oldest_due_seconds={"": 3.0, "mail": 601.0})},
        [reading(oldest_due_seconds={"": 600.0}), reading()],
    ),
    "FailRatio": (
        {"mail": ended("quarter_hour", mail=Ended(failed=6, complete=94), sync=Ended(complete=1))},
        [ended("quarter_hour", mail=Ended(failed=5, complete=95)), ended("quarter_hour")],
    ),
    "StuckRunning": (
        {"": reading(running_longest_seconds=3601)},
        [reading(running_longest_seconds=3600)],
    ),
    "RetryStorm": (
        {"mail": ended("quarter_hour", mail=Ended(retried=11, complete=9))},
        [
            ended("quarter_hour", mail=Ended(retried=19)),
            ended("quarter_hour", mail=Ended(retried=50, complete=50)),
        ],
    ),
    "ClaimSlow": (
        {"": history("five_minutes", claim_p99_seconds=0.3)},
        [
            history("five_minutes", claim_p99_seconds=0.25),
            history("five_minutes", claim_p99_seconds=None),
            history("five_minutes", claim_p99_seconds=math.nan),
        ],
    ),
    "DBErrors": (
        {"": history("quarter_hour", db_errors=11)},
        [history("quarter_hour", db_errors=10)],
    ),
    "TableGrowth": (
        {"wp_logs": Facts(at=NOW, readings=READINGS, growth={"wp_logs": 6e9, "wp_actions": 1.0})},
        [Facts(at=NOW, readings=READINGS, growth={"wp_logs": -6e9})],
    ),
    "RecurringStopped": ({"": reading(recurring_stopped=1)}, [reading()]),
    "ExporterDown": ({"": NONE}, [reading()]),
    "CallbacksFailing": (
        {"": ended("callbacks", **{CALLBACK_HOOK: Ended(failed=1)})},
        [
            ended("callbacks", **{CALLBACK_HOOK: Ended(complete=9, retried=9)}),
            ended("callbacks", mail=Ended(failed=1)),
        ],
    ),
    "WorkersTooFew": (
        {"": advised(workers_advised=5)},
        [advised(workers_advised=3), advised(workers_advised=9, workers_now=0)],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_fires_and_is_silent(rule: str) -> None:
    firing, silent = CASES[rule]
    for of, facts in firing.items():
        found = [one for one in evaluate(facts) if one.rule.name == rule]
        assert [one.of for one in found] == [of]
        assert "{" not in summary(found[0])
    for facts in silent:
        assert [one for one in evaluate(facts) if one.rule.name == rule] == []


def test_where_nothing_can_be_read_only_that_fires() -> None:
    assert [one.rule.name for one in evaluate(NONE)] == ["ExporterDown"]


def test_a_queue_that_no_runner_ever_came_to_has_none() -> None:
    [found] = evaluate(reading(due=1))
    assert (found.rule.name, summary(found)) == (
        "NoRunner",
        "Actions are due, and no runner has given a sign for more than 5 min.",
    )


def test_words() -> None:
    assert [shown(0.0725, "ratio"), shown(1234, "count"), shown(5.4e9, "bytes")] == [
        "7.25 %",
        "1,234",
        "5.4 GB",
    ]
    assert [shown(s, "seconds") for s in (0.25, 90, 7200, 200_000)] == [
        "0.25 s",
        "1.5 min",
        "2 h",
        "2.31 d",
    ]
    rule = RULES["FailRatio"]
    assert title(rule, "mail") == "FailRatio (mail)"
    # A hook may have braces in its name.
    odd = Firing(rule=rule, of="{value}", value=1.0, threshold=0.05)
    assert summary(odd).startswith("100 % of the actions of the hook {value} ")


def test_growth_is_the_line_of_a_week() -> None:
    hours = [
        Size(NOW + timedelta(hours=hour), table, size)
        for hour in range(49)
        for table, size in (("logs", 1000 * hour), ("claims", 5))
    ]
    found = growth_of([*hours, Size(NOW, "new", 1), Size(NOW + timedelta(hours=23), "new", 9**9)])
    assert found == {"logs": pytest.approx(168_000), "claims": 0}


def test_thresholds_are_read_by_their_rules_unit() -> None:
    assert thresholds_of(
        {
            "Backlog": "30m",
            "NoRunner": 60,
            "FailRatio": "20%",
            "RetryStorm": 0.9,
            "TableGrowth": "20GB",
            "DBErrors": 100,
            "ClaimSlow": False,
        }
    ) == {
        "Backlog": 1800,
        "NoRunner": 60,
        "FailRatio": 0.2,
        "RetryStorm": 0.9,
        "TableGrowth": 20e9,
        "DBErrors": 100,
        "ClaimSlow": None,
    }
    assert evaluate(NONE, {"ExporterDown": None}) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Bcklog", "30m", "there is no rule Bcklog; there are NoRunner, Backlog"),
        ("Backlog", "soon", 'expects a time such as 90, "10m" or "1h30m", not \'soon\''),
        ("FailRatio", "-5%", 'expects a part such as "5%" or 0.05'),
        ("TableGrowth", "5 apples", 'expects a size such as "5GB"'),
        ("DBErrors", "nan", "expects a number such as 10"),
    ],
)
def test_what_is_no_threshold_is_refused(name: str, value: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        thresholds_of({name: value, "NoRunner": "x"})
    assert told in error.value.faults[0]
    assert len(error.value.faults) == 2


def test_more_hooks_than_can_be_told_apart_are_one() -> None:
    hooks = {f"h{number:05}": Ended(failed=1, complete=number) for number in range(10_000)}
    found = evaluate(ended("quarter_hour", **hooks), {"FailRatio": 0.0})
    assert len(found) == MOST_INSTANCES + 1
    assert (found[-1].of, found[-1].value) == ("other", 1 / (MOST_INSTANCES + 1))
