"""What is read from the tables for people: criteria, and rows in values.

A :class:`Record` holds whatever a row holds, readable or not: what a runner could not run can
still be listed, shown and mended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from wpbridge.action import ActionId, ClaimId, Status
from wpbridge.errors import InputError

Order: TypeAlias = Literal["id", "date", "modified", "hook", "group", "none"]
ORDERS: Final[tuple[Order, ...]] = ("id", "date", "modified", "hook", "group", "none")
ENDED: Final = (Status.COMPLETE, Status.FAILED, Status.CANCELED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which actions are meant. What is not given does not narrow; InputError for what cannot be.

    Hooks, args and group slugs are compared as the plugin compares them: in the database's
    collation, which mostly takes no notice of case, accents and trailing spaces.
    """

    ids: tuple[ActionId, ...] = ()
    hooks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Slugs; an empty one means actions without a group."""
    statuses: tuple[str, ...] = ()
    args: str | None = None
    """Canonical JSON: these args and no others."""
    partial_args: tuple[str, ...] = ()
    """JSON texts such as ``"id":5``, all of them inside the args (``partial_args_matching``)."""
    since: datetime | None = None
    """Scheduled at or after, aware UTC."""
    until: datetime | None = None
    """Scheduled at or before."""
    modified_since: datetime | None = None
    """Last attempt (start, ending) at or after."""
    modified_until: datetime | None = None
    claimed: bool | None = None
    claim: ClaimId | None = None
    search: str = ""
    """Inside the hook or the args."""
    after_id: ActionId | None = None
    """Ids above this one: where the last page ended."""
    order: Order = "date"
    descending: bool = False
    limit: int = 20
    """Rows at most; 0 for all."""
    offset: int = 0

    def __post_init__(self) -> None:
        for name in ("ids", "hooks", "groups", "statuses", "partial_args"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"{name}: several, not one text")
        for name in ("since", "until", "modified_since", "modified_until"):
            moment = getattr(self, name)
            if moment is not None and getattr(moment, "tzinfo", None) is None:
                raise InputError(f"{name}: a datetime with a time zone, not {moment!r}")
        if self.order not in ORDERS:
            raise InputError(f"order: {', '.join(ORDERS)}, not {self.order!r}")
        if self.limit < 0 or self.offset < 0:
            raise InputError("limit and offset: 0 or more")

    @property
    def is_narrowed(self) -> bool:
        """Whether it means anything less than every action."""
        return any(
            (
                self.ids,
                self.hooks,
                self.groups,
                self.statuses,
                self.args is not None,
                self.partial_args,
                self.since,
                self.until,
                self.modified_since,
                self.modified_until,
                self.claimed is not None,
                self.claim is not None,
                self.search,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of the actions table, as it is."""

    id: ActionId
    hook: str
    status: str
    args: bytes
    """``extended_args`` where it is used, else ``args``."""
    schedule: bytes
    group: str
    group_id: int
    priority: int
    attempts: int
    scheduled_at: datetime | None
    """Aware UTC; None for a zero date, which is due at once, and for NULL, which never is."""
    is_dated: bool
    """False for a NULL date: the row waits for something else than time."""
    last_attempt_at: datetime | None
    claim_id: ClaimId

    @property
    def is_live(self) -> bool:
        """Pending or in-progress."""
        return self.status in (Status.PENDING, Status.IN_PROGRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One row of the logs table."""

    id: int
    action_id: ActionId
    message: str
    at: datetime | None
    """Aware UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many actions of one hook, group or hour have each status."""

    name: str
    statuses: Mapping[str, int]
    due: int = 0
    """Pending, and their date has come; without those that are held."""
    oldest_due: datetime | None = None
    held: int = 0
    """Due, but held back, since WordPress has no callback for their hook."""

    @property
    def total(self) -> int:
        """Of any status."""
        return sum(self.statuses.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecord:
    """A claim: a row of the claims table, or what actions say of one that is gone."""

    id: ClaimId
    has_row: bool
    created_at: datetime | None
    pending: int = 0
    running: int = 0
    last_attempt_at: datetime | None = None
    """The freshest of its live rows: when their holder last gave a sign."""

    @property
    def is_orphan(self) -> bool:
        """Nothing live is under it: the plugin leaves such rows behind and never purges them."""
        return not (self.pending or self.running)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """What no runner may claim."""

    kind: Literal["all", "hook", "group"]
    name: str
    """Exactly, with case and accents; empty for ``all`` and for actions without a group."""
    until: datetime | None = None
    """Aware UTC; None until resumed."""
    reason: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRun:
    """A failed action and the message that says why."""

    id: ActionId
    hook: str
    message: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """An action that waits for another one to end."""

    action_id: ActionId
    after_id: ActionId
    on_failed: str
    status: str | None = None
    """Of the one waited for; None when it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change by hand did, or would do."""

    ids: tuple[ActionId, ...] = ()
    skipped: Mapping[ActionId, str] = field(default_factory=dict)
    """Actions that were meant and left as they are, with the reason."""
    made: Mapping[ActionId, ActionId] = field(default_factory=dict)
    """New actions by the old ones' ids."""
