"""The daemon as real processes: signals, crashes, replacing, and what it tells of itself."""

import itertools
import json
import os
import re
import resource
import select
import shlex
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import invariants
from conftest import execute, needs
from daemons import (
    DEADLINE_SECONDS,
    HANDLERS,
    Daemon,
    StartDaemon,
    processes,
    started_daemons,
    until,
    work_folder,
    wpbridge,
)
from factories import make_new
from php_site import PhpSite
from rows import change, log_of, query
from servers import MariaDB, missing_mariadb, private_mariadb
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.events import KINDS
from wpbridge.outcome import LogLine
from wpbridge.queue.facade import Queue
from wpbridge.runner.reaper import MOST_DEATHS
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling import lines as logs
from wpbridge.telling.log import KINDS as KINDS_OF_LINES

ACTS = f"""{HANDLERS}
VERSION = "first"
HELD = []

@hook("meet")
def meet(number):
    # Until another process has one, too.
    record("meet", number, os.getpid())
    met = []
    while len(set(met)) < 2:
        time.sleep(0.01)
        with open("record") as stream:
            met = [line.split()[2] for line in stream if line.startswith("meet ")]

@hook("crash")
def crash(number):
    record("crash", number, os.getpid())
    if not os.path.exists("crashed"):
        open("crashed", "w").close()
        os.kill(os.getpid(), 9)

@hook("doom")
def doom(number):
    record("doom", number, os.getpid())
    os.kill(os.getpid(), 9)

@hook("version")
def version(number):
    record("version", VERSION, os.getpid())

@hook("eat")
def eat(number):
    HELD.append(b"x" * (60 << 20))
    record("eat", number, os.getpid())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return work_folder(tmp_path, ACTS)


@pytest.fixture
def daemon(folder: Path) -> Iterator[StartDaemon]:
    with started_daemons(folder) as start:
        yield start


@pytest.fixture
def own_server() -> Iterator[MariaDB]:
    """A server that may be killed, with a database q."""
    needs(missing_mariadb())
    with private_mariadb(may_be_killed=True) as server:
        execute(server, "CREATE DATABASE q")
        yield server


@pytest.fixture
def lite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'queue.db'}"


def add(store: RunnerStore, hook: str, count: int, first: int = 0) -> list[int]:
    now = SystemClock().now()
    actions = [make_new(hook, args=(first + n,), now=now) for n in range(count)]
    return list(store.insert(actions, now=now))


def next_run(folder: Path, dsn: str) -> dict[str, Any]:
    done = wpbridge(folder, "claim-and-run", "--dsn", dsn, "--handlers", "acts", "--format", "json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


OpenQueue = Callable[[str], RunnerStore]
# Work


def test_two_processes_share_the_queue_and_run_each_action_once(
    dsn: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(dsn)
    one = daemon(dsn, "--processes", "2", "--batch-size", "20").ready()
    one.send(signal.SIGUSR2)
    until(lambda: {s["state"] for s in one.states()} == {"quiet"}, "quiet workers")
    # More than one process runs at once, so that the other takes some before this one goes on.
    add(store, "meet", 8)
    add(store, "count", 2000)
    one.send(signal.SIGCONT)
    runs = one.recorded("count", 2000)
    until(lambda: store.counts() == {"complete": 2008}, "all complete")
    one.send(signal.SIGTERM)
    assert one.code() == 143
    assert set(Counter(number for number, _ in runs).values()) == {1}
    assert len({pid for _, pid in one.recorded("meet", 8)}) == 2
    assert "complete=2008" in one.err()
    invariants.check(store)


def test_what_is_enqueued_here_starts_at_once(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_queue(lite)
    one = daemon(lite, "--poll-interval", "1h").ready()
    monkeypatch.setenv("XDG_RUNTIME_DIR", one.place)
    queue = Queue(store.parts, close_store=False)
    waits = []
    for number in range(8):
        until(lambda: one.states()[0]["held"] == 0, "an idle worker")
        before = time.monotonic()
        queue.enqueue_async("count", [number])
        one.recorded("count", number + 1)
        waits.append(time.monotonic() - before)
    assert sorted(waits)[4] < 1.0, waits
    assert queue.wake() == 1


def test_a_borrowed_transaction_wakes_when_told(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_queue(lite)
    one = daemon(lite, "--poll-interval", "1h").ready()
    monkeypatch.setenv("XDG_RUNTIME_DIR", one.place)
    add(store, "count", 1)
    Queue(store.parts, close_store=False).wake()
    one.recorded("count")


SUBSCRIBED = """
import os
from acts_of_test import record
from wpbridge import Context, hook, middleware, on
from wpbridge.events import ActionCompleted, RunnerStarted, RunnerStopped

