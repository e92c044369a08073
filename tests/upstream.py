"""A server on loopback that stands for `wpbridge serve`: it remembers what comes, and says what it is told."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heard:
    """One request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes


@dataclass
class Answer:
    """What is said to each request."""

    head: str = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8"
    body: bytes = b"<p>the page</p>"
    chunks: int = 0
    """So large are its chunks. 0: the length is told, and the body comes as a whole."""
    cut: int = 0
    """So many bytes at its end are kept back."""

    def written(self) -> bytes:
        if not self.chunks:
            told = f"{self.head}\r\nContent-Length: {len(self.body)}\r\n\r\n"
            whole = told.encode() + self.body
        else:
            parts = [
                self.body[at : at + self.chunks] for at in range(0, len(self.body), self.chunks)
            ]
            chunks = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])
            whole = f"{self.head}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks
        return whole[: len(whole) - self.cut]


@dataclass
class Upstream:
    """Where it listens, and what it has heard."""

    server: str
    """As the companion plugin is told it."""
    answer: Answer = field(default_factory=Answer)
    heard: list[Heard] = field(default_factory=list)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        upstream: Upstream = self.server.upstream  # type: ignore[attr-defined]  # set below
        method, target, _ = self.rfile.readline().decode("latin-1").split()
        headers = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", "0")))
        upstream.heard.append(Heard(method, target, headers, body))
        self.wfile.write(upstream.answer.written())


@contextlib.contextmanager
def upstream(socket: str = "") -> Iterator[Upstream]:
    """One that listens until the block ends: on a port of 127.0.0.1, or on a Unix socket."""
    if socket:
        made: socketserver.BaseServer = socketserver.ThreadingUnixStreamServer(socket, _Handler)
        told = Upstream(server=f"unix://{socket}")
    else:
        tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler)
        made, told = tcp, Upstream(server=f"tcp://127.0.0.1:{tcp.server_address[1]}")
    made.upstream = told  # type: ignore[attr-defined]  # read above
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
