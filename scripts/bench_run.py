"""``claim-and-run`` with its defaults, beside a bare loop of the same statements.

The bare loop is a script over PyMySQL without any of wpbridge: it looks for 500 due actions, locks
and takes them, and ends them with their log rows, one statement after the other. It is what a
program in Python could do at best with one connection. Runs and loops alternate on the same rows,
and each ratio is of two neighbours. Prints one JSON object, and on the standard error the table of
docs/reference/bench.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import HOOK, connect, fill, plugin_rate
from servers import private_mariadb

ACTIONS = 20_000
LONGEST_SECONDS = 600
HANDLERS = f"""
import atexit
import resource

from wpbridge import hook


@atexit.register
def note_peak():
    with open("peaks", "a") as file:
        file.write(f"{{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}}\\n")


@hook("{HOOK}")
def nothing(_number):
    pass
"""
BARE = """
import json
import sys
import time

import pymysql

socket, database, wanted, size, now = sys.argv[1:]
wanted, size = int(wanted), int(size)
connection = pymysql.connect(
    unix_socket=socket, user="root", database=database, autocommit=True, charset="utf8mb4"
)
cursor = connection.cursor()
ask = cursor.execute
actions, logs = "wp_actionscheduler_actions", "wp_actionscheduler_logs"
claims, runners = "wp_actionscheduler_claims", "wp_wpbridge_runners"
ask(
    f"INSERT INTO {runners} (host, boot, pid, pid_started, version, started_gmt, beat_gmt, claims,"
    " once) VALUES ('bare', '', 1, '', '', UTC_TIMESTAMP(), UTC_TIMESTAMP(), '', '')"
)
me = cursor.lastrowid
start = time.perf_counter()
done = 0
while done < wanted:
    ask(
        "SELECT action_id, hook, priority, attempts, scheduled_date_gmt, group_id,"
        f" SUBSTR(schedule, 1, 100) FROM {actions} WHERE claim_id = 0 AND status = 'pending'"
        " AND priority = 10 AND scheduled_date_gmt <= %s"
        f" ORDER BY scheduled_date_gmt, action_id LIMIT {min(size, wanted - done)}",
        (now,),
    )
    ids = ",".join(str(row[0]) for row in cursor.fetchall())
    ask("START TRANSACTION")
    ask(
        "SELECT action_id, hook, status, scheduled_date_gmt, priority, args, extended_args,"
        f" schedule, group_id, attempts, claim_id FROM {actions} FORCE INDEX (PRIMARY)"
        f" WHERE action_id IN ({ids}) AND claim_id = 0 AND status = 'pending'"
        " AND scheduled_date_gmt <= %s FOR UPDATE SKIP LOCKED",
        (now,),
    )
    rows = cursor.fetchall()
    ask(f"INSERT INTO {claims} (date_created_gmt) VALUES (%s)", (now,))
    claim = cursor.lastrowid
    ask(
        f"UPDATE {runners} SET claims = %s, beat_gmt = UTC_TIMESTAMP() WHERE runner_id = %s",
        (str(claim), me),
    )
    ask(
        f"UPDATE {actions} FORCE INDEX (PRIMARY) SET claim_id = %s, last_attempt_gmt = %s,"
        f" last_attempt_local = %s WHERE action_id IN ({ids}) AND claim_id = 0"
        " AND status = 'pending'",
        (claim, now, now),
    )
    ask("COMMIT")
    ask("START TRANSACTION")
    ask(
        f"UPDATE {actions} FORCE INDEX (PRIMARY) SET status = 'complete', attempts = attempts + 1,"
        f" last_attempt_gmt = %s, last_attempt_local = %s WHERE action_id IN ({ids})"
        " AND claim_id = %s AND status = 'pending'",
        (now, now, claim),
    )
    for low in range(0, len(rows), 250):
        values = []
        for row in rows[low : low + 250]:
            values += [row[0], "action started via wpbridge", now, now]
            values += [row[0], "action complete via wpbridge", now, now]
        marks = ",".join(["(%s, %s, %s, %s)"] * (len(values) // 4))
        ask(
            f"INSERT INTO {logs} (action_id, message, log_date_gmt, log_date_local) VALUES {marks}",
            values,
        )
    ask(f"DELETE FROM {claims} WHERE claim_id = %s", (claim,))
    ask(f"UPDATE {runners} SET claims = '', beat_gmt = UTC_TIMESTAMP() WHERE runner_id = %s", (me,))
    ask("COMMIT")
    done += len(rows)
seconds = time.perf_counter() - start
ask(f"DELETE FROM {runners} WHERE runner_id = %s", (me,))
print(json.dumps({"actions": done, "seconds": seconds}))
"""
NOW_TEXT = "2026-11-24 00:00:00"


class Place:
    """A folder with the handlers and the bare loop, beside a server."""

    def __init__(self, folder: Path, socket: Path, dsn: str) -> None:
        (folder / "noops.py").write_text(HANDLERS, encoding="utf-8")
        (folder / "bare.py").write_text(BARE, encoding="utf-8")
        self._folder = folder
        self._socket = socket
        self._dsn = dsn

    def bare(self, actions: int) -> float:
        """Run the loop. Returns actions per second, from the first look to the last commit."""
        words = [str(self._socket), "bench", str(actions), "500", NOW_TEXT]
        done = self._python("bare.py", *words)
        return float(done["actions"]) / float(done["seconds"])

    def run(
        self, actions: int, *, processes: int = 1, flags: tuple[str, ...] = ()
    ) -> dict[str, float]:
        """Run ``claim-and-run`` with its defaults, in one process or several at once."""
        share = actions // processes
        words = ["-m", "wpbridge", "claim-and-run", "--dsn", self._dsn, "--handlers", "noops"]
        words += ["--format", "json", "--max-actions", str(share), *flags]
        start = time.perf_counter()
        started = [self._start(*words) for _ in range(processes)]
        results = [
            json.loads(process.communicate(timeout=LONGEST_SECONDS)[0]) for process in started
        ]
        wall = time.perf_counter() - start
        done = sum(result["complete"] for result in results)
        assert done == share * processes, results
        return {
            "with_start": done / wall,
            "without_start": done / max(result["seconds"] for result in results),
            "start_seconds": wall - max(result["seconds"] for result in results),
        }

    def peak_mb(self) -> float:
        """The most memory that a run has used so far."""
        peaks = (self._folder / "peaks").read_text().split()
        return round(max(map(int, peaks)) / 1024, 1)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        env = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("WPBRIDGE_") or k == "WPBRIDGE_DRIVER"
        }
        return subprocess.Popen(
            [sys.executable, *words], cwd=self._folder, env=env, stdout=subprocess.PIPE
        )

    def _python(self, *words: str) -> dict[str, Any]:
        told = json.loads(self._start(*words).communicate(timeout=LONGEST_SECONDS)[0])
        assert isinstance(told, dict)
        return told


def measured(dsn: str, place: Place, rows: int, actions: int, pairs: int) -> dict[str, object]:
    """Alternate loops, runs and pairs of runs over one backlog."""
    store = connect(dsn)
    bare: list[float] = []
    one: list[dict[str, float]] = []
    two: list[dict[str, float]] = []
    used = 3 * actions
    fill(store, "all_ours", rows)
    left = rows
    for number in range(pairs + 1):
        if left < used:
            fill(store, "all_ours", rows)
            left = rows
        turn = (place.bare(actions), place.run(actions), place.run(actions, processes=2))
        left -= used
        if number:  # The first warms the server up.
            bare.append(turn[0])
            one.append(turn[1])
            two.append(turn[2])
    store.close()
    ratio = "without_start" if rows < ACTIONS else "with_start"
    return {
        "actions": actions,
        "pairs": pairs,
        "bare_per_second": round(statistics.median(bare)),
        "run_per_second_with_start": round(statistics.median(o["with_start"] for o in one)),
        "run_per_second_without_start": round(statistics.median(o["without_start"] for o in one)),
        "start_seconds": round(statistics.median(o["start_seconds"] for o in one), 2),
        "ratio_counts": ratio.replace("_", " "),
        "ratio": ratio_of([o[ratio] for o in one], bare),
        "peak_mb": place.peak_mb(),
        "two_processes_to_one": ratio_of(
            [t["with_start"] for t in two], [o["with_start"] for o in one]
        ),
    }


def ratio_of(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """The median of the pairs' ratios, with the lowest and the highest."""
    found = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "median": round(statistics.median(found), 2),
        "lowest": round(min(found), 2),
        "highest": round(max(found), 2),
    }


def table(told: dict[str, dict[str, Any]]) -> str:
    """The figures as Markdown: a column for each backlog."""

    def spread(ratio: dict[str, float]) -> str:
        return f"{ratio['median']} ({ratio['lowest']} to {ratio['highest']})"

    rows = {
        "rows of backlog": [f"{int(rows):,}" for rows in told],
        "---": ["---" for _ in told],
        "bare loop, actions/s": [f"{one['bare_per_second']:,}" for one in told.values()],
        "`claim-and-run`, with its start": [
            f"{one['run_per_second_with_start']:,}" for one in told.values()
        ],
        "`claim-and-run`, from its first claim on": [
            f"{one['run_per_second_without_start']:,}" for one in told.values()
        ],
        "its start, seconds": [str(one["start_seconds"]) for one in told.values()],
        "ratio of the pairs, median (lowest to highest)": [
            f"{spread(one['ratio'])} {one['ratio_counts']}" for one in told.values()
        ],
        "two processes to one": [spread(one["two_processes_to_one"]) for one in told.values()],
        "peak memory, MB": [str(one["peak_mb"]) for one in told.values()],
        "the plugin's statements, actions/s": [
            str(one.get("plugin_statements_per_second", "")) for one in told.values()
        ],
    }
    return "\n".join(f"| {' | '.join([name, *values])} |" for name, values in rows.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small: does it run?")
    parser.add_argument("--rows", type=int, action="append", help="backlogs to measure")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    backlogs = options.rows or ([2_000] if options.quick else [10_000, 300_000, 1_000_000])
    pairs = 1 if options.quick else options.pairs
    result: dict[str, Any] = {"python": sys.version.split()[0], "cores": os.cpu_count()}
    with private_mariadb() as server, tempfile.TemporaryDirectory() as folder:
        import pymysql  # noqa: PLC0415 - only to make the database

        with pymysql.connect(unix_socket=str(server.socket), user="root") as connection:
            connection.cursor().execute("CREATE DATABASE bench")
        dsn = server.url("bench")
        place = Place(Path(folder), server.socket, dsn)
        for rows in backlogs:
            print(f"bench: {rows} rows", file=sys.stderr)
            actions = min(ACTIONS, rows // 3 // 1000 * 1000 or rows // 3)
            told = measured(dsn, place, rows, actions, pairs)
            if not options.quick:
                told["plugin_statements_per_second"] = plugin_rate(dsn, rows, 1_000)["per_second"]
            result[str(rows)] = told
    print(json.dumps(result, indent=1))
    print(table({name: one for name, one in result.items() if name.isdigit()}), file=sys.stderr)


if __name__ == "__main__":
    main()
