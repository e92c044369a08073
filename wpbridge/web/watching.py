"""Watch the jobs that somebody waits for: one thread and one statement for all of them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from wpbridge.errors import WpbridgeError
from wpbridge.queue.jobs import ENDED, Job, JobGone, JobQueue
from wpbridge.telling.log import tell

LOOK_SECONDS: Final = 0.1
"""How often watched jobs are looked at; less often where a look takes long."""
MOST_SECONDS: Final = 2.0
"""After a look that took long the next one comes no later than this."""


class Watcher:
    """One who waits for the changes of one job."""

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[Job | JobGone | None] = asyncio.Queue()

    def tell(self, news: Job | JobGone | None) -> None:
        """Hand over what has become of the job, or that nobody waits any more; from any thread."""
        self._loop.call_soon_threadsafe(self._news.put_nowait, news)

    async def next(self, seconds: float) -> Job | None:
        """Return the job as soon as it has changed; None when it has not within the time.

        Raises:
            JobGone: its action has been deleted.
        """
        try:
            news = await asyncio.wait_for(self._news.get(), seconds)
        except TimeoutError:
            return None
        while not self._news.empty():
            news = self._news.get_nowait()
        if isinstance(news, JobGone):
            raise news
        return news


class Watching:
    """Watches jobs on a thread of its own, which sleeps while nobody waits."""

    def __init__(self, open_queue: Callable[[], JobQueue]) -> None:
        """Take what opens a queue; that is done when the first job is watched."""
        self._open = open_queue
        self._watchers: dict[str, set[Watcher]] = {}
        self._seen: dict[str, object] = {}
        """The sign of each watched job at the last look."""
        self._lock = threading.Lock()
        self._is_wanted = threading.Event()
        self._over = threading.Event()
        self.is_ending = False
        """Whether nobody is to wait any more, since the gateway ends."""
        self._thread = threading.Thread(target=self._serve, name="wpbridge-watching", daemon=True)
        self._thread.start()

    @asynccontextmanager
    async def watch(self, job: Job) -> AsyncIterator[Watcher]:
        """Watch a job from the state in which the caller has seen it."""
        watcher = Watcher(job.record.uuid)
        with self._lock:
            self._watchers.setdefault(watcher.uuid, set()).add(watcher)
            self._seen.setdefault(watcher.uuid, job.sign)
            self._is_wanted.set()
        try:
            yield watcher
        finally:
            with self._lock:
                others = self._watchers[watcher.uuid]
                others.discard(watcher)
                if not others:
                    del self._watchers[watcher.uuid], self._seen[watcher.uuid]

    async def ended(self, job: Job, seconds: float) -> Job:
        """Return the job when it has ended, or as it is when the time is over.

        Raises:
            JobGone: its action has been deleted.
        """
        if job.status in ENDED or seconds <= 0:
            return job
        until = time.monotonic() + seconds
        async with self.watch(job) as watcher:
            while (
                job.status not in ENDED
                and not self.is_ending
                and (left := until - time.monotonic()) > 0
            ):
                job = await watcher.next(left) or job
        return job

    def count(self) -> int:
        """Return how many wait."""
        with self._lock:
            return sum(len(watchers) for watchers in self._watchers.values())

    def let_go(self) -> None:
        """Tell all who wait that they are not to wait any more."""
        self.is_ending = True
        with self._lock:
            waiting = [one for watchers in self._watchers.values() for one in watchers]
        for watcher in waiting:
            watcher.tell(None)

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        self._is_wanted.set()
        self._thread.join()

    def _serve(self) -> None:
        jobs: JobQueue | None = None
        while not self._over.is_set():
            self._is_wanted.wait()
            if self._over.is_set():
                break
            began = time.monotonic()
            try:
                jobs = jobs or self._open()
                self._look(jobs)
            except WpbridgeError as error:
                tell("gateway.cannot_watch", reason=str(error))
            took = time.monotonic() - began
            self._over.wait(min(MOST_SECONDS, max(LOOK_SECONDS, 4 * took)))
            with self._lock:
                if not (self._watchers or self._over.is_set()):
                    self._is_wanted.clear()
        if jobs is not None:
            jobs.close()

    def _look(self, jobs: JobQueue) -> None:
        with self._lock:
            seen = dict(self._seen)
        signs = jobs.signs(list(seen))
        changed = [uuid for uuid, sign in seen.items() if signs.get(uuid) != sign]
        now = {job.record.uuid: job for job in jobs.jobs(changed)} if changed else {}
        with self._lock:
            for uuid in changed:
                job = now.get(uuid)
                if uuid not in self._seen:
                    continue
                self._seen[uuid] = None if job is None else job.sign
                news = job or JobGone(f"the action of job {uuid} has been deleted")
                for watcher in self._watchers[uuid]:
                    watcher.tell(news)
