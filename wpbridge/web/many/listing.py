"""The list of sites as the gateway knows it: read anew some seconds after it was read last."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wpbridge.errors import ConfigError
from wpbridge.site.site_list import BlogName, SiteEntry, SiteList, read_sites
from wpbridge.telling.log import tell

FRESH_SECONDS: Final = 10.0
"""A change of the list counts after so long."""


class Listing:
    """The entries of a list by their names. It belongs to one event loop."""

    def __init__(self, place: Path, env: Mapping[str, str]) -> None:
        """Read the list. Raises ConfigError where that cannot be done."""
        self._place, self._env = place, env
        self._take(read_sites(place, env))
        self._at = time.monotonic()
        self._reading: asyncio.Task[None] | None = None

    async def entry(self, name: str) -> SiteEntry | None:
        """Return a site, or a blog of a network as ``NETWORK.NUMBER``; None where there is none."""
        if time.monotonic() - self._at >= FRESH_SECONDS:
            if self._reading is None:
                self._reading = asyncio.get_running_loop().create_task(self._read())
            await asyncio.shield(self._reading)
        return self.known(name)

    def known(self, name: str) -> SiteEntry | None:
        """Return what :meth:`entry` returns, by the list as it was read last."""
        found = self._entries.get(name)
        if found is not None:
            return None if found.network else found
        blog = BlogName.of(name)
        above = None if blog is None else self._entries.get(blog.network)
        if blog is None or above is None or not above.may_be_network:
            return None
        return above.of_blog(blog.blog_id)

    async def _read(self) -> None:
        try:
            self._take(await asyncio.to_thread(read_sites, self._place, self._env))
        except ConfigError as error:
            # The list that was read before counts on.
            tell("gateway.list_unread", reason=str(error))
        finally:
            self._at = time.monotonic()
            self._reading = None

    def _take(self, listed: SiteList) -> None:
        self._entries = {entry.name: entry for entry in listed.sites}
