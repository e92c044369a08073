"""A pool of warm PHP workers: started when there is work, kept, watched, replaced.

One thread owns the processes: it feeds them, reads their answers and judges them. Short actions are
sent ahead, so that no worker waits for us between two of them; how many depends on how long they
take. What a worker did not start comes back when it dies, or when it was kept waiting.
"""

import logging
import signal
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from wpbridge.action import Action
from wpbridge.clock import Clock
from wpbridge.errors import WpCliError
from wpbridge.executors import php_worker
from wpbridge.executors.base import Books, Call, Mailbox, Report
from wpbridge.executors.lookout import Lookout
from wpbridge.executors.php_launch import Launch
from wpbridge.executors.php_worker import Hello, PhpWorker, Sent, now
from wpbridge.outcome import Booked, Completed, Outcome, Retried, Unrun

BOOT_TRIES: Final = 3
_AHEAD_SECONDS: Final = 0.025
"""About so much work is sent to a worker before it asks for it."""
_MOST_AHEAD: Final = 64
_STUCK_SECONDS: Final = 0.1
"""Nothing more is sent behind an action that runs longer."""
_DEFERRED_SECONDS: Final = 1.0
"""An idle worker with things put off to the end of the process ends after so long."""
_AGAIN_SECONDS: Final = 60.0
"""A hook without callbacks, and a WordPress that does not start, are looked at again then."""
_TERM_SECONDS: Final = 5.0
_CRASH_TRIES: Final = 3
_DEFAULT_MEMORY: Final = 512 << 20
_POLL_SECONDS: Final = 0.05

_log = logging.getLogger("wpbridge.php")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many workers, and when one is replaced."""

    workers: int = 2
    timeout: timedelta | None = timedelta(minutes=5)
    """For one action."""
    max_actions: int = 5000
    max_age: timedelta | None = timedelta(hours=1)
    max_memory: int = 0
    """Bytes; 0: four fifths of the worker's own limit."""
    boot_timeout: timedelta = timedelta(seconds=60)
    books: Literal["bridge", "native"] = "bridge"
    missing: Literal["hold", "fail"] = "hold"
    on_crash: Literal["fail", "retry"] = "fail"


