"""Ask the queue for pages: what all readers share is asked once, however many read it.

The connections are the pages' own, and no statement on them takes longer than two seconds.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from wpbridge.dataclass import dataclass
from wpbridge.errors import StoreError
from wpbridge.queue.jobs import JobQueue
from wpbridge.store.opened import OpenStore
from wpbridge.web.readers import Readers

T = TypeVar("T")
STATEMENT_SECONDS: Final = 2.0
QUICK_SECONDS: Final = 0.5
"""A statement takes no longer where what it finds is welcome and not needed."""
SOON_SECONDS: Final = 0.15
"""A page waits no longer for what it can do without."""
LEAST_SECONDS: Final = 2.0
MOST_SECONDS: Final = 60.0
_COST_FACTOR: Final = 20.0
"""An answer counts for so many times as long as it took, so that questions cost a twentieth of the
time at the most."""
STALE_SECONDS: Final = 30.0
"""For so long after that an old answer is shown while a new one is being asked for."""
_MOST_KEPT: Final = 200
_READERS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Generic[T]):
    """What a question has found."""

    value: T
    age_seconds: float
    """How long ago."""


class _Kept:
    """One shared question, with its last answer."""

    def __init__(self) -> None:
        self.value: Any = None
        self.at: float | None = None
        """When it was answered, by the monotonic clock; None before that."""
        self.until = 0.0
        self.asking: asyncio.Task[Any] | None = None


class Board:
    """The questions of one process's pages. It belongs to one event loop."""

    def __init__(
        self,
        open_queue: Callable[[], JobQueue],
        *,
        readers: int = _READERS,
        statement_seconds: float = STATEMENT_SECONDS,
    ) -> None:
        """Take what opens a queue, and how long a statement may take."""

        def open_bounded() -> JobQueue:
            queue = open_queue()
            queue.store.session.close()
            queue.store.session.statement_seconds = statement_seconds
            return queue

        self._open = open_bounded
        self._readers = Readers(open_bounded, readers=readers)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @contextmanager
    def opened(self) -> Iterator[OpenStore]:
        """Yield a store on a connection of its own, for a thread that reads for long.

        Raises:
            StoreError: the database does not answer.
        """
        queue = self._open()
        try:
            yield queue.store
        finally:
            queue.close()

    async def ask(self, question: Callable[[JobQueue], T]) -> T:
        """Return what a question finds, for one reader alone.

        Raises:
            TookTooLong: one of its statements was given up.
            StoreError: the database does not answer.
        """
        return await self._readers.ask(question)

    async def shared(
        self, key: str, question: Callable[[JobQueue], T], *, least_seconds: float = LEAST_SECONDS
    ) -> Seen[T]:
        """Return what a question finds, which whoever asks with the same key gets, too.

        An answer counts for ``least_seconds`` to 60 seconds, the longer the more it has cost. Who
        comes soon after that gets it once more, while a new one is asked for.

        Raises:
            StoreError: as for :meth:`ask`.
        """
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        now = time.monotonic()
        self._drop_old(now)
        if kept.asking is None and now >= kept.until:
            kept.asking = asyncio.get_running_loop().create_task(
                self._refresh(kept, question, least_seconds)
            )
            kept.asking.add_done_callback(_retrieved)
        is_stale = kept.at is None or now >= kept.until + STALE_SECONDS
        if kept.asking is not None and is_stale:
            # Who goes away does not take the others' answer with them.
            await asyncio.shield(kept.asking)
        assert kept.at is not None  # noqa: S101 - it was answered, or an error was raised
        return Seen(value=kept.value, age_seconds=max(0.0, time.monotonic() - kept.at))

    def _drop_old(self, now: float) -> None:
        """Drop what nobody is shown any more, and what was asked for longest ago of too many."""
        while len(self._kept) > 1:
            oldest = next(iter(self._kept.values()))
            is_over = oldest.asking is None and (
                oldest.at is None or now >= oldest.at + MOST_SECONDS + STALE_SECONDS
            )
            if not is_over and len(self._kept) <= _MOST_KEPT:
                return
            self._kept.popitem(last=False)

    async def soon(self, key: str, question: Callable[[JobQueue], T]) -> T | None:
        """Return what :meth:`shared` returns if that is known soon; None if not, or never.

        The question goes on meanwhile, so whoever comes next may get the answer.
        """
        try:
            async with asyncio.timeout(SOON_SECONDS):
                return (await self.shared(key, question)).value
        except (TimeoutError, StoreError):
            return None

    async def _refresh(
        self, kept: _Kept, question: Callable[[JobQueue], Any], least_seconds: float
    ) -> None:
        began = time.monotonic()
        try:
            kept.value = await self._readers.ask(question)
        except BaseException:
            now = time.monotonic()
            if kept.at is not None and now < kept.at + MOST_SECONDS + STALE_SECONDS:
                # The last answer is shown with its age. It is asked again soon.
                kept.until = now + LEAST_SECONDS
                return
            kept.at, kept.until = None, 0.0
            raise
        else:
            kept.at = time.monotonic()
            cost = kept.at - began
            kept.until = kept.at + min(MOST_SECONDS, max(least_seconds, cost * _COST_FACTOR))
        finally:
            kept.asking = None

    def forget(self) -> None:
        """Ask everything anew from now on, since something was changed."""
        self._kept.clear()

    def close(self) -> None:
        """Let what is asked end, then close the connections."""
        self._readers.close()


def _retrieved(task: asyncio.Task[Any]) -> None:
    """Take an error that nobody waits for any more, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
