"""What ended lately, from ``wpbridge_stats``: rates, failures and percentiles of a time."""

from collections.abc import Mapping
from datetime import datetime

from wpbridge.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What ended of one hook within a time."""

    complete: int = 0
    failed: int = 0
    retried: int = 0
    canceled: int = 0
    duration_seconds: float = 0.0
    """Of all of them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The last minutes of a queue."""

    since: datetime
    until: datetime
    hooks: Mapping[str, Ended]
    """What ended, by hook."""
    arrivals_per_second: float | None
    """None where no two samples of what is due are known."""
    service_seconds: float | None
    """How long an attempt runs, on average; None where none ended."""
    claims: int
    claim_p99_seconds: float | None
    db_errors: int
    rescued: int
