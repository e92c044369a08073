"""The first process of a daemon for many sites: one loop, which loads nothing of any site.

It reads the list, hears pollers and sites' processes, and does what
:mod:`~wpbridge.daemon.sites.schedule` and :mod:`~wpbridge.daemon.sites.running` decide.
"""

import selectors
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from wpbridge.daemon import heartbeat, signals
from wpbridge.daemon.notify import Notifier
from wpbridge.daemon.sites.pollers import Pollers
from wpbridge.daemon.sites.schedule import Schedule, ScheduledSite
from wpbridge.daemon.sites.site_process import COUNTED, SiteProcess
from wpbridge.daemon.sites.site_runs import SiteRuns
from wpbridge.daemon.sites.sites_status import SitesStatus
from wpbridge.daemon.sites.terms import SitesTerms
from wpbridge.daemon.sites.users import SystemUser
from wpbridge.errors import WpbridgeError
from wpbridge.monitor.sites_state import SitesState
from wpbridge.site.site_list import SiteEntry, SiteList
from wpbridge.telling.log import tell
from wpbridge.telling.reasons import LONGEST_REASON, one_line

TICK_SECONDS: Final = 0.2
LIST_SECONDS: Final = 60.0
"""The list is read again after so long."""
_MOST_BLOGS: Final = 1 << 62


