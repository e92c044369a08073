"""Decides which sites are looked at, which have a process, and which wait. Nothing starts here.

The scheduler tells what has happened and asks what to do. All moments are of the monotonic clock,
but for the dates that people are shown.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from wpbridge.daemon.sites.site_process import SiteProcess
from wpbridge.daemon.sites.users import SystemUser, user_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.monitor.sites_state import SiteCondition, SiteState
from wpbridge.site.site_list import SiteEntry

LONGEST_LOOK_SECONDS: Final = 60.0
"""A site that cannot be looked at is looked at again after so long at the most."""
LONGEST_RUN_SECONDS: Final = 300.0
"""A site whose process fails gets its next one after so long at the most."""
FIRST_FAILURE_SECONDS: Final = 2.0
FRUITLESS_SECONDS, LONGEST_FRUITLESS_SECONDS = 10.0, 60.0
"""A site whose process found nothing to claim waits so long for its next one."""
NETWORK_SECONDS: Final = 60.0
"""The blogs of a network are asked for anew after so long."""
START_SECONDS: Final = 120.0
"""A process that is not ready after so long is killed."""
AWAY_SECONDS: Final = 60.0
"""A process whose database is away for so long, and that has nothing in hand, ends."""
SILENT_SECONDS: Final = 300.0
"""A process whose loop has given no sign for so long is killed."""
UPKEEP_SECONDS: Final = 86_400.0
"""A site gets a process after so long even if nothing is due, since a process does upkeep too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingTerms:
    """The bounds within which the sites of one daemon run."""

    interval: float
    """Seconds between two looks at an idle site."""
    most_running: int
    most_php: int
    php_each: int
    """PHP workers that a site's process may have."""
    linger: float
    turn: float
    kill_after: float | None


@dataclass(slots=True, kw_only=True, eq=False)
class ScheduledSite:
    """One site, and what is known of it."""

    entry: SiteEntry
    user: SystemUser | None
    """None: no process may run for it, and the reason says why."""
    reason: str = ""
    next_look: float
    upkeep_at: float
    is_asked: bool = False
    """Whether a look at it has been asked for, and no answer has come."""
    look_failures: int = 0
    run_failures: int = 0
    fruitless: int = 0
    """How many processes in a row found nothing to claim."""
    due_since: float | None = None
    start_after: float = 0.0
    process: SiteProcess | None = None
    uses_php: bool = True
    """Whether its last process had PHP workers; True before there was one."""
    is_gone: bool = False
    """Whether it is in the list no more; it is forgotten when its process has ended."""
    runs: int = 0
    last_look: datetime | None = None
    last_run: datetime | None = None
    last_end: datetime | None = None
    totals: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """Return its name in the list."""
        return self.entry.name

    @property
    def failures(self) -> int:
        """Return how often in a row a look or a process has failed."""
        return max(self.look_failures, self.run_failures)


class Start(NamedTuple):
    """A process to start."""

    site: ScheduledSite
    php: int
    """How many PHP workers it may have."""


