"""The worker processes of a daemon: started, started again, replaced one by one, stopped.

Knows processes and time, no signals and no service manager. :meth:`Fleet.tick` does what is due.
"""

import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from wpbridge.daemon.heartbeat import Worker
from wpbridge.daemon.worker_process import GATEWAY, RECYCLED, Child, State
from wpbridge.daemon.worker_slots import RollingRestart, WorkerSlot
from wpbridge.telling.log import tell

LEAVE_SECONDS: Final = 10.0
"""How long a worker that said good-bye may take to end."""

_COUNTED: Final = frozenset(
    {
        "claimed",
        "complete",
        "failed",
        "retried",
        "canceled",
        "released",
        "handed",
        "lost",
        "reclaimed",
    }
)


class Fleet:
    """All worker processes of one daemon."""

    def __init__(
        self,
        start: Callable[[int], Child],
        size: int,
        *,
        has_gateway: bool = False,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[float, float], float] = random.uniform,
        opened: Callable[[Child], None] = lambda _child: None,
        closed: Callable[[Child], None] = lambda _child: None,
        counted: Callable[[Sequence[Any]], None] = lambda _numbers: None,
    ) -> None:
        """``opened`` and ``closed`` are told of each process, to watch its link.

        ``counted`` is given what a process has counted since it last said so.

        ``has_gateway``: one more process serves HTTP. It is started and stopped as the workers are,
        and is none of them.
        """
        self._start = start
        self._clock = clock
        self._chance = chance
        self._opened, self._closed, self._counted = opened, closed, counted
        self._slots = [WorkerSlot(number) for number in range(1, size + 1)]
        self._beside = [WorkerSlot(GATEWAY)] if has_gateway else []
        self._leaving: list[Child] = []
        self.rolling = RollingRestart()
        self._totals: Counter[str] = Counter()
        self.deaths = 0
        """How many processes have ended without being told to."""
        self.is_seen = False
        """Whether a worker was ever ready: until then what ends it ends the daemon."""
        self.is_renewed = False
        """Whether a successor has taken its slot since the last :meth:`roll`."""
        self.is_refused = False
        """Whether the first successor did not start."""
        self.is_stopping = False
        self.is_quiet = False
        self._concurrency: int | None = None
        """How many handlers run at once in a worker; None for as many as it begins with."""
        self.failed: int | None = None
        """Exit code of the first worker, when it never became ready."""

    # Looking

    def children(self) -> Iterator[Child]:
        """Yield every worker process, those that leave among them."""
        for slot in self._all():
            yield from slot.children()
        yield from self._leaving

    def workers_of(self, state: State) -> list[Child]:
        """Return the processes that run actions and are in this state."""
        return [c for c in self.children() if c.number != GATEWAY and c.state == state]

    def _all(self) -> list[WorkerSlot]:
        return [*self._slots, *self._beside]

    def is_ready(self) -> bool:
        """Return whether every slot is filled by a worker that is registered.

        One that was added since more workers are wanted counts from then on only.
        """
        return all(
            slot.child is not None and slot.child.state == "working"
            for slot in self._all()
            if slot.is_urgent
        )

    @property
    def is_partly_quiet(self) -> bool:
        """Whether some worker is told to claim nothing, or all of them are."""
        return self.is_quiet or any(slot.is_wished_quiet for slot in self._slots)

    def silent_seconds(self) -> float:
        """Return how long the worker was silent that is silent longest."""
        now = self._clock()
        return max((now - c.signed for c in self.children() if c.state != "starting"), default=0.0)

    def has_database(self) -> bool:
        """Return whether the database answered every worker's last question."""
        return all(c.has_database for c in self.children())

    def totals(self) -> Counter[str]:
        """Return what all workers have done since the start."""
        found = Counter(self._totals)
        for child in self.children():
            found.update({k: int(v) for k, v in child.totals.items() if k in _COUNTED})
        return found

    def places(self) -> Mapping[str, int]:
        """Return how many actions run, how many more could, and the most that could run at once."""
        workers = [c.totals for c in self.children() if c.number != GATEWAY]
        most = sum(int(one.get("places", 0)) for one in workers)
        busy = sum(min(int(one.get("in_hand", 0)), int(one.get("places", 0))) for one in workers)
        return {"busy": busy, "idle": most - busy, "max": most}

    def workers(self) -> tuple[Worker, ...]:
        """Return what the heartbeat file tells of each worker."""
        now = self._clock()
        return tuple(
            Worker(
                pid=c.pid,
                state=c.state,
                silent_seconds=round(now - c.signed, 1),
                database=c.has_database,
            )
            for c in self.children()
        )

    def files(self) -> set[str]:
        """Return the modules that workers have loaded from the handlers' folder."""
        return {name for child in self.children() for name in child.files}

    # Doing

    def tick(self) -> None:
        """Start what is due, go on replacing, end what lingers."""
        now = self._clock()
        for child in [c for c in self.children() if c.state == "left"]:
            if now - child.left_at > LEAVE_SECONDS:
                child.kill()
        self.reap()
        if self.is_stopping or self.failed is not None:
            return
        for empty in self._wanted():
            if now >= empty.due:
                empty.child = self._launch(empty.number)
                if empty.child is None:
                    empty.died(now, now, self._chance)
        slot = self.rolling.next(self._all(), self._leaving, now)
        if slot is not None:
            slot.successor = self._launch(slot.number)
            if slot.successor is None:
                self._refused(0)

    def next_due(self) -> float | None:
        """When a worker is to be started; None when none waits."""
        if self.is_stopping:
            return None
        return min((slot.due for slot in self._wanted()), default=None)

    def _wanted(self) -> list[WorkerSlot]:
        """Return the slots to be filled. Until the first worker was ready, it is the only one."""
        slots = self._all() if self.is_seen else self._slots[:1]
        return [slot for slot in slots if slot.child is None]

    def roll(self) -> None:
        """Replace all workers, one by one: the successor is ready before the old one drains."""
        self.is_renewed = self.is_refused = False
        self.rolling.begin(self._all())

    def resize(self, size: int, *, is_urgent: bool = True) -> None:
        """Have so many workers from now on. Those that are too many drain.

        With ``is_urgent`` the fleet is not ready before the new ones are.
        """
        for slot in self._slots[size:]:
            for child in slot.children():
                self._retire(child, "fewer workers")
        self._slots = self._slots[:size]
        more = range(len(self._slots) + 1, size + 1)
        self._slots += [WorkerSlot(n, is_urgent=is_urgent) for n in more]

    def set_concurrency(self, concurrency: int) -> None:
        """Have each worker run so many handlers at once from now on."""
        if concurrency == self._concurrency:
            return
        self._concurrency = concurrency
        for child in self.children():
            self._tell_concurrency(child)

    def unscale(self, concurrency: int | None) -> None:
        """Have workers whose number was once chosen run as many as the settings say."""
        if self._concurrency is not None and concurrency is not None:
            self.set_concurrency(concurrency)

    def _tell_concurrency(self, child: Child) -> None:
        if self._concurrency is not None and child.number != GATEWAY:
            child.tell(f"concurrency {self._concurrency}")

    def tell(self, word: str) -> None:
        """Hand a command on to all workers."""
        if word in ("quiet", "resume"):
            self.is_quiet = word == "quiet"
        for child in self.children():
            child.tell(word)

    def stop(self) -> None:
        """Let all of them drain; nobody is started any more."""
        self.is_stopping = True
        self.rolling.end()
        self.tell("stop")

    def kill(self) -> None:
        """End all of them at once."""
        self.is_stopping = True
        for child in self.children():
            child.kill()

    def heard(self, child: Child, message: dict[str, Any]) -> dict[str, Any] | None:
        """Take a message in; returns a worker's state where it tells it."""
        match message.get("event"):
            case "beat":
                child.signed = self._clock() - float(message["silent"])
                child.has_database = bool(message["database"])
                child.totals = message["totals"]
                if message["leaving"] and child.state == "working":
                    self._recycle(child, str(message["leaving"]))
            case "ready":
                child.signed = self._clock()
                child.files = tuple(message["files"])
                self._ready(child)
            case "left":
                child.totals = message["totals"]
                child.state, child.left_at = "left", self._clock()
            case "state":
                return {"worker": child.number, **message["told"]}
            case "numbers":
                self._counted(message["numbers"])
            case "wish":
                if (slot := self._slot_of(child)) is not None:
                    slot.is_wished_quiet = message["wish"] == "quiet"
            case "wakes":
                # The supervisor has taken it in before.
                pass
            case _:
                tell("worker.unknown_message", said=json.dumps(message)[:200])
        return None

    def reap(self) -> None:
        """Take the workers away that have ended."""
        for child in [c for c in self.children() if c.has_ended()]:
            # Its last words may still be on the way.
            while (heard := child.hear())[0]:
                for message in heard[0]:
                    self.heard(child, message)
            self._closed(child)
            child.link.close()
            self._totals.update({k: int(v) for k, v in child.totals.items() if k in _COUNTED})
            child.totals = {}
            self._ended(child)

    def _launch(self, number: int) -> Child | None:
        """Start a worker; None when the system has no room. The first one raises OSError then."""
        try:
            child = self._start(number)
        except OSError as error:
            if not self.is_seen:
                raise
            tell("worker.not_started", worker=number, error=error.strerror)
            return None
        if self.is_quiet:
            child.tell("quiet")
        self._tell_slot(child)
        self._tell_concurrency(child)
        self._opened(child)
        # While nobody was ever ready, what goes wrong is the first worker's own line alone.
        level = logging.INFO if self.is_seen else logging.DEBUG
        tell("worker.started", level=level, worker=number, worker_pid=child.pid)
        return child

    def _tell_slot(self, child: Child) -> None:
        """Tell a new worker what it takes over from those before it in its slot."""
        for slot in self._slots:
            if slot.number == child.number:
                if slot.is_wished_quiet:
                    child.tell("carry quiet")
                if slot.all_deaths:
                    child.tell(f"deaths {slot.all_deaths}")

    def _slot_of(self, child: Child) -> WorkerSlot | None:
        return next((slot for slot in self._all() if child in slot.children()), None)

    def _ready(self, child: Child) -> None:
        if child.state == "starting":
            child.state = "working"
        self.is_seen = True
        slot = self._slot_of(child)
        if slot is not None:
            slot.is_urgent = True
        if slot is not None and slot.successor is child:
            old, slot.child, slot.successor = slot.child, child, None
            self.is_renewed = True
            if old is not None:
                self._retire(old, "reload")
                self.rolling.drains(old, self._clock())

    def _retire(self, child: Child, why: str) -> None:
        """Let a worker finish what it runs. Only the end of the daemon waits for that."""
        child.tell("stop")
        self._leaving.append(child)
        child.state, child.why = "leaving", why

    def _recycle(self, child: Child, why: str) -> None:
        """Fill the slot of a worker at once that has begun to end by itself."""
        slot = self._slot_of(child)
        child.state, child.why = "leaving", why
        tell("worker.recycled", worker_pid=child.pid, why=why)
        if slot is not None and slot.child is child:
            self._leaving.append(child)
            slot.child, slot.successor, slot.due = slot.successor, None, self._clock()

    def _ended(self, child: Child) -> None:
        if child in self._leaving:
            self._leaving.remove(child)
            return
        if (slot := self._slot_of(child)) is None:
            return
        if slot.successor is child:
            slot.successor = None
            self._refused(child.code)
            return
        slot.child, slot.successor = slot.successor, None
        if self.is_stopping:
            return
        if not self.is_seen:
            self.failed = child.code or 1
            return
        self.deaths += child.code != RECYCLED
        slot.all_deaths += child.code != RECYCLED
        slot.emptied(child, self._clock(), self._chance)

    def _refused(self, code: int) -> None:
        """A successor that does not start shows that the new configuration is broken."""
        if not self.rolling.is_on or self.is_stopping:
            return
        self.rolling.end()
        self.is_refused = not self.is_renewed
        tell("daemon.reload_refused", code=code, kept="the old workers")
