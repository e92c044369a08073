"""Whether another runner still lives.

Where its host, boot and pid namespace are ours, its process is looked for, start time and all. A
proof that the process has ended counts at once. Everywhere else only a stale beat tells.
"""

import math

from wpbridge.clock import Clock
from wpbridge.runner.identity import Identity
from wpbridge.store.base import RunnerRecord
from wpbridge.system import processes
from wpbridge.system.processes import Sight

RUNNER_STALE_SECONDS = 45.0
"""A beat older than this is a dead runner's: beats come every 10 s, the plugin judges at 300."""
HUNG_SECONDS = 120.0
"""A process of this host that may be there and has not beaten for so long is stopped, or hangs."""
DOUBT_SECONDS = 20.0
"""A runner that seems dead is watched for so long: every living one beats meanwhile. It begins so
long before the limit, so that with a look each 10 s a death is found within 55 s."""
WATCH_SECONDS = RUNNER_STALE_SECONDS - DOUBT_SECONDS
BEAT_SECONDS, IDLE_BEAT_SECONDS = 10.0, 15.0


def is_dead(runner: RunnerRecord, me: Identity) -> bool:
    """Return whether a runner is known to be gone, or has not beaten for too long."""
    return is_gone(runner, me) or runner.beat_age_seconds > _limit(runner, me)


def _limit(runner: RunnerRecord, me: Identity) -> float:
    return HUNG_SECONDS if _is_here(runner, me) else RUNNER_STALE_SECONDS


def is_gone(runner: RunnerRecord, me: Identity) -> bool:
    """Return whether it is proved that its process has ended."""
    if not _is_here(runner, me):
        return False
    return processes.look(runner.pid, runner.pid_started) is Sight.ENDED


def _is_here(runner: RunnerRecord, me: Identity) -> bool:
    return bool(me.boot) and runner.boot == me.boot and runner.host == me.host


class Liveness:
    """Judges which runners are dead, for a runner that goes on watching them.

    One look at a beat is not enough. After an outage, a jump of the database's clock or a pause of
    this host, the beats of living runners are old, too, until it is their turn to beat. So a beat
    must not change while it is watched.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[int, tuple[float, float]] = {}
        """Of those that seem dead: when that was seen first, and last."""

    def is_dead(self, runner: RunnerRecord, me: Identity) -> bool:
        """Return whether a runner is dead; one that beats while it is watched is not."""
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
        """Return whether somebody seems dead: then the next look must come soon."""
        now = self._clock.monotonic()
        return any(now - last < DOUBT_SECONDS for _, last in self._seen.values())
