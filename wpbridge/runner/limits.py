"""What bounds a run: how much it claims, and when it ends."""

from datetime import timedelta
from typing import Literal, TypeAlias

from wpbridge.dataclass import dataclass

KeepOutput: TypeAlias = Literal["always", "failed", "never"]
"""For which endings a handler's output goes into its action's log."""

RescuePolicy: TypeAlias = Literal["retry", "fail", "hold"]
"""What becomes of an action whose runner died while it ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a run claims, and when it ends."""

    batch_size: int | None = None
    """Actions a claim; None for as many as start soon. A daemon claims fewer of slow ones."""
    batches: int = 0
    """Claims; 0 until nothing is due."""
    max_actions: int = 0
    max_time: timedelta | None = None
    concurrency: int = 4
    """How many may run at once: a daemon claims by it."""
    rescue: RescuePolicy = "retry"
    keep_output: KeepOutput = "always"
    poll: timedelta | None = None
    """How long a daemon waits before it looks again. Without it, a run ends when nothing is due."""
