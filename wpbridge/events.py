"""What is worth telling of a run: one frozen class a thing, named by what has happened.

An event is told after it is true in the tables. Subscribers (logs, handlers' own, later metrics)
are called one after the other by the runner's loop, so they should be quick; what one raises is
logged and hurts nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from wpbridge.action import ActionId, ClaimId


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Anything told."""

    at: datetime
    """Aware UTC."""
    site: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerStarted(Event):
    """A runner is in the ownership table and begins to claim."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerStopped(Event):
    """It holds nothing any more and has left."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerPresumedDead(Event):
    """Others put back what this runner had in hand, or the server forgot it: it begins anew."""

    actions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLost(Event):
    """The database does not answer; told once an outage."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBack(Event):
    """It answers again."""

    after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMade(Event):
    """Actions were claimed."""

    claim_id: ClaimId
    actions: int
    took: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class HookPaused(Event):
    """A hook has failed so often in a row that it is paused for every runner."""

    hook: str
    failures: int
    until: datetime | None
    """None: until somebody resumes it."""
    reason: str
    """Of the last failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionEvent(Event):
    """Something of one action."""

    action_id: ActionId
    hook: str
    group: str
    claim_id: ClaimId
    attempt: int
    """Starts by now, this one included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStarted(ActionEvent):
    """It was handed to its handler."""

    waited: timedelta | None
    """From its date to its start; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCompleted(ActionEvent):
    """Its handler returned."""

    took: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFailed(ActionEvent):
    """It failed for good."""

    took: timedelta
    reason: str
    error_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRetried(ActionEvent):
    """It failed, or its handler asked for it, and runs again later."""

    took: timedelta
    after: timedelta
    reason: str
    next_attempt: int
    """By a rule of retries, of ``of``; 0: the handler asked."""
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSnoozed(ActionEvent):
    """Its handler put it off."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCanceled(ActionEvent):
    """Its handler canceled it."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLost(ActionEvent):
    """Somebody else ended, canceled or took it while it was held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRescued(ActionEvent):
    """Its runner died; this is what became of it."""

    runner: str
    how: str
    """``retried``, ``failed``, ``held``, or ``released`` when it had not started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepDone(Event):
    """The plugin's cleaner's work was done in its place; told when there was some."""

    reset: int
    """Waiting actions freed from dead runners."""
    failed: int
    """Actions that ran without a sign."""
    deleted: int
    """Ended long ago."""
    claims: int
    """Rows of the claims table that held nothing, and that nobody held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepLeft(Event):
    """One of the plugin's own runners was seen, which cleans itself; told once."""

    runner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepResumed(Event):
    """It has not been seen for a while: upkeep is done here again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhpNoCallback(Event):
    """WordPress has no callback for a hook; told once an hour for the whole site."""

    hook: str
    effect: str = "its actions stay pending"


Subscriber: TypeAlias = Callable[[Any], None]

KINDS: Final[tuple[type[Event], ...]] = (
    RunnerStarted,
    RunnerStopped,
    RunnerPresumedDead,
    StoreLost,
    StoreBack,
    ClaimMade,
    HookPaused,
    ActionStarted,
    ActionCompleted,
    ActionFailed,
    ActionRetried,
    ActionSnoozed,
    ActionCanceled,
    ActionLost,
    ActionRescued,
    UpkeepDone,
    UpkeepLeft,
    UpkeepResumed,
    PhpNoCallback,
)
"""Every kind that is told; docs/reference/events.md has them all."""
