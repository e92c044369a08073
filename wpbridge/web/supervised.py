"""Be one process of the gateway that a supervisor has started, and speak with it.

It says when it answers, gives a sign of life each second from the loop that answers, and ends when
it is told to. When the supervisor is gone it ends at once: its socket would be nobody's.
"""

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from wpbridge.daemon.signals import deafen
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings
from wpbridge.system.links import LinkReader
from wpbridge.telling.numbers import Numbers
from wpbridge.web.serving import Served, Server, application

_FIRST: Final = "1"
"""The number of the process that also runs wpbridge's own hooks."""
_TICKS: Final = 10
"""So many ticks of uvicorn's loop are a second."""


def serve(settings: Settings, told: str) -> int:
    """Serve until told to stop; return the exit code.

    Args:
        settings: with the descriptor of the socket at which it listens.
        told: what the supervisor passes on: a number, and the descriptors of the link and of the
            settings.

    Raises:
        SiteError, StoreError: the queue cannot be opened.
    """
    try:
        link = socket.socket(fileno=int(told.split(":")[1]))
        ear = socket.socket(fileno=settings.web_descriptor)
    except (LookupError, TypeError, ValueError, OSError):
        raise ConfigError("--worker is for the supervisor of the gateway alone") from None
    for sock in (link, ear):
        sock.set_inheritable(False)
    deafen()
    runs_own = told.split(":", maxsplit=1)[0] == _FIRST
    app: Served
    if settings.sites is None:
        app = application(settings, runs_own=runs_own, is_alone=False)
    else:
        from wpbridge.web.many.serving import many_sites  # noqa: PLC0415 - most have one site

        app = many_sites(settings)
    server = _Supervised(app, lambda said: _say(link, said))
    threading.Thread(target=_obey, args=(link, server), name="wpbridge-link", daemon=True).start()
    server.serve_at(ear)
    _say_numbers(app.state.counted.take(), lambda said: _say(link, said))
    _say(link, {"event": "left", "totals": {}})
    return 0


class _Supervised(Server):
    """A server that gives signs of life."""

    def __init__(self, app: Served, say: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(app, ready=lambda: say({"event": "ready", "files": []}))
        self._say = say
        self._take: Callable[[], Numbers] = app.state.counted.take

    async def on_tick(self, counter: int) -> bool:
        """Give one each second."""
        if counter % _TICKS == 0:
            beat = {"silent": 0.0, "database": True, "leaving": "", "totals": {}}
            self._say({"event": "beat", **beat})
            _say_numbers(self._take(), self._say)
        return await super().on_tick(counter)


def _say_numbers(numbers: Numbers, say: Callable[[dict[str, Any]], None]) -> None:
    for part in numbers.packed():
        say({"event": "numbers", "numbers": part})


def _say(link: socket.socket, said: dict[str, Any]) -> None:
    # When the link is broken the other thread ends us.
    with contextlib.suppress(OSError):
        link.sendall(json.dumps(said).encode() + b"\n")


def _obey(link: socket.socket, server: Server) -> None:
    reader, goes_on = LinkReader(link), True
    while goes_on:
        words, goes_on = reader.lines()
        if b"stop" in words:
            server.should_exit = True
    os.killpg(0, signal.SIGKILL)
