"""What the alerting rules look at: one reading, what ended lately, and what is advised.

Each measure returns its values by instance: by hook, by table, or by an empty name for the whole
queue. A value that nobody knows is left out, so that no rule takes it for a good one or a bad one.
"""

import math
from collections.abc import Mapping
from datetime import datetime

from wpbridge.action import CALLBACK_HOOK
from wpbridge.dataclass import dataclass
from wpbridge.monitor.advice import Advice
from wpbridge.monitor.history import Ended, History
from wpbridge.monitor.readings import Readings

LEAST_ATTEMPTS = 20
"""With fewer attempts in 15 minutes, retries of a hook are no storm."""

CONTENTION = "1020|1205|1213|1412|3101|SQLITE_BUSY.*|SQLITE_LOCKED.*"
"""Codes of errors that mean that others hold the rows. It is tried again at once, and is no alert:
slow claims are one. A pattern of Prometheus and of Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a queue at one moment."""

    at: datetime
    """Aware UTC, by the database's clock."""
    readings: Readings | None
    """None: the tables could not be read. Then nothing else is known either."""
    five_minutes: History | None = None
    quarter_hour: History | None = None
    callbacks: History | None = None
    """Of the last hour, and of the hook that calls back alone."""
    advice: Advice | None = None
    growth: Mapping[str, float] | None = None
    """By table: how many bytes it grows in a week, if it goes on as in the last one."""

    def unread(self) -> Mapping[str, float]:
        """Return 1 where the tables could not be read, else 0."""
        return {"": float(self.readings is None)}

    def due(self) -> Mapping[str, float]:
        """Return how many actions are due."""
        return {} if self.readings is None else {"": float(self.readings.due)}

    def seconds_without_runner(self) -> Mapping[str, float]:
        """Return how long ago a runner gave a sign, while something is due."""
        if self.readings is None or not self.readings.due:
            return {}
        last = max(self.readings.last_run.values(), default=None)
        return {"": math.inf if last is None else (self.at - last).total_seconds()}

    def oldest_due_seconds(self) -> Mapping[str, float]:
        """Return for how long the oldest due action has been due."""
        return {} if self.readings is None else {"": self.readings.oldest_due}

    def running_longest_seconds(self) -> Mapping[str, float]:
        """Return for how long the action has run that runs longest."""
        return {} if self.readings is None else {"": self.readings.running_longest_seconds}

    def recurring_stopped(self) -> Mapping[str, float]:
        """Return how many recurring actions failed and have no next run."""
        return {} if self.readings is None else {"": float(self.readings.recurring_stopped)}

    def failed_ratios(self) -> Mapping[str, float]:
        """Return for each hook which part of its endings failed."""
        return {
            hook: ended.failed / (ended.failed + ended.complete)
            for hook, ended in _hooks(self.quarter_hour).items()
            if ended.failed
        }

    def retried_ratios(self) -> Mapping[str, float]:
        """Return for each hook with many attempts which part of them is tried again."""
        attempts = {
            hook: ended.failed + ended.complete + ended.retried
            for hook, ended in _hooks(self.quarter_hour).items()
        }
        return {
            hook: _hooks(self.quarter_hour)[hook].retried / count
            for hook, count in attempts.items()
            if count >= LEAST_ATTEMPTS
        }

    def claim_p99_seconds(self) -> Mapping[str, float]:
        """Return how long the slowest hundredth of the claims took at least."""
        told = None if self.five_minutes is None else self.five_minutes.claim_p99_seconds
        return {} if told is None else {"": told}

    def db_errors(self) -> Mapping[str, float]:
        """Return how many errors of the database there were in 15 minutes."""
        return {} if self.quarter_hour is None else {"": float(self.quarter_hour.db_errors)}

    def callbacks_given_up(self) -> Mapping[str, float]:
        """Return how many callbacks were given up in the last hour."""
        ended = _hooks(self.callbacks).get(CALLBACK_HOOK)
        return {} if ended is None else {"": float(ended.failed)}

    def bytes_a_week(self) -> Mapping[str, float]:
        """Return how many bytes each table grows in a week."""
        return self.growth or {}

    def workers_missing(self) -> Mapping[str, float]:
        """Return how many more workers are advised than there are, where there are any."""
        if self.advice is None or not self.advice.workers_now:
            return {}
        return {"": float(self.advice.workers_advised - self.advice.workers_now)}


def _hooks(history: History | None) -> Mapping[str, Ended]:
    return {} if history is None else history.hooks
