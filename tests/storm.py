"""Rounds of harm: daemons over a queue, faults thrown at them, then a look at what became of it.

A round is made of a plan and a seed, which decides what is thrown and when. What the operating
system makes of it is not repeatable, but the same seed throws the same.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import pymysql

import evidence
import invariants
import warm
from daemons import until
from evidence import Blackout, Harm, Kill, Lapse
from factories import make_new
from namespaces import contained, hidden
from proxy import Proxy
from rows import query
from servers import MariaDB
from stores import make_store
from wpbridge.clock import SystemClock
from wpbridge.runner.liveness import HUNG_SECONDS
from wpbridge.site.database import DatabaseAddress

Kind = TypeVar("Kind")
ACTS: Final = Path(__file__).with_name("storm_acts.py")
DRAIN_SECONDS: Final = 400.0
"""The queue must be empty then: what is put back, the back-off of restarts, and a slow machine."""
END_SECONDS: Final = 300.0
TOML: Final = """
[run]
handlers = ["storm_acts"]
poll_interval = 1

[[retry]]
hook = "flaky"
max_attempts = 2
base = "1s"
cap = "1s"
"""
SERVER_OPTIONS: Final = (
    # A killed server keeps what it has committed; only a host that crashes would lose it.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-lock-wait-timeout=5",
)
SHORT: Final = 4
"""A short storm has this part of the actions."""
OLD_SERVER: Final = "--version=10.5.29-MariaDB"
"""A server that says so is not asked to skip locked rows."""

MAY_END: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(
        (
            "quick",
            "awaited",
            "child",
            "slow",
            "steady",
            "long",
            "once",
            "once_slow",
            "parent",
            "meddle",
            "floods",
            "spawns",
            "iso",
            "iso_slow",
            "iso_forks",
            "iso_leaks",
            "iso_floods",
        ),
        ("complete",),
    ),
    **dict.fromkeys(
        ("doom", "odd", "exits", "iso_odd", "iso_exit", "iso_crash", "iso_hang", "iso_deaf"),
        ("failed",),
    ),
    "prey": ("complete", "canceled"),
    "chain": ("complete", "canceled"),
    "flaky": ("complete", "failed"),
}
DEATHS: Final = (
    r"its runners died \d+ times while it ran",
    r"its runner \(.*\) died while it ran, and it must not run twice",
    r"the handler's process was ended by signal 9",
    r"the handler's process lost its pipes",
)
CLEANED: Final = r"action marked as failed after"


class Storm:
    """One round while it goes on."""

    def __init__(self, plan: "Plan", seed: int, folder: Path, server: MariaDB | None) -> None:
        """``server``: None for SQLite."""
        self.plan = plan
        self.folder = folder
        self.random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.harm = Harm()
        self.ids: list[int] = []
        self.told: Counter[str] = Counter()
        """What was thrown."""
        self.daemons: list[Daemon] = []
        self.server = server
        self.proxy: Proxy | None = None
        self._left = plan.actions
        self._left_of: dict[Any, list[Any]] = {}
        self._daemons = self._numbers = 0
        self._seen_bytes = 0
        name = f"storm_{os.getpid()}_{seed}"
        if server is None:
            self.dsn = self.inner_dsn = f"sqlite:///{folder / 'queue.db'}"
        else:
            self._execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
            self.dsn = self.inner_dsn = server.url(name)
            if plan.is_proxied:
                self.proxy = Proxy(server.socket)
                self.dsn = self.proxy.url(name)
        self.name = name
        self.store = make_store(DatabaseAddress.from_dsn(self.inner_dsn), "wp_")
        self.store.session.patience_seconds = END_SECONDS
        self.place = Path(tempfile.mkdtemp(prefix="wpb", dir="/tmp"))
        self.proc = self.place / "proc"
        self.proc.mkdir()

    # The queue

    def prepare(self) -> None:
        shutil.copy(ACTS, self.folder)
        (self.folder / "wpbridge.toml").write_text(TOML, encoding="utf-8")
        if not self.plan.is_lite:
            self._execute(f"CREATE TABLE {self.name}.storm_weight (n INT)")
        self.add({"chain": self.plan.chains}, interval=1)

    def feed(self, share: float) -> None:
        """Enqueue a share of the plan's actions, of each hook as many as its weight says."""
        count = min(self._left, max(1, round(self.plan.actions * share)))
        if not count:
            return
        self._left -= count
        hooks, weights = zip(*self.plan.mix.items(), strict=True)
        self.add(Counter(self.random.choices(hooks, weights, k=count)))

    def add(self, counts: Mapping[str, int], *, interval: int | None = None) -> None:
        """Actions due at once, in any order."""
        now = SystemClock().now()
        hooks = [hook for hook, count in sorted(counts.items()) for _ in range(count)]
        self.random.shuffle(hooks)
        actions = [
            make_new(hook, args=(self._numbers + n,), due_in=0, interval=interval, now=now)
            for n, hook in enumerate(hooks)
        ]
        self._numbers += len(actions)
        with self._kept():
            for low in range(0, len(actions), 500):
                self.ids += self.store.insert(actions[low : low + 500], now=now)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Have the server keep what the round itself adds, whatever else it forgets."""
        if not self.plan.is_forgetful:
            yield
            return
        self._execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
        yield
        self._execute("SET GLOBAL innodb_flush_log_at_trx_commit = 0")

    def meddle(self, count: int) -> None:
        """Prey, and as many as meddle with it."""
        now = SystemClock().now()
        prey = self.store.insert(
            [make_new("prey", args=(n,), due_in=0, now=now) for n in range(count)], now=now
        )
        firsts = range(prey[0], prey[-1] - 40, 40)
        self.ids += prey
        self.ids += self.store.insert(
            [make_new("meddle", args=(i,), due_in=0, priority=5, now=now) for i in firsts], now=now
        )

    # Faults

    def some_work(self, most: int = 400) -> None:
        """A random moment: so many more lines of handlers later, or a little while."""
        record = self.folder / "record"
        wanted = self.random.randint(1, self.plan.share_of(most)) * 100
        end = time.monotonic() + 2 + self.random.random()
        while time.monotonic() < end:
            size = record.stat().st_size if record.exists() else 0
            if size - self._seen_bytes >= wanted:
                break
            time.sleep(0.002)
        self._seen_bytes = record.stat().st_size if record.exists() else 0

    def one_of(self, kinds: tuple[Kind, ...]) -> Kind:
        """Any of them, but none again before each has come once."""
        left = self._left_of.setdefault(kinds, [])
        if not left:
            left += self.random.sample(kinds, len(kinds))
        kind: Kind = left.pop()
        return kind

    def while_away(self, most_seconds: float) -> None:
        """How long an outage lasts."""
        time.sleep(self.random.uniform(0.05, most_seconds))

    def start_daemon(self) -> None:
        self._daemons += 1
        self.daemons.append(Daemon(self, self._daemons))

    def revive(self) -> None:
        """Start anew what has ended."""
        self.revive_daemons()

    def revive_daemons(self) -> None:
        """As a service manager does: one whose first worker was killed ends as that did, and one
        that does not find its database at the start ends too.
        """
        for daemon in [one for one in self.daemons if one.process.poll() is not None]:
            code = daemon.process.returncode
            assert code in self.plan.ends, f"{daemon.mark} ended with {code}: {daemon.log()}"
            self.daemons.remove(daemon)
            self.start_daemon()

    def workers(self) -> list[int]:
        """At least one: killed ones come again."""
        found: list[int] = []

        def is_one_there() -> bool:
            self.revive()
            found[:] = [pid for daemon in self.daemons for pid in daemon.workers()]
            return bool(found)

        until(is_one_there, "a worker")
        return found

    def kill_a_worker(self) -> None:
        self._kill("worker killed", self.random.choice(self.workers()))

    def kill_a_daemon(self) -> None:
        """The supervisor alone: its workers have to see to it themselves."""
        daemon = self.random.choice(self.daemons)
        self.told["daemon killed"] += 1
        at = time.monotonic()
        daemon.process.kill()
        daemon.process.wait()
        until(lambda: not processes(daemon.mark), lambda: f"the end of {described(daemon.mark)}")
        self.harm.kills.append(Kill(whom=daemon.mark, at=at, gone=time.monotonic()))
        self.daemons.remove(daemon)
        self.start_daemon()

    def kill_a_child(self) -> None:
        """An isolated handler's process."""
        workers = self.workers()
        children = [pid for pid in handlers_of(self.folder / "record") if parent_of(pid) in workers]
        if children:
            self._kill("child killed", self.random.choice(children))

    def _kill(self, what: str, pid: int) -> None:
        self.told[what] += 1
        below = [one for one in all_processes() if parent_of(one) == pid]
        at = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(map(is_there, (pid, *below))), f"the end of {pid} and {below}")
        self.harm.kills.append(Kill(whom=pid, at=at, gone=time.monotonic()))

    def kill_a_run(self) -> None:
        """One of cron's, beside the daemons."""
        self.told["run killed"] += 1
        mark = f"run{time.monotonic_ns()}"
        with (self.folder / "runs.log").open("ab") as log:
            run = warm.Popen(
                [sys.executable, "-m", "wpbridge", "claim-and-run"],
                cwd=self.folder,
                env=self.environment(mark),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        time.sleep(self.random.uniform(0.3, 1.2))
        at = time.monotonic()
        run.kill()
        run.wait()
        mark = f"{self.name}.{mark}"
        until(lambda: not processes(mark), lambda: f"the end of {described(mark)}")
        self.harm.kills.append(Kill(whom=mark, at=at, gone=time.monotonic()))

    def stop_some_workers(self) -> None:
        """Stop them and let others believe that it was for long: their beats are aged.

        Their own clocks know better, so for a second they go on with what they hold.
        """
        stopped = self._stopped(self._age)
        self.feed(0.05)
        self.claim_and_run("--max-actions", "1")
        self.some_work()
        self._go_on(stopped, None)

    def stop_some_workers_and_kill_who_takes_over(self) -> None:
        """The same, but who takes over what they have in hand dies in its turn."""
        stopped = self._stopped(self._age)
        for _ in range(2):
            self.kill_a_run()
        self._go_on(stopped, None)

    def stop_some_workers_for_long(self) -> None:
        """Until others take them for dead by themselves."""
        stopped = self._stopped(self._runner_of)
        until(lambda: self._are_silent(stopped), "silence", HUNG_SECONDS + END_SECONDS, pause=0.5)
        self.feed(0.05)
        self.claim_and_run("--max-actions", "1")
        self.some_work()
        self._go_on(stopped, self.plan.concurrency)

    def _stopped(self, runner_of: Callable[[int], int | None]) -> list[tuple[int, int, float]]:
        """Half of the workers: process, id of its row, moment before the signal."""
        stopped: list[tuple[int, int, float]] = []
        for _ in range(20):
            pid = self.random.choice(self.workers())
            if pid in [one for one, _, _ in stopped]:
                continue
            at = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            runner = runner_of(pid)
            if runner is None:
                # It holds the lock of its row, so others would wait for it: not this time.
                os.kill(pid, signal.SIGCONT)
                continue
            stopped.append((pid, runner, at))
            if len(stopped) == self.plan.daemons * self.plan.processes // 2:
                break
        self.told["worker stopped"] += len(stopped)
        return stopped

    def _go_on(self, stopped: Sequence[tuple[int, int, float]], most_starts: int | None) -> None:
        for pid, _, _ in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for pid, runner, at in stopped:
            until(lambda: self._knows(pid, runner), f"{pid} to know that it was taken for dead")  # noqa: B023 - called at once
            lapse = Lapse(whom=pid, at=at, knew=time.monotonic(), most_starts=most_starts)
            self.harm.lapses.append(lapse)

    def _runner_of(self, pid: int) -> int | None:
        """The id of a worker's row."""
        found = query(
            self.store, "SELECT MAX(runner_id) FROM wp_wpbridge_runners WHERE pid = :p", p=pid
        )
        return None if found[0][0] is None else int(str(found[0][0]))

    def _age(self, pid: int) -> int | None:
        """The id of a stopped worker's row, whose beat is long ago now; None: it is locked."""
        runner = self._runner_of(pid)
        if runner is None:
            return None
        try:
            self._execute(
                f"USE {self.name}",
                "SET innodb_lock_wait_timeout = 1",
                "UPDATE wp_wpbridge_runners SET beat_gmt = beat_gmt - INTERVAL 300 SECOND"
                f" WHERE runner_id = {runner}",
            )
        except pymysql.err.OperationalError:
            return None
        return runner

    def _are_silent(self, stopped: Sequence[tuple[int, int, float]]) -> bool:
        """Whether each is long overdue, or was taken over already."""
        late = query(
            self.store,
            "SELECT runner_id FROM wp_wpbridge_runners"
            " WHERE beat_gmt > UTC_TIMESTAMP() - INTERVAL :s SECOND",
            s=int(HUNG_SECONDS) + 2,
        )
        beating = {int(str(row[0])) for row in late}
        return not any(runner in beating for _, runner, _ in stopped)

    def _knows(self, pid: int, runner: int) -> bool:
        """Whether a worker has registered anew, was never taken for dead, or is gone."""
        newest = query(
            self.store,
            "SELECT MAX(runner_id), MAX(beat_gmt > UTC_TIMESTAMP() - INTERVAL 100 SECOND)"
            " FROM wp_wpbridge_runners WHERE pid = :p",
            p=pid,
        )[0]
        if not is_there(pid):
            return True
        return newest[0] is not None and (int(str(newest[0])) > runner or bool(newest[1]))

    def restart_server(self) -> None:
        assert self.server is not None
        self.told["server killed"] += 1
        self.server.kill()
        self.while_away(1.0)
        self.server.start()

    def make_the_server_forget(self) -> None:
        """Kill it while its last commits are in its memory alone."""
        at = time.monotonic()
        self.restart_server()
        self.some_work()
        until(self._do_all_know, "all workers to know what the server forgot")
        self.harm.blackouts.append(Blackout(at=at, knew=time.monotonic()))

    def _do_all_know(self) -> bool:
        """Whether each worker has written its row since the server is back."""
        rows = query(
            self.store,
            "SELECT COUNT(*) FROM wp_wpbridge_runners"
            " WHERE beat_gmt < UTC_TIMESTAMP() - INTERVAL :s SECOND",
            s=self.server_status("Uptime"),
        )
        return not rows[0][0] and bool(self.workers())

    def hurt_the_network(self) -> None:
        assert self.proxy is not None
        way = self.one_of(("cut", "after", "lost answer", "stall", "refuse"))
        self.told[f"network: {way}"] += 1
        match way:
            case "cut":
                self.proxy.cut()
            case "after":
                self.proxy.cut_after(self.random.randint(1, 20_000), toward="server")
            case "lost answer":
                self.proxy.cut_after(self.random.randint(0, 2_000), toward="client")
            case "stall":
                self.proxy.stall()
                self.while_away(1.0)
                if self.random.random() < 0.5:
                    self.proxy.cut()
                self.proxy.flow()
            case _:
                self.proxy.refuse()
                self.proxy.cut()
                self.while_away(1.0)
                self.proxy.accept()

    @contextlib.contextmanager
    def beside(self, work: Callable[[pymysql.Connection], None]) -> Iterator[None]:
        """Another program on the same tables, again and again until the block ends."""
        is_over = threading.Event()
        failed: list[BaseException] = []

        def go() -> None:
            try:
                connection = self._connected()
                while not is_over.is_set():
                    work(connection)
                connection.close()
            except BaseException as error:  # noqa: BLE001 - raised by the block
                failed.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
        if failed:
            raise failed[0]

    def clean(self, connection: pymysql.Connection, seconds: int) -> None:
        """As ``reset_timeouts`` and ``mark_failures`` of the plugin, which guard nothing."""
        old = f"last_attempt_gmt <= UTC_TIMESTAMP() - INTERVAL {seconds} SECOND LIMIT 20"
        actions, logs = "wp_actionscheduler_actions", "wp_actionscheduler_logs"
        with connection.cursor() as cursor:
            for where, change, line in (
                ("status = 'pending' AND claim_id <> 0", "claim_id = 0", "action reset"),
                ("status = 'in-progress'", "status = 'failed'", "action marked as failed after"),
            ):
                cursor.execute(f"SELECT action_id FROM {actions} WHERE {where} AND {old}")
                for (action_id,) in cursor.fetchall():
                    self.told[line] += 1
                    cursor.execute(f"UPDATE {actions} SET {change} WHERE action_id = {action_id}")
                    cursor.execute(
                        f"INSERT INTO {logs} (action_id, message, log_date_gmt, log_date_local)"
                        f" VALUES ({action_id}, '{line} {seconds} seconds', UTC_TIMESTAMP(),"
                        " UTC_TIMESTAMP())"
                    )
        time.sleep(1)

    def lock_in_the_wrong_order(self, connection: pymysql.Connection) -> None:
        """Rows from the last to the first, as no writer of ours does it."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT action_id FROM wp_actionscheduler_actions WHERE status = 'pending'"
                " ORDER BY claim_id DESC LIMIT 60"
            )
            found = [row[0] for row in cursor.fetchall()]
            ids = sorted(random.sample(found, len(found) // 4), reverse=True)
            cursor.execute("START TRANSACTION")
            if random.random() < 0.5:  # noqa: S311
                # Of two that wait for each other the server ends the one that has changed less.
                cursor.execute("INSERT INTO storm_weight SELECT seq FROM seq_1_to_1000")
            try:
                for action_id in ids:
                    cursor.execute(
                        "UPDATE wp_actionscheduler_actions SET priority = priority"
                        f" WHERE action_id = {action_id}"
                    )
            except pymysql.err.OperationalError as error:
                self.told[f"deadlocks of theirs ({error.args[0]})"] += 1
            cursor.execute("ROLLBACK")

    # The end

    def drain(self) -> None:
        """Until nothing is pending or held: chains end, what was put back has run."""
        self.feed(1.0)
        (self.folder / "over").touch()
        unended = (
            "SELECT action_id, hook, status, claim_id FROM wp_actionscheduler_actions"
            " WHERE status IN ('pending', 'in-progress') LIMIT 5"
        )
        left: list[Sequence[Sequence[object]]] = [[]]

        def is_over() -> bool:
            self.revive()
            left[0] = query(self.store, unended)
            return not left[0]

        until(is_over, lambda: f"the end of {left[0]}", DRAIN_SECONDS, pause=0.1)

    def end(self) -> None:
        """Stop the daemons, and let one more run put back what is left, which should be nothing."""

        def do_all_hear() -> bool:
            # A daemon catches signals before it starts its first worker.
            self.revive_daemons()
            return all(daemon.workers() for daemon in self.daemons)

        until(do_all_hear, "a worker of each daemon")
        for daemon in self.daemons:
            daemon.terminate()
        for daemon in self.daemons:
            assert daemon.process.wait(END_SECONDS) == 128 + signal.SIGTERM, daemon.log()
        if self.plan.has_homes:
            # Of a container that was killed only the beat tells, and nobody beats any more.
            self._execute(
                f"UPDATE {self.name}.wp_wpbridge_runners"
                " SET beat_gmt = beat_gmt - INTERVAL 300 SECOND"
            )
        self.claim_and_run()

    def claim_and_run(self, *flags: str, home: Sequence[str] = ()) -> None:
        done = warm.run(
            [*home, sys.executable, "-m", "wpbridge", "claim-and-run", "--format", "json", *flags],
            cwd=self.folder,
            env=self.environment(f"run{time.monotonic_ns()}"),
            timeout=END_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        self.told["reclaimed by runs"] += json.loads(done.stdout.splitlines()[-1])["reclaimed"]

    def verdict(self) -> Counter[str]:
        attempts = evidence.read(self.folder / "record")
        hooks = {attempt.hook for several in attempts.values() for attempt in several}
        assert hooks, "nothing ran"
        self.harm.kills += [
            Kill(whom=one.pid, at=one.started, gone=one.started + 1.0)
            for several in attempts.values()
            for one in several
            if one.hook == "doom"
        ]
        return invariants.check_round(
            self.store,
            attempts,
            invariants.Terms(
                ids=self.ids,
                statuses=MAY_END,
                chains=self.plan.chains,
                # What the server forgets, no runner can know.
                once=() if self.plan.is_forgetful else ("once", "once_slow"),
                excuses=(*self.plan.excuses, *([CLEANED] if self.plan.is_cleaned else [])),
                harm=self.harm,
            ),
        )

    def environment(self, mark: str) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
        return {
            **clean,
            "WPBRIDGE_DSN": self.dsn,
            "STORM_MARK": f"{self.name}.{mark}",
            "XDG_RUNTIME_DIR": str(self.place),
            # Root obeys no bytecode that another user of the folder has written.
            **(
                {"STORM_PROC": str(self.proc), "PYTHONDONTWRITEBYTECODE": "1"}
                if self.plan.has_homes
                else {}
            ),
        }

    def home(self, number: int) -> list[str]:
        """What starts the daemon of a number: in the namespaces it lives in."""
        if not self.plan.has_homes:
            return []
        homes = (
            contained(shown_at=self.proc),
            hidden(65534, shown_at=self.proc),
            contained(shown_at=self.proc),
            hidden(33, shown_at=self.proc),
            contained(shown_at=self.proc, has_proc=False),
        )
        return homes[number % len(homes)]

    def run_somewhere(self) -> None:
        """One of cron's, in some namespace: it believes what it sees at one look."""
        self.told["runs"] += 1
        self.claim_and_run("--max-actions", "20", home=self.home(self.random.randrange(5)))

    def dump(self) -> None:
        """The tables as text, beside the record and the logs: the server will be gone."""
        for table in ("actions", "logs", "claims"):
            rows = query(self.store, f"SELECT * FROM wp_actionscheduler_{table}")
            text = "".join(f"{' | '.join(map(str, row))}\n" for row in rows)
            (self.folder / f"{table}.txt").write_text(text, encoding="utf-8")
        rows = query(self.store, "SELECT * FROM wp_wpbridge_runners")
        (self.folder / "runners.txt").write_text("\n".join(map(str, rows)), encoding="utf-8")
        told = "\n".join(map(str, (*self.harm.kills, *self.harm.lapses)))
        (self.folder / "harm.txt").write_text(told, encoding="utf-8")

    def close(self) -> None:
        """End all processes."""
        for pid in [daemon.process.pid for daemon in self.daemons if daemon.process.poll() is None]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in processes(f"{self.name}."):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
        for daemon in self.daemons:
            daemon.process.wait()
        self.store.close()
        if self.proxy is not None:
            self.proxy.close()
        if self.server is not None:
            self._execute(f"DROP DATABASE {self.name}")
        shutil.rmtree(self.place)

    def server_status(self, name: str) -> int:
        rows = query(self.store, "SHOW GLOBAL STATUS LIKE :n", n=name)
        return int(str(rows[0][1]))

    def _connected(self, database: str | None = None) -> pymysql.Connection:
        assert self.server is not None
        return self.server.connect(database=database or self.name, autocommit=True)

    def _execute(self, *statements: str) -> None:
        connection = self._connected("mysql")
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()


class Daemon:
    """A ``wpbridge work`` of the storm's."""

    def __init__(self, storm: Storm, number: int) -> None:
        name = f"d{number}"
        self.mark = f"{storm.name}.{name}"
        self._log = storm.folder / f"{name}.log"
        plan = storm.plan
        with self._log.open("wb") as log, (storm.folder / f"{name}.out").open("wb") as out:
            self.process = warm.Popen(
                [
                    *storm.home(number),
                    sys.executable,
                    "-m",
                    "wpbridge",
                    "work",
                    "--processes",
                    str(plan.processes),
                    "--concurrency",
                    str(plan.concurrency),
                    "--batch-size",
                    "50",
                ],
                cwd=storm.folder,
                env=storm.environment(name),
                stdout=out,
                stderr=log,
                start_new_session=True,
            )

    def workers(self) -> list[int]:
        parents = {self.process.pid, *self._below()}
        return [
            pid
            for pid in processes(self.mark)
            if parent_of(pid) in parents and b"--worker" in command_of(pid)
        ]

    def terminate(self) -> None:
        """Where it is process 1 of a namespace, what started it hands no signals on."""
        for pid in self._below() or [self.process.pid]:
            os.kill(pid, signal.SIGTERM)

    def _below(self) -> list[int]:
        """The daemon itself where what started it stays, as ``unshare --fork`` does."""
        if b"unshare" not in command_of(self.process.pid).split(b"\0")[0]:
            return []
        return [pid for pid in processes(self.mark) if parent_of(pid) == self.process.pid]

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]


