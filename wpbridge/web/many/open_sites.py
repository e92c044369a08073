"""The sites that the gateway has open: each an application of its own, opened when it is asked for.

No more than so many are open at once. For one more, the one is closed that nobody has asked for
the longest. A site that cannot be opened says so again for some seconds, without another attempt.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from wpbridge.dataclass import dataclass
from wpbridge.errors import WpbridgeError
from wpbridge.telling.log import tell

MOST_OPEN: Final = 16
"""So many sites are open at once. Each may have a dozen connections to its database."""
IDLE_SECONDS: Final = 300.0
"""A site that nobody has asked for so long is closed."""
FAILED_SECONDS: Final = 10.0
"""So long the reason is told why a site could not be opened, before that is tried again."""
OPENERS: Final = 64
"""So many sites are opened at once. A database that hangs keeps one of these threads for ten
seconds: when a server with many sites is away, others are opened all the same."""
MOST_WAITING: Final = 200
"""So many requests of a site may wait for the beginning of their answer. A database that hangs
keeps a thread for each."""
TIDY_SECONDS: Final = 30.0
"""So often it is looked which sites nobody asks for any more."""
_TRIES: Final = 3
_FULL: Final = "too many sites are open: come again soon"


class Busy(Exception):
    """No more sites can be opened now, or the site has too many requests under way."""


@dataclass(slots=True, eq=False)
class OpenSite:
    """A site that is open."""

    app: Starlette
    lifespan: AbstractAsyncContextManager[Any]
    key: object
    """What it was made from. When that has changed, the site is opened anew."""
    asked: int = 0
    """How many requests are under way."""
    waiting: int = 0
    """How many of them wait for the beginning of their answer."""
    used: float = 0.0
    """When somebody last asked, by the monotonic clock."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the site answer a request."""
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                self.waiting -= 1
            await send(message)

        self.waiting += 1
        try:
            await self.app(scope, receive, noted)
        finally:
            if not has_begun:
                self.waiting -= 1


class OpenSites:
    """The open sites by their names. It belongs to one event loop."""

    def __init__(self, *, most: int = MOST_OPEN) -> None:
        self._most = most
        self._open: OrderedDict[str, OpenSite] = OrderedDict()
        self._opening: dict[str, asyncio.Task[OpenSite]] = {}
        self._failed: dict[str, tuple[float, object, WpbridgeError]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._openers = ThreadPoolExecutor(OPENERS, thread_name_prefix="wpbridge-opener")
        self._over = False

    def names(self) -> list[str]:
        """Return which sites are open, the one that was asked for last at the end."""
        return list(self._open)

    @asynccontextmanager
    async def site(
        self, name: str, key: object, make: Callable[[], Starlette]
    ) -> AsyncIterator[OpenSite]:
        """Yield a site, which stays open in this block.

        Args:
            name: of the site.
            key: what it is made from.
            make: makes its application, on a thread.

        Raises:
            Busy: there is no room.
            WpbridgeError: it cannot be opened.
        """
        found = await self._found(name, key, make)
        if found.waiting >= MOST_WAITING:
            raise Busy(f"the site {name} has too many requests under way")
        found.asked += 1
        try:
            yield found
        finally:
            found.asked -= 1
            found.used = time.monotonic()
            if self._open.get(name) is found:
                self._open.move_to_end(name)
            elif not found.asked:
                self._close_soon(found)

    async def _found(self, name: str, key: object, make: Callable[[], Starlette]) -> OpenSite:
        """Return a site that is open, and may be closed as soon as somebody else has a turn."""
        for _ in range(_TRIES):
            found = self._open.get(name)
            if found is not None and found.key == key:
                return found
            if found is not None:
                self._retire(name)
            # Others may have needed its place before this one has its turn again.
            await self._opened(name, key, make)
        raise Busy(_FULL)

    async def _opened(self, name: str, key: object, make: Callable[[], Starlette]) -> OpenSite:
        until, failed_key, error = self._failed.get(name, (0.0, None, WpbridgeError()))
        if failed_key == key and time.monotonic() < until:
            raise error
        if name not in self._opening:
            if not self._has_room():
                raise Busy(_FULL)
            task = asyncio.get_running_loop().create_task(self._open_one(name, key, make))
            self._opening[name] = task
            task.add_done_callback(lambda done: self._has_opened(name, done))
        # Who goes away does not take the others' site with them.
        return await asyncio.shield(self._opening[name])

    async def _open_one(self, name: str, key: object, make: Callable[[], Starlette]) -> OpenSite:
        def prepared() -> Starlette:
            app = make()
            app.state.prepare()
            return app

        loop = asyncio.get_running_loop()
        try:
            app = await loop.run_in_executor(self._openers, prepared)
        except WpbridgeError as error:
            self._failed = {
                one: told for one, told in self._failed.items() if told[0] > time.monotonic()
            }
            self._failed[name] = time.monotonic() + FAILED_SECONDS, key, error
            raise
        lifespan = app.router.lifespan_context(app)
        await lifespan.__aenter__()
        found = OpenSite(app=app, lifespan=lifespan, key=key, used=time.monotonic())
        self._trim()
        if self._over or len(self._open) >= self._most:
            # Others came first, and all of them are busy.
            await self._close(found)
            raise Busy(_FULL)
        self._open[name] = found
        return found

    def _has_opened(self, name: str, done: asyncio.Task[OpenSite]) -> None:
        del self._opening[name]
        if not done.cancelled():
            # Nobody may have waited for it. The others have the error already.
            done.exception()

    def _has_room(self) -> bool:
        """Tell whether there is room for one more, once a site is closed that nobody asks for."""
        busy = sum(found.asked > 0 for found in self._open.values())
        return busy < self._most and len(self._opening) < OPENERS

    def _trim(self) -> None:
        """Close the sites that nobody has asked for the longest, while there are too many."""
        for name in [one for one, found in self._open.items() if not found.asked]:
            if len(self._open) >= self._most:
                self._retire(name)

    def _retire(self, name: str) -> None:
        """Let a site go. It is closed when its last request has its answer."""
        found = self._open.pop(name)
        if not found.asked:
            self._close_soon(found)

    def _close_soon(self, found: OpenSite) -> None:
        task = asyncio.get_running_loop().create_task(self._close(found))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, found: OpenSite) -> None:
        try:
            await found.lifespan.__aexit__(None, None, None)
        except Exception:  # noqa: BLE001 - the site is gone in any case, and the others stay
            tell("gateway.broken", path=found.app.state.base_path, exc_info=True)

    def tidy(self) -> None:
        """Close the sites that nobody has asked for some minutes."""
        now = time.monotonic()
        for name, found in list(self._open.items()):
            if not found.asked and now - found.used >= IDLE_SECONDS:
                self._retire(name)

    def let_go(self) -> None:
        """Tell all who wait for news that they are not to wait any more."""
        for found in self._open.values():
            found.app.state.let_go()

    async def close(self) -> None:
        """Close all sites."""
        self._over = True
        for name in list(self._open):
            self._retire(name)
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._openers.shutdown(wait=False, cancel_futures=True)
