"""An action with all that belongs to it, as a value; and many ids in few numbers."""

import bisect
import sys
from dataclasses import field
from typing import Final

from wpbridge.clock import ZERO_DATE
from wpbridge.dataclass import dataclass
from wpbridge.store.database.portions import SMALL

DEFAULT_PRIORITY: Final = 10


@dataclass(slots=True, kw_only=True)
class WholeRow:
    """An action with all that belongs to it, as the tables hold it; dates are texts, or NULL.

    Nobody changes one; frozen ones take thrice as long to make, and there are millions.
    """

    id: int
    """Where it was read."""
    hook: str
    status: str
    scheduled: str | None
    scheduled_local: str | None
    args: str | None
    """The columns, long texts with their md5 in this one."""
    extended_args: str | None
    schedule: str | None
    group: str
    """The slug."""
    priority: int = DEFAULT_PRIORITY
    attempts: int = 0
    last_attempt: str | None = ZERO_DATE
    last_attempt_local: str | None = ZERO_DATE
    is_claimed: bool = False
    """When it was read; what is added never is."""
    logs: tuple[tuple[str, str | None, str | None], ...] = ()
    """Message, date, local date."""
    zone: tuple[str, str] | None = None
    """Cron expression and time zone, for one that is not read in UTC."""
    waits: tuple[tuple[int, str], ...] = ()
    """Ids that it waits for, where it was read, and what a failure of theirs means."""


@dataclass(slots=True)
class Spans:
    """Many ids in few numbers. The rows of one statement have consecutive ids."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    """First and last."""

    def add(self, number: int) -> None:
        """Add an id that is above all others."""
        if self.spans and self.spans[-1][1] + 1 == number:
            self.spans[-1] = (self.spans[-1][0], number)
        else:
            self.spans.append((number, number))

    def __contains__(self, number: int) -> bool:
        place = bisect.bisect(self.spans, number, key=lambda span: span[0]) - 1
        return place >= 0 and number <= self.spans[place][1]


def in_memory(row: WholeRow) -> int:
    """Estimate how many bytes of memory a row takes."""
    texts = (row.hook, row.args, row.extended_args, row.schedule, row.group)
    logs = sum(SMALL + sys.getsizeof(log[0]) for log in row.logs)
    return SMALL * (1 + len(row.waits)) + sum(map(sys.getsizeof, texts)) + logs
