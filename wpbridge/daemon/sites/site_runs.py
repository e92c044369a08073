"""Starts, hears and ends the processes of sites, as :mod:`~wpbridge.daemon.sites.running` decides.

What they print is passed on, so much in a second for each of them.
"""

import errno
import logging
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from wpbridge.daemon.sites import site_process
from wpbridge.daemon.sites.running import NextProcess, Running, outcome_of
from wpbridge.daemon.sites.schedule import Schedule, ScheduledSite
from wpbridge.daemon.sites.site_process import SiteProcess, SiteTerms
from wpbridge.daemon.sites.users import SystemUser
from wpbridge.daemon.worker_process import RECYCLED
from wpbridge.daemon.worker_slots import LOUD_DEATHS
from wpbridge.telling.log import tell

_IN_ORDER: Final = (0, RECYCLED, 128 + signal.SIGTERM)
"""Exit codes of a site's process that has ended in order."""
_PAUSE_SECONDS: Final = 1.0


class SiteRuns:
    """The processes of all sites, with their links and their output."""

    def __init__(
        self,
        schedule: Schedule,
        terms: SiteTerms,
        selector: selectors.BaseSelector,
        *,
        words: Callable[[str], list[str]],
        env: Mapping[str, str],
        show: Callable[[str], None],
    ) -> None:
        """Start nothing yet.

        Args:
            schedule: the sites.
            terms: what each process is told.
            selector: watches links and output.
            words: this program's command, given what makes it a process of the daemon.
            env: the environment.
            show: prints a line of what a process has printed.
        """
        self.terms = terms
        self.running = Running(schedule)
        self.is_stopping = False
        self.has_left = False
        """Whether a process has ended whose site has left the list, or has changed there."""
        self._selector = selector
        self._words, self._env, self._show = words, env, show
        self._paused: dict[SiteProcess, float] = {}
        """Processes that have printed too much, and when their output is read again."""

    def processes(self) -> Iterator[SiteProcess]:
        """Yield the process of each site that has one."""
        for site in self.running.sites():
            if site.process is not None:
                yield site.process

    def tick(self, now: float) -> None:
        """Take away what has ended, make room, start what is next, kill what does not obey."""
        self._reap()
        self.running.make_room(now)
        for start in self.running.starts(now):
            self._start(start, now)
        for site, why in self.running.overdue(now):
            process = site.process
            if process is not None and not process.refusal:
                process.refusal = why
                tell("site.killed", site=site.name, why=why, worker_pid=process.child.pid)
                process.child.kill()
        for process, until in list(self._paused.items()):
            if now >= until:
                del self._paused[process]
                self._watch_output(process)

    def hear(self, process: SiteProcess) -> None:
        """Take in what a process has told."""
        said, goes_on = process.child.hear()
        now = time.monotonic()
        for message in said:
            with suppress(ValueError, TypeError, KeyError, OverflowError):
                process.take(message, now)
        if not goes_on:
            # It ends, or it has closed its lifeline, which is not allowed to it.
            self._unwatch(process)
            process.child.kill()

    def pass_on(self, process: SiteProcess) -> None:
        """Print what a process has printed. When it was too much, the rest waits for a second."""
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
                self._paused[process] = now + _PAUSE_SECONDS

    def end_all(self, why: str) -> None:
        """Have all of them finish what runs, and end."""
        now = time.monotonic()
        for process in self.processes():
            process.end(why, now)

    def kill_all(self) -> None:
        """End all of them at once."""
        for process in self.processes():
            process.child.kill()

    def tell_bad(self, site: ScheduledSite, wait: float | None) -> None:
        """Log what is wrong with a site: loudly at first, and quietly while it stays so."""
        is_loud = site.failures <= 1 or site.failures in LOUD_DEATHS
        tell(
            "site.bad",
            level=logging.WARNING if is_loud else logging.INFO,
            site=site.name,
            reason=site.reason,
            failures=site.failures,
            again_in_seconds=None if wait is None else round(wait, 1),
        )

    def _start(self, start: NextProcess, now: float) -> None:
        site = start.site
        if site.user is None:
            return
        try:
            process = site_process.start(
                site.entry,
                site.user,
                self.terms,
                words=self._words,
                env=self._env,
                php=start.php,
            )
        except OSError as error:
            self.tell_bad(site, self.running.failed(site, _why(error, site.user), now))
            return
        self.running.started(start, process)
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
        for site in self.running.sites():
            process = site.process
            if process is not None and process.child.has_ended():
                self._take_away(site, process)

    def _take_away(self, site: ScheduledSite, process: SiteProcess) -> None:
        self._print_rest(process)
        self._unwatch(process)
        code = site_process.ended(process)
        reason = "" if self.is_stopping else outcome_of(process, code, _IN_ORDER)
        counts = {name: count for name, count in process.counts.items() if count}
        tell(
            "site.ended",
            site=site.name,
            worker_pid=process.child.pid,
            code=code,
            why=process.why,
            **counts,
        )
        self.has_left = self.has_left or site.is_gone
        was_bad = site.run_failures
        wait = self.running.ended(site, reason, time.monotonic())
        if reason:
            self.tell_bad(site, wait)
        elif was_bad:
            tell("site.well", site=site.name, after=was_bad)

    def _print_rest(self, process: SiteProcess) -> None:
        """Print what a process has printed before its end, as far as a second's share goes."""
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


def _why(error: OSError, user: SystemUser) -> str:
    """Say why no process could be started."""
    if error.errno == errno.EACCES:
        return (
            f"the user {user.name} may not run {sys.executable}: install wpbridge where the users"
            " of all sites may run it, such as below /opt"
        )
    return f"no process can be started: {error.filename}: {error.strerror}"
