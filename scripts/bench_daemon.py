"""The daemon: from enqueue to start, what it costs idle, two processes, and a day in its life.

Starts ``wpbridge work`` as it is started anywhere, with its defaults. Prints one JSON object.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path

import a_day
from bench import HOOK, connect, run
from bench_queue import fresh
from process_costs import children_of, cpu_seconds
from servers import MariaDB, private_mariadb
from wordpress import in_wordpress, make_site, missing_wordpress, plugin_folder
from wpbridge.clock import SystemClock, to_text
from wpbridge.codec import schedule
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Ownership
from wpbridge.queue.facade import Queue
from wpbridge.store.database.connection import text
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.system.processes import memory_bytes

HANDLERS = f"""
import os
import time

from wpbridge import hook

STAMPS = os.open("stamps", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
LOOPS = int(os.environ["BENCH_LOOPS"])


@hook("{HOOK}")
def stamp(number):
    start = time.monotonic()
    for _ in range(LOOPS):
        pass
    os.write(STAMPS, f"{{number}} {{start!r}} {{time.monotonic()!r}}\\n".encode())
"""
LONGEST_SECONDS = 120.0
SETTLED_SECONDS = 2.0
"""By then a daemon that had work waits as long between two looks as it ever does."""
LOOK_SECONDS = 1.13
"""Actions come at moments spread over so much more: about the time between two looks."""
QUESTIONS = ("Questions", "Com_select", "Com_update", "Com_begin", "Com_commit")


class Daemon:
    """``wpbridge work`` in a folder of its own."""

    def __init__(
        self, folder: Path, dsn: str, *flags: str, loops: int = 0, handlers: str = HANDLERS
    ) -> None:
        self.stamps = folder / "stamps"
        self.stamps.touch()
        (folder / "acts.py").write_text(handlers, encoding="utf-8")
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(str(folder / "notify"))
        self._ear.settimeout(LONGEST_SECONDS)
        env = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
        env |= {"NOTIFY_SOCKET": str(folder / "notify"), "BENCH_LOOPS": str(loops)}
        words = [sys.executable, "-m", "wpbridge", "work", "--dsn", dsn, "--handlers", "acts"]
        self._process = subprocess.Popen([*words, "--quiet", *flags], cwd=folder, env=env)

    def wait_until_ready(self) -> None:
        """All of its workers are; what else it tells nobody hears."""
        while b"READY=1" not in self._ear.recv(4096):
            pass
        self._ear.close()

    def processes(self) -> list[int]:
        """The supervisor, then its workers."""
        pid = self._process.pid
        return [pid, *children_of(pid)]

    def ran(self, count: int, *, each_seconds: float = 0.005) -> list[tuple[int, float, float]]:
        """Wait for so many runs, looking now and then: number, start and end of each."""
        end = time.monotonic() + LONGEST_SECONDS
        while True:
            told = self.stamps.read_text("ascii").splitlines()
            if len(told) >= count:
                runs = [line.split() for line in told]
                return [(int(n), float(start), float(stop)) for n, start, stop in runs]
            if time.monotonic() > end:
                raise TimeoutError(f"{len(told)} of {count} actions ran")
            time.sleep(each_seconds)

    def end(self) -> None:
        """In order; by force when that takes too long."""
        self._process.terminate()
        try:
            self._process.wait(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()


@contextlib.contextmanager
def daemon(dsn: str, *flags: str, loops: int = 0, handlers: str = HANDLERS) -> Iterator[Daemon]:
    """A daemon that is ready, and has ended when the block has."""
    # Below /tmp, since a socket's name is short.
    with tempfile.TemporaryDirectory(prefix="wpb-", dir="/tmp") as folder:
        one = Daemon(Path(folder), dsn, *flags, loops=loops, handlers=handlers)
        try:
            one.wait_until_ready()
            yield one
        finally:
            one.end()


# From enqueue to start


def starts(server: MariaDB, times: int) -> dict[str, object]:
    """An idle daemon's answer, found by looking and told by a poke."""
    found: dict[str, object] = {"times": times}
    for processes in (1, 2):
        name = f"starts_{processes}"
        store = fresh(server, name)
        with daemon(server.url(name), f"--processes={processes}") as one:
            found[f"polling_{processes}"] = waits(one, times, partial(insert_as_php, store))
            if processes == 1:
                queue = Queue(store.parts, close_store=False)
                found["enqueued_here"] = waits(one, times, partial(enqueue_here, queue))
        store.close()
    return found


def waits(one: Daemon, times: int, add: Callable[[int], float]) -> dict[str, float]:
    """Add actions at all moments between two looks; from what ``add`` tells to the start."""
    one.stamps.write_bytes(b"")
    taken = []
    # Spread evenly, since the median of moments by mere chance needs hundreds of them.
    moments = [(n + random.random()) / times for n in range(times)]  # noqa: S311
    random.shuffle(moments)
    for number, moment in enumerate(moments):
        time.sleep(SETTLED_SECONDS + moment * LOOK_SECONDS)
        before = add(number)
        ran = {n: start for n, start, _ in one.ran(number + 1)}
        taken.append((ran[number] - before) * 1000)
    ordered = sorted(taken)
    return {
        "p50_ms": round(statistics.median(ordered), 1),
        "p90_ms": round(ordered[int(len(ordered) * 0.9)], 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)], 1),
        "worst_ms": round(ordered[-1], 1),
    }


