"""A network of the test's own: a TCP proxy on loopback whose connections can be cut and stalled.

One thread accepts, two carry the bytes of each connection. Used from any thread.
"""

import contextlib
import socket
import struct
import threading
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

from ports import HOST, free_port

Target: TypeAlias = Path | tuple[str, int]
"""A server's Unix socket, or its host and port."""

Side: TypeAlias = Literal["server", "client"]

_CHUNK_BYTES: Final = 65536
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""Closing drops what is unsent and resets the connection, as a crash of the host would."""


class Proxy:
    """Passes everything on until it is told otherwise; closed when its block ends."""

    def __init__(self, target: Target) -> None:
        self.cuts = 0
        """How often connections were cut, by hand or after so many bytes."""
        self._target = target
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._has_cut = threading.Event()
        self._pairs: set[_Pair] = set()
        self._left: dict[Side, int] = {}
        self._is_over = False
        self._door = self._open(free_port())
        self.port: int = self._door.getsockname()[1]
        """On 127.0.0.1; stays the same."""

    def url(self, database: str) -> str:
        """The DSN of a MariaDB's database behind it."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    def cut(self) -> None:
        """Break every connection there is; new ones are welcome."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
            self._left.clear()
            self.cuts += 1
        for pair in pairs:
            pair.close()
        self._has_cut.set()

    def cut_after(self, count: int, *, toward: Side = "server") -> None:
        """Cut once so many more bytes have passed; the rest of that chunk does not arrive.

        ``toward``: whose bytes are counted. 0 toward the client: the server does what it was asked
        last, and its answer is lost.
        """
        with self._lock:
            # First: it may be cut as soon as the number stands there.
            self._has_cut.clear()
            self._left[toward] = count

    def wait_for_cut(self, seconds: float) -> bool:
        """Wait until :meth:`cut_after` has come to it; False when it has not in time."""
        return self._has_cut.wait(seconds)

    def stall(self) -> None:
        """Hold every byte back; connections stay, and new ones wait for a greeting."""
        self._flows.clear()

    def flow(self) -> None:
        """The end of :meth:`stall`: what was held back arrives."""
        self._flows.set()

    def refuse(self) -> None:
        """Refuse new connections; those that there are go on."""
        # Wakes the thread that waits in accept, which a close alone would not.
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def accept(self) -> None:
        """The end of :meth:`refuse`."""
        if self._door.fileno() == -1:
            self._door = self._open(self.port)

    def _open(self, port: int) -> socket.socket:
        door = socket.create_server((HOST, port), backlog=128)
        threading.Thread(target=self._welcome, args=(door,), daemon=True).start()
        return door

    def _welcome(self, door: socket.socket) -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            try:
                server = _connect(self._target)
            except OSError:
                # The server is away: as a proxy that is not it can only hang up.
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            pair = _Pair(client, server)
            with self._lock:
                self._pairs.add(pair)
                is_late = self._is_over
            if is_late:
                pair.close()
                return
            for words in ((pair, client, server, "server"), (pair, server, client, "client")):
                threading.Thread(target=self._carry, args=words, daemon=True).start()

    def _carry(
        self, pair: "_Pair", source: socket.socket, sink: socket.socket, toward: Side
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK_BYTES):
                self._flows.wait()
                allowed = self._allowance(len(chunk), toward)
                sink.sendall(chunk[:allowed])
                if allowed < len(chunk):
                    self.cut()
        pair.close()
        with self._lock:
            self._pairs.discard(pair)

    def _allowance(self, count: int, toward: Side) -> int:
        with self._lock:
            left = self._left.get(toward)
            if left is None:
                return count
            self._left[toward] = max(0, left - count)
            return min(left, count)

    def close(self) -> None:
        """End all of it."""
        self._is_over = True
        self.refuse()
        self.cut()
        self.flow()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Pair:
    """A client's connection and ours to the server; both end together."""

    def __init__(self, *ends: socket.socket) -> None:
        self._ends = ends

    def close(self) -> None:
        for end in self._ends:
            # A thread may sit in recv or sendall: only this wakes it.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _connect(target: Target) -> socket.socket:
    if isinstance(target, tuple):
        return socket.create_connection(target, timeout=None)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(str(target))
    except OSError:
        server.close()
        raise
    return server