# Processes


def all_processes() -> list[int]:
    names = os.listdir("/proc")  # noqa: PTH208 - quicker, and often
    return [int(name) for name in names if name.isdigit()]


def processes(mark: str) -> list[int]:
    """Those of a mark, or of all marks that begin so."""
    wanted = f"STORM_MARK={mark}".encode()
    found = []
    for pid in all_processes():
        with contextlib.suppress(OSError):
            told = Path(f"/proc/{pid}/environ").read_bytes()
            words = told.split(b"\0") if wanted in told else []
            if any(w == wanted or (mark[-1] == "." and w.startswith(wanted)) for w in words):
                found.append(pid)
    return [pid for pid in found if is_there(pid)]


def described(mark: str) -> list[tuple[int, list[str], bytes]]:
    """A mark's processes: id; state, parent, group and session; command."""
    return [(pid, _stat(pid)[:4], command_of(pid)[-100:]) for pid in processes(mark)]


def is_there(pid: int) -> bool:
    """A zombie runs nothing any more."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def parent_of(pid: int) -> int:
    return int((_stat(pid) or ["", "0"])[1])


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _stat(pid: int) -> list[str]:
    """State, parent, and the rest."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return []


def handlers_of(record: Path) -> list[int]:
    """The processes of the newest attempts."""
    with contextlib.suppress(OSError), record.open("rb") as stream:
        stream.seek(max(0, record.stat().st_size - 20_000))
        lines = stream.read().decode("ascii").splitlines()[1:]
        return sorted({int(line.split()[5]) for line in lines})
    return []