class Schedule:
    """The sites of one daemon."""

    def __init__(
        self,
        terms: SchedulingTerms,
        *,
        chance: Callable[[float, float], float] = random.uniform,
        users: Callable[[SiteEntry], SystemUser] = user_of,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``users`` says as whom a site's processes run; ``today`` is the time of the day."""
        self.terms = terms
        self.sites: dict[str, ScheduledSite] = {}
        self._entries: tuple[SiteEntry, ...] = ()
        self._blogs: dict[str, tuple[int, ...]] = {}
        """The blogs of each network, as they were when they were last asked for."""
        self._chance = chance
        self._users = users
        self._today = today
        self.is_closed = False
        """Whether no process starts any more."""

    # The list

    def take(self, entries: Sequence[SiteEntry], now: float) -> list[ScheduledSite]:
        """Take a new list, and return the sites that have left with a process still running."""
        self._entries = tuple(entries)
        wanted = {entry.name: entry for entry in self._spread()}
        for name, site in list(self.sites.items()):
            if wanted.get(name) != site.entry:
                site.is_gone = True
                if site.process is None:
                    del self.sites[name]
        fresh = [entry for name, entry in wanted.items() if name not in self.sites]
        for place, entry in enumerate(fresh):
            self.sites[entry.name] = self._made(entry, now, place / len(fresh))
        return [site for site in self.sites.values() if site.is_gone]

    def _spread(self) -> Iterator[SiteEntry]:
        for entry in self._entries:
            yield entry
            if entry.network:
                yield from (entry.of_blog(blog) for blog in self._blogs.get(entry.name, ()))

    def _made(self, entry: SiteEntry, now: float, phase: float) -> ScheduledSite:
        try:
            user, reason = self._users(entry), ""
        except ConfigError as error:
            user, reason = None, str(error)
        return ScheduledSite(
            entry=entry,
            user=user,
            reason=reason,
            next_look=now + phase * self.terms.interval,
            upkeep_at=now + self._chance(0.0, UPKEEP_SECONDS),
        )

    # Looks

    def looks(self, now: float) -> dict[SystemUser, list[str]]:
        """Return the sites to look at now, by user. An answer is expected for each of them."""
        found: dict[SystemUser, list[str]] = {}
        for site in self.sites.values():
            if site.user is None or site.process is not None or site.is_asked or site.is_gone:
                continue
            if now >= site.next_look:
                site.is_asked = True
                found.setdefault(site.user, []).append(site.name)
        return found

    def unasked(self, user: SystemUser, now: float, reason: str) -> None:
        """Note that the poller of a user is gone, with the looks that it was asked for."""
        for site in self.sites.values():
            if site.user == user and site.is_asked:
                self.look_failed(site, reason, now)

    def looked(self, site: ScheduledSite, now: float, *, due: bool, left: bool) -> None:
        """Take in what a look has found: whether something is due, or was left by the dead."""
        site.is_asked, site.look_failures, site.last_look = False, 0, self._today()
        site.next_look = now + self._later(self.terms.interval)
        if not site.run_failures:
            site.reason = ""
        if due or left or now >= site.upkeep_at:
            site.due_since = site.due_since or now
            if site.fruitless and now < site.start_after:
                site.reason = "its last process could claim nothing of what is due"
        else:
            site.due_since = None

    def look_failed(self, site: ScheduledSite, reason: str, now: float) -> float:
        """Take in that a site could not be looked at; returns the seconds to the next look."""
        site.is_asked, site.reason = False, reason
        site.look_failures += 1
        wait = self.terms.interval * 2.0 ** min(site.look_failures, 10)
        wait = self._later(min(wait, max(LONGEST_LOOK_SECONDS, self.terms.interval)))
        site.next_look, site.due_since = now + wait, None
        return wait

    def blogs_found(self, site: ScheduledSite, blogs: Sequence[int], now: float) -> bool:
        """Take in the blogs of a network. Returns whether there are others than before."""
        site.is_asked, site.look_failures, site.reason = False, 0, ""
        site.last_look, site.next_look = self._today(), now + self._later(NETWORK_SECONDS)
        if self._blogs.get(site.name) == (told := tuple(blogs)):
            return False
        self._blogs[site.name] = told
        return True

    def woken(self, site: ScheduledSite, now: float) -> None:
        """Have a site looked at at once, since something was enqueued."""
        if site.process is None and not site.look_failures:
            site.next_look = now
            if not site.run_failures:
                site.start_after = now

    def _later(self, seconds: float) -> float:
        return self._chance(0.95 * seconds, 1.05 * seconds)

    # Processes

    def started(self, start: Start, process: SiteProcess) -> None:
        """Note that a site's process was started."""
        site = start.site
        site.process, site.due_since, site.runs = process, None, site.runs + 1
        site.last_run = self._today()
        site.upkeep_at = process.started + self._later(UPKEEP_SECONDS)

    def not_started(self, site: ScheduledSite, reason: str, now: float) -> float:
        """Note that no process could be started; returns the seconds to the next try."""
        return self._failed(site, reason, now)

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
        site.last_end = self._today()
        site.next_look = now
        if process is None:
            return None
        site.totals.update(process.counts)
        site.uses_php = process.php_workers > 0 or not process.is_ready
        if site.is_gone:
            del self.sites[site.name]
            return None
        if reason:
            # Its runner may have had something in hand, which the next one puts back.
            site.due_since = now
            return self._failed(site, reason, now)
        site.run_failures, site.reason = 0, ""
        site.fruitless = 0 if process.counts.get("claimed") else site.fruitless + 1
        if site.fruitless:
            wait = FRUITLESS_SECONDS * 2.0 ** min(site.fruitless - 1, 10)
            site.start_after = now + self._later(min(wait, LONGEST_FRUITLESS_SECONDS))
        return None

    def _failed(self, site: ScheduledSite, reason: str, now: float) -> float:
        site.run_failures += 1
        site.reason = reason
        longest = FIRST_FAILURE_SECONDS * 2.0 ** min(site.run_failures - 1, 12)
        wait = self._later(min(longest, LONGEST_RUN_SECONDS))
        site.start_after = now + wait
        return wait

    def running(self) -> list[ScheduledSite]:
        """Return the sites that have a process."""
        return [site for site in self.sites.values() if site.process is not None]

    def waiting(self, now: float) -> list[ScheduledSite]:
        """Return the sites that wait for room, the one that waits longest first."""
        found = [
            site
            for site in self.sites.values()
            if site.due_since is not None
            and site.process is None
            and now >= site.start_after
            and not site.is_gone
        ]
        return sorted(found, key=lambda site: site.due_since or 0.0)

    def php_in_use(self) -> int:
        """Return how many PHP workers all processes together may have now."""
        return sum(site.process.php_workers for site in self.running() if site.process)

    def starts(self, now: float) -> list[Start]:
        """Return the processes to start now; whoever waits longest comes first."""
        if self.is_closed:
            return []
        room = self.terms.most_running - len(self.running())
        php = self.terms.most_php - self.php_in_use()
        found: list[Start] = []
        for site in self.waiting(now):
            if len(found) >= room:
                break
            wanted = self._php_wanted(site)
            if wanted and php < 1:
                # It waits on for PHP workers, and keeps its place in the line.
                continue
            granted = min(wanted, php)
            php -= granted
            found.append(Start(site, granted))
        return found

    def _php_wanted(self, site: ScheduledSite) -> int:
        is_off = site.entry.php is False or not site.uses_php or not self.terms.most_php
        return 0 if is_off else self.terms.php_each

    def make_room(self, now: float) -> None:
        """Tell processes to end: those that are idle for long, and some for sites that wait."""
        processes = [site.process for site in self.running() if site.process]
        for process in processes:
            idle, away = process.idle_since, process.away_since
            if idle is not None and now - idle >= self.terms.linger:
                process.end("idle", now)
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
        idle = [one for one in left if one.idle_since is not None]
        busy = [
            one for one in left if one.idle_since is None and now - one.started >= self.terms.turn
        ]
        idle.sort(key=lambda one: one.idle_since or 0.0)
        return [*idle, *sorted(busy, key=lambda one: one.started)]

    def overdue(self, now: float) -> list[tuple[ScheduledSite, str]]:
        """Return the sites whose process is to be killed, and why."""
        found = []
        is_wanted = bool(self.waiting(now))
        for site in self.running():
            process = site.process
            if process is None:
                continue
            patience, since = self.terms.kill_after, process.ending_since
            if not process.is_ready and now - process.started > START_SECONDS:
                found.append((site, f"it was not ready after {START_SECONDS:.0f} s"))
            elif now - process.child.signed > SILENT_SECONDS:
                found.append((site, f"its loop gave no sign for {SILENT_SECONDS:.0f} s"))
            elif is_wanted and patience and since is not None and now - since > patience:
                found.append((site, f"it did not end within {patience:.0f} s, and others wait"))
        return found

    # Telling

    def condition(self, site: ScheduledSite) -> SiteCondition:
        """Return what a site does now."""
        process = site.process
        if process is not None:
            if process.ending_since is not None:
                return "ending"
            return "running" if process.idle_since is None else "lingering"
        if site.user is None or site.look_failures or site.run_failures:
            return "bad"
        if site.due_since is not None:
            return "due"
        return "new" if site.last_look is None else "idle"

    def state_of(self, site: ScheduledSite, now: float) -> SiteState:
        """Return what people are told of a site."""
        process = site.process
        totals = site.totals + Counter(process.counts if process else {})
        looks_on = process is None and site.user is not None and not site.is_asked
        return SiteState(
            name=site.name,
            place=place_of(site.entry),
            user=site.user.name if site.user else "",
            condition=self.condition(site),
            reason=site.reason,
            failures=site.failures,
            last_look=site.last_look,
            next_look=self._date(site.next_look, now) if looks_on else None,
            due_since=None if site.due_since is None else self._date(site.due_since, now),
            last_run=site.last_run,
            last_end=site.last_end,
            runs=site.runs,
            pid=process.child.pid if process else None,
            php_workers=process.php_workers if process else 0,
            in_hand=process.in_hand if process else 0,
            counts={name: count for name, count in sorted(totals.items()) if count},
        )

    def _date(self, moment: float, now: float) -> datetime:
        return self._today() + timedelta(seconds=moment - now)


def place_of(entry: SiteEntry) -> str:
    """Return where a site is, for people: its folder, or its database without the password."""
    if entry.path is not None:
        return str(entry.path)
    from wpbridge.site.database import DatabaseAddress  # noqa: PLC0415 - few sites are a DSN

    return DatabaseAddress.from_dsn(entry.dsn or "").safe


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
