"""A server that answers each HTTP request with bytes as a test tells them, valid or not."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

Answer = bytes | Callable[[], Iterable[bytes]]
"""All at once, or in parts as they come; parts may go on for ever."""


@dataclass
class Scripted:
    """What is answered, and what was asked."""

    listener: socket.socket
    answer: Answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    reads: bool = True
    """Whether the request is read before the answer begins."""
    requests: list[bytes] = field(default_factory=list)
    cut: threading.Event = field(default_factory=threading.Event)
    """Set when a client closed its connection while its answer was still coming."""

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        """Until the listener is closed, one client after the other."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with client:
                    client.settimeout(300)
                    self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        try:
            if self.reads:
                self.requests.append(_request(client))
            answer = self.answer
            for part in [answer] if isinstance(answer, bytes) else answer():
                client.sendall(part)
        except OSError:
            self.cut.set()


def _request(client: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        if not (more := client.recv(65536)):
            return read
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    while len(body) < length and (more := client.recv(65536)):
        body += more
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def scripted() -> Iterator[Scripted]:
    """One that listens on loopback until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Scripted(listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(300)
