"""A server that webhooks post to."""

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Receiver(http.server.ThreadingHTTPServer):
    """Answers every POST as told and remembers it."""

    status = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - replaced as a whole by tests
    posts: list[tuple[dict[str, str], bytes]]
    met: Callable[[], object] = staticmethod(lambda: None)
    """Called when a post has been remembered, before it is answered."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.server.met()
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """One that listens on loopback until the block ends."""
    server = Receiver(("127.0.0.1", 0), _Handler)
    server.posts = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
