"""Be a child of the process pool: import the handlers, and run one call at a time.

Calls arrive over one pipe, answers leave over another. What handlers print goes to a third, cut
into actions by marks. A copy made by ``fork`` has none of the pipes and never answers.
"""

import asyncio
import contextlib
import faulthandler
import importlib
import itertools
import json
import logging
import os
import select
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from wpbridge.clock import SystemClock
from wpbridge.errors import ConfigError, HandlerNotFound
from wpbridge.executors.async_calls import ended
from wpbridge.executors.handler_calls import context_of, is_awaitable, outcome_of
from wpbridge.executors.handlers import Enqueuer, Handler
from wpbridge.executors.loading import load
from wpbridge.executors.pools.answers import line
from wpbridge.executors.process.frames import (
    CHANNEL_LOST,
    Order,
    log_frame,
    order_of,
    outcome_frame,
    progress_frame,
)
from wpbridge.executors.process.home import Home, identity
from wpbridge.outcome import Failed, LogLine, Outcome, Progress, class_name, line_of, plain
from wpbridge.system.processes import memory_bytes
from wpbridge.telling import traces
from wpbridge.telling.log import Fields, traceback_of

FIRST_MARK: Final = 0
"""The mark that ends what was printed before the first action."""
_FRAMES: Final = 3
"""So many lines of a traceback are shown."""
_PACKAGE: Final = f"{Path(__file__).parents[2]}{os.sep}"
_EXTRA: Final = ("action_id", "hook", "attempt")


class _Ended(BaseException):
    """The pool's TERM, raised inside the handler, so that its ``finally`` blocks are run."""


class _Channel:
    """The two pipes to the pool. Any thread may send."""

    def __init__(self, asked: int, told: int) -> None:
        self._asked, self._told = asked, told
        self._leads_to = identity(asked), identity(told)
        self._unread = b""
        self._secret = ""
        self._lock = threading.Lock()
        self.is_copy = False
        for descriptor in (asked, told):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - the function has no names
        os.register_at_fork(after_in_child=self._leave)

    def _leave(self) -> None:
        self.is_copy = True
        for descriptor in (self._asked, self._told):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def sign(self, secret: str) -> None:
        """Put the secret, which only the pool also knows, into each answer from now on."""
        self._secret = secret

    def send(self, frame: dict[str, Any]) -> None:
        """Write an answer, or end the process when that is no longer possible."""
        if self.is_copy:
            return
        # It gets a line of its own, whatever a handler has left unfinished in the pipe.
        data = b"\n" + line({**frame, "secret": self._secret})
        with self._lock:
            try:
                self._check()
                while data:
                    data = data[os.write(self._told, data) :]
            except OSError:
                os._exit(CHANNEL_LOST)

    def receive(self) -> dict[str, Any] | None:
        """Return the next request; None when no more come."""
        while b"\n" not in self._unread:
            try:
                self._check()
                data = os.read(self._asked, 1 << 16)
            except OSError:
                os._exit(CHANNEL_LOST)
            if not data:
                return None
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\n")
        frame: dict[str, Any] = json.loads(text)
        return frame

    def poll(self) -> bool:
        """Return whether something has arrived, and drop it. Any thread may call this."""
        if self.is_copy:
            return False
        with self._lock:
            has_arrived = b"\n" in self._unread or select.select([self._asked], [], [], 0)[0]
            if has_arrived:
                self.receive()
        return bool(has_arrived)

    def _check(self) -> None:
        """Check the pipes: a handler may have put something else in their place."""
        if (identity(self._asked), identity(self._told)) != self._leads_to:
            raise OSError("the pipes are gone")


class _StreamedLines(list[LogLine]):
    """The lines of ``context.log``, each sent as soon as it is written."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def append(self, said: LogLine) -> None:
        self._channel.send(log_frame(line_of(said, SystemClock().now())))


class _StreamedSteps(list[Progress]):
    """What the handler says with ``context.progress``, sent in the same way."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def append(self, step: Progress) -> None:
        self._channel.send(progress_frame(step))


