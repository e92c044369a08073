"""The dashboard over a queue of millions: how long its pages take, and what open tabs cost claims.

Fills a private MariaDB, serves the pages with ``wpbridge serve``, and asks for them over HTTP as a
browser does. Prints one JSON object.
"""

import argparse
import contextlib
import gzip
import http.client
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import requests

from bench import rows_of, run, secondary_keys
from bench_queue import fresh
from process_costs import cpu_seconds
from served import served
from servers import MariaDB, private_mariadb
from wpbridge.access import user_changes
from wpbridge.codec import schedule
from wpbridge.dashboard.overview import OverviewReader, overview_of
from wpbridge.dashboard.workers import workers_of
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS: Final = "wp_actionscheduler_actions"
LOGS: Final = "wp_actionscheduler_logs"
STATS: Final = "wp_wpbridge_stats"
FAILURES: Final = 100_000
DUE: Final = 20_000
HOOKS: Final = 200
CLAIMED: Final = "claimed"
"""The hook of the due actions."""
STEP: Final = 1_000_000
TABS: Final = 50
BATCH: Final = 25
PAUSE_SECONDS: Final = 0.01
"""Between two claims: a runner also has actions to run."""
WORDS: Final = ("timed out", "was refused", "has no such customer", "sent no answer", "is full")
ARGS: Final = '{"order":4711,"customer":4711}'
PASSWORD: Final = "a password of the bench"  # noqa: S105 - of a database that is thrown away
LARGE: Final = 5_000_000
"""From so many rows on, the server gets the memory that such a queue has."""


