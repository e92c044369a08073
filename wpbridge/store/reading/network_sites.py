"""Read the backlogs of a network's sites, a page of them at a time.

Each site has tables of its own, maybe of another layout, so no index is named. Each number is
counted up to a cap, and the sites of a page are read some at a time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.reading.due import DUE
from wpbridge.store.structure.tables import Connected, Tables

CAP: Final = 10_000
"""The numbers of a site are counted up to this one."""
_SITES_A_STATEMENT: Final = 20
_BLOGS_A_PAGE: Final = 200
_IN_USE: Final = " AND archived = '0' AND deleted = '0' AND spam = '0'"
"""Networks of old have texts in these columns, so they are compared with texts."""


class Blog(NamedTuple):
    """A site of a network, as the network's own table has it."""

    id: int
    domain: str
    path: str


class Backlog(NamedTuple):
    """What waits on one site, and what failed. Each number is counted up to :data:`CAP`."""

    due: int
    pending: int
    """The due ones among them."""
    failed: int
    """Those whose last attempt was at the moment that was asked for, or later."""
    oldest_due: datetime | None


class NetworkSites:
    """Questions about the sites of a network."""

    def __init__(self, tables: Tables | Connected) -> None:
        names = tables.names
        self._tables = tables
        self._session = tables.session
        self._base = names.base_prefix or names.prefix
        self._own_prefix = names.prefix
        self._blogs = f"{self._base}blogs"

    def is_network(self) -> bool:
        """Return whether there is a table of sites: whether this is a network."""
        return bool(self._session.run(lambda c: self._tables.dialect.columns(c, self._blogs)))

    def page(self, *, after: int = 0, most: int) -> list[Blog]:
        """Return sites with a higher id than ``after``, by id; none where there is no network."""
        return self._blogs_after(after, most) if self.is_network() else []

    def queues(self, *, after: int = 0, most: int) -> list[Blog]:
        """Return the sites in use that have a queue, with a higher id than ``after``, by id.

        Archived and deleted sites and spam are left out. The sites are looked at in pages, so that
        no question is large; ``most`` is how many are returned.
        """
        found: list[Blog] = []
        is_network = self.is_network()
        while is_network:
            page = self._blogs_after(after, _BLOGS_A_PAGE, _IN_USE)
            with_queue = self.prefixes([blog.id for blog in page])
            found += [blog for blog in page if blog.id in with_queue]
            if len(page) < _BLOGS_A_PAGE or len(found) >= most:
                break
            after = page[-1].id
        return found[:most]

    def _blogs_after(self, after: int, most: int, where: str = "") -> list[Blog]:
        statement = text(
            f"SELECT blog_id, domain, path FROM {self._blogs} WHERE blog_id > :after{where}"
            " ORDER BY blog_id LIMIT :most"
        )
        values = {"after": after, "most": most}
        rows = self._session.run(lambda c: c.execute(statement, values).fetchall())
        return [Blog(int(blog), str(domain), str(path)) for blog, domain, path in rows]

    def prefixes(self, ids: Sequence[int]) -> dict[int, str]:
        """Return the table prefix of each of these sites that has a queue."""
        if not ids:
            return {}
        # The first site's tables have no number, but for networks older than WordPress 3.0.
        possible = {
            f"{prefix}{_ACTIONS}": (blog, prefix)
            for blog in ids
            for prefix in (f"{self._base}{blog}_", *([self._base] if blog == 1 else []))
        }
        wanted = dict.fromkeys(possible, "action_id")
        there = self._session.run(lambda c: self._tables.dialect.key_columns(c, wanted))
        return dict(possible[table] for table in possible if table in there)

    def is_own(self, prefix: str) -> bool:
        """Return whether this store is of the site with these tables."""
        return prefix == self._own_prefix

    def backlogs(
        self, prefixes: Mapping[int, str], now: datetime, failed_since: datetime
    ) -> dict[int, Backlog]:
        """Count what waits and what failed on these sites, by id.

        The prefixes come from :meth:`prefixes`.
        """
        found: dict[int, Backlog] = {}
        blogs = sorted(prefixes)
        for start in range(0, len(blogs), _SITES_A_STATEMENT):
            part = {blog: prefixes[blog] for blog in blogs[start : start + _SITES_A_STATEMENT]}
            found |= self._session.run(
                partial(_counted, prefixes=part, now=now, since=failed_since)
            )
        return found


_ACTIONS: Final = "actionscheduler_actions"


def _counted(
    connection: Connection, prefixes: Mapping[int, str], now: datetime, since: datetime
) -> dict[int, Backlog]:
    """Count by one statement, which has four parts for each site."""
    parts: list[str] = []
    for blog, prefix in prefixes.items():
        table = f"{prefix}{_ACTIONS}"
        for kind, where in (
            ("due", DUE),
            ("pending", "status = 'pending'"),
            ("failed", "status = 'failed' AND last_attempt_gmt >= :since"),
        ):
            parts.append(
                f"SELECT {int(blog)} AS blog, '{kind}' AS kind, COUNT(*) AS told FROM"
                f" (SELECT 1 FROM {table} WHERE {where} LIMIT {CAP}) AS {kind}_{int(blog)}"
            )
        parts.append(
            f"SELECT {int(blog)}, 'oldest', (SELECT scheduled_date_gmt FROM {table} WHERE {DUE}"
            " AND scheduled_date_gmt > :zero ORDER BY scheduled_date_gmt LIMIT 1)"
        )
    values = {"now": to_text(now), "since": to_text(since), "zero": ZERO_DATE}
    told: dict[int, dict[str, Any]] = {blog: {} for blog in prefixes}
    for blog, kind, value in connection.execute(text(" UNION ALL ".join(parts)), values):
        told[int(blog)][str(kind)] = _plain(value)
    return {
        blog: Backlog(
            due=int(one["due"]),
            pending=int(one["pending"]),
            failed=int(one["failed"]),
            oldest_due=date(one["oldest"]),
        )
        for blog, one in told.items()
    }


def _plain(value: object) -> object:
    """Return a value as text: MariaDB makes bytes of a column that has numbers and dates."""
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