# Plans

INNOCENT: Final = {
    "quick": 700,
    "awaited": 60,
    "parent": 30,
    "flaky": 20,
    "once": 60,
    "once_slow": 4,
    "slow": 6,
    "iso": 20,
    "iso_slow": 3,
}
HARMFUL: Final = {
    "odd": 40,
    "exits": 40,
    "floods": 6,
    "spawns": 10,
    "iso_exit": 8,
    "iso_crash": 6,
    "iso_hang": 3,
    "iso_deaf": 1,
    "iso_forks": 8,
    "iso_leaks": 8,
    "iso_floods": 4,
    "iso_odd": 8,
}
PLAIN: Final = {hook: INNOCENT[hook] for hook in INNOCENT if not hook.startswith("iso")}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a round is made of."""

    name: str
    actions: int
    """Enqueued by the round itself; handlers and chains add more."""
    throw: Callable[[Storm], None]
    mix: Mapping[str, int] = field(default_factory=lambda: INNOCENT)
    """Hooks, and how often each comes."""
    daemons: int = 2
    processes: int = 2
    concurrency: int = 4
    chains: int = 12
    is_proxied: bool = False
    is_cleaned: bool = False
    excuses: Sequence[str] = DEATHS
    """Log rows that excuse the failure of what should have completed."""
    server_options: tuple[str, ...] = ()
    is_lite: bool = False
    """On SQLite."""
    is_forgetful: bool = False
    """On a server that forgets its last second when it is killed."""

    has_homes: bool = False
    """Daemons live in pid namespaces with equal host names, or are hidden from each other."""
    is_long: bool = False
    """Left to the soak."""
    is_short: bool = False
    """With a fourth of the actions and half of the faults."""

    def shortened(self) -> "Plan":
        """The short form of this storm: the same kinds of harm, and the same must hold."""
        return replace(self, actions=self.actions // SHORT, is_short=True)

    def times(self, count: int, *, least: int = 1) -> range:
        """How often something is thrown; ``least``: in a short storm too."""
        return range(max(least, (count + 1) // 2) if self.is_short else count)

    def share_of(self, count: int) -> int:
        """So many of a long storm's actions."""
        return count // SHORT if self.is_short else count

    @property
    def ends(self) -> Sequence[int]:
        """Exit codes of daemons that are started again: a worker was killed, the database away."""
        return (128 + signal.SIGKILL, *([69] if self.is_proxied else []))


