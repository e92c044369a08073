"""INT and TERM while a migration or a run is at work."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.options import say

if TYPE_CHECKING:
    from wpbridge.runner.loop import Runner

EXITS: Final = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}


@contextmanager
def stoppable() -> Iterator[None]:
    """Let both signals end what runs within by an exception: it gives back what it holds."""

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(int(EXITS[signal.Signals(number)]))

    before = {number: signal.signal(number, stop) for number in EXITS}
    try:
        yield
    except SystemExit:
        say(
            "stopped: the database has taken back what was not done; the same command does the rest"
        )
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def draining(runner: "Runner") -> Iterator[list[signal.Signals]]:
    """Let the first TERM or INT end the run after what runs; a second one ends the process at once.

    What then still runs is put back by the next run, which sees that this process is gone. When
    people wish that the runner stops, the run ends as after a TERM, and a TERM after it is the
    first.
    """
    caught: list[signal.Signals] = []
    is_wished = False

    def handle(number: int, _frame: object) -> None:
        if len(caught) > is_wished:
            os._exit(int(EXITS[signal.Signals(number)]))
        caught.append(signal.Signals(number))
        runner.stop()

    def obey(wish: str) -> None:
        nonlocal is_wished
        if wish == "stop" and not caught:
            is_wished = True
            caught.append(signal.SIGTERM)
            runner.stop()

    runner.when_wished(obey)
    before = {number: signal.signal(number, handle) for number in EXITS}
    try:
        yield caught
    finally:
        for number, old in before.items():
            signal.signal(number, old)
