"""Claim latency, end-to-end rate and memory, beside the plugin's own statements.

Prints one JSON object. Every rate comes with the plugin's, replayed in plain SQL in the same run.
"""

import argparse
import itertools
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from servers import private_mariadb
from stores import make_database, make_store
from wpbridge.action import NewAction
from wpbridge.clock import SystemClock
from wpbridge.codec import schedule
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import text
from wpbridge.store.running.runner_store import RunnerStore

HOOK = "bench_ours"
BIG = 100_000
ONLY_CLAIMS = 5_000_000
"""From so many rows on only claims are measured: each further part would fill the table anew."""
LONGEST_SECONDS = 60
NOW = datetime(2026, 11, 24, tzinfo=UTC)
SHAPES = {
    # shape: hook, scheduled date in seconds before NOW, priority, group id; n counts rows from 1
    "all_ours": (f"'{HOOK}'", "n % 900000", "10", "1"),
    "one_in_1000": (
        f"IF(n % 1000 = 0, '{HOOK}', CONCAT('other_', n % 50))",
        "n % 900000",
        "10",
        "1",
    ),
    "behind_others": (
        f"IF(n % 2 = 0, '{HOOK}', CONCAT('other_', n % 50))",
        "IF(n % 2 = 0, n % 1000, 2000 + n % 900000)",
        "10",
        "1",
    ),
    "mixed_priorities": (
        f"IF(n % 10 = 0, '{HOOK}', CONCAT('other_', n % 50))",
        "n % 900000",
        "(n * 7919) % 5 * 5",
        "1",
    ),
    "group": (f"'{HOOK}'", "n % 900000", "10", "IF(n % 1000 = 0, 2, 1)"),
    "nothing_due": (f"'{HOOK}'", "-CAST(86400 + n % 900000 AS SIGNED)", "10", "1"),
}
PLUGIN_CLAIM = (
    "UPDATE wp_actionscheduler_actions t1 JOIN (SELECT action_id FROM wp_actionscheduler_actions"
    " WHERE claim_id = 0 AND scheduled_date_gmt <= :now AND status = 'pending'"
    " ORDER BY priority ASC, attempts ASC, scheduled_date_gmt ASC, action_id ASC LIMIT :size"
    " FOR UPDATE SKIP LOCKED) t2 ON t1.action_id = t2.action_id"
    " SET claim_id = :claim, last_attempt_gmt = :now, last_attempt_local = :now"
)


def connect(dsn: str) -> RunnerStore:
    return make_store(DatabaseAddress.from_dsn(dsn), "wp_")


def run(store: RunnerStore, statement: str, **values: object) -> None:
    store.session.run(lambda c: c.execute(text(statement), values).rowcount)


def rows_of(store: RunnerStore, statement: str, **values: object) -> list[int]:
    """The first column of a SELECT."""
    rows = store.session.run(lambda c: c.execute(text(statement), values).fetchall())
    return [int(row[0]) for row in rows]


