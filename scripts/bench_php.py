"""PHP hooks end to end, beside the plugin's own runner on the same rows.

With WPBRIDGE_TEST_PLUGIN and WPBRIDGE_TEST_WP the plugin's runner is ``wp action-scheduler run``;
with the first alone PHP calls its batches, and without both its statements are replayed in plain
SQL (bench.py). Prints one JSON object.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import HOOK, connect, fill, plugin_rate, rows_of, run
from servers import MariaDB, private_mariadb
from wordpress import make_site, missing_wordpress, plugin_folder, worker_command
from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.clock import SystemClock
from wpbridge.executors.base import Call
from wpbridge.executors.php.executor import PhpPool
from wpbridge.executors.php.launch import launch
from wpbridge.executors.php.limits import Greeting, PoolLimits
from wpbridge.site.config import load
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site

CALLBACKS = """<?php
add_action( 'bench_ours', '__return_null' );
add_action( 'bench_crash', function () { exit( 1 ); } );
"""
BATCHES = """
require $argv[1] . '/wp-load.php';
add_filter( 'action_scheduler_queue_runner_time_limit', fn() => 3600 );
$runner = ActionScheduler::runner();
$batch = new ReflectionMethod( $runner, 'do_batch' );
$batch->setAccessible( true );
for ( $n = 0; $n < (int) $argv[2]; $n++ ) {
    $batch->invoke( $runner, 100, 'bench' );
}
"""
DATABASE = "bench_wp"
LONGEST_SECONDS = 300


def settings_for(folder: Path, **flags: object) -> dict[str, object]:
    given: dict[str, object] = {"path": folder, "php": True, "wp": shlex.join(worker_command())}
    return {**given, **flags}


def run_wpbridge(folder: Path, actions: int, **flags: object) -> dict[str, float]:
    """One ``claim-and-run --php`` over some of the backlog; its start of PHP counts too."""
    words = [sys.executable, "-m", "wpbridge", "claim-and-run", "--php", f"--path={folder}"]
    words += [f"--wp={shlex.join(worker_command())}", f"--max-actions={actions}", "--format=json"]
    words += [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, timeout=LONGEST_SECONDS
    )
    totals = json.loads(done.stdout)
    assert totals["complete"] + totals["failed"] == actions, totals
    return {
        "actions": actions,
        "failed": totals["failed"],
        "per_second": round(actions / totals["seconds"]),
    }


def run_plugin(folder: Path, dsn: str, rows: int, actions: int) -> dict[str, Any]:
    """The plugin's runner on the same rows, its start counted too; else its statements."""
    if plugin_folder() is None:
        return {"what": "statements replayed", **plugin_rate(dsn, rows, min(rows, 1_000))}
    what, words = "its batches of 100, called by php", ["php", "-r", BATCHES, str(folder)]
    if os.environ.get("WPBRIDGE_TEST_WP"):
        what = "wp action-scheduler run --batch-size=100"
        words = [*worker_command(), f"--path={folder}", "action-scheduler", "run"]
        words += ["--batch-size=100", f"--batches={actions // 100}"]
    else:
        words.append(str(actions // 100))
    start = time.perf_counter()
    subprocess.run(words, capture_output=True, check=True, timeout=LONGEST_SECONDS)
    seconds = time.perf_counter() - start
    return {
        "what": what,
        "actions": actions,
        "per_second": round(actions / seconds),
    }


def warm_start(folder: Path, times: int) -> dict[str, float]:
    """From a call handed to an idle, warm pool to its start in PHP."""
    start = launch(
        worker_command(), path=folder, url=None, user=None, skip_plugins=(), env=os.environ
    )
    clock = SystemClock()
    pool = PhpPool(
        start,
        limits=PoolLimits(workers=1),
        clock=clock,
        greeting=Greeting(accept=lambda _hello: None),
    )
    now = clock.now()
    action = Action(
        id=ActionId(1),
        hook=HOOK,
        status=Status.PENDING,
        scheduled_at=now,
        priority=10,
        args=b"[]",
        schedule=b"",
        group_id=0,
        group="",
        attempts=0,
        claim_id=ClaimId(1),
    )
    taken = []
    for n in range(times + 1):
        call = Call(action=action, values=(), mapping=[], start_mark="before_call")
        # Idle for a moment, as a daemon is between two actions.
        time.sleep(0.02)
        handed = clock.now()
        pool.submit(call)
        # The pool also wakes us when PHP is ready.
        report = next(r for reports in iter(lambda: pool.reports(30), None) for r in reports)
        if n:
            taken.append((report.started_at - handed).total_seconds() * 1000)
    pool.close()
    ordered = sorted(taken)
    return {
        "times": times,
        "p50_ms": round(statistics.median(ordered), 2),
        "worst_ms": round(ordered[-1], 2),
    }


def crashes(folder: Path, dsn: str, actions: int) -> dict[str, object]:
    """Actions of which one in a hundred ends PHP."""
    store = connect(dsn)
    fill(store, "all_ours", actions)
    run(
        store,
        "UPDATE wp_actionscheduler_actions SET hook = 'bench_crash' WHERE action_id % 100 = 7",
    )
    store.close()
    result = run_wpbridge(folder, actions, php_workers=2, batch_size=100)
    store = connect(dsn)
    counts = store.counts()
    told = rows_of(
        store,
        "SELECT COUNT(*) FROM wp_actionscheduler_logs"
        " WHERE message LIKE 'action failed%ended PHP with exit (status 1)'",
    )
    store.close()
    return {**result, "counts": counts, "causes_told": told[0]}


def backlog(
    folder: Path, dsn: str, rows: int, actions: int, rounds: int
) -> dict[str, dict[str, object] | float]:
    """All rates on one backlog, each from the same rows: medians of several rounds.

    A ratio is the median of the ratios within a round, since the machine's speed changes.
    """
    measured = [_round(folder, dsn, rows, actions) for _ in range(rounds)]
    found: dict[str, dict[str, object] | float] = {}
    for name, first in measured[0].items():
        rates = [one[name]["per_second"] for one in measured]
        found[name] = {**first, "per_second": round(statistics.median(rates)), "rates": rates}
    for name in measured[0]:
        if name != "plugin":
            ratios = [one[name]["per_second"] / one["plugin"]["per_second"] for one in measured]
            found[f"ratio_{name}"] = round(statistics.median(ratios), 1)
    return found


def _round(folder: Path, dsn: str, rows: int, actions: int) -> dict[str, dict[str, Any]]:
    """Each way once."""
    fewer = max(100, actions // 5)
    refill(dsn, rows)
    found = {"plugin": run_plugin(folder, dsn, rows, fewer)}
    ways: dict[str, dict[str, object]] = {
        "bridge_2_workers": {"php_workers": 2},
        "bridge_1_worker": {"php_workers": 1},
        "native_2_workers": {"php_workers": 2, "php_books": "native"},
    }
    for name, flags in ways.items():
        if "native" in name and plugin_folder() is None:
            continue
        refill(dsn, rows)
        found[name] = run_wpbridge(folder, actions if "bridge" in name else fewer, **flags)
    return found


def refill(dsn: str, rows: int) -> None:
    store = connect(dsn)
    fill(store, "all_ours", rows)
    store.close()


def bench(server: MariaDB, folder: Path, *, quick: bool, rounds: int) -> dict[str, object]:
    plugin = plugin_folder()
    callbacks = folder / "bench-callbacks.php"
    callbacks.write_text(CALLBACKS, "utf-8")
    site = make_site(
        folder / "site", server, DATABASE, zone="UTC", plugin=plugin, callbacks=callbacks
    )
    dsn = server.url(DATABASE)
    settings = load(settings_for(site), {}, site)
    open_site(resolve(settings, {})).close()
    result: dict[str, object] = {
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "through": shlex.join(worker_command()),
    }
    for rows in [2_000] if quick else [3_000, 100_000]:
        print(f"bench: {rows} rows", file=sys.stderr)
        result[str(rows)] = backlog(
            site, dsn, rows, 500 if quick else min(rows, 10_000), 1 if quick else rounds
        )
    result["warm_start"] = warm_start(site, 20 if quick else 200)
    result["one_crash_in_100"] = crashes(site, dsn, 200 if quick else 1_000)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small backlog only: does it run?")
    parser.add_argument("--rounds", type=int, default=3, help="how often each rate is measured")
    options = parser.parse_args()
    if reason := missing_wordpress():
        sys.exit(f"bench: {reason}")
    with private_mariadb() as server, tempfile.TemporaryDirectory(prefix="wpb-site-") as folder:
        print(
            json.dumps(
                bench(server, Path(folder), quick=options.quick, rounds=options.rounds), indent=1
            )
        )


if __name__ == "__main__":
    main()
