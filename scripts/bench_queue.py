"""Enqueueing, lists and reports, cleaning beside claims, unique actions under a race.

Prints one JSON object. The plugin's own statements, replayed in plain SQL in the same run, stand
beside the rates they can be compared with.
"""

import argparse
import functools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path

from bench import NOW, connect, milliseconds, rows_of, run
from servers import MariaDB, private_mariadb
from wpbridge.action import Status
from wpbridge.codec import schedule
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.upkeep.retention import Expiry
from wpbridge.upkeep import cleanup

HOOKS = 40
PLUGIN_SECONDS = 10
IDENTITIES = 100


def fresh(server: MariaDB, name: str) -> RunnerStore:
    """A store over a new database."""
    first = connect(server.url("mysql"))
    run(first, f"DROP DATABASE IF EXISTS {name}")
    run(first, f"CREATE DATABASE {name} COLLATE utf8mb4_unicode_520_ci")
    first.close()
    return connect(server.url(name))


def enqueueing(server: MariaDB, rows: int) -> dict[str, object]:
    """Rows a second, each with its log row."""
    store = fresh(server, "bench_enqueue")
    queue = Queue(store.parts)
    at = NOW.timestamp()
    kinds: dict[str, Callable[[int], Enqueue]] = {
        "async": lambda n: Enqueue(hook="bench", args=[n, "x"], group="bench"),
        "single": lambda n: Enqueue(
            hook="bench", args={"order": n, "mail": "a@b.example"}, group="bench", at=at + n
        ),
    }
    found: dict[str, object] = {}
    for kind, make in kinds.items():
        start = time.perf_counter()
        queue.enqueue_many(make(n) for n in range(rows))
        found[f"{kind}_per_second"] = round(rows / (time.perf_counter() - start))
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "lines.jsonl")
        lines.write_text("".join(f'{{"hook":"bench","args":[{n}]}}\n' for n in range(rows)))
        start = time.perf_counter()
        command(server, "bench_enqueue", "enqueue", "--jsonl", str(lines))
        found["jsonl_command_per_second"] = round(rows / (time.perf_counter() - start))
    found["plugin_statements_per_second"] = plugin_enqueues(store)
    found["rows"] = rows
    queue.close()
    return found


def plugin_enqueues(store: RunnerStore) -> int:
    """The plugin's statements for one action, each in autocommit, for some seconds."""
    blob = schedule.encode(schedule.Async()).decode()
    now = "2026-11-24 00:00:00"
    done = 0
    end = time.perf_counter() + PLUGIN_SECONDS
    while time.perf_counter() < end:
        values = {"now": now, "blob": blob, "args": f"[{done}]"}
        store.session.run(functools.partial(add_as_plugin, values=values))
        done += 1
    return round(done / PLUGIN_SECONDS)


GROUP = text("SELECT group_id FROM wp_actionscheduler_groups WHERE slug = 'bench'")
ACTION = text(
    "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt,"
    " scheduled_date_local, schedule, group_id, priority, args) SELECT 'bench', 'pending',"
    " :now, :now, :blob, :group, 10, :args FROM DUAL WHERE (SELECT NULL FROM DUAL) IS NULL"
)
LOG = text(
    "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
    " VALUES (:id, 'action created', :now, :now)"
)


def add_as_plugin(connection: Connection, values: dict[str, str]) -> None:
    group_id = connection.execute(GROUP).scalar()
    made = connection.execute(ACTION, {**values, "group": group_id})
    connection.execute(LOG, {"id": made.lastrowid, "now": values["now"]})


