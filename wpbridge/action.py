"""The nouns everything shares: an action as it is stored, a claim, and their ids.

An :class:`Action` holds the row's texts unread: decoding is the codec's business, so a row that
cannot be decoded can still be claimed, failed, listed and shown.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NewType, TypeAlias

ActionId = NewType("ActionId", int)
ClaimId = NewType("ClaimId", int)
RunnerId = NewType("RunnerId", int)
OnFailed: TypeAlias = Literal["hold", "run", "cancel"]
"""What a waiting action does when one that it waits for fails or is canceled."""
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
"""The plugin's own housekeeping: left to PHP."""


class Status(StrEnum):
    """The five statuses, spelled as stored."""

    PENDING = "pending"
    """Waiting for its date, or claimed and about to start."""
    IN_PROGRESS = "in-progress"
    """Started by a runner, not ended yet."""
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One row of work, as the actions table holds it."""

    id: ActionId
    hook: str
    status: Status
    scheduled_at: datetime | None
    """UTC, aware; None for a zero or NULL date."""
    priority: int
    args: bytes
    """The JSON text: ``extended_args`` where it is used, else ``args``."""
    schedule: bytes
    """PHP-serialized schedule."""
    group_id: int
    group: str
    attempts: int
    """How often it was started so far."""
    claim_id: ClaimId
    zone: str | None = None
    """The time zone its cron is read in; None for UTC, as the plugin reads it."""
    idempotency_key: str = ""
    """Empty for an action that keeps the key of wpbridge 0.1, which is made of the site's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Actions held by one runner under one claim id, in the plugin's order."""

    id: ClaimId
    actions: tuple[Action, ...]
    started: frozenset[ActionId] = frozenset()
    """Marked as started in the same transaction."""
    suspects: frozenset[ActionId] = frozenset()
    """Those that a dead runner held: to be marked before they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonedCron:
    """A cron expression, read in a named time zone."""

    expression: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAction:
    """An action to be inserted: texts already encoded."""

    hook: str
    args: str
    """Canonical JSON; the store puts an md5 in ``args`` when it is over 191 bytes."""
    schedule: bytes
    scheduled_at: datetime
    is_async: bool = False
    """Async rows keep UTC in ``scheduled_date_local`` (as the plugin writes them)."""
    group: str = ""
    group_id: int | None = None
    """Given when known (a successor keeps its row's group); else found or made by slug."""
    priority: int = 10
    zoned: ZonedCron | None = None
    """For a cron schedule that is not read in UTC."""
    is_waiting: bool = False
    """Not due by any date: it waits for other actions."""
