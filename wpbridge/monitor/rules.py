"""The alerting rules: their names, thresholds and texts, each written once.

Prometheus has them in PromQL and `wpbridge watch` as functions of :class:`Facts`. Both compare the
same measure with the same threshold for the same time. ``scripts/docs`` writes Prometheus's file,
wpbridge/deploy/prometheus/rules.yaml, from this table.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.monitor.facts import LEAST_ATTEMPTS, Facts
from wpbridge.telling.metrics import OTHER

Severity: TypeAlias = Literal["critical", "warning"]
"""Critical: work stands still, or nobody knows. It is sent in quiet hours too."""
Unit: TypeAlias = Literal["count", "ratio", "seconds", "bytes"]

_AT_ONCE: Final = timedelta(0)
_MINUTES: Final = timedelta(minutes=1)

MOST_INSTANCES: Final = 50
"""So many hooks are told apart when a rule fires for more of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: it fires when its measure has been above the threshold for some time.

    In texts, ``{value}`` stands for the measure, ``{threshold}`` for the threshold, and ``{of}``
    for the hook or table.
    """

    name: str
    severity: Severity
    measure: Callable[[Facts], Mapping[str, float]]
    """Returns the value of each instance."""
    promql: str
    """The same measure, of the series of :mod:`wpbridge.monitor.recorded`."""
    threshold: float = 0.0
    unit: Unit = "count"
    """Of the measure and the threshold."""
    lasting: timedelta = _AT_ONCE
    """For how long it must be above the threshold before it fires."""
    of: Literal["", "hook", "table"] = ""
    """What tells its instances apart; empty where there is one for the whole queue."""
    summary: str
    """What is the case."""
    advice: str
    """What to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One instance of a rule that is above its threshold."""

    rule: Rule
    of: str
    """The hook or the table; empty for the whole queue."""
    value: float
    threshold: float


def evaluate(facts: Facts, thresholds: Mapping[str, float | None] | None = None) -> list[Firing]:
    """Return what is above its threshold.

    Args:
        facts: what is known.
        thresholds: by name of a rule, in place of its own threshold. None switches the rule off.
    """
    found = []
    for rule in RULES.values():
        threshold = (thresholds or {}).get(rule.name, rule.threshold)
        if threshold is not None:
            values = rule.measure(facts).items()
            above = {of: value for of, value in values if value > threshold}
            found += [
                Firing(rule=rule, of=of, value=value, threshold=threshold)
                for of, value in _bounded(above).items()
            ]
    return found


def _bounded(above: Mapping[str, float]) -> dict[str, float]:
    """Return not too many instances. The others are one together, with the highest value."""
    names = sorted(above)
    found = {name: above[name] for name in names[:MOST_INSTANCES]}
    if rest := names[MOST_INSTANCES:]:
        found[OTHER] = max(above[name] for name in rest)
    return found


_RULES: Final = (
    Rule(
        name="NoRunner",
        severity="critical",
        measure=Facts.seconds_without_runner,
        # Without any sign of a runner the time is infinite: no data is not all well.
        promql=(
            "(time() - wpbridge:last_run_timestamp_seconds:max"
            " or wpbridge:due_actions:sum * 0 + Inf)"
            " and on (site) wpbridge:due_actions:sum > 0"
        ),
        threshold=300,
        unit="seconds",
        lasting=2 * _MINUTES,
        summary="Actions are due, and no runner has given a sign for more than {threshold}.",
        advice=(
            "Look whether the daemon or the cron job runs (`wpbridge status` lists the runners),"
            " and start it again. `wpbridge doctor` says what keeps it from starting."
        ),
    ),
    Rule(
        name="Backlog",
        severity="warning",
        measure=Facts.oldest_due_seconds,
        promql="wpbridge:oldest_due_age_seconds:max",
        threshold=600,
        unit="seconds",
        lasting=10 * _MINUTES,
        summary="The oldest due action has been due for {value}.",
        advice=(
            "Run `wpbridge advise`: it says whether more workers help, or what holds the work up."
            " `wpbridge explain ID` says why one action does not run."
        ),
    ),
    Rule(
        name="FailRatio",
        severity="warning",
        measure=Facts.failed_ratios,
        promql="wpbridge:actions_failed:increase15m / wpbridge:actions_ended:increase15m",
        threshold=0.05,
        unit="ratio",
        of="hook",
        summary="{value} of the actions of the hook {of} that ended in 15 minutes failed.",
        advice=(
            "Run `wpbridge failures` to see why. When the cause is gone, `wpbridge requeue` runs"
            " the failed actions once more."
        ),
    ),
    Rule(
        name="StuckRunning",
        severity="warning",
        measure=Facts.running_longest_seconds,
        promql="wpbridge:running_longest_seconds:max",
        threshold=3600,
        unit="seconds",
        lasting=5 * _MINUTES,
        summary="An action has been running for {value}.",
        advice=(
            "Find it with `wpbridge list --status in-progress`. If it hangs, give its hook a time"
            " limit; if it may take so long, raise the threshold of this rule."
        ),
    ),
    Rule(
        name="RetryStorm",
        severity="warning",
        measure=Facts.retried_ratios,
        promql=(
            "wpbridge:actions_retried:increase15m / wpbridge:attempts:increase15m"
            f" and wpbridge:attempts:increase15m >= {LEAST_ATTEMPTS}"
        ),
        threshold=0.5,
        unit="ratio",
        lasting=5 * _MINUTES,
        of="hook",
        summary="{value} of the attempts of the hook {of} in 15 minutes are tried again.",
        advice=(
            "Something that the hook needs is probably away. Pause the hook with `wpbridge pause"
            " --hook` until it is back, or let `pause_after` of [[limits]] do it."
        ),
    ),
    Rule(
        name="ClaimSlow",
        severity="warning",
        measure=Facts.claim_p99_seconds,
        promql="wpbridge:claim_duration_seconds:p99",
        threshold=0.25,
        unit="seconds",
        lasting=10 * _MINUTES,
        summary="One claim in a hundred takes longer than {value}.",
        advice=(
            "The database is the limit: more workers make it worse. Run `wpbridge doctor`, and see"
            " `wpbridge migrate index`."
        ),
    ),
    Rule(
        name="DBErrors",
        severity="warning",
        measure=Facts.db_errors,
        promql="wpbridge:db_errors:increase15m",
        threshold=10,
        summary="The database refused {value} statements of runners in 15 minutes.",
        advice=(
            "Look at the log of the runners and of the database server: it may be restarting, full"
            " or out of connections. `wpbridge doctor` looks at the rights and the tables."
        ),
    ),
    Rule(
        name="TableGrowth",
        severity="warning",
        measure=Facts.bytes_a_week,
        promql=(
            "predict_linear(wpbridge:table_bytes:max[7d], 604800) - wpbridge:table_bytes:max"
            " and wpbridge:table_bytes:max offset 1d"
        ),
        threshold=5e9,
        unit="bytes",
        lasting=60 * _MINUTES,
        of="table",
        summary="The table {of} grows by {value} in a week.",
        advice=(
            "Delete what ended long ago (`wpbridge clean`, [[retention]]), or move it into files"
            " with `wpbridge migrate archive`."
        ),
    ),
    Rule(
        name="RecurringStopped",
        severity="warning",
        measure=Facts.recurring_stopped,
        promql="wpbridge:recurring_stopped:max",
        lasting=5 * _MINUTES,
        summary="{value} recurring actions failed and have no next run.",
        advice=(
            "Run `wpbridge doctor`: it names them. `wpbridge requeue ID` starts such a chain again."
        ),
    ),
    Rule(
        name="ExporterDown",
        severity="critical",
        measure=Facts.unread,
        # In this order: the tables could not be read, a target is down, a site that was there an
        # hour ago is away, there is no site at all, the file of a cron job is old.
        promql=(
            "1 - wpbridge:scrape_success:max"
            ' or 1 - up{job="wpbridge"}'
            " or (wpbridge:scrape_success:max offset 1h * 0 + 1"
            " unless wpbridge:scrape_success:max)"
            ' or (absent(wpbridge_scrape_success) unless on () up{job="wpbridge"} == 0)'
            " or (time() - node_textfile_mtime_seconds"
            '{file=~"(.*/)?wpbridge[^/]*[.]prom"} > 900)'
        ),
        lasting=2 * _MINUTES,
        summary="Nobody knows how the queue stands: its numbers cannot be read.",
        advice=(
            "Look whether the database answers (`wpbridge check`), and whether the daemon or the"
            " exporter runs. Until then no other rule can say anything."
        ),
    ),
    Rule(
        name="CallbacksFailing",
        severity="warning",
        measure=Facts.callbacks_given_up,
        promql="wpbridge:callbacks_given_up:increase1h",
        summary="{value} callbacks of jobs were given up in the last hour.",
        advice=(
            "Their receiver does not answer, or refuses them. Run `wpbridge failures --hook"
            " wpbridge_callback` to see why, and `wpbridge requeue` when it is mended."
        ),
    ),
    Rule(
        name="WorkersTooFew",
        severity="warning",
        measure=Facts.workers_missing,
        promql=(
            "wpbridge:workers_advised:max - on (site)"
            ' sum by (site) (wpbridge:workers:sum{state=~"busy|idle"})'
        ),
        lasting=15 * _MINUTES,
        summary="The queue needs {value} more workers than there are.",
        advice=(
            "Run `wpbridge advise` for the reason, and raise --concurrency or --processes of"
            " `wpbridge work`."
        ),
    ),
)
RULES: Final[Mapping[str, Rule]] = {rule.name: rule for rule in _RULES}
"""By name."""
