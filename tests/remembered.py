"""Rows of the statistics as runners leave them: what ended in the last minutes, and how long it took."""

from datetime import datetime, timedelta
from typing import Any

from factories import bucketed
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import DURATION_BOUNDS


def remember(
    store: RunnerStore,
    now: datetime,
    *,
    a_minute: int,
    seconds: float,
    hook: str = "mail",
    due: int = 0,
    claim: float = 0.001,
) -> None:
    """Let so many actions have ended in each of the last six minutes, and so many be due."""
    store.parts.own.ensure(store.parts.names.stats)
    minute = now.replace(second=0, microsecond=0)
    took, claimed = (bucketed(value, DURATION_BOUNDS) for value in (seconds, claim))
    for ago in range(1, 7):
        common: dict[str, Any] = {"begin": minute - timedelta(minutes=ago), "group_id": 0}
        store.parts.stats.add(
            [
                Count(**common, hook="", outcome="due", actions=due, duration_seconds=1.0),
                Count(
                    **common,
                    hook=hook,
                    outcome="complete",
                    actions=a_minute,
                    duration_seconds=a_minute * seconds,
                    durations=tuple(n * a_minute for n in took),
                ),
                Count(**common, hook="", outcome="claim", actions=9, durations=claimed),
            ]
        )
