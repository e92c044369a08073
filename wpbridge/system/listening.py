"""Opens sockets that take connections: by TCP, and on Unix sockets in the file system.

Every function raises OSError with a reason in plain words.
"""

import errno
import socket
from pathlib import Path
from typing import Final

from wpbridge.system import datagrams

BACKLOG: Final = 2048
"""So many connections wait until they are taken."""
_REASONS: Final = {
    errno.EADDRINUSE: "another process listens there",
    errno.EACCES: "this user may not listen there",
    errno.EADDRNOTAVAIL: "this host does not have this address",
}


def listening_at(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections at a host's address. Port 0 means any free one."""
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise OSError(error.errno, f"there is no host {host}") from None
    except OSError as error:
        raise OSError(error.errno, _REASONS.get(error.errno or 0, error.strerror)) from None


def listening_on(path: Path, *, mode: int) -> socket.socket:
    """Return a Unix socket that takes connections; it takes the place of one that is stale."""
    ear = datagrams.bound_to_path(path, mode=mode, group=None, kind=socket.SOCK_STREAM)
    ear.listen(BACKLOG)
    return ear
