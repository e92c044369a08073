"""Hand a queue over to Celery, kill the broker in the middle, and compare the tables in the end.

The queue has the rows of a real Action Scheduler, and some hundred more of the same form. The same
queue is also run without Celery. Both must leave the same rows, but for ids, dates and claims.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import demo_rows
from brokers import RabbitMQ, private_rabbitmq
from daemons import until
from wpbridge import Enqueue, Queue

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "fixtures" / "golden" / "scenario-4.0.0"
MORE = 400
KILLED_AFTER = 150
SETTINGS = """\
[site]
dsn = "sqlite:///{database}"
[run]
handlers = ["demo_handlers"]
[celery]
broker = "{broker}"
resend_after = "2s"
[[routes]]
hook = "g_*"
to = "celery"
queue = "demo"
"""
EXPECTED = {
    7: "WordPress has no callback, and the handler here asks to run again",
    18: "its args cannot be read: the reason is in its log",
    19: "its schedule cannot be read: the reason is in its log",
}
"""The rows that end otherwise than in a run of the plugin, and why."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|i:\d{10};|in \d+ s")


class Demo:
    """The folder of the demo, and what it starts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "queue.db"
        self._started: list[subprocess.Popen[bytes]] = []

    def command(self, *words: str) -> None:
        """Run a command of wpbridge to its end."""
        subprocess.run([sys.executable, "-m", "wpbridge", *words], check=True, cwd=self.folder)

    def start(self, name: str, *words: str) -> None:
        """Start a process of Python; its output goes into a log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            env = {**os.environ, "C_FORCE_ROOT": "1", "WPBRIDGE_TRUST": "1"}
            self._started.append(
                subprocess.Popen(
                    [sys.executable, "-m", *words],
                    cwd=self.folder,
                    env=env,
                    stdout=log,
                    stderr=log,
                )
            )

    def end(self) -> None:
        """End in order what was started."""
        for process in self._started:
            process.send_signal(signal.SIGTERM)
        for process in self._started:
            process.wait(timeout=60)

    def statuses(self) -> Counter[str]:
        """Count the actions by status; of those that are due, none may be left in the end."""
        return Counter(str(row[0]) for row in rows(self.database, "SELECT status FROM {actions}"))

    def left(self) -> int:
        """Return how many actions are due, claimed or running; without the two of PHP's runner."""
        [(count,)] = rows(
            self.database,
            "SELECT COUNT(*) FROM {actions} WHERE claim_id NOT IN (999998, 999999) AND"
            " (status = 'in-progress' OR (status = 'pending'"
            " AND (claim_id <> 0 OR scheduled_date_gmt <= datetime('now'))))",
        )
        return int(str(count))


def rows(database: Path, statement: str) -> Sequence[Sequence[object]]:
    """Return what a SELECT finds."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        return connection.execute(
            statement.replace("{actions}", "wp_actionscheduler_actions").replace(
                "{logs}", "wp_actionscheduler_logs"
            )
        ).fetchall()


def shape(database: Path) -> Counter[tuple[object, ...]]:
    """Return all actions with their logs, without what differs from run to run."""
    logs: dict[object, list[str]] = {}
    for action, message in rows(
        database, "SELECT action_id, message FROM {logs} ORDER BY action_id, log_id"
    ):
        logs.setdefault(action, []).append(_DATE.sub("DATE", str(message)))
    return Counter(
        (hook, status, args, _DATE.sub("DATE", str(schedule)), attempts, tuple(logs.get(id_, ())))
        for id_, hook, status, args, schedule, attempts in rows(
            database, "SELECT action_id, hook, status, args, schedule, attempts FROM {actions}"
        )
    )


@contextlib.contextmanager
def running(demo: Demo) -> Iterator[None]:
    """A relay and two workers, which have ended when the block has."""
    demo.start("relay", "wpbridge", "relay", "-v")
    for name in ("worker1", "worker2"):
        words = ("celery", "-A", "wpbridge.celery_app", "worker", "-c", "1", "-n", f"{name}@demo")
        demo.start(name, *words, "-l", "INFO")
    try:
        yield
    finally:
        demo.end()


def main(folder: Path) -> int:
    demo = Demo(folder.resolve())
    with private_rabbitmq(folder.resolve()) as broker:
        told = SETTINGS.format(database=demo.database, broker=broker.url)
        (folder / "wpbridge.toml").write_text(told, encoding="utf-8")
        shutil.copy(ROOT / "scripts" / "demo_handlers.py", folder)
        demo.command("init")
        demo_rows.load(ROWS, demo.database)
        with Queue.open(cwd=folder, env={}) as queue:
            queue.enqueue_many(
                Enqueue(hook="g_ok", args=[n, "two", None], group="alpha") for n in range(MORE)
            )
        local = folder / "local.db"
        shutil.copy(demo.database, local)
        return handed_over(demo, broker, local)


def handed_over(demo: Demo, broker: RabbitMQ, local: Path) -> int:
    print(
        f"\n== A queue with {sum(demo.statuses().values())} actions, RabbitMQ, a relay, two workers"
    )
    with running(demo):
        until(lambda: demo.statuses()["complete"] >= KILLED_AFTER, "the first endings")
        print(f"\n== kill -9 RabbitMQ, after {demo.statuses()['complete']} completions")
        broker.stop()
        broker.start()
        print("== RabbitMQ is there again")
        until(lambda: demo.left() == 0, "the end of all actions")
        demo.command("workers", "list", "--fields", "id,kind,pid,life,version")
    for name in ("worker1", "worker2"):
        log = (demo.folder / f"{name}.log").read_text("utf-8")
        print(
            f"{name} ran {log.count(chr(39) + 'complete' + chr(39) + ' data')} actions to their end"
        )
    print("\n== After")
    demo_rows.show(demo.database, most=16)
    print(f"… {dict(demo.statuses())}")
    print("\n== The same queue, run here: wpbridge claim-and-run")
    told = (demo.folder / "wpbridge.toml").read_text("utf-8").partition("[celery]")[0]
    (demo.folder / "wpbridge.toml").write_text(told.replace("queue.db", "local.db"), "utf-8")
    demo.command("claim-and-run")
    ours, theirs = shape(demo.database), shape(local)
    if ours != theirs:
        print(f"The tables differ: {list((ours - theirs) + (theirs - ours))[:3]}")
        return 1
    print("The tables are the same, but for ids, dates and claims.")
    other = other_than_plugin(demo.database)
    print("\n== The rows of Action Scheduler, beside what its own run made of them")
    print("The same status and attempts, but for:")
    for line in other.values():
        print(f"  {line}")
    return 0 if other.keys() == EXPECTED.keys() else 1


def other_than_plugin(database: Path) -> dict[int, str]:
    """Return which rows that were there before ended otherwise than in a run of the plugin."""
    told = json.loads((ROWS / "after.json").read_text("utf-8"))["actions"]
    plugin = {one["action_id"]: (one["hook"], one["status"], one["attempts"]) for one in told}
    found = {}
    for id_, hook, status, attempts in rows(
        database, "SELECT action_id, hook, status, attempts FROM {actions}"
    ):
        its = plugin.get(id_)
        # Ids above are those of successors and of what was added.
        if its is not None and its[0] == hook and its != (hook, status, attempts):
            why = EXPECTED.get(int(str(id_)), "unexpected")
            found[int(str(id_))] = f"{id_} {hook}: {status}, not {its[1]} ({why})"
    return found


if __name__ == "__main__":
    # Whatever ends the demo, the broker ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(Path(sys.argv[1])))
