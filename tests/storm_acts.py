"""What the storms run: handlers that tell when they start and end, some of which do harm.

Copied into the folder of a round, where the record and the file ``over`` lie.
"""

import contextlib
import ctypes
import itertools
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator

from wpbridge import Cancel, Context, hook

LIMIT_SECONDS = 1
_KEYS = itertools.count()
_RECORD = os.open("record", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_LEAK: list[bytearray] = []
_PROC = os.environ.get("STORM_PROC")
"""Where the storm's own /proc is seen from a namespace."""


class OddError(BaseException):
    """No Exception: what catches those lets it through."""


@contextlib.contextmanager
def told(context: Context) -> Iterator[None]:
    """The attempt's interval, a line at each end; a process that dies leaves the first alone."""
    me, key = os.getpid(), f"{_numbers()[0]}.{next(_KEYS)}"
    _tell("start", key, context)
    try:
        yield
    except BaseException:
        if os.getpid() == me:
            _tell("raise", key, context)
        raise
    if os.getpid() == me:
        _tell("end", key, context)


def _numbers() -> tuple[int, int]:
    """Of this process and its parent, as the storm knows them: not those of a namespace."""
    if _PROC is None:
        return os.getpid(), os.getppid()
    with open(f"{_PROC}/self/stat", encoding="ascii") as stat:  # noqa: PTH123 - twice an attempt
        number, _, fields = stat.read().partition(" ")
    return int(number), int(fields.rpartition(")")[2].split()[1])


def _tell(word: str, key: str, context: Context) -> None:
    pid, parent = _numbers()
    line = (
        f"{word} {key} {context.id} {context.hook} {context.attempt} {pid} {parent}"
        f" {os.environ['STORM_MARK']} {time.monotonic_ns()} {time.time_ns()}\n"
    )
    os.write(_RECORD, line.encode())


# Innocent


@hook("quick")
@hook("prey")
@hook("child")
def quick(number: int, *, context: Context) -> None:
    with told(context):
        pass


@hook("awaited")
async def awaited(number: int, *, context: Context) -> None:
    with told(context):
        pass


@hook("slow")
def slow(number: int, *, context: Context) -> None:
    """Long enough to be marked in the tables."""
    with told(context):
        time.sleep(0.4)


@hook("steady")
def steady(number: int, *, context: Context) -> None:
    """Three seconds of running time: what its process stands still does not count."""
    with told(context):
        for _ in range(30):
            time.sleep(0.1)


@hook("long")
def long(number: int, *, context: Context) -> None:
    with told(context):
        time.sleep(18)


@hook("once", at_most_once=True)
def once(number: int, *, context: Context) -> None:
    with told(context):
        pass


@hook("once_slow", at_most_once=True)
def once_slow(number: int, *, context: Context) -> None:
    with told(context):
        time.sleep(0.2)


@hook("chain")
def chain(number: int, *, context: Context) -> None:
    """Recurring, until the round is over."""
    with told(context):
        if os.path.exists("over"):  # noqa: PTH110 - once a second for each chain
            raise Cancel("the round is over")


@hook("flaky")
def flaky(number: int, *, context: Context) -> None:
    """Fails first; each seventh for good."""
    with told(context):
        if context.attempt == 1 or number % 7 == 0:
            raise ValueError("flaky")


@hook("parent")
def parent(number: int, *, context: Context) -> None:
    """Has one child, however often it is run."""
    with told(context):
        context.enqueue("child", [number], key="child")


@hook("meddle")
def meddle(first: int, *, context: Context) -> None:
    """Cancels among the actions that the others are claiming."""
    with told(context):
        context.queue.cancel(random.sample(range(first, first + 40), 10))  # type: ignore[attr-defined]
        context.enqueue("quick", [first], key="more")


# Harmful, in threads


@hook("odd")
def odd(number: int, *, context: Context) -> None:
    with told(context):
        raise OddError("odd")


@hook("doom")
def doom(number: int, *, context: Context) -> None:
    """Kills the worker, and all that runs beside it."""
    with told(context):
        os.kill(os.getpid(), signal.SIGKILL)


@hook("exits")
def exits(number: int, *, context: Context) -> None:
    with told(context):
        sys.exit(3)


@hook("floods")
def floods(number: int, *, context: Context) -> None:
    with told(context):
        for _ in range(16):
            sys.stdout.write("o" * (64 << 10) + "\n")
            sys.stderr.write("e" * (1 << 10) + "\n")


@hook("spawns")
def spawns(number: int, *, context: Context) -> None:
    """Leaves a thread and some memory behind."""
    with told(context):
        _LEAK.append(bytearray(64 << 10))
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()


# Isolated


@hook("iso", isolate=True)
def iso(number: int, *, context: Context) -> None:
    with told(context):
        pass


@hook("iso_slow", isolate=True)
def iso_slow(number: int, *, context: Context) -> None:
    with told(context):
        time.sleep(0.3)


@hook("iso_exit", isolate=True)
def iso_exit(number: int, *, context: Context) -> None:
    with told(context):
        os._exit(7)


@hook("iso_crash", isolate=True)
def iso_crash(number: int, *, context: Context) -> None:
    with told(context):
        ctypes.string_at(0)


@hook("iso_hang", isolate=True, timeout=LIMIT_SECONDS)
def iso_hang(number: int, *, context: Context) -> None:
    with told(context):
        while True:
            signal.pause()


@hook("iso_deaf", isolate=True, timeout=LIMIT_SECONDS)
def iso_deaf(number: int, *, context: Context) -> None:
    with told(context):
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        while True:
            time.sleep(60)


@hook("iso_forks", isolate=True)
def iso_forks(number: int, *, context: Context) -> None:
    """One copy stays behind, another comes back beside it."""
    with told(context):
        if number % 2 and os.fork() == 0:
            time.sleep(600)
        os.fork()


@hook("iso_leaks", isolate=True)
def iso_leaks(number: int, *, context: Context) -> None:
    with told(context):
        _LEAK.append(bytearray(4 << 20))


@hook("iso_floods", isolate=True)
def iso_floods(number: int, *, context: Context) -> None:
    with told(context):
        for _ in range(64):
            sys.stdout.write("o" * (64 << 10) + "\n")


@hook("iso_odd", isolate=True)
def iso_odd(number: int, *, context: Context) -> None:
    with told(context):
        raise OddError("odd")
