"""Asks the system about processes: whether one has ended, and which others are in a session.

A process that cannot be seen may still run. ``hidepid`` and ``ProtectProc`` hide the processes of
other users, a full table of open files hides all of them, and the ``/proc`` of another pid
namespace shows other processes under the same numbers. So a process counts as ended only if that
is certain.
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
    """The process runs, with the start time that was asked for."""
    ENDED = auto()
    """The process has certainly ended."""
    HIDDEN = auto()
    """The process cannot be seen, so it may run or not."""


def look(pid: int, started: str) -> Sight:
    """Look for a process of our own :func:`place`.

    Args:
        pid: its process id.
        started: what :func:`start_of` has returned for it. Empty if that is not known.
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
        # A zombie does not run any more, whichever process it was.
        return Sight.ENDED
    if not started:
        return Sight.HIDDEN
    return Sight.ALIVE if found == started else Sight.ENDED


def start_of(pid: int) -> str:
    """Return when a process started, in ticks since boot. Empty if that cannot be seen."""
    try:
        return _state_and_start(pid)[1]
    except (OSError, ValueError, IndexError):
        return ""


def place() -> str:
    """Return the name of the place in which our process ids and start times are valid.

    Two processes with the same place can look for each other with :func:`look`. The place consists
    of the boot, the pid namespace, and the time namespace, in which start times are counted. It is
    empty if it cannot be seen.
    """
    try:
        if not is_proc_ours():
            return ""
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        spaces = [os.readlink(PROC / "self/ns/pid")]  # noqa: PTH115 - not a path
        with contextlib.suppress(FileNotFoundError):
            # Linux has had time namespaces since 5.6.
            spaces.append(os.readlink(PROC / "self/ns/time"))  # noqa: PTH115 - not a path
    except (OSError, ValueError):
        return ""
    return "/".join([boot, *spaces]) if boot else ""


def is_proc_ours() -> bool:
    """Tell whether ``/proc`` shows the processes of our own pid namespace, under our numbers.

    Raises OSError if that cannot be seen.
    """
    for line in (PROC / "self/status").read_bytes().splitlines():
        if line.startswith(b"NSpid:"):
            # The line has one number for each namespace, from that of /proc down to ours.
            return line.split()[1:] == [b"%d" % os.getpid()]
    return False


def others_in_session(session: int) -> list[int]:
    """Return the processes of a session that have left its group, as in a shell with job control.

    No process is found if ``/proc`` is missing or shows another pid namespace.
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
    """Return how much memory this process uses now, or at its peak if that cannot be seen."""
    try:
        pages = int((PROC / "self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def _state_and_start(pid: int) -> tuple[str, str]:
    fields = _stat(pid)
    return fields[0], fields[19]


def _stat(pid: int) -> list[str]:
    """Return the fields after the name: state, parent, group, session and so on."""
    line = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    # The name stands in parentheses, and may itself contain any character.
    return line.rpartition(")")[2].split()


def _is_unused(pid: int) -> bool:
    """Ask the kernel whether no process of our pid namespace has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
