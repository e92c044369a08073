"""Answer ``GET /metrics``: a small HTTP server on a thread of its own.

It answers that one path and closes each connection. A client that is slow, says too much, or comes
with many others loses its connection; the process that is measured does not notice. Beyond this
host it answers only who knows the token. Without a token it does not answer to names with dots,
since a page in a browser of this host could ask by one.
"""

import asyncio
import hmac
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from wpbridge.errors import ConfigError
from wpbridge.monitor.exposing import needed
from wpbridge.site.wake_kinds import joined
from wpbridge.site.web_kinds import Listen
from wpbridge.system.listening import listening_at
from wpbridge.telling.log import tell
from wpbridge.telling.numbers import Numbers

DEFAULT_LISTEN: Final = "127.0.0.1:9464"
"""Where metrics are by default."""
PATH: Final = "/metrics"
MOST_CONNECTIONS: Final = 32
"""With one more, the oldest is closed."""
HEAD_BYTES: Final = 8 * 1024
"""No request may have a longer head."""
SECONDS: Final = 5.0
"""A request must have arrived, and its answer be taken, within this time each."""
FRESH_SECONDS = 0.5
"""So long the same text is told again: writing it takes some milliseconds of the processor."""
_PLAIN: Final = "Content-Type: text/plain; charset=utf-8"
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    421: "Misdirected Request",
    500: "Internal Server Error",
}


def check(listen: str, token: str | None) -> None:
    """Look whether metrics may be told at this address, and listen nowhere.

    Raises:
        ConfigError: they may not, or prometheus-client is not installed.
    """
    _address(listen, token)
    needed()


def serve(listen: str, numbers: Callable[[], Numbers], *, site: str, token: str | None) -> "Server":
    """Begin to answer at an address.

    Args:
        listen: ``HOST:PORT``; port 0 means any free one.
        numbers: returns the numbers of now. It is called on the server's thread, and must not wait.
        site: the site's name, which each series has as a label.
        token: what clients must send as ``Authorization: Bearer TOKEN``; None to answer everybody
            on this host.

    Raises:
        ConfigError: nothing can listen there, or it would answer other hosts without a token, or
            prometheus-client is not installed.
    """
    exposition = needed()
    return _serve(listen, lambda: exposition.text_of(numbers(), site=site), token)


def serve_sites(
    listen: str, numbers: Callable[[], Mapping[str, Numbers]], *, token: str | None
) -> "Server":
    """Begin to answer at an address for many sites.

    ``numbers`` returns the numbers of now by the name of the site; see :func:`serve` for the rest.
    """
    exposition = needed()
    return _serve(listen, lambda: exposition.text_of_sites(numbers()), token)


def _serve(listen: str, text: Callable[[], bytes], token: str | None) -> "Server":
    host, port = _address(listen, token)
    try:
        sock = listening_at(host, port)
    except OSError as error:
        told = joined(host, port)
        raise ConfigError(f"cannot tell metrics at {told}: {error.strerror}") from None
    return Server(sock, text, needed().CONTENT_TYPE_LATEST, token)


def _address(listen: str, token: str | None) -> tuple[str, int]:
    """Return the numeric host and the port of an address at which metrics may be told."""
    where = Listen.of(listen)
    if where.socket is not None:
        raise ConfigError("metrics are told at HOST:PORT, not on a Unix socket")
    try:
        [(*_, found), *_] = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise ConfigError(f"cannot tell metrics at {listen}: no host {where.host}") from None
    host = str(found[0])
    if token is None and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        raise ConfigError(
            f"metrics at {listen} could be read from other hosts: set a token, with"
            " WPBRIDGE_METRICS_TOKEN or [metrics] token, or listen at 127.0.0.1"
        )
    return host, where.port


