"""Sites of several users on one host, and a daemon that serves all of them, as real processes."""

import contextlib
import os
import pwd
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import warm
from daemons import DEADLINE_SECONDS, until
from wpbridge import Queue
from wpbridge.action import Status
from wpbridge.errors import ConfigError
from wpbridge.monitor import sites_state
from wpbridge.monitor.sites_state import SitesState, SiteState
from wpbridge.site.database import DatabaseAddress

STATUSES = (Status.PENDING, Status.IN_PROGRESS, Status.COMPLETE, Status.FAILED)
IS_ROOT = os.geteuid() == 0
ACTS = """
import os
from pathlib import Path
from wpbridge import hook

@hook("count")
def count(number):
    with open("record", "ab", buffering=0) as stream:
        stream.write(f"{number} {os.getuid()} {os.getpid()} {Path.cwd()}\\n".encode())
"""
"""Handlers of a site: ``count`` writes down what ran, as whom and where."""
CONFIG = """<?php
define('DB_NAME', '{name}');
define('DB_USER', '{user}');
define('DB_PASSWORD', '{password}');
define('DB_HOST', '{host}:{port}');
$table_prefix = 'wp_';
{more}
require_once ABSPATH . 'wp-settings.php';
"""


def missing_users() -> str | None:
    """Why processes of other users cannot be started here; None where they can."""
    if not IS_ROOT:
        return "needs root"
    for place in (Path(sys.executable), Path(sys.executable).resolve(), Path(__file__)):
        if any(not one.stat().st_mode & 0o001 for one in place.parents):
            return f"{place} is in a folder that other users must not enter"
    return None


def other_users(count: int) -> list[str]:
    """Names of users of this system who are not root; of the test's own where it is not root."""
    if not IS_ROOT:
        return [pwd.getpwuid(os.geteuid()).pw_name] * count
    names = [one.pw_name for one in pwd.getpwall() if one.pw_uid not in (0, 65534)]
    return ["nobody", *names][:count]


class HostedSite:
    """One WordPress folder with handlers, and its queue."""

    def __init__(self, folder: Path, name: str, user: str, dsn: str) -> None:
        self.folder, self.name, self.user, self.dsn = folder, name, user, dsn

    def enqueue(self, *numbers: int, hook: str = "count") -> None:
        """Add actions that are due."""
        with Queue.open(dsn=self.dsn) as queue:
            for number in numbers:
                queue.enqueue_async(hook, [number])

    def records(self) -> list[list[str]]:
        """What its handlers wrote down, in order."""
        file = self.folder / "record"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def statuses(self) -> dict[str, int]:
        """How many actions it has, by status."""
        with Queue.open(dsn=self.dsn) as queue:
            return {str(one): queue.count(statuses=(one,)) for one in STATUSES}

    def write(self, name: str, text: str) -> Path:
        """Put a file of the site's user into its folder."""
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        shutil.chown(file, self.user)
        return file


