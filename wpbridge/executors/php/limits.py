"""The limits of the PHP pool, and what it asks of a worker that has just started."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal

from wpbridge.dataclass import dataclass
from wpbridge.executors.php.frames import Hello


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many workers, and when one is replaced."""

    workers: int = 2
    timeout: timedelta | None = timedelta(minutes=5)
    """For one action."""
    max_actions: int = 5000
    max_age: timedelta | None = timedelta(hours=1)
    max_memory: int = 0
    """Bytes; 0: four fifths of the worker's own limit."""
    boot_timeout: timedelta = timedelta(seconds=60)
    """For WordPress to load; also for a worker to begin an action, if `timeout` is not longer."""
    bookkeeping: Literal["bridge", "native"] = "bridge"
    missing: Literal["hold", "fail"] = "hold"
    on_crash: Literal["fail", "retry"] = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What workers are told first, and how their answer is judged."""

    accept: Callable[[Hello], str | None]
    """Why a worker that said this must not be used; None when it may."""
    runner: Callable[[], Sequence[object] | None] = lambda: None
    """Id and start of our row in the ownership table, for workers to look up."""
    context: str = "wpbridge"
    """The word after "via" in the plugin's log rows."""
