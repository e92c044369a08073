"""What the parts of one run share; :mod:`wpbridge.runner.loop` puts them together."""

from dataclasses import field

from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Executor
from wpbridge.runner.about import Process
from wpbridge.runner.identity import Identity
from wpbridge.runner.in_hand import InHand, Totals
from wpbridge.runner.limits import Limits
from wpbridge.store.protocol import Store
from wpbridge.telling.bus import Bus
from wpbridge.telling.counting import Counter


@dataclass(slots=True, kw_only=True)
class Run:
    """One run: its store and executor, its bounds, what it has in hand and what it has done."""

    store: Store
    executor: Executor
    clock: Clock
    bus: Bus
    me: Identity
    limits: Limits
    started: float
    """When it began, in monotonic seconds."""
    counter: Counter = field(default_factory=Counter)
    """Counts what the run does."""
    process: Process = field(default_factory=Process)
    """What its process is, for people who look at it."""
    in_hand: InHand = field(default_factory=InHand)
    totals: Totals = field(default_factory=Totals)
    is_stopping: bool = False
    """It claims no more, and ends when nothing is in hand."""
    is_told_quiet: bool = False
    """A signal said that it shall claim no more for now."""
    wish: str = ""
    """What people wish of it, as its row said with the last beat: ``quiet``, ``stop``, or empty."""
    is_exhausted: bool = False
    """The last look found nothing that could be claimed."""

    @property
    def is_quiet(self) -> bool:
        """Return whether it claims no more for now."""
        return self.is_told_quiet or bool(self.wish)

    @property
    def state(self) -> str:
        """Return what it does: working, quiet, or stopping."""
        if self.is_stopping:
            return "stopping"
        return "quiet" if self.is_quiet else "working"
