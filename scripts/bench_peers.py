"""PHP hooks end to end with wpbridge, the plugin's runner, Cavalcade and Cron-Control.

Each runs a callback that does nothing in the same WordPress, with its defaults, one after the
other. Folders of the peers come from WPBRIDGE_TEST_CAVALCADE, WPBRIDGE_TEST_CAVALCADE_RUNNER and
WPBRIDGE_TEST_CRON_CONTROL; WPBRIDGE_TEST_PLUGIN and WPBRIDGE_TEST_WP are needed too.

Cron-Control's own runner is a program in Go, which starts ``wp … runner-only run`` for each event,
eight at a time. The bench starts the same commands, and does not wait 30 s between two lists of
events as that runner does, so its figure is better than with the runner. Prints one JSON object.
"""

import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from bench_php import CALLBACKS, run_plugin, run_wpbridge
from bench_php import refill as refill_plugin
from servers import MariaDB, private_mariadb
from wordpress import in_wordpress, make_site, missing_wordpress, plugin_folder, worker_command
from wpbridge.site.config import load
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site

ROWS: Final = 10_000
CRON_CONTROL_WORKERS: Final = 8
"""As many as its runner has by default."""
FILL: Final = """
for ( $n = 0; $n < %d; $n++ ) { wp_schedule_single_event( time() - 3600, 'bench_ours', [ $n ] ); }
"""


def peer(variable: str) -> Path:
    """The folder that a variable names."""
    if not (named := os.environ.get(variable)):
        sys.exit(f"bench: {variable} names no folder")
    return Path(named).resolve()


def site_of(
    server: MariaDB, folder: Path, name: str, loads: Path | None, constant: str = ""
) -> Path:
    """A WordPress of its own, which loads a peer as a must-use plugin."""
    callbacks = folder / "bench-callbacks.php"
    callbacks.write_text(CALLBACKS, "utf-8")
    plugin = plugin_folder() if loads is None else None
    site = make_site(
        folder / name, server, f"bench_{name}", zone="UTC", plugin=plugin, callbacks=callbacks
    )
    if loads is not None:
        text = f"<?php\n{constant}require {str(loads)!r};\n"
        (site / "wp-content" / "mu-plugins" / f"{name}.php").write_text(text, "utf-8")
        in_wordpress(site, "")  # makes its tables
    return site


def cavalcade(server: MariaDB, site: Path, seconds: float) -> dict[str, Any]:
    """Its runner for some seconds, over more jobs than it can do."""
    in_wordpress(site, FILL % 2_000)
    before = _done(server, "cavalcade")
    programs = site / "bin"
    programs.mkdir(exist_ok=True)
    wp = programs / "wp"
    wp.write_text(f'#!/bin/sh\nexec {shlex.join(worker_command())} "$@"\n', "utf-8")
    wp.chmod(0o755)
    start = time.perf_counter()
    runner = subprocess.Popen(
        ["php", str(peer("WPBRIDGE_TEST_CAVALCADE_RUNNER") / "bin/cavalcade"), str(site)],
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        runner.wait(seconds)
        sys.exit("bench: the runner of Cavalcade ended by itself")
    except subprocess.TimeoutExpired:
        runner.send_signal(signal.SIGTERM)
        runner.wait(60)
    done = _done(server, "cavalcade") - before
    return {"jobs": done, "per_second": round(done / (time.perf_counter() - start), 2)}


def cron_control(site: Path, events: int) -> dict[str, Any]:
    """Lists of events, and the command for each event, as its runner makes them."""
    in_wordpress(site, FILL % events)
    base = [*worker_command(), "--quiet", f"--path={site}", "cron-control", "orchestrate"]
    done, start = 0, time.perf_counter()

    def run(event: dict[str, str]) -> bool:
        words = [f"--{name}={event[name]}" for name in ("timestamp", "action", "instance")]
        return subprocess.run([*base, "runner-only", "run", *words], check=False).returncode == 0

    with ThreadPoolExecutor(CRON_CONTROL_WORKERS) as workers:
        while done < events:
            words = [*base, "runner-only", "list-due-batch", "--queue-window=0", "--format=json"]
            listed = subprocess.run(words, capture_output=True, text=True, check=False)
            if listed.returncode:
                sys.exit(f"bench: {listed.stdout}{listed.stderr}")
            batch = json.loads(listed.stdout or "[]")
            ran = sum(workers.map(run, batch))
            if not ran:
                sys.exit("bench: Cron-Control ran nothing")
            done += ran
    return {"events": done, "per_second": round(done / (time.perf_counter() - start), 2)}


def _done(server: MariaDB, name: str) -> int:
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COUNT(*) FROM bench_{name}.wp_cavalcade_jobs WHERE status = 'completed'"
        )
        (found,) = cursor.fetchone() or (0,)
    connection.close()
    return int(found)


def bench(server: MariaDB, folder: Path, *, quick: bool, rounds: int) -> dict[str, Any]:
    ours = site_of(server, folder, "wpbridge", None)
    dsn = server.url("bench_wpbridge")
    open_site(resolve(load({"path": ours, "php": True}, {}, ours), {})).close()
    theirs = site_of(server, folder, "cavalcade", peer("WPBRIDGE_TEST_CAVALCADE") / "plugin.php")
    constant = "define( 'WP_CRON_CONTROL_SECRET', 'bench' );\n"
    controlled = site_of(
        server,
        folder,
        "cron_control",
        peer("WPBRIDGE_TEST_CRON_CONTROL") / "cron-control.php",
        constant,
    )
    # The first command makes its tables, and says so with an error.
    words = [*worker_command(), f"--path={controlled}", "cron-control", "orchestrate", "sites"]
    subprocess.run([*words, "list"], capture_output=True, check=False)
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(1 if quick else rounds):
        print(f"bench: round {number + 1}", file=sys.stderr)
        refill_plugin(dsn, ROWS)
        one = {"wpbridge": run_wpbridge(ours, 1_000 if quick else ROWS)}
        refill_plugin(dsn, ROWS)
        one["plugin"] = run_plugin(ours, dsn, ROWS, 200 if quick else 2_000)
        one["cavalcade"] = cavalcade(server, theirs, 5 if quick else 30)
        one["cron_control"] = cron_control(controlled, 16 if quick else 120)
        for name, told in one.items():
            found.setdefault(name, []).append(told)
    rates = {name: [one["per_second"] for one in told] for name, told in found.items()}
    return {
        "cores": os.cpu_count(),
        "through": shlex.join(worker_command()),
        **found,
        **{
            f"ratio_{name}": round(
                statistics.median(
                    ours / one for ours, one in zip(rates["wpbridge"], told, strict=True)
                ),
                1,
            )
            for name, told in rates.items()
            if name != "wpbridge"
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few only: does it run?")
    parser.add_argument("--rounds", type=int, default=3, help="how often each rate is measured")
    options = parser.parse_args()
    if reason := missing_wordpress():
        sys.exit(f"bench: {reason}")
    with private_mariadb() as server, tempfile.TemporaryDirectory(prefix="wpb-site-") as folder:
        told = bench(server, Path(folder), quick=options.quick, rounds=options.rounds)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
