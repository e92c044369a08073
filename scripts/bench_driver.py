"""What mysqlclient brings: the same `claim-and-run` with it and with PyMySQL, pair by pair.

Prints one JSON object. Each run is a process of its own over the same rows; a pair's order changes
from pair to pair, so that a machine that becomes slower is no driver's fault.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
from servers import private_mariadb
from stores import make_database
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database import client

DRIVERS = ("pymysql", "mysqlclient")
HANDLERS = f"""
from wpbridge import hook

@hook("{bench.HOOK}")
def noop(*_values):
    pass
"""


def measured(dsn: str, driver: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """One run: actions per second with the start of the process, and its processor time."""
    store = bench.connect(dsn)
    bench.fill(store, "all_ours", options.actions)
    store.close()
    command = [sys.executable, "-m", "wpbridge", "claim-and-run", "--quiet"]
    command += ["--dsn", dsn, "--handlers", "bench_noop", "--max-actions", str(options.actions)]
    command += ["--batch-size", str(options.batch)] if options.batch else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    env = {**os.environ, "WPBRIDGE_DRIVER": driver, "PYTHONPATH": str(folder)}
    subprocess.run(command, env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    store = bench.connect(dsn)
    [left] = bench.rows_of(
        store, "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status <> 'complete'"
    )
    store.close()
    assert left == 0, f"{left} actions were not run"
    return {"per_second": options.actions / seconds, "cpu_seconds": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small pair: does it run?")
    parser.add_argument("--actions", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=0, help="0: as claim-and-run chooses itself")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    if options.quick:
        options.actions, options.pairs = 500, 1
    if reason := client.missing():
        sys.exit(f"bench: mysqlclient: {reason}")
    runs: dict[str, list[dict[str, float]]] = {driver: [] for driver in DRIVERS}
    with private_mariadb() as server, tempfile.TemporaryDirectory() as told:
        folder = Path(told)
        (folder / "bench_noop.py").write_text(HANDLERS, encoding="utf-8")
        version = make_database(DatabaseAddress.from_dsn(server.url("mysql")), "bench")
        for number in range(options.pairs):
            for driver in DRIVERS[:: 1 if number % 2 else -1]:
                runs[driver].append(measured(server.url("bench"), driver, options, folder))
    result: dict[str, object] = {
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "server": version,
        "actions": options.actions,
        "batch": options.batch or "default",
        "pairs": options.pairs,
    }
    for driver, told_runs in runs.items():
        result[driver] = {
            name: round(statistics.median(run[name] for run in told_runs), 2)
            for name in ("per_second", "cpu_seconds")
        }
    for name in ("per_second", "cpu_seconds"):
        pairs = zip(*(runs[driver] for driver in DRIVERS), strict=True)
        result[f"ratio_{name}"] = round(
            statistics.median(ours[name] / theirs[name] for theirs, ours in pairs), 2
        )
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
