"""Export and import of a long queue: rates, and the memory of the process that does it.

Prints one JSON object. Each step is a command of its own, whose memory the system tells at its end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench import connect, run
from servers import MariaDB, private_mariadb
from wpbridge.store.database.connection import Connection

ARGS = '{"order":%d,"mail":"a%d@b.example"}'
AT = 1_800_000_000
PART = 1_000


def fill(server: MariaDB, name: str, rows: int) -> None:
    """Single actions with small args, a fifth of them complete."""
    store = connect(server.url(name))
    for start in range(0, rows, PART):
        values = ",".join(
            f"('bench','{'complete' if n % 5 == 0 else 'pending'}','2027-01-15 08:00:00',"
            f"'2027-01-15 08:00:00',{_quoted(ARGS % (n, n))},{_quoted(_schedule(AT + n))},0,0,"
            "'0000-00-00 00:00:00','0000-00-00 00:00:00',0,10,NULL)"
            for n in range(start, min(rows, start + PART))
        )
        statement = (
            "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt,"
            " scheduled_date_local, args, schedule, group_id, attempts, last_attempt_gmt,"
            f" last_attempt_local, claim_id, priority, extended_args) VALUES {values}"
        )
        store.session.run(partial(Connection.exec_driver_sql, sql=statement))
    store.close()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\0", "\\0").replace("'", "\\'")
    return f"'{escaped}'"


def _schedule(at: int) -> str:
    name = "ActionScheduler_SimpleSchedule"
    return (
        f'O:30:"{name}":2:{{s:22:"\0*\0scheduled_timestamp";i:{at};'
        f's:41:"\0{name}\0timestamp";i:{at};}}'
    )


def measured(rows: int, *words: str) -> dict[str, float]:
    """A command's rate and peak memory; it is a child of a child, so that each has its own peak."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "wpbridge", "migrate", *words, "--quiet"], check=True, env=os.environ
    )
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "actions_per_s": round(rows / seconds),
        "seconds": round(seconds, 2),
        # Without the server's: what other work on the machine changes least.
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss / 1024),
    }


def main() -> None:
    """Fill, export, import, import again, take it back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--step", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = options.rows or (20_000 if options.quick else 1_000_000)
    if options.step:
        print(json.dumps(measured(rows, *options.step)))
        return
    with private_mariadb() as server, tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "queue.jsonl")
        admin = connect(server.url("mysql"))
        for name in ("source", "target"):
            run(admin, f"CREATE DATABASE bench_{name} COLLATE utf8mb4_unicode_520_ci")
        admin.close()
        fill(server, "bench_source", rows)
        target = connect(server.url("bench_target"))
        target.close()
        site = ("--dsn", server.url("bench_source"))
        target_site = ("--dsn", server.url("bench_target"))
        journal = str(Path(folder) / "journal")
        adding = ("import", *target_site, "--input", file, "--journal", journal, "--yes")
        steps = {
            "export": ("export", *site, "--output", file, "--no-logs"),
            "import": adding,
            "import_again": adding,
            "undo": ("import", *target_site, "--undo", journal, "--yes"),
        }
        result: dict[str, object] = {"rows": rows}
        for name, words in steps.items():
            # A fresh parent for each: the system tells the highest peak of all children.
            told = subprocess.run(
                [sys.executable, __file__, "--rows", str(rows), "--step", *words],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            result[name] = json.loads(told)
        result["file_mb"] = round(Path(file).stat().st_size / 1e6, 1)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
