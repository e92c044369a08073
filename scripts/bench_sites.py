"""One daemon for many sites: its memory, what it asks and uses while idle, and its answer.

Each site has a database on one private MariaDB, and an account of its own but for one part. Needs
root, since the sites belong to other users of the system. Prints one JSON object.
"""

import argparse
import contextlib
import json
import os
import pwd
import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from daemons import until
from process_costs import children_of, cpu_seconds, pss_mib
from servers import MariaDB, private_mariadb
from stores import make_store
from wpbridge import Queue
from wpbridge.errors import ConfigError
from wpbridge.monitor import sites_state
from wpbridge.site.database import DatabaseAddress

HANDLERS = """
import time

from wpbridge import hook


@hook("bench")
def bench(number):
    with open("{stamps}", "ab", buffering=0) as stream:
        stream.write(f"{{number}} {{time.time()!r}}\\n".encode())
"""
QUESTIONS = ("Questions", "Com_select", "Connections")
LONGEST_SECONDS = 300.0
SETTLED_SECONDS = 15.0
"""A daemon is left alone so long before it counts as idle: its first looks open every site."""
PASSWORD = secrets.token_hex()
"""Of all accounts on the server."""


def sites_on(server: MariaDB, count: int) -> None:
    """Make databases of sites with all tables, each with an account of its own."""
    make_store(DatabaseAddress.from_dsn(_made(server, "site0")), "wp_").close()
    with server.connect(autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW TABLES FROM site0")
        tables = [str(row[0]) for row in cursor.fetchall()]
        for number in range(count):
            if number:
                cursor.execute(f"CREATE DATABASE site{number}")
                for table in tables:
                    cursor.execute(f"CREATE TABLE site{number}.{table} LIKE site0.{table}")
            cursor.execute(f"CREATE USER u{number}@localhost IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT ALL ON site{number}.* TO u{number}@localhost")
        cursor.execute(f"CREATE USER u@localhost IDENTIFIED BY '{PASSWORD}'")
        cursor.execute("GRANT ALL ON `site%`.* TO u@localhost")


def _made(server: MariaDB, name: str) -> str:
    with server.connect(autocommit=True) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
    return server.url(name)


class Daemon:
    """``wpbridge work --sites`` over these sites, which belong to so many users of the system."""

    def __init__(
        self,
        folder: Path,
        server: MariaDB,
        sites: int,
        users: int,
        *flags: str,
        has_accounts: bool = True,
    ) -> None:
        self.stamps = folder / "stamps"
        self.stamps.touch()
        self.stamps.chmod(0o666)
        (folder / "acts.py").write_text(HANDLERS.format(stamps=self.stamps), encoding="utf-8")
        names = [one.pw_name for one in pwd.getpwall() if one.pw_uid][:users]
        entries = [
            f'[[sites]]\nname = "s{n}"\nuser = "{names[n % len(names)]}"\nhandlers = ["acts"]\n'
            f'dsn = "mysql://u{n if has_accounts else ""}:{PASSWORD}@localhost/site{n}'
            f'?unix_socket={server.socket}"\n'
            for n in range(sites)
        ]
        (folder / "sites.toml").write_text("\n".join(entries), encoding="utf-8")
        self.state_file = folder / "state.json"
        words = [sys.executable, "-m", "wpbridge", "work", "--sites", str(folder / "sites.toml")]
        words += ["--state-file", str(self.state_file), "--quiet", *flags]
        self.users = len(names)
        self._process = subprocess.Popen(words, cwd=folder)

    def wait(self, sites: int) -> float:
        """Wait until each site was looked at; return the seconds that it took."""
        began = time.monotonic()
        until(
            lambda: self._idle() == sites,
            lambda: f"{sites} idle sites: {self._idle()} are",
            LONGEST_SECONDS,
            pause=0.1,
        )
        return time.monotonic() - began

    def _idle(self) -> int:
        # The daemon writes the file after its start.
        with contextlib.suppress(ConfigError):
            return sites_state.read(self.state_file).count("idle")
        return 0

    def ran(self, count: int) -> list[tuple[int, float]]:
        """Wait until so many actions have run; return the number of each, and when it began."""
        until(
            lambda: len(self._stamps()) >= count,
            lambda: f"{count} runs, of {len(self._stamps())}",
            LONGEST_SECONDS,
            pause=0.1,
        )
        return [(int(number), float(at)) for number, at in map(str.split, self._stamps())]

    def _stamps(self) -> list[str]:
        return self.stamps.read_text().splitlines()

    def processes(self) -> dict[str, list[int]]:
        """The process ids, by what the processes are."""
        host = [pid for pid in children_of(self._process.pid) if "pollers:" in _words(pid)]
        pollers = [pid for one in host for pid in children_of(one)]
        sites = [pid for pid in children_of(self._process.pid) if "site:" in _words(pid)]
        return {
            "scheduler": [self._process.pid],
            "poller host": host,
            "pollers": pollers,
            "sites": sites,
        }

    def end(self) -> None:
        """End it in order."""
        self._process.terminate()
        self._process.wait(timeout=LONGEST_SECONDS)


@contextlib.contextmanager
def daemon(
    server: MariaDB, sites: int, users: int, *flags: str, has_accounts: bool = True
) -> Iterator[Daemon]:
    """A daemon that has looked at each site once, and has ended when the block has."""
    with tempfile.TemporaryDirectory(prefix="wpb-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        one = Daemon(Path(folder), server, sites, users, *flags, has_accounts=has_accounts)
        try:
            yield one
        finally:
            one.end()


def _words(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8").replace("\0", " ")
    return ""


def cpu_seconds_of(pids: list[int]) -> float:
    """Processor time of processes so far."""
    seconds = 0.0
    for pid in pids:
        # A site's process may have ended, which does a day's upkeep.
        with contextlib.suppress(FileNotFoundError):
            seconds += cpu_seconds(pid)
    return seconds


def asked(server: MariaDB) -> Counter[str]:
    """What the server has counted, without what asking for it adds."""
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW GLOBAL STATUS")
        told = {str(name): str(value) for name, value in cursor.fetchall()}
    return Counter({name: int(told[name]) for name in QUESTIONS})


def idle(
    server: MariaDB, sites: int, users: int, seconds: float, *, has_accounts: bool = True
) -> dict[str, Any]:
    """An idle daemon: memory, statements and processor time."""
    with daemon(server, sites, users, has_accounts=has_accounts) as one:
        looked = one.wait(sites)
        time.sleep(min(seconds, SETTLED_SECONDS))
        kinds = one.processes()
        everyone = [pid for pids in kinds.values() for pid in pids]
        before, cpu, began = asked(server), cpu_seconds_of(everyone), time.monotonic()
        time.sleep(seconds)
        took, after = time.monotonic() - began, asked(server)
        used = cpu_seconds_of(everyone) - cpu
        return {
            "sites": sites,
            "users": one.users,
            "accounts": sites if has_accounts else 1,
            "seconds_until_each_was_looked_at": round(looked, 1),
            "processes": {kind: len(pids) for kind, pids in kinds.items()},
            "pss_mib": {kind: pss_mib(pids) for kind, pids in kinds.items()}
            | {"all": pss_mib(everyone)},
            "cpu_percent": round(100 * used / took, 2),
            "per_second": {name: round((after - before)[name] / took, 1) for name in QUESTIONS},
        }


def waits(server: MariaDB, sites: int, times: int, *flags: str) -> dict[str, Any]:
    """Actions that become due one after the other, each on another site: how long each waits."""
    chance = random.Random(21)  # noqa: S311 - the same moments each time
    with daemon(server, sites, 1, *flags) as one:
        one.wait(sites)
        enqueued: dict[int, float] = {}
        for number in range(times):
            dsn = server.url(f"site{number * (sites // times)}")
            with Queue.open(dsn=dsn) as queue:
                enqueued[number] = time.time()
                queue.enqueue_async("bench", [number])
            time.sleep(chance.uniform(0.5, 1.5))
        found = sorted(at - enqueued[number] for number, at in one.ran(times))
        return {
            "actions": times,
            "flags": list(flags),
            "p50_seconds": round(statistics.median(found), 2),
            "p95_seconds": round(found[int(0.95 * (len(found) - 1))], 2),
            "longest_seconds": round(found[-1], 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each idle daemon")
    parser.add_argument("--times", type=int, default=60, help="actions that are waited for")
    parser.add_argument("--users", type=int, default=300, help="users of the system, at most")
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    given = parser.parse_args()
    if os.geteuid():
        sys.exit("bench_sites: run it as root, since sites belong to other users")
    if given.quick:
        given.sites, given.seconds, given.times = 10, 3.0, 3
    began = time.monotonic()
    shared = Path("/dev/shm")  # noqa: S108 - memory, on which the database lies
    tempfile.tempdir = str(shared) if shutil.disk_usage(shared).free > 4 << 30 else None
    with private_mariadb(("--max-connections=500", "--innodb-file-per-table=0")) as server:
        server.folder.chmod(0o755)
        sites_on(server, given.sites)
        found = {
            "load_before": [round(one, 1) for one in os.getloadavg()],
            "processors": os.cpu_count(),
            "idle_one_account": idle(server, given.sites, 1, given.seconds, has_accounts=False),
            "idle_one_user": idle(server, given.sites, 1, given.seconds),
            "idle_many_users": idle(server, given.sites, given.users, given.seconds),
            "waits": waits(server, given.sites, given.times),
            "waits_looked_at_each_2s": waits(
                server, given.sites, given.times, "--poll-interval=2s"
            ),
            "took": str(timedelta(seconds=round(time.monotonic() - began))),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
