"""Tell systemd how the service is (``sd_notify``), by datagrams to ``$NOTIFY_SOCKET``.

Outside of systemd nothing is sent, since nobody listens. Nothing here raises.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

from wpbridge.telling.visible import visible

VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""These are meant for this process alone, and its children do not get them."""
PATIENCE_USEC: Final = 60_000_000


class Notifier:
    """Sends the service manager messages about this daemon."""

    def __init__(self, address: str | None, *, watchdog_seconds: float | None = None) -> None:
        self._address = address
        self.watchdog_seconds = watchdog_seconds
        """A sign is expected within so many seconds; None when no watchdog is set."""

    @classmethod
    def of(cls, env: Mapping[str, str], pid: int | None = None) -> "Notifier":
        """Make one from the environment that systemd has set."""
        told = env.get("NOTIFY_SOCKET") or None
        usec, meant = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID")
        is_ours = not meant or meant == str(pid or os.getpid())
        is_set = told is not None and is_ours and usec.isdecimal() and int(usec) > 0
        return cls(told, watchdog_seconds=int(usec) / 1e6 if is_set else None)

    def ready(self, status: str) -> None:
        """Tell that the daemon has started, or that a reload is done."""
        self.send(READY=1, MAINPID=os.getpid(), STATUS=status)

    def reloading(self) -> None:
        """Tell that a reload has begun; :meth:`ready` tells its end."""
        self.send(RELOADING=1, MONOTONIC_USEC=int(time.monotonic() * 1e6))

    def stopping(self, status: str) -> None:
        """Tell that the daemon is ending."""
        self.send(STOPPING=1, STATUS=status)

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self.send(STATUS=text)

    def waiting(self, text: str) -> None:
        """Tell that the daemon is not ready, and ask for more time."""
        self.send(STATUS=text, EXTEND_TIMEOUT_USEC=PATIENCE_USEC)

    def alive(self) -> None:
        """Tell the watchdog that the daemon lives."""
        self.send(WATCHDOG=1)

    def send(self, **values: str | int) -> None:
        """Send one message, without the characters that a line cannot hold."""
        if not self._address:
            return
        texts = {name: visible(" ".join(str(value).split())) for name, value in values.items()}
        lines = [f"{name}={text}" for name, text in texts.items()]
        # The name of an abstract socket begins with a zero byte, which is written as @.
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
        ):
            ear.settimeout(0.5)
            # It is connected: only then the kernel knows whose queue is full, and lets us wait
            # for a manager that does not read.
            ear.connect(address)
            ear.send("\n".join(lines).encode())
