"""Be one worker of ``work``: the same settings, a runner, and the link to its supervisor."""

import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path

from wpbridge.app.parts import Parts, prepared
from wpbridge.app.relay_beside import relaying
from wpbridge.app.runners import make_runner, wait_for_database
from wpbridge.clock import Clock
from wpbridge.daemon.signals import deafen
from wpbridge.daemon.worker_link import Lifetime, SignClock, WorkerLink
from wpbridge.daemon.worker_process import RECYCLED
from wpbridge.errors import ConfigError, StoreError
from wpbridge.plugin.unrun import unrun, ways_out
from wpbridge.queue import wake
from wpbridge.site.config import Settings, working_folder
from wpbridge.store.database.session import Session
from wpbridge.store.opened import OpenStore
from wpbridge.telling.log import tell
from wpbridge.telling.numbers import Numbers


def serve(settings: Settings, told: str) -> int:
    """Run until told to stop, or until it has run for long enough; return the exit code.

    ``told`` is what the supervisor passes on: the worker's number and the link's descriptor.
    """
    link = _link(told)
    clock = SignClock()
    lifetime = _lifetime(settings).scattered()
    worker_link = WorkerLink(link, clock, lifetime)
    deafen()
    signal.signal(signal.SIGTERM, lambda *_: worker_link.stop("TERM"))
    worker_link.open()
    parts = prepared(
        settings,
        is_daemon=True,
        prepare=lambda session: _wait_and_report(session, worker_link, clock),
    )
    is_first = told.startswith("1:")
    if is_first and (reason := unrun(settings, parts.site, parts.store.names.prefix)):
        tell("site.unrun", reason=f"{reason}: {ways_out(settings, parts.site)}")
    beside = relaying(settings, parts.site, parts.handlers) if is_first else nullcontext()
    try:
        with beside:
            _run(settings, parts, worker_link, clock, lifetime)
    finally:
        parts.close()
    if worker_link.why == "TERM":
        return 128 + signal.SIGTERM
    return 0 if worker_link.why == "told to" else RECYCLED


def _run(
    settings: Settings,
    parts: Parts,
    worker_link: WorkerLink,
    clock: SignClock,
    lifetime: Lifetime,
) -> None:
    settings = replace(
        settings,
        batches=0,
        max_time=None,
        max_actions=lifetime.actions,
        php_workers=settings.php_workers_each(settings.processes.most),
    )
    runner = make_runner(
        settings,
        parts.site,
        parts.store,
        parts.handlers,
        only=parts.only,
        clock=clock,
        daemon=True,
        kind="work",
        deaths=lambda: worker_link.deaths,
    )
    _tie(parts.store.session, worker_link)
    php = settings.php_workers if settings.php else 0
    ear = wake.Listener.open(wake.wake_name(parts.store), wake.folders())
    if ear is not None:
        worker_link.listen(ear)
    worker_link.attach(
        runner,
        files=lambda: _files(settings),
        wake_keys=lambda: _wake_keys(parts.store),
        numbers=runner.counter.metrics() if settings.metrics_listen else Numbers,
        resize=lambda concurrency: runner.resize(concurrency, places=concurrency + php),
    )
    try:
        runner.run()
    finally:
        if ear is not None:
            with suppress(OSError):
                Path(ear.place).unlink(missing_ok=True)
    worker_link.close(asdict(runner.totals))


def _wake_keys(store: OpenStore) -> dict[str, object]:
    """Return by what the supervisor knows a wake: the site's prefix, and the keys that count."""
    try:
        keys = store.signing.keys("wake", max_age_seconds=0.0)
    except StoreError:
        # The supervisor asks again when a wake comes that it cannot verify.
        return {}
    return {"prefix": store.names.prefix, "keys": [key.hex() for key in keys]}


def _wait_and_report(session: Session, worker_link: WorkerLink, clock: Clock) -> None:
    """Wait for a database that is away, already at the start. A refused login ends the worker."""
    session.pause = worker_link.pause
    wait_for_database(session, clock)
    _tie(session, worker_link)


def _tie(session: Session, worker_link: WorkerLink) -> None:
    """Report the database's outages to the supervisor too."""
    tell_lost, tell_back = session.was_lost, session.came_back

    def lost(message: str) -> None:
        worker_link.lost()
        tell_lost(message)

    def back(seconds: float) -> None:
        worker_link.back()
        tell_back(seconds)

    session.was_lost, session.came_back = lost, back


def _link(told: str) -> socket.socket:
    try:
        _number, descriptor, _settings = told.split(":")
        link = socket.socket(fileno=int(descriptor))
    except (ValueError, OSError):
        raise ConfigError("--worker is for the supervisor of `wpbridge work` alone") from None
    # What handlers start must not keep it open.
    link.set_inheritable(False)
    return link


def _lifetime(settings: Settings) -> Lifetime:
    age = settings.max_age
    return Lifetime(
        age_seconds=None if age is None else age.total_seconds(),
        memory_bytes=settings.max_memory,
        actions=settings.max_actions,
    )


def _files(settings: Settings) -> list[str]:
    """Return the modules loaded from the handlers' folder, and the settings' file."""
    folder = Path(settings.handlers_folder or working_folder()).resolve()
    found = _sources(sys.modules)
    ours = [
        str(file)
        for file in found
        if file.is_relative_to(folder) and "site-packages" not in file.parts
    ]
    files = {
        name.removeprefix("file ") for name in settings.sources.values() if name[:5] == "file "
    }
    return sorted({*ours, *files})


def _sources(modules: Mapping[str, object]) -> list[Path]:
    names = [getattr(module, "__file__", None) for module in list(modules.values())]
    return [Path(name).resolve() for name in names if isinstance(name, str)]
