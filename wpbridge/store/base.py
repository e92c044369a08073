"""What a store offers, in values: the seam between the runner and a database.

Every state change is guarded by id, claim and expected status. What was not matched belongs to
somebody else by now, which is an answer and not an error: the methods return what they did change.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from wpbridge.action import Action, ActionId, Claim, ClaimId, NewAction, RunnerId, Status
from wpbridge.outcome import LogLine
from wpbridge.site.rules import Limit
from wpbridge.store.records import Pause

RESET_MESSAGE = "action reset via wpbridge"
"""How the log row of an action begins that was put back from a dead runner; a colon follows when
it was the only one that ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFilter:
    """Which due actions may be claimed."""

    hooks: frozenset[str] | None = None
    """Exact hook names; None for any. The collation finds them, this set decides."""
    groups: frozenset[str] | None = None
    exclude_hooks: frozenset[str] = frozenset()
    exclude_groups: frozenset[str] = frozenset()
    accepts: Callable[[str, str], bool] | None = None
    """Whether a hook with a group's slug is wanted; None: all that the rest lets through."""
    may_accept: Callable[[str], bool] | None = None
    """Whether any group at all could make a hook wanted; None: every hook may be."""
    upkeep: bool = False
    """The plugin's own housekeeping too."""
    limits: tuple[Limit, ...] = ()
    """How many may run and start; see :mod:`wpbridge.store.running.limits`."""
    ids: frozenset[ActionId] | None = None
    """These actions, named by somebody: whatever their date, paused, limited or not."""

    def without(self, hooks: Collection[str], groups: Collection[str]) -> "ClaimFilter":
        """The same but for these hooks and groups, by their exact names: they are stepped over."""
        if not (hooks or groups):
            return self
        accepts = self.accepts
        return replace(
            self,
            exclude_hooks=self.exclude_hooks | set(hooks),
            # As a condition on hook and group, so that a backlog of theirs costs nothing.
            accepts=lambda hook, group: (
                group not in groups and (accepts is None or accepts(hook, group))
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An action's ending, to be made true together with its log rows."""

    action: Action
    status: Status
    """COMPLETE, FAILED, CANCELED; or PENDING: put back, free, for later."""
    at: datetime
    """When it ended, aware UTC."""
    marked: bool
    """Its start is already in the tables (in-progress, attempt counted)."""
    counts_attempt: bool = True
    """An unmarked action that ends was started: one more attempt."""
    logs: tuple[LogLine, ...] = ()
    retry_at: datetime | None = None
    """For PENDING: the new date; None keeps the old one."""
    schedule: bytes | None = None
    """For PENDING: the schedule that says the new date."""
    is_undated: bool = False
    """For PENDING: the row gets no date, so that the action is never due."""
    successor: NewAction | None = None
    stop_line: LogLine | None = None
    """When given, the successor is dropped, and this logged instead, if the five oldest rows of
    the hook are all failed (the plugin's consistent-failure rule)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerRecord:
    """A wpbridge runner as the ownership table shows it."""

    id: RunnerId
    host: str
    boot: str
    pid: int
    pid_started: str
    version: str
    beat_age_seconds: float
    """By the database's clock, so that hosts need not agree."""
    claims: tuple[ClaimId, ...]
    once: frozenset[ActionId]
    """Started actions that must not be started a second time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What a dead runner, or one that nobody knows any more, had in hand: now ours."""

    runner: RunnerRecord
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """What a look at the store found, for `check` and `status`."""

    server: str
    schema: int | None
    """The plugin's schema number; None when no option tells it."""
    layout: str
    writable: bool
    zone: str
    skip_locked: bool
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedHook:
    """How much of a hook is in the queue, per group."""

    hook: str
    group: str
    pending: int
    running: int
    due: int
    next_at: datetime | None
    """The earliest pending date; None for none, or a zero date."""
    held: int = 0
    """Due, but held back, since WordPress has no callback for the hook."""

    def joined(self, other: "QueuedHook") -> "QueuedHook":
        """Two of the same hook and group as one."""
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
    """What one look at an idle queue brought."""

    is_due: bool
    """Something is due, ours or not."""
    is_silent: bool
    """Some other runner has not beaten for a while."""
    is_stale: bool = False
    """Something is in progress that has given no sign for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPlan:
    """Which claimed actions are marked as started together with their claim.

    The runner makes it before the claim, from what its executors could start at that moment.
    """

    chosen: Callable[[Sequence[Action]], Collection[ActionId]]
    """A pure function of the claimed actions, called inside the claim's transaction and again when
    that is repeated. Only frozen values stand behind it: no executor, no clock, no input or output.
    """
    log_line: LogLine
    """The log row of each start."""


class Store(Protocol):
    """One site's queue. Used by one thread at a time."""

    def register(self, *, host: str, boot: str, pid: int, pid_started: str) -> RunnerId:
        """Enter this runner in the ownership table, made on first use."""
        ...

    def unregister(self) -> None:
        """Leave it; only when nothing is held."""
        ...

    def other_runners(self) -> Sequence[RunnerRecord]:
        """All runners but this one."""
        ...

    def adopt(self, runner: RunnerRecord) -> Adopted | None:
        """Take over a dead runner's claims, atomically; None when somebody was faster."""
        ...

    def orphans(self, *, now: datetime) -> Sequence[Action]:
        """Return actions in progress that wpbridge started and no runner's row names.

        They have given no sign for two minutes. See :mod:`wpbridge.store.running.orphans`.
        """
        ...

    def adopt_orphans(
        self, claims: Collection[ClaimId], *, once: Collection[ActionId]
    ) -> Adopted | None:
        """Make claims of nobody ours, atomically; None when somebody was faster.

        ``once``: those of their actions that must not be started a second time.
        """
        ...

    def suspect(self, ids: Collection[ActionId]) -> None:
        """Have every runner mark these before it calls them; until they have ended."""
        ...

    def claim_due(
        self,
        *,
        now: datetime,
        limit: int,
        only: ClaimFilter,
        dry_run: bool = False,
        start_plan: StartPlan | None = None,
    ) -> Claim | None:
        """Claim at most ``limit`` due actions; None when none is due (docs/explain/claims.md).

        What ``start_plan`` chooses is marked as started together with the claim, as :meth:`start`
        would mark it.
        """
        ...

    def catch_up(self, *, now: datetime) -> int:
        """Date what waited for actions that have ended, and zoned chains that PHP went on with.

        Returns how many actions have a new date, which may be now.
        """
        ...

    def still_claimed(self, actions: Sequence[Action]) -> frozenset[ActionId]:
        """Those still pending under our claim: a canceled or lost one must not start."""
        ...

    def states(self, actions: Sequence[Action]) -> dict[ActionId, tuple[str, ClaimId]]:
        """Status and claim of each, as they are now; deleted ones are left out."""
        ...

    def start(
        self, started: Sequence[tuple[Action, Sequence[LogLine]]], *, now: datetime, once: bool
    ) -> frozenset[ActionId]:
        """Mark as in-progress, one attempt more, with log rows; returns those that were ours."""
        ...

    def settle(
        self, endings: Sequence[Ending], *, now: datetime, finished: Collection[ClaimId] = ()
    ) -> frozenset[ActionId]:
        """Make endings true, all in one transaction; returns those that were ours to end.

        ``finished`` claims hold nothing more and are deleted with it. A crash leaves either all or
        nothing of one call.
        """
        ...

    def release(self, actions: Sequence[Action], *, finished: Collection[ClaimId] = ()) -> int:
        """Put unstarted actions back; returns how many were still ours."""
        ...

    def heartbeat(self, in_hand: Sequence[ActionId], *, now: datetime) -> bool:
        """Keep held rows and this runner's own row fresh.

        False when that row is gone: others took us for dead, and what we held for theirs.
        """
        ...

    def glance(self, *, now: datetime, silent_seconds: float) -> Sight:
        """One cheap statement for an idle runner, in place of claiming to see."""
        ...

    def count_failures(
        self, hook: str, *, failed: int, is_fresh: bool, most: int, pause: Pause, now: datetime
    ) -> bool:
        """Add up a hook's failures in a row, on all hosts, and pause it when they are ``most``.

        ``failed``: the newest; ``is_fresh``: before them it completed. Returns whether it was
        paused by this call; not when it was already.
        """
        ...

    def tell_held(self, hooks: Collection[str]) -> Sequence[str]:
        """Note that these hooks' actions are held back; returns whom this runner is to tell of."""
        ...

    def held_hooks(self) -> frozenset[str]:
        """Hooks whose actions are held back, as far as runners have noted."""
        ...

    def forget_held(self, hooks: Collection[str]) -> None:
        """An action of each of these hooks has run: they are held no more."""
        ...

    def log(self, lines: Iterable[tuple[ActionId, LogLine]]) -> None:
        """Write rows into actions' own logs."""
        ...

    def insert(self, actions: Sequence[NewAction], *, now: datetime) -> Sequence[ActionId]:
        """Insert pending actions with their "action created" rows; groups are made as needed."""
        ...

    def said(self, ids: Sequence[ActionId], start: str) -> dict[ActionId, int]:
        """How many rows of each action's own log begin so; none: the action is left out."""
        ...

    def counts(self) -> dict[str, int]:
        """How many actions have each status."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
