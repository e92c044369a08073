"""Await async handlers, on one event loop that runs on a thread of its own.

Loading asyncio takes a short run as long as hundreds of actions, so only what has a handler to
await imports this module.
"""

import asyncio
import threading
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from wpbridge.errors import TimedOut
from wpbridge.executors.handler_calls import over
from wpbridge.telling.log import tell


class AsyncThread:
    """A thread that runs an event loop."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._serve, name="wpbridge-async", daemon=True).start()

    def ended(
        self, work: Coroutine[Any, Any, Any], limit: timedelta | None
    ) -> tuple[Any, BaseException | None]:
        """Do what :func:`ended` does, from any other thread."""
        return asyncio.run_coroutine_threadsafe(ended(work, limit), self._loop).result()

    def stop(self) -> None:
        """Stop the loop. What it awaits is left as it is."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self) -> None:
        try:
            while True:
                try:
                    self._loop.run_forever()
                except (SystemExit, KeyboardInterrupt) as error:
                    # Out of a task that a handler started beside itself: the others go on.
                    tell("handler.task_raised", error_type=type(error).__name__)
                else:
                    return
        finally:
            self._loop.close()


async def ended(
    work: Coroutine[Any, Any, Any], limit: timedelta | None
) -> tuple[Any, BaseException | None]:
    """Await a handler, cancel it at its limit, and return what it returned and what it raised.

    Returned, not raised: SystemExit out of one task would stop the loop under all the others.
    """
    try:
        return await _within(work, limit), None
    except BaseException as error:  # noqa: BLE001 - the caller raises it again
        return None, error


async def _within(work: Coroutine[Any, Any, Any], limit: timedelta | None) -> Any:
    watch = asyncio.timeout(None if limit is None else limit.total_seconds())
    try:
        async with watch:
            return await work
    except TimeoutError:
        if limit is not None and watch.expired():
            raise TimedOut(over(limit)) from None
        raise
