"""The values that a runner and a store exchange; :mod:`wpbridge.store.protocol` has the methods."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from wpbridge.action import Action, ActionId, Claim, ClaimId, NewAction, RunnerId, Status
from wpbridge.dataclass import dataclass
from wpbridge.outcome import LogLine
from wpbridge.site.rules import Limit

STARTED_MESSAGE: Final = "action started via wpbridge"
COMPLETED_MESSAGE: Final = "action complete via wpbridge"
RESET_MESSAGE = "action reset via wpbridge"
"""The log row of an action that was put back from a dead runner begins with this text. A colon
follows when the action was the only one that ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFilter:
    """Says which due actions may be claimed."""

    hooks: frozenset[str] | None = None
    """The exact names of the hooks that may be claimed; None for any. The database finds them by
    its collation, then this set decides."""
    groups: frozenset[str] | None = None
    exclude_hooks: frozenset[str] = frozenset()
    exclude_groups: frozenset[str] = frozenset()
    accepts: Callable[[str, str], bool] | None = None
    """Tells whether a hook in a group (its slug) is wanted; None accepts what the rest allows."""
    may_accept: Callable[[str], bool] | None = None
    """Tells whether a hook could be wanted in any group; None means that every hook could be."""
    upkeep: bool = False
    """Whether the plugin's own actions for its upkeep may be claimed too."""
    limits: tuple[Limit, ...] = ()
    """How many actions may run and start; see :mod:`wpbridge.store.running.limits`."""
    ids: frozenset[ActionId] | None = None
    """Claim exactly these actions, named by somebody. Dates, pauses and limits do not count."""

    def without(self, hooks: Collection[str], groups: Collection[str]) -> "ClaimFilter":
        """Return a copy that also leaves out these hooks and groups, given by exact names."""
        if not (hooks or groups):
            return self
        accepts = self.accepts
        return replace(
            self,
            exclude_hooks=self.exclude_hooks | set(hooks),
            # The groups become a condition on hook and group, so that their backlog costs nothing.
            accepts=lambda hook, group: (
                group not in groups and (accepts is None or accepts(hook, group))
            ),
        )


class Ending(NamedTuple):
    """Says how an action ended. The ending and its log rows are written together."""

    action: Action
    status: Status
    """COMPLETE, FAILED or CANCELED; or PENDING when the action is put back, free, for later."""
    at: datetime
    """When the action ended, in aware UTC."""
    marked: bool
    """Whether the start mark is already written (status in-progress, attempt counted)."""
    counts_attempt: bool = True
    """Whether an ending without a written start mark counts one more attempt."""
    logs: tuple[LogLine, ...] = ()
    retry_at: datetime | None = None
    """For PENDING: the new date; None keeps the old one."""
    schedule: bytes | None = None
    """For PENDING: the schedule that contains the new date."""
    is_undated: bool = False
    """For PENDING: whether the row loses its date, so that the action is never due."""
    successor: NewAction | None = None
    result: str | None = None
    """What the handler returned, as JSON; None for nothing."""
    stop_line: LogLine | None = None
    """The log row to write when the chain is stopped. When it is given and the five oldest rows of
    the hook have all failed (the plugin's consistent-failure rule), the successor is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerRecord:
    """Describes a wpbridge runner as its row in the table of runners shows it."""

    id: RunnerId
    host: str
    boot: str
    pid: int
    pid_started: str
    version: str
    beat_age_seconds: float
    """Measured by the database's clock, so that the hosts' clocks need not agree."""
    claims: tuple[ClaimId, ...]
    once: frozenset[ActionId]
    """Actions that have started and must not be started a second time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """Holds the actions that this runner took over from a dead or an unknown runner."""

    runner: RunnerRecord
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """Holds what a look at the store found, for `check` and `status`."""

    server: str
    driver: str
    """The package that speaks with the database, and its version."""
    schema: int | None
    """The plugin's schema number; None when no option contains it."""
    layout: str
    writable: bool
    zone: str
    skip_locked: bool
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedHook:
    """Counts the actions of one hook in one group."""

    hook: str
    group: str
    pending: int
    running: int
    due: int
    next_at: datetime | None
    """The earliest date of a pending action; None when there is none or when it is a zero date."""
    held: int = 0
    """How many due actions are held, because WordPress has no callback for the hook."""

    def joined(self, other: "QueuedHook") -> "QueuedHook":
        """Return the sum of this count and another one of the same hook and group."""
        dates = [date for date in (self.next_at, other.next_at) if date is not None]
        return replace(
            self,
            pending=self.pending + other.pending,
            running=self.running + other.running,
            due=self.due + other.due,
            held=self.held + other.held,
            next_at=min(dates, default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Holds what one look at an idle queue found."""

    is_due: bool
    """Whether any action is due, for this runner or for others."""
    is_silent: bool
    """Whether some other runner's beat is too old."""
    is_stale: bool = False
    """Whether some running action has given no sign of life for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPlan:
    """Says which claimed actions are marked as started together with their claim.

    The runner makes the plan before the claim, from what its executors could start at that moment.
    """

    chosen: Callable[[Sequence[Action]], Collection[ActionId]]
    """Return the ids of the claimed actions that start. It is called inside the claim's
    transaction, and again when that is repeated. So it must be a pure function over frozen values,
    without an executor, a clock, input or output."""
    log_line: LogLine
    """The log row that is written for each start."""


class Claimed(NamedTuple):
    """A claim that is made, before its rows are turned into actions."""

    id: ClaimId
    ids: Sequence[ActionId]
    """Its actions."""
    started: frozenset[ActionId]
    suspects: frozenset[ActionId]
    """See :class:`Claim`."""
    make: Callable[[], Claim]
    """Makes the claim's actions, on any thread. It reads nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAndSettled:
    """A claim, and what became of the endings that came with it."""

    claim: Claimed | None
    settled: frozenset[ActionId] | None
    """What ``Store.settle`` returns; None when nothing of them was written."""


Portion: TypeAlias = Callable[[Sequence[str]], int]
"""Given the hooks of due actions in their order, return how many of them to take: one or more. It
must be a pure function, as those of a :class:`StartPlan` are."""
