"""A queue on a clock that is moved: loads, places that run them, and what advice is told of it.

A load is a list of arrivals. Nothing here waits, and each load has its seed, so that a run gives the
same numbers each time.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from wpbridge.monitor.history import Ended, History
from wpbridge.monitor.readings import Readings

LOOK_SECONDS = 15.0
WINDOW_SECONDS = 300.0
EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
Rate = Callable[[float], float]
Service = Callable[[random.Random], float]


class Arrival(NamedTuple):
    """One action: when it is due, and for how long it runs."""

    at: float
    service: float


class Load(NamedTuple):
    """What arrives. Each number of the same load comes from its seed."""

    rate: Rate
    """Arrivals per second at a time."""
    most: float
    """No rate is higher."""
    service: Service
    batches: Sequence[tuple[float, int]] = ()
    """So many arrive at once at a time."""
    target: float = 60.0
    seconds: float = 7200.0
    asked: tuple[float, ...] = (3000.0, 6900.0)
    """When the advice is asked: a load that jumps has then been so for five minutes."""

    def arrivals(self, seed: int, since: float = 0.0, until: float | None = None) -> list[Arrival]:
        """Draw the arrivals of a time: a Poisson process of this rate, by thinning."""
        chance = random.Random(seed)  # noqa: S311 - a simulation
        end = self.seconds if until is None else until
        found, at = [], since
        while self.most and (at := at + chance.expovariate(self.most)) < end:
            if chance.random() * self.most < self.rate(at):
                found.append(Arrival(at, self.service(chance)))
        for moment, count in self.batches:
            if since <= moment < end:
                found += [Arrival(moment, self.service(chance)) for _ in range(count)]
        return sorted(found, key=lambda one: one.at)


class Seen(NamedTuple):
    """How the queue stands when somebody looks."""

    at: float
    places: int
    busy: int
    waiting: tuple[Arrival, ...]
    readings: Readings
    history: History


class Ran(NamedTuple):
    """What came of it."""

    waits: list[float]
    place_seconds: float
    """Those that were there, and those that still finished what they ran."""

    def wait(self, share: float) -> float:
        """Return the wait that this share of the actions did not exceed."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0


class Simulation:
    """First come, first served, at places whose number changes at each look."""

    def __init__(self, arrivals: Sequence[Arrival], places: int) -> None:
        self._arrivals = arrivals
        self._next = 0
        self.places = places
        self._queue: deque[Arrival] = deque()
        self._running: list[tuple[float, float]] = []
        """When it ends, and for how long it runs."""
        self._ended: deque[tuple[float, float]] = deque()
        self.waits: list[float] = []
        self.place_seconds = 0.0

    def looks(self, seconds: float) -> Iterator[Seen]:
        """Yield what is seen at each look; the caller may change :attr:`places` then."""
        for number in range(int(seconds / LOOK_SECONDS)):
            at = number * LOOK_SECONDS
            yield self._seen(at)
            self.place_seconds += LOOK_SECONDS * max(self.places, len(self._running))
            self._start(at)
            self.run_until(at + LOOK_SECONDS)

    def run_until(self, until: float) -> None:
        """Let time pass."""
        while True:
            ends = self._running[0][0] if self._running else math.inf
            comes = self._arrivals[self._next].at if self._next < len(self._arrivals) else math.inf
            at = min(ends, comes)
            if at >= until:
                return
            if ends <= comes:
                self._ended.append((at, heapq.heappop(self._running)[1]))
            else:
                self._queue.append(self._arrivals[self._next])
                self._next += 1
            self._start(at)

    def _start(self, at: float) -> None:
        while self._queue and len(self._running) < self.places:
            arrival = self._queue.popleft()
            self.waits.append(at - arrival.at)
            heapq.heappush(self._running, (at + arrival.service, arrival.service))

    def _seen(self, at: float) -> Seen:
        until = at - at % 60.0
        since = until - WINDOW_SECONDS
        while self._ended and self._ended[0][0] < since:
            self._ended.popleft()
        services = [service for ended, service in self._ended if ended < until]
        low, high = (_place(self._arrivals, moment) for moment in (since, until))
        busy, waiting = len(self._running), tuple(self._queue)
        places = max(self.places, busy)
        return Seen(
            at,
            places,
            busy,
            waiting,
            readings(
                due=len(waiting),
                oldest=at - waiting[0].at if waiting else 0.0,
                running={"mail": busy},
                places=places,
                at=EPOCH + timedelta(seconds=at),
            ),
            history(
                arrivals=None if since < 0 else (high - low) / WINDOW_SECONDS,
                service=sum(services) / len(services) if services else None,
                ended=len(services),
                until=EPOCH + timedelta(seconds=until),
            ),
        )

    def ran(self) -> Ran:
        """Return what came of it."""
        return Ran(self.waits, self.place_seconds)


def _place(arrivals: Sequence[Arrival], at: float) -> int:
    low, high = 0, len(arrivals)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if arrivals[middle].at < at else (low, middle)
    return low


def readings(
    *,
    due: int = 0,
    oldest: float = 0.0,
    running: Mapping[str, int] | None = None,
    longest: float = 0.0,
    places: int = 4,
    at: datetime = EPOCH,
    last_run: Mapping[str, datetime] | None = None,
) -> Readings:
    """Build readings of which only the given is of interest."""
    return Readings(
        at=at,
        took_seconds=0.01,
        cap=100_000,
        counts={"pending": due},
        due=due,
        past_due=0,
        due_by_group={"": due} if due else {},
        oldest_due_seconds={"": oldest} if due else {},
        claims=0,
        running=running or {},
        running_longest_seconds=longest,
        table_rows={},
        table_bytes={},
        pauses=(),
        last_run=last_run or {"wpbridge": at},
        recurring_stopped=0,
        places=places,
    )


def history(
    *,
    arrivals: float | None,
    service: float | None,
    ended: int = 0,
    claim_p99: float | None = 0.01,
    until: datetime = EPOCH,
) -> History:
    """Build the history of five minutes of which only the given is of interest."""
    spent = ended * (service or 0.0)
    return History(
        since=until - timedelta(seconds=WINDOW_SECONDS),
        until=until,
        hooks={"mail": Ended(complete=ended, duration_seconds=spent)} if ended else {},
        arrivals_per_second=arrivals,
        service_seconds=service,
        claims=ended,
        claim_p99_seconds=claim_p99,
        db_errors=0,
        rescued=0,
    )
