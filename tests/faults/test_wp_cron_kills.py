"""A move that is killed at any moment, while others write the option as WordPress does.

Whatever is killed when: an event is in the option or in the queue, and never in both once a move
has come to its end; and nothing is in the journal that could not be put back.
"""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import warm
from cli_helpers import COMMAND, clean_env
from conftest import SEEDS
from daemons import until
from rows import change, query
from wpbridge.codec import php
from wpbridge.codec.wp_cron import CronOption, Event, key_of
from wpbridge.store.database.connection import Connection
from wpbridge.store.rows.options import CRON, CRON_LOCK
from wpbridge.store.running.runner_store import RunnerStore

SIZES = [(600, 200), pytest.param((3000, 1000), marks=pytest.mark.long)]
"""Events, and how many of them are moved at a time: a larger option has more moments to be killed at."""
PROGRAM = """
from wpbridge.cli import main
from wpbridge.migrate.wp_cron import transaction

transaction.BATCH = {batch}
main()
"""
"""The command, with another size of batches."""
FIRST = 1_900_000_000
JOURNAL = "moved.journal"
UNDO = ("--undo", JOURNAL)


def event(number: int, hook: str = "moved") -> Event:
    args: php.PhpArray = {0: number}
    value: php.PhpArray = {b"schedule": False, b"args": args}
    return Event(date=FIRST + number, hook=hook.encode(), key=key_of(args), value=php.encode(value))


def fill(store: RunnerStore, events: int) -> None:
    is_mysql = store.session.address.driver != "sqlite"
    auto = "AUTO_INCREMENT" if is_mysql else "AUTOINCREMENT"
    change(
        store,
        f"CREATE TABLE wp_options (option_id INTEGER PRIMARY KEY {auto}, option_name VARCHAR(191)"
        " NOT NULL UNIQUE, option_value LONGTEXT NOT NULL, autoload VARCHAR(20) NOT NULL)",
    )
    option = CronOption({b"version": 2})
    option.add([event(number) for number in range(events)])
    change(
        store,
        "INSERT INTO wp_options (option_name, option_value, autoload) VALUES ('cron', :v, 'yes')",
        v=option.encode().decode(),
    )


class Writer:
    """Reads the option, thinks, and writes over it what it has read and one event more."""

    def __init__(self, store: RunnerStore) -> None:
        self._store = store
        self._stop = threading.Event()
        self.written = 0
        self._thread = threading.Thread(target=self._write)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _write(self) -> None:
        options = self._store.parts.options
        while not self._stop.wait(0.02):
            old = options.read(CRON)
            assert old is not None
            option = CronOption.decode(old)
            option.add([event(self.written, "other")])
            # Its update is WordPress's: whatever stands there now.
            change(
                self._store,
                "UPDATE wp_options SET option_value = :v WHERE option_name = 'cron'",
                v=option.encode().decode(),
            )
            self.written += 1


def in_option(store: RunnerStore, hook: str) -> list[int]:
    data = store.parts.options.read(CRON)
    assert data is not None
    return [e.date - FIRST for e in CronOption.decode(data).events() if e.name() == hook]


def in_queue(store: RunnerStore, status: str = "pending") -> list[int]:
    rows = query(store, "SELECT args FROM wp_actionscheduler_actions WHERE status = :s", s=status)
    return [json.loads(str(row[0]))[0] for row in rows]


def prepare(store: RunnerStore, folder: Path, size: tuple[int, int]) -> int:
    """An option with so many events, and the program. Returns how many."""
    events, batch = size
    fill(store, events)
    (folder / "program.py").write_text(PROGRAM.format(batch=batch), "utf-8")
    return events


