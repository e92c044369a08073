"""The children of isolated handlers: each runs one call at a time, and is killed at its limit.

``worker.overdue`` says when that is; ``Pool._judge`` of :mod:`wpbridge.executors.pools.pool` sends
TERM and then KILL.
"""

import logging
from datetime import timedelta
from typing import Any

from wpbridge.dataclass import dataclass
from wpbridge.executors.pools.answers import Stray
from wpbridge.executors.pools.back_off import BROKEN
from wpbridge.executors.pools.pool import Pool
from wpbridge.executors.pools.worker import now
from wpbridge.executors.process.frames import (
    log_line,
    outcome_of_frame,
    progress_of,
    run_frame,
)
from wpbridge.executors.process.inbox import Inbox, Sent
from wpbridge.executors.process.worker import GRACE_SECONDS, Setup, Worker, boot_failure, death
from wpbridge.outcome import Failed
from wpbridge.telling.log import KINDS, Fields, tell


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How many children, and when one is replaced."""

    children: int = 4
    max_actions: int = 0
    """0: never by count."""
    max_memory: int = 0
    """Bytes it holds after an action; 0: never by memory."""
    boot_timeout: timedelta = timedelta(seconds=60)


class ProcessPool(Pool[Worker, Sent]):
    """The children of isolated handlers, which serve one inbox."""

    _inbox: Inbox

    def __init__(self, setup: Setup, inbox: Inbox, limits: PoolLimits) -> None:
        """Starts its thread, and no child yet."""
        self._setup = setup
        self._limits = limits
        self._is_stopping = False
        super().__init__(
            inbox,
            name="process",
            what="the process of isolated handlers",
            size=limits.children,
            grace_seconds=GRACE_SECONDS,
        )

    def announce_stop(self) -> None:
        """Tell the children; safe in a signal handler."""
        self._is_stopping = True
        self.wake()

    def _launch(self) -> Worker:
        return self._setup.start()

    def _send(self) -> None:
        for worker in self._workers:
            if worker.is_up and not worker.sent and (sent := self._inbox.take()):
                worker.sent = sent
                worker.is_told_to_stop = self._is_stopping
                worker.ask(run_frame(sent.call, sent.limit, is_stopping=self._is_stopping))

    def _spoilt(self, worker: Worker, stray: Stray) -> None:
        """It costs the child and its call."""
        if worker.killed is None:
            reason = f"the handler's process sent what is no answer of it: {stray.why}"
            tell("process.stray_answer", pid=worker.pid, reason=stray.why)
            failed = Failed(reason=reason, error_type="WorkerLost")
            worker.terminate(failed, self._grace_seconds)

    def _handle(self, worker: Worker, answer: dict[str, Any]) -> None:
        try:
            self._take_in(worker, answer)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise ValueError(repr(error)) from error

    def _take_in(self, worker: Worker, answer: dict[str, Any]) -> None:
        sent = worker.sent
        match answer["is"]:
            case "hello":
                worker.is_ready = True
                self.back_off.came_up()
                tell("process.ready", pid=worker.pid, seconds=round(now() - worker.born, 2))
            case "refusal":
                worker.refusal = str(answer["reason"])
            case "record":
                _log_again(answer)
            case "start" if sent and not sent.is_started and _is_of(sent, answer):
                self._inbox.begun(sent)
            case "end" if sent and sent.is_started and _is_of(sent, answer):
                if not worker.killed:
                    self._ended(worker, sent, answer)
            case "log" | "progress" as kind:
                # One that a handler's thread wrote after the handler's end belongs to no call.
                if sent and kind == "log":
                    sent.call.lines.append(log_line(answer))
                elif sent:
                    sent.call.steps.append(progress_of(answer))
            case other:
                raise ValueError(f"{other!r} does not belong here")

    def _ended(self, worker: Worker, sent: Sent, answer: dict[str, Any]) -> None:
        outcome, memory = outcome_of_frame(answer["outcome"]), int(answer["memory"])
        worker.sent = None
        worker.done += 1
        self.back_off.worked()
        self._inbox.report(sent, outcome, worker.output.take(sent.call.action.id))
        limits = self._limits
        if answer["unfit"]:
            worker.retire(str(answer["unfit"]))
        elif limits.max_memory and memory > limits.max_memory:
            worker.retire(f"it holds {memory >> 20} MiB")
        elif limits.max_actions and worker.done >= limits.max_actions:
            worker.retire(f"it has run {worker.done} actions")

    def _overdue(self, worker: Worker) -> Failed | None:
        return worker.overdue(self._limits.boot_timeout)

    def _look_after(self, worker: Worker) -> None:
        if worker.is_retiring and not worker.sent:
            tell("process.replaced", pid=worker.pid, why=worker.why_retiring)
            worker.hang_up()
        elif worker.sent and self._is_stopping and not worker.is_told_to_stop:
            worker.is_told_to_stop = True
            worker.ask({"do": "stop"})
        elif worker.is_up and not worker.sent and self._has_too_many():
            worker.retire("fewer are wanted")

    def _has_too_many(self) -> bool:
        """Return whether there are more children than there shall be: the pool was made smaller."""
        return sum(worker.is_up for worker in self._workers) > self._size

    def _buried(self, worker: Worker, code: int) -> None:
        worker.tell(worker.output.lines(b"\n"))
        sent, worker.sent = worker.sent, None
        if not worker.is_ready:
            self._boot_failed(boot_failure(worker, code))
        elif not (worker.is_retiring or (sent and sent.is_started)):
            self.back_off.died()
        if sent and (sent.is_started or not self._inbox.take_back(sent)):
            action, failed = sent.call.action, death(worker, code)
            tell("process.died", action_id=action.id, hook=action.hook, reason=failed.reason)
            # One that TERM ended has still marked the end of its output.
            output = worker.output.take(action.id) or worker.output.rest()
            self._inbox.report(sent, failed, output)

    def _log_broken(self) -> None:
        tell("process.broken", exc_info=True)

    def _log_boot_failed(self, failures: int, reason: str) -> None:
        tell("process.boot_failed", failures=failures, reason=reason)

    def _break(self, worker: Worker) -> None:
        worker.bury()
        if worker.sent:
            failed = Failed(reason=f"while the handler ran, {BROKEN}", error_type="WorkerLost")
            self._inbox.report(worker.sent, failed)


def _is_of(sent: Sent, answer: dict[str, Any]) -> bool:
    told = answer["id"]
    return type(told) is int and told == sent.call.action.id


def _log_again(answer: dict[str, Any]) -> None:
    """Write a child's log record, as one of ours."""
    logger, level = logging.getLogger(str(answer["name"])), int(answer["level"])
    if logger.isEnabledFor(level):
        message, fields = str(answer["message"]), answer["fields"]
        extra = dict(answer["extra"])
        if fields is not None and message in KINDS:
            extra = Fields({name: fields.get(name) for name in KINDS[message].fields}).as_extra()
        record = logger.makeRecord(logger.name, level, "", 0, message, (), None, extra=extra)
        record.exc_text = answer["traceback"]
        logger.handle(record)
