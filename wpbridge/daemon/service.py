"""The daemon put together: a supervisor with its notifier, and the command that starts a worker."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import wpbridge
from wpbridge.daemon.handover import Folder, packed
from wpbridge.daemon.notify import VARIABLES, Notifier
from wpbridge.daemon.supervisor import Supervisor
from wpbridge.daemon.terms import Terms
from wpbridge.daemon.wake_listener import WakeListener
from wpbridge.daemon.worker_process import starter
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings


def supervise(
    settings: Settings, read: Callable[[], Settings], *, watches: bool, tell: Callable[[str], None]
) -> int:
    """Start workers and keep them running until told to stop; returns the exit code.

    Args:
        settings: those that the daemon starts with.
        read: reads the settings anew, for a reload.
        watches: replace the workers when a module of theirs changes.
        tell: prints what the workers hold when somebody asks.

    Raises:
        ConfigError: the working folder is gone, or the heartbeat file cannot be written.
    """
    folder, file = Folder(os.environ), settings.heartbeat_file
    if file is not None and not os.access(file.parent, os.W_OK):
        raise ConfigError(f"{file.parent} is no folder that can be written into")
    listener = WakeListener.of(settings)

    def terms_of(settings: Settings) -> Terms:
        handed = packed(settings, folder.name, wake_address=listener.address)
        return _terms(settings, handed, watches=watches)

    def reload() -> Terms:
        folder.enter()
        return terms_of(read())

    notifier = Notifier.of(os.environ)
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return Supervisor(
        terms_of(settings),
        starter(_worker_command(), env),
        reload=reload,
        notifier=notifier,
        tell=tell,
        listener=listener,
    ).run()


def _worker_command() -> Callable[[str], Sequence[str]]:
    """This command once more, with the same options and what makes it a worker."""
    # Asked once: the working folder may be gone when a worker is started later.
    # As a script does, and unlike -m: a file of the working folder named like a library's module
    # must not take its place. Unless that is where wpbridge itself lies.
    is_here = Path(wpbridge.__file__).parent.parent == Path.cwd()
    python = [sys.executable] if is_here else [sys.executable, "-P"]
    return lambda told: [*python, "-m", "wpbridge", *sys.argv[1:], "--worker", told]


def _terms(settings: Settings, handed: bytes, *, watches: bool) -> Terms:
    drain = settings.drain_timeout
    return Terms(
        processes=settings.processes,
        drain_seconds=None if drain is None else drain.total_seconds(),
        heartbeat_file=settings.heartbeat_file,
        watches=watches,
        handed=handed,
    )
