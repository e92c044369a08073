"""Ports of 127.0.0.1 for servers that a test stops and starts again."""

import contextlib
import secrets
import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free and that this process has not been given before.

    It is below 32768. Linux gives the ports above to clients: one of them could be taken while its
    server is down, and a client that connects to one while nobody listens can even reach itself.
    The number does not come from ``random``, which pytest-randomly seeds alike in all processes.
    """
    while True:
        port = 15000 + secrets.randbelow(15000)
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            if port not in _given_ports:
                _given_ports.add(port)
                return port


_given_ports: set[int] = set()
