"""What the index of all sites shows: how each stands, by a process that looks at them.

The process is started when somebody looks at the index, and ends when nobody has for some minutes.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wpbridge.clock import SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.monitor.followed_sites import FollowedSites
from wpbridge.monitor.sites_standing import Daemon, Standing, bad_first, daemon_of, standings

FIRST_SECONDS: Final = 2.0
"""So long the first reader waits for the first looks. The page shows then what is known."""
IDLE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """All sites at one moment, the bad ones first."""

    sites: tuple[Standing, ...]
    daemon: Daemon
    problem: str
    """Why the list cannot be read now; empty where it can."""


class SitesIndex:
    """The index of one process of the gateway. It belongs to one event loop."""

    def __init__(self, place: Path, state_file: Path, follow: Callable[[], FollowedSites]) -> None:
        """Take the list, the file in which its daemon tells its state, and what follows sites."""
        self._place, self._state_file = place, state_file
        self._follow = follow
        self._followed: FollowedSites | None = None
        self._used = 0.0

    async def look(self) -> Index:
        """Return how the sites stand."""
        self._used = time.monotonic()
        if self._followed is None:
            self._followed = self._follow()
        return await asyncio.to_thread(self._read, self._followed)

    def _read(self, followed: FollowedSites) -> Index:
        known = followed.latest()
        if not (known.looks or known.problem):
            followed.wait(FIRST_SECONDS)
            known = followed.latest()
        daemon = daemon_of(self._state_file, self._place)
        found = standings(known, daemon.state, SystemClock().now())
        return Index(sites=tuple(bad_first(found)), daemon=daemon, problem=known.problem)

    async def tidy(self) -> None:
        """End the process that looks if nobody has asked for some minutes."""
        if time.monotonic() - self._used >= IDLE_SECONDS:
            await self.close()

    async def close(self) -> None:
        """End the process that looks."""
        followed, self._followed = self._followed, None
        if followed is not None:
            await asyncio.to_thread(followed.close)
