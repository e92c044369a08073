"""Decides which sites have a process, which wait, and which make room. Nothing starts here.

Who waits longest comes first. Processes with nothing to do make room before those that have had
their turn, and a process is never ended otherwise than by a drain, unless it does not obey.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from wpbridge.daemon.sites.schedule import UPKEEP_SECONDS, Schedule, ScheduledSite
from wpbridge.daemon.sites.site_process import SiteProcess

LONGEST_RUN_SECONDS: Final = 300.0
"""A site whose process fails gets its next one after so long at the most."""
FIRST_FAILURE_SECONDS: Final = 2.0
FRUITLESS_SECONDS, LONGEST_FRUITLESS_SECONDS = 10.0, 60.0
"""A site whose process found nothing to claim waits so long for its next one."""
IDLE_SECONDS: Final = 1.5
"""A process that has had nothing to do for so long makes room for others. It beats each second."""
START_SECONDS: Final = 120.0
"""A process that is not ready after so long is killed."""
IDLE: Final = "idle"
AWAY_SECONDS: Final = 60.0
"""A process whose database is away for so long, and that has nothing in hand, ends."""
SILENT_SECONDS: Final = 300.0
"""A process whose loop has given no sign for so long is killed."""


class NextProcess(NamedTuple):
    """A process to start."""

    site: ScheduledSite
    php: int
    """How many PHP workers it may have."""


class Running:
    """The processes of the sites of one daemon."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.is_closed = False
        """Whether no process starts any more."""

    def started(self, start: NextProcess, process: SiteProcess) -> None:
        """Note that a site's process was started."""
        site = start.site
        site.process, site.due_since, site.runs = process, None, site.runs + 1
        site.last_run = self._schedule.today()
        site.upkeep_at = process.started + self._schedule.later(UPKEEP_SECONDS)

    def ended(self, site: ScheduledSite, reason: str, now: float) -> float | None:
        """Note that a site's process has ended.

        Args:
            site: the site.
            reason: what was wrong; empty for a process that has ended in order.
            now: the moment.

        Returns:
            The seconds until its next process if something was wrong, else None.
        """
        process, site.process = site.process, None
        site.last_end = self._schedule.today()
        site.next_look = now
        if process is None:
            return None
        site.totals.update(process.counts)
        site.uses_php = process.php_workers > 0 or not process.is_ready
        if site.is_gone:
            del self._schedule.sites[site.name]
            return None
        if reason:
            # Its runner may have had something in hand, which the next one puts back.
            site.due_since, site.has_left_over = now, process.is_ready
            return self.failed(site, reason, now)
        site.run_failures, site.reason, site.has_left_over = 0, "", False
        if process.counts.get("claimed"):
            site.fruitless = 0
        elif process.why == IDLE:
            site.fruitless += 1
            wait = FRUITLESS_SECONDS * 2.0 ** min(site.fruitless - 1, 10)
            site.start_after = now + self._schedule.later(min(wait, LONGEST_FRUITLESS_SECONDS))
        return None

    def failed(self, site: ScheduledSite, reason: str, now: float) -> float:
        """Note that a site's process failed; returns the seconds to the next try."""
        site.run_failures += 1
        site.reason = reason
        longest = FIRST_FAILURE_SECONDS * 2.0 ** min(site.run_failures - 1, 12)
        wait = self._schedule.later(min(longest, LONGEST_RUN_SECONDS))
        site.start_after = now + wait
        return wait

    def sites(self) -> list[ScheduledSite]:
        """Return the sites that have a process."""
        return [site for site in self._schedule.sites.values() if site.process is not None]

    def waiting(self, now: float) -> list[ScheduledSite]:
        """Return the sites that wait for room, the one that waits longest first."""
        found = [
            site
            for site in self._schedule.sites.values()
            if site.due_since is not None
            and site.process is None
            and now >= site.start_after
            and not site.is_gone
        ]
        return sorted(found, key=lambda site: site.due_since or 0.0)

    def php_in_use(self) -> int:
        """Return how many PHP workers all processes together may have now."""
        return sum(site.process.php_workers for site in self.sites() if site.process)

    def starts(self, now: float) -> list[NextProcess]:
        """Return the processes to start now; whoever waits longest comes first."""
        if self.is_closed:
            return []
        room = self._schedule.terms.most_running - len(self.sites())
        php = self._schedule.terms.most_php - self.php_in_use()
        found: list[NextProcess] = []
        for site in self.waiting(now):
            if len(found) >= room:
                break
            wanted = self._php_wanted(site)
            if wanted and php < 1:
                # It waits on for PHP workers, and keeps its place in the line.
                continue
            granted = min(wanted, php)
            php -= granted
            found.append(NextProcess(site, granted))
        return found

    def _php_wanted(self, site: ScheduledSite) -> int:
        is_off = site.entry.php is False or not site.uses_php or not self._schedule.terms.most_php
        return 0 if is_off else self._schedule.terms.php_each

    def make_room(self, now: float) -> None:
        """Tell processes to end: those that are idle for long, and some for sites that wait."""
        processes = [site.process for site in self.sites() if site.process]
        for process in processes:
            idle, away = process.idle_since, process.away_since
            if idle is not None and now - idle >= self._schedule.terms.linger:
                process.end(IDLE, now)
            elif away is not None and now - away >= AWAY_SECONDS and not process.in_hand:
                process.end("its database does not answer", now)
        if self.is_closed:
            return
        starts = {start.site.name for start in self.starts(now)}
        waiting = [site for site in self.waiting(now) if site.name not in starts]
        ending = sum(process.ending_since is not None for process in processes)
        needed = len(waiting) - ending
        for process in self._dispensable(processes, now)[: max(0, needed)]:
            process.end("others wait", now)

    def _dispensable(self, processes: Sequence[SiteProcess], now: float) -> list[SiteProcess]:
        """Return the processes that make room first: idle ones, then those that had their turn."""
        left = [one for one in processes if one.ending_since is None and one.is_ready]
        idle = [
            one
            for one in left
            if one.idle_since is not None and now - one.idle_since >= IDLE_SECONDS
        ]
        busy = [
            one
            for one in left
            if one.idle_since is None and now - one.started >= self._schedule.terms.turn
        ]
        idle.sort(key=lambda one: one.idle_since or 0.0)
        return [*idle, *sorted(busy, key=lambda one: one.started)]

    def overdue(self, now: float) -> list[tuple[ScheduledSite, str]]:
        """Return the sites whose process is to be killed, and why."""
        found = []
        is_wanted = bool(self.waiting(now))
        for site in self.sites():
            process = site.process
            if process is None:
                continue
            patience, since = self._schedule.terms.kill_after, process.ending_since
            if not process.is_ready and now - process.started > START_SECONDS:
                found.append((site, f"it was not ready after {START_SECONDS:.0f} s"))
            elif now - process.child.signed > SILENT_SECONDS:
                found.append((site, f"its loop gave no sign for {SILENT_SECONDS:.0f} s"))
            elif is_wanted and patience and since is not None and now - since > patience:
                found.append((site, f"it did not end within {patience:.0f} s, and others wait"))
        return found


def outcome_of(process: SiteProcess, code: int, in_order: Collection[int]) -> str:
    """Return why a process has ended if something was wrong; empty if it has ended in order.

    ``in_order`` are the exit codes of a process that has ended in order.
    """
    if process.refusal:
        return process.refusal
    if code in in_order and (process.is_ready or process.why):
        return ""
    last = f": {process.last_line}" if process.last_line else ""
    when = "" if process.is_ready else " before it was ready"
    return f"its process ended with code {code}{when}{last}"
