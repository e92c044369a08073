"""An HTTP server before another, which loses, refuses and cuts as it is told.

It listens on loopback, and passes everything on until it is told otherwise.
"""

import contextlib
import http.client
import http.server
import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """An answer of its own; the server behind is not asked."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Seen(NamedTuple):
    """A request that came."""

    method: str
    path: str
    headers: Message
    body: bytes


Step = Literal["pass", "drop", "lose", "half", "stall"] | Answer
"""What becomes of one request.

drop: the connection is cut, and the server behind is not asked. lose: it is asked, and its answer
is lost. half: half of its answer arrives. stall: no answer comes until the front is closed.
"""
_HOP: Final = {"connection", "transfer-encoding", "keep-alive"}


class Front(http.server.ThreadingHTTPServer):
    """One that listens; its address is ``url``."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lead_to(target)
        self.url = f"http://127.0.0.1:{self.server_address[1]}{urlsplit(target).path}"
        self.over = threading.Event()
        self.reset()

    def lead_to(self, target: str) -> None:
        """Pass everything on to this server from now on."""
        parts = urlsplit(target)
        self.target = (str(parts.hostname), int(parts.port or 80))

    def reset(self, *steps: Step) -> None:
        """Forget what came, and do this with the next requests."""
        self.steps = deque(steps)
        self.seen: list[Seen] = []
        self.on_request: Callable[[Seen], object] = lambda _: None
        """Called for each request before it is passed on."""
        self.on_event: Callable[[Any], bool] = lambda _: False
        """Called with the data of each event that was passed on; True: the stream is cut."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what this is for."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"
    # What is passed on goes at once.
    wbufsize = 0

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = Seen(self.command, self.path, self.headers, body)
        self.server.seen.append(seen)
        step = self.server.steps.popleft() if self.server.steps else "pass"
        if isinstance(step, Answer):
            self._send(step.status, dict(step.headers), step.body)
        elif step == "drop":
            self._cut()
        elif step == "stall":
            self.server.over.wait()
            self._cut()
        else:
            self.server.on_request(seen)
            self._pass_on(seen, step)

    do_GET = do_POST = do_DELETE = _any  # noqa: N815 - as http.server calls them

    def _pass_on(self, seen: Seen, step: Step) -> None:
        with contextlib.closing(http.client.HTTPConnection(*self.server.target)) as behind:
            behind.request(seen.method, seen.path, seen.body, dict(seen.headers.items()))
            answer = behind.getresponse()
            headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
            if answer.headers["Content-Type"].startswith("text/event-stream"):
                self._stream(answer, headers)
                return
            body = answer.read()
        if step != "lose":
            self._send(answer.status, headers, body, is_half=step == "half")
        if step != "pass":
            self._cut()

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, *, is_half: bool = False
    ) -> None:
        headers.pop("content-length", None)
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body[: len(body) // 2] if is_half else body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, answer: http.client.HTTPResponse, headers: dict[str, str]) -> None:
        self._head(answer.status, {**headers, "Transfer-Encoding": "chunked"})
        for line in answer:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            if not line.startswith(b"data: "):
                continue
            # The empty line that completes the event.
            self.wfile.write(b"%x\r\n%s\r\n" % (1, answer.readline()))
            if self.server.on_event(json.loads(line.removeprefix(b"data: "))):
                self._cut()
                return
        self.wfile.write(b"0\r\n\r\n")

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def before(target: str, *, tls: ssl.SSLContext | None = None) -> Iterator[Front]:
    """Put one before a server until the block ends; with ``tls`` it speaks HTTPS."""
    with Front(target) as front:
        if tls is not None:
            front.socket = tls.wrap_socket(front.socket, server_side=True)
            front.url = front.url.replace("http:", "https:")
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield front
        finally:
            front.over.set()
            front.shutdown()
            thread.join()
