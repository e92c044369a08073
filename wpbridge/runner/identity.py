"""Who we are, and whether another runner still lives.

A process id means something only on the same boot of the same host and in the same pid namespace:
two containers may share a host name and a process id. Where all of that is equal, the process is
looked up, start time and all; elsewhere only a stale beat tells.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wpbridge.store.base import RunnerRecord

STALE_SECONDS = 45.0
"""A beat older than this is a dead runner's: beats come every 10 s, the plugin judges at 300."""
HUNG_SECONDS = 120.0
"""A process of this host that is there and has not beaten for so long is stopped, or hangs."""
BEAT_SECONDS, IDLE_BEAT_SECONDS = 10.0, 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process, told apart from all others."""

    host: str
    boot: str
    """Boot id and pid namespace: where process ids can be compared."""
    pid: int
    pid_started: str


def identity() -> Identity:
    """This process."""
    pid = os.getpid()
    return Identity(host=socket.gethostname(), boot=_boot(), pid=pid, pid_started=start_of(pid))


def is_dead(
    runner: RunnerRecord, me: Identity, start_of: Callable[[int], str] | None = None
) -> bool:
    """Whether a runner is known to be gone, or has not beaten for too long."""
    if me.boot and runner.boot == me.boot and runner.host == me.host:
        is_there = (start_of or globals()["start_of"])(runner.pid) == runner.pid_started
        return not is_there or runner.beat_age_seconds > HUNG_SECONDS
    return runner.beat_age_seconds > STALE_SECONDS


def start_of(pid: int) -> str:
    """When a process started, in ticks since boot; empty when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name, in parentheses, may hold spaces; a zombie runs nothing any more.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _boot() -> str:
    """Empty where it cannot be known: then only beats count."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path
    except OSError:
        return ""
