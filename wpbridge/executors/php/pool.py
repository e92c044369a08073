"""The worker processes of the PHP pool: started when there is work, fed, judged, replaced.

One thread owns them. It feeds them, reads their answers and judges them. Short actions are sent
ahead, so that no worker waits for us between two of them; how many depends on how long they take.
What a worker did not start comes back when it dies, or when it was kept waiting.
"""

import heapq
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from wpbridge.action import Action
from wpbridge.executors.php import frames
from wpbridge.executors.php import worker as php_worker
from wpbridge.executors.php.frames import Answer, Dying, End, Has, Hello, Start
from wpbridge.executors.php.hooks import Hooks
from wpbridge.executors.php.inbox import Inbox, Sent
from wpbridge.executors.php.launch import Launch
from wpbridge.executors.php.limits import Greeting, PoolLimits
from wpbridge.executors.php.worker import PhpWorker
from wpbridge.executors.pools.answers import Stray, line
from wpbridge.executors.pools.back_off import AGAIN_SECONDS, BROKEN
from wpbridge.executors.pools.pool import Pool
from wpbridge.executors.pools.worker import now
from wpbridge.outcome import Booked, Completed, Failed, Outcome, Retried, Unrun
from wpbridge.telling.counting import DISPATCH, PHP_RESTART, Counter, What
from wpbridge.telling.log import tell

_DEFERRED_SECONDS: Final = 1.0
"""An idle worker with things put off to the end of the process ends after so long."""
_TERM_SECONDS: Final = 5.0
_CRASH_TRIES: Final = 3
_DEFAULT_MEMORY: Final = 512 << 20


