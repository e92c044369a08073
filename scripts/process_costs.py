"""What processes cost, as Linux counts it: memory and processor time."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the children of all threads of a process; none if it has ended."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text("ascii").split())
    return found


def pss_mib(pids: Iterable[int]) -> float:
    """Return the memory of processes in MiB; pages that they share count once (PSS).

    A process that has ended has none.
    """
    kib = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(kib / 1024, 1)


def cpu_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    """Return the processor time of all threads of a process, in user and system mode.

    Raises:
        FileNotFoundError: it has ended.
    """
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    counted = fields[11:15] if with_ended_children else fields[11:13]
    return sum(map(int, counted)) / os.sysconf("SC_CLK_TCK")
