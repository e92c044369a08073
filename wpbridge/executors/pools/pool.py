"""The processes of one pool: started when there is work, fed, judged, replaced and ended.

One thread owns them. Others leave calls in the pool's inbox, and wake the thread.
"""

import signal
import threading
from abc import ABC, abstractmethod
from typing import Any, Final, Generic, TypeVar

from wpbridge.errors import WpCliError
from wpbridge.executors.pools.answers import Stray
from wpbridge.executors.pools.back_off import BROKEN, BackOff
from wpbridge.executors.pools.inbox import Inbox, Sent
from wpbridge.executors.pools.watcher import Watcher
from wpbridge.executors.pools.worker import PoolWorker, now
from wpbridge.outcome import Failed

_POLL_SECONDS: Final = 0.05
_LONGEST_WAIT: Final = 1.0

W = TypeVar("W", bound=PoolWorker)
S = TypeVar("S", bound=Sent)


class Pool(ABC, Generic[W, S]):
    """Runs the calls of an inbox in processes that it starts, watches and ends."""

    def __init__(
        self, inbox: Inbox[S], *, name: str, what: str, size: int, grace_seconds: float
    ) -> None:
        """Starts its thread, and no process yet.

        Args:
            inbox: where calls wait.
            name: the end of its thread's name.
            what: names in messages that which does not start.
            size: how many processes there may be.
            grace_seconds: between TERM and KILL.
        """
        self.back_off = BackOff(what)
        self.expected = 0
        """Calls that the runner has, and that are not in the inbox before somebody is free."""
        self._inbox = inbox
        self._size = size
        self._grace_seconds = grace_seconds
        self._workers: list[W] = []
        self._closed = threading.Event()
        self._watcher = Watcher[W]()
        self._thread = threading.Thread(target=self._serve, name=f"wpbridge-{name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look: there is something in the inbox. Safe in a signal handler."""
        self._watcher.wake()

    def resize(self, size: int) -> None:
        """Have so many processes at the most from now on. None that is busy is ended for it."""
        self._size = size
        self.wake()

    def close(self) -> None:
        """End all processes, idle ones by themselves, busy ones by force, and the thread."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._watcher.wake()
        self._thread.join()
        self._watcher.close()

    # What each pool says for itself

    @abstractmethod
    def _launch(self) -> W:
        """Start a worker. WpCliError or OSError when that does not work."""

    def _greet(self, worker: W) -> None:
        """Tell a worker what it must know first, once its answers are watched."""

    @abstractmethod
    def _send(self) -> None:
        """Give workers that have room what waits in the inbox."""

    @abstractmethod
    def _handle(self, worker: W, answer: dict[str, Any]) -> None:
        """Take in an answer. ValueError for what makes no sense now."""

    @abstractmethod
    def _spoilt(self, worker: W, stray: Stray) -> None:
        """Something else than the worker wrote to its answers."""

    @abstractmethod
    def _overdue(self, worker: W) -> Failed | None:
        """Return why a worker must be ended now; None when it may go on."""

    @abstractmethod
    def _look_after(self, worker: W) -> None:
        """A worker lives, and may go on: retire it, or tell it what it must know."""

    @abstractmethod
    def _buried(self, worker: W, code: int) -> None:
        """A worker has ended: answer for its calls."""

    @abstractmethod
    def _break(self, worker: W) -> None:
        """End a worker at once, since the pool itself failed; answer what may have begun."""

    @abstractmethod
    def _log_broken(self) -> None:
        """Log the exception that the pool itself has raised."""

    @abstractmethod
    def _log_boot_failed(self, failures: int, reason: str) -> None:
        """Log that a worker did not come up."""

    # The thread

    def _serve(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    self._turn()
                except Exception:  # noqa: BLE001 - whatever it was, every call gets its answer
                    self._log_broken()
                    self._begin_anew()
        finally:
            self._inbox.deliver()
            self._end_all()

    def _begin_anew(self) -> None:
        """Something failed here: no worker is kept, and what may have begun is answered."""
        broken, self._workers = self._workers, []
        for worker in broken:
            self._forget(worker)
            self._break(worker)
        self._boot_failed(BROKEN)
        self._inbox.deliver()
        # What failed may fail again at once, without anything that takes time.
        self._closed.wait(_LONGEST_WAIT)

    def _turn(self) -> None:
        for worker in self._watcher.wait(self._wait_seconds()):
            self._read(worker)
        self._inbox.deliver()
        for worker in list(self._workers):
            self._judge(worker)
        self._send()
        waiting = self._inbox.waiting() + self.expected
        if waiting and not self._closed.is_set():
            self._start_more(waiting)
        self._inbox.deliver()

    def _wait_seconds(self) -> float:
        """Return how long until the next thing that no descriptor tells."""
        moment = now()
        due = [moment + _LONGEST_WAIT]
        if self._inbox.waiting() and self.back_off.not_before > moment:
            due.append(self.back_off.not_before)
        looks = [at for worker in self._workers if (at := worker.look_at()) is not None]
        # Looks that are always due are made at intervals.
        due += [at or moment + _POLL_SECONDS for at in looks]
        return max(0.0, min(due) - moment)

    def _read(self, worker: W) -> None:
        # Answers first: the output that belongs to them was written before them.
        answers = worker.hear()
        worker.listen()
        for answer in answers:
            if isinstance(answer, Stray):
                self._spoilt(worker, answer)
                continue
            try:
                self._handle(worker, answer)
            except ValueError as error:
                self._spoilt(worker, worker.answers.stray(str(error), answer))
        self._watcher.forget(*worker.spent)

    def _judge(self, worker: W) -> None:
        if worker.child.has_ended():
            # Twice, since one reading is bounded: what it has left is read to the end.
            self._read(worker)
            self._read(worker)
            self._workers.remove(worker)
            self._forget(worker)
            self._buried(worker, worker.bury())
            return
        worker.flush()
        if worker.kill_at is not None:
            if now() >= worker.kill_at:
                worker.child.kill(signal.SIGKILL)
                worker.kill_at = now() + _LONGEST_WAIT
        elif why := self._overdue(worker):
            worker.terminate(why, self._grace_seconds)
        else:
            self._look_after(worker)

    def _forget(self, worker: W) -> None:
        self._watcher.forget(worker.child.answers, worker.child.output, worker.watched)

    # Starting

    def _start_more(self, waiting: int) -> None:
        if self.back_off.is_down():
            self._give_up()
            return
        alive = [worker for worker in self._workers if not (worker.is_retiring or worker.killed)]
        booting = sum(not worker.is_ready for worker in alive)
        room = self._size - len(alive)
        for _ in range(self.back_off.wanted(room=room, waiting=waiting, booting=booting)):
            try:
                self._start()
            except (WpCliError, OSError) as error:
                # An OSError: no more descriptors, memory or processes, or files being replaced.
                self._boot_failed(str(error))
                return

    def _start(self) -> None:
        worker = self._launch()
        descriptors = worker.child.answers, worker.child.output
        try:
            worker.watched = self._watcher.watch(worker, descriptors, worker.pid)
        except OSError:
            worker.bury()
            raise
        self._workers.append(worker)
        self._greet(worker)

    def _is_up(self) -> bool:
        return any(worker.is_up for worker in self._workers)

    def _boot_failed(self, words: str) -> None:
        count = self.back_off.boot_failed(words, are_others_up=self._is_up())
        self._log_boot_failed(count, words)
        if self.back_off.is_down():
            self._went_down()

    def _went_down(self) -> None:
        """No worker comes up, and none is tried for a while."""
        self._give_up()

    def _give_up(self) -> None:
        """Give back everything that waits."""
        self.expected = 0
        self._inbox.put_back(self.back_off.trouble or "")

    # Ending

    def _end_all(self) -> None:
        for worker in self._workers:
            if worker.is_busy or not worker.is_ready:
                worker.terminate(Failed(reason="wpbridge ended"), self._grace_seconds)
            else:
                worker.hang_up()
        until = now() + self._grace_seconds
        while now() < until and not all(worker.child.has_ended() for worker in self._workers):
            self._watcher.wait(_POLL_SECONDS)
            for worker in self._workers:
                worker.listen()
        for worker in self._workers:
            worker.bury()
