"""How many workers a queue needs, with the reason; or the obstacle that more would not remove."""

from typing import Literal, TypeAlias

from wpbridge.dataclass import dataclass

Obstacle: TypeAlias = Literal["paused", "limited", "database", "one_hook", "idle", "no_runner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What is advised. A worker is a place at which one action runs at a time."""

    workers_now: int
    workers_advised: int
    reason: str
    obstacle: str | None
    """What holds the work up instead, in words; None if more or fewer workers are the answer."""
    arrivals_per_second: float
    service_seconds: float
    due: int
    target_wait_seconds: float
