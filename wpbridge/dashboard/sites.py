"""The sites of a network: the backlog of each, its share in that of all, and which one is ours.

A page of sites is read at once the first time. After that, each reading renews only the sites that
were read longest ago, so that a large network costs little at any moment.
"""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.network_sites import CAP, Backlog

PAGE: Final = 100
"""So many sites are on a page."""
RENEWED: Final = 20
"""So many sites of a page are read anew by one reading."""
_DAY: Final = timedelta(days=1)
_OLD: Final = timedelta(minutes=10)
"""What is older is not shown without being read again."""
_KEPT: Final = 1_000
"""So many sites are kept in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSeen:
    """One site of a network."""

    id: int
    address: str
    """Domain and path, as the network has them."""
    prefix: str
    """Of its tables; empty where it has no queue."""
    is_own: bool
    """Whether this gateway serves it."""
    backlog: Backlog | None
    """None for a site without a queue."""
    share: float | None
    """Its part of all that is due on the sites of the page; None where nothing is."""
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesSeen:
    """A page of a network's sites."""

    is_network: bool
    sites: tuple[SiteSeen, ...]
    following: int | None
    """The id after which the next page begins; None at the end."""
    due: int
    """On all sites of the page together."""
    cap: int = CAP
    """How far the numbers of each site are counted."""


class Sites:
    """Reads a network's sites, and remembers what it has read. Threads take turns."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._known: dict[int, tuple[datetime, str, Backlog | None]] = {}

    def look(self, store: OpenStore, now: datetime, *, after: int = 0) -> SitesSeen:
        """Return the sites with a higher id than ``after``, by id."""
        with self._turn:
            return self._look(store, now, after)

    def _look(self, store: OpenStore, now: datetime, after: int) -> SitesSeen:
        network = store.network_sites
        blogs = network.page(after=after, most=PAGE + 1)
        page = blogs[:PAGE]
        self._read(store, now, [blog.id for blog in page])
        told = [(blog, *self._known[blog.id]) for blog in page]
        due = sum(backlog.due for *_, backlog in told if backlog is not None)
        sites = tuple(
            SiteSeen(
                id=blog.id,
                address=f"{blog.domain}{blog.path}",
                prefix=prefix,
                is_own=network.is_own(prefix),
                backlog=backlog,
                share=backlog.due / due if backlog is not None and due else None,
                read_at=read_at,
            )
            for blog, read_at, prefix, backlog in told
        )
        return SitesSeen(
            is_network=bool(blogs) or network.is_network(),
            sites=sites,
            following=page[-1].id if len(blogs) > PAGE else None,
            due=due,
        )

    def _read(self, store: OpenStore, now: datetime, ids: Sequence[int]) -> None:
        """Read the sites that are not known, or too old, and those that were read longest ago."""
        wanted = {i for i in ids if i not in self._known or now - self._known[i][0] > _OLD}
        by_age = sorted((i for i in ids if i not in wanted), key=lambda i: self._known[i][0])
        wanted |= set(by_age[: max(0, RENEWED - len(wanted))])
        prefixes = store.network_sites.prefixes(sorted(wanted))
        backlogs = store.network_sites.backlogs(prefixes, now, now - _DAY)
        for blog in wanted:
            self._known[blog] = (now, prefixes.get(blog, ""), backlogs.get(blog))
        others = sorted(self._known.keys() - set(ids), key=lambda i: self._known[i][0])
        for blog in others[: max(0, len(self._known) - _KEPT)]:
            del self._known[blog]