@hook("meet")
def meet(number):
    # A pipe is opened when both ends are: two of them can only end in two processes.
    open("meeting", "wr"[number]).close()
    print("met", number)

@hook("alone", isolate=True)
def alone(number):
    print("alone", number)

@middleware
def around(context: Context):
    record("before", context.id, os.getpid())
    yield
    record("after", context.id, os.getpid())

@on(ActionCompleted)
def completed(event):
    record("completed", event.action_id, os.getpid())

@on(RunnerStarted, RunnerStopped)
def told(event):
    record(type(event).__name__, event.pid, os.getpid())
"""


def test_each_worker_tells_its_own_subscribers(
    dsn: str, folder: Path, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    (folder / "acts.py").rename(folder / "acts_of_test.py")
    (folder / "acts.py").write_text(SUBSCRIBED, encoding="utf-8")
    os.mkfifo(folder / "meeting")
    store = open_queue(dsn)
    meet, alone = add(store, "meet", 2), add(store, "alone", 4)
    one = daemon(dsn, "--processes", "2", "--batch-size", "1", "--concurrency", "1").ready()
    told = {int(action_id): pid for action_id, pid in one.recorded("completed", 6)}
    one.send(signal.SIGTERM)
    assert one.code() == 143
    assert len(one.records("completed")) == 6
    assert sorted(told) == [*meet, *alone]
    assert sorted(one.records("before")) == sorted(one.records("after"))
    ran = {int(action_id): pid for action_id, pid in one.records("before")}
    # A handler of its own process has its middleware there, and its subscribers with the runner.
    assert {i for i in told if ran[i] == told[i]} == set(meet)
    assert {told[i] for i in meet} == {pid for pid, _ in one.records("RunnerStarted")}
    for word in ("RunnerStarted", "RunnerStopped"):
        assert len(one.records(word)) == 2
        assert all(told_pid == pid for told_pid, pid in one.records(word))
    assert log_of(store, meet[1])[-2:] == [
        "action output via wpbridge: met 1",
        "action complete via wpbridge",
    ]
    assert "action output via wpbridge: alone 3" in log_of(store, alone[-1])
    assert "met" not in one.err()
    invariants.check(store)


# Ends


def test_term_finishes_what_runs_and_frees_the_rest(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    add(store, "slow", 6)
    one = daemon(lite, "--concurrency", "2").ready()
    one.recorded("start", 2)
    one.send(signal.SIGTERM)
    one.told("STOPPING=1")
    free = "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'pending' AND claim_id = 0"
    until(lambda: len(query(store, free)) == 4, "four free ones")
    # The worker answers in order: with this it has heard the stop, and claims no more.
    one.states()
    one.open_gate()
    assert one.code() == 143
    assert store.counts() == {"complete": 2, "pending": 4}
    assert len(one.records("end")) == 2
    invariants.check(store)


def test_a_drain_that_takes_too_long_is_cut_off_and_put_back(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    (action_id,) = add(store, "slow", 1)
    one = daemon(lite, "--drain-timeout", "0.5").ready()
    one.recorded("start")
    until(lambda: store.counts() == {"in-progress": 1}, "the mark of its start")
    one.send(signal.SIGTERM)
    assert one.code() == 143
    assert "daemon.drain_timeout" in one.err()
    one.open_gate()
    assert next_run(one.folder, lite)["reclaimed"] == 1
    assert store.counts() == {"complete": 1}
    assert (
        len([line for line in log_of(store, action_id) if line.startswith("action started")]) == 2
    )
    invariants.check(store)


def test_an_interrupt_of_the_terminal_drains_and_a_second_one_ends_at_once(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    add(store, "slow", 1)
    one = daemon(lite).ready()
    one.recorded("start")
    os.killpg(one.process.pid, signal.SIGINT)
    one.told("STOPPING=1")
    assert one.states()[0]["state"] == "stopping"
    os.killpg(one.process.pid, signal.SIGINT)
    assert one.code() == 130
    one.open_gate()
    assert next_run(one.folder, lite)["complete"] == 1
    invariants.check(store)


def test_quit_ends_at_once(lite: str, daemon: StartDaemon, open_queue: OpenQueue) -> None:
    store = open_queue(lite)
    add(store, "slow", 1)
    one = daemon(lite).ready()
    one.recorded("start")
    one.send(signal.SIGQUIT)
    assert one.code() == 131


# Other signals


def test_quiet_claims_no_more_until_told_to_go_on(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    one = daemon(lite, "--processes", "2").ready()
    one.send(signal.SIGUSR2)
    until(lambda: {s["state"] for s in one.states()} == {"quiet"}, "quiet workers")
    add(store, "count", 1)
    # Two answers of each loop: had they wished to claim they would have.
    assert [s["held"] for s in (*one.states(), *one.states())] == [0] * 4
    assert store.counts() == {"pending": 1}
    one.send(signal.SIGCONT)
    one.recorded("count")


def test_a_state_dump_is_a_line_of_json_for_each_worker(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    add(store, "slow", 1)
    one = daemon(lite, "--processes", "2").ready()
    one.recorded("start")
    states = one.states()
    assert {state["worker"] for state in states} == {1, 2}
    assert [run["hook"] for state in states for run in state["running"]] == ["slow"]
    one.open_gate()


def test_thread_stacks_of_the_workers(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    open_queue(lite)
    one = daemon(lite).ready()
    one.send(signal.SIGTTIN)
    one.logged("Current thread")


def test_hup_runs_the_changed_handler(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    one = daemon(lite, "--processes", "2").ready()
    before = set(one.workers())
    changed = ACTS.replace('"first"', '"second"')
    (one.folder / "acts.py").write_text(changed, encoding="utf-8")
    one.send(signal.SIGHUP)
    one.told("RELOADING=1")
    one.ready()
    until(lambda: len(one.workers()) == 2 and not before & set(one.workers()), "new workers alone")
    add(store, "version", 1)
    assert one.recorded("version")[0][0] == "second"


def test_what_runs_during_a_reload_runs_to_its_end(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    add(store, "slow", 1)
    one = daemon(lite, "--drain-timeout", "0.5").ready()
    one.recorded("start")
    one.send(signal.SIGHUP)
    one.told("RELOADING=1")
    one.ready()
    add(store, "version", 1)
    one.recorded("version")
    assert len(one.workers()) == 2
    one.open_gate()
    one.recorded("end")
    until(lambda: store.counts() == {"complete": 2}, "both complete")
    assert len(one.records("start")) == 1


@pytest.mark.parametrize("broken", ["acts.py", "wpbridge.toml"])
def test_a_broken_configuration_keeps_the_old_workers(
    broken: str, lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    one = daemon(lite, "--processes", "2").ready()
    before = set(one.workers())
    (one.folder / broken).write_text("1 / 0\n", encoding="utf-8")
    one.send(signal.SIGHUP)
    one.logged("daemon.reload_refused")
    assert one.ready().process.poll() is None
    until(lambda: set(one.workers()) == before, "the old workers alone")
    add(store, "version", 1)
    assert one.recorded("version")[0][0] == "first"


def test_a_worker_that_ends_after_a_refused_reload_starts_with_the_old_settings(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    one = daemon(lite, "--processes", "2").ready()
    (one.folder / "wpbridge.toml").write_text("[run]\nprocesses = \n", encoding="utf-8")
    one.send(signal.SIGHUP)
    one.logged("daemon.reload_refused")
    before = set(one.workers())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(one.workers()) - before) == 2, "two new workers")
    add(store, "version", 1)
    assert one.recorded("version")[0][0] == "first"


def test_a_reload_in_a_folder_that_is_gone_leaves_all_as_it_was(
    lite: str, folder: Path, open_queue: OpenQueue
) -> None:
    """A release that the daemon was started in is deleted; later there is one of that name again."""
    store = open_queue(lite)
    acts = ACTS.replace('"record"', repr(str(folder / "record")))
    (folder / "acts.py").write_text(acts, encoding="utf-8")
    release, err = folder / "release", folder / "err"
    release.mkdir()
    one = Daemon(release, lite, env={"PYTHONPATH": str(folder)})
    try:
        one.ready()
        (release / "err").rename(err)
        release.rmdir()
        one.send(signal.SIGHUP)
        one.told("RELOADING=1")
        one.told("READY=1")
        [refused] = [x for x in err.read_text().splitlines() if "daemon.reload_refused" in x]
        assert str(release) in refused
        [before] = one.workers()
        os.kill(before, signal.SIGKILL)
        add(store, "version", 1)
        until((folder / "record").exists, "what a new worker ran")
        release.mkdir()
        one.send(signal.SIGHUP)
        one.told("RELOADING=1")
        one.told("READY=1")
        assert err.read_text().count("daemon.reload_refused") == 1
    finally:
        one.end()


def _stands_as(file: Path, content: bytes | Callable[[Path], None]) -> None:
    if callable(content):
        content(file)
    else:
        file.write_bytes(content)


SPOILT: list[tuple[str, bytes | Callable[[Path], None]]] = [
    ("acts.py", b"import sys\nsys.exit(0)\n"),
    ("acts.py", b"import os\nos._exit(0)\n"),
    ("acts.py", b"raise KeyboardInterrupt\n"),
    ("wpbridge.toml", b"[site]\ndsn = 'sqlite:///queue.db'\ntable_prefix = 'other_'\n"),
    ("wpbridge.toml", b"[site]\ndsn = 'sqlite:///another.db'\n"),
    ("wpbridge.toml", b"\xff\xfe"),
    ("wpbridge.toml", Path.mkdir),
    ("wpbridge.toml", lambda file: file.symlink_to(file)),
    ("wpbridge.toml", os.mkfifo),
]


def test_a_daemon_goes_on_whatever_its_reloads_meet(
    lite: str, folder: Path, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    (folder / "wpbridge.toml").write_text(f"[site]\ndsn = '{lite}'\n", encoding="utf-8")
    usual = {name: (folder / name).read_bytes() for name in ("acts.py", "wpbridge.toml")}
    one = daemon("").ready()
    before = one.workers()
    for number, (name, content) in enumerate(SPOILT, 1):
        file = folder / name
        file.unlink()
        _stands_as(file, content)
        one.send(signal.SIGHUP)
        one.told("RELOADING=1")
        one.told("READY=1")
        one.logged("daemon.reload_refused", number)
        assert one.workers() == before, (name, content)
        (file.rmdir if file.is_dir() else file.unlink)()
        file.write_bytes(usual[name])
    add(store, "version", 1)
    assert int(one.recorded("version")[0][1]) == before[0]
    one.send(signal.SIGHUP)
    one.told("RELOADING=1")
    one.told("READY=1")
    until(lambda: len(one.workers()) == 1 and one.workers() != before, "a new worker")
    assert one.err().count("daemon.reload_refused") == len(SPOILT)


def test_a_reload_without_descriptors_to_spare_is_refused(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    open_queue(lite)
    one = daemon(lite).ready()
    before = one.workers()
    pid = one.process.pid
    used = max(int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir())
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for spare in range(3):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 1 + spare, usual[1]))
        one.send(signal.SIGHUP)
        one.logged("daemon.reload_refused", spare + 1)
        assert one.workers() == before
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    before = one.workers()
    one.send(signal.SIGHUP)
    one.told("RELOADING=1")
    one.told("READY=1")
    until(lambda: len(one.workers()) == 1 and one.workers() != before, "a new worker")


def test_in_development_a_changed_handler_is_loaded_by_itself(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    one = daemon(lite, "--reload").ready()
    first = one.workers()
    changed = ACTS.replace('"first"', '"second"')

    def touched() -> bool:
        # Until a look finds it changed since the look before.
        (one.folder / "acts.py").write_text(changed, encoding="utf-8")
        return "daemon.changed" in one.err()

    until(touched, "a change that is seen")
    until(lambda: one.workers() and not set(first) & set(one.workers()), "a new worker")
    add(store, "version", 1)
    assert one.recorded("version")[0][0] == "second"


# Crashes


def test_a_worker_that_dies_is_replaced_and_its_action_run_again(
    dsn: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(dsn)
    add(store, "crash", 1)
    add(store, "count", 50)
    one = daemon(dsn, "--processes", "2").ready()
    runs = one.recorded("crash", 2)
    one.recorded("count", 50)
    until(lambda: store.counts() == {"complete": 51}, "all complete")
    until(lambda: len(one.workers()) == 2, "two workers")
    assert len(one.records("crash")) == 2
    assert runs[0][1] != runs[1][1]
    assert one.err().count("worker.died") == 1
    one.send(signal.SIGTERM)
    assert one.code() == 143
    invariants.check(store)


def test_an_action_that_kills_every_worker_at_once_is_failed_after_a_few(
    dsn: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    """Whichever process puts it back, and whichever claims it next."""
    store = open_queue(dsn)
    (doom,) = add(store, "doom", 1)
    add(store, "count", 50)
    one = daemon(dsn, "--processes", "3").ready()
    until(lambda: store.counts() == {"complete": 50, "failed": 1}, "its failure", seconds=120)
    told = re.search(r"its runners died (\d+) times", log_of(store, doom)[-1])
    assert told is not None
    # A death counts only if the start was marked before it, and no other action seemed to run.
    assert int(told[1]) >= MOST_DEATHS
    assert len(one.records("doom")) - int(told[1]) in {0, 1}
    one.send(signal.SIGTERM)
    assert one.code() == 143
    invariants.check(store)


def test_nothing_outlives_a_killed_supervisor(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    add(store, "slow", 2)
    one = daemon(lite, "--processes", "2", "--concurrency", "1").ready()
    one.recorded("start", 2)
    one.send(signal.SIGKILL)
    one.code()
    until(lambda: not processes(one.folder), "the end of the workers")
    one.open_gate()
    told = next_run(one.folder, lite)
    assert (told["reclaimed"], told["complete"]) == (2, 2)
    invariants.check(store)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_php_workers_end_with_the_daemon(
    end: signal.Signals, wordpress: PhpSite, daemon: StartDaemon
) -> None:
    done = wordpress.enqueue("t_noop")
    one = daemon(
        wordpress.dsn,
        f"--path={wordpress.folder}",
        "--php",
        "--php-workers=1",
        "--drain-timeout=1",
        f"--wp={shlex.join(wordpress.wp)}",
    ).ready()
    until(lambda: wordpress.state(done)[0] == "complete", "a PHP action")
    hangs = wordpress.enqueue("t_hang")
    until(lambda: wordpress.state(hangs)[0] == "in-progress", "one that hangs")
    one.send(end)
    assert one.code() == (143 if end == signal.SIGTERM else -end)
    until(lambda: not processes(one.folder), "the end of PHP")


def test_php_starts_once_descriptors_come_back(wordpress: PhpSite, daemon: StartDaemon) -> None:
    one = daemon(
        wordpress.dsn,
        f"--path={wordpress.folder}",
        "--php",
        "--php-workers=2",
        "--processes=1",
        f"--wp={shlex.join(wordpress.wp)}",
    ).ready()
    [pid] = one.workers()
    used = {int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()}
    free = next(number for number in itertools.count() if number not in used)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + 3, before[1]))
    ids = [wordpress.enqueue("t_noop") for _ in range(4)]
    one.logged("php.boot_failed")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert "Too many open files" in one.err()
    until(lambda: all(wordpress.state(i)[0] == "complete" for i in ids), "all complete")
    lines = ["action created", "action started via wpbridge", "action complete via wpbridge"]
    assert [wordpress.log(i) for i in ids] == [lines] * 4
    assert pid in one.workers(), "the same process as before"
    one.send(signal.SIGTERM)
    assert one.code() == 143


def test_the_first_term_ends_a_daemon_after_nonsense_in_the_answers(
    wordpress: PhpSite, daemon: StartDaemon
) -> None:
    ids = [wordpress.enqueue("t_answers", "[1]\n") for _ in range(3)]
    one = daemon(
        wordpress.dsn,
        f"--path={wordpress.folder}",
        "--php",
        "--php-workers=1",
        "--processes=1",
        f"--wp={shlex.join(wordpress.wp)}",
    ).ready()
    until(lambda: all(wordpress.state(i)[0] == "failed" for i in ids), "the ends of all")
    one.send(signal.SIGTERM)
    assert one.code() == 143
    assert "daemon.drain_timeout" not in one.err()


def test_a_database_that_goes_away_is_waited_for(
    daemon: StartDaemon, open_queue: OpenQueue, folder: Path, own_server: MariaDB
) -> None:
    dsn = own_server.url("q")
    store = open_queue(dsn)
    store.session.patience_seconds = DEADLINE_SECONDS
    one = daemon(dsn, "--processes", "2", "--heartbeat-file", "beat").ready()
    own_server.kill()
    one.told("the database does not answer")
    beat = one.folder / "beat"
    until(lambda: not json.loads(beat.read_text())["database"], "the heartbeat that says so")
    live, ready = (
        wpbridge(folder, "probe", what, "--heartbeat-file", "beat") for what in ("live", "ready")
    )
    assert (live.returncode, live.stdout) == (0, "live\n")
    assert (ready.returncode, ready.stdout) == (1, "not ready: the database does not answer\n")
    # One that dies meanwhile comes again, and waits like the others.
    os.kill(one.workers()[0], signal.SIGKILL)
    one.logged("worker.started", 2)
    own_server.start()
    add(store, "count", 20)
    one.recorded("count", 20)
    until(lambda: store.counts() == {"complete": 20}, "all complete")
    until(lambda: "does not answer" not in one.told("STATUS="), "the database")
    assert one.err().count("store.lost") <= 3
    store.close()
    own_server.kill()
    one.told("the database does not answer")
    one.send(signal.SIGTERM)
    assert one.code() == 143, "workers with nothing in hand do not wait for the database"
    assert "daemon.drain_timeout" not in one.err()


# Replacing


def test_a_worker_is_replaced_after_so_many_actions(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    add(store, "count", 60)
    one = daemon(lite, "--max-actions", "20").ready()
    runs = one.recorded("count", 60)
    until(lambda: store.counts() == {"complete": 60}, "all complete")
    most = max(Counter(pid for _, pid in runs).values())
    assert 18 <= most <= 20
    assert "worker.died" not in one.err()
    one.send(signal.SIGTERM)
    assert one.code() == 143
    invariants.check(store)


@pytest.mark.parametrize("limit", [("--max-memory", "120M"), ("--max-age", "1s")], ids=" ".join)
def test_a_worker_is_replaced_when_it_is_large_or_old(
    limit: tuple[str, str], lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    one = daemon(lite, *limit).ready()
    add(store, "eat", 2)
    (first, _) = one.recorded("eat", 2)
    one.logged(f"why={limit[0].removeprefix('--')}")
    until(lambda: one.workers() and int(first[1]) not in one.workers(), "another worker")
    add(store, "count", 1)
    one.recorded("count")
    assert "worker.died" not in one.err()


# What it tells of itself


def test_the_service_manager_hears_ready_watchdog_status_and_stopping(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    open_queue(lite)
    one = daemon(
        lite, "--processes", "2", "--poll-interval", "0.2", env={"WATCHDOG_USEC": "2000000"}
    )
    ready = one.told("READY=1")
    assert f"MAINPID={one.process.pid}" in ready
    assert "STATUS=working, 2 workers" in ready
    one.told("WATCHDOG=1")
    one.told("WATCHDOG=1")
    stopped = one.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    # While its last sign is less than two seconds old the watchdog is told, then no more.
    end, last = time.monotonic() + 4.5, 0.0
    while (left := end - time.monotonic()) > 0:
        if select.select([one.ear], [], [], left)[0] and b"WATCHDOG=1" in one.ear.recv(4096):
            last = time.monotonic()
    assert end - last > 1.5
    os.kill(stopped, signal.SIGCONT)
    one.told("WATCHDOG=1")
    one.send(signal.SIGTERM)
    one.told("STOPPING=1")
    assert one.code() == 143


def test_probes_read_the_heartbeat_file(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    open_queue(lite)
    one = daemon(lite, "--heartbeat-file", "beat").ready()
    for what in ("live", "ready"):
        until((one.folder / "beat").exists, "a heartbeat")
        until(lambda: json.loads((one.folder / "beat").read_text())["ready"], "ready")
        done = wpbridge(one.folder, "probe", what, "--heartbeat-file", "beat")
        assert (done.returncode, done.stdout) == (0, f"{what}\n")
    one.send(signal.SIGTERM)
    assert one.code() == 143
    done = wpbridge(one.folder, "probe", "live", "--heartbeat-file", "beat")
    assert done.returncode == 1
    assert done.stdout.startswith("not live: ")
    assert len(done.stdout.splitlines()) == 1


# Before it starts


def test_a_dry_run_shows_what_would_start(lite: str, folder: Path, open_queue: OpenQueue) -> None:
    open_queue(lite)
    done = wpbridge(
        folder,
        "work",
        "--dsn",
        lite,
        "--handlers",
        "acts",
        "--processes",
        "2",
        "--dry-run",
        "--format",
        "json",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["processes"], told["concurrency"]) == (2, 4)
    ours = ["count", "crash", "doom", "eat", "meet", "slow", "version"]
    assert told["hooks"] == [*ours, "wpbridge_bulk", "wpbridge_callback"]
    assert not query(open_queue(lite), "SELECT 1 FROM wp_wpbridge_runners WHERE pid > 1")


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--handlers", "absent"], 78, "absent"),
        (["--handlers", "acts", "--hooks", "nobody"], 78, "no handler for nobody"),
        ([], 78, "no handlers"),
        (["--handlers", "acts", "--dsn", "sqlite:///empty.db"], 78, "is its name right?"),
        (["--handlers", "acts", "--max-age", "soon"], 78, "soon"),
        (["--handlers", "acts", "--heartbeat-file", "no/such/file"], 78, "heartbeat_file"),
        (
            ["--handlers", "acts", "--heartbeat-file", "no/such/file", "--dry-run"],
            78,
            "[run] heartbeat_file (--heartbeat-file) is",
        ),
        (["--handlers", "acts", "--processes", "0"], 2, "--processes"),
        (["--handlers", "acts", "--worker", "1:99:0"], 78, "supervisor"),
    ],
)
def test_what_is_wrong_at_the_start_is_one_line(
    flags: list[str], code: int, words: str, folder: Path, open_queue: OpenQueue
) -> None:
    lite = f"sqlite:///{folder / 'queue.db'}"
    open_queue(lite)
    done = wpbridge(folder, "work", "--dsn", lite, *flags)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# A site that is ours

OWNED = {"WPBRIDGE_OWNS_SITE": "1"}


def leave_stale(store: RunnerStore, hook: str, status: str = "pending") -> int:
    """An action that a runner of PHP's claimed, and then died."""
    (action_id,) = add(store, hook, 1)
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET claim_id = 900, status = :s,"
        " last_attempt_gmt = '2026-01-01 00:00:00' WHERE action_id = :i",
        s=status,
        i=action_id,
    )
    return action_id


