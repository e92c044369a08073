"""Describe what a store offers and the values that it takes and returns.

This is the seam between the runner and a database. Every change of an action is guarded by its id,
its claim and the expected status. A row that does not match belongs to somebody else by now. That
is an answer and not an error, so the methods return what they did change.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import Final, NamedTuple, Protocol, TypeAlias

from wpbridge.action import Action, ActionId, Claim, ClaimId, NewAction, RunnerId, Status
from wpbridge.dataclass import dataclass
from wpbridge.outcome import LogLine, Progress
from wpbridge.site.rules import Limit
from wpbridge.store.records import Pause

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
    """What :meth:`Store.settle` returns; None when nothing of them was written."""


Portion: TypeAlias = Callable[[Sequence[str]], int]
"""Given the hooks of due actions in their order, return how many of them to take: one or more. It
must be a pure function, as those of a :class:`StartPlan` are."""


class Store(Protocol):
    """One site's queue, as a runner uses it. Only one thread at a time may use a store."""

    @property
    def is_remote(self) -> bool:
        """Return whether its calls wait for a server, so that others can work meanwhile."""
        ...

    def register(
        self,
        *,
        host: str,
        boot: str,
        pid: int,
        pid_started: str,
        wake_address: str = "",
        places: int = 1,
    ) -> RunnerId:
        """Add this runner to the table of runners, which is made on first use.

        ``wake_address`` says where PHP reports that it has enqueued something, and ``places`` how
        many actions of the queue this runner can run at once.
        """
        ...

    def tell_places(self, places: int) -> None:
        """Write that this runner can now run so many actions at once."""
        ...

    def tell_about(self, about: str) -> None:
        """Write what this runner's process is and does, as JSON, where there is a column for it."""
        ...

    def wish(self) -> str:
        """Return what people wish of this runner: ``quiet``, ``stop``, or empty for nothing."""
        ...

    def carry_wish(self, wish: str) -> None:
        """Write a wish into this runner's row that was made of the one before it."""
        ...

    def unregister(self) -> None:
        """Remove this runner's row. The runner must have nothing in hand."""
        ...

    def other_runners(self) -> Sequence[RunnerRecord]:
        """Return the rows of all runners but this one."""
        ...

    def adopt(self, runner: RunnerRecord) -> Adopted | None:
        """Take over a dead runner's claims in one transaction.

        Returns None when another runner was faster.
        """
        ...

    def orphans(self, *, now: datetime) -> Sequence[Action]:
        """Return running actions that wpbridge started and that no runner's row names.

        They have given no sign of life for two minutes. See :mod:`wpbridge.store.running.orphans`.
        """
        ...

    def adopt_orphans(
        self, claims: Collection[ClaimId], *, once: Collection[ActionId]
    ) -> Adopted | None:
        """Take over claims that belong to no runner, in one transaction.

        ``once`` names those of their actions that must not be started a second time. Returns None
        when another runner was faster.
        """
        ...

    def suspect(self, ids: Collection[ActionId]) -> None:
        """Make these actions suspects: until they end, runners mark their start before the call."""
        ...

    def claim_due(
        self,
        *,
        now: datetime,
        limit: int,
        only: ClaimFilter,
        dry_run: bool = False,
        start_plan: StartPlan | None = None,
        portion: Portion = len,
    ) -> Claim | None:
        """Claim at most ``limit`` due actions; return None when none is due.

        ``portion`` says how many of the actions of these hooks, from the first on, are taken.

        The actions that ``start_plan`` chooses are marked as started together with the claim, as
        :meth:`start` would mark them. See docs/explain/claims.md.
        """
        ...

    def claim_and_settle(
        self,
        endings: Sequence[Ending],
        *,
        finished: Collection[ClaimId],
        now: datetime,
        limit: int,
        only: ClaimFilter,
        start_plan: StartPlan | None,
        portion: Portion,
        meanwhile: Callable[[], bool] | None = None,
    ) -> "ClaimAndSettled":
        """Claim as :meth:`claim_due` does, and settle in the same transaction.

        ``meanwhile`` is called again and again while an answer of the database is awaited, until it
        returns False. It must not use the store. What it raises is raised, and then nothing is
        claimed or settled.

        Nothing is settled where there is nothing to claim, where an ending was not ours any more,
        or where there are limits to count by. The caller then calls :meth:`settle`. An error that
        the database has for an ending is raised, and nothing is claimed then.
        """
        ...

    def catch_up(self, *, now: datetime) -> int:
        """Give dates to actions whose waits are over, and correct zoned chains that PHP continued.

        Returns how many actions got a new date. The new date may be now.
        """
        ...

    def still_claimed(self, actions: Sequence[Action]) -> frozenset[ActionId]:
        """Return those still pending under our claim. Canceled and lost ones must not start."""
        ...

    def waiting(self, claims: Collection[ClaimId]) -> frozenset[ActionId]:
        """Return the actions that are still pending in these claims of this runner."""
        ...

    def states(self, actions: Sequence[Action]) -> dict[ActionId, tuple[str, ClaimId]]:
        """Return the present status and claim of each action. Deleted actions are left out."""
        ...

    def start(
        self, started: Sequence[tuple[Action, Sequence[LogLine]]], *, now: datetime, once: bool
    ) -> frozenset[ActionId]:
        """Mark actions as started, one attempt more, with log rows; return those that were ours."""
        ...

    def settle(
        self, endings: Sequence[Ending], *, now: datetime, finished: Collection[ClaimId] = ()
    ) -> frozenset[ActionId]:
        """Write endings in one transaction; return the ids of the actions that were ours to end.

        The claims in ``finished`` have no live actions any more and are deleted in the same
        transaction. After a crash either all of one call is written or nothing.
        """
        ...

    def release(self, actions: Sequence[Action], *, finished: Collection[ClaimId] = ()) -> int:
        """Put actions back that have not started; return how many were still ours."""
        ...

    def heartbeat(self, in_hand: Sequence[ActionId], *, now: datetime) -> bool:
        """Renew the sign of life of the actions in hand, and this runner's own beat.

        Returns False when this runner's row is gone. Then other runners took it for dead, and took
        over what it had in hand.
        """
        ...

    def glance(self, *, now: datetime, silent_seconds: float) -> Sight:
        """Check with one cheap statement whether an idle runner has a reason to claim."""
        ...

    def count_failures(
        self, hook: str, *, failed: int, is_fresh: bool, most: int, pause: Pause, now: datetime
    ) -> bool:
        """Count a hook's failures in a row on all hosts, and pause the hook at ``most`` of them.

        ``failed`` is the number of new failures. ``is_fresh`` says that the hook completed an
        action before them, so that counting starts anew. Returns whether this call paused the hook;
        False when it was paused already.
        """
        ...

    def tell_held(self, hooks: Collection[str]) -> Sequence[str]:
        """Note that these hooks are held; return the hooks that this runner should report."""
        ...

    def held_hooks(self) -> frozenset[str]:
        """Return the hooks that are held, as far as runners have noted."""
        ...

    def forget_held(self, hooks: Collection[str]) -> None:
        """Note that these hooks are no longer held, because an action of each of them has run."""
        ...

    def log(self, lines: Iterable[tuple[ActionId, LogLine]]) -> None:
        """Write log rows for actions."""
        ...

    def advance(self, steps: Mapping[ActionId, Progress]) -> None:
        """Write how far running actions are. A store that cannot keep that writes nothing."""
        ...

    def insert(self, actions: Sequence[NewAction], *, now: datetime) -> Sequence[ActionId]:
        """Insert pending actions with their "action created" log rows; make missing groups."""
        ...

    def said(self, ids: Sequence[ActionId], start: str) -> dict[ActionId, int]:
        """Count, for each action, the log rows whose message starts with ``start``.

        Actions without such rows are left out.
        """
        ...

    def counts(self) -> dict[str, int]:
        """Count the actions of each status."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
