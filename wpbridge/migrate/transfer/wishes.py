"""The options of an import, and the report of what it did."""

from collections import Counter
from dataclasses import field
from datetime import datetime, timedelta

from wpbridge.dataclass import dataclass


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import did."""

    read: int = 0
    added: int = 0
    known: int = 0
    """Added before, by the same file."""
    refused: int = 0
    """Their like was there (``unique``)."""
    left_out: int = 0
    """Of other statuses than asked for."""
    rejected: int = 0
    waits_lost: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    """Of those added."""
    samples: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What the look at the end found; empty when all is as it was written."""
    is_whole: bool = False
    """The file's end was there."""

    @property
    def is_good(self) -> bool:
        """Tell whether nothing was rejected, nothing is missing, and nothing waits for ever."""
        return self.is_whole and not (self.rejected or self.problems or self.waits_lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How an import is to be done."""

    now: datetime
    shift: timedelta = timedelta(0)
    """Added to the dates of pending actions."""
    statuses: frozenset[str] = frozenset()
    """Only these; empty for all."""
    unique: bool = False
    """Leave out pending actions whose hook, args and group are pending here already."""
    into_itself: bool = False
    """Also into the queue that the lines come from."""
    dry_run: bool = False
