"""Serve many sites from one process: the index of all of them, and each below ``/s/NAME/``."""

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wpbridge.access.attempts import Attempts
from wpbridge.clock import SystemClock
from wpbridge.errors import ConfigError, WpbridgeError
from wpbridge.monitor import sites_state
from wpbridge.monitor.followed_sites import FollowedSites
from wpbridge.site.config import Settings
from wpbridge.site.site_list import SiteEntry
from wpbridge.telling.log import tell
from wpbridge.web.access_log import AccessLog
from wpbridge.web.counted import Counted
from wpbridge.web.headers import SafeHeaders
from wpbridge.web.many.index import SitesIndex
from wpbridge.web.many.listing import Listing
from wpbridge.web.many.open_sites import MOST_OPEN, MOST_WAITING, TIDY_SECONDS, Busy, OpenSites
from wpbridge.web.many.site_settings import (
    INDEX,
    SITES,
    settings_of_index,
    settings_of_site,
)
from wpbridge.web.pages.rendering import Renderer
from wpbridge.web.problems import Problem
from wpbridge.web.serving import application

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_INDEX_SITE: Final = "/"
"""The name under which the index is open. No site is called so."""


def many_sites(settings: Settings, env: Mapping[str, str] = os.environ) -> "ManySites":
    """Return the gateway of all sites of a list as an ASGI application.

    Raises:
        ConfigError: the settings name no list, or no home for the index; or the list cannot be
            read, or has no such site.
    """
    if settings.sites is None or settings.web_home is None:
        raise ConfigError(
            "the index of many sites is shown to the admins of one of them: name that one with"
            " --home, or with home below [web] in the settings"
        )
    listing = Listing(settings.sites, env)
    if listing.known(settings.web_home) is None:
        raise ConfigError(f"--home: {settings.sites} has no site {settings.web_home}")
    return ManySites(settings, env, listing, settings.sites.absolute(), settings.web_home)


