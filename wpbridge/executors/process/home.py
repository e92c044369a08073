"""What one action may change in its process and the next one must not see.

Put back: working folder, environment, recursion limit, umask, Python's standard streams. What
cannot be put back, or was lost, makes the process unfit, and the pool replaces it. Not looked at:
modules, global variables and threads; they are the handlers' own.
"""

import contextlib
import os
import resource
import sys
from pathlib import Path
from typing import Final

_LIMITS: Final = (
    resource.RLIMIT_AS,
    resource.RLIMIT_CPU,
    resource.RLIMIT_DATA,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_STACK,
)


class Home:
    """The process as it was before its first action."""

    def __init__(self) -> None:
        self._folder = Path.cwd()
        self._environment = dict(os.environ)
        self._depth = sys.getrecursionlimit()
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._descriptors = [identity(number) for number in (1, 2)]
        self._limits = [resource.getrlimit(limit) for limit in _LIMITS]
        self._user = os.geteuid(), os.getegid()
        self._umask = os.umask(0)
        os.umask(self._umask)

    def restore(self) -> str | None:
        """Put back what can be put back; return why the process is unfit for more, or None."""
        sys.stdin, sys.stdout, sys.stderr = self._streams
        if sys.getrecursionlimit() != self._depth:
            sys.setrecursionlimit(self._depth)
        os.umask(self._umask)
        if os.environ != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
        try:
            os.chdir(self._folder)
            for stream in self._streams[1:]:
                stream.flush()
        except (OSError, ValueError) as error:
            return f"its folder or output is gone ({error})"
        if [identity(number) for number in (1, 2)] != self._descriptors:
            return "its output was turned elsewhere"
        if [resource.getrlimit(limit) for limit in _LIMITS] != self._limits:
            return "its limits were changed"
        return None if (os.geteuid(), os.getegid()) == self._user else "its user was changed"


def identity(descriptor: int) -> tuple[int, int] | None:
    """Return what a descriptor leads to; None when it is closed."""
    with contextlib.suppress(OSError):
        found = os.fstat(descriptor)
        return found.st_dev, found.st_ino
    return None
