"""The worker processes of the PHP pool: started when there is work, fed, judged, replaced.

One thread owns them. It feeds them, reads their answers and judges them. Short actions are sent
ahead, so that no worker waits for us between two of them; how many depends on how long they take.
What a worker did not start comes back when it dies, or when it was kept waiting.
"""

import signal
import threading
from datetime import timedelta
from typing import Final

from wpbridge.action import Action
from wpbridge.errors import WpCliError
from wpbridge.executors.answers import Stray
from wpbridge.executors.lookout import Lookout
from wpbridge.executors.php import frames
from wpbridge.executors.php import worker as php_worker
from wpbridge.executors.php.frames import Answer, Dying, End, Has, Hello, Start
from wpbridge.executors.php.hooks import Hooks
from wpbridge.executors.php.inbox import Desk
from wpbridge.executors.php.launch import Launch
from wpbridge.executors.php.limits import Greeting, PoolLimits
from wpbridge.executors.php.worker import PhpWorker, Sent, now
from wpbridge.executors.starts import AGAIN_SECONDS, BROKEN, Starts
from wpbridge.outcome import Booked, Completed, Failed, Outcome, Retried, Unrun
from wpbridge.telling.log import tell

_DEFERRED_SECONDS: Final = 1.0
"""An idle worker with things put off to the end of the process ends after so long."""
_TERM_SECONDS: Final = 5.0
_CRASH_TRIES: Final = 3
_DEFAULT_MEMORY: Final = 512 << 20
_POLL_SECONDS: Final = 0.05
_LONGEST_WAIT: Final = 1.0


