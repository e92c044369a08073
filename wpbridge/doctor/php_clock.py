"""Measure how far PHP's clock is from this host's."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wpbridge.clock import Clock
from wpbridge.executors.php.launch import Launch
from wpbridge.system import programs

_TELL_TIME: Final = "echo microtime(true);"


def skew_seconds(start: Launch, clock: Clock) -> float:
    """Return how far PHP's clock is ahead of ours, without PHP's start; negative: behind."""
    through = ("-r",) if start.is_direct else ("eval",)
    more = () if start.is_direct else ("--skip-wordpress",)
    words = [*through, _TELL_TIME, *more]
    if Path(start.command[0]).name == "ssh":
        words = [shlex.quote(word) for word in words]
    before = clock.now()
    told = programs.run([*start.command, *words], env=start.env)
    after = clock.now()
    moment = datetime.fromtimestamp(float(told.strip().split()[-1]), UTC)
    if before <= moment <= after:
        return 0.0
    return (moment - (before if moment < before else after)).total_seconds()