class PhpPool:
    """See :class:`wpbridge.executors.base.Executor`."""

    def __init__(
        self,
        launch: Launch,
        *,
        limits: PoolLimits,
        clock: Clock,
        accept: Callable[[Hello], str | None],
        native: frozenset[str] = frozenset(),
        runner: Callable[[], Sequence[object] | None] = lambda: None,
        context: str = "wpbridge",
        mailbox: Mailbox | None = None,
    ) -> None:
        """Starts its thread, and no process yet.

        Args:
            launch: how a worker is started.
            limits: how many, how long.
            clock: for the dates of reports.
            accept: why a worker that said this must not be used; None when it may.
            native: hooks that the plugin's own runner runs whatever the books are.
            runner: id and start of our row in the ownership table, for workers to look up.
            context: the word after "via" in the plugin's log rows.
            mailbox: where reports go; one of its own when None.
        """
        self._launch = launch
        self._limits = limits
        self._clock = clock
        self._accept = accept
        self._native = native
        self._runner = runner
        self._context = context
        self._mailbox = mailbox or Mailbox()
        self._lock = threading.Lock()
        self._queue: deque[Call] = deque()
        self._parked: list[Call] = []
        self._revoked: set[Call] = set()
        self._expected = 0
        self._told: deque[Action] = deque()
        self._started: dict[Call, datetime] = {}
        self._missing: dict[str, float] = {}
        self._known: set[str] = set()
        self._asking: set[str] = set()
        self._asked: set[str] = set()
        self._workers: list[PhpWorker] = []
        self._boots_failed = 0
        self._crashes = 0
        self._not_before = 0.0
        self._trouble: str | None = None
        self._is_final = False
        self._closing = False
        self._lookout = Lookout[PhpWorker]()
        self._thread = threading.Thread(target=self._serve, name="wpbridge-php", daemon=True)
        self._thread.start()

    # For the runner

    def can_run(self, hook: str, group: str) -> bool:
        """Any hook, but those whose callbacks were missing a moment ago."""
        return self.refuses(hook, group) is None

    def hooks(self) -> frozenset[str] | None:
        """Any, while there is room."""
        return None if self.has_room() else frozenset()

    def refuses(self, hook: str, group: str) -> str | None:
        """A WordPress that does not start, or that has no callback for the hook."""
        del group
        if self._is_down():
            return self._trouble
        if self._is_missing(hook):
            return f"WordPress has no callback for {hook}"
        return None

    def books(self, hook: str, group: str) -> Books:
        """A callback that looks at its own action must find it in-progress."""
        del group
        native = self._limits.books == "native" or hook in self._native
        return "kept" if native else "first"

    def has_room(self) -> bool:
        """While about as much waits as is worked on."""
        with self._lock:
            waiting = len(self._queue) + self._expected
            ahead = sum(self._window(worker) for worker in self._workers)
            return not self._is_down() and waiting < max(self._limits.workers, ahead)

    def admit(self, waiting: Sequence[Call]) -> list[Call]:
        """As many as can be sent ahead, and those in few portions: each costs a transaction."""
        with self._lock:
            ahead = sum(self._window(worker) for worker in self._workers)
            sent = sum(len(worker.sent) for worker in self._workers)
            room = ahead - sent - len(self._queue)
            known = [call for call in waiting if self._is_known(call.action.hook)]
            admitted = known[: max(0, room)]
            if len(admitted) < min(len(known), ahead // 2):
                admitted = []
            # Only now is it known that somebody waits, so workers are started for them.
            self._expected = len(waiting) - len(admitted)
            unknown = {call.action.hook for call in waiting} - self._known - self._asked
            self._asking |= set() if self._limits.missing == "fail" else unknown
        if self._asking or (self._expected and not ahead):
            self._lookout.wake()
        return admitted

    def _is_known(self, hook: str) -> bool:
        """Whether it has callbacks: asked before anything of an action is written."""
        return self._limits.missing == "fail" or hook in self._known

    def _is_missing(self, hook: str) -> bool:
        seen = self._missing.get(hook)
        return seen is not None and now() - seen <= _AGAIN_SECONDS

    def trouble(self) -> str | None:
        """WordPress's own words when it does not start."""
        return self._trouble

    def ignored(self, action: Action) -> None:
        """Fire the plugin's event for it, where a worker is up anyway."""
        with self._lock:
            self._told.append(action)
        self._lookout.wake()

    def submit(self, call: Call) -> None:
        """To the first worker that has time."""
        with self._lock:
            self._queue.append(call)
        self._lookout.wake()

    def reports(self, timeout_seconds: float) -> list[Report]:
        """See :class:`Executor`."""
        return self._mailbox.take(timeout_seconds)

    def wake(self) -> None:
        """See :class:`Executor`."""
        self._mailbox.wake()

    def running(self) -> dict[Call, datetime]:
        """A copy: workers go on."""
        return self._started.copy()

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """See :class:`Executor`. What was sent ahead comes with a later call, if it comes."""
        with self._lock:
            waiting = [*self._parked, *self._queue]
            taken = {c: None for c in waiting if only is None or c in only}
            self._parked = [c for c in self._parked if c not in taken]
            self._queue = deque(c for c in self._queue if c not in taken)
            self._revoked -= taken.keys()
            for worker in self._workers:
                for sent in worker.sent:
                    wanted = only is None or sent.call in only
                    if sent.started_at is None and wanted:
                        self._revoked.add(sent.call)
        return list(taken)

    def announce_stop(self) -> None:
        """PHP callbacks have no way to ask."""

    def close(self) -> None:
        """End all workers: idle ones by themselves, busy ones by force."""
        self._closing = True
        self._lookout.wake()
        self._thread.join()
        self._lookout.close()

    def _is_down(self) -> bool:
        return self._trouble is not None and (self._is_final or now() < self._not_before)

    # The thread

    def _serve(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except Exception:  # noqa: BLE001 - whatever it was, the runner must hear of it
            # Without this thread nothing would ever be answered: say so, and stop claiming.
            _log.exception("php.broken")
            self._give_up("wpbridge's PHP pool failed; see the log", final=True)
        finally:
            self._end_all()

    def _turn(self) -> None:
        for worker in self._lookout.wait(self._wait()):
            self._read(worker)
        for worker in list(self._workers):
            self._judge(worker)
        self._feed()

    def _wait(self) -> float:
        """Until the next thing that no descriptor tells."""
        moment = now()
        due = [moment + 1.0]
        if self._queue and self._not_before > moment:
            due.append(self._not_before)
        if any(w.killed or w.retiring or w.watched is None for w in self._workers):
            due.append(moment + _POLL_SECONDS)
        return max(0.0, min(due) - moment)

    def _start_worker(self) -> bool:
        try:
            child, first = self._launch.start()
        except WpCliError as error:
            self._boot_failed(str(error))
            return False
        worker = PhpWorker(child=child, born=now())
        self._workers.append(worker)
        descriptors = child.answers, child.output
        worker.watched = self._lookout.watch(worker, descriptors, child.process.pid)
        worker.post(first)
        worker.ask(
            {
                "do": "hello",
                "marker": worker.mark,
                "context": self._context,
                "books": self._limits.books,
                "missing": self._limits.missing,
                "memory": self._limits.max_memory or _DEFAULT_MEMORY,
                "runner": self._runner(),
            }
        )
        return True

    def _read(self, worker: PhpWorker) -> None:
        # Answers first: the output that belongs to them was written before them.
        answers = worker.answers()
        worker.listen()
        for answer in answers:
            self._handle(worker, answer)

    def _handle(self, worker: PhpWorker, answer: dict[str, Any]) -> None:
        match answer.get("is"):
            case "start" if _is_next(worker, answer):
                sent = worker.sent[0]
                sent.started_at, sent.since = self._clock.now(), now()
                self._started[sent.call] = sent.started_at
            case "end" if _is_next(worker, answer):
                self._ended(worker, worker.sent.popleft(), answer)
            case "dying":
                worker.dying = answer
            case "has":
                self._learn(answer["hooks"])
            case "hello":
                self._greeted(worker, Hello.from_frame(answer))

    def _learn(self, hooks: dict[str, bool]) -> None:
        with self._lock:
            self._asked -= hooks.keys()
            self._known |= {hook for hook, is_there in hooks.items() if is_there}
        for hook in sorted(hook for hook, is_there in hooks.items() if not is_there):
            self._miss(hook)
        self._mailbox.wake()

    def _miss(self, hook: str) -> None:
        if not self._is_missing(hook):
            _log.warning("php.no_callback hook=%s: its actions stay pending", hook)
        self._missing[hook] = now()
        self._known.discard(hook)

    def _greeted(self, worker: PhpWorker, hello: Hello) -> None:
        refusal = self._accept(hello)
        if hello.worker != php_worker.PROTOCOL:
            refusal = f"the worker speaks protocol {hello.worker}, not {php_worker.PROTOCOL}"
        if refusal:
            self._give_up(refusal, final=True)
            worker.stop()
            return
        worker.hello = hello
        worker.idle_since = now()
        self._boots_failed = 0
        self._trouble = None
        self._mailbox.wake()
        _log.info("php.ready pid=%d in %.2f s", hello.pid, worker.idle_since - worker.born)

    def _ended(self, worker: PhpWorker, sent: Sent, answer: dict[str, Any]) -> None:
        call, hook = sent.call, sent.call.action.hook
        match answer["as"]:
            case "unstarted":
                self._take_back([call])
                return
            case "missing":
                self._miss(hook)
                outcome: Outcome = Unrun(reason=f"no callback is registered for {hook}")
            case "done":
                outcome = Booked() if call.books == "kept" else Completed()
            case _:
                tail = worker.output.take(call.action.id)
                failed = php_worker.failure(answer["error"], tail)
                outcome = Booked(failure=failed) if call.books == "kept" else failed
        self._report(sent, outcome)
        worker.output.take(call.action.id)
        worker.idle_since = now()
        if answer["as"] != "missing":
            self._crashes = 0
            worker.count(float(answer["seconds"]))
            worker.deferred = worker.deferred or bool(answer["deferred"])
            worker.retiring = worker.retiring or bool(answer["full"]) or self._is_used_up(worker)

    def _report(self, sent: Sent, outcome: Outcome) -> None:
        self._started.pop(sent.call, None)
        self._revoked.discard(sent.call)
        ended_at = self._clock.now()
        self._mailbox.put(
            Report(
                call=sent.call,
                outcome=outcome,
                started_at=sent.started_at or ended_at,
                ended_at=ended_at,
            )
        )

    def _take_back(self, calls: list[Call]) -> None:
        """What was sent and not started is the next again; what was recalled meanwhile waits."""
        with self._lock:
            for call in reversed(calls):
                if call in self._revoked:
                    self._parked.append(call)
                else:
                    self._queue.appendleft(call)

    # Judging

    def _is_used_up(self, worker: PhpWorker) -> bool:
        limits = self._limits
        is_old = limits.max_age and now() - worker.born >= limits.max_age.total_seconds()
        return bool(is_old or (limits.max_actions and worker.done >= limits.max_actions))

    def _judge(self, worker: PhpWorker) -> None:
        moment, limits = now(), self._limits
        if worker.child.process.poll() is not None:
            self._bury(worker)
            return
        worker.flush()
        if worker.killed:
            if moment >= worker.kill_at:
                worker.child.kill(signal.SIGKILL)
            return
        if worker.hello is None:
            if not worker.retiring and moment - worker.born >= limits.boot_timeout.total_seconds():
                worker.terminate("WordPress did not start in time", moment, _TERM_SECONDS)
            return
        if worker.sent:
            first = worker.sent[0]
            limit = limits.timeout
            if limit and first.started_at and moment - first.since >= limit.total_seconds():
                why = f"ran longer than {limit.total_seconds():g} s and was ended"
                worker.terminate(why, moment, _TERM_SECONDS)
            return
        idle = moment - worker.idle_since
        put_off = worker.deferred and idle >= _DEFERRED_SECONDS and not self._queue
        if not worker.stopped and (worker.retiring or put_off or self._is_used_up(worker)):
            worker.stop()

    def _bury(self, worker: PhpWorker) -> None:
        """It is gone: read what it left, answer for its action, take back the rest."""
        self._read(worker)
        self._read(worker)
        self._workers.remove(worker)
        self._lookout.forget(worker.child.answers, worker.child.output, worker.watched)
        code = worker.child.process.returncode
        left = list(worker.sent)
        if left and left[0].started_at is not None:
            self._died(worker, left.pop(0), code)
        self._take_back([sent.call for sent in left])
        with self._lock:
            self._asked -= worker.asked
        is_clean = worker.retiring and not worker.killed
        if worker.hello is None and not worker.retiring:
            words = php_worker.boot_failure(worker, None if worker.killed else code)
            self._boot_failed(words)
        elif not is_clean:
            self._crashes += 1
            # At once after a single crash; later, and later, when crashes follow each other.
            pause = 0.1 * 2 ** min(self._crashes - 2, 6) if self._crashes > 1 else 0.0
            self._not_before = now() + pause
        if not is_clean:
            worker.child.kill(signal.SIGKILL)
        worker.close()

    def _died(self, worker: PhpWorker, sent: Sent, code: int) -> None:
        failed = php_worker.death(worker, code)
        _log.warning("php.died action=%d: %s", sent.call.action.id, failed.reason)
        outcome: Outcome = Booked(failure=failed) if sent.call.books == "kept" else failed
        attempt = sent.call.action.attempts + 1
        if self._limits.on_crash == "retry" and attempt < _CRASH_TRIES and outcome is failed:
            outcome = Retried(after=timedelta(minutes=attempt), reason=failed.reason)
        self._report(sent, outcome)

    def _boot_failed(self, words: str) -> None:
        self._boots_failed += 1
        self._not_before = now() + 0.25 * 2**self._boots_failed
        _log.warning("php.boot_failed (%d): %s", self._boots_failed, words)
        if self._boots_failed >= BOOT_TRIES:
            self._not_before = now() + _AGAIN_SECONDS
            self._give_up(f"WordPress does not start: {words}", final=False)

    def _give_up(self, reason: str, *, final: bool) -> None:
        """Answer everything that waits: it goes back."""
        self._trouble, self._is_final = reason, self._is_final or final
        with self._lock:
            calls = [*self._parked, *self._queue]
            self._parked.clear()
            self._queue.clear()
            self._expected = 0
        for call in calls:
            self._report(Sent(call), Unrun(reason=reason))
        self._mailbox.wake()

    # Feeding

    def _window(self, worker: PhpWorker) -> int:
        """How many calls it may have at a time."""
        if worker.hello is None or worker.retiring or worker.killed:
            return 0
        first = worker.sent[0] if worker.sent else None
        if first and first.started_at and now() - first.since > _STUCK_SECONDS:
            return 1
        most = self._limits.max_actions - worker.done if self._limits.max_actions else _MOST_AHEAD
        if not worker.seconds:
            return 1
        return max(1, min(_MOST_AHEAD, most, int(_AHEAD_SECONDS / worker.seconds)))

    def _feed(self) -> None:
        with self._lock:
            room = {id(w): self._window(w) - len(w.sent) for w in self._workers}
            batches: dict[int, list[Call]] = {}
            while self._queue:
                ready = [w for w in self._workers if room[id(w)] > 0]
                if not ready:
                    break
                worker = min(ready, key=lambda w: len(w.sent))
                room[id(worker)] -= 1
                call = self._queue.popleft()
                worker.sent.append(Sent(call))
                batches.setdefault(id(worker), []).append(call)
            told = list(self._told)
            self._told.clear()
            waiting = len(self._queue) + self._expected
        for worker in self._workers:
            if calls := batches.get(id(worker)):
                worker.post(b"".join(php_worker.line(php_worker.request_of(c)) for c in calls))
        self._ask(told)
        if waiting and not self._closing:
            self._start_more(waiting)

    def _ask(self, ignored: list[Action]) -> None:
        """What is no action: to the worker that will come to it first."""
        ready = [w for w in self._workers if w.hello and not w.retiring and not w.killed]
        if not ready:
            return
        worker = min(ready, key=lambda w: len(w.sent))
        for action in ignored:
            worker.ask({"do": "ignored", "id": action.id})
        with self._lock:
            hooks, self._asking = self._asking, set()
            self._asked |= hooks
        if hooks:
            worker.ask({"do": "has", "hooks": sorted(hooks)})
            worker.asked |= hooks

    def _start_more(self, waiting: int) -> None:
        if self._is_down():
            self._give_up(self._trouble or "", final=False)
            return
        alive = [w for w in self._workers if not w.retiring and not w.killed]
        booting = sum(w.hello is None for w in alive)
        wanted = min(self._limits.workers - len(alive), waiting - booting)
        # After a failure one at a time: N of them would fail N times for one reason.
        wanted = min(wanted, 1 - booting) if self._boots_failed else wanted
        for _ in range(wanted):
            if now() < self._not_before or not self._start_worker():
                return

    # Ending

    def _end_all(self) -> None:
        moment = now()
        for worker in self._workers:
            if worker.sent or worker.hello is None:
                worker.terminate("wpbridge ended", moment, 0.0)
            else:
                worker.stop()
        until = moment + _TERM_SECONDS
        while now() < until and any(w.child.process.poll() is None for w in self._workers):
            self._lookout.wait(_POLL_SECONDS)
            for worker in self._workers:
                worker.listen()
        for worker in self._workers:
            if worker.killed or worker.child.process.poll() is None:
                worker.child.kill(signal.SIGKILL)
            worker.child.process.wait()
            worker.close()


def _is_next(worker: PhpWorker, answer: dict[str, Any]) -> bool:
    return bool(worker.sent) and worker.sent[0].call.action.id == answer.get("id")