def command(dsn: str, folder: Path, *more: str) -> "subprocess.Popen[str]":
    which = more or ("--hooks", "moved", "--settle", "0s", "--journal", JOURNAL)
    return warm.Popen(
        [sys.executable, "program.py", "migrate", "wp-cron", "--dsn", dsn, "--yes", *which],
        cwd=folder,
        env=clean_env(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def kill_somewhere(
    dsn: str, folder: Path, chance: random.Random, has_begun: Callable[[], bool], *more: str
) -> None:
    """Start it, and kill it a random while after it has begun to change something."""
    with command(dsn, folder, *more) as process:
        while process.poll() is None and not has_begun():
            time.sleep(0.002)  # The processor is the process's.
        try:
            process.wait(timeout=chance.uniform(0.0, 0.8))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)


def grown(folder: Path) -> Callable[[], bool]:
    """Whether the journal has more in it than now."""
    file = folder / JOURNAL
    before = file.stat().st_size if file.exists() else 0
    return lambda: file.exists() and file.stat().st_size > max(before, 200)


def fewer(store: RunnerStore) -> Callable[[], bool]:
    """Whether less is in the queue than now."""

    def count() -> int:
        found = query(
            store, "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status = 'pending'"
        )
        return int(str(found[0][0]))

    before = count()
    return lambda: count() < before


def finish(dsn: str, folder: Path, store: RunnerStore, *more: str) -> None:
    # The lock of a killed one runs out in a minute.
    change(store, "DELETE FROM wp_options WHERE option_name = :n", n=CRON_LOCK)
    with command(dsn, folder, *more) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_anywhere_each_event_is_in_one_place(
    dsn: str, store: RunnerStore, tmp_path: Path, seed: int, size: tuple[int, int]
) -> None:
    events = prepare(store, tmp_path, size)
    chance = random.Random(seed)  # noqa: S311 - moments to kill at
    for _ in range(3):
        change(store, "DELETE FROM wp_options WHERE option_name = :n", n=CRON_LOCK)
        kill_somewhere(dsn, tmp_path, chance, grown(tmp_path))
        both = Counter(in_option(store, "moved")) + Counter(in_queue(store))
        assert both == Counter(range(events))
    finish(dsn, tmp_path, store)
    assert in_option(store, "moved") == []
    assert sorted(in_queue(store)) == list(range(events))

    for _ in range(2):
        kill_somewhere(dsn, tmp_path, chance, fewer(store), *UNDO)
        both = Counter(in_option(store, "moved")) + Counter(in_queue(store))
        assert both == Counter(range(events))
    finish(dsn, tmp_path, store, *UNDO)
    assert in_queue(store) == []
    assert sorted(in_option(store, "moved")) == list(range(events))


@pytest.mark.parametrize("size", SIZES)
def test_killed_beside_a_writer_no_event_is_lost_and_in_the_end_none_is_double(
    dsn: str,
    store: RunnerStore,
    tmp_path: Path,
    open_queue: Callable[[str], RunnerStore],
    size: tuple[int, int],
) -> None:
    events = prepare(store, tmp_path, size)
    writer = Writer(open_queue(dsn))
    chance = random.Random(7)  # noqa: S311 - moments to kill at
    with writer.at_work():
        for _ in range(3):
            change(store, "DELETE FROM wp_options WHERE option_name = :n", n=CRON_LOCK)
            kill_somewhere(dsn, tmp_path, chance, grown(tmp_path))
    # What the writer has put back from what it had read is taken out now.
    finish(dsn, tmp_path, store)
    assert in_option(store, "moved") == []
    assert sorted(in_queue(store)) == list(range(events))
    assert sorted(in_option(store, "other")) == list(range(writer.written))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_move_that_is_stopped_gives_wp_crons_lock_back(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path, number: int, code: int
) -> None:
    store, other = open_queue(mysql_dsn), open_queue(mysql_dsn)
    fill(store, 100)
    before = query(store, "SELECT option_value FROM wp_options WHERE option_name = 'cron'")
    command = [*COMMAND, "migrate", "wp-cron", "--dsn", mysql_dsn, "--settle", "0s", "--yes"]

    def hold(connection: Connection) -> tuple[int, str]:
        """In the middle of its transaction the move waits for the table of logs."""
        connection.exec_driver_sql("LOCK TABLES wp_actionscheduler_logs WRITE")
        with warm.Popen(
            command,
            cwd=tmp_path,
            env=clean_env(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                until(
                    lambda: query(
                        store,
                        "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE ="
                        " 'Waiting for table metadata lock' AND INFO LIKE 'INSERT INTO wp_action%'",
                    ),
                    "the move waits for the table",
                )
                process.send_signal(number)
                said, _ = process.communicate(timeout=300)
                return process.returncode, said
            finally:
                process.kill()
                connection.exec_driver_sql("UNLOCK TABLES")

    ended, said = other.session.run(hold)
    assert ended == code, said
    assert "Traceback" not in said
    assert query(store, f"SELECT 1 FROM wp_options WHERE option_name = '{CRON_LOCK}'") == []
    assert query(store, "SELECT option_value FROM wp_options WHERE option_name = 'cron'") == before
    assert query(store, "SELECT 1 FROM wp_actionscheduler_actions") == []
    done = warm.run(
        command,
        cwd=tmp_path,
        env=clean_env(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("moved 100 events of 1 hook")
