"""Says which sites are looked at and when, and what a look has found. Nothing starts here.

The scheduler tells what has happened and asks what to do. All moments are of the monotonic clock,
but for the dates that people are shown.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Final

from wpbridge.daemon.sites.site_process import SiteProcess
from wpbridge.daemon.sites.users import SystemUser, user_of
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.site.site_list import SiteEntry

LONGEST_LOOK_SECONDS: Final = 60.0
"""A site that cannot be looked at is looked at again after so long at the most."""
NETWORK_SECONDS: Final = 60.0
"""The blogs of a network are asked for anew after so long."""
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
    is_woken: bool = False
    """Whether something was enqueued since a look was last asked for, which it may have missed."""
    look_failures: int = 0
    run_failures: int = 0
    fruitless: int = 0
    """How many processes in a row found nothing to claim."""
    due_since: float | None = None
    start_after: float = 0.0
    process: SiteProcess | None = None
    has_left_over: bool = False
    """Whether its last process has died, so that actions may wait for the next one."""
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

    @property
    def is_bad(self) -> bool:
        """Return whether it cannot be looked at, or its process cannot run."""
        return self.user is None or bool(self.failures)


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
        self.today = today

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

    def looks(self, now: float, users: Collection[SystemUser]) -> dict[SystemUser, list[str]]:
        """Return the sites of these users to look at now. An answer is expected for each."""
        found: dict[SystemUser, list[str]] = {}
        for site in self.sites.values():
            if site.user not in users or site.process or site.is_asked or site.is_gone:
                continue
            if site.user is not None and now >= site.next_look:
                site.is_asked, site.is_woken = True, False
                found.setdefault(site.user, []).append(site.name)
        return found

    def unasked(self, user: SystemUser, now: float, reason: str) -> None:
        """Note that the poller of a user is gone, with the looks that it was asked for."""
        for site in self.sites.values():
            if site.user == user and site.is_asked:
                self.look_failed(site, reason, now)

    def looked(self, site: ScheduledSite, now: float, *, due: bool, left: bool) -> None:
        """Take in what a look has found: whether something is due, or was left by the dead."""
        site.is_asked, site.look_failures, site.last_look = False, 0, self.today()
        site.next_look = now if site.is_woken else now + self.later(self.terms.interval)
        # It may have been a network until now.
        self._blogs.pop(site.name, None)
        if not site.run_failures:
            site.reason = ""
        if due or left or site.has_left_over or now >= site.upkeep_at:
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
        wait = self.later(min(wait, max(LONGEST_LOOK_SECONDS, self.terms.interval)))
        site.next_look, site.due_since = now + wait, None
        return wait

    def blogs_found(self, site: ScheduledSite, blogs: Sequence[int], now: float) -> bool:
        """Take in the blogs of a network. Returns whether there are others than before."""
        site.is_asked, site.look_failures, site.reason = False, 0, ""
        site.last_look, site.next_look = self.today(), now + self.later(NETWORK_SECONDS)
        if self._blogs.get(site.name) == (told := tuple(blogs)):
            return False
        self._blogs[site.name] = told
        return True

    def woken(self, site: ScheduledSite, now: float) -> None:
        """Have a site looked at at once, since something was enqueued."""
        if site.process is None and not site.look_failures:
            site.is_woken, site.next_look = True, now
            if not site.run_failures:
                site.start_after = now

    def later(self, seconds: float) -> float:
        """Return about so many seconds, so that sites do not keep in step."""
        return self._chance(0.95 * seconds, 1.05 * seconds)
