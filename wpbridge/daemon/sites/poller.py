"""Looks whether something is due on the sites of one user. Runs in a process of that user.

The scheduler names the sites to look at, and is told what was found. No handler is loaded here. A
thread reads files; each database server has a few threads of its own, so that a server which is
slow or away keeps no other one waiting. A site that was slow is looked at by a thread beside them.
"""

import json
import os
import selectors
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from wpbridge.clock import SystemClock
from wpbridge.daemon.sites.look_threads import ConnectionSet, LookThread
from wpbridge.daemon.sites.packing import unpacked
from wpbridge.dataclass import dataclass
from wpbridge.errors import StoreError, StoreUnavailable
from wpbridge.queue import wake
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site, resolve
from wpbridge.site.site_list import SiteEntry
from wpbridge.store.connect import connect_site, open_site
from wpbridge.store.database.session import Session
from wpbridge.store.reading.network_sites import NetworkSites
from wpbridge.store.running.looks import IdleLook, LookedQueue
from wpbridge.system.links import LinkReader
from wpbridge.telling.reasons import LONGEST_REASON, one_line

SILENT_SECONDS: Final = 60.0
"""A runner whose beat is older may have died with actions in hand."""
THREADS_A_SERVER: Final = 3
"""Beside one more, for sites that were slow."""
OPEN_SECONDS: Final = 30.0
"""The first look at a site's tables may take so long."""
SLOW_SECONDS: Final = 1.0
"""A site whose look took longer is looked at beside the others from then on."""
ANEW_SECONDS: Final = 300.0
"""Files and tables are looked at again after so long, and when a file has changed."""
MOST_BLOGS: Final = 2_000
"""So many blogs of one network are sites."""
_FILES: Final = "files"

Server: TypeAlias = tuple[object, ...]


@dataclass(slots=True, eq=False)
class PolledSite:
    """One site, and what is known of it."""

    entry: SiteEntry
    queue: LookedQueue | None = None
    address: DatabaseAddress | None = None
    ear: wake.Listener | None = None
    files: tuple[object, ...] = ()
    """How its files were when they were read."""
    anew_at: float = 0.0
    is_slow: bool = False
    is_asked: bool = False
    """Whether a look at it is under way."""