class Server:
    """A server that answers until it is closed."""

    def __init__(
        self, sock: socket.socket, text: Callable[[], bytes], content_type: str, token: str | None
    ) -> None:
        name = sock.getsockname()
        self.address = f"http://{joined(name[0], name[1])}{PATH}"
        """Where the metrics are, for people."""
        self._sock = sock
        self._text = text
        self._content_type = content_type
        self._wanted = None if token is None else f"Bearer {token}".encode()
        self._last: tuple[float, bytes] | None = None
        """The last text, and when it was written."""
        self._open: list[asyncio.Task[None]] = []
        """The connections, the oldest first."""
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="wpbridge-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close all connections, and end the thread."""
        with suppress(RuntimeError):
            # It raises for a loop that has ended already.
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        self._sock.settimeout(0)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())
        self._sock.close()

    async def _serve(self) -> None:
        self._listen()
        await self._over.wait()
        self._loop.remove_reader(self._sock)

    def _listen(self) -> None:
        if not self._over.is_set():
            self._loop.add_reader(self._sock, self._take)

    def _take(self) -> None:
        """Take one connection. With too many, the oldest is closed."""
        try:
            sock, _ = self._sock.accept()
        except BlockingIOError:
            return
        except OSError:
            # The process has no descriptor left, say.
            self._loop.remove_reader(self._sock)
            self._loop.call_later(1, self._listen)
            return
        sock.settimeout(0)
        if len(self._open) >= MOST_CONNECTIONS:
            self._open.pop(0).cancel()
        task = self._loop.create_task(self._answer(sock))
        self._open.append(task)
        task.add_done_callback(lambda task: self._end(task, sock))

    def _end(self, task: asyncio.Task[None], sock: socket.socket) -> None:
        with suppress(ValueError):
            self._open.remove(task)
        sock.close()

    async def _answer(self, sock: socket.socket) -> None:
        # A client that has gone, or was too slow, is let go.
        with suppress(OSError):
            async with asyncio.timeout(SECONDS):
                head = await self._head(sock)
            if head is not None:
                async with asyncio.timeout(SECONDS):
                    await self._loop.sock_sendall(sock, self._answer_to(head.split(b"\r\n")))

    async def _head(self, sock: socket.socket) -> bytes | None:
        """Return the head of a request; None if it does not come whole, or is too long."""
        found = b""
        while b"\r\n\r\n" not in found:
            part = await self._loop.sock_recv(sock, HEAD_BYTES)
            found += part
            if not part or len(found) > HEAD_BYTES:
                return None
        return found.partition(b"\r\n\r\n")[0]

    def _answer_to(self, lines: list[bytes]) -> bytes:
        status, body, *headers = self._found(lines)
        told = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            *headers,
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        head = "\r\n".join([*told, "", ""]).encode()
        return head if lines[0].startswith(b"HEAD ") else head + body

    def _found(self, lines: list[bytes]) -> tuple[int, bytes, *tuple[str, ...]]:
        """Return the status, the body and further headers of the answer to a request."""
        try:
            method, target, version = lines[0].split(b" ")
        except ValueError:
            version = b""
        if not version.startswith(b"HTTP/1."):
            return 400, b"this is no request\n", _PLAIN
        if target.partition(b"?")[0] != PATH.encode():
            return 404, f"metrics are at {PATH}\n".encode(), _PLAIN
        if method not in {b"GET", b"HEAD"}:
            return 405, b"metrics are only read\n", _PLAIN, "Allow: GET, HEAD"
        if refusal := self._refusal(lines[1:]):
            return refusal
        try:
            return 200, self._fresh(), f"Content-Type: {self._content_type}"
        except Exception:  # noqa: BLE001 - the next scrape may go well
            tell("metrics.broken", exc_info=True)
            return 500, b"the metrics cannot be told: see the log\n", _PLAIN

    def _fresh(self) -> bytes:
        now = time.monotonic()
        if self._last is None or now - self._last[0] >= FRESH_SECONDS:
            self._last = now, self._text()
        return self._last[1]

    def _refusal(self, headers: list[bytes]) -> tuple[int, bytes, *tuple[str, ...]] | None:
        """Return the answer to somebody who may not read the metrics; None for who may."""
        if self._wanted is None:
            if all(map(_is_local, _values(headers, b"host"))):
                return None
            return 421, b"ask by an address or a name without dots, or set a token\n", _PLAIN
        given = _values(headers, b"authorization")
        if len(given) == 1 and hmac.compare_digest(given[0], self._wanted):
            return None
        return 401, b"send the token\n", _PLAIN, "WWW-Authenticate: Bearer"


def _values(headers: list[bytes], wanted: bytes) -> list[bytes]:
    """Return the values of all headers of a name."""
    return [
        value.strip()
        for name, _, value in (line.partition(b":") for line in headers)
        if name.lower() == wanted
    ]


def _is_local(host: bytes) -> bool:
    """Return whether a Host header can be of somebody who knows where he asks.

    A page in a browser of this host may have a name of its own lead here. Such a name has a dot.
    """
    name = host.decode("latin-1").rpartition("]")[0] or host.decode("latin-1").partition(":")[0]
    try:
        ipaddress.ip_address(name.removeprefix("["))
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True
