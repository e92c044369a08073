"""The scheduler's end of the pollers: one for each user, started anew when one has ended."""

import json
import logging
import selectors
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any, Final

from wpbridge.daemon.sites import poller_host
from wpbridge.daemon.sites.packing import packed
from wpbridge.daemon.sites.users import SystemUser, environment
from wpbridge.daemon.worker_slots import LOUD_DEATHS
from wpbridge.dataclass import dataclass
from wpbridge.site.site_list import SiteEntry
from wpbridge.system.links import LinkReader
from wpbridge.telling.log import tell

MOST_CONNECTIONS: Final = 64
"""So many connections to databases stay open between looks, shared out among the pollers."""
AGAIN_SECONDS, LONGEST_SECONDS = 5.0, 300.0
"""A poller, or their host, that has ended is started again after so long at first, and at most."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Poller:
    """The link to one poller."""

    user: SystemUser
    link: socket.socket
    unsent: bytes = b""
    """What its socket had no room for."""
    _reader: LinkReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = LinkReader(self.link)

    def hear(self) -> tuple[list[dict[str, Any]], bool]:
        """Return what it has told, and whether more may come."""
        return self._reader.messages()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message, or keep what there is no room for."""
        self.unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send what was kept."""
        with suppress(OSError):
            while self.unsent:
                self.unsent = self.unsent[self.link.send(self.unsent) :]


class Pollers:
    """All pollers of one daemon, and the process that hosts them."""

    def __init__(
        self,
        words: Callable[[str], list[str]],
        env: Mapping[str, str],
        selector: selectors.BaseSelector,
        *,
        lost: Callable[[SystemUser], None],
    ) -> None:
        """Start no process yet.

        Args:
            words: the command that becomes the host.
            env: the scheduler's environment.
            selector: watches the links.
            lost: told of a user whose poller has ended.
        """
        self._words, self._env, self._selector, self._lost = words, env, selector, lost
        self._host: poller_host.Host | None = None
        self._host_at = 0.0
        self._pollers: dict[SystemUser, _Poller] = {}
        self._again: dict[SystemUser, float] = {}
        self._deaths: dict[SystemUser, int] = {}
        """How many pollers of a user have ended in a row without a word."""
        self._entries: dict[SystemUser, list[SiteEntry]] = {}

    def take(self, entries: Iterable[tuple[SystemUser, SiteEntry]]) -> None:
        """Serve these sites from now on. A poller whose user has no site any more ends."""
        before, self._entries = self._entries, {}
        for user, entry in entries:
            self._entries.setdefault(user, []).append(entry)
        is_same_share = len(before) == len(self._entries)
        for user in list(self._pollers):
            if user not in self._entries:
                self._close(user)
            elif not (is_same_share and before.get(user) == self._entries[user]):
                self._tell_sites(self._pollers[user])

    def tick(self) -> None:
        """Start the host and the pollers that are missing."""
        now = time.monotonic()
        if self._host is None and now >= self._host_at:
            self._host_at = now + AGAIN_SECONDS
            self._start_host()
        for user in self._entries.keys() - self._pollers.keys():
            if now >= self._again.get(user, 0.0) and not self._start(user):
                break
        for poller in self._pollers.values():
            poller.flush()

    def users(self) -> Collection[SystemUser]:
        """Return the users whose sites can be looked at now."""
        return self._pollers.keys()

    def look(self, user: SystemUser, names: Sequence[str]) -> None:
        """Have sites of a user looked at."""
        self._pollers[user].send({"look": list(names)})

    def hear(self, key: object) -> list[tuple[SystemUser, dict[str, Any]]]:
        """Return what a poller has told; ``key`` is what the selector has for its link."""
        if key is self:
            self._hear_host()
        if not isinstance(key, _Poller):
            return []
        told, goes_on = key.hear()
        if told:
            self._deaths.pop(key.user, None)
        if not goes_on:
            self._close(key.user)
            self._note_death(key.user)
            self._lost(key.user)
        return [(key.user, message) for message in told]

    def close(self) -> None:
        """End all of them: they end when their links close."""
        for user in list(self._pollers):
            self._close(user)
        if self._host is not None:
            self._host[1].close()
            self._host[0].wait()

    def _note_death(self, user: SystemUser) -> None:
        """Say when this user gets another poller: after longer and longer, while each one ends."""
        self._deaths[user] = deaths = self._deaths.get(user, 0) + 1
        wait = min(LONGEST_SECONDS, AGAIN_SECONDS * 2.0 ** min(deaths - 1, 10))
        self._again[user] = time.monotonic() + wait
        level = logging.WARNING if deaths in LOUD_DEATHS else logging.INFO
        tell("poller.lost", level=level, user=user.name)

    def _start_host(self) -> None:
        try:
            self._host = poller_host.start_host(self._words, self._env)
        except OSError as error:
            tell("poller.not_started", error=error.strerror)
            return
        self._selector.register(self._host[1], selectors.EVENT_READ, self)

    def _start(self, user: SystemUser) -> bool:
        """Ask for a poller; False where the host is to be asked again a moment later."""
        if self._host is None:
            return False
        try:
            link = poller_host.ask(self._host[1], user, environment(user, self._env))
        except BlockingIOError:
            # It has not started yet those that it was asked for.
            return False
        except OSError as error:
            self._again[user] = time.monotonic() + AGAIN_SECONDS
            tell("poller.not_started", user=user.name, error=error.strerror)
            return True
        poller = self._pollers[user] = _Poller(user=user, link=link)
        self._selector.register(link, selectors.EVENT_READ, poller)
        self._tell_sites(poller)
        return True

    def _tell_sites(self, poller: _Poller) -> None:
        kept = MOST_CONNECTIONS // max(1, len(self._entries))
        entries = self._entries[poller.user]
        poller.send({"sites": [packed(entry) for entry in entries], "kept": kept})

    def _hear_host(self) -> None:
        if self._host is None:
            return
        try:
            got = self._host[1].recv(4096)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            self._selector.unregister(self._host[1])
            self._host[1].close()
            self._host[0].wait()
            self._host = None
            tell("poller.lost", user="")

    def _close(self, user: SystemUser) -> None:
        poller = self._pollers.pop(user)
        self._selector.unregister(poller.link)
        poller.link.close()
