"""The executor of a relay: it names actions to Celery's workers, and runs nothing itself.

A thread publishes the messages, since a broker may take its time and the runner's loop must beat.
What the broker does not take is put back, so that nothing waits in the hands of a relay that cannot
hand it over. What no worker starts in time is sent again: a message may have been lost with its
broker or its worker, and a second one does no harm.
"""

import queue
import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final

from wpbridge.action import Action
from wpbridge.clock import Clock
from wpbridge.dataclass import dataclass
from wpbridge.errors import BrokerUnavailable, ConfigError
from wpbridge.executors.base import Call, Mailbox, Report, StartMark
from wpbridge.executors.celery.broker import BATCH, Broker
from wpbridge.executors.celery.messages import Message, Wake, wake
from wpbridge.executors.openings import NO_HOOKS, HookSet, Openings
from wpbridge.outcome import Unrun
from wpbridge.site.rules import Route
from wpbridge.telling.log import tell

LOOK_SECONDS: Final = 1.0
"""How often the thread looks what must be sent again."""
LONGEST_RESEND_SECONDS: Final = 3600.0
MOST_WAITS: Final = 10
"""So many times as long an action waits whose message may be in a long queue. Others may keep that
queue long for ever."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 10.0
"""Between two tries to reach a broker that is away."""
_NOT_THERE: Final = (BrokerUnavailable, ConfigError)
"""A broker whose packages are missing is as good as one that is away: the thread must go on."""


@dataclass(slots=True, eq=False)
class _Sent:
    """A call that was named, or is about to be."""

    call: Call
    message: Message
    resend_at: float = 0.0
    """Monotonic; 0 while the broker has not confirmed its message."""
    latest: float = 0.0
    """When it is sent again, however long the queue is."""
    tries: int = 0


class CeleryExecutor:
    """See :class:`wpbridge.executors.base.Executor`."""

    def __init__(
        self,
        broker: Broker,
        *,
        hooks: Collection[str],
        route_of: Callable[[str, str], Route],
        site: Callable[[], str],
        relay: Callable[[], str],
        window: int,
        resend_after_seconds: float,
        clock: Clock,
        mailbox: Mailbox,
    ) -> None:
        """Start the thread.

        Args:
            broker: belongs to the thread from now on.
            hooks: those that a worker can run.
            route_of: the route that hands a hook and group slug to Celery.
            site: returns by what workers know that a message is theirs; called by the loop.
            relay: returns the relay's name in fences; called by the runner's loop.
            window: how many actions may be named and not started.
            resend_after_seconds: after so long an action that has not started is named again, then
                after twice as long, and so on.
            clock: for moments and dates.
            mailbox: where what cannot be handed over is reported.
        """
        self._broker = broker
        self._hooks = HookSet(frozenset(hooks))
        self._route_of = route_of
        self._site = site
        self._relay = relay
        self._window = window
        self._resend_after = resend_after_seconds
        self._clock = clock
        self._mailbox = mailbox
        self._lock = threading.Lock()
        self._calls: dict[Call, _Sent] = {}
        self._queue: queue.Queue[_Sent | None] = queue.Queue()
        self._away: str | None = "the broker was not asked yet"
        """Why nothing can be handed over just now. Nothing is claimed meanwhile."""
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="wpbridge-relay", daemon=True)
        self._thread.start()

    # For the runner's loop

    def openings(self) -> Sequence[Openings]:
        """The hooks that a worker can run, while there is room in the window."""
        return [Openings(hooks=self._hooks if self.has_room() else NO_HOOKS)]

    def refuses(self, hook: str, group: str) -> str | None:
        """Return None, since what cannot be handed over is reported."""
        del hook, group
        return None

    def missing(self) -> frozenset[str]:
        """No hook: what has no handler is never claimed."""
        return frozenset()

    def start_mark(self, hook: str, group: str) -> StartMark:
        """The worker writes it."""
        del hook, group
        return "by_worker"

    def has_room(self, *, ahead: bool = False) -> bool:
        """Return whether the broker is there, and fewer actions wait than the window allows."""
        del ahead
        return self._away is None and len(self._calls) < self._window

    def admit(self, waiting: Sequence[Call]) -> list[Call]:
        """Return all: none waits for a start mark."""
        return list(waiting)

    def trouble(self) -> str | None:
        """Return why the broker takes nothing; None when it does."""
        return self._away

    def ignored(self, action: Action) -> None:
        """Do nothing: nobody here asks for it."""
        del action

    def submit(self, call: Call) -> None:
        """Name a call's action to the workers, soon."""
        action = call.action
        route = self._route_of(action.hook, action.group)
        told = Wake(self._site(), action.id, action.claim_id, self._relay())
        message = wake(told, queue=route.queue, hook=action.hook, priority=route.priority)
        sent = _Sent(call, message)
        with self._lock:
            self._calls[call] = sent
        self._queue.put(sent)

    def reports(self, timeout_seconds: float) -> list[Report]:
        """Return what could not be handed over."""
        return self._mailbox.take(timeout_seconds)

    def wake(self) -> None:
        """End a wait in :meth:`reports`; safe in a signal handler."""
        self._mailbox.wake()

    def running(self) -> dict[Call, datetime]:
        """Return nothing: what runs is a worker's."""
        return {}

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """Forget calls. Their messages count no more once their actions have left the claim."""
        with self._lock:
            taken = [call for call in self._calls if only is None or call in only]
            for call in taken:
                del self._calls[call]
        return taken

    def resize(self, concurrency: int) -> None:
        """Do nothing: the window stays."""
        del concurrency

    def announce_stop(self) -> None:
        """Do nothing: the runner recalls what has not started."""

    def close(self) -> None:
        """End the thread and its connection."""
        self._is_closed = True
        self._queue.put(None)
        self._thread.join(timeout=LONGEST_PAUSE_SECONDS)

    # The thread

    def _work(self) -> None:
        self._reach()
        looked_at = self._clock.monotonic()
        while not self._is_closed:
            batch = self._batch()
            if batch:
                self._send(batch)
            if self._clock.monotonic() - looked_at >= LOOK_SECONDS:
                looked_at = self._clock.monotonic()
                self._send_again()
        self._broker.close()

    def _batch(self) -> list[_Sent]:
        """Return what waits to be sent; wait a moment for the first of it."""
        found: list[_Sent] = []
        try:
            first = self._queue.get(timeout=LOOK_SECONDS)
            while first is not None:
                found.append(first)
                if len(found) >= BATCH:
                    break
                first = self._queue.get_nowait()
        except queue.Empty:
            pass
        with self._lock:
            return [one for one in found if one.call in self._calls]

    def _send(self, batch: Sequence[_Sent]) -> None:
        try:
            self._broker.publish([one.message for one in batch])
        except _NOT_THERE as error:
            self._be_away(str(error))
            return
        now = self._clock.monotonic()
        for one in batch:
            one.tries += 1
            wait = min(self._resend_after * 2 ** (one.tries - 1), LONGEST_RESEND_SECONDS)
            one.resend_at, one.latest = now + wait, now + MOST_WAITS * wait

    def _send_again(self) -> None:
        """Send again what has not started in time, unless its message still waits at the broker."""
        now = self._clock.monotonic()
        with self._lock:
            sent = list(self._calls.values())
        late = [one for one in sent if 0 < one.resend_at <= now]
        there = Counter(one.message.queue for one in sent)
        for name in {one.message.queue for one in late}:
            some = [one for one in late if one.message.queue == name]
            try:
                depth = self._broker.depth(name)
            except _NOT_THERE as error:
                self._be_away(str(error))
                return
            if depth >= there[name]:
                # The workers have more to do than they can: most messages wait for their turn.
                for one in some:
                    one.resend_at = now + self._resend_after
                some = [one for one in some if one.latest <= now]
            if some:
                tell("celery.resent", queue=name, messages=len(some))
                self._send(some)

    def _be_away(self, reason: str) -> None:
        """Put back what is not confirmed, and try to reach the broker until it answers."""
        self._away = reason
        tell("celery.away", broker=self._broker.address, reason=reason)
        self._put_back_unsent(reason)
        self._wait(FIRST_PAUSE_SECONDS, reason)
        self._reach(is_told=True)

    def _reach(self, *, is_told: bool = False) -> None:
        """Try to reach the broker until it answers. Say once that it does not, and that it does."""
        pause = FIRST_PAUSE_SECONDS
        while not self._is_closed:
            try:
                self._broker.check()
            except _NOT_THERE as error:
                self._away = str(error)
                if not is_told:
                    is_told = True
                    tell("celery.away", broker=self._broker.address, reason=str(error))
                self._put_back_unsent(str(error))
                self._wait(pause * random.uniform(0.75, 1.0), str(error))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                self._away = None
                if is_told:
                    tell("celery.back", broker=self._broker.address)
                self._mailbox.wake()
                return

    def _put_back_unsent(self, reason: str) -> None:
        now = self._clock.now()
        with self._lock:
            unsent = [one.call for one in self._calls.values() if not one.resend_at]
            for call in unsent:
                del self._calls[call]
        if not unsent:
            return
        outcome = Unrun(reason=reason)
        self._mailbox.put(
            *(Report(call=c, outcome=outcome, started_at=now, ended_at=now) for c in unsent)
        )

    def _wait(self, seconds: float, reason: str) -> None:
        """Wait, unless the executor is closed meanwhile; what is submitted is put back at once."""
        end = self._clock.monotonic() + seconds
        while not self._is_closed:
            try:
                self._queue.get(timeout=max(0.0, end - self._clock.monotonic()))
            except queue.Empty:
                return
            self._put_back_unsent(reason)
