"""A gateway that serves from this process, and a client that speaks with it."""

import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import requests

from wpbridge.access import changing
from wpbridge.access.keys import Allowed
from wpbridge.queue.facade import opened
from wpbridge.site.config import Settings, load
from wpbridge.web.serving import Server, application

EVERYTHING = Allowed(
    rights=("enqueue", "read", "operate", "administer"),
    hooks=("*",),
    groups=("*",),
    callback_hosts=("127.0.0.1",),
)
"""What an API key may do that may do everything."""
KEYS: Mapping[str, Allowed] = MappingProxyType({"shop": EVERYTHING, "other": EVERYTHING})
"""The API keys that a gateway of the tests has, by name."""


@dataclass
class Gateway:
    """A running gateway."""

    url: str
    keys: Mapping[str, str]
    """The texts of its API keys, by name."""
    key: str
    """The text of the key that is sent unless another is named."""
    session: requests.Session = field(default_factory=requests.Session)
    stop: Callable[[], None] = lambda: None
    """Tells it to end, as TERM does."""
    waiting: Callable[[], int] = lambda: 0
    """How many wait for a job at this moment."""

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        key: str | None = None,
        headers: Mapping[str, str | bytes] = {},
        timeout: float = 60,
    ) -> requests.Response:
        """Send one request; a ``body`` goes as JSON, and ``data`` as it is."""
        told: dict[str, str | bytes] = {**self.authorization(key), **headers}
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            told.setdefault("Content-Type", "application/json")
        return self.session.request(
            method, f"{self.url}{path}", data=data, headers=told, timeout=timeout
        )

    def authorization(self, key: str | None = None) -> dict[str, str]:
        """The header for a key by its name, or for a text; none for an empty one."""
        name = self.key if key is None else key
        return {"Authorization": f"Bearer {self.keys.get(name, name)}"} if name else {}

    @contextmanager
    def another(self) -> "Iterator[Gateway]":
        """Another client of the same gateway, with a connection of its own."""
        with requests.Session() as session:
            yield Gateway(self.url, self.keys, self.key, session)

    def add(self, hook: str = "h", *, key: str = "", **more: Any) -> dict[str, Any]:
        """Add a job; return its document."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.ask("POST", "/v1/jobs", {"hook": hook, **more}, headers=headers)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def serving(
    dsn: str,
    *,
    base_path: str = "",
    keys: Mapping[str, Allowed] = KEYS,
    runs_own: bool = False,
    **settings: Any,
) -> Iterator[Gateway]:
    """Serve a queue on a free port of the loopback interface, with these API keys."""
    told = load({"dsn": dsn, "web_base_path": base_path, **settings}, {}, Path.cwd())
    texts = {name: make_key(told, name, allowed) for name, allowed in keys.items()}
    app = application(told, runs_own=runs_own)
    # Hypothesis looks who refers to its generator, and finds nobody whom the server has frozen.
    server = Server(app, ready=gc.unfreeze)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
                assert thread.is_alive(), "the gateway did not start"
            key = next(iter(texts.values()), "")
            gateway = Gateway(
                f"http://127.0.0.1:{port}{base_path}",
                texts,
                key,
                stop=server.stop,
                waiting=app.state.parts.watching.count,
            )
            with gateway.session:
                yield gateway
        finally:
            server.should_exit = True
            thread.join()


_MADE: dict[tuple[str, str], str] = {}
"""The texts of the keys that were added here, by address and name: nobody can read them again."""


def make_key(settings: Settings, name: str, allowed: Allowed) -> str:
    """Return the text of an API key of a queue; the key is added unless it is there."""
    place = str(settings.dsn), name
    with opened(settings) as queue:
        if queue.store.api_keys.find(name) is None:
            made = changing.add(queue.store, name, allowed, expires=None, who="test")
            _MADE[place] = made.text
    return _MADE[place]
