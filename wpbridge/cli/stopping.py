"""INT and TERM while a migration is at work."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from wpbridge.cli.exits import Exit
from wpbridge.cli.options import say

_EXITS: Final = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}


@contextmanager
def stoppable() -> Iterator[None]:
    """Both end what runs within by an exception, so that it gives back what it holds."""

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(int(_EXITS[signal.Signals(number)]))

    before = {number: signal.signal(number, stop) for number in _EXITS}
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