class ManySites:
    """An ASGI application that hands each request on to the application of its site."""

    def __init__(
        self,
        settings: Settings,
        env: Mapping[str, str],
        listing: Listing,
        place: Path,
        home: str,
    ) -> None:
        self._settings, self._env = settings, env
        self._listing, self._home = listing, home
        self._base = settings.web_base_path
        self._sites = OpenSites()
        self._attempts = Attempts(SystemClock())
        self._index = SitesIndex(
            place,
            sites_state.state_file(settings, env),
            partial(FollowedSites.of, place, env, strict=True),
        )
        self._renderer = Renderer(zone=UTC, mask=(), site="", base=f"{self._base}{INDEX}")
        self._tidying: asyncio.Task[None] | None = None
        answer: ASGIApp = SafeHeaders(self._answer)
        self._app = answer if settings.web_access_log == "none" else AccessLog(answer)
        self.state = SimpleNamespace(
            base_path=self._base, counted=Counted(), let_go=self._sites.let_go
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or begin and end with the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        # Threads are made as they are needed: a site that hangs keeps none from the others.
        loop.set_default_executor(
            ThreadPoolExecutor((MOST_OPEN + 1) * MOST_WAITING, thread_name_prefix="wpbridge-many")
        )
        await receive()
        self._tidying = loop.create_task(self._tidy_often())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._tidying.cancel()
        with suppress(asyncio.CancelledError):
            await self._tidying
        await self._index.close()
        await self._sites.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _tidy_often(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            await self.tidy()

    async def tidy(self) -> None:
        """Close what nobody has asked for some minutes."""
        self._sites.tidy()
        await self._index.tidy()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._hand_on(scope, receive, send)
        except Problem as problem:
            await self._told(scope, problem)(scope, receive, send)
        except Exception as error:
            # A site's own application has no such trouble: it answers for itself.
            tell("gateway.broken", path=scope["path"], exc_info=error)
            raise

    def _told(self, scope: Scope, problem: Problem) -> Response:
        """Return a problem as a page for people, and as a document for programs."""
        if "text/html" not in Headers(scope=scope).get("accept", ""):
            return problem.answer()
        headers = problem.answer().headers
        page = self._renderer.answer("outside.html", problem.status, {"reason": problem.detail})
        page.headers["Cache-Control"] = "no-store"
        if "retry-after" in headers:
            page.headers["Retry-After"] = headers["retry-after"]
        return page

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the request to the site that its path names, or answer it."""
        path = str(scope["path"])
        inside = path.removeprefix(self._base) if path.startswith(f"{self._base}/") else ""
        if inside == "/livez":
            await JSONResponse({"status": "alive"}, 200, _NOT_KEPT)(scope, receive, send)
        elif inside in {"/", INDEX} or (path == self._base and not inside):
            await self._to(f"{self._base}{INDEX}/")(scope, receive, send)
        elif inside.startswith(f"{INDEX}/"):
            entry = await self._entry(self._home)
            _check_page(scope, f"{self._base}{INDEX}/")
            make = partial(self._make_index, entry)
            await self._within(_INDEX_SITE, entry, make, (scope, receive, send))
        elif inside.startswith(f"{SITES}/"):
            name, slash, _ = inside.removeprefix(f"{SITES}/").partition("/")
            entry = await self._entry(name)
            if not slash:
                await self._to(f"{path}/")(scope, receive, send)
                return
            _check_page(scope, f"{self._base}{SITES}/{name}/")
            await self._within(name, entry, partial(self._make, entry), (scope, receive, send))
        else:
            raise Problem("not-found", f"sites are below {self._base}{SITES}/, by their names")

    def _to(self, address: str) -> Response:
        return RedirectResponse(address, 303, _NOT_KEPT)

    async def _entry(self, name: str) -> SiteEntry:
        entry = await self._listing.entry(name)
        if entry is None:
            raise Problem("not-found", "the list has no site of this name")
        return entry

    async def _within(
        self,
        name: str,
        entry: SiteEntry,
        make: Callable[[], Starlette],
        request: tuple[Scope, Receive, Send],
    ) -> None:
        """Have the application of a site answer, which is opened for that where it is not."""
        scope, receive, send = request
        try:
            async with self._sites.site(name, entry, make) as found:
                await found.answer(scope, receive, send)
        except Busy as error:
            raise Problem("unavailable", str(error), retry_after_seconds=2.0) from None
        except WpbridgeError as error:
            # It may name hosts, accounts and folders, and nobody has signed in yet.
            tell("gateway.site_unopened", entry=entry.name, reason=str(error))
            raise Problem(
                "unavailable",
                "this site cannot be opened: the index of all sites and the gateway's log say why",
                retry_after_seconds=10.0,
            ) from None

    def _make(self, entry: SiteEntry) -> Starlette:
        return application(
            settings_of_site(entry, self._settings),
            self._env,
            runs_own=False,
            attempts=self._attempts.of_site(entry.name),
        )

    def _make_index(self, entry: SiteEntry) -> Starlette:
        return application(
            settings_of_index(settings_of_site(entry, self._settings), self._settings),
            self._env,
            runs_own=False,
            attempts=self._attempts.of_site(entry.name),
            index=(self._index, f"{self._base}{SITES}"),
        )


_NOT_KEPT: Final = {"Cache-Control": "no-store"}


def _check_page(scope: Scope, base: str) -> None:
    """Refuse a change that a page of another site has sent: all sites have one origin.

    A browser says in ``Referer`` which page it was, and pages of the dashboard have it say so.

    Raises:
        Problem: it was another site's.
    """
    headers = Headers(scope=scope)
    if scope["method"] in _SAFE or "referer" not in headers:
        return
    parts = urlsplit(headers["referer"])
    is_here = parts.netloc.lower() == headers.get("host", "").lower()
    if is_here and not parts.path.startswith(base):
        raise Problem("not-allowed", "this change was sent by a page of another site")