class Processes(Pool[PhpWorker, Sent]):
    """The PHP workers of one site, which serve one inbox."""

    _inbox: Inbox

    def __init__(  # noqa: PLR0917 - the parts of the executor
        self,
        launch: Launch,
        inbox: Inbox,
        hooks: Hooks,
        limits: PoolLimits,
        greeting: Greeting,
        counter: Counter,
    ) -> None:
        """Starts its thread, and no process yet."""
        self._counter = counter
        self._launcher = launch
        self._hooks = hooks
        self._limits = limits
        self._greeting = greeting
        self._seconds = 0.0
        """How long actions took lately: a new worker is sent as much ahead as the others were."""
        super().__init__(
            inbox, name="php", what="WordPress", size=limits.workers, grace_seconds=_TERM_SECONDS
        )

    def room(self) -> int:
        """Return how many calls all workers together may have at a time; from any thread."""
        return sum(worker.window(self._limits.max_actions) for worker in list(self._workers))

    def _spoilt(self, worker: PhpWorker, stray: Stray) -> None:
        """Something else than the worker wrote to its answers: it costs the worker.

        What the worker itself still says, which carries its secret, goes on to be believed: who
        began must not be put back. The action that runs now fails even if it returns.
        """
        if worker.child.has_ended():
            return  # It tells its own end; what a prefix prints at its own may follow.
        failed = php_worker.spoilt(stray)
        for sent in worker.sent:
            if sent.started_at and not sent.spoilt:
                sent.spoilt = failed
        if not worker.killed:
            tell("php.stray_answer", pid=worker.pid, reason=stray.why)
            worker.terminate(failed, 0.0)

    def _handle(self, worker: PhpWorker, answer: dict[str, Any]) -> None:
        self._take_in(worker, frames.read(answer))

    def _take_in(self, worker: PhpWorker, answer: Answer) -> None:
        if worker.hello is None and not isinstance(answer, Hello):
            raise ValueError("an answer before the greeting")
        match answer:
            case Hello():
                self._greeted(worker, answer)
            case Start():
                self._begun(worker, answer)
            case End():
                self._ended(worker, answer)
            case Dying():
                if not (worker.sent and worker.sent[0].call.action.id == answer.id):
                    raise ValueError("the end of PHP in an action that it does not run")
                worker.dying = answer
            case Has():
                self._learn(worker, answer)

    def _greeted(self, worker: PhpWorker, hello: Hello) -> None:
        if worker.hello is not None:
            raise ValueError("a second greeting")
        if worker.killed:
            return
        worker.hello, worker.is_ready = hello, True
        refusal = self._greeting.accept(hello)
        if hello.worker != php_worker.PROTOCOL:
            refusal = (
                f"the worker speaks protocol {hello.worker}, not {php_worker.PROTOCOL}: restart"
                " wpbridge, its files have changed"
            )
        if refusal:
            worker.hang_up()
            self._refused(refusal)
            return
        worker.idle_since = now()
        worker.seconds = self._seconds
        self.back_off.came_up()
        self._inbox.wake()
        tell("php.ready", pid=hello.pid, seconds=round(worker.idle_since - worker.born, 2))

    def _refused(self, reason: str) -> None:
        if self._is_up():
            self._boot_failed(reason)
            return
        self.back_off.refused(reason)
        self._went_down()

    def _begun(self, worker: PhpWorker, start: Start) -> None:
        sent = worker.find(start.id)
        if sent is None or sent.started_at:
            raise ValueError("the start of an action that it does not have, or has begun")
        self._inbox.begun(sent)
        self._counter.add(What(0, "", "", DISPATCH), max(0.0, sent.since - sent.posted))
        if sent is not worker.sent[0]:
            raise ValueError("the start of an action whose turn it is not")

    def _ended(self, worker: PhpWorker, end: End) -> None:
        sent = worker.find(end.id)
        if sent is None or (sent.started_at and not end.was_called):
            raise ValueError("an end that does not fit what it has")
        is_in_order = sent is worker.sent[0] and bool(sent.started_at) == end.was_called
        worker.sent.remove(sent)
        worker.idle_since = now()
        self._settle(worker, sent, end)
        if not is_in_order:
            raise ValueError("the end of an action that has not begun")

    def _settle(self, worker: PhpWorker, sent: Sent, end: End) -> None:
        call = sent.call
        if end.way == "unstarted":
            self._inbox.take_back([sent])
            return
        if end.way == "missing":
            self._hooks.miss(call.action.hook)
            reason = f"no callback is registered for {call.action.hook}"
            self._inbox.report(sent, Unrun(reason=reason))
            return
        tail = worker.output.take(call.action.id)
        failed = php_worker.failure(end.error, tail) if end.error else None
        if call.start_mark == "by_plugin":
            self._inbox.report(sent, Booked(failure=failed))
        else:
            self._inbox.report(sent, failed or sent.spoilt or Completed())
        self.back_off.worked()
        worker.count(end.seconds)
        self._seconds = worker.seconds
        worker.deferred = worker.deferred or end.deferred
        worker.is_retiring = worker.is_retiring or end.full or self._is_used_up(worker)

    def _learn(self, worker: PhpWorker, answer: Has) -> None:
        if not worker.asked or not worker.asked[0].issuperset(answer.hooks):
            raise ValueError("hooks that it was not asked about")
        asked = worker.asked.popleft()
        worker.idle_since = now()
        self._hooks.learn(asked, [hook for hook, is_there in answer.hooks.items() if is_there])
        self._inbox.wake()

    # Judging

    def _is_used_up(self, worker: PhpWorker) -> bool:
        limits = self._limits
        is_old = limits.max_age and now() - worker.born >= limits.max_age.total_seconds()
        return bool(is_old or (limits.max_actions and worker.done >= limits.max_actions))

    def _overdue(self, worker: PhpWorker) -> Failed | None:
        return worker.overdue(self._limits.boot_timeout, self._limits.timeout)

    def _look_after(self, worker: PhpWorker) -> None:
        if worker.hello and not (worker.sent or worker.asked or worker.stopped):
            idle = now() - worker.idle_since
            put_off = worker.deferred and idle >= _DEFERRED_SECONDS and not self._inbox.waiting()
            if worker.is_retiring or put_off or self._is_used_up(worker):
                worker.hang_up()

    def _buried(self, worker: PhpWorker, code: int) -> None:
        self._answer_for(worker, [sent for sent in worker.sent if sent.started_at], code)
        if worker.hello is None and not worker.stopped:
            self._boot_failed(php_worker.boot_failure(worker, code))
            self._count_restart("boot_failed")
        elif worker.killed or not worker.stopped:
            self.back_off.died()
            self._count_restart("died")
        elif worker.is_retiring or self._is_used_up(worker):
            self._count_restart("used_up")

    def _count_restart(self, reason: str) -> None:
        self._counter.add(What(0, "", "", PHP_RESTART, reason=reason))

    def _break(self, worker: PhpWorker) -> None:
        worker.terminate(Failed(reason=f"while it ran, {BROKEN}", error_type="WorkerLost"), 0.0)
        try:
            self._read(worker)
            began = [sent for sent in worker.sent if sent.started_at]
        except Exception:  # noqa: BLE001 - then nobody knows what has begun
            began = list(worker.sent)
        self._answer_for(worker, began, worker.close())

    def _answer_for(self, worker: PhpWorker, began: Sequence[Sent], code: int) -> None:
        """Fail what a worker that is gone had begun, and take back the rest."""
        for sent in began:
            self._died(worker, sent, code)
        self._inbox.take_back([sent for sent in worker.sent if sent not in began])
        self._hooks.unanswered(worker.asked)

    def _died(self, worker: PhpWorker, sent: Sent, code: int) -> None:
        failed = sent.spoilt or php_worker.death(worker, code)
        action = sent.call.action
        tell("php.died", action_id=action.id, hook=action.hook, reason=failed.reason)
        outcome: Outcome = Booked(failure=failed) if sent.call.start_mark == "by_plugin" else failed
        attempt = sent.call.action.attempts + 1
        if self._limits.on_crash == "retry" and attempt < _CRASH_TRIES and outcome is failed:
            outcome = Retried(after=timedelta(minutes=attempt), reason=failed.reason)
        self._inbox.report(sent, outcome)

    def _log_broken(self) -> None:
        tell("php.broken", exc_info=True)

    def _log_boot_failed(self, failures: int, reason: str) -> None:
        tell("php.boot_failed", failures=failures, reason=reason)

    def _went_down(self) -> None:
        tell("php.down", reason=self.back_off.trouble, again_in_seconds=AGAIN_SECONDS)
        self._give_up()

    # Feeding

    def _send(self) -> None:
        windows = [worker.window(self._limits.max_actions) for worker in self._workers]
        batches: list[list[Sent]] = [[] for _ in self._workers]
        at = now()
        ready = [
            (len(worker.sent), place)
            for place, worker in enumerate(self._workers)
            if windows[place] > len(worker.sent)
        ]
        heapq.heapify(ready)
        # Whoever has the fewest gets the next one.
        while ready and (sent := self._inbox.take()) is not None:
            load, place = ready[0]
            batches[place].append(sent)
            if load + 1 < windows[place]:
                heapq.heapreplace(ready, (load + 1, place))
            else:
                heapq.heappop(ready)
        for worker, batch in zip(self._workers, batches, strict=True):
            if batch:
                for sent in batch:
                    sent.posted = at
                worker.post(b"".join(line(php_worker.request_of(s.call)) for s in batch))
                worker.sent.extend(batch)
        self._ask(self._inbox.take_ignored())

    def _ask(self, ignored: list[Action]) -> None:
        """What is no action: to the worker that will come to it first."""
        ready = [worker for worker in self._workers if worker.is_up]
        if not ready:
            return
        worker = min(ready, key=lambda w: len(w.sent))
        for action in ignored:
            worker.ask({"do": "ignored", "id": action.id})
        if hooks := self._hooks.take_wanted():
            worker.ask({"do": "has", "hooks": sorted(hooks)})
            worker.asked.append(hooks)

    def _launch(self) -> PhpWorker:
        child, first = self._launcher.start()
        worker = PhpWorker(child=child, born=now(), is_behind_prefix=not self._launcher.is_local)
        worker.post(first)
        return worker

    def _greet(self, worker: PhpWorker) -> None:
        worker.greet(
            context=self._greeting.context,
            books=self._limits.bookkeeping,
            missing=self._limits.missing,
            memory=self._limits.max_memory or _DEFAULT_MEMORY,
            runner=self._greeting.runner(),
        )
