"""One remembered failure, as small as can be: there may be two hundred thousand of them."""

from datetime import datetime
from typing import Final

from wpbridge.clock import from_text
from wpbridge.queue.failure_groups import NO_MESSAGE
from wpbridge.store.reading.failure_rows import SPAN_CHARS, FailureRow


class Entry:
    """A failed action. Whoever reads one sees it change while the index is read again."""

    __slots__ = (
        "at",
        "attempt",
        "attempted_at",
        "chain",
        "group_id",
        "hook",
        "id",
        "is_outlived",
        "is_requeued",
        "kind",
        "scheduled",
    )

    def __init__(self, row: FailureRow, hook: str) -> None:
        self.id: Final = row.id
        self.attempt: Final = row.attempt
        """When its last attempt began, as the column has it; empty for none."""
        self.attempted_at: Final = _seconds(from_text(row.attempt))
        self.hook: Final = hook
        self.group_id: Final = row.group_id
        self.chain: Final = row.chain
        """The args of a recurring action; None for any other."""
        self.scheduled: Final = row.scheduled
        """When a recurring action was due, as the column has it; empty for any other."""
        self.at: int | None = None
        """When it failed, in Unix seconds: by the log, or else its last attempt."""
        self.kind = NO_MESSAGE
        """The fingerprint of its reason."""
        self.is_requeued = False
        self.is_outlived = False
        """Whether a later run of its recurring chain has completed."""

    @property
    def is_open(self) -> bool:
        """Whether the failure still stands."""
        return not (self.is_requeued or self.is_outlived)


def in_bucket(attempt: str) -> str:
    """Return the beginning of the ten minutes that a last attempt lies in; empty for none."""
    return attempt[:SPAN_CHARS]


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
