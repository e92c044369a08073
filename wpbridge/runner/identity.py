"""Who we are, and whether another runner still lives.

A process id means something only on the same boot of the same host and in the same pid namespace:
two containers may share a host name and a process id. Where all of that is equal, the process is
looked for, start time and all. A proof that it has ended counts at once. Where there is none, and
everywhere else, only a stale beat tells.
"""

import math
import os
import socket
from dataclasses import dataclass

from wpbridge.clock import Clock
from wpbridge.store.base import RunnerRecord
from wpbridge.system import processes
from wpbridge.system.processes import Sight

STALE_SECONDS = 45.0
"""A beat older than this is a dead runner's: beats come every 10 s, the plugin judges at 300."""
HUNG_SECONDS = 120.0
"""A process of this host that may be there and has not beaten for so long is stopped, or hangs."""
DOUBT_SECONDS = 20.0
"""A runner that seems dead is watched for so long: every living one beats meanwhile. It begins so
long before the limit, so that with a look each 10 s a death is found within 55 s."""
WATCH_SECONDS = STALE_SECONDS - DOUBT_SECONDS
BEAT_SECONDS, IDLE_BEAT_SECONDS = 10.0, 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process, told apart from all others."""

    host: str
    boot: str
    """Boot id and namespaces: where process ids can be compared. Empty where that is not known, or
    where the start is not known: then nobody looks for the process, and only beats count."""
    pid: int
    pid_started: str


def identity() -> Identity:
    """This process."""
    pid = os.getpid()
    started = processes.start_of(pid)
    boot = processes.place() if started else ""
    return Identity(host=socket.gethostname(), boot=boot, pid=pid, pid_started=started)


def is_dead(runner: RunnerRecord, me: Identity) -> bool:
    """Whether a runner is known to be gone, or has not beaten for too long."""
    return is_gone(runner, me) or runner.beat_age_seconds > _limit(runner, me)


def _limit(runner: RunnerRecord, me: Identity) -> float:
    return HUNG_SECONDS if _is_here(runner, me) else STALE_SECONDS


def is_gone(runner: RunnerRecord, me: Identity) -> bool:
    """Whether it is proved that its process has ended."""
    if not _is_here(runner, me):
        return False
    return processes.look(runner.pid, runner.pid_started) is Sight.ENDED


def _is_here(runner: RunnerRecord, me: Identity) -> bool:
    return bool(me.boot) and runner.boot == me.boot and runner.host == me.host


def is_same_process(runner: RunnerRecord, me: Identity) -> bool:
    """Return whether a row tells of this very process."""
    its = (runner.host, runner.boot, runner.pid, runner.pid_started)
    return bool(me.boot) and its == (me.host, me.boot, me.pid, me.pid_started)


class Coroner:
    """Who is dead, as a runner can tell that goes on watching.

    One look at a beat does not tell: after an outage, a jump of the database's clock, or a pause of
    this host, those of the living are old too until it is their turn. They must stand still before
    our eyes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[int, tuple[float, float]] = {}
        """Of those that seem dead: when that was seen first, and last."""

    def is_dead(self, runner: RunnerRecord, me: Identity) -> bool:
        """The same as the function, for who has not beaten while it was watched."""
        first, last = self._seen.pop(runner.id, (math.inf, -math.inf))
        if is_gone(runner, me):
            return True
        if runner.beat_age_seconds <= _limit(runner, me) - DOUBT_SECONDS:
            return False
        now = self._clock.monotonic()
        # Looks that are far apart have an outage or a pause between them.
        first = first if now - last < DOUBT_SECONDS else now
        if now - first >= DOUBT_SECONDS and is_dead(runner, me):
            return True
        self._seen[runner.id] = first, now
        return False

    def is_watching(self) -> bool:
        """Whether somebody seems dead: then the next look must come soon."""
        now = self._clock.monotonic()
        return any(now - last < DOUBT_SECONDS for _, last in self._seen.values())
