"""Who a runner is: its process, told apart from all others.

A process id means something only on the same boot of the same host and in the same pid namespace:
two containers may share a host name and a process id.
"""

import os
import socket

from wpbridge.dataclass import dataclass
from wpbridge.store.base import RunnerRecord
from wpbridge.system import processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process, told apart from all others."""

    host: str
    boot: str
    """Boot id and namespaces: where process ids can be compared. Empty where that is not known, or
    where the start is not known: then nobody looks for the process, and only beats count."""
    pid: int
    pid_started: str
    wake_address: str = ""
    """Where PHP reports that it has enqueued something; empty where nobody listens."""


def identity(wake_address: str = "") -> Identity:
    """Return the identity of this process."""
    pid = os.getpid()
    started = processes.start_of(pid)
    boot = processes.place() if started else ""
    return Identity(
        host=socket.gethostname(),
        boot=boot,
        pid=pid,
        pid_started=started,
        wake_address=wake_address,
    )


def is_same_process(runner: RunnerRecord, me: Identity) -> bool:
    """Return whether a row tells of this very process."""
    its = (runner.host, runner.boot, runner.pid, runner.pid_started)
    return bool(me.boot) and its == (me.host, me.boot, me.pid, me.pid_started)