def _kill9(storm: Storm) -> None:
    faults = (storm.kill_a_worker, storm.kill_a_daemon, storm.kill_a_child, storm.kill_a_run)
    for _ in storm.plan.times(8, least=len(faults)):
        storm.feed(0.12)
        storm.some_work()
        storm.one_of(faults)()


def _kill9_lite(storm: Storm) -> None:
    for _ in storm.plan.times(4):
        storm.feed(0.2)
        storm.some_work(100)
        storm.one_of((storm.kill_a_worker, storm.kill_a_daemon))()


def _sigstop(storm: Storm) -> None:
    for _ in storm.plan.times(2):
        storm.feed(0.3)
        storm.some_work()
        storm.stop_some_workers()


def _sigstop_long(storm: Storm) -> None:
    storm.feed(0.5)
    storm.some_work()
    storm.stop_some_workers_for_long()


def _server_killed(storm: Storm) -> None:
    for _ in storm.plan.times(3):
        storm.feed(0.25)
        storm.some_work()
        storm.restart_server()


def _standing_still(storm: Storm) -> None:
    for _ in storm.plan.times(2):
        storm.feed(0.3)
        storm.some_work()
        storm.stop_some_workers_and_kill_who_takes_over()


def _server_forgets(storm: Storm) -> None:
    for _ in storm.plan.times(4):
        storm.feed(0.2)
        storm.some_work()
        storm.make_the_server_forget()


