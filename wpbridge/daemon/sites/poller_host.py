"""Starts pollers: each is a copy of this process that becomes a user before it does anything else.

A poller of its own interpreter would take some 30 MB for each user. A copy shares the memory of
what is loaded, which is wpbridge's own code and nothing of a site. This process has one thread, no
secret and nothing open but its link, so that a copy inherits nothing else.
"""

import gc
import json
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from wpbridge.daemon import signals
from wpbridge.daemon.sites.poller import Poller
from wpbridge.daemon.sites.users import SystemUser, limit
from wpbridge.site import resolve
from wpbridge.site.site_list import SiteEntry
from wpbridge.store import connect
from wpbridge.system.forked import become

MOST_BYTES: Final = 1 << 16
"""A request is no longer."""
Host: TypeAlias = tuple[subprocess.Popen[bytes], socket.socket]
"""The process that hosts pollers, and the link to it."""
POLLER_BYTES: Final = 512 << 20
"""A poller has no more memory of its own."""
REAP_SECONDS: Final = 5.0
_STANDARD: Final = 3
"""Descriptors below this one are the streams that each program has."""


def host_pollers(link: socket.socket) -> None:
    """Start and end pollers as the scheduler asks, until it is gone.

    A request is one message: the number of a user, an environment, and the descriptor of the
    poller's link.
    """
    # What each poller would load by itself is loaded once, and shared. A poller may load nothing
    # later: perhaps its user must not read Python's own folders.
    resolve.preload()
    connect.preload()
    _rehearse()
    gc.collect()
    gc.freeze()
    link.settimeout(0)
    ears = selectors.DefaultSelector()
    ears.register(link, selectors.EVENT_READ)
    while True:
        ears.select(REAP_SECONDS)
        _reap()
        try:
            told, descriptors, _, _ = socket.recv_fds(link, MOST_BYTES, 1)
        except BlockingIOError:
            continue
        if not told:
            return
        request: dict[str, Any] = json.loads(told)
        _fork(link, descriptors[0], request)
        os.close(descriptors[0])


def _rehearse() -> None:
    """Read the settings of a made-up site, so that what is made at first use is shared as well."""
    made_up = SiteEntry(name="x", place="", folder=Path("/"), dsn="sqlite:///:memory:")
    resolve.resolve(made_up.settings({}), {}, Path("/"))


def ask(link: socket.socket, user: SystemUser, env: Mapping[str, str]) -> socket.socket:
    """Ask the host for a poller, and return the scheduler's end of its link. Raises OSError."""
    ours, theirs = socket.socketpair()
    told = {"uid": user.uid, "env": dict(env)}
    try:
        with theirs:
            socket.send_fds(link, [json.dumps(told).encode()], [theirs.fileno()])
    except OSError:
        ours.close()
        raise
    ours.settimeout(0)
    return ours


def _fork(link: socket.socket, descriptor: int, request: Mapping[str, Any]) -> None:
    if os.fork():
        return
    # The copy leaves by os._exit alone: nothing of the host may go on in it.
    try:
        _be_poller(link, descriptor, request)
    except BaseException as error:  # noqa: BLE001 - it ends here whatever it was
        with suppress(OSError):
            os.write(2, f"wpbridge: a poller ended: {type(error).__name__}\n".encode())
    finally:
        os._exit(1)


def _be_poller(link: socket.socket, descriptor: int, request: Mapping[str, Any]) -> None:
    limit(POLLER_BYTES)
    become(request["uid"])
    os.umask(0o077)
    link.close()
    _close_all_but(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    with suppress(OSError):
        os.chdir("/")
    Poller(socket.socket(fileno=descriptor), dict(request["env"])).run()


def _close_all_but(kept: int) -> None:
    os.closerange(_STANDARD, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def start_host(words: Callable[[str], list[str]], env: Mapping[str, str]) -> Host:
    """Start a process that hosts pollers; returns it with the link to it. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # A copy is of another user: it must find no secret of ours in what it has of our memory.
    kept = (
        {name: env[name] for name in ("PATH", "HOME") if name in env} if os.geteuid() == 0 else env
    )
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - this program itself
            words(f"pollers:{theirs.fileno()}"),
            stdin=subprocess.DEVNULL,
            # Each thread would have a heap of its own.
            env={**kept, "MALLOC_ARENA_MAX": "1"},
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    ours.settimeout(0)
    return process, ours


def main(told: str) -> None:
    """Be the host. ``told`` is what the scheduler has put on the command line."""
    signals.deafen()
    host_pollers(socket.socket(fileno=int(told.partition(":")[2])))
    sys.exit(0)