def insert_as_php(store: RunnerStore, number: int) -> float:
    """The plugin's row, and nobody is told; the moment after its commit."""
    now = SystemClock().now()
    run(
        store,
        "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt,"
        " scheduled_date_local, schedule, group_id, priority, args) VALUES"
        " (:hook, 'pending', :now, :now, :schedule, 0, 10, :args)",
        hook=HOOK,
        now=to_text(now),
        args=f"[{number}]",
        schedule=schedule.encode(schedule.single(now)).decode(),
    )
    return time.monotonic()


def enqueue_here(queue: Queue, number: int) -> float:
    """By the library; the moment before the call."""
    before = time.monotonic()
    queue.enqueue_async(HOOK, [number])
    return before


# From the end of a PHP request to start

REQUEST = """
class Bench_End { function __destruct() { echo PHP_EOL, hrtime( true ) / 1e9; } }
$bench_end = new Bench_End();
as_enqueue_async_action( '%s', array( %d ) );
"""
"""PHP destroys its objects after all shutdown functions: that is the end of the request."""


def wakes(server: MariaDB, times: int) -> dict[str, object]:
    """An idle daemon's answer to what PHP enqueues, with the companion plugin and without it."""
    reason = missing_wordpress() or ("" if plugin_folder() else "WPBRIDGE_TEST_PLUGIN is not set")
    if reason:
        return {"left_out": reason}
    found: dict[str, object] = {"times": times}
    with tempfile.TemporaryDirectory(prefix="wpb-") as place:
        folder = make_site(Path(place, "site"), server, "wakes", plugin=plugin_folder())
        connect(server.url("wakes")).close()
        request = partial(enqueue_in_php, folder)
        for kind, flags in (("udp", ()), ("socket", (f"--config={socket_settings(place)}",))):
            companion.install(folder / "wp-content" / "mu-plugins", "wp_", Ownership())
            with daemon(server.url("wakes"), *flags) as one:
                found[f"woken_by_{kind}"] = waits(one, times, request)
        companion.remove(folder / "wp-content" / "mu-plugins", "wp_")
        with daemon(server.url("wakes")) as one:
            found["polling"] = waits(one, times, request)
    return found


def socket_settings(place: str) -> Path:
    """A settings file by which the daemon hears wakes on a Unix socket."""
    file = Path(place, "wpbridge.toml")
    file.write_text(f'[wake]\nsocket = "{place}/wake.sock"\n', encoding="utf-8")
    return file


def enqueue_in_php(folder: Path, number: int) -> float:
    """A whole PHP process that enqueues one action; the moment of its end."""
    return float(in_wordpress(folder, REQUEST % (HOOK, number)).split()[-1])


# Idle


def idle(server: MariaDB, seconds: float) -> dict[str, object]:
    """What a daemon costs that has nothing to do."""
    found: dict[str, object] = {"seconds": seconds}
    for processes in (1, 2):
        name = f"idle_{processes}"
        store = fresh(server, name)
        with daemon(server.url(name), f"--processes={processes}") as one:
            # Longer than settling takes: imports of the start are over too.
            time.sleep(2 * SETTLED_SECONDS)
            pids = one.processes()
            asked, used, start = questions(store), [cpu_seconds(p) for p in pids], time.monotonic()
            time.sleep(seconds)
            more, still = questions(store), [cpu_seconds(p) for p in pids]
            took = time.monotonic() - start
        store.close()
        # The second look at the counters counts itself.
        own = {"Questions": 1}
        shares = [(b - a) / took * 100 for a, b in zip(used, still, strict=True)]
        found[f"processes_{processes}"] = {
            "queries_per_second": {
                name: round((more[name] - asked[name] - own.get(name, 0)) / took, 3)
                for name in QUESTIONS
            },
            "cpu_percent_of_a_core": round(sum(shares), 3),
            "cpu_percent_of_each": [round(share, 3) for share in shares],
        }
    return found


def questions(store: RunnerStore) -> dict[str, int]:
    """What the server was asked, all sessions together."""
    statement = text(f"SHOW GLOBAL STATUS WHERE Variable_name IN {QUESTIONS}")
    rows = store.session.run(lambda c: c.execute(statement).fetchall())
    return {str(name): int(value) for name, value in rows}


# Two processes


def scaling(server: MariaDB, actions: int, rounds: int) -> dict[str, object]:
    """Actions of a millisecond of CPU each: two processes against one."""
    loops = loops_of_a_millisecond()
    rates: dict[int, list[float]] = {1: [], 2: []}
    bare: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for processes in (1, 2):
            bare[processes].append(bare_rate(loops, actions, processes))
            rates[processes].append(
                rate(server, f"scaling_{turn}_{processes}", loops, actions, processes)
            )
    one, two = (statistics.median(rates[n]) for n in (1, 2))
    plain = statistics.median(bare[2]) / statistics.median(bare[1])
    return {
        "actions": actions,
        "one_process_per_second": [round(n) for n in rates[1]],
        "two_processes_per_second": [round(n) for n in rates[2]],
        "bare_loop_per_second": [round(statistics.median(bare[n])) for n in (1, 2)],
        "ratio": round(two / one, 2),
        "ratio_of_the_bare_loop": round(plain, 2),
    }


def loops_of_a_millisecond() -> int:
    """How long a loop has to be: the best of some tries, without what else runs here."""
    loops = 100_000
    best = min(_loop_seconds(loops) for _ in range(50))
    return round(loops * 0.001 / best)


def _loop_seconds(loops: int) -> float:
    start = time.thread_time()
    for _ in range(loops):
        pass
    return time.thread_time() - start


def bare_rate(loops: int, actions: int, processes: int) -> float:
    """The loop alone, without any queue: what the machine has to give just now."""
    code = (
        "import time\ndef work(loops):\n  for _ in range(loops): pass\n"
        f"input()\nstart = time.monotonic()\nfor _ in range({actions // processes}):"
        f" work({loops})\nprint(start, time.monotonic())"
    )
    words = [sys.executable, "-c", code]
    started = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    for one in started:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    told = [one.communicate()[0].split() for one in started]
    seconds = max(float(t[1]) for t in told) - min(float(t[0]) for t in told)
    return actions / seconds


def rate(server: MariaDB, name: str, loops: int, actions: int, processes: int) -> float:
    """Actions per second of a daemon that was idle, from the first start to the last end."""
    store = fresh(server, name)
    now = SystemClock().now()
    with daemon(server.url(name), f"--processes={processes}", loops=loops) as one:
        run(
            store,
            "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt,"
            " scheduled_date_local, args, schedule) SELECT :hook, 'pending', :now, :now,"
            f" CONCAT('[', seq, ']'), :schedule FROM seq_1_to_{actions}",
            hook=HOOK,
            now=to_text(now),
            schedule=schedule.encode(schedule.single(now)).decode(),
        )
        Queue(store.parts, close_store=False).wake()
        # Rarely, since reading them all takes time that the workers want.
        ran = one.ran(actions, each_seconds=0.5)
    counts = store.counts()
    store.close()
    assert counts == {"complete": actions}, counts
    return actions / (max(end for _, _, end in ran) - min(start for _, start, _ in ran))


