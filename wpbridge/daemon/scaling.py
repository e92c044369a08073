"""Let a daemon's workers follow the advice: how many processes, and how much at once in each.

A thread asks the tables. The supervisor's loop only looks at its last answer, so that a database
that is slow or away never holds it up.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from wpbridge.daemon.fleet import Fleet
from wpbridge.dataclass import dataclass
from wpbridge.monitor.scaling import Follower, Shape, shape_of
from wpbridge.site.bounds import Bounds
from wpbridge.site.config import Settings
from wpbridge.telling.log import tell

if TYPE_CHECKING:
    from wpbridge.monitor.advice import Advice
    from wpbridge.monitor.gauges import Measured

CPU_SHARE: Final = 0.8
"""Workers that use so much of a processor each are held up by it."""
LOOK_SECONDS: Final = 15.0
"""The tables are asked so often."""
LOOKS: Final = 4
"""The tables are asked so often, at the least, while less need must be seen."""


class Reader(Protocol):
    """What asks the tables: :class:`wpbridge.monitor.gauges.CachedGauges`."""

    def latest(self) -> "Measured | None":
        """Return the last answer, or None; it never waits."""
        ...

    def close(self) -> None:
        """End; it may wait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingTerms:
    """Between which bounds a daemon chooses, and by what."""

    processes: Bounds
    concurrency: Bounds
    beside: int = 0
    """Places that each process has beside those of its Python handlers: its PHP workers."""
    less_seconds: float
    open: Callable[[], Reader]
    """Begins to ask the tables."""

    @classmethod
    def of(cls, settings: Settings) -> "ScalingTerms | None":
        """Return the terms that these settings mean; None where there is nothing to choose."""
        if not (settings.processes.is_open or settings.concurrency.is_open):
            return None
        less = settings.advise_down_after.total_seconds()

        def reader() -> Reader:
            # A supervisor that does not scale needs no database.
            from wpbridge.monitor.gauges import CachedGauges  # noqa: PLC0415

            return CachedGauges.of(settings, every_seconds=min(LOOK_SECONDS, less / LOOKS))

        return cls(
            processes=settings.processes,
            concurrency=settings.concurrency,
            beside=settings.php_workers_each(settings.processes.most) if settings.php else 0,
            less_seconds=less,
            open=reader,
        )

    def places(self, shape: Shape) -> int:
        """Return how many places a shape has."""
        return shape.processes * (shape.concurrency + self.beside)

    def shape(self, places: int, *, is_cpu_bound: bool) -> Shape:
        """Return the shape that has so many places, or the nearest one that is allowed."""
        processes, beside = self.processes, self.beside
        if is_cpu_bound:
            # With more processes than processors, each would only get less of one.
            most = min(processes.most, os.cpu_count() or 1)
            processes = Bounds(processes.least, max(processes.least, most))
        each = Bounds(self.concurrency.least + beside, self.concurrency.most + beside)
        found = shape_of(places, processes, each, is_cpu_bound=is_cpu_bound)
        return Shape(found.processes, found.concurrency - beside)


class Scaler:
    """Resizes one fleet. All methods are called by the supervisor's loop, and none waits."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._terms: ScalingTerms | None = None
        self._reader: Reader | None = None
        self._follower = Follower(1, 1)
        self._shape = Shape(1, 1)
        self._seen: Measured | None = None
        self._cpu: dict[int, float] = {}
        """Processor seconds of each worker at the last look, by pid."""
        self._looked_at = 0.0
        self._is_cpu_bound = False

    def take(self, terms: ScalingTerms | None, fleet: Fleet) -> None:
        """Go by these terms from now on. What was chosen before stays, as far as they allow."""
        if terms is self._terms:
            return
        was, self._terms = self._terms, terms
        self.close()
        if terms is None:
            return
        least = terms.places(Shape(terms.processes.least, terms.concurrency.least))
        most = terms.places(Shape(terms.processes.most, terms.concurrency.most))
        wanted = least if was is None else Bounds(least, most).within(self._follower.wanted)
        self._follower = Follower(least, most, terms.less_seconds)
        self._follower.wanted = wanted
        self._reader, self._seen = terms.open(), None
        self._become(terms.shape(wanted, is_cpu_bound=self._is_cpu_bound), fleet)

    def look(self, fleet: Fleet) -> None:
        """Follow the last advice, if it is a new one."""
        if self._terms is None or self._reader is None or fleet.is_partly_quiet:
            return
        if fleet.is_stopping:
            return
        seen = self._reader.latest()
        if seen is None:
            self._follower.follow(self._clock(), None)
            return
        if seen is self._seen or not fleet.is_seen:
            return
        self._seen = seen
        wanted = self._follower.follow(self._clock(), self._needed(seen.advice, fleet))
        self._judge_processors(fleet)
        shape = self._terms.shape(wanted, is_cpu_bound=self._is_cpu_bound)
        if shape != self._shape:
            self._become(shape, fleet)
            tell(
                "daemon.scaled",
                processes=shape.processes,
                concurrency=shape.concurrency,
                reason=seen.advice.reason,
            )

    def close(self) -> None:
        """Ask the tables no more. The thread may take its time to end."""
        if self._reader is not None:
            threading.Thread(target=self._reader.close, daemon=True).start()
            self._reader = None

    def _needed(self, advice: "Advice", fleet: Fleet) -> int:
        """Return how many places this daemon needs, since others have the rest."""
        others = max(0, advice.workers_now - fleet.places()["max"])
        return advice.workers_advised - others

    def _become(self, shape: Shape, fleet: Fleet) -> None:
        self._shape = shape
        fleet.resize(shape.processes, is_urgent=False)
        fleet.set_concurrency(shape.concurrency)

    def _judge_processors(self, fleet: Fleet) -> None:
        """Note whether the processors are what holds the workers up.

        That stays so until few places suffice again. Spread over more processes each worker uses
        less, and they would be put together and spread again.
        """
        now = self._clock()
        cpu = {c.pid: float(c.totals.get("cpu", 0.0)) for c in fleet.workers_of("working")}
        spent = [used - self._cpu[pid] for pid, used in cpu.items() if pid in self._cpu]
        seconds = (now - self._looked_at) * len(spent)
        self._cpu, self._looked_at = cpu, now
        if spent and seconds > 0 and sum(spent) / seconds >= CPU_SHARE:
            self._is_cpu_bound = True
        elif self._follower.wanted == self._follower.least:
            self._is_cpu_bound = False
