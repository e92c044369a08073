"""A server that refuses some statements, as clusters and proxies do: MariaDB behind a proxy."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PXC: Final = (
    1105,
    "Percona-XtraDB-Cluster prohibits use of GET_LOCK with pxc_strict_mode = ENFORCING",
)
GALERA: Final = (
    1235,
    "This version of MariaDB doesn't yet support 'GET_LOCK in cluster (WSREP_ON=ON)'",
)

Refusals = Mapping[bytes, tuple[int, str]]
"""What a refused statement holds, with the number and the words of the answer."""
_QUERY: Final = 3


@contextlib.contextmanager
def refusing(target: Path, refusals: Refusals) -> Iterator[int]:
    """Run the proxy; gives its port on 127.0.0.1."""
    door = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(door, target, refusals), daemon=True).start()
    try:
        yield int(door.getsockname()[1])
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()


def _accept(door: socket.socket, target: Path, refusals: Refusals) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = door.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(target))
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            threading.Thread(target=_listen, args=(client, server, refusals), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _listen(client: socket.socket, server: socket.socket, refusals: Refusals) -> None:
    with contextlib.suppress(OSError), client, server:
        while data := client.recv(65536):
            # A short statement comes whole.
            is_query = len(data) > 5 and data[4] == _QUERY
            told = next((t for words, t in refusals.items() if is_query and words in data), None)
            if told is None:
                server.sendall(data)
                continue
            body = b"\xff" + struct.pack("<H", told[0]) + b"#HY000" + told[1].encode()
            client.sendall(struct.pack("<I", len(body))[:3] + b"\x01" + body)
