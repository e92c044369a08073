"""One line for monitoring plugins: a state, what is wrong, and the numbers with their thresholds.

https://www.monitoring-plugins.org/doc/guidelines.html describes the form. The thresholds are those
of the alerting rules, unless others are given. It looks at this moment alone: for how long
something must last is for the monitoring to say.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from wpbridge.errors import InputError
from wpbridge.monitor.facts import Facts
from wpbridge.monitor.rule_texts import shown, summary
from wpbridge.monitor.rules import RULES, Firing, Rule, Unit
from wpbridge.monitor.thresholds import expected, threshold_of
from wpbridge.telling.words import plural

MOST_SAID: Final = 10
"""So many things that are wrong are named."""


class State(IntEnum):
    """The exit codes of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Measure(NamedTuple):
    """One number of the line."""

    of: Callable[[Facts], Mapping[str, float]]
    unit: Unit
    rule: Rule | None = None
    """Whose threshold is the default."""


class Bounds(NamedTuple):
    """Above these it is a warning, or critical; None for no bound."""

    warning: float | None = None
    critical: float | None = None


class Report(NamedTuple):
    """What a monitoring plugin says."""

    state: State
    line: str


def _of(name: str) -> Measure:
    rule = RULES[name]
    return Measure(rule.measure, rule.unit, rule)


MEASURES: Final[Mapping[str, Measure]] = {
    "due": Measure(Facts.due, "count"),
    "oldest_due": _of("Backlog"),
    "no_runner": _of("NoRunner"),
    "failed": _of("FailRatio"),
    "retried": _of("RetryStorm"),
    "running": _of("StuckRunning"),
    "claim_p99": _of("ClaimSlow"),
    "db_errors": _of("DBErrors"),
    "recurring_stopped": _of("RecurringStopped"),
    "callbacks_given_up": _of("CallbacksFailing"),
    "workers_missing": _of("WorkersTooFew"),
}
"""By the name that the line and the flags have for them."""
_UNITS: Final[Mapping[Unit, str]] = {"count": "", "ratio": "%", "seconds": "s", "bytes": "B"}


def bounds_of(warning: Iterable[str], critical: Iterable[str]) -> dict[str, Bounds]:
    """Return the bounds of all measures.

    Args:
        warning: texts such as ``oldest_due=10m`` or ``failed=off``.
        critical: the same.

    Raises:
        InputError: one of them names no measure, or no threshold of it.
    """
    found = {}
    for name, measure in MEASURES.items():
        rule = measure.rule
        default = {} if rule is None else {rule.severity: rule.threshold}
        found[name] = Bounds(default.get("warning"), default.get("critical"))
    for flag, told in (("warning", warning), ("critical", critical)):
        for text in told:
            name, bound = _bound(flag, text)
            found[name] = found[name]._replace(**{flag: bound})
    return found


def _bound(flag: str, text: str) -> tuple[str, float | None]:
    name, _, value = text.partition("=")
    measure = MEASURES.get(name)
    if measure is None:
        raise InputError(f"--{flag}: there is no {name}; there are {', '.join(MEASURES)}")
    if value == "off":
        return name, None
    bound = threshold_of(value, measure.unit)
    if bound is None:
        raise InputError(f"--{flag} {name} expects {expected(measure.unit)}, not {value!r}")
    return name, bound


def report(facts: Facts, bounds: Mapping[str, Bounds]) -> Report:
    """Return the state of a queue."""
    state, said, numbers = State.OK, list[tuple[State, str]](), []
    for name, measure in MEASURES.items():
        values = measure.of(facts)
        bound = bounds[name]
        for of, value in values.items():
            level, passed = _level(value, bound)
            if level is not State.OK:
                said.append((level, _words(name, measure, of, value, passed)))
                state = max(state, level)
        if values:
            numbers.append(_number(name, measure.unit, max(values.values()), bound))
    words = [text for level, text in sorted(said, key=lambda one: -one[0])] or [_all_well(facts)]
    if len(words) > MOST_SAID:
        words[MOST_SAID:] = [f"and {len(words) - MOST_SAID} more"]
    text = "; ".join(words).replace("|", "/")
    return Report(state, f"{state.name} - {text}|{' '.join(numbers)}")


def unknown(reason: str) -> Report:
    """Return that nobody knows."""
    text = " ".join(reason.split()).replace("|", "/")
    return Report(State.UNKNOWN, f"{State.UNKNOWN.name} - {text}")


def _level(value: float, bound: Bounds) -> tuple[State, float]:
    if bound.critical is not None and value > bound.critical:
        return State.CRITICAL, bound.critical
    if bound.warning is not None and value > bound.warning:
        return State.WARNING, bound.warning
    return State.OK, 0.0


def _words(name: str, measure: Measure, of: str, value: float, threshold: float) -> str:
    if measure.rule is None:
        return f"{name} is {shown(value, measure.unit)}"
    one = Firing(rule=measure.rule, of=of, value=value, threshold=threshold)
    return summary(one).removesuffix(".")


def _all_well(facts: Facts) -> str:
    if facts.readings is None or not facts.readings.due:
        return "nothing is due"
    oldest = shown(facts.readings.oldest_due, "seconds")
    return f"{plural(facts.readings.due, 'action')} due, the oldest for {oldest}"


def _number(name: str, unit: Unit, value: float, bound: Bounds) -> str:
    scale = 100 if unit == "ratio" else 1
    told = "U" if math.isinf(value) else f"{_digits(value * scale)}{_UNITS[unit]}"
    warning, critical = ("" if b is None else _digits(b * scale) for b in bound)
    return f"{name}={told};{warning};{critical};0"


def _digits(value: float) -> str:
    return f"{value:.15g}" if value == int(value) else f"{value:.3f}"
