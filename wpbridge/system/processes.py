"""What the system tells of processes: whether one has ended, and who else is in a session.

A process that cannot be seen has not therefore ended. ``hidepid`` and ``ProtectProc`` hide the
processes of other users, a full table of open files hides all of them, and the ``/proc`` of another
pid namespace shows other processes under the same numbers. So only a proof counts as an end.
"""

import contextlib
import os
import resource
from enum import Enum, auto
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_LARGEST_PID: Final = 2**31 - 1


class Sight(Enum):
    """What a look at a process found."""

    ALIVE = auto()
    """It is there, with the start time that was asked for."""
    ENDED = auto()
    """It has ended for certain."""
    HIDDEN = auto()
    """Nobody can say: it may be alive."""


def look(pid: int, started: str) -> Sight:
    """Look for a process of our own :func:`place`.

    Args:
        pid: its process id.
        started: what :func:`start_of` told of it; empty when that is not known.
    """
    if not 0 < pid <= _LARGEST_PID:
        return Sight.HIDDEN
    try:
        state, found = _state_and_start(pid)
    except (FileNotFoundError, ProcessLookupError):
        return Sight.ENDED if _is_unused(pid) else Sight.HIDDEN
    except (OSError, ValueError, IndexError):
        return Sight.HIDDEN
    if state in ("Z", "X"):
        # A zombie runs nothing any more, whichever process it was.
        return Sight.ENDED
    if not started:
        return Sight.HIDDEN
    return Sight.ALIVE if found == started else Sight.ENDED


def start_of(pid: int) -> str:
    """When a process started, in ticks since boot; empty when that cannot be seen."""
    try:
        return _state_and_start(pid)[1]
    except (OSError, ValueError, IndexError):
        return ""


def place() -> str:
    """Where our process ids and start times mean something; empty when that cannot be seen.

    Two processes with an equal place can look for each other with :func:`look`. It is the boot, the
    pid namespace, and the time namespace, in which start times are counted.
    """
    try:
        if not is_proc_ours():
            return ""
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        spaces = [os.readlink(PROC / "self/ns/pid")]  # noqa: PTH115 - not a path
        with contextlib.suppress(FileNotFoundError):
            # Linux has time namespaces since 5.6.
            spaces.append(os.readlink(PROC / "self/ns/time"))  # noqa: PTH115 - not a path
    except (OSError, ValueError):
        return ""
    return "/".join([boot, *spaces]) if boot else ""


def is_proc_ours() -> bool:
    """Whether ``/proc`` shows the processes of our own pid namespace under our numbers.

    Raises OSError when that cannot be seen.
    """
    for line in (PROC / "self/status").read_bytes().splitlines():
        if line.startswith(b"NSpid:"):
            # One number for each namespace, from that of /proc down to ours.
            return line.split()[1:] == [b"%d" % os.getpid()]
    return False


def others_in_session(session: int) -> list[int]:
    """Processes of a session that have left its group, as a shell with job control makes them.

    None are found where ``/proc`` is missing or shows another pid namespace.
    """
    found = []
    with contextlib.suppress(OSError):
        for one in PROC.iterdir() if is_proc_ours() else ():
            if one.name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    fields = _stat(int(one.name))
                    if int(fields[3]) == session != int(fields[2]):
                        found.append(int(one.name))
    return found


def memory_bytes() -> int:
    """What this process has in memory now; what it had at most where that cannot be seen."""
    try:
        pages = int((PROC / "self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def _state_and_start(pid: int) -> tuple[str, str]:
    fields = _stat(pid)
    return fields[0], fields[19]


def _stat(pid: int) -> list[str]:
    """The fields behind the name: state, parent, group, session and so on."""
    told = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    # The name, in parentheses, may hold anything.
    return told.rpartition(")")[2].split()


def _is_unused(pid: int) -> bool:
    """Whether no process of our pid namespace has this number, as the kernel itself says."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
