"""The first process of a daemon for many sites: a loop that starts, hears and ends what runs.

It loads nothing of a site and opens no database. What is decided stands in
:mod:`~wpbridge.daemon.sites.schedule`.
"""

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from wpbridge.daemon import heartbeat, signals
from wpbridge.daemon.heartbeat import Beat, HeartbeatWriter
from wpbridge.daemon.notify import Notifier
from wpbridge.daemon.sites import site_process
from wpbridge.daemon.sites.pollers import Pollers
from wpbridge.daemon.sites.schedule import Schedule, ScheduledSite, SchedulingTerms, outcome_of
from wpbridge.daemon.sites.site_process import SiteProcess, SiteTerms
from wpbridge.daemon.worker_process import RECYCLED
from wpbridge.daemon.worker_slots import LOUD_DEATHS
from wpbridge.dataclass import dataclass
from wpbridge.errors import WpbridgeError
from wpbridge.monitor import sites_state
from wpbridge.monitor.sites_state import SitesState
from wpbridge.site.site_list import SiteList
from wpbridge.telling.log import tell

TICK_SECONDS: Final = 0.2
BEAT_SECONDS: Final = 1.0
STATE_SECONDS: Final = 2.0
STATUS_SECONDS: Final = 5.0
LIST_SECONDS: Final = 60.0
"""The list is read again after so long."""
_IN_ORDER: Final = (0, RECYCLED, 128 + signal.SIGTERM)
"""Exit codes of a site's process that has ended in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesTerms:
    """What the scheduler must know of the settings."""

    place: Path
    """The list of sites."""
    scheduling: SchedulingTerms
    process: SiteTerms
    state_file: Path
    heartbeat_file: Path | None
    drain_seconds: float | None
    """None: no limit."""


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
        self._words, self._env, self._notifier = words, env, notifier
        self._show, self._measured = show, measured
        self._selector = selectors.DefaultSelector()
        self._schedule = Schedule(terms.scheduling)
        self._pollers = Pollers(words, env, self._selector, lost=self._poller_lost)
        self._heartbeat = HeartbeatWriter()
        self._due = dict.fromkeys(("beat", "state", "status", "watchdog", "list"), 0.0)
        self._list_problem = ""
        self._faults: tuple[str, ...] = ()
        self._stopped_by: signal.Signals | None = None
        self._deadline: float | None = None
        self._is_ready = self._is_quiet = False
        self._paused: dict[SiteProcess, float] = {}
        """Processes that have printed too much, and when their output is read again."""
        self._has_state_failed = False

    def run(self) -> int:
        """Until a signal ends it; the exit code. ConfigError if the list cannot be read at all."""
        self._take_list(self._read_list(self._terms.place))
        with signals.caught() as arrivals:
            self._selector.register(arrivals, selectors.EVENT_READ, arrivals)
            while True:
                self._reap()
                if self._stopped_by is not None and not self._schedule.running():
                    return self._end(128 + self._stopped_by)
                self._duties()
                for key, _ in self._selector.select(TICK_SECONDS):
                    if key.data is arrivals:
                        for number in arrivals.take():
                            self._signaled(number)
                    else:
                        self._hear(key.data)

    def _end(self, code: int) -> int:
        self._pollers.close()
        if self._terms.heartbeat_file is not None:
            heartbeat.remove(self._terms.heartbeat_file)
        with suppress(OSError):
            self._terms.state_file.unlink()
        totals = {name: sum(s.totals[name] for s in self._sites()) for name in site_process.COUNTED}
        tell("daemon.stopped", code=code, **{name: n for name, n in totals.items() if n})
        return code

    def _sites(self) -> list[ScheduledSite]:
        return list(self._schedule.sites.values())

    # The list

    def _read_again(self) -> None:
        try:
            found = self._read_list(self._terms.place)
        except (WpbridgeError, OSError) as error:
            problem = "; ".join(str(error).splitlines())
            if problem != self._list_problem:
                tell("sites.list_refused", place=str(self._terms.place), reason=problem)
            self._list_problem = problem
            return
        self._list_problem = ""
        self._take_list(found)

    def _take_list(self, found: SiteList) -> None:
        faults = tuple(map(str, found.faults))
        for fault in faults:
            if fault not in self._faults:
                tell("sites.fault", reason=fault)
        self._faults = faults
        before = set(self._schedule.sites)
        self._entries = found.sites
        self._take_entries()
        there = {name for name, site in self._schedule.sites.items() if not site.is_gone}
        if there != before:
            added, gone = len(there - before), len(before - there)
            tell("sites.read", sites=len(there), added=added, gone=gone)

    def _take_entries(self) -> None:
        now = time.monotonic()
        known = dict(self._schedule.sites)
        for site in self._schedule.take(self._entries, now):
            if site.process is not None:
                site.process.end("it has left the list, or changed", now)
        for site in self._sites():
            if site.user is None and known.get(site.name) is not site:
                self._tell_bad(site, None)
        self._pollers.take(
            (site.user, site.entry)
            for site in self._sites()
            if site.user is not None and not site.is_gone
        )

    # Hearing

    def _hear(self, source: object) -> None:
        if isinstance(source, SiteProcess):
            self._hear_process(source)
        elif isinstance(source, tuple):
            self._pass_on(source[0])
        else:
            for message in self._pollers.hear(source) or ():
                with suppress(ValueError, TypeError, KeyError):
                    self._answered(message)

    def _answered(self, message: Mapping[str, Any]) -> None:
        """Take in what a poller has told of one site of its user."""
        now = time.monotonic()
        site = self._schedule.sites.get(str(message["site"]))
        if site is None or site.user is None or site.user.uid != message["uid"]:
            return
        if "woken" in message:
            self._schedule.woken(site, now)
        elif "reason" in message:
            reason = str(message["reason"])[:500]
            wait = self._schedule.look_failed(site, reason, now)
            self._tell_bad(site, wait)
        elif "blogs" in message:
            blogs = [int(blog) for blog in message["blogs"] if 0 < int(blog) < 1 << 62]
            if self._schedule.blogs_found(site, blogs, now):
                self._take_entries()
        else:
            was_bad = site.look_failures
            due, left = bool(message["due"]), bool(message["left"])
            self._schedule.looked(site, now, due=due, left=left)
            if was_bad:
                tell("site.well", site=site.name, after=was_bad)

    def _poller_lost(self, user: Any, reason: str) -> None:
        self._schedule.unasked(user, time.monotonic(), reason)

    def _hear_process(self, process: SiteProcess) -> None:
        said, goes_on = process.child.hear()
        now = time.monotonic()
        for message in said:
            with suppress(ValueError, TypeError, KeyError, OverflowError):
                process.take(message, now)
        if not goes_on:
            self._unwatch(process)
            process.child.kill()

    def _pass_on(self, process: SiteProcess) -> None:
        """Pass on what a site's process prints, so much in a second."""
        if process.output < 0:
            return
        descriptor, now = process.output, time.monotonic()
        lines, goes_on = process.read_output(now)
        for line in lines:
            self._show(line)
        if not goes_on:
            with suppress(KeyError):
                self._selector.unregister(descriptor)
            if process.output >= 0:
                self._paused[process] = now + 1.0

    # Signals

    def _signaled(self, number: signal.Signals) -> None:
        if number == signals.AT_ONCE or (self._stopped_by and number == signal.SIGINT):
            tell("daemon.killing", signal=number.name)
            self._stop(number)
            self._kill_all()
        elif number in signals.STOPS:
            self._stop(number)
        elif number in signals.QUIETS or number == signals.RESUME:
            self._quiet(on=number != signals.RESUME)
        elif number == signals.RELOAD:
            self._reread()
        elif number == signals.DUMP:
            for site in self._schedule.running():
                state = self._schedule.state_of(site, time.monotonic())
                self._show(f"{state.name}: {state.condition}, {state.in_hand} in hand")

    def _stop(self, number: signal.Signals) -> None:
        if self._stopped_by is not None:
            return
        self._stopped_by, self._schedule.is_closed = number, True
        self._notifier.stopping("stopping: what runs is finished")
        tell("daemon.stopping", signal=number.name)
        now = time.monotonic()
        if self._terms.drain_seconds is not None:
            self._deadline = now + self._terms.drain_seconds
        for site in self._schedule.running():
            if site.process is not None:
                site.process.end("the daemon stops", now)

    def _kill_all(self) -> None:
        for site in self._schedule.running():
            if site.process is not None:
                site.process.child.kill()

    def _quiet(self, *, on: bool) -> None:
        if on != self._is_quiet and self._stopped_by is None:
            self._is_quiet = self._schedule.is_closed = on
            tell("daemon.quiet" if on else "daemon.resumed")
            for site in self._schedule.running():
                if site.process is not None:
                    site.process.tell("quiet" if on else "resume")

    def _reread(self) -> None:
        """Read the settings and the list anew; processes that run end in order, for new ones."""
        if self._stopped_by is not None:
            return
        self._notifier.reloading()
        try:
            self._terms = self._reload()
        except (WpbridgeError, OSError) as error:
            told = "; ".join(str(error).splitlines())
            tell("daemon.reload_refused", error=told, kept="the old settings")
        else:
            tell("daemon.reloading")
            self._schedule.terms = self._terms.scheduling
            now = time.monotonic()
            for site in self._schedule.running():
                if site.process is not None:
                    site.process.end("reload", now)
            self._read_again()
        self._due["list"] = time.monotonic() + LIST_SECONDS
        self._notifier.ready(self._status())

    # What is due

    def _is_due(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due[name]:
            return False
        self._due[name] = now + seconds
        return True

    def _duties(self) -> None:
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            tell("daemon.drain_timeout", killed=[s.name for s in self._schedule.running()])
            self._kill_all()
        if self._is_ready and self._is_due("list", LIST_SECONDS) and self._stopped_by is None:
            self._read_again()
        self._run_sites(now)
        for process, until in list(self._paused.items()):
            if now >= until:
                del self._paused[process]
                self._watch_output(process)
        if not self._is_ready:
            self._is_ready = True
            self._due["list"] = now + LIST_SECONDS
            tell("daemon.ready", processes=self._terms.scheduling.most_running)
            self._notifier.ready(self._status())
        if self._is_due("beat", BEAT_SECONDS):
            self._beat()
        if self._is_due("state", STATE_SECONDS):
            self._tell_state(now)
        if self._is_due("status", STATUS_SECONDS):
            self._notifier.status(self._status())
        seconds = self._notifier.watchdog_seconds
        if seconds is not None and self._is_due("watchdog", seconds / 3):
            self._notifier.alive()

    def _run_sites(self, now: float) -> None:
        self._pollers.tick()
        if not self._schedule.is_closed:
            for user, names in self._schedule.looks(now).items():
                if not self._pollers.look(user, names):
                    self._schedule.unasked(user, now, "nobody looks at this user's sites yet")
        self._schedule.make_room(now)
        for start in self._schedule.starts(now):
            self._start(start.site, start, now)
        for site, why in self._schedule.overdue(now):
            if site.process is not None and not site.process.refusal:
                site.process.refusal = why
                tell("site.killed", site=site.name, why=why, worker_pid=site.process.child.pid)
                site.process.child.kill()

    def _start(self, site: ScheduledSite, start: Any, now: float) -> None:
        if site.user is None:
            return
        try:
            process = site_process.start(
                site.entry,
                site.user,
                self._terms.process,
                words=self._words,
                env=self._env,
                php=start.php,
            )
        except OSError as error:
            reason = f"no process can be started: {error.strerror}: {error.filename}"
            self._tell_bad(site, self._schedule.not_started(site, reason, now))
            return
        self._schedule.started(start, process)
        self._selector.register(process.child, selectors.EVENT_READ, process)
        self._watch_output(process)
        tell("site.started", site=site.name, worker_pid=process.child.pid, php_workers=start.php)

    def _watch_output(self, process: SiteProcess) -> None:
        if process.output >= 0:
            self._selector.register(process.output, selectors.EVENT_READ, (process,))

    def _unwatch(self, process: SiteProcess) -> None:
        for key in [k for k in self._selector.get_map().values() if k.data is process]:
            self._selector.unregister(key.fileobj)

    def _reap(self) -> None:
        for site in self._schedule.running():
            process = site.process
            if process is None or not process.child.has_ended():
                continue
            self._drain_output(process)
            self._unwatch(process)
            code = site_process.ended(process)
            reason = outcome_of(process, code, _IN_ORDER)
            if self._stopped_by is not None:
                reason = ""
            tell(
                "site.ended",
                site=site.name,
                worker_pid=process.child.pid,
                code=code,
                why=process.why,
                **{name: n for name, n in process.counts.items() if n},
            )
            was_bad = site.run_failures
            wait = self._schedule.ended(site, reason, time.monotonic())
            if reason:
                self._tell_bad(site, wait)
            elif was_bad:
                tell("site.well", site=site.name, after=was_bad)

    def _drain_output(self, process: SiteProcess) -> None:
        """Pass on the rest of what a process has printed that has ended, within bounds."""
        self._paused.pop(process, None)
        if process.output < 0:
            return
        with suppress(KeyError):
            self._selector.unregister(process.output)
        process.second, goes_on = 0.0, True
        while goes_on and process.output >= 0:
            lines, goes_on = process.read_output(time.monotonic())
            for line in lines:
                self._show(line)
            goes_on = goes_on and bool(lines)

    # Telling

    def _tell_bad(self, site: ScheduledSite, wait: float | None) -> None:
        is_loud = site.failures <= 1 or site.failures in LOUD_DEATHS
        tell(
            "site.bad",
            level=logging.WARNING if is_loud else logging.INFO,
            site=site.name,
            reason=site.reason,
            failures=site.failures,
            again_in_seconds=None if wait is None else round(wait, 1),
        )

    def _state(self) -> str:
        if self._stopped_by is not None:
            return "stopping"
        if not self._is_ready:
            return "starting"
        return "quiet" if self._is_quiet else "working"

    def _beat(self) -> None:
        file = self._terms.heartbeat_file
        beat = Beat(
            pid=os.getpid(),
            at=time.monotonic(),
            state=self._state(),
            live=True,
            ready=self._is_ready,
            database=True,
        )
        self._heartbeat.beat(file, beat, silent_seconds=0.0)

    def state(self, now: float) -> SitesState:
        """Return what the daemon tells of itself."""
        scheduling = self._terms.scheduling
        return SitesState(
            pid=os.getpid(),
            written_at=datetime.now(UTC),
            monotonic=now,
            daemon=self._state(),  # type: ignore[arg-type]
            place=str(self._terms.place),
            list_problem=self._list_problem,
            faults=self._faults,
            most_running=scheduling.most_running,
            running=len(self._schedule.running()),
            waiting=len(self._schedule.waiting(now)),
            most_php=scheduling.most_php,
            php=self._schedule.php_in_use(),
            sites=tuple(
                self._schedule.state_of(site, now)
                for site in sorted(self._sites(), key=lambda site: site.name)
            ),
        )

    def _tell_state(self, now: float) -> None:
        state = self.state(now)
        self._measured(state)
        try:
            sites_state.write(self._terms.state_file, state)
        except OSError as error:
            if not self._has_state_failed:
                told = error.strerror or str(error)
                tell("heartbeat.failed", file=str(self._terms.state_file), error=told)
            self._has_state_failed = True
        else:
            self._has_state_failed = False

    def _status(self) -> str:
        sites, now = self._sites(), time.monotonic()
        bad = sum(self._schedule.condition(site) == "bad" for site in sites)
        return (
            f"{self._state()}, {len(sites)} sites: {len(self._schedule.running())} running,"
            f" {len(self._schedule.waiting(now))} waiting, {bad} bad"
        )