def _network(storm: Storm) -> None:
    for _ in storm.plan.times(16):
        storm.feed(0.06)
        storm.some_work(200)
        storm.hurt_the_network()


def _deadlocks(storm: Storm) -> None:
    before = storm.server_status("Innodb_deadlocks")
    with (
        storm.beside(storm.lock_in_the_wrong_order),
        storm.beside(storm.lock_in_the_wrong_order),
    ):
        for _ in storm.plan.times(4):
            storm.feed(0.2)
            storm.meddle(storm.plan.share_of(400))
            storm.some_work()
    storm.told["deadlocks"] += storm.server_status("Innodb_deadlocks") - before


def _cleaner(storm: Storm) -> None:
    """Handlers that run longer than the cleaner allows, others that wait behind them."""
    with storm.beside(lambda connection: storm.clean(connection, 15)):
        for _ in storm.plan.times(3):
            storm.feed(0.2)
            storm.some_work()
            storm.kill_a_worker()
        storm.add({"long": storm.plan.concurrency})
        storm.feed(0.2)
        storm.drain()


def _namespaces(storm: Storm) -> None:
    for _ in storm.plan.times(6):
        storm.feed(0.15)
        storm.some_work()
        storm.run_somewhere()
        storm.one_of((storm.kill_a_worker, storm.kill_a_daemon, storm.some_work))()