def fill(store: RunnerStore, shape: str, rows: int) -> None:
    """A backlog of pending rows, written by the server itself."""
    hook, before, priority, group = SHAPES[shape]
    for table in ("actions", "claims", "groups", "logs"):
        run(store, f"TRUNCATE wp_actionscheduler_{table}")
    for slug in ("", "bench"):
        run(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES (:s)", s=slug)
    date = f"TIMESTAMP('2026-11-24') - INTERVAL ({before}) SECOND"
    blob = schedule.encode(schedule.single(NOW)).decode()
    keys = secondary_keys(store)
    drops = [f"DROP KEY {name}" for name in keys]
    run(store, f"ALTER TABLE wp_actionscheduler_actions {', '.join(drops)}")
    step = 1_000_000
    for low in range(1, rows + 1, step):
        run(
            store,
            "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt,"
            " scheduled_date_local, priority, args, schedule, group_id, last_attempt_gmt,"
            f" last_attempt_local) SELECT {hook}, 'pending', {date}, {date}, {priority},"
            f" CONCAT('[', n, ']'), :blob, {group}, '0000-00-00 00:00:00', '0000-00-00 00:00:00'"
            f" FROM (SELECT seq AS n FROM seq_{low}_to_{min(low + step - 1, rows)}) s",
            blob=blob,
        )
    # Keys are sorted once each when the rows are there. A statement has five minutes at most.
    for definition in keys.values():
        run(store, f"ALTER TABLE wp_actionscheduler_actions ADD {definition}")
    run(store, "ANALYZE TABLE wp_actionscheduler_actions")


def secondary_keys(store: RunnerStore) -> dict[str, str]:
    """The definitions of the actions table's keys by name, without the primary key."""
    written = store.session.run(
        lambda c: str(c.execute(text("SHOW CREATE TABLE wp_actionscheduler_actions")).one()[1])
    )
    return {
        name: key for key, name in re.findall(r"^ *(KEY (`\w+`) .*?),?$", written, re.MULTILINE)
    }


def milliseconds(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    p50 = statistics.median(ordered)
    return {
        "p50_ms": round(p50 * 1000, 2),
        "p99_ms": round(p99 * 1000, 2),
        "p99_to_p50": round(p99 / p50, 1),
    }


def time_of(work: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def claims(dsn: str, rows: int, rounds: int, shapes: list[str]) -> dict[str, object]:
    """Claim latency by shape and batch, and the plugin's claim on the same rows."""
    found: dict[str, object] = {}
    for shape in shapes:
        store = connect(dsn)
        fill(store, shape, rows)
        store.register(host="bench", boot="", pid=1, pid_started="")
        groups = frozenset({"bench"}) if shape == "group" else None
        only = ClaimFilter(hooks=frozenset({HOOK}), groups=groups)
        result: dict[str, object] = {}
        for size in (25, 100):

            def claim(
                size: int = size, store: RunnerStore = store, only: ClaimFilter = only
            ) -> None:
                held = store.claim_due(now=NOW, limit=size, only=only)
                if held is not None:
                    store.release(held.actions, finished=[held.id])

            result[f"claim_and_release_{size}"] = milliseconds(time_of(claim, rounds))

            taken: list[float] = []
            few = max(1, rows // 1000 // 125)
            for _ in range(min(rounds, few) if shape in ("one_in_1000", "group") else rounds):
                start = time.perf_counter()
                held = store.claim_due(now=NOW, limit=size, only=only)
                taken.append(time.perf_counter() - start)
                if held is None:
                    continue
                store.release([], finished=[held.id])
                run(
                    store,
                    "UPDATE wp_actionscheduler_actions SET status = 'complete'"
                    f" WHERE claim_id = {int(held.id)}",
                )
            result[f"claim_{size}"] = milliseconds(taken)
        if shape in ("all_ours", "mixed_priorities"):
            counter = itertools.count(10**9)

            def plugin(store: RunnerStore = store, counter: Iterator[int] = counter) -> None:
                run(store, PLUGIN_CLAIM, now="2026-11-24 00:00:00", size=100, claim=next(counter))

            theirs = milliseconds(time_of(plugin, 5 if rows > BIG else 20))
            result["plugin_claim_100"] = theirs
            mine = result["claim_100"]
            assert isinstance(mine, dict)
            result["ratio_p50"] = round(theirs["p50_ms"] / mine["p50_ms"], 1)
        store.close()
        found[shape] = result
    return found


def noop(*_values: object) -> None:
    """Do nothing."""


def run_actions(dsn: str, actions: int, batch: int) -> None:
    """One process's share; prints its totals and peak memory. Started by :func:`end_to_end`."""
    store = connect(dsn)
    clock = SystemClock()
    executor = ThreadExecutor({HOOK: describe(HOOK, noop)}, concurrency=4, clock=clock, site="b")
    limits = Limits(batch_size=batch, max_actions=actions, concurrency=4)
    only = ClaimFilter(hooks=frozenset({HOOK}))
    totals = Runner(store, executor, clock, identity(), only=only, limits=limits).run()
    store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"complete": totals.complete, "seconds": totals.seconds, "peak_mb": peak}))


def end_to_end(dsn: str, rows: int, actions: int, processes: int, batch: int) -> dict[str, float]:
    """Actions per second with a no-op handler and full log rows."""
    store = connect(dsn)
    fill(store, "all_ours", rows)
    store.close()
    share = actions // processes
    command = [
        sys.executable,
        __file__,
        "--worker",
        dsn,
        "--actions",
        str(share),
        "--batch",
        str(batch),
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    start = time.perf_counter()
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, env=env) for _ in range(processes)]
    results = [json.loads(p.communicate(timeout=900)[0]) for p in started]
    wall = time.perf_counter() - start
    done = sum(r["complete"] for r in results)
    return {
        "actions": done,
        "per_second": round(done / max(r["seconds"] for r in results)),
        "per_second_with_start": round(done / wall),
        "peak_mb": round(max(r["peak_mb"] for r in results), 1),
    }