class Host:
    """A folder of sites that belongs to root, or to the test's user, and the list of them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wpb", dir="/tmp")).resolve()
        self.folder.chmod(0o755)
        self.list = self.folder / "sites.toml"
        self.state_file = self.folder / "state.json"
        self.sites: dict[str, HostedSite] = {}
        self._entries: list[str] = []
        self.users = other_users(2)
        self._daemons: list[warm.Popen] = []

    def site(
        self,
        name: str,
        dsn: str,
        *,
        user: str = "",
        acts: str = ACTS,
        config: str = "",
        **keys: Any,
    ) -> HostedSite:
        """Add a WordPress of a user, whose settings name its handlers. Its tables are there."""
        user = user or self.users[0]
        folder = self.folder / name
        folder.mkdir()
        made = HostedSite(folder, name, user, dsn)
        address = DatabaseAddress.from_dsn(dsn)
        text = config or CONFIG.format(
            name=address.name,
            user=address.user,
            password=address.password or "",
            host=address.host,
            port=address.port,
            more="",
        )
        made.write("wp-config.php", text)
        made.write("acts.py", acts)
        made.write("wpbridge.toml", '[run]\nhandlers = ["acts"]\n')
        shutil.chown(folder, user)
        self.entry(name, path=str(folder), **keys)
        self.sites[name] = made
        return made

    def entry(self, name: str, **keys: Any) -> None:
        """Add an entry to the list."""
        lines = [f"{key} = {_toml(value)}" for key, value in {"name": name, **keys}.items()]
        self._entries.append("\n".join(["[[sites]]", *lines]))
        self.write_list()

    def write_list(self, *, without: tuple[str, ...] = ()) -> None:
        """Write the list, in one step."""
        kept = [one for one in self._entries if not any(f'name = "{n}"' in one for n in without)]
        new = self.list.with_suffix(".new")
        new.write_text("\n\n".join(kept), encoding="utf-8")
        assert tomllib.loads(new.read_text())
        new.replace(self.list)

    def start(
        self, *flags: str, env: Mapping[str, str] = {}, python: str = sys.executable
    ) -> warm.Popen:
        """Start the daemon, by this Python or another one."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
        quick = {
            "--poll-interval": "0.3s",
            "--linger": "1s",
            "--turn": "1s",
            "--state-file": str(self.state_file),
        }
        for name in [name for name in quick if name in flags]:
            del quick[name]
        words = [word for pair in quick.items() for word in pair]
        with (self.folder / "err").open("ab") as err:
            daemon = warm.Popen(
                [python, "-m", "wpbridge", "work", "--sites", str(self.list), *words, *flags],
                cwd=self.folder,
                stdout=err,
                stderr=err,
                start_new_session=True,
                env={**clean, "MARK": str(self.folder), **env},
            )
        self._daemons.append(daemon)
        return daemon

    def err(self) -> str:
        """What the daemon and its processes have printed."""
        return (self.folder / "err").read_text(errors="replace")

    def state(self) -> SitesState | None:
        """What the daemon tells; None where it has not told anything yet."""
        try:
            return sites_state.read(self.state_file)
        except ConfigError:
            return None

    def states(self) -> dict[str, SiteState]:
        """What the daemon tells of each site, by name."""
        state = self.state()
        return {} if state is None else {site.name: site for site in state.sites}

    def logged(self, *words: str) -> None:
        """Wait until one line of the log has all these words."""

        def is_there() -> bool:
            return any(all(word in line for word in words) for line in self.err().splitlines())

        until(is_there, lambda: f"{words} in {self.err()}")

    def told(self, name: str, is_so: Callable[[SiteState], Any], what: str) -> SiteState:
        """Wait until the daemon tells something of a site."""

        def look() -> SiteState | None:
            site = self.states().get(name)
            return site if site is not None and is_so(site) else None

        found: SiteState = until(
            look, lambda: f"{name} {what}: {self.states().get(name)}; {self.err()}"
        )
        return found

    def complete(self, name: str, count: int) -> None:
        """Wait until a site has so many complete actions."""
        site = self.sites[name]
        until(
            lambda: site.statuses().get("complete", 0) >= count,
            lambda: f"{count} complete on {name}: {site.statuses()}; {self.err()}",
            pause=0.05,
        )

    def hang_up(self) -> None:
        """Have the daemons read their lists anew."""
        for daemon in self._daemons:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGHUP)

    def quit(self) -> None:
        """End all daemons at once."""
        for daemon in self._daemons:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGQUIT)
                daemon.wait(timeout=DEADLINE_SECONDS)

    def stop(self, daemon: warm.Popen, number: signal.Signals = signal.SIGTERM) -> int:
        """End the daemon; returns its exit code."""
        daemon.send_signal(number)
        return int(daemon.wait(timeout=DEADLINE_SECONDS))

    def processes(self, word: str = "--worker") -> list[int]:
        """The processes of this host's daemons that have this word on their command line."""
        found = []
        for daemon in self._daemons:
            found += _below(daemon.pid)
        return [pid for pid in found if word in _words(pid)]

    def words_of(self, pid: int) -> str:
        """The command line of a process."""
        return _words(pid)

    def close(self) -> None:
        """End all daemons at once, and remove the folder."""
        for daemon in self._daemons:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGQUIT)
                daemon.wait(timeout=DEADLINE_SECONDS)
        until(lambda: not self.processes(), lambda: f"the end of {self.processes()}")
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def hosting() -> Iterator[Host]:
    """A host; no process of its daemons outlives the block."""
    host = Host()
    try:
        yield host
    finally:
        host.close()


def status_of(pid: int) -> dict[str, list[str]]:
    """The lines of a process's status in /proc."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def environment_of(pid: int) -> dict[str, str]:
    """The environment with which a process was started."""
    told = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(one.split("=", 1) for one in told if "=" in one)


def _below(pid: int) -> list[int]:
    """The processes below a process, by their parents."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - quicker
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, KeyError):
                parents.setdefault(int(status_of(int(name))["PPid"][0]), []).append(int(name))
    found: list[int] = []
    new = [pid]
    while new:
        below = [child for one in new for child in parents.get(one, [])]
        found, new = found + below, below
    return found


def _words(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    return ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
