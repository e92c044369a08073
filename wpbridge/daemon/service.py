"""The daemon put together: a supervisor with its notifier, and the command that starts a worker."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from wpbridge.daemon.handover import Folder, packed
from wpbridge.daemon.heartbeat import refuse_unwritable
from wpbridge.daemon.measured import Measured
from wpbridge.daemon.notify import VARIABLES, Notifier
from wpbridge.daemon.scaling import ScalingTerms
from wpbridge.daemon.signals import STOPS
from wpbridge.daemon.supervisor import Supervisor
from wpbridge.daemon.terms import Terms
from wpbridge.daemon.wake_listener import WakeListener
from wpbridge.daemon.worker_process import GATEWAY, starter
from wpbridge.site.config import Settings
from wpbridge.system import own_program


class Gateway(NamedTuple):
    """The gateway as a supervisor sees it."""

    descriptor: int
    """Of the socket at which it listens."""
    is_beside: bool
    """One process of it runs beside the workers; or else all processes are of it."""

    def shared(self, number: int) -> tuple[int, ...]:
        """Return what a process of this number must inherit."""
        return (self.descriptor,) if number == GATEWAY or not self.is_beside else ()


def supervise(
    settings: Settings,
    read: Callable[[], Settings],
    *,
    watches: bool,
    tell: Callable[[str], None],
    gateway: Gateway | None = None,
    measured: Measured | None = None,
) -> int:
    """Start workers and keep them running until told to stop; returns the exit code.

    Args:
        settings: those that the daemon starts with.
        read: reads the settings anew, for a reload.
        watches: replace the workers when a module of theirs changes.
        tell: prints what the workers hold when somebody asks.
        gateway: what serves HTTP here; None for nothing.
        measured: adds up what the processes count; None where nobody reads it.

    Raises:
        ConfigError: the working folder is gone, or the heartbeat file cannot be written.
    """
    serves_only = gateway is not None and not gateway.is_beside
    folder, file = Folder(os.environ), None if serves_only else settings.heartbeat_file
    if file is not None:
        refuse_unwritable(file)
    listener = WakeListener() if serves_only else WakeListener.of(settings)
    descriptor = None if gateway is None else gateway.descriptor

    def terms_of(settings: Settings) -> Terms:
        handed = packed(
            settings, folder.name, wake_address=listener.address, web_descriptor=descriptor
        )
        if serves_only:
            return _terms_of_gateway(settings, handed)
        return replace(_terms(settings, handed, watches=watches), has_gateway=gateway is not None)

    def reload() -> Terms:
        folder.enter()
        return terms_of(read())

    notifier = Notifier.of(os.environ)
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return Supervisor(
        terms_of(settings),
        starter(_worker_command(), env, shared=gateway.shared if gateway else _nothing),
        reload=reload,
        notifier=notifier,
        tell=tell,
        listener=listener,
        measured=measured,
    ).run()


def _worker_command() -> Callable[[str], Sequence[str]]:
    """This command once more, with the same options and what makes it a worker."""
    # Asked once: the working folder may be gone when a worker is started later.
    program = own_program.command()
    return lambda told: [*program, *sys.argv[1:], "--worker", told]


def _nothing(_number: int) -> tuple[int, ...]:
    return ()


def _terms_of_gateway(settings: Settings, handed: bytes) -> Terms:
    return Terms(processes=settings.web_workers, handed=handed, stops_at_once=STOPS)


def _terms(settings: Settings, handed: bytes, *, watches: bool) -> Terms:
    drain = settings.drain_timeout
    return Terms(
        processes=settings.processes.least,
        scaling=ScalingTerms.of(settings),
        concurrency=settings.concurrency.least,
        drain_seconds=None if drain is None else drain.total_seconds(),
        heartbeat_file=settings.heartbeat_file,
        watches=watches,
        handed=handed,
    )