def plugin_rate(dsn: str, rows: int, actions: int) -> dict[str, float]:
    """The plugin's statements for each action, one by one in autocommit, after one claim of 100."""
    store = connect(dsn)
    fill(store, "all_ours", rows)
    moment = "2026-11-24 00:00:00"
    log = (
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
        " VALUES (:i, :m, :now, :now)"
    )
    done = 0
    start = time.perf_counter()
    claim = 10**9
    while done < actions and time.perf_counter() - start < LONGEST_SECONDS:
        claim += 1
        run(store, "INSERT INTO wp_actionscheduler_claims (date_created_gmt) VALUES (:n)", n=moment)
        run(store, PLUGIN_CLAIM, now=moment, size=100, claim=claim)
        select = "SELECT action_id FROM wp_actionscheduler_actions WHERE claim_id = :c"
        for action_id in rows_of(store, select, c=claim):
            rows_of(store, select, c=claim)
            rows_of(
                store, "SELECT * FROM wp_actionscheduler_actions WHERE action_id = :i", i=action_id
            )
            run(store, log, i=action_id, m="action started via WP CLI", now=moment)
            run(
                store,
                "UPDATE wp_actionscheduler_actions SET attempts = attempts + 1, status ="
                " 'in-progress', last_attempt_gmt = :n, last_attempt_local = :n"
                " WHERE action_id = :i",
                n=moment,
                i=action_id,
            )
            run(store, log, i=action_id, m="action complete via WP CLI", now=moment)
            run(
                store,
                "UPDATE wp_actionscheduler_actions SET status = 'complete', last_attempt_gmt = :n,"
                " last_attempt_local = :n WHERE action_id = :i",
                n=moment,
                i=action_id,
            )
            done += 1
        run(store, "DELETE FROM wp_actionscheduler_claims WHERE claim_id > 0")
    seconds = time.perf_counter() - start
    store.close()
    return {"actions": done, "per_second": round(done / seconds)}


def enqueue(dsn: str, rows: int) -> dict[str, float]:
    """Rows inserted per second, log rows included."""
    store = connect(dsn)
    fill(store, "all_ours", 1)
    blob = schedule.encode(schedule.single(NOW))
    batch = [
        NewAction(hook=HOOK, args=f"[{n}]", schedule=blob, scheduled_at=NOW) for n in range(1000)
    ]
    start = time.perf_counter()
    for _ in range(rows // 1000):
        store.insert(batch, now=NOW)
    seconds = time.perf_counter() - start
    store.close()
    return {"rows": rows, "per_second": round(rows / seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small backlogs only: does it run?")
    parser.add_argument("--rows", default="10000,100000,1000000", help="the sizes of the backlog")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--actions", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=100)
    options = parser.parse_args()
    if options.worker:
        run_actions(options.worker, options.actions, options.batch)
        return
    backlogs = [2_000] if options.quick else [int(rows) for rows in options.rows.split(",")]
    rounds = 5 if options.quick else 50
    shapes = options.shapes.split(",")
    actions = 1_000 if options.quick else options.actions
    result: dict[str, object] = {"python": sys.version.split()[0], "cores": os.cpu_count()}
    # A backlog of millions is looked at as on a server that has the memory for it.
    memory = "8G" if max(backlogs) >= ONLY_CLAIMS else "512M"
    settings = [f"--innodb-buffer-pool-size={memory}", "--innodb-sort-buffer-size=64M"]
    with private_mariadb(settings) as server:
        result["server"] = make_database(DatabaseAddress.from_dsn(server.url("mysql")), "bench")
        dsn = server.url("bench")
        for rows in backlogs:
            print(f"bench: {rows} rows", file=sys.stderr)
            part: dict[str, object] = {"claims": claims(dsn, rows, rounds, shapes)}
            result[str(rows)] = part
            if rows >= ONLY_CLAIMS:
                continue
            wanted = min(actions, rows)
            for processes in (1, 2):
                part[f"end_to_end_{processes}"] = end_to_end(
                    dsn, rows, wanted, processes, options.batch
                )
            theirs = plugin_rate(dsn, rows, min(1_000, rows))
            mine = part["end_to_end_1"]
            assert isinstance(mine, dict)
            part["plugin_statements"] = theirs
            part["ratio"] = round(mine["per_second"] / max(1, theirs["per_second"]), 1)
        result["enqueue"] = enqueue(dsn, 5_000 if options.quick else 100_000)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
