"""A queue in which all is well, as measured."""

from factories import NOW
from wpbridge.monitor.advice import Advice
from wpbridge.monitor.history import History
from wpbridge.monitor.readings import Readings

READINGS = Readings(
    at=NOW,
    took_seconds=0,
    cap=100_000,
    counts={},
    due=0,
    past_due=0,
    due_by_group={},
    oldest_due_seconds={},
    claims=0,
    running={},
    running_longest_seconds=0,
    table_rows={},
    table_bytes={},
    pauses=(),
    last_run={},
    recurring_stopped=0,
    places=0,
)
HISTORY = History(
    since=NOW,
    until=NOW,
    hooks={},
    arrivals_per_second=None,
    service_seconds=None,
    claims=0,
    claim_p99_seconds=None,
    db_errors=0,
    rescued=0,
)
ADVICE = Advice(
    workers_now=4,
    workers_advised=4,
    reason="",
    obstacle=None,
    arrivals_per_second=1,
    service_seconds=1,
    due=0,
    target_wait_seconds=60,
)
