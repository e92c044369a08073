"""What the parts of one run share; :mod:`wpbridge.runner.loop` puts them together."""

from dataclasses import field

from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Executor
from wpbridge.runner.identity import Identity
from wpbridge.runner.in_hand import InHand, Totals
from wpbridge.runner.limits import Limits
from wpbridge.store.base import Store
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
    in_hand: InHand = field(default_factory=InHand)
    totals: Totals = field(default_factory=Totals)
    is_stopping: bool = False
    """It claims no more, and ends when nothing is in hand."""
    is_quiet: bool = False
    """It claims no more for now."""
    is_exhausted: bool = False
    """The last look found nothing that could be claimed."""
