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
    serves_queue: bool = True
    """Whether it runs what is due, and not only named actions or wpbridge's own."""
    rescue: RescuePolicy = "retry"
    keep_output: KeepOutput = "always"
    poll: timedelta | None = None
    """How long a daemon waits before it looks again. Without it, a run ends when nothing is due."""

    @property
    def places(self) -> int:
        """Return how many actions of the queue can run at once."""
        return self.concurrency if self.serves_queue else 0