def seed(store: RunnerStore, rows: int) -> None:
    """Fill a queue: most rows are complete, some wait, some are due, and many have failed."""
    store.parts.own.ensure()
    for slug in ("", *(f"group_{n}" for n in range(20))):
        run(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES (:s)", s=slug)
    keys = secondary_keys(store)
    run(store, f"ALTER TABLE {ACTIONS} {', '.join(f'DROP KEY {name}' for name in keys)}")
    each, due = max(2, rows // FAILURES), max(3, rows // DUE)
    status = (
        f"CASE WHEN n % {due} = 1 THEN 'pending' WHEN n % {each} = 0 THEN 'failed'"
        " WHEN n % 50 = 7 THEN 'pending' WHEN n % 1000 = 9 THEN 'canceled' ELSE 'complete' END"
    )
    # Those that are due have a hook of their own; the others that wait have dates ahead.
    hook = f"IF(n % {due} = 1, '{CLAIMED}', CONCAT('shop_hook_', CRC32(n) % {HOOKS}))"
    ago = f"(CAST(2592000 * ({rows} - n) / {rows} AS SIGNED))"
    seconds = (
        f"IF(n % {due} = 1, -n % 900, IF(n % 50 = 7 AND n % {each} <> 0, 86400 + n % 900000,"
        f" -{ago}))"
    )
    blob = schedule.encode(schedule.single(datetime.now(UTC))).decode()
    for low in range(1, rows + 1, STEP):
        high = min(low + STEP - 1, rows)
        run(
            store,
            f"INSERT INTO {ACTIONS} (hook, status, scheduled_date_gmt, scheduled_date_local,"
            " priority, args, schedule, group_id, attempts, last_attempt_gmt, last_attempt_local)"
            f" SELECT {hook}, {status}, UTC_TIMESTAMP() + INTERVAL {seconds} SECOND,"
            f" UTC_TIMESTAMP() + INTERVAL {seconds} SECOND, 10,"
            " CONCAT('{\"order\":', n, ',\"customer\":', n % 70000, '}'), :blob, 1 + n % 21,"
            f" {status} <> 'pending', IF({status} = 'pending', '0000-00-00 00:00:00',"
            f" UTC_TIMESTAMP() - INTERVAL {ago} SECOND), '0000-00-00 00:00:00'"
            f" FROM (SELECT seq AS n FROM seq_{low}_to_{high}) s",
            blob=blob,
        )
    for definition in keys.values():
        run(store, f"ALTER TABLE {ACTIONS} ADD {definition}")
    _seed_logs(store)
    _seed_stats(store)
    for table in (ACTIONS, LOGS, STATS):
        run(store, f"ANALYZE TABLE {table}")


def _seed_logs(store: RunnerStore) -> None:
    """Give each failure the log rows of its run."""
    words = ", ".join(f"'{word}'" for word in WORDS)
    failed = (
        "'action failed via wpbridge: RuntimeError: host-', action_id % 60,"
        f" '.example ', ELT(1 + action_id % {len(WORDS)}, {words}), ' after ', action_id % 30, ' s'"
    )
    for message in ("'action created'", "'action started via wpbridge'", f"CONCAT({failed})"):
        run(
            store,
            f"INSERT INTO {LOGS} (action_id, message, log_date_gmt, log_date_local)"
            f" SELECT action_id, {message}, last_attempt_gmt, last_attempt_gmt FROM {ACTIONS}"
            " WHERE status = 'failed'",
        )


def _seed_stats(store: RunnerStore) -> None:
    """Remember two days of minutes and thirty of hours, of 50 and of all hooks."""
    buckets = ",".join(["3"] * 14)
    for span, seconds, count, hooks in (("minute", 60, 2880, 50), ("hour", 3600, 720, HOOKS)):
        for outcome, actions in (("complete", "7 + h % 40"), ("failed", "h % 3")):
            run(
                store,
                f"INSERT INTO {STATS} (span, begin_gmt, hook, group_id, outcome, actions,"
                " duration_seconds, wait_seconds, durations, waits) SELECT :span,"
                f" FROM_UNIXTIME((UNIX_TIMESTAMP() DIV {seconds} - t) * {seconds}),"
                f" CONCAT('shop_hook_', h), 2, :outcome, {actions}, 3.5, 9.5, :buckets, :buckets"
                f" FROM (SELECT seq AS t FROM seq_0_to_{count}) a,"
                f" (SELECT seq AS h FROM seq_0_to_{hooks - 1}) b",
                span=span,
                outcome=outcome,
                buckets=buckets,
            )


class Browser:
    """Somebody who has signed in, over one connection that is kept."""

    def __init__(self, url: str, pid: int) -> None:
        self.pid = pid
        """The gateway's process."""
        parts = urlsplit(url)
        self.url, self.base = url, parts.path.rstrip("/")
        self._host = parts.netloc
        with requests.Session() as session:
            answer = session.post(
                f"{url}/sign-in",
                {"username": "bench", "password": PASSWORD},
                headers={"Origin": f"http://{self._host}"},
                allow_redirects=False,
                timeout=60,
            )
            if answer.status_code != http.HTTPStatus.SEE_OTHER:
                raise RuntimeError(answer.text)
            self.cookie = "; ".join(f"{one.name}={one.value}" for one in session.cookies)
        self._connection = http.client.HTTPConnection(self._host, timeout=120)

    def get(self, path: str, **headers: str) -> tuple[float, int, bytes, Mapping[str, str]]:
        """Ask for a page: the seconds that it took, its status, its bytes as sent, its headers."""
        told = {"Cookie": self.cookie, "Accept-Encoding": "gzip", **headers}
        start = time.perf_counter()
        self._connection.request("GET", f"{self.base}{path}", headers=told)
        answer = self._connection.getresponse()
        body = answer.read()
        return time.perf_counter() - start, answer.status, body, dict(answer.getheaders())


def p95(times: Sequence[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    ordered = sorted(times)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] * 1000, 1)


def told(times: Sequence[float]) -> dict[str, float]:
    """Return what is kept of times."""
    return {
        "first_ms": round(times[0] * 1000, 1),
        "p50_ms": round(statistics.median(times) * 1000, 1),
        "p95_ms": p95(times),
        "longest_ms": round(max(times) * 1000, 1),
    }


def pages(browser: Browser, store: RunnerStore, rounds: int) -> dict[str, object]:
    """Ask for each page again and again, each time as somebody who comes anew."""
    lists = {
        "all": "",
        "failed": "status=failed",
        "pending": "status=pending",
        "past due": "status=past-due",
        "hook": "hook=shop_hook_7",
        "hook and status": "hook=shop_hook_7&status=failed",
        "group": "group=group_3",
        "dates": f"since={quote('-3d')}&until={quote('-2d')}",
        "last attempt": f"status=failed&ended_since={quote('-1d')}",
        "args": f"args={quote(ARGS)}",
        "search": "search=hook_77",
        "by date": "status=pending&order=soonest",
    }
    found: dict[str, object] = {"overview": asked(browser, ["/"] * rounds)}
    found["list"] = {
        name: asked(browser, [f"/actions?{query}"] * rounds) for name, query in lists.items()
    }
    [least], [most] = (
        rows_of(store, f"SELECT {which}(action_id) FROM {ACTIONS}") for which in ("MIN", "MAX")
    )
    failed = rows_of(
        store,
        f"SELECT action_id FROM {ACTIONS} WHERE status = 'failed' ORDER BY action_id DESC LIMIT 50",
    )
    spread = [least + (most - least) * n // rounds for n in range(rounds)]
    found["detail"] = {
        "any": asked(browser, [f"/actions/{number}" for number in spread]),
        "failed": asked(browser, [f"/actions/{failed[n % len(failed)]}" for n in range(rounds)]),
    }
    for name in ("failures", "recurring", "workers", "hooks", "measures", "jobs", "doctor"):
        found[name] = asked(browser, [f"/{name}"] * min(rounds, 30))
    return found


def asked(browser: Browser, paths: Sequence[str]) -> dict[str, object]:
    """Ask for pages in turn; the first time nothing is remembered of them."""
    taken: list[float] = []
    statuses: set[int] = set()
    size, used = 0, cpu_seconds(browser.pid)
    for path in paths:
        seconds, status, body, _ = browser.get(path)
        taken.append(seconds)
        statuses.add(status)
        size = max(size, len(body))
        # What the gateway still does after an answer shall not slow the next one.
        time.sleep(0.05)
    cpu = (cpu_seconds(browser.pid) - used) / len(paths) * 1000
    return {
        **told(taken),
        # Says more than the time where other work keeps the processors busy.
        "gateway_cpu_ms": round(cpu, 1),
        "statuses": sorted(statuses),
        "bytes": size,
    }


def questions(store: RunnerStore, times: int) -> dict[str, object]:
    """Ask the tables what two pages show: with nothing remembered, and again and again."""
    overviews = OverviewReader()
    asks: dict[str, Callable[[], object]] = {
        "overview": lambda: overview_of(store.parts, datetime.now(UTC)),
        "overview, renewed": lambda: overviews.read(store.parts, datetime.now(UTC)),
        "workers": lambda: workers_of(store.parts, datetime.now(UTC)),
    }
    found: dict[str, object] = {}
    for name, ask in asks.items():
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            ask()
            taken.append(time.perf_counter() - start)
        found[name] = told(taken)
    return found


def first_page(browser: Browser) -> dict[str, object]:
    """Return how many bytes the first page is, with all that it loads, as they are sent."""
    _, _, body, headers = browser.get("/")
    text = _plain(body, headers)
    found = {"/": len(body)}
    for path in re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', text):
        name = path.removeprefix(browser.base).replace("&amp;", "&")
        if name not in found:
            found[name] = len(browser.get(name)[2])
    return {"bytes": sum(found.values()), "parts": found}


def _plain(body: bytes, headers: Mapping[str, str]) -> str:
    if headers.get("content-encoding", headers.get("Content-Encoding")) == "gzip":
        body = gzip.decompress(body)
    return body.decode()


def beside_tabs(browser: Browser, store: RunnerStore, claims: int, pairs: int) -> dict[str, object]:
    """Compare claims' p99 without tabs, and beside fifty that poll, in turn."""
    shares: dict[str, list[float]] = {"without": [], "beside": []}
    medians: dict[str, list[float]] = {"without": [], "beside": []}
    asked_for: list[int] = []
    # It must not be silent for long: the gateway has a runner of its own, which would bury it.
    store.register(host="bench", boot="", pid=1, pid_started="")
    claim_often(store, max(20, claims // 5))
    for turn in range(pairs):
        kinds = list(shares)
        # Each is first in every other pair, since a server gets quicker or slower with time.
        for kind in kinds if turn % 2 else reversed(kinds):
            with tabs(browser if kind == "beside" else None) as count:
                taken = claim_often(store, claims)
            if kind == "beside":
                asked_for.append(count())
            shares[kind].append(round(_p99(taken) * 1000, 2))
            medians[kind].append(round(statistics.median(taken) * 1000, 2))
    store.unregister()
    ratios = [a / b for a, b in zip(shares["beside"], shares["without"], strict=True)]
    return {
        "tabs": TABS,
        "claims": claims,
        "p99_ms": shares,
        "p50_ms": medians,
        "pages_asked_for": asked_for,
        "p99_ratio": {
            "median": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
        },
    }


def _p99(taken: Sequence[float]) -> float:
    ordered = sorted(taken)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def claim_often(store: RunnerStore, times: int) -> list[float]:
    """Claim due actions and put them back; return the seconds of each claim."""
    only = ClaimFilter(hooks=frozenset({CLAIMED}))
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        held = store.claim_due(now=datetime.now(UTC), limit=BATCH, only=only)
        taken.append(time.perf_counter() - start)
        if held is None:
            raise RuntimeError("nothing is due")
        store.release(held.actions, finished=[held.id])
        time.sleep(PAUSE_SECONDS)
    return taken


@contextlib.contextmanager
def tabs(browser: Browser | None) -> Iterator[Callable[[], int]]:
    """Have fifty tabs poll in another process while this block runs; yield how often they did."""
    if browser is None:
        yield lambda: 0
        return
    process = subprocess.Popen(
        [sys.executable, __file__, "--tabs", browser.url, browser.cookie],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    counts: list[int] = []
    try:
        yield lambda: counts[0]
    finally:
        counts.append(int(process.communicate("over\n")[0] or 0))


def poll(url: str, cookie: str) -> None:
    """Be fifty tabs until a line comes: each asks anew some seconds after its last answer."""
    parts = urlsplit(url)
    base = parts.path.rstrip("/")
    # The pages with the seconds after which they renew themselves.
    shown = itertools.cycle([("/", 3), ("/", 3), ("/actions", 5), ("/workers", 5), ("/hooks", 10)])
    is_over, count, lock = threading.Event(), itertools.count(), threading.Lock()

    def tab(path: str, seconds: float, begin: float) -> None:
        connection = http.client.HTTPConnection(parts.netloc, timeout=120)
        mark = ""
        is_over.wait(begin)
        while not is_over.is_set():
            headers = {"Cookie": cookie, "Accept-Encoding": "gzip", "If-None-Match": mark}
            connection.request("GET", f"{base}{path}", headers=headers)
            answer = connection.getresponse()
            answer.read()
            mark = answer.getheader("ETag") or ""
            with lock:
                next(count)
            is_over.wait(seconds)

    threads = []
    for number in range(TABS):
        path, seconds = next(shown)
        begin = seconds * number / TABS
        threads.append(threading.Thread(target=tab, args=(path, seconds, begin)))
    for thread in threads:
        thread.start()
    # Each of them has asked once by then.
    time.sleep(4)
    print(0, flush=True)
    sys.stdin.readline()
    is_over.set()
    for thread in threads:
        thread.join()
    print(next(count))


def measure(server: MariaDB, rows: int, options: argparse.Namespace) -> dict[str, object]:
    """Fill a queue, serve its pages and measure them."""
    store = fresh(server, "dashboard")
    start = time.monotonic()
    seed(store, rows)
    print(f"bench: filled in {time.monotonic() - start:.0f} s", file=sys.stderr)
    user_changes.add(store.parts, "bench", PASSWORD, role="admin", who="cli:bench")
    found: dict[str, object] = {"rows": rows, "failures": min(FAILURES, rows // 2)}
    rounds = 20 if options.quick else options.rounds
    with tempfile.TemporaryDirectory(prefix="wpb-", dir="/tmp") as folder:
        flags = ["--listen", "127.0.0.1:0"]
        with served(Path(folder), server.url("dashboard"), *flags) as one:
            browser = Browser(one.url, one.process.pid)
            parts: dict[str, Callable[[], object]] = {
                "first_page": lambda: first_page(browser),
                "pages": lambda: pages(browser, store, rounds),
                "questions": lambda: questions(store, 5 if options.quick else 20),
                "claims": lambda: beside_tabs(
                    browser,
                    store,
                    50 if options.quick else 1000,
                    1 if options.quick else options.pairs,
                ),
            }
            for name, work in parts.items():
                if options.only in (None, name):
                    print(f"bench: {name}", file=sys.stderr)
                    found[name] = work()
    store.close()
    return found


def main() -> None:
    if sys.argv[1:2] == ["--tabs"]:
        poll(*sys.argv[2:4])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small: does it run?")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=100, help="how often each page is asked for")
    parser.add_argument("--pairs", type=int, default=5, help="of claims without and beside tabs")
    parser.add_argument("--only", choices=["first_page", "pages", "questions", "claims"])
    options = parser.parse_args()
    rows = 20_000 if options.quick else options.rows
    found: dict[str, object] = {"python": sys.version.split()[0], "cores": os.cpu_count()}
    memory = "8G" if rows >= LARGE else "1G"
    settings = [f"--innodb-buffer-pool-size={memory}", "--innodb-sort-buffer-size=64M"]
    with private_mariadb(settings) as server:
        found |= measure(server, rows, options)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
