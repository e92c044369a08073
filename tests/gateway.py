"""A gateway that serves from this process, and a client that speaks with it."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from wpbridge.site.config import load
from wpbridge.web.serving import Server, application

ROOT_KEY = "shop"


@dataclass
class Gateway:
    """A running gateway."""

    url: str
    key: str = ROOT_KEY
    session: requests.Session = field(default_factory=requests.Session)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        key: str | None = None,
        headers: Mapping[str, str] = {},
        timeout: float = 60,
    ) -> requests.Response:
        """Send one request; a ``body`` goes as JSON, and ``data`` as it is."""
        told = {"Authorization": f"Bearer {self.key if key is None else key}", **headers}
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            told.setdefault("Content-Type", "application/json")
        return self.session.request(
            method, f"{self.url}{path}", data=data, headers=told, timeout=timeout
        )

    @contextmanager
    def another(self) -> "Iterator[Gateway]":
        """Another client of the same gateway, with a connection of its own."""
        with requests.Session() as session:
            yield Gateway(self.url, self.key, session)

    def add(self, hook: str = "h", *, key: str = "", **more: Any) -> dict[str, Any]:
        """Add a job; return its document."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.ask("POST", "/v1/jobs", {"hook": hook, **more}, headers=headers)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def serving(dsn: str, *, base_path: str = "", **settings: Any) -> Iterator[Gateway]:
    """Serve a queue on a free port of the loopback interface."""
    told = {"dsn": dsn, "web_base_path": base_path, **settings}
    server = Server(application(load(told, {}, Path.cwd())))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
                assert thread.is_alive(), "the gateway did not start"
            gateway = Gateway(f"http://127.0.0.1:{port}{base_path}")
            with gateway.session:
                yield gateway
        finally:
            server.should_exit = True
            thread.join()
