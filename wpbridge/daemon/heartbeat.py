"""The heartbeat file: what a daemon says of itself each second, and what a probe makes of it.

Ages are counted by the host's monotonic clock, so that a clock that is set does not end a
container. After a restart of the host an old file lies in the future, and counts as none.
"""

import contextlib
import json
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.telling.log import tell

WITHIN_SECONDS: Final = 15.0
"""A file older than this is a dead daemon's."""
SILENT_SECONDS: Final = 60.0
"""A worker's loop that gives no sign for so long hangs: idle ones look every few seconds, and a
connection that is not answered fails after 10, a statement after 30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker process as last heard of."""

    pid: int
    state: str
    silent_seconds: float
    """Since its loop gave a sign."""
    database: bool
    """Whether the database answered when it was last asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The file's content, as JSON."""

    pid: int
    at: float
    """Seconds of the monotonic clock."""
    state: str
    """starting, working, quiet, stopping."""
    live: bool
    """Whether every worker's loop has given a sign lately."""
    ready: bool
    """Whether all workers are registered."""
    database: bool
    workers: tuple[Worker, ...] = ()


def write(file: Path, beat: Beat) -> None:
    """Put it there in one step; a reader never sees half of it.

    Raises OSError.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
            json.dump(asdict(beat), stream)
            # A probe may be another user's.
            os.fchmod(handle, 0o644)
        os.replace(name, file)  # noqa: PTH105
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise


def refuse_unwritable(file: Path) -> None:
    """Raise ConfigError if the file's folder is missing or takes no new file."""
    if not file.parent.is_dir():
        why = f"there is no folder {file.parent}: make it, or name another file"
    elif not os.access(file.parent, os.W_OK | os.X_OK):
        why = f"the folder {file.parent} cannot be written into"
    else:
        return
    raise ConfigError(f"[run] heartbeat_file (--heartbeat-file) is {file}, but {why}")


def is_live(silent_seconds: float) -> bool:
    """Return whether every worker's loop has given a sign lately."""
    return silent_seconds < SILENT_SECONDS


class HeartbeatWriter:
    """Writes the heartbeat file each second, and says once that it cannot be written."""

    def __init__(self) -> None:
        self._was_live = True
        self._has_failed = False

    def beat(self, file: Path | None, beat: Beat, *, silent_seconds: float) -> None:
        """Write a beat; the last one before a silence says why there are no more."""
        if self._was_live and not beat.live:
            tell("worker.silent", seconds=round(silent_seconds))
        if file is not None and (beat.live or self._was_live):
            self._write(file, beat)
        self._was_live = beat.live

    def _write(self, file: Path, beat: Beat) -> None:
        try:
            write(file, beat)
        except OSError as error:
            if not self._has_failed:
                tell("heartbeat.failed", file=str(file), error=error.strerror)
            self._has_failed = True
        else:
            self._has_failed = False


def remove(file: Path) -> None:
    """Remove the file, since a daemon that has stopped is not live."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def read(file: Path) -> Beat | str:
    """Return what the file says, or why it cannot be read."""
    try:
        told = json.loads(file.read_text("utf-8"))
        workers = tuple(Worker(**worker) for worker in told.pop("workers"))
        return Beat(**told, workers=workers)
    except FileNotFoundError:
        return "no daemon has written it, or it has ended"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except (ValueError, TypeError, KeyError, AttributeError):
        return "it is no heartbeat file"


def not_live(beat: Beat | str, *, now: float | None = None) -> str | None:
    """Return why the daemon does not count as alive; None when it does. Asks no database."""
    if isinstance(beat, str):
        return beat
    age = (time.monotonic() if now is None else now) - beat.at
    if not 0 <= age <= WITHIN_SECONDS:
        return f"the daemon (pid {beat.pid}) wrote it {age:.0f} s ago" if age > 0 else "it is old"
    if not beat.live:
        longest = max(beat.workers, key=lambda worker: worker.silent_seconds)
        return f"worker {longest.pid} has given no sign for {longest.silent_seconds:.0f} s"
    return None


def not_ready(beat: Beat | str, *, now: float | None = None) -> str | None:
    """Return why it does not take work just now; None when it does."""
    if isinstance(beat, str) or (why := not_live(beat, now=now)) is not None:
        return beat if isinstance(beat, str) else why
    if beat.state == "stopping":
        return "it is stopping"
    if not beat.database:
        return "the database does not answer"
    if not beat.ready:
        return f"it is starting: {sum(w.state == 'starting' for w in beat.workers)} workers to go"
    return None
