"""The nouns that every room shares: an action as it is stored, a claim, and their ids.

An :class:`Action` keeps the row's texts undecoded. Rooms that need them decoded call the codec,
so a row that cannot be decoded can still be claimed, failed, listed and shown.
"""

from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NewType, TypeAlias

from wpbridge.dataclass import dataclass

ActionId = NewType("ActionId", int)
ClaimId = NewType("ClaimId", int)
RunnerId = NewType("RunnerId", int)
FREE: Final = ClaimId(0)
"""The claim of actions that nobody has claimed."""
OnFailed: TypeAlias = Literal["hold", "run", "cancel"]
"""What becomes of a waiting action when one that it waits for fails or is canceled."""
ON_FAILED: Final[tuple[OnFailed, ...]] = ("hold", "run", "cancel")


UPKEEP_HOOKS = frozenset(
    {
        "action_scheduler/migration_hook",
        "action_scheduler/cleanup_wp_comment_logs",
        "action_scheduler_clear_deleted_action_logs_hook",
        "action_scheduler_continue_actions_cleanup_hook",
        "action_scheduler_run_actions_cleanup_hook",
        "action_scheduler_run_recurring_actions_schedule_hook",
    }
)
"""The hooks of the plugin's own housekeeping, which only PHP can run."""
OWN_HOOKS: Final = "wpbridge_"
"""How the names of wpbridge's own hooks begin. Only wpbridge's Python runs them, never PHP."""
CALLBACK_HOOK: Final = "wpbridge_callback"
"""The own hook that tells a client that its job has ended."""
BULK_HOOK: Final = "wpbridge_bulk"
"""The own hook that changes everything which a filter matches."""
OWN_GROUP: Final = "wpbridge"
"""The group of the actions that wpbridge adds for itself."""
PLUGIN_TIMEOUT_SECONDS: Final = 300
"""The plugin's cleaner takes a claim for dead after so long without a sign."""


def is_own_hook(hook: str) -> bool:
    """Tell whether a hook is one of wpbridge's own."""
    return hook.startswith(OWN_HOOKS)


class Status(StrEnum):
    """The five statuses of an action, spelled as the table stores them."""

    PENDING = "pending"
    """The action waits for its date, or is claimed and about to start."""
    IN_PROGRESS = "in-progress"
    """A runner has started the action, and it has not ended yet."""
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One row of the actions table."""

    id: ActionId
    hook: str
    status: Status
    scheduled_at: datetime | None
    """Aware UTC. None for a zero date and for NULL."""
    priority: int
    args: bytes
    """The JSON text of the args: from ``extended_args`` if that is filled, else from ``args``."""
    schedule: bytes
    """The schedule in PHP's serialize format."""
    group_id: int
    group: str
    attempts: int
    """How often the action has been started so far."""
    claim_id: ClaimId
    zone: str | None = None
    """The time zone in which its cron expression is read. None means UTC, as in the plugin."""
    traceparent: str = ""
    """The span that led to the action, if it is known. It is read only where traces are made."""
    make_key: Callable[[], str] = field(default=str, repr=False, compare=False)
    """Makes the idempotency key. Few handlers ask for it."""

    @property
    def has_row(self) -> bool:
        """Tell whether it stands in the table; one that a message alone holds has an id below 0."""
        return self.id > 0

    @property
    def idempotency_key(self) -> str:
        """Return the key that is the same for every attempt of the action.

        It is empty for an action that keeps its key of wpbridge 0.1, which is made of the site's
        name.
        """
        return self.make_key()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The actions that one runner has claimed under one claim id, in the plugin's order."""

    id: ClaimId
    actions: tuple[Action, ...]
    started: frozenset[ActionId] = frozenset()
    """The actions that the claiming transaction has marked as started."""
    suspects: frozenset[ActionId] = frozenset()
    """The actions that a dead runner had in hand. Their start is written before the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonedCron:
    """A cron expression and the name of the time zone in which it is read."""

    expression: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAction:
    """An action that is about to be inserted. Its texts are encoded already."""

    hook: str
    args: str
    """Canonical JSON. If it has over 191 bytes, the store writes its md5 into ``args``."""
    schedule: bytes
    scheduled_at: datetime
    is_async: bool = False
    """Async rows have UTC in ``scheduled_date_local`` as well, as the plugin writes them."""
    group: str = ""
    group_id: int | None = None
    """The group's id, if it is known, as it is for a successor. Else the store finds or makes the
    group by its slug."""
    priority: int = 10
    zoned: ZonedCron | None = None
    """Set for a cron schedule that is not read in UTC."""
    traceparent: str = ""
    """The span that leads to the action; empty for none."""
    is_waiting: bool = False
    """The action waits for other actions, so no date makes it due."""
