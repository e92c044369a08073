"""Load rows of a MySQL dump that PHP wrote into an SQLite queue, and show a queue's tables."""

import re
import sqlite3
import sys
from pathlib import Path

_ROW = re.compile(r"^INSERT INTO `wp_(\w+)` VALUES (\(.*\));$", re.MULTILINE)
_VALUE = re.compile(r"NULL|-?\d+|'(?:[^'\\]|\\.)*'")
_ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_COLUMNS = (
    "action_id, hook, status, scheduled_date_gmt, scheduled_date_local, priority, args, schedule,"
    " group_id, attempts, last_attempt_gmt, last_attempt_local, claim_id, extended_args"
)


def _plain(text: str) -> str | int | None:
    if text == "NULL":
        return None
    if not text.startswith("'"):
        return int(text)
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1], flags=re.DOTALL)


def load(folder: Path, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        for table, row in _ROW.findall((folder / "before.sql").read_text(encoding="utf-8")):
            values = [_plain(value) for value in _VALUE.findall(row[1:-1])]
            columns = f"({_COLUMNS})" if table == "actionscheduler_actions" else ""
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO wp_{table} {columns} VALUES ({marks})", values)
    connection.close()


def show(database: Path, most: int = -1) -> None:
    connection = sqlite3.connect(database)
    query = (
        "SELECT a.action_id, a.hook, a.status, a.attempts, a.scheduled_date_gmt,"
        " (SELECT message FROM wp_actionscheduler_logs l WHERE l.action_id = a.action_id"
        " ORDER BY log_id DESC LIMIT 1) FROM wp_actionscheduler_actions a ORDER BY 1 LIMIT ?"
    )
    line = "{:>3}  {:<16} {:<12} {:>8}  {:<20} {}"
    print(line.format("id", "hook", "status", "attempts", "scheduled (UTC)", "last log row"))
    for row in connection.execute(query, (most,)):
        print(line.format(*row[:5], str(row[5])[:90]))
    connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "--show":
        show(Path(sys.argv[2]))
    else:
        load(Path(sys.argv[1]), Path(sys.argv[2]))
