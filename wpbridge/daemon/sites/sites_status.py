"""Tells how a daemon for many sites is: its state file, its heartbeat, and its service manager."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from wpbridge.daemon.heartbeat import Beat, HeartbeatWriter
from wpbridge.daemon.notify import Notifier
from wpbridge.daemon.sites.running import Running
from wpbridge.daemon.sites.schedule import Schedule
from wpbridge.daemon.sites.states import state_of
from wpbridge.daemon.sites.terms import SitesTerms
from wpbridge.monitor import sites_state
from wpbridge.monitor.sites_state import SitesState
from wpbridge.telling.log import tell

BEAT_SECONDS: Final = 1.0
STATE_SECONDS: Final = 2.0
STATUS_SECONDS: Final = 5.0

Stage = Literal["starting", "working", "quiet", "stopping"]


class SitesStatus:
    """What has been told, and when it is told again."""

    def __init__(
        self,
        schedule: Schedule,
        running: Running,
        notifier: Notifier,
        measured: Callable[[SitesState], None],
    ) -> None:
        """``measured`` is told the state each time it is written."""
        self._schedule, self._running = schedule, running
        self._notifier, self._measured = notifier, measured
        self._heartbeat = HeartbeatWriter()
        self._due = dict.fromkeys(("beat", "state", "status", "watchdog"), 0.0)
        self._has_failed = False
        self.stage: Stage = "starting"
        self.list_problem = ""
        self.faults: tuple[str, ...] = ()

    def tick(self, terms: SitesTerms, now: float) -> None:
        """Tell what is to be told by now."""
        if self._is_due("beat", BEAT_SECONDS, now):
            beat = Beat(
                pid=os.getpid(),
                at=now,
                state=self.stage,
                live=True,
                ready=self.stage != "starting",
                database=True,
            )
            self._heartbeat.beat(terms.heartbeat_file, beat, silent_seconds=0.0)
        if self._is_due("state", STATE_SECONDS, now):
            self._write(terms, self.state(terms, now))
        if self._is_due("status", STATUS_SECONDS, now):
            self._notifier.status(self.status())
        seconds = self._notifier.watchdog_seconds
        if seconds is not None and self._is_due("watchdog", seconds / 3, now):
            self._notifier.alive()

    def soon(self) -> None:
        """Tell the state and the status at the next tick."""
        self._due["state"] = self._due["status"] = 0.0

    def state(self, terms: SitesTerms, now: float) -> SitesState:
        """Return what the daemon tells of itself and of each site, by name."""
        today = datetime.now(UTC)
        sites = sorted(self._schedule.sites.values(), key=lambda site: site.name)
        return SitesState(
            pid=os.getpid(),
            written_at=today,
            monotonic=now,
            daemon=self.stage,
            place=str(terms.place),
            list_problem=self.list_problem,
            faults=self.faults,
            most_running=terms.scheduling.most_running,
            running=len(self._running.sites()),
            waiting=len(self._running.waiting(now)),
            most_php=terms.scheduling.most_php,
            php=self._running.php_in_use(),
            sites=tuple(state_of(site, now, today) for site in sites),
        )

    def status(self) -> str:
        """Return the line that ``systemctl status`` shows."""
        now = time.monotonic()
        sites, running = self._schedule.sites, len(self._running.sites())
        waiting = len(self._running.waiting(now))
        bad = sum(site.is_bad for site in sites.values())
        return f"{self.stage}, {len(sites)} sites: {running} running, {waiting} waiting, {bad} bad"

    def _write(self, terms: SitesTerms, state: SitesState) -> None:
        self._measured(state)
        try:
            sites_state.write(terms.state_file, state)
        except OSError as error:
            if not self._has_failed:
                told = error.strerror or str(error)
                tell("heartbeat.failed", file=str(terms.state_file), error=told)
            self._has_failed = True
        else:
            self._has_failed = False

    def _is_due(self, name: str, seconds: float, now: float) -> bool:
        if now < self._due[name]:
            return False
        self._due[name] = now + seconds
        return True
