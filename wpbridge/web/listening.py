"""Open the socket at which the gateway listens, and remove its file at the end."""

import socket
from pathlib import Path

from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings
from wpbridge.site.wake_kinds import joined
from wpbridge.site.web_kinds import Listen
from wpbridge.system import listening
from wpbridge.system.trusted_files import may_obey


class Ear:
    """A socket that takes connections."""

    def __init__(self, sock: socket.socket, path: Path | None = None) -> None:
        """Take the socket, and its file where it has one."""
        self.sock = sock
        self._path = path
        self._file = _number_of(path)
        name = sock.getsockname()
        self.told = f"unix:{path}" if path else f"http://{joined(name[0], name[1])}"
        """The address for people."""

    def close(self) -> None:
        """Close it, and remove its file unless another one is in its place."""
        self.sock.close()
        if self._path is not None and _number_of(self._path) == self._file:
            self._path.unlink(missing_ok=True)


def opened(settings: Settings) -> Ear:
    """Listen where the settings say.

    Raises:
        ConfigError: that cannot be; the message says why.
    """
    where = Listen.of(settings.web_listen)
    try:
        if where.socket is None:
            return Ear(listening.listening_at(where.host, where.port))
        if not settings.trusted:
            may_obey(where.socket.parent, "the folder of the gateway's socket", is_searched=True)
        mode = int(settings.web_socket_mode, 8)
        return Ear(listening.listening_on(where.socket, mode=mode), where.socket)
    except OSError as error:
        raise ConfigError(f"cannot listen on {where.told}: {error.strerror}") from None


def _number_of(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
