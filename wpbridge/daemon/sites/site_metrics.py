"""The metrics that a daemon for many sites tells of each of them, made of its state."""

import threading
from collections.abc import Iterator
from itertools import islice
from typing import Final

from wpbridge.monitor.sites_state import SitesState, SiteState
from wpbridge.telling.numbers import Numbers

MOST_SITES: Final = 2_000
"""So many sites have series."""
_UP: Final = ("new", "idle", "due", "running", "lingering", "ending")


class SitesMeasured:
    """The numbers of now. The scheduler's loop writes them, and a thread for scrapes reads them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: SitesState | None = None

    def learn(self, state: SitesState) -> None:
        """Take in how the sites are."""
        with self._lock:
            self._state = state

    def numbers(self) -> dict[str, Numbers]:
        """Return the numbers of each site by its name. Any thread may ask."""
        with self._lock:
            state = self._state
        if state is None:
            return {}
        return {site.name: _numbers(site, state) for site in islice(state.sites, MOST_SITES)}


def _numbers(site: SiteState, state: SitesState) -> Numbers:
    found = Numbers()
    for name, value in _values(site, state):
        found.set(f"wpbridge_site_{name}", value=value)
    for outcome, count in site.counts.items():
        found.set("wpbridge_site_actions_total", outcome, value=count)
    return found


def _values(site: SiteState, state: SitesState) -> Iterator[tuple[str, float]]:
    waits = 0.0
    if site.due_since is not None:
        waits = max(0.0, (state.written_at - site.due_since).total_seconds())
    yield "up", float(site.condition in _UP)
    yield "running", float(site.pid is not None)
    yield "wait_seconds", waits
    yield "failures", site.failures
    yield "runs_total", site.runs
    if site.last_look is not None:
        yield "last_look_timestamp_seconds", site.last_look.timestamp()