class Poller:
    """The sites of one user, and the link to the scheduler."""

    def __init__(self, link: socket.socket, env: Mapping[str, str]) -> None:
        """``env``: the environment, as a site's process has it."""
        self._link, self._reader = link, LinkReader(link)
        self._env = env
        self._sites: dict[str, PolledSite] = {}
        self._threads: dict[Server, LookThread] = {}
        self._kept = ConnectionSet()
        self._making, self._speaking = threading.Lock(), threading.Lock()
        self._ears = selectors.DefaultSelector()
        self._ears.register(link, selectors.EVENT_READ, self._hear)
        self._clock = SystemClock()

    def run(self) -> None:
        """Look when told to, until the scheduler is gone."""
        while True:
            for key, _ in self._ears.select():
                key.data()

    # Hearing

    def _hear(self) -> None:
        lines, goes_on = self._reader.lines()
        if not goes_on:
            # Threads may wait for a database. Nothing that they do must be finished.
            os._exit(0)
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, told: dict[str, Any]) -> None:
        if "sites" in told:
            self._kept.begin_anew(max(0, int(told["kept"])))
            self._take([unpacked(one) for one in told["sites"]])
        for name in told.get("look", ()):
            site = self._sites.get(name)
            if site is not None and not site.is_asked:
                site.is_asked = True
                thread = self._thread((_FILES,), name)
                thread.work.put(partial(self._guarded, site, self._read))

    def _take(self, entries: list[SiteEntry]) -> None:
        kept = {entry.name: entry for entry in entries}
        for name, site in list(self._sites.items()):
            if kept.get(name) != site.entry:
                self._deafen(site)
                del self._sites[name]
        for name, entry in kept.items():
            self._sites.setdefault(name, PolledSite(entry))

    # Looking

    def _guarded(self, site: PolledSite, step: Callable[[PolledSite], None]) -> None:
        """Do one step of a look. What goes wrong is the look's answer."""
        try:
            step(site)
        except Exception as error:  # noqa: BLE001 - whatever a site has, the others are looked at
            site.queue = site.address = None
            site.is_slow = isinstance(error, StoreError)
            self._answer(site, reason=one_line(error)[:LONGEST_REASON])

    def _read(self, site: PolledSite) -> None:
        """Find the site's database, unless that is known, and go on in a thread of its server."""
        now = time.monotonic()
        files = _seen(site.entry)
        if site.address is None or files != site.files or now >= site.anew_at:
            entry = site.entry
            settings = entry.settings(self._env)
            if entry.network:
                settings = replace(settings, url=None, blog_id=None)
            found = resolve(settings, self._env, entry.home)
            site.files, site.anew_at = files, now + ANEW_SECONDS
            site.address, site.queue = found.database, None
            after: Callable[..., None] = partial(self._open, found=found)
        else:
            after = self._look
        kind = "slow" if site.is_slow else "quick"
        thread = self._thread((kind, *_server(site.address)), str(site.address.user))
        thread.work.put(partial(self._guarded, site, partial(after, thread=thread)))

    def _open(self, site: PolledSite, *, thread: LookThread, found: Site) -> None:
        """Look at the tables once, on a connection of their own, and then look."""
        if site.entry.is_network(found):
            self._answer(site, blogs=_blogs(found))
            site.address = None
            return
        with closing(open_site(found, is_runner=True, prepare=_bound)) as store:
            has_runners = store.own.has(store.names.runners)
            look = IdleLook(store.tables, has_runners=has_runners)
            site.queue = LookedQueue(found.database, look)
            name = wake.wake_name(store)
        self._listen(site, name)
        self._look(site, thread=thread)

    def _look(self, site: PolledSite, *, thread: LookThread) -> None:
        looked = site.queue
        if looked is None:
            raise StoreUnavailable("its tables are looked at again")
        began = time.monotonic()
        try:
            sight = thread.connection(looked).look(
                looked, now=self._clock.now(), silent_seconds=SILENT_SECONDS
            )
        except Exception:
            thread.drop(looked)
            raise
        site.is_slow = time.monotonic() - began > SLOW_SECONDS
        self._answer(site, due=sight.is_due, left=sight.is_silent or sight.is_stale)

    def _thread(self, server: Server, name: str) -> LookThread:
        """Return a thread of a server. The same account always gets the same thread."""
        most = 1 if server[0] == "slow" else min(THREADS_A_SERVER, len(self._sites) or 1)
        number = zlib.crc32(name.encode()) % most
        with self._making:
            if (key := (*server, number)) not in self._threads:
                self._threads[key] = LookThread(self._kept)
            return self._threads[key]

    # Wakes

    def _listen(self, site: PolledSite, name: str) -> None:
        if site.ear is not None:
            return
        ear = wake.Listener.open(name, wake.folders(self._env), mark=f"{os.getpid()}")
        if ear is None:
            return

        def woken() -> None:
            if ear.drain():
                self._tell(site, woken=True)

        site.ear = ear
        self._ears.register(ear, selectors.EVENT_READ, woken)

    def _deafen(self, site: PolledSite) -> None:
        if site.ear is not None:
            self._ears.unregister(site.ear)
            site.ear.close()
            site.ear = None

    # Speaking

    def _answer(self, site: PolledSite, **told: object) -> None:
        site.is_asked = False
        self._tell(site, **told)

    def _tell(self, site: PolledSite, **told: object) -> None:
        line = json.dumps({"site": site.entry.name, **told}).encode() + b"\n"
        with self._speaking, suppress(OSError):
            self._link.sendall(line)


def _bound(session: Session) -> None:
    session.statement_seconds = OPEN_SECONDS


def _blogs(site: Site) -> list[int]:
    """Return the blogs of a network that have a queue. The main one need not have one."""
    with closing(connect_site(replace(site, url=None), prepare=_bound)) as way:
        return [blog.id for blog in NetworkSites(way).queues(most=MOST_BLOGS)]


def _server(address: DatabaseAddress) -> Server:
    if address.driver == "sqlite":
        return ("sqlite",)
    return (address.host, address.port, address.socket)


def _seen(entry: SiteEntry) -> tuple[object, ...]:
    """Return how the files are that say where the database is: their sizes and dates."""
    home = entry.home
    places = [home / "wp-config.php", home.parent / "wp-config.php", home / "wpbridge.toml"]
    if entry.path is not None:
        places.append(entry.path)
    if entry.config is not None:
        places.append(entry.config)
    return tuple(map(_status, places))


def _status(place: Path) -> object:
    try:
        found = place.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino
