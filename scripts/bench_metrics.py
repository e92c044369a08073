"""What measuring costs: seconds of one scrape, the CPU time of a daemon that is scraped, series.

Starts ``wpbridge work`` over a private MariaDB, with ``--metrics`` and in turn without. Prints one
JSON object.
"""

import argparse
import contextlib
import json
import os
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from bench import HOOK, SHAPES, fill, milliseconds, rows_of
from bench_daemon import LONGEST_SECONDS, SETTLED_SECONDS, daemon
from bench_queue import fresh
from process_costs import cpu_seconds
from servers import MariaDB, private_mariadb
from wpbridge.monitor.endpoint import FRESH_SECONDS
from wpbridge.store.running.runner_store import RunnerStore

SHAPES["not_ours"] = ("CONCAT('other_', n % 50)", "n % 900000", "10", "1 + n % 2")
SHAPES["many_hooks"] = ("CONCAT('bench_', n % 10000)", "n % 900000", "10", "1 + n % 2")
HOOKS = 10_000
PLAIN = f"""
from wpbridge import hook


@hook("{HOOK}")
def work(number):
    pass
"""
MANY = f"""
from wpbridge import hook


def fail(number):
    raise RuntimeError("no")


def work(number):
    pass


for number in range({HOOKS}):
    hook(f"bench_{{number}}")(fail if number % 3 == 0 else work)
"""
"""Handlers of many hooks; every third fails."""


def free_address() -> str:
    """Return an address at which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


def scrape(address: str) -> tuple[float, str]:
    """Ask for the metrics. Returns the seconds that it took, and the text."""
    start = time.perf_counter()
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=LONGEST_SECONDS) as answer:
        told = answer.read().decode()
    return time.perf_counter() - start, told


def scrape_anew(address: str) -> float:
    """Return the seconds of a scrape for which the text is written anew."""
    time.sleep(FRESH_SECONDS + 0.1)
    return scrape(address)[0]


def series(told: str) -> int:
    """Return how many series a text has."""
    return sum(not line.startswith("#") for line in told.splitlines())


@contextlib.contextmanager
def scraped(address: str | None) -> Iterator[None]:
    """Scrape each second while this block runs: fifteen times as often as Prometheus would."""
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.wait(1):
            scrape(address or "")

    thread = threading.Thread(target=go_on)
    if address:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        if address:
            thread.join()


def scrapes(server: MariaDB, rows: int, times: int) -> dict[str, object]:
    """Scrape a daemon of a queue with so many due rows, none of which it runs."""
    store = fresh(server, "scrapes")
    fill(store, "not_ours", rows)
    store.close()
    address = free_address()
    with daemon(server.url("scrapes"), f"--metrics={address}") as one:
        told = until(lambda: readable(address))
        started = [cpu_seconds(pid) for pid in one.processes()]
        begin = time.monotonic()
        taken = [scrape_anew(address) for _ in range(times)]
        used = sum(cpu_seconds(pid) for pid in one.processes()) - sum(started)
    return {
        "rows": rows,
        **milliseconds(taken),
        "bytes": len(told),
        "series": series(told),
        "cpu_percent_of_a_core": round(used / (time.monotonic() - begin) * 100, 2),
    }


def readable(address: str) -> str | None:
    """Return the text once it has what the tables show."""
    _, told = scrape(address)
    return told if re.search(r"^wpbridge_scrape_success\{.*\} 1", told, re.MULTILINE) else None


def idle(server: MariaDB, seconds: float, pairs: int) -> dict[str, object]:
    """Compare daemons that have nothing to do, without metrics and scraped each second."""
    fresh(server, "idle").close()
    shares: dict[str, list[float]] = {"off": [], "scraped": []}
    for _ in range(pairs):
        for kind, told in shares.items():
            told.append(idle_share(server.url("idle"), seconds, is_on=kind == "scraped"))
    more = [on - off for off, on in zip(shares["off"], shares["scraped"], strict=True)]
    return {
        "seconds": seconds,
        "cpu_percent_of_a_core": shares,
        "more_percent": {
            "median": round(statistics.median(more), 3),
            "highest": round(max(more), 3),
        },
    }


def idle_share(dsn: str, seconds: float, *, is_on: bool) -> float:
    """Return which part of a core an idle daemon takes, in percent."""
    address = free_address() if is_on else None
    flags = [f"--metrics={address}"] if is_on else []
    with daemon(dsn, *flags) as one, scraped(address):
        time.sleep(2 * SETTLED_SECONDS)
        before, start = sum(cpu_seconds(pid) for pid in one.processes()), time.monotonic()
        time.sleep(seconds)
        used = sum(cpu_seconds(pid) for pid in one.processes()) - before
        return round(used / (time.monotonic() - start) * 100, 3)


def loaded(server: MariaDB, actions: int, pairs: int) -> dict[str, object]:
    """Compare daemons that have much to do, by the CPU time of each action."""
    found: dict[str, list[dict[str, float]]] = {"off": [], "scraped": []}
    store = fresh(server, "loaded")
    for turn in range(pairs + 1):
        for kind, told in found.items():
            fill(store, "all_ours", actions)
            one = run_all(server.url("loaded"), store, actions, is_on=kind == "scraped")
            if turn:  # The first warms the server up.
                told.append(one)
    store.close()
    ratios = {
        what: [on[what] / off[what] for off, on in zip(found["off"], found["scraped"], strict=True)]
        for what in ("cpu_us", "per_second")
    }
    return {
        "actions": actions,
        **found,
        "ratios": {
            what: {
                "median": round(statistics.median(told), 3),
                "lowest": round(min(told), 3),
                "highest": round(max(told), 3),
            }
            for what, told in ratios.items()
        },
    }


def run_all(dsn: str, store: RunnerStore, actions: int, *, is_on: bool) -> dict[str, float]:
    """Have a daemon run everything. Returns microseconds of CPU an action, and actions a second."""
    address = free_address() if is_on else None
    flags = [f"--metrics={address}"] if is_on else []
    start = time.monotonic()
    with daemon(dsn, *flags, handlers=PLAIN) as one, scraped(address):
        pids = one.processes()
        until(lambda: has_ended(store), pause=0.5)
        seconds = time.monotonic() - start
        supervisor, *workers = [cpu_seconds(pid) for pid in pids]
    return {
        "cpu_us": round((supervisor + sum(workers)) / actions * 1e6, 1),
        "supervisor_percent": round(supervisor / seconds * 100, 2),
        "per_second": round(actions / seconds),
    }


def has_ended(store: RunnerStore) -> bool:
    """Whether nothing is pending or runs."""
    table = "wp_actionscheduler_actions"
    left = rows_of(
        store, f"SELECT 1 FROM {table} WHERE status IN ('pending', 'in-progress') LIMIT 1"
    )
    return not left


def many_hooks(server: MariaDB) -> dict[str, object]:
    """Count the series of a site with thousands of hooks, a third of which fail."""
    store = fresh(server, "hooks")
    fill(store, "many_hooks", 2 * HOOKS)
    address = free_address()
    with daemon(server.url("hooks"), f"--metrics={address}", handlers=MANY):
        until(lambda: has_ended(store), pause=0.5)
        until(lambda: readable(address))
        # What a worker has counted is sent within a second.
        time.sleep(2)
        taken = [scrape_anew(address) for _ in range(20)]
        _, told = scrape(address)
    store.close()
    by_name: dict[str, int] = {}
    for line in told.splitlines():
        if not line.startswith("#"):
            name = re.split(r"[{ ]", line, maxsplit=1)[0]
            by_name[name] = by_name.get(name, 0) + 1
    return {
        "hooks": HOOKS,
        "series": series(told),
        "bytes": len(told),
        **milliseconds(taken),
        "most": dict(sorted(by_name.items(), key=lambda one: -one[1])[:8]),
    }


def until(true: Callable[[], Any], pause: float = 0.1) -> Any:
    """Wait for something that becomes true."""
    end = time.monotonic() + 10 * LONGEST_SECONDS
    while not (found := true()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(pause)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small: does it run?")
    parser.add_argument("--only", choices=["scrapes", "idle", "loaded", "hooks"])
    parser.add_argument("--rows", type=int, action="append", help="backlogs to scrape beside")
    parser.add_argument("--pairs", type=int, default=5)
    told = parser.parse_args()
    quick, pairs = told.quick, 1 if told.quick else told.pairs
    backlogs = told.rows or ([2_000] if quick else [10_000, 1_000_000])
    parts: dict[str, Callable[[MariaDB], object]] = {
        "scrapes": lambda s: [scrapes(s, rows, 20 if quick else 100) for rows in backlogs],
        "idle": lambda s: idle(s, 5.0 if quick else 60.0, pairs),
        "loaded": lambda s: loaded(s, 2_000 if quick else 50_000, pairs),
        "hooks": many_hooks,
    }
    found: dict[str, object] = {"python": sys.version.split()[0], "cores": os.cpu_count()}
    with private_mariadb() as server, tempfile.TemporaryDirectory(prefix="wpb-") as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime
        for name, work in parts.items():
            if told.only in (None, name):
                print(f"bench: {name}", file=sys.stderr)
                found[name] = work(server)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
