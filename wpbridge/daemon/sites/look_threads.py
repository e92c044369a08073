"""Threads of a poller, each with its own connections, of which some stay open between two looks."""

import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.running.looks import LookedQueue, SharedConnection

Work: TypeAlias = Callable[[], None]


class ConnectionSet:
    """The accounts whose connections stay open between two looks: the first ones, and no more.

    The one that was used longest ago must not make room for another: with more accounts than
    places, each of which is looked at in turn, none would ever be found open.
    """

    def __init__(self) -> None:
        self.most = 1
        self._accounts: set[DatabaseAddress] = set()
        self._lock = threading.Lock()

    def keeps(self, account: DatabaseAddress) -> bool:
        """Tell whether a connection stays open, and take a place for it if there is one."""
        with self._lock:
            if account not in self._accounts and len(self._accounts) < self.most:
                self._accounts.add(account)
            return account in self._accounts

    def begin_anew(self, most: int) -> None:
        """Give the places anew, so many of them."""
        with self._lock:
            self.most = most
            self._accounts.clear()


class LookThread:
    """One thread that does one thing after the other, and the connections that it has open."""

    def __init__(self, kept: ConnectionSet) -> None:
        self._kept = kept
        self._open: dict[DatabaseAddress, SharedConnection] = {}
        self.work: queue.SimpleQueue[Work] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def connection(self, looked: LookedQueue) -> SharedConnection:
        """Return the connection of a queue's account. It connects when it is first used."""
        account = looked.account
        if account not in self._open:
            way = connect(looked.address, "wp_", is_runner=True)
            self._open[account] = SharedConnection(way.session)
        return self._open[account]

    def drop(self, looked: LookedQueue) -> None:
        """Close the connection of a queue's account, since something was wrong."""
        if (found := self._open.pop(looked.account, None)) is not None:
            found.close()

    def _run(self) -> None:
        while True:
            self.work.get()()
            for account in [one for one in self._open if not self._kept.keeps(one)]:
                self._open.pop(account).close()