def have_duties_due(store: RunnerStore) -> None:
    """A minute has passed by the database's clock."""
    change(store, "UPDATE wp_wpbridge_duties SET due_gmt = '2000-01-01 00:00:00'")


def test_what_a_dead_runner_of_php_left_is_freed_and_run(
    dsn: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(dsn)
    waiting, stuck = leave_stale(store, "count"), leave_stale(store, "count", "in-progress")
    one = daemon(dsn, "-v", "--processes", "2", "--poll-interval", "1h", env=OWNED).ready()
    assert len(one.recorded("count")) == 1
    until(lambda: store.counts() == {"complete": 1, "failed": 1}, "both ended")
    assert log_of(store, waiting) == [
        "action created",
        "action reset",
        "action started via wpbridge",
        "action complete via wpbridge",
    ]
    [_, told] = log_of(store, stuck)
    assert told.startswith("action marked as failed after 300 seconds.")
    one.logged("upkeep.done")
    one.send(signal.SIGTERM)
    assert one.code() == 143
    assert one.err().count("upkeep.done") == 1
    assert "reset=1 failed=1 deleted=0" in one.err()


def test_a_killed_caretaker_is_followed(
    dsn: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(dsn)
    add(store, "count", 3000)
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete',"
        " last_attempt_gmt = '2026-01-01 00:00:00'",
    )
    one = daemon(dsn, env=OWNED).ready()

    def left() -> int:
        return store.counts().get("complete", 0)

    until(lambda: left() < 3000, "the first of them gone")
    one.send(signal.SIGKILL)
    one.code()
    until(lambda: not processes(one.folder), "its workers gone")
    rest = left()
    assert 0 < rest < 3000
    [(first,)] = query(store, "SELECT holder FROM wp_wpbridge_duties WHERE duty = 'retention'")
    # It is not over yet by the database's clock, so nobody else has it.
    assert next_run(one.folder, dsn)["claimed"] == 0
    assert left() == rest
    have_duties_due(store)
    two = daemon(dsn, "-v", env=OWNED).ready()
    until(lambda: left() == 0, "all gone")
    two.logged("upkeep.done")
    two.send(signal.SIGTERM)
    assert two.code() == 143
    assert sum(map(int, re.findall(r"deleted=(\d+)", two.err()))) == rest
    [(second,)] = query(store, "SELECT holder FROM wp_wpbridge_duties WHERE duty = 'retention'")
    assert first != second
    assert not query(store, "SELECT 1 FROM wp_actionscheduler_logs")


def test_a_runner_of_php_that_is_seen_keeps_its_duties(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue
) -> None:
    store = open_queue(lite)
    stale = leave_stale(store, "count")
    now = SystemClock().now()
    (by_php,) = add(store, "elsewhere", 1)
    store.log([(ActionId(by_php), LogLine(message="action started via WP Cron", at=now))])
    one = daemon(lite, env=OWNED).ready()
    one.logged("upkeep.left")
    assert 'runner="WP Cron"' in one.err()
    one.send(signal.SIGTERM)
    assert one.code() == 143
    assert log_of(store, stale) == ["action created"]
    change(store, "UPDATE wp_actionscheduler_logs SET log_date_gmt = '2026-01-01 00:00:00'")
    have_duties_due(store)
    two = daemon(lite, "-v", env=OWNED).ready()
    two.recorded("count")
    two.logged("upkeep.resumed")
    assert "upkeep.left" not in two.err()


def test_every_line_of_a_json_log_has_a_stable_event_and_the_site(
    lite: str, daemon: StartDaemon, open_queue: OpenQueue, folder: Path
) -> None:
    add(open_queue(lite), "count", 3)
    flags = ("--log-format", "json", "-vv", "--blog-id", "1")
    one = daemon(lite, *flags).ready()
    one.recorded("count", 3)
    one.send(signal.SIGTERM)
    assert one.code() == 143
    lines = [json.loads(line) for line in one.err().splitlines()]
    names = set(KINDS_OF_LINES) | {logs.name_of(kind) for kind in KINDS} | {logs.FOREIGN}
    assert {line["event"] for line in lines} <= names
    assert {"daemon.ready", "worker.started", "runner.started", "daemon.stopped"} <= {
        line["event"] for line in lines
    }
    assert {line["site"] for line in lines} == {lite}