class Processes:
    """Serves a desk: see :class:`wpbridge.executors.php.inbox.Desk`."""

    def __init__(
        self, launch: Launch, desk: Desk, hooks: Hooks, limits: PoolLimits, greeting: Greeting
    ) -> None:
        """Starts its thread, and no process yet."""
        self.starts = Starts("WordPress")
        self.expected = 0
        """Calls that the runner has, and that are not on the desk before somebody is free."""
        self._launch = launch
        self._desk = desk
        self._hooks = hooks
        self._limits = limits
        self._greeting = greeting
        self._workers: list[PhpWorker] = []
        self._closed = threading.Event()
        self._lookout = Lookout[PhpWorker]()
        self._thread = threading.Thread(target=self._serve, name="wpbridge-php", daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        """There is something on the desk."""
        self._lookout.wake()

    def room(self) -> int:
        """How many calls all workers together may have at a time; from any thread."""
        return sum(worker.window(self._limits.max_actions) for worker in list(self._workers))

    def close(self) -> None:
        """End all workers, idle ones by themselves, busy ones by force, and the thread."""
        self._closed.set()
        self._lookout.wake()
        self._thread.join()
        self._lookout.close()

    def _serve(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    self._turn()
                except Exception:  # noqa: BLE001 - whatever it was, every call gets its answer
                    tell("php.broken", exc_info=True)
                    self._begin_anew()
        finally:
            self._end_all()

    def _begin_anew(self) -> None:
        """Something failed here: no worker is kept, and what may have begun is answered."""
        broken, self._workers = self._workers, []
        for worker in broken:
            worker.terminate(Failed(reason=f"while it ran, {BROKEN}", error_type="WorkerLost"), 0.0)
            try:
                self._read(worker)
                began = [sent for sent in worker.sent if sent.started_at]
            except Exception:  # noqa: BLE001 - then nobody knows what has begun
                began = list(worker.sent)
            self._lookout.forget(worker.child.answers, worker.child.output, worker.watched)
            code = worker.close()
            for sent in began:
                self._died(worker, sent, code)
            self._desk.take_back([sent for sent in worker.sent if sent not in began])
            self._hooks.unanswered(worker.asked)
        self._boot_failed(BROKEN)
        # What failed may fail again at once, without anything that takes time.
        self._closed.wait(_LONGEST_WAIT)

    def _turn(self) -> None:
        for worker in self._lookout.wait(self._wait_seconds()):
            self._read(worker)
        for worker in list(self._workers):
            self._judge(worker)
        self._feed()

    def _wait_seconds(self) -> float:
        """Until the next thing that no descriptor tells."""
        moment = now()
        due = [moment + _LONGEST_WAIT]
        if self._desk.waiting() and self.starts.not_before > moment:
            due.append(self.starts.not_before)
        if any(w.killed or w.retiring or w.watched is None for w in self._workers):
            due.append(moment + _POLL_SECONDS)
        return max(0.0, min(due) - moment)

    # Reading

    def _read(self, worker: PhpWorker) -> None:
        # Answers first: the output that belongs to them was written before them.
        answers = worker.hear()
        worker.listen()
        for frame in answers:
            if isinstance(frame, Stray):
                self._spoilt(worker, frame)
                continue
            try:
                self._handle(worker, frames.read(frame))
            except ValueError as error:
                self._spoilt(worker, worker.answers.stray(str(error), frame))

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
            tell("php.stray_answer", pid=worker.child.process.pid, reason=stray.why)
            worker.terminate(failed, 0.0)

    def _handle(self, worker: PhpWorker, answer: Answer) -> None:
        """ValueError for what makes no sense now."""
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
        worker.hello = hello
        refusal = self._greeting.accept(hello)
        if hello.worker != php_worker.PROTOCOL:
            refusal = (
                f"the worker speaks protocol {hello.worker}, not {php_worker.PROTOCOL}: restart"
                " wpbridge, its files have changed"
            )
        if refusal:
            worker.stop()
            self._refused(refusal)
            return
        worker.idle_since = now()
        self.starts.came_up()
        self._desk.wake()
        tell("php.ready", pid=hello.pid, seconds=round(worker.idle_since - worker.born, 2))

    def _refused(self, reason: str) -> None:
        if self._is_up():
            self._boot_failed(reason)
            return
        self.starts.refused(reason)
        tell("php.down", reason=reason, again_in_seconds=AGAIN_SECONDS)
        self._give_up()

    def _begun(self, worker: PhpWorker, start: Start) -> None:
        sent = worker.find(start.id)
        if sent is None or sent.started_at:
            raise ValueError("the start of an action that it does not have, or has begun")
        self._desk.begun(sent)
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
            self._desk.take_back([sent])
            return
        if end.way == "missing":
            self._hooks.miss(call.action.hook)
            reason = f"no callback is registered for {call.action.hook}"
            self._desk.report(sent, Unrun(reason=reason))
            return
        tail = worker.output.take(call.action.id)
        failed = php_worker.failure(end.error, tail) if end.error else None
        if call.start_mark == "by_plugin":
            self._desk.report(sent, Booked(failure=failed))
        else:
            self._desk.report(sent, failed or sent.spoilt or Completed())
        self.starts.worked()
        worker.count(end.seconds)
        worker.deferred = worker.deferred or end.deferred
        worker.retiring = worker.retiring or end.full or self._is_used_up(worker)

    def _learn(self, worker: PhpWorker, answer: Has) -> None:
        if not worker.asked or not worker.asked[0].issuperset(answer.hooks):
            raise ValueError("hooks that it was not asked about")
        asked = worker.asked.popleft()
        worker.idle_since = now()
        self._hooks.learn(asked, [hook for hook, is_there in answer.hooks.items() if is_there])
        self._desk.wake()

    # Judging

    def _is_used_up(self, worker: PhpWorker) -> bool:
        limits = self._limits
        is_old = limits.max_age and now() - worker.born >= limits.max_age.total_seconds()
        return bool(is_old or (limits.max_actions and worker.done >= limits.max_actions))

    def _judge(self, worker: PhpWorker) -> None:
        moment, limits = now(), self._limits
        if worker.child.has_ended():
            self._bury(worker)
            return
        worker.flush()
        if worker.killed:
            if moment >= worker.kill_at:
                worker.child.kill(signal.SIGKILL)
                worker.kill_at = moment + _LONGEST_WAIT
        elif why := worker.overdue(limits.boot_timeout, limits.timeout):
            worker.terminate(why, _TERM_SECONDS)
        elif worker.hello and not (worker.sent or worker.asked or worker.stopped):
            idle = moment - worker.idle_since
            put_off = worker.deferred and idle >= _DEFERRED_SECONDS and not self._desk.waiting()
            if worker.retiring or put_off or self._is_used_up(worker):
                worker.stop()

    def _bury(self, worker: PhpWorker) -> None:
        """It is gone: read what it left, answer for its action, take back the rest."""
        is_clean = worker.stopped and not worker.killed
        if not is_clean:
            worker.child.kill(signal.SIGKILL)
        self._read(worker)
        self._read(worker)
        self._workers.remove(worker)
        self._lookout.forget(worker.child.answers, worker.child.output, worker.watched)
        code = worker.close()
        for sent in worker.sent:
            if sent.started_at:
                self._died(worker, sent, code)
        self._desk.take_back([sent for sent in worker.sent if not sent.started_at])
        self._hooks.unanswered(worker.asked)
        if worker.hello is None and not worker.stopped:
            self._boot_failed(php_worker.boot_failure(worker, code))
        elif not is_clean:
            self.starts.died()

    def _died(self, worker: PhpWorker, sent: Sent, code: int) -> None:
        failed = sent.spoilt or php_worker.death(worker, code)
        action = sent.call.action
        tell("php.died", action_id=action.id, hook=action.hook, reason=failed.reason)
        outcome: Outcome = Booked(failure=failed) if sent.call.start_mark == "by_plugin" else failed
        attempt = sent.call.action.attempts + 1
        if self._limits.on_crash == "retry" and attempt < _CRASH_TRIES and outcome is failed:
            outcome = Retried(after=timedelta(minutes=attempt), reason=failed.reason)
        self._desk.report(sent, outcome)

    def _is_up(self) -> bool:
        return any(worker.is_up for worker in self._workers)

    def _boot_failed(self, words: str) -> None:
        count = self.starts.boot_failed(words, are_others_up=self._is_up())
        tell("php.boot_failed", failures=count, reason=words)
        if self.starts.is_down():
            tell("php.down", reason=self.starts.trouble, again_in_seconds=AGAIN_SECONDS)
            self._give_up()

    def _give_up(self) -> None:
        """Answer everything that waits: it goes back."""
        self.expected = 0
        self._desk.clear(self.starts.trouble or "")

    # Feeding

    def _feed(self) -> None:
        room = {id(w): w.window(self._limits.max_actions) - len(w.sent) for w in self._workers}
        batches: dict[int, list[Sent]] = {}
        while ready := [w for w in self._workers if room[id(w)] > len(batches.get(id(w), []))]:
            worker = min(ready, key=lambda w: len(w.sent) + len(batches.get(id(w), [])))
            if (sent := self._desk.take()) is None:
                break
            batches.setdefault(id(worker), []).append(sent)
        for worker in self._workers:
            if batch := batches.get(id(worker)):
                worker.post(b"".join(php_worker.line(php_worker.request_of(s.call)) for s in batch))
                worker.sent.extend(batch)
        self._ask(self._desk.take_ignored())
        waiting = self._desk.waiting() + self.expected
        if waiting and not self._closed.is_set():
            self._start_more(waiting)

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

    def _start_more(self, waiting: int) -> None:
        if self.starts.is_down():
            self._give_up()
            return
        alive = [w for w in self._workers if not w.retiring and not w.killed]
        booting = sum(worker.hello is None for worker in alive)
        room = self._limits.workers - len(alive)
        for _ in range(self.starts.wanted(room=room, waiting=waiting, booting=booting)):
            try:
                self._start()
            except (WpCliError, OSError) as error:
                # An OSError: no more descriptors, memory or processes, or files being replaced.
                self._boot_failed(str(error))
                return

    def _start(self) -> None:
        child, first = self._launch.start()
        is_local, channels = self._launch.is_local, (child.answers, child.output)
        worker = PhpWorker(child=child, born=now(), is_behind_prefix=not is_local)
        try:
            worker.watched = self._lookout.watch(worker, channels, child.process.pid)
        except OSError:
            child.kill(signal.SIGKILL)
            worker.close()
            raise
        self._workers.append(worker)
        worker.post(first)
        worker.greet(
            context=self._greeting.context,
            books=self._limits.bookkeeping,
            missing=self._limits.missing,
            memory=self._limits.max_memory or _DEFAULT_MEMORY,
            runner=self._greeting.runner(),
        )

    # Ending

    def _end_all(self) -> None:
        for worker in self._workers:
            if worker.sent or worker.hello is None:
                worker.terminate(Failed(reason="wpbridge ended"), _POLL_SECONDS)
            else:
                worker.stop()
        until = now() + _TERM_SECONDS
        while now() < until and not all(worker.child.has_ended() for worker in self._workers):
            self._lookout.wait(_POLL_SECONDS)
            for worker in self._workers:
                worker.listen()
        for worker in self._workers:
            if worker.killed or not worker.child.has_ended():
                worker.child.kill(signal.SIGKILL)
            worker.close()
