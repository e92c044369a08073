"""A daemon through outages: it backs off, stays up, says it once, goes on, loses and doubles nothing.

Real ``wpbridge work`` processes over a MariaDB of the tests' own, which they may harm.
"""

import os
import random
import shlex
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

import invariants
from conftest import execute, needs
from daemons import (
    DEADLINE_SECONDS,
    HANDLERS,
    Daemon,
    StartDaemon,
    started_daemons,
    until,
    work_folder,
    wpbridge,
)
from factories import make_new
from proxy import Proxy
from rows import change, query
from servers import MariaDB, missing_mariadb, private_mariadb
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

ACTS = f"""{HANDLERS}
@hook("relay")
def relay(number, *, context: Context):
    record("start", number, os.getpid())
    with open("gate", "rb") as gate:
        gate.read()
    context.enqueue("count", [number])
"""


@dataclass
class Place:
    """A database of a server, and the account that the daemon has: none that may do everything."""

    server: MariaDB
    name: str
    store: RunnerStore

    @property
    def dsn(self) -> str:
        return f"mysql://{self.name}:good@localhost/{self.name}?unix_socket={self.server.socket}"

    def behind(self, proxy: Proxy) -> str:
        return f"mysql://{self.name}:good@127.0.0.1:{proxy.port}/{self.name}"

    def add(self, hook: str, count: int, *, first: int = 0) -> None:
        """Actions with the numbers from the first on."""
        now, numbers = SystemClock().now(), range(first, first + count)
        self.store.insert([make_new(hook, args=(n,), now=now) for n in numbers], now=now)

    def execute(self, statement: str) -> None:
        execute(self.server, statement)

    def connections(self) -> list[int]:
        """Of the daemon's account."""
        rows = query(
            self.store, "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = :u", u=self.name
        )
        return [int(str(row[0])) for row in rows]

    def hang_up(self) -> None:
        """Close the daemon's connections, as an administrator would."""
        for number in self.connections():
            change(self.store, f"KILL {number}")

    def has_ended(self, count: int) -> bool:
        return self.store.counts() == {"complete": count}


def only_once(one: Daemon, word: str, count: int) -> None:
    """Each of the numbers was recorded, and none of them twice."""
    numbers = Counter(int(words[0]) for words in one.records(word))
    assert sorted(numbers) == list(range(count))
    assert set(numbers.values()) == {1}


def outages(one: Daemon) -> tuple[int, int]:
    return one.err().count("store.lost"), one.err().count("store.back")


def noticed(one: Daemon, times: int) -> None:
    """Assert that each outage was logged once, and its end, too.

    The end is logged after its statement, whose rows others see a moment before.
    """
    until(lambda: outages(one)[1] >= times, "the end of each outage in the log")
    assert outages(one) == (times, times)


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    needs(missing_mariadb())
    with private_mariadb(["--max-connections=20"], may_be_killed=True) as it:
        yield it