class _Forward(logging.Handler):
    """Sends log records to the pool's process, which logs them as its own."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        try:
            extra = {name: getattr(record, name) for name in _EXTRA if hasattr(record, name)}
            fields = record.__dict__.get("fields")
            self._channel.send(
                {
                    "is": "record",
                    "name": record.name,
                    "level": record.levelno,
                    "message": record.getMessage(),
                    "fields": fields if isinstance(fields, Fields) else None,
                    "traceback": traceback_of(record),
                    "extra": extra,
                }
            )
        except Exception:  # noqa: BLE001 - as every handler of records does
            self.handleError(record)


class _Child:
    """Runs one order after another until no more come."""

    def __init__(
        self, channel: _Channel, boot: dict[str, Any], handlers: Mapping[str, Handler]
    ) -> None:
        self._channel = channel
        self._handlers = handlers
        self._site = str(boot["site"])
        self._mark = str(boot["mark"]).encode()
        self._open_queue = _opener(boot["opener"], boot["given"])
        self._printed = os.dup(1)
        self._printed_to = identity(1)
        self._home = Home()
        self._is_stopping = False
        self._is_ended = False

    def serve(self) -> None:
        """Run one order after another, until the pipe ends."""
        self._cut(FIRST_MARK)
        self._channel.send({"is": "hello", "pid": os.getpid()})
        while not self._is_ended and (frame := self._channel.receive()) is not None:
            if frame["do"] == "stop":
                self._is_stopping = True
            elif frame["do"] == "run":
                self._run(order_of(frame))

    def _run(self, order: Order) -> None:
        # The signals are set each time: a handler may have changed them.
        signal.signal(signal.SIGTERM, self._end)
        faulthandler.enable(file=2)
        self._is_stopping = self._is_stopping or order.is_stopping
        action_id = order.action.id
        self._channel.send({"is": "start", "id": action_id})
        outcome = self._outcome(order)
        if self._channel.is_copy:
            # This is a copy that the handler forked and that came back here; nobody waits for it.
            os._exit(0)
        unfit = self._home.restore()
        if isinstance(outcome, Failed) and outcome.error_type == "MemoryError":
            unfit = unfit or "it ran out of memory"
        self._cut(action_id)
        self._channel.send(
            {
                "is": "end",
                "id": action_id,
                "outcome": outcome_frame(outcome),
                "memory": memory_bytes(),
                "unfit": unfit,
            }
        )

    def _outcome(self, order: Order) -> Outcome:
        raised: list[BaseException] = []
        with traces.inside(order.traceparent):
            outcome = outcome_of(lambda: self._call(order), raised)
        if raised and isinstance(outcome, Failed):
            self._is_ended = self._is_ended or isinstance(raised[0], _Ended)
            # The error's class is a handler's own, and may do anything when it is looked at.
            with contextlib.suppress(BaseException):
                return replace(outcome, detail=plain(_where(raised.pop())))
        return outcome

    def _call(self, order: Order) -> Any:
        context = context_of(
            order.action,
            order.mapping,
            site=self._site,
            now=SystemClock().now,
            lines=_StreamedLines(self._channel),
            steps=_StreamedSteps(self._channel),
            open_queue=self._open_queue,
            limit=order.limit,
            stopping=self._ask_stopping,
        )
        handler = self._handlers.get(order.action.hook)
        if handler is None:
            raise HandlerNotFound(f"{order.action.hook} has lost its handler: restart wpbridge")
        result = handler.call(order.values, context)
        if not is_awaitable(result):
            return result
        value, error = asyncio.run(ended(result, order.limit))
        if error is not None:
            raise error
        return value

    def _ask_stopping(self) -> bool:
        """Tell whether the runner wants to end, the only thing that is sent while an order runs."""
        self._is_stopping = self._is_stopping or self._channel.poll()
        return self._is_stopping

    def _end(self, *_: object) -> None:
        self._is_ended = True
        raise _Ended

    def _cut(self, number: int) -> None:
        if identity(self._printed) == self._printed_to:
            os.write(self._printed, self._mark + b"%d\n" % number)


def _opener(name: str, given: Mapping[str, Any]) -> Callable[[], Enqueuer] | None:
    """Return what opens the queue of ``context.queue``, with a connection of its own."""
    if not name:
        return None
    lock = threading.Lock()
    opened: list[Enqueuer] = []

    def open_queue() -> Enqueuer:
        with lock:
            if not opened:
                module, _, function = name.partition(":")
                opened.append(getattr(importlib.import_module(module), function)(given))
            return opened[0]

    return open_queue


def _where(error: BaseException) -> str:
    """Return the error's class and the innermost lines of its traceback, last call first.

    Our own lines are left out.
    """
    called = itertools.dropwhile(
        lambda place: place[0].f_code.co_filename.startswith(_PACKAGE),
        traceback.walk_tb(error.__traceback__),
    )
    places = [
        f"{frame.f_code.co_filename}:{number} in {frame.f_code.co_name}"
        for frame, number in deque(called, maxlen=_FRAMES)
    ]
    name = class_name(error)
    return f"{name} at {' < '.join(reversed(places))}" if places else name


def main() -> None:
    """Be a child until no more requests come. The environment names the pool's pipes."""
    asked, told = map(int, os.environ.pop("WPBRIDGE_WORKER").split(","))
    channel = _Channel(asked, told)
    boot = channel.receive()
    if boot is None:
        return
    channel.sign(boot.pop("secret"))
    logging.getLogger().addHandler(_Forward(channel))
    for name, level in boot["levels"].items():
        logging.getLogger(name).setLevel(level)
    try:
        handlers = load(boot["modules"], folder=boot["folder"], trusted=boot["trusted"])
    except ConfigError as error:
        channel.send({"is": "refusal", "reason": str(error)})
        sys.exit(1)
    if boot["traces"] is not None:
        traces.start(**boot["traces"])
    with contextlib.suppress(_Ended):
        _Child(channel, boot, handlers).serve()
