"""The PHP workers as an executor: what the runner may ask them, and leave with them.

The processes themselves belong to a thread of their own: :mod:`wpbridge.executors.php.pool`.
"""

from collections.abc import Collection, Sequence

from wpbridge.action import Action
from wpbridge.clock import Clock
from wpbridge.executors.base import Call, Mailbox, StartMark
from wpbridge.executors.openings import ANY_HOOK, NO_HOOKS, HookSet, Openings
from wpbridge.executors.php.hooks import Hooks
from wpbridge.executors.php.inbox import Inbox
from wpbridge.executors.php.launch import Launch
from wpbridge.executors.php.limits import Greeting, PoolLimits
from wpbridge.executors.php.pool import Processes
from wpbridge.executors.pools.executor import PoolExecutor
from wpbridge.telling.counting import Counter


class PhpPool(PoolExecutor[Inbox, Processes]):
    """Runs actions in PHP workers; the methods are those of an executor."""

    def __init__(
        self,
        launch: Launch,
        *,
        limits: PoolLimits,
        clock: Clock,
        greeting: Greeting,
        native: frozenset[str] = frozenset(),
        mailbox: Mailbox | None = None,
        counter: Counter | None = None,
    ) -> None:
        """Starts its thread, and no process yet.

        Args:
            launch: how a worker is started.
            limits: how many, how long.
            clock: for the dates of reports.
            greeting: what workers are told first, and which of them may be used.
            native: hooks that the plugin's own runner runs whatever the bookkeeping is.
            mailbox: where reports go; one of its own when None.
            counter: counts how soon actions start, and workers that are replaced.
        """
        self._limits = limits
        self._native = native
        self._hooks = Hooks()
        mailbox = mailbox or Mailbox()
        inbox = Inbox(clock, mailbox)
        processes = Processes(launch, inbox, self._hooks, limits, greeting, counter or Counter())
        super().__init__(mailbox, inbox, processes)

    def openings(self) -> Sequence[Openings]:
        """Any hook, while there is room, but those whose callbacks were missing a moment ago."""
        hooks = ANY_HOOK.without(self._hooks.missing_now()) if self.has_room() else NO_HOOKS
        known = ANY_HOOK if self._limits.missing == "fail" else HookSet(self._hooks.known)
        is_native = self._limits.bookkeeping == "native"
        ahead = self._pool.room()
        return [
            Openings(
                hooks=hooks,
                known=known,
                at_once=NO_HOOKS if is_native else known.without(self._native),
                room=ahead - self._inbox.sent() - self._inbox.waiting(),
                ahead=ahead,
            )
        ]

    def refuses(self, hook: str, group: str) -> str | None:
        """A WordPress that does not start, or that has no callback for the hook."""
        del group
        if self._pool.back_off.is_down():
            return self._pool.back_off.trouble
        if self._hooks.is_missing(hook):
            return f"WordPress has no callback for {hook}"
        return None

    def missing(self) -> frozenset[str]:
        """Hooks for which WordPress has no callback."""
        return self._hooks.take_missing()

    def start_mark(self, hook: str, group: str) -> StartMark:
        """A callback that looks at its own action must find it in-progress."""
        del group
        native = self._limits.bookkeeping == "native" or hook in self._native
        return "by_plugin" if native else "before_call"

    def has_room(self, *, ahead: bool = False) -> bool:
        """Return whether less waits than is worked on."""
        del ahead
        waiting = self._inbox.waiting() + self._pool.expected
        is_free = waiting < max(self._limits.workers, self._pool.room())
        return is_free and not self._pool.back_off.is_down()

    def admit(self, waiting: Sequence[Call]) -> list[Call]:
        """As many as can be sent ahead, and those in few portions: each costs a transaction."""
        (openings,) = self.openings()
        known = [call for call in waiting if call.action.hook in openings.known]
        admitted = known[: openings.portion(len(known))]
        # Only now is it known that somebody waits, so workers are started for them.
        self._pool.expected = len(waiting) - len(admitted)
        if self._limits.missing == "hold":
            self._hooks.want({call.action.hook for call in waiting})
        if self._hooks.are_wanted() or (self._pool.expected and not openings.ahead):
            self._pool.wake()
        return admitted

    def ignored(self, action: Action) -> None:
        """Fire the plugin's event for it, where a worker is up anyway."""
        self._inbox.ignore(action)
        self._pool.wake()

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """See :class:`Executor`. What was sent ahead comes with a later call, if it comes."""
        if only is None:
            self._pool.expected = 0
        return super().recall(only)

    def resize(self, concurrency: int) -> None:
        """Do nothing: PHP workers have a number of their own."""
        del concurrency

    def announce_stop(self) -> None:
        """Do nothing: PHP callbacks have no way to ask."""
