"""The recording rules for Prometheus: what the alerting rules compare with their thresholds."""

from collections.abc import Mapping
from typing import Final

from wpbridge.monitor.facts import CONTENTION


def _increase(metric: str, window: str, by: str) -> str:
    """Return PromQL for how much a counter has grown in a window of time.

    ``increase`` alone does not see the first value of a new series, such as the first failure of a
    hook. A series counts as a whole if it was not there at the beginning of the window, and if
    there were scrapes of its daemon in the window that did not have it yet.
    """
    return (
        f"sum by ({by}) (({metric} unless {metric} offset {window}) and (count_over_time({metric}"
        f"[{window}]) < on (job, instance) group_left sum_over_time(up[{window}]))"
        f" or increase({metric}[{window}]))"
    )


RECORDED: Final[Mapping[str, str]] = {
    # Gauges of the tables are the same wherever they are scraped: the highest one counts.
    "wpbridge:due_actions:sum": "sum by (site) (max by (site, group) (wpbridge_due_actions))",
    "wpbridge:oldest_due_age_seconds:max": "max by (site) (wpbridge_oldest_due_age_seconds)",
    "wpbridge:last_run_timestamp_seconds:max": (
        "max by (site) (wpbridge_last_run_timestamp_seconds)"
    ),
    "wpbridge:running_longest_seconds:max": "max by (site) (wpbridge_running_longest_seconds)",
    "wpbridge:recurring_stopped:max": "max by (site) (wpbridge_recurring_stopped)",
    "wpbridge:table_bytes:max": "max by (site, table) (wpbridge_table_bytes)",
    "wpbridge:workers_advised:max": "max by (site) (wpbridge_workers_advised)",
    "wpbridge:scrape_success:max": "max by (site) (wpbridge_scrape_success)",
    # Each daemon has its own workers and its own counters: these are summed up.
    "wpbridge:workers:sum": (
        "sum by (site, state) (max by (site, state, instance) (wpbridge_workers))"
    ),
    "wpbridge:actions_completed:increase15m": _increase(
        "wpbridge_actions_completed_total", "15m", "site, hook"
    ),
    "wpbridge:actions_failed:increase15m": _increase(
        "wpbridge_actions_failed_total", "15m", "site, hook"
    ),
    "wpbridge:actions_retried:increase15m": _increase(
        "wpbridge_actions_retried_total", "15m", "site, hook"
    ),
    # A hook that has only failed has no series of completed actions.
    "wpbridge:actions_ended:increase15m": (
        "(wpbridge:actions_failed:increase15m + wpbridge:actions_completed:increase15m)"
        " or wpbridge:actions_failed:increase15m or wpbridge:actions_completed:increase15m"
    ),
    "wpbridge:attempts:increase15m": (
        "(wpbridge:actions_ended:increase15m + wpbridge:actions_retried:increase15m)"
        " or wpbridge:actions_retried:increase15m or wpbridge:actions_ended:increase15m"
    ),
    "wpbridge:db_errors:increase15m": _increase(
        f'wpbridge_db_errors_total{{code!~"{CONTENTION}"}}', "15m", "site"
    ),
    "wpbridge:callbacks_given_up:increase1h": _increase(
        'wpbridge_callbacks_total{outcome="given_up"}', "1h", "site"
    ),
    "wpbridge:claim_duration_seconds:p99": (
        "histogram_quantile(0.99,"
        " sum by (site, le) (rate(wpbridge_claim_duration_seconds_bucket[5m])))"
    ),
}
"""The recording rules: names and PromQL, in the order in which Prometheus evaluates them."""
