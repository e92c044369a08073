"""Describe what a store offers to a runner.

This is the seam between the runner and a database. Every change of an action is guarded by its id,
its claim and the expected status. A row that does not match belongs to somebody else by now. That
is an answer and not an error, so the methods return what they did change.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from wpbridge.action import Action, ActionId, Claim, ClaimId, NewAction, RunnerId
from wpbridge.outcome import LogLine, Progress
from wpbridge.store.base import (
    Adopted,
    ClaimAndSettled,
    ClaimFilter,
    Ending,
    Portion,
    RunnerRecord,
    Sight,
    StartPlan,
)
from wpbridge.store.records import Pause


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