def _harm(storm: Storm) -> None:
    """Each kind that does harm comes at least once, however few actions there are."""
    storm.add({hook: 1 for hook in storm.plan.mix if hook not in INNOCENT})
    for _ in storm.plan.times(4):
        storm.feed(0.25)
        storm.some_work()


def _mixed(storm: Storm) -> None:
    faults = (
        storm.kill_a_worker,
        storm.kill_a_daemon,
        storm.kill_a_child,
        storm.hurt_the_network,
        storm.hurt_the_network,
        storm.restart_server,
    )
    with storm.beside(storm.lock_in_the_wrong_order):
        for _ in storm.plan.times(4):
            storm.feed(0.08)
            storm.meddle(storm.plan.share_of(200))
            storm.some_work(200)
    for _ in storm.plan.times(8, least=len(faults)):
        storm.feed(0.08)
        storm.some_work(200)
        storm.one_of(faults)()


PLANS: Final = {
    plan.name: plan
    for plan in (
        Plan(name="kill9", actions=8000, throw=_kill9),
        Plan(name="kill9_sqlite", actions=2000, throw=_kill9_lite, mix=PLAIN, is_lite=True),
        Plan(
            name="namespaces",
            actions=3000,
            throw=_namespaces,
            mix={**PLAIN, "slow": 120},
            daemons=5,
            processes=1,
            concurrency=2,
            has_homes=True,
        ),
        Plan(name="sigstop", actions=8000, throw=_sigstop, mix={**PLAIN, "slow": 30}),
        Plan(
            name="sigstop_long",
            actions=8000,
            throw=_sigstop_long,
            mix={**PLAIN, "slow": 30},
            is_long=True,
        ),
        Plan(
            name="standing_still",
            actions=4000,
            throw=_standing_still,
            mix={**PLAIN, "steady": 20},
        ),
        # No actions that others enqueue: their ids may be forgotten, and be given to others.
        Plan(
            name="mariadb_forgets",
            actions=6000,
            throw=_server_forgets,
            chains=0,
            mix={h: PLAIN[h] for h in PLAIN if h != "parent"},
            is_forgetful=True,
            server_options=("--innodb-flush-log-at-trx-commit=0",),
        ),
        Plan(name="mariadb_killed", actions=8000, throw=_server_killed),
        Plan(name="network_cut", actions=8000, throw=_network, is_proxied=True),
        Plan(name="deadlocks", actions=5000, throw=_deadlocks, mix=PLAIN),
        Plan(
            name="deadlocks_unskipped",
            actions=4000,
            throw=_deadlocks,
            mix=PLAIN,
            server_options=(OLD_SERVER,),
        ),
        Plan(name="cleaner", actions=4000, throw=_cleaner, is_cleaned=True),
        Plan(name="harm", actions=2000, throw=_harm, mix={**INNOCENT, **HARMFUL}),
        # Who is beside an action that kills its worker is run again, and not failed with it.
        Plan(
            name="doomed", actions=1500, throw=_harm, mix={**PLAIN, "doom": 2}, excuses=DEATHS[1:2]
        ),
        Plan(
            name="mixed", actions=6000, throw=_mixed, mix={**INNOCENT, **HARMFUL}, is_proxied=True
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Weathered:
    """A round that broke nothing."""

    plan: str
    seed: int
    statuses: Counter[str]
    thrown: Counter[str]
    seconds: float

    def __str__(self) -> str:
        counts, thrown = (
            ", ".join(f"{n} {what}" for what, n in sorted(c.items())) or "nothing"
            for c in (self.statuses, self.thrown)
        )
        total = sum(self.statuses.values())
        return (
            f"storm {self.plan} seed={self.seed}: {total} actions ({counts}); thrown: {thrown};"
            f" {self.seconds:.0f} s; invariants hold"
        )


def weather(plan: Plan, seed: int, folder: Path, server: MariaDB | None) -> Weathered:
    """One round in an empty folder; raises AssertionError, with the seed in its notes."""
    began = time.monotonic()
    if server is not None:
        _wear(server, plan.server_options)
    storm = Storm(plan, seed, folder, None if plan.is_lite else server)
    try:
        storm.prepare()
        for _ in range(plan.daemons):
            storm.start_daemon()
        until(lambda: len(storm.workers()) == plan.daemons * plan.processes, "all workers")
        plan.throw(storm)
        storm.drain()
        storm.end()
        statuses = storm.verdict()
    except BaseException as error:
        error.add_note(f"storm {plan.name} seed={seed} thrown={dict(storm.told)} in {folder}")
        with contextlib.suppress(Exception):
            storm.dump()
        raise
    finally:
        storm.close()
    return Weathered(
        plan=plan.name,
        seed=seed,
        statuses=statuses,
        thrown=storm.told,
        seconds=time.monotonic() - began,
    )


def _wear(server: MariaDB, options: tuple[str, ...]) -> None:
    """Start the server anew when this round wants other options."""
    wanted = (*SERVER_OPTIONS, *options)
    if server.options != wanted:
        server.stop()
        server.options = wanted
        server.start()
