"""Define what people may ask of the tables, and the records that they get as answers.

A :class:`Record` contains what the row contains, readable or not. So even an action that no runner
could run can be listed, shown and repaired.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from wpbridge.action import ActionId, ClaimId, Status
from wpbridge.clock import from_text, to_text
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError

Order: TypeAlias = Literal["id", "date", "modified", "hook", "group", "none"]
ORDERS: Final[tuple[Order, ...]] = ("id", "date", "modified", "hook", "group", "none")
_DIGITS: Final = 19
ENDED: Final = (Status.COMPLETE, Status.FAILED, Status.CANCELED)


class Place(NamedTuple):
    """The place of an action in the order of dates, at which a page has ended."""

    at: datetime | None
    """Its date in aware UTC; None for a zero date, and where it has none."""
    is_dated: bool
    """False for an action without a date; these are the first of all."""
    id: ActionId

    def __str__(self) -> str:
        date = "none" if not self.is_dated else "zero" if self.at is None else to_text(self.at)
        return f"{date.replace(' ', 'T')}_{self.id}"

    @classmethod
    def read(cls, told: str) -> "Place":
        """Return the place that a text means, as ``str`` writes it; InputError for another text."""
        date, _, number = told.partition("_")
        is_number = number.isascii() and number.isdigit() and len(number) <= _DIGITS
        at = from_text(date.replace("T", " "))
        if not is_number or int(number) >= 1 << 63 or not (at or date in {"none", "zero"}):
            raise InputError("place: it is no place in a list")
        return cls(at, date != "none", ActionId(int(number)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Says which actions are meant. A field that is not given does not narrow the selection.

    Hooks, args and group slugs are compared as the plugin compares them: in the database's
    collation, which mostly ignores case, accents and trailing spaces. Impossible values raise
    InputError.
    """

    ids: tuple[ActionId, ...] = ()
    hooks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """The groups' slugs; an empty one means actions without a group."""
    statuses: tuple[str, ...] = ()
    args: str | None = None
    """Canonical JSON; only actions with exactly these args are meant."""
    partial_args: tuple[str, ...] = ()
    """JSON texts such as ``"id":5`` that must all occur in the args (``partial_args_matching``)."""
    since: datetime | None = None
    """The date is at or after this moment, in aware UTC."""
    until: datetime | None = None
    """The date is at or before this moment."""
    modified_since: datetime | None = None
    """The last attempt (a start or an ending) was at or after this moment."""
    modified_until: datetime | None = None
    priority: int | None = None
    claimed: bool | None = None
    claim: ClaimId | None = None
    search: str = ""
    """A text that must occur in the hook or in the args."""
    searches_args: bool = True
    """Whether the text may occur in the args; else it must occur in the hook."""
    after_id: ActionId | None = None
    """Only ids above this one, which is where the last page ended."""
    before_id: ActionId | None = None
    """Only ids below this one, which is where the last page ended in falling order."""
    up_to_id: ActionId | None = None
    """Only ids up to this one: what is added later is not meant."""
    beyond: Place | None = None
    """Only what comes after this place in the order of dates, or of last attempts, rising or
    falling, as the query has it. The last page ended there."""
    order: Order = "date"
    descending: bool = False
    limit: int = 20
    """The most rows to return; 0 for all."""
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
        if self.beyond is not None and self.order not in {"date", "modified"}:
            raise InputError('beyond: only with order "date" or "modified"')

    @property
    def is_narrowed(self) -> bool:
        """Whether the query means anything less than every action."""
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
                self.priority is not None,
                self.claimed is not None,
                self.claim is not None,
                self.search,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Holds one row of the actions table, unchanged."""

    id: ActionId
    hook: str
    status: str
    args: bytes
    """The value of ``extended_args`` where the row uses it, else of ``args``."""
    schedule: bytes
    group: str
    group_id: int
    priority: int
    attempts: int
    scheduled_at: datetime | None
    """Aware UTC; None for a zero date, which is due at once, and for NULL, which is never due."""
    is_dated: bool
    """False for a NULL date: the action waits for something else than time."""
    last_attempt_at: datetime | None
    """Aware UTC; None for a zero date, as an action has that was never attempted, and for NULL."""
    claim_id: ClaimId
    has_attempt_date: bool = True
    """False where that date is NULL."""

    @property
    def place(self) -> Place:
        """Return its place in the order of dates."""
        return Place(self.scheduled_at, self.is_dated, self.id)

    @property
    def place_by_attempt(self) -> Place:
        """Return its place in the order of last attempts."""
        return Place(self.last_attempt_at, self.has_attempt_date, self.id)

    @property
    def is_live(self) -> bool:
        """Whether the action is pending or in-progress."""
        return self.status in (Status.PENDING, Status.IN_PROGRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """Holds one row of the logs table."""

    id: int
    action_id: ActionId
    message: str
    at: datetime | None
    """Aware UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts the actions of one hook, group or hour by status."""

    name: str
    statuses: Mapping[str, int]
    due: int = 0
    """How many actions are due, without those whose hook is held."""
    oldest_due: datetime | None = None
    held: int = 0
    """How many due actions are held, because WordPress has no callback for their hook."""
    cap: int | None = None
    """How far each number was counted: one that has reached it means so many or more."""

    @property
    def total(self) -> int:
        """Count the actions of all statuses."""
        return sum(self.statuses.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecord:
    """Describes a claim: a row of the claims table, or one that is gone and that actions name."""

    id: ClaimId
    has_row: bool
    created_at: datetime | None
    pending: int = 0
    running: int = 0
    last_attempt_at: datetime | None = None
    """The newest sign of life among the claim's live rows."""

    @property
    def is_orphan(self) -> bool:
        """Whether the claim has no live action. The plugin leaves such rows behind for ever."""
        return not (self.pending or self.running)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Says what no runner may claim."""

    kind: Literal["all", "hook", "group"]
    name: str
    """The exact name, with case and accents; empty for ``all`` and for actions without a group."""
    until: datetime | None = None
    """Aware UTC; None means until somebody resumes it."""
    reason: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRun:
    """Holds a failed action and the message that says why it failed."""

    id: ActionId
    hook: str
    message: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Says that one action waits until another one has ended."""

    action_id: ActionId
    after_id: ActionId
    on_failed: str
    status: str | None = None
    """The status of the action that is waited for; None when that action is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Says what a change by hand did, or what it would do."""

    ids: tuple[ActionId, ...] = ()
    skipped: Mapping[ActionId, str] = field(default_factory=dict)
    """Selected actions that were left as they are, each with the reason."""
    made: Mapping[ActionId, ActionId] = field(default_factory=dict)
    """The ids of new actions by the ids of the old ones."""
    things: tuple[str, ...] = ()
    """What was changed that is no action, such as ``hook send_mail`` for a pause."""

    @property
    def count(self) -> int:
        """Return how many things were changed."""
        return len(self.ids) + len(self.things)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """What is kept of an action beside its row."""

    result: str | None = field(repr=False)
    """The value that its handler returned, as JSON; None where there is none."""
    progress: float | None
    """How far it said it was, from 0 to 1; None where it said nothing."""
    progress_text: str
    updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """Holds one row of the table of jobs."""

    uuid: str
    action_id: ActionId
    """The action that it is now: a requeue makes it another one."""
    key_name: str
    """The API key that added it."""
    key_hash: str
    """Of its idempotency key; empty for none."""
    fingerprint: str
    traceparent: str
    created_at: datetime | None


class Sign(NamedTuple):
    """What of a job changes while it goes on: two different signs mean that something happened."""

    action_id: ActionId
    status: str
    attempts: int
    is_dated: bool
    progress: float | None
    progress_text: str
