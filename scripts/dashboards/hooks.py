"""The board that goes down to single hooks."""

from typing import Final

from dashboards.grafana import COLUMNS, Board, Panel, Query
from dashboards.panels import GROUPS, HOOKS, PER_SECOND, SITES, chart, percentiles
from dashboards.promql import (
    COMPLETED,
    FAILED,
    GROUP,
    HOOK,
    RATE,
    increase,
    mean,
    of_daemons,
    quantile,
    rate,
    share_that_fails,
)

DURATION: Final = "wpbridge_action_duration_seconds"
OF_HOOKS: Final = (GROUP, HOOK)
HOOK_NUMBERS: Final = (
    chart(
        "Started",
        "Attempts that wpbridge begins per second.",
        PER_SECOND,
        (rate("wpbridge_actions_started_total", "hook", where=OF_HOOKS), "{{hook}}"),
    ),
    chart(
        "Completed, by who ran them",
        "What wpbridge's and PHP's own runners complete per second.",
        PER_SECOND,
        (rate(COMPLETED, "hook", "runner", where=OF_HOOKS), "{{hook}} by {{runner}}"),
    ),
    chart(
        "Failed, by reason",
        "What fails per second and is not retried. The reason is a class of errors.",
        PER_SECOND,
        (rate(FAILED, "hook", "reason", where=OF_HOOKS), "{{hook}}: {{reason}}"),
    ),
    chart(
        "Share that fails",
        "Of what ends. A gap means that nothing ended.",
        "percentunit",
        (share_that_fails("hook", within=RATE, where=OF_HOOKS), "{{hook}}"),
    ),
    chart(
        "Retried and canceled",
        "Attempts that run again later, and actions that were canceled, per second.",
        PER_SECOND,
        (rate("wpbridge_actions_retried_total", "hook", where=OF_HOOKS), "{{hook}} retried"),
        (rate("wpbridge_actions_canceled_total", "hook", where=OF_HOOKS), "{{hook}} canceled"),
    ),
    chart(
        "Pairs counted as other",
        "Only the first 200 pairs of hook and group are told apart. These are not.",
        "short",
        (of_daemons("wpbridge_series_dropped_total"), "pairs"),
    ),
)
DURATIONS: Final = (
    percentiles(
        "Duration of the chosen hooks",
        "How long attempts run. The first 40 pairs of hook and outcome are told apart, the rest is"
        " the hook `other`. Groups make no difference here.",
        DURATION,
        (HOOK,),
    ),
    chart(
        "Duration by hook, p95",
        "Of a hundred attempts, five run longer.",
        "s",
        (quantile(0.95, DURATION, "hook", where=(HOOK,)), "{{hook}}"),
    ),
    chart(
        "Average duration by hook and outcome",
        "A gap means that no attempt ended.",
        "s",
        (mean(DURATION, "hook", "outcome", where=(HOOK,)), "{{hook}} {{outcome}}"),
    ),
    chart(
        "Places that hooks occupy",
        "How many actions of a hook run at once, on average.",
        "short",
        (rate(f"{DURATION}_sum", "hook", where=(HOOK,)), "{{hook}}"),
    )._replace(is_stacked=True),
    Panel(
        "Durations",
        "How many attempts ran for how long.",
        "short",
        [Query(increase(f"{DURATION}_bucket", "le", within=RATE, where=(HOOK,)), "{{le}}")],
        "heatmap",
        COLUMNS,
    ),
)
OF_ONE_HOOK: Final = Board(
    "hooks",
    "wpbridge: hooks",
    "What the chosen hooks do: how often they run, fail and are retried, and for how long.",
    (SITES, GROUPS, HOOKS),
    (("Attempts", HOOK_NUMBERS), ("Durations", DURATIONS)),
)