@pytest.fixture
def place(server: MariaDB, open_queue: Callable[[str], RunnerStore]) -> Iterator[Place]:
    name = f"t{uuid.uuid4().hex[:12]}"
    execute(server, f"CREATE DATABASE {name} COLLATE utf8mb4_unicode_520_ci")
    execute(server, f"CREATE USER {name}@'%' IDENTIFIED BY 'good'")
    execute(server, f"CREATE USER {name}@localhost IDENTIFIED BY 'good'")
    execute(server, f"GRANT ALL ON {name}.* TO {name}@'%'")
    execute(server, f"GRANT ALL ON {name}.* TO {name}@localhost")
    store = open_queue(server.url(name))
    store.session.patience_seconds = DEADLINE_SECONDS
    try:
        yield Place(server, name, store)
    finally:
        if not server.socket.exists():
            # A test that failed shall not take the others with it.
            server.start()
    execute(server, f"DROP DATABASE {name}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return work_folder(tmp_path, ACTS)


@pytest.fixture
def daemon(folder: Path) -> Iterator[StartDaemon]:
    with started_daemons(folder) as start:
        yield lambda dsn, *flags: start(dsn, "--heartbeat-file", "beat", *flags)


def probe(one: Daemon, what: str) -> str:
    return wpbridge(one.folder, "probe", what, "--heartbeat-file", "beat").stdout.strip()


def is_away(one: Daemon) -> bool:
    return probe(one, "ready") == "not ready: the database does not answer"


# Servers that are away


def test_restarts_under_busy_processes(place: Place, daemon: StartDaemon) -> None:
    place.add("count", 3000)
    one = daemon(place.dsn, "--processes", "2", "--batch-size", "20").ready()
    one.recorded("count", 300)
    place.server.kill()
    one.logged("store.lost", 2)
    place.server.start()
    one.logged("store.back", 2)
    one.recorded("count", 1200)
    place.server.stop()
    one.logged("store.lost", 4)
    until(lambda: is_away(one), "a probe that says so")
    assert probe(one, "live") == "live"
    place.server.start()
    until(lambda: place.has_ended(3000), "all complete")
    until(lambda: probe(one, "ready") == "ready", "a ready daemon")
    only_once(one, "count", 3000)
    noticed(one, 4)
    one.send(signal.SIGTERM)
    assert one.code() == 143
    assert "complete=3000" in one.err(), "what was written without an answer counts as well"
    invariants.check(place.store)


def test_a_database_that_is_away_at_the_start_is_waited_for(
    place: Place, daemon: StartDaemon
) -> None:
    place.add("count", 10)
    place.server.stop()
    one = daemon(place.dsn, "--processes", "2")
    one.told("EXTEND_TIMEOUT_USEC")
    until(lambda: is_away(one), "a probe that says so")
    assert probe(one, "live") == "live"
    place.server.start()
    one.ready().recorded("count", 10)
    until(lambda: place.has_ended(10), "all complete")
    noticed(one, 1)


def test_one_that_waits_at_its_start_can_be_stopped(place: Place, daemon: StartDaemon) -> None:
    one = daemon("mysql://x@127.0.0.1:9/d")
    one.logged("store.lost")
    one.send(signal.SIGTERM)
    assert one.code() == 143


@pytest.mark.parametrize("wrong", ["password", "database"])
def test_what_waiting_does_not_mend_ends_it_at_the_start(
    wrong: str, place: Place, folder: Path
) -> None:
    dsn = place.dsn.replace(
        ":good@" if wrong == "password" else f"/{place.name}",
        ":bad@" if wrong == "password" else "/none",
    )
    done = wpbridge(folder, "work", "--dsn", dsn, "--handlers", "acts")
    assert (done.returncode, len(done.stderr.splitlines())) == (69, 1), done.stderr
    assert "refuses us" in done.stderr


def test_cuts_at_any_byte(place: Place, daemon: StartDaemon) -> None:
    """In claims and endings, before, in and after their COMMITs."""
    chance = random.Random(5)  # noqa: S311 - a fixed order
    place.add("count", added := 300)
    with Proxy(place.server.socket) as proxy:
        one = daemon(place.behind(proxy), "--processes", "2", "--batch-size", "10").ready()
        end = time.monotonic() + DEADLINE_SECONDS
        while proxy.cuts < 20 and time.monotonic() < end:
            if place.has_ended(added):
                place.add("count", 300, first=added)
                added += 300
            proxy.cut_after(chance.randrange(4000), toward=chance.choice(["server", "client"]))
            proxy.wait_for_cut(1.0)
        until(lambda: place.has_ended(added), "all complete")
        only_once(one, "count", added)
        one.send(signal.SIGTERM)
        assert one.code() == 143
    assert proxy.cuts >= 20
    assert f"complete={added}" in one.err()
    assert "worker.died" not in one.err()
    invariants.check(place.store)


def test_handlers_that_enqueue_wait_as_well(place: Place, daemon: StartDaemon) -> None:
    place.add("relay", 2)
    one = daemon(place.dsn).ready()
    one.recorded("start", 2)
    place.server.kill()
    one.logged("store.lost")
    one.open_gate()
    place.server.start()
    until(lambda: place.has_ended(4), "both and what they enqueued")
    only_once(one, "start", 2)
    only_once(one, "count", 2)
    invariants.check(place.store)


# Servers that refuse


@pytest.fixture
def busy(place: Place, daemon: StartDaemon) -> Daemon:
    place.add("count", 2000)
    one: Daemon = daemon(place.dsn, "--batch-size", "10").ready()
    one.recorded("count", 100)
    return one


def goes_on(one: Daemon, place: Place, workers: list[int]) -> None:
    """It was one outage, and the same process did all that there was to do."""
    until(lambda: place.has_ended(2000), "all complete")
    only_once(one, "count", 2000)
    # Its last transaction may be seen before it has told that it was made.
    one.logged("store.back")
    noticed(one, 1)
    assert one.workers() == workers
    invariants.check(place.store)


def test_a_server_that_becomes_read_only(place: Place, busy: Daemon) -> None:
    workers = busy.workers()
    place.execute("SET GLOBAL read_only = 1")
    try:
        busy.logged("store.lost")
        assert "the database is read-only" in busy.err()
        until(lambda: is_away(busy), "a probe that says so")
    finally:
        place.execute("SET GLOBAL read_only = 0")
    goes_on(busy, place, workers)


def test_too_many_connections(place: Place, busy: Daemon) -> None:
    workers = busy.workers()
    socket = str(place.server.socket)
    taken = [pymysql.connect(unix_socket=socket, user="root") for _ in range(10)]
    change(place.store, "SET GLOBAL max_connections = 10")
    try:
        place.hang_up()
        busy.logged("store.lost")
        assert "Too many connections" in busy.err()
    finally:
        change(place.store, "SET GLOBAL max_connections = 20")
        for connection in taken:
            connection.close()
    goes_on(busy, place, workers)


def test_a_login_that_is_refused_for_a_while(place: Place, busy: Daemon) -> None:
    """As when the password is changed in the database first, and in wp-config.php then."""
    workers = busy.workers()
    place.execute(f"ALTER USER {place.name}@localhost IDENTIFIED BY 'other'")
    place.hang_up()
    busy.logged("store.lost")
    assert "the database refuses us" in busy.err()
    place.execute(f"ALTER USER {place.name}@localhost IDENTIFIED BY 'good'")
    goes_on(busy, place, workers)


def test_what_is_no_outage_ends_the_worker_and_the_next_one_goes_on(
    place: Place, busy: Daemon
) -> None:
    table = f"{place.name}.wp_actionscheduler_actions"
    place.execute(f"RENAME TABLE {table} TO {table}_away")
    busy.logged("worker.died")
    assert "doesn't exist" in busy.err()
    place.execute(f"RENAME TABLE {table}_away TO {table}")
    until(lambda: place.has_ended(2000), "all complete")
    # What ran when the worker died may run again: how it ended is not in the tables.
    assert set(range(2000)) == {int(words[0]) for words in busy.records("count")}
    assert "Traceback" not in busy.err()
    assert busy.err().count("worker.died") <= 5
    invariants.check(place.store)


# Clocks


def test_beats_that_all_look_old_at_once_make_nobody_dead(
    place: Place, daemon: StartDaemon
) -> None:
    """The database's clock was set forward, or everybody was cut off from it for long."""
    place.add("slow", 1)
    one = daemon(place.dsn, "--processes", "2", "--concurrency", "1").ready()
    one.recorded("start")
    runners = query(place.store, "SELECT runner_id FROM wp_wpbridge_runners ORDER BY 1")
    change(place.store, "UPDATE wp_wpbridge_runners SET beat_gmt = beat_gmt - INTERVAL 1 HOUR")
    fresh = "SELECT 1 FROM wp_wpbridge_runners WHERE beat_gmt > UTC_TIMESTAMP() - INTERVAL 1 MINUTE"
    # The idle one has looked many times until the busy one beats.
    until(lambda: query(place.store, fresh), "one that has beaten again")
    assert query(place.store, "SELECT runner_id FROM wp_wpbridge_runners ORDER BY 1") == runners
    one.open_gate()
    until(lambda: place.has_ended(1), "its end")
    only_once(one, "start", 1)
    invariants.check(place.store)


# Disks that are full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    at = tmp_path / "small"
    at.mkdir()
    mount = shlex.split(f"mount -t tmpfs -o size=8m wpbridge-test {at}")
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield at
    subprocess.run(["umount", "-l", str(at)], check=True)


def test_a_full_disk_under_sqlite(
    small_disk: Path, daemon: StartDaemon, open_queue: Callable[[str], RunnerStore]
) -> None:
    dsn = f"sqlite:///{small_disk / 'queue.db'}"
    (small_disk / "queue.db").touch()
    with closing(open_queue(dsn)) as store:
        now = SystemClock().now()
        store.insert([make_new("count", args=(n,), now=now) for n in range(500)], now=now)
        one = daemon(dsn, "--batch-size", "10").ready()
        one.recorded("count", 20)
        with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(b"x" * 4096):
                pass
        one.logged("store.lost")
        assert "the database has no room left" in one.err()
        until(lambda: is_away(one), "a probe that says so")
        (small_disk / "filler").unlink()
        until(lambda: store.counts() == {"complete": 500}, "all complete")
        only_once(one, "count", 500)
        noticed(one, 1)
        invariants.check(store)
