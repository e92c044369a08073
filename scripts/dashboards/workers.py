"""The board of what does the work: daemons, PHP workers, and the gateway."""

from typing import Final

from dashboards.grafana import Board
from dashboards.panels import PER_SECOND, SITES, chart, number, percentiles
from dashboards.promql import (
    COMPLETED,
    gauge,
    increase,
    of_daemons,
    or_none_counted,
    or_zero,
    quantile,
    rate,
)

PLACES: Final = "wpbridge_workers"
BUSY: Final = 'state="busy"'
MOST: Final = 'state="max"'
REQUESTS: Final = "wpbridge_http_request_duration_seconds"
NOW: Final = (
    number(
        "Places",
        "How many actions the daemons can run at once.",
        "short",
        of_daemons(PLACES, where=(MOST,)),
    ),
    number(
        "Busy",
        "The share of the places at which an action runs.",
        "percentunit",
        f"{of_daemons(PLACES, where=(BUSY,))} / ({of_daemons(PLACES, where=(MOST,))} > 0)",
    ),
    number(
        "Places advised",
        "How many `wpbridge advise` would have.",
        "short",
        gauge("wpbridge_workers_advised"),
    ),
    number(
        "Deaths within an hour",
        "Worker processes that ended without being told to.",
        "short",
        or_none_counted(increase("wpbridge_worker_deaths_total", within="1h"), within="1h"),
        bad_from=1,
    ),
    number(
        "Runs longest",
        "For how long the action has run that runs longest.",
        "s",
        or_zero(gauge("wpbridge_running_longest_seconds")),
        bad_from=3600,
    ),
    number(
        "Claims held",
        "Claims that hold actions, of all runners.",
        "short",
        or_zero(gauge("wpbridge_claims_active")),
    ),
)
DAEMONS: Final = (
    chart(
        "Places",
        "Places at which an action can run, of all daemons: busy, idle, and the most there may be.",
        "short",
        (of_daemons(PLACES, "state"), "{{state}}"),
        (gauge("wpbridge_workers_advised"), "advised"),
    ),
    chart(
        "Completed, by who ran them",
        "What wpbridge's and PHP's own runners complete per second.",
        PER_SECOND,
        (rate(COMPLETED, "runner"), "{{runner}}"),
    ),
    chart(
        "Runners alive",
        "Runners of wpbridge by their kind: daemons' workers, relays, Celery's workers and others.",
        "short",
        (gauge("wpbridge_runners", "kind"), "{{kind}}"),
    ),
    chart(
        "Handed to Celery",
        "Actions that relays have handed over and that no worker of Celery has started yet.",
        "short",
        (gauge("wpbridge_handed_actions", "broker"), "{{broker}}"),
    ),
    chart(
        "Worker processes that died",
        "Deaths per second. What they had in hand is put back by the first runner that looks.",
        PER_SECOND,
        (rate("wpbridge_worker_deaths_total"), "deaths"),
        (rate("wpbridge_actions_rescued_total", "how"), "action {{how}}"),
    ),
    chart(
        "Since a runner's last sign",
        "How long ago a runner of each kind last gave a sign.",
        "s",
        (f"time() - {gauge('wpbridge_last_run_timestamp_seconds', 'runner')}", "{{runner}}"),
    ),
    chart(
        "Runs longest",
        "For how long the action has run that runs longest.",
        "s",
        (gauge("wpbridge_running_longest_seconds"), "longest"),
    ),
    chart(
        "Versions",
        "How many daemons and gateways run each version.",
        "short",
        (of_daemons("wpbridge_build_info", "version"), "{{version}}"),
    ),
)
PHP: Final = (
    percentiles(
        "Time to reach PHP",
        "From handing an action to a PHP worker to its start there.",
        "wpbridge_php_dispatch_seconds",
    ),
    chart(
        "PHP workers that were replaced",
        "By the reason, per second.",
        PER_SECOND,
        (rate("wpbridge_php_worker_restarts_total", "reason"), "{{reason}}"),
    ),
)
MANY_SITES: Final = (
    chart(
        "In a daemon for many sites",
        "1 while the site is up, and 1 while it has a process.",
        "short",
        (of_daemons("wpbridge_site_up"), "up"),
        (of_daemons("wpbridge_site_running"), "has a process"),
    ),
    chart(
        "Waits for a process",
        "For how long the site has been waiting for its process.",
        "s",
        (of_daemons("wpbridge_site_wait_seconds"), "waits"),
    ),
    chart(
        "Failures in a row, and time since a look",
        "How often a look or a process has failed, and how long ago a look last succeeded.",
        "short",
        (of_daemons("wpbridge_site_failures"), "failures"),
        (
            f"time() - {of_daemons('wpbridge_site_last_look_timestamp_seconds')}",
            "seconds since a look",
        ),
    ),
    chart(
        "Processes and actions",
        "Processes that were started for the site, and what they have done, per second.",
        PER_SECOND,
        (rate("wpbridge_site_runs_total"), "processes"),
        (rate("wpbridge_site_actions_total", "outcome"), "{{outcome}}"),
    ),
)
GATEWAY: Final = (
    chart(
        "Requests by code",
        "Requests that were answered per second.",
        PER_SECOND,
        (rate("wpbridge_http_requests_total", "code"), "{{code}}"),
        width=8,
    ),
    chart(
        "Requests by route",
        "Requests that were answered per second.",
        PER_SECOND,
        (rate("wpbridge_http_requests_total", "method", "route"), "{{method}} {{route}}"),
        width=8,
    ),
    chart(
        "Time to answer by route, p95",
        "Of a hundred requests, five take longer. Streams of events are left out.",
        "s",
        (quantile(0.95, REQUESTS, "method", "route"), "{{method}} {{route}}"),
        width=8,
    ),
)
WORKERS: Final = Board(
    "workers",
    "wpbridge: workers and PHP pool",
    "Who runs the actions: daemons and their places, PHP workers, PHP's own runners, the gateway.",
    (SITES,),
    (
        ("Now", NOW),
        ("Daemons", DAEMONS),
        ("PHP workers", PHP),
        ("Many sites", MANY_SITES),
        ("Gateway", GATEWAY),
    ),
)
