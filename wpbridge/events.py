"""The events of a run: one frozen class for each kind, named by what has happened.

An event is sent after the change stands in the tables. The runner's loop calls the subscribers
one after the other, so they should be quick. What a subscriber raises is logged and stops nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from wpbridge.action import Action, ActionId, ClaimId
from wpbridge.dataclass import dataclass

UNLOGGED: Final = MappingProxyType({"is_logged": False})
"""Marks a field that no log line has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events have in common."""

    at: datetime
    """Aware UTC."""
    site: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerStarted(Event):
    """A runner has entered itself in the table of runners and begins to claim."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerStopped(Event):
    """A runner has nothing in hand any more and has removed itself from the table of runners."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerPresumedDead(Event):
    """Others put back what this runner had in hand, or the server lost its row. It begins anew."""

    actions: int
    """How many actions it had in hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLost(Event):
    """The database does not answer. The event is sent once for each outage."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBack(Event):
    """The database answers again."""

    after: timedelta
    """How long the outage lasted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMade(Event):
    """A runner has claimed actions."""

    claim_id: ClaimId
    actions: int
    took: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettled(Event):
    """The endings of several actions were written in one transaction. Their own events follow."""

    actions: int
    took: timedelta
    """How long the transaction took, with the claim that was made in it."""
    endings: Sequence[tuple[ClaimId, ActionId]] = field(default=(), repr=False, metadata=UNLOGGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookPaused(Event):
    """A hook has failed so often in a row that it is now paused for every runner."""

    hook: str
    failures: int
    until: datetime | None
    """When the pause ends. None if it lasts until somebody lifts it."""
    reason: str
    """The reason of the last failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionEvent(Event):
    """What all events about one action have in common."""

    action_id: ActionId
    hook: str
    group: str
    claim_id: ClaimId
    attempt: int
    """How often the action has been started, this start included."""
    action: Action | None = field(default=None, repr=False, compare=False, metadata=UNLOGGED)
    """The whole action, with its args. None if nothing but its id is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStarted(ActionEvent):
    """The action was given to its handler."""

    waited: timedelta | None
    """The time from its date to its start. None if the action has no date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCompleted(ActionEvent):
    """The action's handler returned."""

    took: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFailed(ActionEvent):
    """The action failed and will not be retried."""

    took: timedelta
    reason: str
    error_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRetried(ActionEvent):
    """The action will run again later, because it failed or because its handler asked for it."""

    took: timedelta
    after: timedelta
    reason: str
    next_attempt: int
    """The number of the coming attempt, if a retry rule decided. 0 if the handler asked for it."""
    of: int
    """How many attempts the retry rule allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSnoozed(ActionEvent):
    """The action's handler put it off."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCanceled(ActionEvent):
    """The action's handler canceled it."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLost(ActionEvent):
    """Somebody else ended, canceled or took over the action while this runner had it in hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRescued(ActionEvent):
    """The action's runner died, and another runner has dealt with the action."""

    runner: str
    """The name of the runner that died."""
    how: str
    """``retried``, ``failed``, ``held`` (now undated), or ``released`` if it had not started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepDone(Event):
    """The upkeep has changed something: it did the work of the plugin's cleaner."""

    reset: int
    """How many pending actions were freed from the claims of dead runners."""
    failed: int
    """How many running actions were failed because they gave no sign of life."""
    deleted: int
    """How many actions were deleted that had ended long ago."""
    claims: int
    """How many claims were deleted that had no actions and no runner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepLeft(Event):
    """A runner of the plugin was seen. It cleans by itself, so the upkeep here rests."""

    runner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepResumed(Event):
    """No runner of the plugin has been seen for a while, so the upkeep is done here again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhpNoCallback(Event):
    """WordPress has no callback for a hook. The event is sent once an hour for the whole site."""

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
    BatchSettled,
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
"""Every kind of event. The page docs/reference/events.md describes each."""
