"""Receive signals as bytes of a pipe, for a loop that waits for other things too."""

import contextlib
import os
import signal
from collections.abc import Collection, Iterator
from typing import Final

STOPS: Final = (signal.SIGTERM, signal.SIGINT)
"""These end the daemon after what runs; a second INT ends it at once."""
AT_ONCE: Final = signal.SIGQUIT
QUIETS: Final = (signal.SIGUSR2, signal.SIGTSTP)
RESUME: Final = signal.SIGCONT
RELOAD: Final = signal.SIGHUP
DUMP: Final = signal.SIGUSR1
STACKS: Final = signal.SIGTTIN
CHILD: Final = signal.SIGCHLD
ALL: Final = (*STOPS, AT_ONCE, *QUIETS, RESUME, RELOAD, DUMP, STACKS, CHILD)


class SignalReader:
    """Gives the signals that have arrived and were not taken yet."""

    def __init__(self, reader: int) -> None:
        self._reader = reader

    def fileno(self) -> int:
        """Return the descriptor that a selector watches."""
        return self._reader

    def take(self) -> list[signal.Signals]:
        """Return the signals that have arrived since the last call, in order."""
        try:
            return [signal.Signals(number) for number in os.read(self._reader, 512)]
        except BlockingIOError:
            return []


@contextlib.contextmanager
def caught(numbers: Collection[signal.Signals] = ALL) -> Iterator[SignalReader]:
    """Catch signals until the end, then put the former handlers back. Main thread only."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    before = {number: signal.signal(number, _nothing) for number in numbers}
    old = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield SignalReader(reader)
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def deafen() -> None:
    """Do nothing, in a worker, on signals that are meant for the supervisor but hit all of a name.

    They are not ignored, since programs that a handler starts would inherit that.
    """
    for number in {*ALL, signal.SIGINT} - {signal.SIGTERM, CHILD, AT_ONCE}:
        signal.signal(number, _nothing)


def _nothing(_number: int, _frame: object) -> None:
    """Do nothing: the wake-up descriptor has the signal already."""
