"""How fast old actions move into an archive: complete rows with three log rows each.

Prints one JSON object. The archive is a command of its own, whose memory the system tells at its
end.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import NOW, connect, run
from bench_migrate import measured
from servers import private_mariadb
from wpbridge.action import NewAction
from wpbridge.codec import schedule

LATER = ("started via wpbridge", "complete via wpbridge")
ENDED = (
    "UPDATE wp_actionscheduler_actions SET status = 'complete', attempts = 1,"
    " last_attempt_gmt = '2026-01-05 08:00:00', last_attempt_local = '2026-01-05 08:00:00'"
)
LOGS = (
    "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
    " SELECT action_id, :m, '2026-01-05 08:00:00', '2026-01-05 08:00:00'"
    " FROM wp_actionscheduler_actions ORDER BY action_id"
)
PART = 1_000


def fill(dsn: str, rows: int) -> None:
    """Actions with small args that ended long ago, each with its log."""
    store = connect(dsn)
    blob = schedule.encode(schedule.single(NOW))
    for start in range(0, rows, PART):
        part = [
            NewAction(
                hook="bench",
                args=f'{{"order":{n},"mail":"a{n}@b.example"}}',
                schedule=blob,
                scheduled_at=NOW,
            )
            for n in range(start, min(rows, start + PART))
        ]
        store.insert(part, now=NOW)
    run(store, ENDED)
    for words in LATER:
        run(store, LOGS, m=f"action {words}")
    store.close()


def archived(dsn: str, rows: int, folder: Path) -> dict[str, object]:
    """Rate and peak memory; a fresh parent, since the system tells the highest of all children."""
    file = folder / f"{rows}.jsonl.gz"
    told = subprocess.run(
        [
            sys.executable,
            __file__,
            "--rows",
            str(rows),
            "--step",
            "archive",
            "--dsn",
            dsn,
            "--output",
            str(file),
            "--older-than",
            "31d",
            "--yes",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {"rows": rows, **json.loads(told), "file_mb": round(file.stat().st_size / 1e6, 1)}


def on_mariadb(rows: int, folder: Path) -> dict[str, object]:
    with private_mariadb() as server:
        admin = connect(server.url("mysql"))
        run(admin, "CREATE DATABASE bench COLLATE utf8mb4_unicode_520_ci")
        admin.close()
        fill(server.url("bench"), rows)
        return archived(server.url("bench"), rows, folder)


def on_sqlite(rows: int, folder: Path) -> dict[str, object]:
    file = folder / "queue.db"
    file.touch()
    dsn = f"sqlite:///{file}"
    fill(dsn, rows)
    return archived(dsn, rows, folder)


def main() -> None:
    """Fill, archive, for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows only: does it run?")
    parser.add_argument("--rows", type=int, action="append", help="May be repeated.")
    parser.add_argument("--sqlite", action="store_true", help="On SQLite, not MariaDB.")
    parser.add_argument("--step", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    rows = given.rows or ([2_000] if given.quick else [100_000, 400_000])
    if given.step:
        print(json.dumps(measured(rows[0], *given.step)))
        return
    measure = on_sqlite if given.sqlite else on_mariadb
    for count in rows:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(count, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
