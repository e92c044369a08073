"""The board with all that tells whether the queue is well."""

from typing import Final

from dashboards.grafana import COLUMNS, Board, Panel, Query
from dashboards.panels import GROUPS, PER_SECOND, SITES, chart, number, percentiles
from dashboards.promql import (
    COMPLETED,
    FAILED,
    GROUP,
    gauge,
    grown,
    of_daemons,
    or_none_counted,
    or_zero,
    rate,
    share_that_fails,
    with_group,
)

ENDINGS: Final = ("completed", "failed", "retried", "canceled")
NOW: Final = (
    number(
        "Due",
        "Actions whose time has come and that wait for a place. It counts to 20,000.",
        "short",
        or_zero(f"sum({gauge('wpbridge_due_actions', 'group', where=(GROUP,))})"),
    ),
    number(
        "Due for a minute or more",
        "Work that waits, of all groups. It counts to 100,000.",
        "short",
        or_zero(gauge("wpbridge_past_due_actions")),
        bad_from=1000,
    ),
    number(
        "Oldest due",
        "For how long the oldest due action has waited.",
        "s",
        or_zero(gauge("wpbridge_oldest_due_age_seconds", where=(GROUP,))),
        bad_from=600,
    ),
    number(
        "Since a runner's last sign",
        "How long ago a runner, wpbridge's or PHP's, last gave a sign.",
        "s",
        f"time() - {gauge('wpbridge_last_run_timestamp_seconds')}",
        bad_from=300,
    ),
    number(
        "Pauses",
        "Pauses in force. What is paused waits until somebody resumes it.",
        "short",
        or_zero(f"sum({gauge('wpbridge_paused', 'scope')})"),
        bad_from=1,
    ),
    number(
        "Tables",
        "1 if the tables can be read. Otherwise their numbers are missing on the boards.",
        "short",
        gauge("wpbridge_scrape_success"),
    )._replace(words=(("1", "readable", "green"), ("0", "not readable", "red"))),
    number(
        "Completed",
        "Actions that complete per second, whoever runs them.",
        PER_SECOND,
        rate(COMPLETED, where=(GROUP,)),
    ),
    number(
        "Failed within an hour",
        "Actions that failed and are not retried.",
        "short",
        or_none_counted(grown(FAILED, within="1h", where=(GROUP,)), within="1h"),
        bad_from=1,
    ),
    number(
        "Share that fails",
        "Of the actions that ended within the last hour.",
        "percentunit",
        share_that_fails(within="1h", where=(GROUP,)),
        bad_from=0.05,
    ),
    number(
        "Recurring, stopped",
        "Recurring actions that failed and have no next run.",
        "short",
        gauge("wpbridge_recurring_stopped"),
        bad_from=1,
    ),
    number(
        "Places",
        "How many actions the daemons that are scraped can run at once.",
        "short",
        of_daemons("wpbridge_workers", where=('state="max"',)),
    ),
    number(
        "Places advised",
        "How many `wpbridge advise` would have.",
        "short",
        gauge("wpbridge_workers_advised"),
    ),
)
BACKLOG: Final = (
    chart(
        "Due actions by group",
        "Among the 20,000 that have been due for longest.",
        "short",
        (with_group(gauge("wpbridge_due_actions", "group", where=(GROUP,))), "{{group}}"),
    ),
    chart(
        "Age of the oldest due action by group",
        "For how long the oldest due action of each group has waited.",
        "s",
        (
            with_group(gauge("wpbridge_oldest_due_age_seconds", "group", where=(GROUP,))),
            "{{group}}",
        ),
    ),
    percentiles(
        "Wait",
        "From an action's date to its start, of the actions that wpbridge ran.",
        "wpbridge_queue_wait_seconds",
    ),
    chart(
        "Advice",
        "How many places there are, how many are busy, and how many are advised. The load is how"
        " many actions would run at once if none had to wait.",
        "short",
        (of_daemons("wpbridge_workers", "state"), "{{state}}"),
        (gauge("wpbridge_workers_advised"), "advised"),
        (gauge("wpbridge_offered_load"), "load"),
    ),
)
THROUGHPUT: Final = (
    chart(
        "Endings",
        "Attempts that end per second, by how they end, whoever runs them.",
        PER_SECOND,
        *((rate(f"wpbridge_actions_{how}_total", where=(GROUP,)), how) for how in ENDINGS),
    )._replace(is_stacked=True),
    chart(
        "Arrivals and endings",
        "If more arrive than end for long, the backlog grows.",
        PER_SECOND,
        (gauge("wpbridge_arrivals_per_second"), "become due"),
        (rate(COMPLETED), "completed"),
        (rate(FAILED), "failed"),
    ),
    chart(
        "Failures by hook",
        "The ten hooks that fail most.",
        PER_SECOND,
        (f"topk(10, {rate(FAILED, 'hook', where=(GROUP,))})", "{{hook}}"),
    ),
    chart(
        "Actions by status",
        "Counted up to 100,000. Endings of long ago are deleted by retention.",
        "short",
        (gauge("wpbridge_actions", "status"), "{{status}}"),
    ),
    chart(
        "Callbacks",
        "Callbacks of jobs: delivered, tried again, and given up.",
        PER_SECOND,
        (rate("wpbridge_callbacks_total", "outcome"), "{{outcome}}"),
    ),
    chart(
        "Rescued actions",
        "Actions of runners that died, by what became of them.",
        PER_SECOND,
        (rate("wpbridge_actions_rescued_total", "how"), "{{how}}"),
    ),
)
ALERTS: Final = Panel(
    "Alerts",
    "Those that fire now, by the rules in prometheus/rules.yaml. Empty is good.",
    "short",
    [
        Query(
            "max by (alertname, severity, hook, table, job, instance) ("
            'ALERTS{alertstate="firing", service="wpbridge", site=~"${site:regex}|"})',
            "firing",
        )
    ],
    "table",
    COLUMNS,
    6,
)
ALL_SITES: Final = Panel(
    "Sites",
    "Every site that is scraped, each with a row.",
    "short",
    [
        Query("sum by (site) (max by (site, group) (wpbridge_due_actions))", "due"),
        Query("max by (site) (wpbridge_oldest_due_age_seconds)", "oldest due, seconds"),
        Query(f"sum by (site) (rate({COMPLETED}[5m]))", "completed a second"),
        Query(f"sum by (site) (increase({FAILED}[1h]))", "failed within an hour"),
        Query("sum by (site) (max by (site, scope) (wpbridge_paused))", "pauses"),
        Query("max by (site) (wpbridge_scrape_success)", "tables readable"),
    ],
    "table",
    COLUMNS,
)
OVERVIEW: Final = Board(
    "overview",
    "wpbridge: overview",
    "What is due, what ends, what fails, how long it waits, and how many workers are advised.",
    (SITES, GROUPS),
    (
        ("Now", (*NOW, ALERTS)),
        ("Backlog", BACKLOG),
        ("Throughput", THROUGHPUT),
        ("All sites", (ALL_SITES,)),
    ),
)
