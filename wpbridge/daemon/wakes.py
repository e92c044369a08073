"""Hears wakes, drops those that are not signed for this site, and hands the others to the workers.

A wake costs little, and a flood of wakes costs no more: the sockets are read once every 20 ms, and
every 20 ms one worker is told to look. One wake reaches every worker, one after the other. Those
that have nothing in hand come first. The workers tell the keys, since only they open the database.
"""

import selectors
import socket
import time
from collections.abc import Callable, Collection
from typing import Any, Final

from wpbridge.codec.wakes import Wake, read
from wpbridge.daemon.wake_listener import WakeListener
from wpbridge.daemon.worker_process import Child

CALM_SECONDS: Final = 0.02
"""Between two looks at the sockets, and between two workers that are told."""
KEYS_SECONDS: Final = 60.0
"""The workers are asked for the keys once in this time, when a wake does not fit those we have."""


class Wakes:
    """What has been heard, and who is still to be told."""

    def __init__(
        self,
        listener: WakeListener,
        selector: selectors.BaseSelector,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``now`` is the time of the day, which is compared with that of a wake."""
        self._listener = listener
        self._selector = selector
        self._clock = clock
        self._now = now
        self._prefix = ""
        self._keys: tuple[bytes, ...] = ()
        self._keys_asked_at: float | None = None
        self._are_keys_wanted = False
        self._listens_at = 0.0
        """When the sockets are read again; they are not watched before."""
        self._tells_at = 0.0
        """When the next worker may be told."""
        self._waiting: list[Child] = []
        self._told_at: dict[Child, float] = {}
        self._is_heard = False
        """Whether a wake has been heard since the last round of the workers was made."""

    def due(self) -> float | None:
        """Return when there is something to do; None while nothing waits."""
        moments = [] if self._is_watching() or not self._sockets() else [self._listens_at]
        if self._is_heard or self._waiting:
            moments.append(self._tells_at)
        return min(moments, default=None)

    def take_keys(self, prefix: str, keys: Collection[bytes]) -> None:
        """Keep what a worker has read: the site's prefix, and the keys that count."""
        self._prefix, self._keys = prefix, tuple(keys)

    def learn(self, message: dict[str, Any]) -> None:
        """Take the keys out of a worker's message, if it has any."""
        told = message.get("wakes")
        if told:
            self.take_keys(str(told["prefix"]), [bytes.fromhex(key) for key in told["keys"]])

    def hear(self) -> None:
        """Read what has come. Nothing more is read for a moment."""
        for sock in self._sockets():
            self._unwatch(sock)
        self._listens_at = self._clock() + CALM_SECONDS
        for ear in self._listener.ears:
            for message in ear.messages():
                wake = read(message)
                self._is_heard = self._is_heard or (wake is not None and self._counts(wake))

    def tick(self, workers: Collection[Child]) -> None:
        """Do what is due: listen again, and tell the next worker."""
        now = self._clock()
        self._listener.open()
        if now >= self._listens_at:
            for sock in self._sockets():
                self._watch(sock)
        if self._are_keys_wanted and workers:
            self._are_keys_wanted = False
            next(iter(workers)).tell("wake-keys")
        if now < self._tells_at or not (self._is_heard or self._waiting):
            return
        if self._is_heard:
            self._is_heard = False
            # Who was told last waits longest, and who works comes after those who are idle.
            self._waiting = sorted(
                workers, key=lambda c: (bool(c.totals.get("in_hand")), self._told_at.get(c, 0.0))
            )
        there = set(workers)
        self._waiting = [child for child in self._waiting if child in there]
        self._told_at = {child: at for child, at in self._told_at.items() if child in there}
        if self._waiting:
            child = self._waiting.pop(0)
            child.tell("wake")
            self._told_at[child] = now
            self._tells_at = now + CALM_SECONDS

    def close(self) -> None:
        """Stop listening."""
        for sock in self._sockets():
            self._unwatch(sock)
        self._listener.close()

    def _counts(self, wake: Wake) -> bool:
        if wake.prefix != self._prefix or not wake.is_current(self._now()):
            return False
        if wake.is_signed(self._keys):
            return True
        # Perhaps the secret was made or rotated after the keys were read.
        now = self._clock()
        if self._keys_asked_at is None or now - self._keys_asked_at >= KEYS_SECONDS:
            self._keys_asked_at, self._are_keys_wanted = now, True
        return False

    def _sockets(self) -> list[socket.socket]:
        return [ear.sock for ear in self._listener.ears if ear.sock is not None]

    def _is_watching(self) -> bool:
        watched = self._selector.get_map()
        return all(sock in watched for sock in self._sockets())

    def _watch(self, sock: socket.socket) -> None:
        if sock not in self._selector.get_map():
            self._selector.register(sock, selectors.EVENT_READ, self)

    def _unwatch(self, sock: socket.socket) -> None:
        if sock in self._selector.get_map():
            self._selector.unregister(sock)
