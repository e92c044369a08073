"""What an executor is given, what it reports, and what it offers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from wpbridge.action import Action, ActionId
from wpbridge.outcome import LogLine, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One action, decoded and ready to run."""

    action: Action
    values: Sequence[Any]
    """As a PHP callback gets them."""
    mapping: Any
    """The args with their keys."""
    at_most_once: bool = False
    lines: list[LogLine] = field(default_factory=list)
    """Filled by the handler's ctx.log while it runs; emptied by the runner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a call went."""

    call: Call
    outcome: Outcome
    started_at: datetime
    ended_at: datetime


class Executor(Protocol):
    """Runs calls beside the runner's loop. Its methods are called by that loop alone."""

    def can_run(self, hook: str) -> bool:
        """Whether it has a way to run the hook."""
        ...

    def is_at_most_once(self, hook: str) -> bool:
        """Whether the hook's start must be committed before the call."""
        ...

    def hooks(self) -> frozenset[str]:
        """All hooks it can run."""
        ...

    def submit(self, call: Call) -> None:
        """Queue a call."""
        ...

    def reports(self, timeout_seconds: float) -> list[Report]:
        """What has ended since the last time; waits for the first one up to the timeout."""
        ...

    def wake(self) -> None:
        """End a wait in :meth:`reports`; safe in a signal handler."""
        ...

    def running(self) -> dict[ActionId, datetime]:
        """Started, not ended: when each one started."""
        ...

    def recall(self, only: frozenset[ActionId] | None = None) -> list[Call]:
        """Take back queued calls that have not started."""
        ...

    def close(self) -> None:
        """Stop the threads; queued calls are dropped."""
        ...
