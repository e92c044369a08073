"""Every metric that wpbridge exposes: its name, kind, meaning and labels, in one table.

The names follow Prometheus: base units, ``_total`` for counters, no host, id or message in a label.
The page docs/reference/metrics.md, the dashboards and the alerting rules are compared with it.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Source: TypeAlias = Literal["runner", "tables", "supervisor", "gateway"]
"""Who knows the number: a runner counts it, the tables show it, the supervisor or the gateway does
itself."""

DURATION_BOUNDS: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)
"""Upper bounds of the buckets of durations, in seconds; one more bucket has what is longer."""
WAIT_BOUNDS: Final = (
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
)
"""The same of waits: the time from an action's date to its start."""


class Metric(NamedTuple):
    """One metric. Its name begins with ``wpbridge_``; each series also has the label ``site``."""

    kind: Kind
    source: Source
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Of a histogram's buckets, in seconds."""


_ACTION: Final = ("group", "hook")
METRICS: Final[Mapping[str, Metric]] = {
    # What runners count.
    "wpbridge_actions_started_total": Metric(
        "counter", "runner", "Attempts that have begun.", _ACTION
    ),
    "wpbridge_actions_completed_total": Metric(
        "counter", "runner", "Actions that completed, by who ran them.", (*_ACTION, "runner")
    ),
    "wpbridge_actions_failed_total": Metric(
        "counter",
        "runner",
        "Actions that failed and are not retried, by who ran them and why.",
        (*_ACTION, "runner", "reason"),
    ),
    "wpbridge_actions_retried_total": Metric(
        "counter", "runner", "Attempts that failed or were put off, and run again.", _ACTION
    ),
    "wpbridge_actions_canceled_total": Metric(
        "counter", "runner", "Actions that their handler or somebody else canceled.", _ACTION
    ),
    "wpbridge_actions_rescued_total": Metric(
        "counter", "runner", "Actions of dead runners, by what became of them.", ("how",)
    ),
    "wpbridge_claims_total": Metric(
        "counter", "runner", "Claims, by whether they found something.", ("result",)
    ),
    "wpbridge_db_errors_total": Metric(
        "counter", "runner", "Errors of the database, by its code.", ("code",)
    ),
    "wpbridge_php_worker_restarts_total": Metric(
        "counter", "runner", "PHP workers that were replaced, by the reason.", ("reason",)
    ),
    "wpbridge_purged_rows_total": Metric(
        "counter", "runner", "Rows that retention has deleted, by table.", ("table",)
    ),
    "wpbridge_callbacks_total": Metric(
        "counter", "runner", "Callbacks of jobs: delivered, tried again, given up.", ("outcome",)
    ),
    "wpbridge_series_dropped_total": Metric(
        "counter", "runner", "Pairs of hook and group that were counted as other."
    ),
    "wpbridge_action_duration_seconds": Metric(
        "histogram",
        "runner",
        "How long attempts ran, by hook and outcome.",
        ("hook", "outcome"),
        DURATION_BOUNDS,
    ),
    "wpbridge_queue_wait_seconds": Metric(
        "histogram", "runner", "From an action's date to its start.", (), WAIT_BOUNDS
    ),
    "wpbridge_claim_duration_seconds": Metric(
        "histogram", "runner", "How long claims took.", (), DURATION_BOUNDS
    ),
    "wpbridge_php_dispatch_seconds": Metric(
        "histogram",
        "runner",
        "From handing an action to a PHP worker to its start there.",
        (),
        DURATION_BOUNDS,
    ),
    # What the supervisor knows.
    "wpbridge_workers": Metric(
        "gauge",
        "supervisor",
        "Places of this daemon at which an action can run: busy, idle, and the most there may be.",
        ("state",),
    ),
    "wpbridge_worker_deaths_total": Metric(
        "counter", "supervisor", "Worker processes that ended without being told to."
    ),
    "wpbridge_site_up": Metric(
        "gauge",
        "supervisor",
        "1 while a daemon for many sites can look at the site and run its process, else 0.",
    ),
    "wpbridge_site_running": Metric(
        "gauge", "supervisor", "1 while the site has a process in a daemon for many sites, else 0."
    ),
    "wpbridge_site_wait_seconds": Metric(
        "gauge", "supervisor", "For how long the site has been waiting for its process."
    ),
    "wpbridge_site_failures": Metric(
        "gauge", "supervisor", "How often in a row a look at the site, or its process, has failed."
    ),
    "wpbridge_site_last_look_timestamp_seconds": Metric(
        "gauge", "supervisor", "When a look at the site last succeeded."
    ),
    "wpbridge_site_runs_total": Metric(
        "counter", "supervisor", "Processes that were started for the site."
    ),
    "wpbridge_site_actions_total": Metric(
        "counter",
        "supervisor",
        "Actions of the site by what its processes have done with them.",
        ("outcome",),
    ),
    "wpbridge_build_info": Metric("gauge", "supervisor", "1, for the version.", ("version",)),
    # What the gateway counts.
    "wpbridge_http_requests_total": Metric(
        "counter", "gateway", "Requests that were answered.", ("route", "method", "code")
    ),
    "wpbridge_http_request_duration_seconds": Metric(
        "histogram",
        "gateway",
        "How long it took until an answer was made; a long poll waits on purpose.",
        ("route", "method"),
        DURATION_BOUNDS,
    ),
    # What the tables show.
    "wpbridge_actions": Metric(
        "gauge", "tables", "Actions by status, counted up to 100,000.", ("status",)
    ),
    "wpbridge_due_actions": Metric(
        "gauge", "tables", "Due actions by group, among the 20,000 oldest.", ("group",)
    ),
    "wpbridge_oldest_due_age_seconds": Metric(
        "gauge", "tables", "For how long the oldest due action of a group has been due.", ("group",)
    ),
    "wpbridge_past_due_actions": Metric(
        "gauge", "tables", "Actions that have been due for a minute or more, up to 100,000."
    ),
    "wpbridge_claims_active": Metric("gauge", "tables", "Claims that hold actions."),
    "wpbridge_running_longest_seconds": Metric(
        "gauge", "tables", "For how long the action has run that runs longest."
    ),
    "wpbridge_table_rows": Metric(
        "gauge", "tables", "Rows of a table, as the server estimates them.", ("table",)
    ),
    "wpbridge_table_bytes": Metric(
        "gauge", "tables", "Bytes of a table with its indexes.", ("table",)
    ),
    "wpbridge_paused": Metric(
        "gauge", "tables", "Pauses in force, by what they pause.", ("scope",)
    ),
    "wpbridge_last_run_timestamp_seconds": Metric(
        "gauge",
        "tables",
        "When a runner of this kind last gave a sign: wpbridge or php.",
        ("runner",),
    ),
    "wpbridge_runners": Metric(
        "gauge", "tables", "Runners of wpbridge that are alive, by the command they are.", ("kind",)
    ),
    "wpbridge_handed_actions": Metric(
        "gauge",
        "tables",
        "Actions handed to Celery that no worker has started yet, by the kind of broker.",
        ("broker",),
    ),
    "wpbridge_recurring_stopped": Metric(
        "gauge", "tables", "Recurring actions that failed and have no next run."
    ),
    "wpbridge_arrivals_per_second": Metric(
        "gauge", "tables", "Actions that became due per second, over the last five minutes."
    ),
    "wpbridge_offered_load": Metric(
        "gauge", "tables", "Arrivals times service time: how many actions would run at once."
    ),
    "wpbridge_workers_advised": Metric(
        "gauge", "tables", "How many places `wpbridge advise` would have."
    ),
    "wpbridge_scrape_success": Metric("gauge", "tables", "1 if the tables could be read, else 0."),
}
"""By name."""

MOST_PAIRS: Final = 200
"""So many pairs of hook and group are told apart; what comes later counts as ``other``."""
MOST_COUNTED: Final = 900
"""So many series have all counters by hook and group together; what comes later is ``other``, too.
A pair has several: of each counter, runner and reason one."""
MOST_DURATIONS: Final = 40
"""So many pairs of hook and outcome have a histogram of their own."""
OTHER: Final = "other"