# A day


def days(server: MariaDB, *, quick: bool) -> dict[str, object]:
    """24 hours on an accelerated clock, each day in a process of its own."""
    poll = 20.0 if quick else 1.0
    with tempfile.TemporaryDirectory(prefix="wpb-") as folder:
        lite = f"sqlite:///{folder}/day.db"
        found: dict[str, object] = {"sqlite": day_apart(lite, poll)}
        if not quick:
            fresh(server, "day").close()
            found["mariadb"] = day_apart(server.url("day"), poll)
            traced = day_apart(f"sqlite:///{folder}/traced.db", 20.0, "--trace")
            found["python_objects_grew_kb"] = traced["grew_kb"]
    return found


def day_apart(dsn: str, poll: float, *flags: str) -> dict[str, object]:
    words = [sys.executable, __file__, "--day", dsn, "--poll", str(poll), *flags]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def run_day(dsn: str, poll: float, *, traces: bool) -> dict[str, object]:
    """One day; ``traces``: memory is that of Python's objects, else the process's."""
    connect(dsn).close()
    if traces:
        tracemalloc.start()
    start = time.perf_counter()
    day = a_day.Day(
        dsn,
        poll=timedelta(seconds=poll),
        hours=(2, 24),
        measured=traced_bytes if traces else memory_bytes,
    )
    told = day.run()
    wrong = {
        hook: {"expected": asdict(line), "found": asdict(told.lines.get(hook, a_day.Line()))}
        for hook, line in a_day.expected(day.seed).items()
        if told.lines.get(hook) != line
    }
    totals = told.totals
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "looks": told.looks,
        "rows": sum(line.complete + line.failed + line.pending for line in told.lines.values()),
        "runs": sum(told.handled.values()),
        "retries": [totals.retried, a_day.retries(day.seed)],
        "rescued": [totals.reclaimed, a_day.RESCUED],
        "lost": totals.lost,
        "is_exact": not wrong,
        "wrong": wrong,
        "memory_mb": {hour: round(n / 2**20, 2) for hour, n in told.memory.items()},
        "grew_kb": round((told.memory[24] - told.memory[2]) / 1024),
    }


def traced_bytes() -> int:
    return tracemalloc.get_traced_memory()[0]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few of each: does it run?")
    parser.add_argument("--only", choices=["starts", "wakes", "idle", "scaling", "day"])
    parser.add_argument("--day", help=argparse.SUPPRESS)
    parser.add_argument("--poll", type=float, default=1.0, help=argparse.SUPPRESS)
    parser.add_argument("--trace", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    if told.day:
        print(json.dumps(run_day(told.day, told.poll, traces=told.trace)))
        return
    quick = told.quick
    parts: dict[str, Callable[[MariaDB], object]] = {
        "starts": lambda s: starts(s, 12 if quick else 60),
        "wakes": lambda s: wakes(s, 12 if quick else 60),
        "idle": lambda s: idle(s, 15.0 if quick else 120.0),
        "scaling": lambda s: scaling(s, 1_500 if quick else 6_000, 1 if quick else 3),
        "day": lambda s: days(s, quick=quick),
    }
    found: dict[str, object] = {"python": sys.version.split()[0], "cores": os.cpu_count()}
    with private_mariadb() as server, tempfile.TemporaryDirectory(prefix="wpb-") as runtime:
        # Daemon and enqueuer meet where no other daemon of this user listens.
        os.environ["XDG_RUNTIME_DIR"] = runtime
        store = fresh(server, "bench")
        found["server"] = store.session.run(
            lambda c: str(c.execute(text("SELECT VERSION()")).scalar())
        )
        store.close()
        for name, work in parts.items():
            if told.only in (None, name):
                print(f"bench: {name}", file=sys.stderr)
                found[name] = work(server)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
