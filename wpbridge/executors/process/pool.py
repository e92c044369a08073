"""The children of isolated handlers: started when there is work, kept, watched, replaced.

One thread owns them. It sends each idle child one call, reads what comes back, kills at time
limits, and answers for the action of a child that died.
"""

import logging
import signal
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from wpbridge.errors import WpCliError
from wpbridge.executors.answers import Stray
from wpbridge.executors.lookout import Lookout
from wpbridge.executors.process.frames import log_line, outcome_of_frame, run_frame
from wpbridge.executors.process.inbox import Desk
from wpbridge.executors.process.worker import Sent, Setup, Worker, boot_failure, death, now
from wpbridge.executors.starts import BROKEN, Starts
from wpbridge.outcome import Failed
from wpbridge.telling.log import KINDS, Fields, tell

GRACE_SECONDS: Final = 2.0
"""Between TERM and KILL, and for an idle child to go home."""
_POLL_SECONDS: Final = 0.05
_LONGEST_WAIT: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many children, and when one is replaced."""

    children: int = 4
    max_actions: int = 0
    """0: never by count."""
    max_memory: int = 0
    """Bytes it holds after an action; 0: never by memory."""
    boot_timeout: timedelta = timedelta(seconds=60)


class ProcessPool:
    """Serves a desk: see :class:`wpbridge.executors.process.inbox.Desk`."""

    def __init__(self, setup: Setup, desk: Desk, limits: PoolLimits) -> None:
        """Starts its thread, and no child yet."""
        self.starts = Starts("the process of isolated handlers")
        self._setup = setup
        self._desk = desk
        self._limits = limits
        self._workers: list[Worker] = []
        self._is_stopping = False
        self._closed = threading.Event()
        self._lookout = Lookout[Worker]()
        self._thread = threading.Thread(target=self._serve, name="wpbridge-process", daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        """There is something on the desk; safe in a signal handler."""
        self._lookout.wake()

    def announce_stop(self) -> None:
        """Tell the children; safe in a signal handler."""
        self._is_stopping = True
        self.nudge()

    def close(self) -> None:
        """End the children and the thread."""
        if self._closed.is_set():
            return
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
                    tell("process.broken", exc_info=True)
                    self._begin_anew()
        finally:
            self._end_all()

    def _begin_anew(self) -> None:
        """Something failed here: no child is kept. Its call may have begun, so it is answered."""
        broken, self._workers = self._workers, []
        for worker in broken:
            self._lookout.forget(worker.child.answers, worker.child.output, worker.watched)
            worker.bury()
            if worker.sent:
                failed = Failed(reason=f"while the handler ran, {BROKEN}", error_type="WorkerLost")
                self._desk.report(worker.sent, failed)
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
        for worker in self._workers:
            if worker.watched is None or worker.kill_at is not None:
                due.append(moment + _POLL_SECONDS)
            elif worker.sent and worker.sent.kill_after_seconds is not None:
                due.append(worker.sent.since + worker.sent.kill_after_seconds)
        return max(0.0, min(due) - moment)

    # Reading

    def _read(self, worker: Worker) -> None:
        # Answers first: the output that belongs to them was written before them.
        answers = worker.hear()
        worker.listen()
        for answer in answers:
            if isinstance(answer, Stray):
                self._spoilt(worker, answer)
                continue
            try:
                self._handle(worker, answer)
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                self._spoilt(worker, worker.answers.stray(repr(error), answer))
        self._lookout.forget(*worker.spent)

    def _spoilt(self, worker: Worker, stray: Stray) -> None:
        """Something else than the child wrote to its answers: it costs the child and its call."""
        if worker.killed is None:
            reason = f"the handler's process sent what is no answer of it: {stray.why}"
            tell("process.stray_answer", pid=worker.pid, reason=stray.why)
            worker.terminate(Failed(reason=reason, error_type="WorkerLost"), GRACE_SECONDS)

    def _handle(self, worker: Worker, answer: dict[str, Any]) -> None:
        sent = worker.sent
        match answer["is"]:
            case "hello":
                worker.is_ready = True
                self.starts.came_up()
                tell("process.ready", pid=worker.pid, seconds=round(now() - worker.born, 2))
            case "refusal":
                worker.refusal = str(answer["reason"])
            case "record":
                _log_again(answer)
            case "start" if sent and not sent.is_started and _is_of(sent, answer):
                self._desk.begun(sent)
            case "end" if sent and sent.is_started and _is_of(sent, answer):
                if not worker.killed:
                    self._ended(worker, sent, answer)
            case "log":
                # One that a handler's thread wrote after the handler's end belongs to no call.
                if sent:
                    sent.call.lines.append(log_line(answer))
            case other:
                raise ValueError(f"{other!r} does not belong here")

    def _ended(self, worker: Worker, sent: Sent, answer: dict[str, Any]) -> None:
        outcome, memory = outcome_of_frame(answer["outcome"]), int(answer["memory"])
        worker.sent = None
        worker.done += 1
        self.starts.worked()
        output = worker.output.take(sent.call.action.id)
        self._desk.report(sent, outcome, output)
        limits = self._limits
        if answer["unfit"]:
            worker.retiring = str(answer["unfit"])
        elif limits.max_memory and memory > limits.max_memory:
            worker.retiring = f"it holds {memory >> 20} MiB"
        elif limits.max_actions and worker.done >= limits.max_actions:
            worker.retiring = f"it has run {worker.done} actions"

    # Judging

    def _judge(self, worker: Worker) -> None:
        if worker.child.has_ended():
            self._bury(worker)
            return
        worker.flush()
        if worker.kill_at is not None:
            if now() >= worker.kill_at:
                worker.child.kill(signal.SIGKILL)
        elif why := worker.overdue(self._limits.boot_timeout):
            worker.terminate(why, GRACE_SECONDS)
        elif worker.retiring and not worker.sent:
            tell("process.replaced", pid=worker.pid, why=worker.retiring)
            worker.hang_up(GRACE_SECONDS)
        elif worker.sent and self._is_stopping and not worker.is_told_to_stop:
            worker.is_told_to_stop = True
            worker.ask({"do": "stop"})

    def _bury(self, worker: Worker) -> None:
        """It is gone: read what it left, and answer for its action."""
        self._read(worker)
        self._read(worker)
        self._workers.remove(worker)
        self._lookout.forget(worker.child.answers, worker.child.output, worker.watched)
        worker.tell(worker.output.lines(b"\n"))
        sent, worker.sent = worker.sent, None
        code = worker.bury()
        if not worker.is_ready:
            self._boot_failed(boot_failure(worker, code))
        elif not (worker.retiring or (sent and sent.is_started)):
            self.starts.died()
        if sent and (sent.is_started or not self._desk.take_back(sent)):
            action, failed = sent.call.action, death(worker, code)
            tell("process.died", action_id=action.id, hook=action.hook, reason=failed.reason)
            # One that TERM ended has still marked the end of its output.
            output = worker.output.take(action.id) or worker.output.rest()
            self._desk.report(sent, failed, output)

    def _boot_failed(self, words: str) -> None:
        count = self.starts.boot_failed(words, are_others_up=self._is_up())
        tell("process.boot_failed", failures=count, reason=words)
        if self.starts.is_down():
            self._give_up()

    def _is_up(self) -> bool:
        return any(w.is_ready and not (w.retiring or w.killed) for w in self._workers)

    def _give_up(self) -> None:
        self._desk.clear(self.starts.trouble or "")

    # Feeding

    def _feed(self) -> None:
        for worker in self._workers:
            is_free = worker.is_ready and not (worker.sent or worker.retiring or worker.killed)
            if is_free and (sent := self._desk.take()):
                worker.sent = sent
                worker.is_told_to_stop = self._is_stopping
                worker.ask(run_frame(sent.call, sent.limit, is_stopping=self._is_stopping))
        waiting = self._desk.waiting()
        if waiting and self.starts.is_down():
            self._give_up()
        elif waiting and not self._closed.is_set():
            self._start_more(waiting)

    def _start_more(self, waiting: int) -> None:
        alive = [w for w in self._workers if not (w.retiring or w.killed)]
        booting = sum(not worker.is_ready for worker in alive)
        room = self._limits.children - len(alive)
        for _ in range(self.starts.wanted(room=room, waiting=waiting, booting=booting)):
            try:
                self._start()
            except (WpCliError, OSError) as error:
                # An OSError: no more descriptors, or processes.
                self._boot_failed(str(error))
                return

    def _start(self) -> None:
        worker = self._setup.start()
        descriptors = worker.child.answers, worker.child.output
        try:
            worker.watched = self._lookout.watch(worker, descriptors, worker.pid)
        except OSError:
            worker.bury()
            raise
        self._workers.append(worker)

    # Ending

    def _end_all(self) -> None:
        for worker in self._workers:
            if worker.sent or not worker.is_ready:
                worker.terminate(Failed(reason="wpbridge ended"), GRACE_SECONDS)
            else:
                worker.hang_up(GRACE_SECONDS)
        until = now() + GRACE_SECONDS
        while now() < until and not all(worker.child.has_ended() for worker in self._workers):
            self._lookout.wait(_POLL_SECONDS)
            for worker in self._workers:
                worker.listen()
        for worker in self._workers:
            worker.bury()


def _is_of(sent: Sent, answer: dict[str, Any]) -> bool:
    told = answer["id"]
    return type(told) is int and told == sent.call.action.id


def _log_again(answer: dict[str, Any]) -> None:
    """A child's log record, as one of ours."""
    logger, level = logging.getLogger(str(answer["name"])), int(answer["level"])
    if logger.isEnabledFor(level):
        message, fields = str(answer["message"]), answer["fields"]
        extra = dict(answer["extra"])
        if fields is not None and message in KINDS:
            extra = Fields({name: fields.get(name) for name in KINDS[message].fields}).as_extra()
        record = logger.makeRecord(logger.name, level, "", 0, message, (), None, extra=extra)
        record.exc_text = answer["traceback"]
        logger.handle(record)
