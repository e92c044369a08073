"""Serve the gateway: its address, its processes, and its orderly end."""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.doctor.explain import explain_action
from wpbridge.errors import ConfigError
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.config import Settings
from wpbridge.web.app import make_app
from wpbridge.web.callers import gate_of
from wpbridge.web.calls import Parts
from wpbridge.web.readers import Readers
from wpbridge.web.watching import Watching
from wpbridge.web.writer import Writer

DRAIN_SECONDS: Final = 35
"""Longer than the longest wait that a client may ask for."""
KEEP_ALIVE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the gateway listens."""

    host: str = "127.0.0.1"
    port: int = 8787
    socket: Path | None = None
    """A Unix socket instead."""

    @property
    def told(self) -> str:
        """Return the address for people."""
        return f"unix:{self.socket}" if self.socket else f"http://{self._host}:{self.port}"

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def listen_of(told: str) -> Listen:
    """Return the address that ``HOST:PORT``, a port, or ``unix:PATH`` means.

    Raises:
        ConfigError: it is none of them.
    """
    if told.startswith("unix:"):
        path = Path(told.removeprefix("unix:"))
        if not path.parent.is_dir():
            raise ConfigError(f"--listen {told}: there is no folder {path.parent}")
        return Listen(socket=path)
    host, _, port = told.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ConfigError(f"--listen {told}: HOST:PORT such as 127.0.0.1:8787, or unix:PATH")
    return Listen(host=host, port=int(port))


def base_path_of(told: str) -> str:
    """Return a base path without the slash at its end; empty for none.

    Raises:
        ConfigError: it is no path.
    """
    path = told.rstrip("/")
    if path and not (path.startswith("/") and all(map(_is_plain, path[1:].split("/")))):
        raise ConfigError(f"--base-path {told}: a path such as /queue")
    return path


def _is_plain(part: str) -> bool:
    return (
        bool(part)
        and part.strip(".") != ""
        and part.replace("-", "").replace("_", "").replace(".", "").isalnum()
        and part.isascii()
    )


def application(
    settings: Settings, env: Mapping[str, str] = os.environ, *, base_path: str = ""
) -> Starlette:
    """Return the gateway of one site as an ASGI application."""

    def open_queue() -> JobQueue:
        queue = JobQueue.of(settings, env)
        # A client is told to come again: it does not wait for a server that is away.
        queue.store.session.patience_seconds = 0.0
        return queue

    def explain(action_id: ActionId) -> dict[str, Any]:
        return asdict(explain_action(settings, action_id, ask_wordpress=False))

    def open_parts() -> Parts:
        with closing(open_queue()) as queue:
            queue.store.check_writable()
            queue.store.own.ensure()
        return Parts(
            writer=Writer(open_queue),
            readers=Readers(open_queue),
            watching=Watching(open_queue),
            explain=explain,
            troubles=_troubles,
            base_path=base_path,
        )

    return make_app(open_parts, gate_of(settings), base_path=base_path)


def _troubles(queue: JobQueue) -> list[str]:
    """Return what keeps the gateway from working; the question itself shows a database away."""
    queue.store.check_writable()
    queue.due(1)
    return []


def check(settings: Settings, env: Mapping[str, str] = os.environ) -> None:
    """Open the queue, and find out whether it can be written.

    Raises:
        SiteError, StoreError: it cannot.
    """
    with closing(JobQueue.of(settings, env)) as queue:
        _troubles(queue)


def serve(
    settings: Settings,
    listen: Listen,
    *,
    base_path: str = "",
    access_log: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until TERM or INT: then no new connections are taken, and what runs is answered.

    Raises:
        ConfigError: nothing can listen there.
        SiteError, StoreError: the queue cannot be opened.
    """
    app = application(settings, base_path=base_path)
    config = uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        uds=str(listen.socket) if listen.socket else None,
        log_config=None,
        access_log=access_log,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        lifespan="on",
        ws="none",
        h11_max_incomplete_event_size=65_536,
    )
    server = _Server(config, ready)
    server.run()


class _Server(uvicorn.Server):
    """Uvicorn's server, which also says when it listens, and ends in order when it is told to."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take in TERM or INT. Uvicorn would end the process by the same signal afterwards."""
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: Any = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)
        if self.started and self._ready is not None:
            names = [s.getsockname() for server in self.servers for s in server.sockets]
            self._ready(_told(names[0]) if names else "")


def _told(name: Any) -> str:
    if isinstance(name, str):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"
