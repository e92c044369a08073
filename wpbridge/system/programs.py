"""WP-CLI and PHP, started as programs: the only module that does.

No shell is involved, and secrets travel through pipes, never as arguments.
"""

import contextlib
import fcntl
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wpbridge.errors import WpCliError
from wpbridge.system.processes import others_in_session

TIMEOUT_SECONDS: Final = 30.0

_TAIL_CHARACTERS: Final = 2000
_TIMED_OUT: Final = 124
"""The exit code of timeout(1)."""
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
    """A program's output; its stdout and stderr are drained, so it cannot hang on them.

    With a ``mark``, an output that holds it counts, however the program ended.
    WpCliError (exit code, the end of stderr) when it is not found, fails or takes too long.
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
        # Its context would hold what was printed so far.
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
    # Parse errors quote the text they stumble over.
    hidden = re.sub(r'(string(?: content)?) "[^\n]*"', r'\1 "…"', text)
    return hidden[-_TAIL_CHARACTERS:]


# Workers: programs that stay.

_GUARD: Final = (
    # The reader below waits for a word from us. If none comes before the end, we are gone, and the
    # whole group goes too: no callback may run on while another runner takes its action over. It is
    # deaf to what asks the group to end, since a callback may be so too.
    """exec 3<"$0"; { trap '' HUP INT TERM; read -r word <&3;"""
    ' [ "$word" ] || kill -KILL 0; } & exec 3<&-; exec "$@"'
)
_LOWEST: Final = 10
"""Descriptors below are the shell's own."""


@dataclass(frozen=True, slots=True)
class Child:
    """A started program in a process group of its own; the descriptors do not block."""

    process: subprocess.Popen[bytes]
    requests: int
    """Written by us."""
    answers: int
    """Read by us."""
    output: int
    """What the program prints, stdout and stderr alike."""
    lifeline: int
    """When it closes without a word, the group is killed."""

    def hang_up(self) -> None:
        """End the requests: an idle worker goes home."""
        # The number stays taken, so that closing all at the end cannot hit another's descriptor.
        # It becomes what nobody can write to; that needs no new descriptor, for there may be none.
        os.dup2(self.answers, self.requests, inheritable=False)

    def release(self) -> None:
        """Close everything; what still runs in the group is left alone."""
        with contextlib.suppress(OSError):
            os.write(self.lifeline, b"bye\n")
        self.process.poll()
        for descriptor in (self.requests, self.answers, self.output, self.lifeline):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def kill(self, number: int) -> None:
        """Send a signal to its process group, and to whatever else is in its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
        for pid in others_in_session(self.process.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def has_ended(self) -> bool:
        """Whether it is dead. It is not reaped yet, so its number is nobody else's."""
        if self.process.returncode is not None:
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.process.pid, options) is not None
        except ChildProcessError:
            # Somebody else reaped it, as a handler on a thread may do with all children.
            return True


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    folder: Path | None = None,
    over_stdio: bool = False,
) -> Child:
    """Start a program that is spoken to until it ends, and that ends when we do.

    Args:
        command: words; no shell reads them.
        env: the whole environment; ``WPBRIDGE_WORKER`` tells the program its two descriptors.
        folder: where it starts.
        over_stdio: requests and answers travel over stdin and stdout, and only stderr is output
            (a command prefix passes nothing else on).

    WpCliError when it cannot be started.
    """
    name = Path(command[0]).name
    try:
        pipes = _pipes(4)
    except OSError as error:
        raise _not_started(name, error) from error
    (asked, requests), (answers, told), (output, printed), (life, lifeline) = pipes
    ours, theirs = (requests, answers, output, lifeline), (asked, told, printed, life)
    guarded = ["sh", "-c", _GUARD, f"/dev/fd/{life}", *map(str, command)]
    try:
        process = subprocess.Popen(  # noqa: S603 - the words come from settings, no shell splits them
            guarded,
            stdin=asked if over_stdio else subprocess.DEVNULL,
            stdout=told if over_stdio else printed,
            stderr=printed,
            env={**env, "WPBRIDGE_WORKER": f"{asked},{told}"},
            cwd=folder,
            pass_fds=(life,) if over_stdio else (asked, told, life),
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
    """So many pipes, each with its end to read and its end to write. OSError leaves none open."""
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