class Scheduler:
    """The loop."""

    def __init__(
        self,
        terms: SitesTerms,
        *,
        reload: Callable[[], SitesTerms],
        read_list: Callable[[Path], SiteList],
        words: Callable[[str], list[str]],
        env: Mapping[str, str],
        notifier: Notifier,
        show: Callable[[str], None],
        measured: Callable[[SitesState], None] = lambda _state: None,
    ) -> None:
        """Start nothing yet.

        Args:
            terms: as the settings were at the start.
            reload: reads the settings anew; what is wrong with them is a WpbridgeError.
            read_list: reads the list of sites.
            words: this program's command, given what makes it a process of the daemon.
            env: the environment.
            notifier: the service manager's ear.
            show: prints a line of output, or of a state that somebody asked for.
            measured: told the state each time it is written.
        """
        self._terms, self._reload, self._read_list = terms, reload, read_list
        self._notifier, self._show = notifier, show
        self._selector = selectors.DefaultSelector()
        self._schedule = schedule = Schedule(terms.scheduling)
        self._pollers = Pollers(words, env, self._selector, lost=self._poller_lost)
        self._runs = SiteRuns(
            schedule, terms.process, self._selector, words=words, env=env, show=show
        )
        self._status = SitesStatus(schedule, self._runs.running, notifier, measured)
        self._entries: tuple[SiteEntry, ...] = ()
        self._list_at = 0.0
        """When the list is read again."""
        self._stopped_by: signal.Signals | None = None
        self._deadline: float | None = None

    def run(self) -> int:
        """Until a signal ends it; the exit code. ConfigError if the list cannot be read at all."""
        self._take_list(self._read_list(self._terms.place))
        self._list_at = time.monotonic() + LIST_SECONDS
        with signals.caught() as arrivals:
            self._selector.register(arrivals, selectors.EVENT_READ, arrivals)
            self._set_stage("working")
            tell("daemon.ready", processes=self._terms.scheduling.most_running)
            self._notifier.ready(self._status.status())
            while True:
                self._tick(time.monotonic())
                if self._stopped_by is not None and not self._runs.running.sites():
                    return self._end(128 + self._stopped_by)
                for key, _ in self._selector.select(TICK_SECONDS):
                    if key.data is arrivals:
                        for number in arrivals.take():
                            self._signaled(number)
                    else:
                        self._hear(key.data)

    def _tick(self, now: float) -> None:
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            tell("daemon.drain_timeout", killed=[p.child.pid for p in self._runs.processes()])
            self._runs.kill_all()
        if now >= self._list_at and self._stopped_by is None:
            self._list_at = now + LIST_SECONDS
            self._read_again()
        self._pollers.tick()
        if not self._runs.running.is_closed:
            for user, names in self._schedule.looks(now, self._pollers.users()).items():
                self._pollers.look(user, names)
        self._runs.tick(now)
        if self._runs.has_left:
            # What has changed in the list is served again, as the list has it now.
            self._runs.has_left = False
            self._take_entries()
        self._status.tick(self._terms, now)

    def _end(self, code: int) -> int:
        self._pollers.close()
        if self._terms.heartbeat_file is not None:
            heartbeat.remove(self._terms.heartbeat_file)
        with suppress(OSError):
            self._terms.state_file.unlink()
        sites = self._schedule.sites.values()
        totals = {name: sum(site.totals[name] for site in sites) for name in COUNTED}
        tell("daemon.stopped", code=code, **{name: n for name, n in totals.items() if n})
        return code

    # The list

    def _read_again(self) -> None:
        """Read the list again. One that cannot be read changes nothing, and is told of once."""
        try:
            found = self._read_list(self._terms.place)
        except (WpbridgeError, OSError) as error:
            problem = one_line(error)
            if problem != self._status.list_problem:
                tell("sites.list_refused", place=str(self._terms.place), reason=problem)
            self._status.list_problem = problem
            return
        self._status.list_problem = ""
        self._take_list(found)

    def _take_list(self, found: SiteList) -> None:
        faults = tuple(map(str, found.faults))
        for fault in faults:
            if fault not in self._status.faults:
                tell("sites.fault", reason=fault)
        self._status.faults = faults
        before = set(self._schedule.sites)
        self._entries = found.sites
        self._take_entries()
        there = {name for name, site in self._schedule.sites.items() if not site.is_gone}
        if there != before:
            added, gone = len(there - before), len(before - there)
            tell("sites.read", sites=len(there), added=added, gone=gone)

    def _take_entries(self) -> None:
        """Serve the sites of the list and the blogs of its networks, and no others."""
        now, before = time.monotonic(), dict(self._schedule.sites)
        for site in self._schedule.take(self._entries, now):
            if site.process is not None:
                site.process.end("it has left the list, or changed", now)
        sites = self._schedule.sites.values()
        for site in sites:
            if site.user is None and before.get(site.name) is not site:
                self._runs.tell_bad(site, None)
        self._pollers.take(
            (site.user, site.entry) for site in sites if site.user and not site.is_gone
        )
        self._status.soon()

    # Hearing

    def _hear(self, source: object) -> None:
        if isinstance(source, SiteProcess):
            self._runs.hear(source)
        elif isinstance(source, tuple):
            self._runs.pass_on(source[0])
        else:
            for user, message in self._pollers.hear(source):
                with suppress(ValueError, TypeError, KeyError, OverflowError):
                    self._answered(user, message)

    def _answered(self, user: SystemUser, message: Mapping[str, Any]) -> None:
        """Take in what a poller has told of one of its user's sites; of others it tells nothing."""
        now = time.monotonic()
        site = self._schedule.sites.get(str(message["site"]))
        if site is None or site.user != user:
            return
        if "woken" in message:
            self._schedule.woken(site, now)
        elif "reason" in message:
            reason = str(message["reason"])[:LONGEST_REASON]
            self._runs.tell_bad(site, self._schedule.look_failed(site, reason, now))
        elif "blogs" in message:
            blogs = [int(blog) for blog in message["blogs"] if 0 < int(blog) < _MOST_BLOGS]
            self._well(site)
            if self._schedule.blogs_found(site, blogs, now):
                self._take_entries()
        else:
            due, left = bool(message["due"]), bool(message["left"])
            self._well(site)
            self._schedule.looked(site, now, due=due, left=left)

    def _well(self, site: ScheduledSite) -> None:
        if site.look_failures:
            tell("site.well", site=site.name, after=site.look_failures)

    def _poller_lost(self, user: SystemUser) -> None:
        reason = "the process that looks at this user's sites has ended"
        self._schedule.unasked(user, time.monotonic(), reason)

    # Signals

    def _signaled(self, number: signal.Signals) -> None:
        is_second = self._stopped_by is not None and number == signal.SIGINT
        if number == signals.AT_ONCE or is_second:
            tell("daemon.killing", signal=number.name)
            self._stop(number)
            self._runs.kill_all()
        elif number in signals.STOPS:
            self._stop(number)
        elif number in signals.QUIETS or number == signals.RESUME:
            self._quiet(on=number != signals.RESUME)
        elif number == signals.RELOAD:
            self._reread()
        elif number == signals.DUMP:
            for process in self._runs.processes():
                self._show(f"{process.site}: pid {process.child.pid}, {process.in_hand} in hand")
        self._status.soon()

    def _stop(self, number: signal.Signals) -> None:
        if self._stopped_by is not None:
            return
        self._stopped_by, self._runs.running.is_closed = number, True
        self._runs.is_stopping = True
        self._set_stage("stopping")
        self._notifier.stopping("stopping: running actions finish")
        tell("daemon.stopping", signal=number.name)
        if self._terms.drain_seconds is not None:
            self._deadline = time.monotonic() + self._terms.drain_seconds
        self._runs.end_all("the daemon stops")

    def _quiet(self, *, on: bool) -> None:
        if on == self._runs.running.is_closed or self._stopped_by is not None:
            return
        self._runs.running.is_closed = on
        self._set_stage("quiet" if on else "working")
        tell("daemon.quiet" if on else "daemon.resumed")
        for process in self._runs.processes():
            process.tell("quiet" if on else "resume")

    def _reread(self) -> None:
        """Read settings and list anew. Processes that run end in order, and others follow them."""
        if self._stopped_by is not None:
            return
        self._notifier.reloading()
        try:
            self._terms = self._reload()
        except (WpbridgeError, OSError) as error:
            tell("daemon.reload_refused", error=one_line(error), kept="the old settings")
        else:
            tell("daemon.reloading")
            self._schedule.terms, self._runs.terms = self._terms.scheduling, self._terms.process
            self._runs.end_all("reload")
            self._read_again()
        self._notifier.ready(self._status.status())

    def _set_stage(self, stage: Any) -> None:
        self._status.stage = stage
