"""Starts other programs: WP-CLI, PHP, and Python for isolated handlers.

The daemon starts its workers itself, in :mod:`wpbridge.daemon.worker_process`.

No shell reads the words of a command, and secrets go through pipes, never as arguments.
"""

import contextlib
import fcntl
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import WpCliError
from wpbridge.system.processes import others_in_session

TIMEOUT_SECONDS: Final = 30.0

_TAIL_CHARACTERS: Final = 2000
_TIMED_OUT: Final = 124
"""The exit code of timeout(1) for a program that took too long."""
_NOT_STARTED: Final = 127
"""The exit code of a shell for a program that it cannot start."""


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    stdin: bytes = b"",
    folder: Path | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    mark: bytes | None = None,
) -> bytes:
    """Run a program to its end and return its stdout.

    Args:
        command: the words of the command.
        env: the whole environment.
        stdin: what the program reads.
        folder: where it starts.
        timeout_seconds: how long it may run.
        mark: an output with these bytes counts as a success, however the program ended.

    Raises:
        WpCliError: the program is not found, fails or takes too long. The error has its exit code
            and the end of its stderr.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the caller composed the words
            list(map(str, command)),
            input=stdin,
            capture_output=True,
            check=False,
            cwd=folder,
            env=dict(env),
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired:
        # "from None", since the error's context would contain what was printed so far.
        problem = f"{name} gave no answer within {timeout_seconds:g} s"
        raise WpCliError(problem, exit_code=_TIMED_OUT) from None
    except OSError as error:
        raise _not_started(name, error) from error
    if done.returncode and (mark is None or mark not in done.stdout):
        stderr = _tail(done.stderr)
        last = stderr.splitlines()[-1] if stderr else "it said nothing"
        problem = f"{name} ended with exit code {done.returncode}: {last}"
        raise WpCliError(problem, exit_code=done.returncode, stderr=stderr)
    return done.stdout


def _tail(stderr: bytes) -> str:
    text = stderr.decode("utf-8", "replace").strip()
    # PHP's parse errors quote the text at which they occur, which may be a secret.
    hidden = re.sub(r'(string(?: content)?) "[^\n]*"', r'\1 "…"', text)
    return hidden[-_TAIL_CHARACTERS:]


# Workers: programs that stay.

_GUARD: Final = (
    # The "read" waits for a word from us. If the pipe ends without a word, we are gone, and the
    # whole group is killed: no callback may run on while another runner takes its action over. The
    # signals that ask the group to end are ignored, since a callback may ignore them, too.
    """exec 3<"$0"; { trap '' HUP INT TERM; read -r word <&3;"""
    ' [ "$word" ] || kill -KILL 0; } & exec 3<&-; exec "$@"'
)
_LOWEST: Final = 10
"""The shell uses the descriptors below this one itself."""


@dataclass(frozen=True, slots=True)
class Child:
    """A started program in a process group of its own. Its descriptors do not block."""

    process: subprocess.Popen[bytes]
    requests: int
    """The descriptor into which we write requests."""
    answers: int
    """The descriptor from which we read answers."""
    output: int
    """The descriptor from which we read what the program prints on stdout and stderr."""
    lifeline: int
    """If this descriptor closes without a word before, the group is killed."""

    def hang_up(self) -> None:
        """End the requests, so that an idle worker exits."""
        # The descriptor's number stays in use. If it were free, somebody else might get it, and
        # release() would close it. So it becomes a copy of one that cannot be written to, which
        # works even if no new descriptor is to be had.
        os.dup2(self.answers, self.requests, inheritable=False)

    def release(self) -> None:
        """Close all descriptors. What still runs in the group is not killed."""
        with contextlib.suppress(OSError):
            os.write(self.lifeline, b"bye\n")
        self.process.poll()
        for descriptor in (self.requests, self.answers, self.output, self.lifeline):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def kill(self, number: int) -> None:
        """Send a signal to its process group, and to all other processes of its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
        for pid in others_in_session(self.process.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def has_ended(self) -> bool:
        """Tell whether it has ended. It is not reaped, so nobody else gets its process id."""
        if self.process.returncode is not None:
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.process.pid, options) is not None
        except ChildProcessError:
            # Somebody else has reaped it. A handler on a thread may reap all children.
            return True


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    folder: Path | None = None,
    over_stdio: bool = False,
) -> Child:
    """Start a program that answers requests, and that is killed if this process ends first.

    Args:
        command: the words of the command. No shell reads them.
        env: the whole environment. ``WPBRIDGE_WORKER`` is added: the program's two descriptors.
        folder: where it starts.
        over_stdio: whether requests and answers go over stdin and stdout, and only stderr is
            output. A command prefix needs this, since it passes no other descriptors on.

    Raises:
        WpCliError: the program cannot be started.
    """
    name = Path(command[0]).name
    try:
        pipes = _pipes(4)
    except OSError as error:
        raise _not_started(name, error) from error
    (asked, requests), (answers, answered), (output, printed), (life, lifeline) = pipes
    ours, theirs = (requests, answers, output, lifeline), (asked, answered, printed, life)
    guarded = ["sh", "-c", _GUARD, f"/dev/fd/{life}", *map(str, command)]
    try:
        process = subprocess.Popen(  # noqa: S603 - the words come from settings, no shell splits them
            guarded,
            stdin=asked if over_stdio else subprocess.DEVNULL,
            stdout=answered if over_stdio else printed,
            stderr=printed,
            env={**env, "WPBRIDGE_WORKER": f"{asked},{answered}"},
            cwd=folder,
            pass_fds=(life,) if over_stdio else (asked, answered, life),
            start_new_session=True,
        )
    except OSError as error:
        for descriptor in ours:
            os.close(descriptor)
        raise _not_started(name, error) from error
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    for descriptor in ours:
        os.set_blocking(descriptor, False)
    return Child(process, requests, answers, output, lifeline)


def _not_started(name: str, error: OSError) -> WpCliError:
    problem = f"{name} could not be started: {error.strerror}"
    return WpCliError(problem, exit_code=_NOT_STARTED)


def _pipes(count: int) -> list[tuple[int, int]]:
    """Open pipes, each as its end to read and its end to write. An OSError leaves none open."""
    ends: list[int] = []
    try:
        for _ in range(count):
            low = os.pipe()
            try:
                ends += (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LOWEST) for end in low)
            finally:
                for end in low:
                    os.close(end)
    except OSError:
        for end in ends:
            os.close(end)
        raise
    return list(zip(ends[::2], ends[1::2], strict=True))