def fill_mixed(store: RunnerStore, rows: int) -> None:
    """A queue as 90 days make it: most of it ended, some pending, 40 hooks, 8 groups."""
    for n in range(8):
        run(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES (:s)", s=f"group_{n}")
    blob = schedule.encode(schedule.single(NOW)).decode()
    step = 200_000
    for low in range(1, rows + 1, step):
        high = min(low + step - 1, rows)
        run(
            store,
            "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt,"
            " scheduled_date_local, priority, args, schedule, group_id, attempts,"
            " last_attempt_gmt, last_attempt_local, claim_id)"
            f" SELECT CONCAT('hook_', n % {HOOKS}), s, d, d, 10, CONCAT('[', n, ']'), :blob,"
            " 1 + n % 8, 1, d, d, IF(s = 'complete', n % 999, 0)"
            f" FROM (SELECT seq AS n, ELT(1 + LEAST(seq DIV {HOOKS} % 20, 5), 'failed',"
            " 'canceled', 'pending', 'pending', 'pending', 'complete') AS s,"
            f" UTC_TIMESTAMP() - INTERVAL ({rows} - seq) * 7776 / {rows / 1000} SECOND AS d"
            f" FROM seq_{low}_to_{high}) r",
            blob=blob,
        )
    run(store, "ANALYZE TABLE wp_actionscheduler_actions")


def command(server: MariaDB, database: str, *arguments: str) -> str:
    """Run the command as a process; its output."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "wpbridge", *arguments, "--dsn", server.url(database)],
        capture_output=True,
        text=True,
        check=True,
        env=clean,
        timeout=600,
    )
    return done.stdout


def looking(server: MariaDB, rows: int, rounds: int) -> dict[str, object]:
    """Milliseconds of lists and reports, as calls and as whole processes."""
    store = fresh(server, "bench_look")
    fill_mixed(store, rows)
    queue = Queue(store.parts)
    calls: dict[str, Callable[[], object]] = {
        "status": lambda: (store.counts(), store.parts.due.count(NOW, cap=100_000)),
        "list": lambda: (queue.find(), queue.count()),
        "list_hook_failed": lambda: (
            queue.find(hooks=("hook_3",), statuses=("failed",)),
            queue.count(hooks=("hook_3",), statuses=("failed",)),
        ),
        "list_newest_complete": lambda: queue.find(
            statuses=("complete",), order="date", descending=True
        ),
        "list_search": lambda: queue.find(search="[4711"),
        "stats_hook": lambda: queue.stats("hook"),
        "stats_group": lambda: queue.stats("group"),
        "stats_hour": lambda: queue.stats("hour"),
    }
    found: dict[str, object] = {"rows": rows}
    for name, work in calls.items():
        found[name] = milliseconds([timed(work) for _ in range(rounds)])
    queue.close()
    for name, words in {
        "status": ("status",),
        "list": ("list",),
        "stats_hook": ("stats", "--by", "hook"),
        "stats_group": ("stats", "--by", "group"),
        "stats_hour": ("stats", "--by", "hour"),
    }.items():
        times = [
            timed(lambda words=words: command(server, "bench_look", *words))  # type: ignore[misc]  # the words of now
            for _ in range(rounds)
        ]
        found[f"{name}_process"] = milliseconds(times)
    return found


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cleaning(server: MariaDB, rows: int) -> dict[str, object]:
    """Rows a second that `clean` deletes, each with three log rows, while claims go on."""
    store = fresh(server, "bench_clean")
    fill_mixed(store, rows)
    for message in ("action created", "action started via WP Cron", "action complete via WP Cron"):
        run(
            store,
            "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt,"
            " log_date_local) SELECT action_id, :m, last_attempt_gmt, last_attempt_local"
            " FROM wp_actionscheduler_actions WHERE status = 'complete'",
            m=message,
        )
    store.register(host="bench", boot="b", pid=1, pid_started="1")
    alone = claim_times(store, seconds=5.0)
    cleaner = connect(server.url("bench_clean"))
    old = rows_of(
        store, "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status = 'complete'"
    )[0]
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.SimpleQueue()
    claims = context.Process(target=claim_beside, args=(server.url("bench_clean"), stop, told))
    claims.start()
    told.get()
    expiry = Expiry(status=Status.COMPLETE, before=NOW + timedelta(days=3650))
    start = time.perf_counter()
    deleted = cleanup.delete_expired(cleaner.parts, expiry)
    seconds = time.perf_counter() - start
    stop.set()
    times = told.get()
    claims.join()
    store.close()
    cleaner.close()
    return {
        "rows": rows,
        "deleted": deleted,
        "all_of_them": deleted == old,
        "per_second": round(deleted / seconds),
        "claims_alone": milliseconds(alone),
        "claims_beside": milliseconds(times),
        "claims_made": len(times),
    }


def claim_beside(url: str, stop: Event, told: SimpleQueue[object]) -> None:
    """Another process's claims, until it is stopped."""
    store = connect(url)
    store.register(host="bench", boot="b", pid=2, pid_started="1")
    told.put("ready")
    told.put(claim_times(store, stop=stop))
    store.close()


def claim_times(
    store: RunnerStore, *, seconds: float = 3600.0, stop: Event | None = None
) -> list[float]:
    """Claims of 25 that are put back again, one after the other."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not (stop and stop.is_set()):
        start = time.perf_counter()
        claim = store.claim_due(now=NOW + timedelta(days=400), limit=25, only=ClaimFilter())
        found.append(time.perf_counter() - start)
        if claim is not None:
            store.release(claim.actions, finished=[claim.id])
    return found


def try_unique(url: str, tries: int, seed: int, by: str) -> None:
    """One process of the race."""
    queue = Queue(connect(url), unique_by=by)  # type: ignore[arg-type]  # group or args
    for n in range(tries):
        name = (n * 31 + seed) % IDENTITIES
        if by == "group":
            queue.enqueue_async(f"unique_{name}", unique=True)
        else:
            queue.enqueue_async("unique", [name], unique=True)
    queue.close()


def racing(server: MariaDB, processes: int, tries: int) -> dict[str, object]:
    """Several processes try the same unique actions: one pending row each."""
    found: dict[str, object] = {"processes": processes, "tries_each": tries}
    for by in ("group", "args"):
        fresh(server, "bench_unique").close()
        context = multiprocessing.get_context("spawn")
        url = server.url("bench_unique")
        workers = [
            context.Process(target=try_unique, args=(url, tries, seed, by))
            for seed in range(processes)
        ]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seconds = time.perf_counter() - start
        store = connect(url)
        pending = Queue(store.parts).count(Query(statuses=("pending",)))
        store.close()
        found[f"by_{by}"] = {
            "pending": pending,
            "exit_codes": sorted({worker.exitcode for worker in workers}, key=str),
            "tries_per_second": round(processes * tries / seconds),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small round, for CI")
    parser.add_argument("--only", choices=["enqueueing", "looking", "cleaning", "racing"])
    told = parser.parse_args()
    quick = told.quick
    sizes: dict[str, Callable[[MariaDB], object]] = {
        "enqueueing": lambda s: enqueueing(s, 2_000 if quick else 200_000),
        "looking": lambda s: looking(s, 5_000 if quick else 1_000_000, 2 if quick else 11),
        "cleaning": lambda s: cleaning(s, 5_000 if quick else 500_000),
        "racing": lambda s: racing(s, 2 if quick else 8, 200 if quick else 10_000),
    }
    found: dict[str, object] = {}
    with private_mariadb() as server:
        for name, work in sizes.items():
            if told.only in (None, name):
                found[name] = work(server)
    found["median_note"] = "p50 of the rounds; a process includes Python's start"
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
