"""What the tables show at one moment: the gauges that metrics, alerts and the dashboard share."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from wpbridge.dataclass import dataclass
from wpbridge.store.records import Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """One reading. Counts stop at :attr:`cap`, which then means so many or more."""

    at: datetime
    """Aware UTC, by the database's clock."""
    took_seconds: float
    cap: int
    counts: Mapping[str, int]
    """Actions by status."""
    due: int
    """Due actions, without the held ones."""
    past_due: int
    """Those of them that have been due for a minute or more."""
    due_by_group: Mapping[str, int]
    """By group's slug, among the 20,000 oldest; empty for actions without a group."""
    oldest_due_seconds: Mapping[str, float]
    """By group's slug: for how long its oldest due action has been due."""
    claims: int
    """Claims that hold actions."""
    running: Mapping[str, int]
    """Actions that are marked as running, by hook."""
    running_longest_seconds: float
    table_rows: Mapping[str, int]
    """By the table's name, as the server estimates them."""
    table_bytes: Mapping[str, int]
    pauses: Sequence[Pause]
    """Those in force."""
    last_run: Mapping[str, datetime]
    """When a runner of this kind last gave a sign: ``wpbridge`` or ``php``."""
    recurring_stopped: int
    """Recurring actions that failed and have no next run."""
    places: int
    """Actions that all runners of wpbridge together can run at once."""

    @property
    def oldest_due(self) -> float:
        """Return for how many seconds the oldest due action has been due; 0 where none is."""
        return max(self.oldest_due_seconds.values(), default=0.0)
